use proptest::prelude::*;

use super::*;
use crate::code::{Coder, PLANES, ROWS, TOP_NUMBER, store};

/// Rows of finite numbers, and a query.
fn rows() -> impl Strategy<Value = (Vec<Vec<f32>>, Vec<f32>)> {
    let number = prop_oneof![8 => -1.0_f32..1.0, 1 => Just(0.0), 1 => -60_000.0_f32..60_000.0];
    let dimensions =
        prop_oneof![3 => 1_usize..200, 1 => Just(256), 1 => Just(384), 1 => Just(1030)];
    dimensions.prop_flat_map(move |dimensions| {
        let vector = prop::collection::vec(number.clone(), dimensions);
        (prop::collection::vec(vector.clone(), 0..40), vector)
    })
}

fn halves(rows: &[Vec<f32>]) -> Vec<f16> {
    rows.iter().flatten().map(|number| f16::from_f32(*number)).collect()
}

/// As the documentation has it: 32 sums, folded in halves.
fn plain_product(query: &[f32], row: &[f16]) -> f32 {
    let mut lanes = vec![0.0_f32; 32];
    for (place, (query, number)) in query.iter().zip(row).enumerate() {
        lanes[place % 32] += query * number.to_f32();
    }
    while lanes.len() > 1 {
        let high = lanes.split_off(lanes.len() / 2);
        lanes.iter_mut().zip(high).for_each(|(low, high)| *low += high);
    }
    lanes[0]
}

/// From each bit by itself.
fn plain_bound(query: &CodedQuery, code: &[u64], factors: Factors) -> f32 {
    let mut sum = 0;
    for (planes, word) in query.words.iter().zip(code) {
        for bit in 0..64 {
            let number: i32 =
                (0..PLANES).map(|plane| ((planes[plane] >> bit & 1) as i32 * 2) << plane).sum();
            sum += if word >> bit & 1 == 1 { number - TOP_NUMBER } else { TOP_NUMBER - number };
        }
    }
    query.rounded.upper_bound(sum, factors)
}

/// From each level by itself.
fn plain_fine_bound(query: &FineQuery, levels: &[Levels], factors: Factors) -> f32 {
    let mut sum = 0;
    for (numbers, levels) in query.groups.iter().zip(levels) {
        for (place, number) in numbers.iter().enumerate() {
            let level = i32::from(levels[place % 32] >> (place / 32 * 4) & 15) * 2 - 15;
            sum += level * i32::from(*number);
        }
    }
    query.rounded.upper_bound(sum, factors)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_instruction_set_gives_the_same_bounds(
        (rows, query) in rows(),
        counts in prop::collection::hash_set(0_usize..40, 0..40),
    ) {
        let coder = Coder::new(query.len());
        let (query, fine_query) = coder.query(&query);
        let count = rows.len().div_ceil(ROWS);
        let mut plane = vec![[u64::MAX; ROWS]; (query.words.len() + 1) * count];
        let mut plain = vec![f32::NEG_INFINITY; (count + 1) * ROWS];
        let (mut levels, mut fine, mut plain_fine) = (Vec::new(), Vec::new(), Vec::new());
        for (row, vector) in rows.iter().enumerate() {
            let code = coder.encode(vector);
            store(&mut plane, row, &code);
            if counts.contains(&row) {
                plain[row] = plain_bound(&query, &code.signs, code.factors);
            }
            plain_fine.push(plain_fine_bound(&fine_query, &code.levels, code.fine));
            levels.extend(code.levels);
            fine.push(code.fine);
        }
        // The last block is outside of the plane.
        let mut blocks: Vec<Block> =
            (0..=count as u32).map(|at| Block { at, rows: 0 }).collect();
        for row in counts.iter().filter(|row| **row < rows.len()) {
            blocks[row / ROWS].rows |= 1 << (row % ROWS);
        }
        blocks.reverse();
        let greatest = plain.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let places: Vec<u32> = (0..=rows.len() as u32).rev().collect();
        plain_fine.push(f32::NEG_INFINITY);
        plain_fine.reverse();
        for instructions in Instructions::available() {
            let mut bounds = vec![[0.0; ROWS]; blocks.len()];
            let found = instructions.upper_bounds(&query, &plane, &blocks, &mut bounds);
            bounds.reverse();
            prop_assert_eq!(bounds.as_flattened(), &plain, "{:?}", instructions);
            prop_assert_eq!(found, greatest, "{:?}", instructions);
            let mut bounds = vec![0.0; places.len()];
            instructions.upper_bounds_at(&fine_query, &levels, &fine, &places, &mut bounds);
            prop_assert_eq!(&bounds, &plain_fine, "{:?}", instructions);
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_products((rows, query) in rows()) {
        let plane = halves(&rows);
        let plain: Vec<f32> =
            plane.chunks(query.len()).map(|row| plain_product(&query, row)).collect();
        let places: Vec<u32> = (0..rows.len() as u32).rev().collect();
        for instructions in Instructions::available() {
            let mut products = vec![f32::NAN; rows.len()];
            instructions.inner_products(&query, &plane, &mut products);
            prop_assert_eq!(&products, &plain, "{:?}", instructions);
            products.fill(f32::NAN);
            instructions.inner_products_at(&query, &plane, &places, &mut products);
            products.reverse();
            prop_assert_eq!(&products, &plain, "{:?}", instructions);
        }
    }

    #[test]
    fn survivors_are_the_bounds_not_below_the_floor(
        bounds in prop::collection::vec(-1.0_f32..1.0, 0..200),
        floor in -1.2_f32..1.2,
    ) {
        let plain: Vec<u32> =
            (7..).zip(&bounds).filter(|(_, bound)| **bound >= floor).map(|(place, _)| place).collect();
        for instructions in Instructions::available() {
            let mut places = Vec::new();
            instructions.survivors(&bounds, floor, 7, &mut places);
            prop_assert_eq!(&places, &plain, "{:?}", instructions);
        }
        let mut places = Vec::new();
        survivors(&bounds, floor, 7, &mut places);
        prop_assert_eq!(&places, &plain);
    }
}

#[test]
fn every_half_precision_number_is_widened_exactly() {
    let query = [1.0];
    for instructions in Instructions::available() {
        for half in (0..=u16::MAX).map(f16::from_bits).filter(|half| !half.is_nan()) {
            let mut product = [f32::NAN];
            instructions.inner_products(&query, &[half], &mut product);
            assert_eq!(product[0], half.to_f32(), "{instructions:?} of {:x}", half.to_bits());
        }
    }
}

#[test]
fn a_row_outside_of_the_plane_ranks_last() {
    let mut products = [0.0; 2];
    inner_products_at(&[1.0, 2.0], &[f16::ONE; 5], &[1, 2], &mut products);
    assert_eq!(products, [3.0, f32::NEG_INFINITY]);
    assert_eq!(inner_product(&[1.0, 2.0], &[f16::ONE; 2]), 3.0);
}
