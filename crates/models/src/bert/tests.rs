//! The encoder against its definition, written out in loops and in double precision.

use std::collections::HashMap;

use proptest::prelude::*;
use safetensors::tensor::{Dtype, TensorView, serialize};

use super::{Bert, WeightsError};

const VOCABULARY: usize = 11;
const POSITIONS: usize = 6;
const HIDDEN: usize = 8;
const WIDE: usize = 12;
const HEADS: usize = 2;

type Tensors = HashMap<String, (Vec<usize>, Vec<f32>)>;

/// Random weights of a small encoder with two layers.
fn tensors(seed: u32) -> Tensors {
    let mut shapes = vec![
        ("embeddings.word_embeddings.weight".to_owned(), vec![VOCABULARY, HIDDEN]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![POSITIONS, HIDDEN]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![2, HIDDEN]),
    ];
    let mut add = |name: &str, shape: &[usize]| {
        shapes.push((format!("{name}.weight"), shape.to_vec()));
        shapes.push((format!("{name}.bias"), vec![shape[0]]));
    };
    add("embeddings.LayerNorm", &[HIDDEN]);
    for layer in ["encoder.layer.0", "encoder.layer.1"] {
        for part in ["self.query", "self.key", "self.value", "output.dense"] {
            add(&format!("{layer}.attention.{part}"), &[HIDDEN, HIDDEN]);
        }
        add(&format!("{layer}.attention.output.LayerNorm"), &[HIDDEN]);
        add(&format!("{layer}.intermediate.dense"), &[WIDE, HIDDEN]);
        add(&format!("{layer}.output.dense"), &[HIDDEN, WIDE]);
        add(&format!("{layer}.output.LayerNorm"), &[HIDDEN]);
    }
    let mut state = seed;
    let mut number = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let with_numbers = |(name, shape): (String, Vec<usize>)| {
        let numbers = (0..shape.iter().product()).map(|_| number()).collect();
        (name, (shape, numbers))
    };
    shapes.into_iter().map(with_numbers).collect()
}

fn file(tensors: &Tensors) -> Vec<u8> {
    let bytes = |numbers: &[f32]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
    let data: Vec<_> =
        tensors.iter().map(|(name, (shape, numbers))| (name, shape, bytes(numbers))).collect();
    let views = data.iter().map(|(name, shape, bytes)| {
        (*name, TensorView::new(Dtype::F32, (*shape).clone(), bytes).unwrap())
    });
    serialize(views, None).unwrap()
}

struct Reference<'a>(&'a Tensors);

type Rows = Vec<Vec<f64>>;

