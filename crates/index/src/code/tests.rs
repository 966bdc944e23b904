use proptest::prelude::*;

use super::*;
use crate::kernel::{Block, upper_bounds, upper_bounds_at};

/// Numbers that are spread as in a normal distribution, and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }

    fn uniform(&mut self) -> f32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1_u64 << 24) as f32
    }

    fn vector(&mut self, dimensions: usize) -> Vec<f32> {
        (0..dimensions).map(|_| self.next()).collect()
    }
}

fn product(left: &[f32], right: &[f32]) -> f64 {
    left.iter().zip(right).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

/// By the coarse and by the fine code.
fn bounds(coder: &Coder, vector: &[f32], query: &(CodedQuery, FineQuery)) -> [f32; 2] {
    let code = coder.encode(vector);
    let mut plane = vec![[0; ROWS]; code.signs.len() + 1];
    store(&mut plane, 0, &code);
    let (mut coarse, mut fine) = ([[f32::NAN; ROWS]], [f32::NAN]);
    upper_bounds(&query.0, &plane, &[Block { at: 0, rows: 1 }], &mut coarse);
    upper_bounds_at(&query.1, &code.levels, &[code.fine], &[0], &mut fine);
    [coarse[0][0], fine[0]]
}

fn within(coder: &Coder, query: &[f32], deviations: f32) -> (CodedQuery, FineQuery) {
    let rotated = coder.rotation.rotate(query);
    (coarse_query(&rotated, deviations), fine_query(&rotated, deviations))
}

#[test]
fn products_exceed_their_bounds_as_rarely_as_a_normal_distribution_says() {
    for (dimensions, likeness) in [(64, 0.0), (100, 0.3), (256, 0.0), (384, 0.7), (960, 0.3)] {
        let (coder, mut numbers) = (Coder::new(dimensions), Numbers(1));
        let (mut beyond_one, mut beyond_three, mut all) = ([0.0; 2], [0.0; 2], 0.0);
        for _ in 0..40 {
            let query = numbers.vector(dimensions);
            let (one, three) = (within(&coder, &query, 1.0), within(&coder, &query, 3.0));
            for _ in 0..100 {
                let vector: Vec<f32> =
                    query.iter().map(|number| likeness * number + numbers.next()).collect();
                let product = product(&vector, &query);
                let is_beyond = |bound: f32| f64::from(u8::from(product > bound.into()));
                let (one, three) = (bounds(&coder, &vector, &one), bounds(&coder, &vector, &three));
                for code in 0..2 {
                    beyond_one[code] += is_beyond(one[code]);
                    beyond_three[code] += is_beyond(three[code]);
                }
                all += 1.0;
            }
        }
        // Of a normal distribution 15.9 % and 0.13 % lie beyond one and three deviations.
        for (one, three) in beyond_one.into_iter().zip(beyond_three) {
            assert!(one / all < 0.18, "{dimensions}: {one} of {all}");
            assert!(three / all < 0.004, "{dimensions}: {three} of {all}");
            // Where the vectors are unlike, the bound is no higher than it need be.
            assert!(likeness > 0.0 || one / all > 0.14, "{dimensions}: {one} of {all}");
        }
    }
}

#[test]
fn a_fine_bound_lies_a_seventh_as_far_above_the_product() {
    let mut numbers = Numbers(3);
    for dimensions in [64, 256, 384, 1536] {
        let (coder, query) = (Coder::new(dimensions), numbers.vector(dimensions));
        let query = within(&coder, &query, 3.0);
        let mut above = [0.0; 2];
        for _ in 0..100 {
            let vector = numbers.vector(dimensions);
            let code = coder.encode(&vector);
            for (above, factors) in above.iter_mut().zip([code.factors, code.fine]) {
                *above += f64::from(query.0.rounded.upper_bound(0, factors));
            }
        }
        let ratio = above[0] / above[1];
        assert!((5.0..9.0).contains(&ratio), "{ratio} of {dimensions}");
    }
}

#[test]
fn rows_and_queries_of_any_size_have_a_bound_that_holds() {
    let mut numbers = Numbers(2);
    for dimensions in [1, 2, 63, 64, 65, 384, 4096] {
        let coder = Coder::new(dimensions);
        let direction = numbers.vector(dimensions);
        let sizes = [0.0, 6e-8, 1e-3, 1.0, 10_000.0];
        for (row, query) in sizes.iter().flat_map(|row| sizes.map(|query| (row, query))) {
            let row: Vec<f32> = direction.iter().map(|number| number * row).collect();
            let query: Vec<f32> = direction.iter().map(|number| number * query).collect();
            let product = product(&row, &query);
            for bound in bounds(&coder, &row, &coder.query(&query)) {
                assert!(f64::from(bound) >= product, "{bound} {product} of {dimensions}");
                assert!(f64::from(bound) <= 4.0 * product, "{bound} {product} of {dimensions}");
            }
        }
    }
}

proptest! {
    #[test]
    fn a_bound_is_always_a_number(
        (vector, query) in (1_usize..200).prop_flat_map(|dimensions| {
            let number = prop_oneof![Just(0.0_f32), Just(65_504.0), Just(-6e-8), -1.0_f32..1.0];
            let vector = prop::collection::vec(number, dimensions);
            (vector.clone(), vector)
        })
    ) {
        let coder = Coder::new(vector.len());
        let bounds = bounds(&coder, &vector, &coder.query(&query));
        prop_assert!(bounds.iter().all(|bound| bound.is_finite()), "{:?}", bounds);
    }
}