impl Reference<'_> {
    fn get(&self, name: &str) -> Vec<f64> {
        self.0[name].1.iter().map(|number| f64::from(*number)).collect()
    }

    fn linear(&self, name: &str, rows: &Rows) -> Rows {
        let (weight, bias) =
            (self.get(&format!("{name}.weight")), self.get(&format!("{name}.bias")));
        let inputs = weight.len() / bias.len();
        let output = |row: &Vec<f64>, n: usize| {
            bias[n] + (0..inputs).map(|k| weight[n * inputs + k] * row[k]).sum::<f64>()
        };
        rows.iter().map(|row| (0..bias.len()).map(|n| output(row, n)).collect()).collect()
    }

    fn norm(&self, name: &str, rows: &Rows) -> Rows {
        let (weight, bias) =
            (self.get(&format!("{name}.weight")), self.get(&format!("{name}.bias")));
        let norm = |row: &Vec<f64>| {
            let mean = row.iter().sum::<f64>() / HIDDEN as f64;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / HIDDEN as f64;
            let deviation = (variance + 1e-12).sqrt();
            (0..HIDDEN).map(|n| (row[n] - mean) / deviation * weight[n] + bias[n]).collect()
        };
        rows.iter().map(norm).collect()
    }

    fn attention(&self, name: &str, rows: &Rows) -> Rows {
        let [query, key, value] =
            ["query", "key", "value"].map(|part| self.linear(&format!("{name}.{part}"), rows));
        let width = HIDDEN / HEADS;
        let mut attended = vec![vec![0.0; HIDDEN]; rows.len()];
        for head in 0..HEADS {
            let columns = head * width..(head + 1) * width;
            for at in 0..rows.len() {
                let score = |other: usize| -> f64 {
                    let product =
                        columns.clone().map(|n| query[at][n] * key[other][n]).sum::<f64>();
                    (product / (width as f64).sqrt()).exp()
                };
                let sum: f64 = (0..rows.len()).map(score).sum();
                for n in columns.clone() {
                    attended[at][n] =
                        (0..rows.len()).map(|other| score(other) / sum * value[other][n]).sum();
                }
            }
        }
        attended
    }

    fn mean(&self, ids: &[u32]) -> Vec<f64> {
        let ids = ids.iter().map(|id| *id as usize).filter(|id| *id < VOCABULARY);
        let row = |name: &str, n: usize| self.get(name)[n * HIDDEN..(n + 1) * HIDDEN].to_vec();
        let token = |(position, id): (usize, usize)| {
            let word = row("embeddings.word_embeddings.weight", id);
            let place = row("embeddings.position_embeddings.weight", position);
            let segment = row("embeddings.token_type_embeddings.weight", 0);
            (0..HIDDEN).map(|n| word[n] + place[n] + segment[n]).collect()
        };
        let mut rows: Rows = ids.take(POSITIONS).enumerate().map(token).collect();
        rows = self.norm("embeddings.LayerNorm", &rows);
        for layer in ["encoder.layer.0", "encoder.layer.1"] {
            let attended = self.attention(&format!("{layer}.attention.self"), &rows);
            let attended = self.linear(&format!("{layer}.attention.output.dense"), &attended);
            let attended =
                self.norm(&format!("{layer}.attention.output.LayerNorm"), &sum(&attended, &rows));
            let mut wide = self.linear(&format!("{layer}.intermediate.dense"), &attended);
            wide.iter_mut().flatten().for_each(|x| *x = 0.5 * *x * (1.0 + erf(*x / 2_f64.sqrt())));
            let output = self.linear(&format!("{layer}.output.dense"), &wide);
            rows = self.norm(&format!("{layer}.output.LayerNorm"), &sum(&output, &attended));
        }
        let count = rows.len().max(1) as f64;
        (0..HIDDEN).map(|n| rows.iter().map(|row| row[n]).sum::<f64>() / count).collect()
    }
}

fn sum(a: &Rows, b: &Rows) -> Rows {
    let add = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(a, b)| a + b).collect();
    a.iter().zip(b).map(add).collect()
}

/// Its Maclaurin series, which is exact enough where these weights lead.
fn erf(x: f64) -> f64 {
    if x.abs() > 5.0 {
        return x.signum();
    }
    let mut term = x;
    let mut sum = x;
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

#[test]
fn the_quick_activation_is_the_exact_one() {
    for step in -8000..=8000 {
        let x = f64::from(step) / 1000.0;
        let exact = 0.5 * x * (1.0 + erf(x / 2_f64.sqrt()));
        assert!((f64::from(super::gelu(x as f32)) - exact).abs() < 2e-6, "{x}");
    }
}

#[test]
fn weights_that_are_no_encoder_are_named() {
    let whole = tensors(1);
    let fails = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = whole.clone();
        change(&mut tensors);
        Bert::read(&file(&tensors), HEADS).err().map(|error| error.to_string())
    };
    assert_eq!(fails(&|_| ()), None);
    for name in whole.keys() {
        assert!(fails(&|tensors| drop(tensors.remove(name))).is_some(), "{name} missing");
        let halved = fails(&|tensors| {
            let (shape, numbers) = tensors.get_mut(name).unwrap();
            shape[0] /= 2;
            numbers.truncate(shape.iter().product());
        });
        // Fewer words, positions or segments, or a narrower layer, would be another encoder.
        if !name.starts_with("embeddings.") || name.contains("LayerNorm") {
            assert!(halved.is_some(), "{name} halved");
        }
    }
    assert!(Bert::read(&file(&whole), 3).is_err(), "8 is no multiple of 3");
    let file = file(&whole);
    for length in [0, 7, 8, 100, file.len() - 1] {
        assert!(matches!(Bert::read(&file[..length], HEADS), Err(WeightsError::Format(_))));
    }
}

proptest! {
    #[test]
    fn the_encoder_computes_what_its_definition_says(
        seed: u32,
        ids in prop::collection::vec(0_u32..14, 0..9),
    ) {
        let tensors = tensors(seed);
        let found = Bert::read(&file(&tensors), HEADS).unwrap().mean(&ids);
        for (found, expected) in found.iter().zip(Reference(&tensors).mean(&ids)) {
            prop_assert!((f64::from(*found) - expected).abs() < 1e-4, "{found} is not {expected}");
        }
    }
}
