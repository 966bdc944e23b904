//! A quarter of each vector, with a bound on what the rest can add.
//!
//! A search reads these codes first, and whole vectors only where the bound leaves a doubt, so its
//! result is exact at a quarter of the memory traffic. A code depends on its own vector alone.

/// The greatest magnitude of a code.
const GREATEST: f32 = 127.0;
/// More than any rounding of the sums, which are of unit size.
const ROUNDING: f32 = 1e-4;

/// The codes of a block's vectors, one byte a dimension.
#[derive(Clone, Debug, Default)]
pub(crate) struct Codes {
    bytes: Vec<i8>,
    factors: Vec<Factors>,
}

/// What turns a code back into a vector, and how far off that is.
#[derive(Clone, Copy, Debug)]
struct Factors {
    scale: f32,
    /// The length of what the code leaves out.
    residual: f32,
    /// The length of the vector.
    norm: f32,
}

/// A query in 16 bits, so that nearly all of the error is the codes'.
#[derive(Debug)]
pub(crate) struct CodedQuery {
    numbers: Vec<i16>,
    factors: Factors,
}

/// Between what an inner product must lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) lower: f32,
    pub(crate) upper: f32,
}

impl Codes {
    pub(crate) fn insert(&mut self, place: usize, vector: &[f32]) {
        let (numbers, factors) = quantized(vector, GREATEST);
        let start = place * vector.len();
        #[expect(clippy::cast_possible_truncation, reason = "quantized() keeps within 127")]
        self.bytes.splice(start..start, numbers.into_iter().map(|number| number as i8));
        self.factors.insert(place, factors);
    }

    pub(crate) fn remove(&mut self, place: usize, dimensions: usize) {
        let start = place * dimensions;
        self.bytes.drain(start..start + dimensions);
        self.factors.remove(place);
    }

    /// Appends the bounds of every vector's inner product with the query.
    ///
    /// With a length that is known when this is compiled, a row takes a third of the time.
    pub(crate) fn bounds(&self, query: &CodedQuery, bounds: &mut Vec<Bounds>) {
        match query.numbers.len() {
            256 => self.bounds_of::<256>(query, bounds),
            384 => self.bounds_of::<384>(query, bounds),
            512 => self.bounds_of::<512>(query, bounds),
            768 => self.bounds_of::<768>(query, bounds),
            1024 => self.bounds_of::<1024>(query, bounds),
            1536 => self.bounds_of::<1536>(query, bounds),
            dimensions => {
                let rows = self.bytes.chunks_exact(dimensions.max(1)).zip(&self.factors);
                bounds.extend(rows.map(|(row, factors)| {
                    factors.bounds(sum_of_products(row, &query.numbers), query)
                }));
            }
        }
    }

    fn bounds_of<const DIMENSIONS: usize>(&self, query: &CodedQuery, bounds: &mut Vec<Bounds>) {
        let start = bounds.len();
        bounds.resize(start + self.factors.len(), Bounds { lower: 0.0, upper: 0.0 });
        let (rows, _) = self.bytes.as_chunks::<DIMENSIONS>();
        let numbers = query.numbers.first_chunk::<DIMENSIONS>();
        let (Some(bounds), Some(numbers)) = (bounds.get_mut(start..), numbers) else { return };
        // Only what is written out here is compiled for each instruction set.
        pulp::Arch::new().dispatch(|| {
            for ((row, factors), bounds) in rows.iter().zip(&self.factors).zip(bounds) {
                *bounds = factors.bounds(sum_of_products(row, numbers), query);
            }
        });
    }
}

impl Factors {
    /// What an inner product can be whose codes have this product.
    #[inline(always)]
    fn bounds(self, product: i32, query: &CodedQuery) -> Bounds {
        let estimate = product as f32 * self.scale * query.factors.scale;
        // Cauchy-Schwarz on what either side leaves out.
        let error = self.residual * (query.factors.norm + query.factors.residual)
            + self.norm * query.factors.residual;
        let error = error + ROUNDING * (1.0 + self.norm * query.factors.norm);
        Bounds { lower: estimate - error, upper: estimate + error }
    }
}

impl CodedQuery {
    pub(crate) fn new(vector: &[f32]) -> Self {
        // The sum of all products must fit 32 bits.
        let dimensions = vector.len().max(1) as f32;
        let greatest = (i32::MAX as f32 / (GREATEST * dimensions)).floor().min(32_000.0);
        let (numbers, factors) = quantized(vector, greatest);
        Self { numbers, factors }
    }
}

/// The vector in whole numbers up to `greatest`.
fn quantized(vector: &[f32], greatest: f32) -> (Vec<i16>, Factors) {
    let peak = vector.iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
    let scale = if peak > 0.0 { peak / greatest } else { 1.0 };
    #[expect(clippy::cast_possible_truncation, reason = "no quotient exceeds `greatest`")]
    let numbers: Vec<i16> = vector.iter().map(|x| (x / scale).round() as i16).collect();
    let left_out = vector.iter().zip(&numbers).map(|(x, number)| x - scale * f32::from(*number));
    let factors =
        Factors { scale, residual: length(left_out), norm: length(vector.iter().copied()) };
    (numbers, factors)
}

fn length(numbers: impl Iterator<Item = f32>) -> f32 {
    numbers.map(|x| x * x).sum::<f32>().sqrt()
}

/// Inlined into each instruction set's version of its caller. [`CodedQuery::new`] keeps the sum
/// within 32 bits; checking each addition again would take the place of the vector instructions.
#[inline(always)]
fn sum_of_products(code: &[i8], query: &[i16]) -> i32 {
    let products = code.iter().zip(query).map(|(code, query)| i32::from(*code) * i32::from(*query));
    products.fold(0, i32::wrapping_add)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vectors() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        let number = prop_oneof![8 => -1.0_f32..1.0, 1 => Just(0.0), 1 => -100.0_f32..100.0];
        prop_oneof![3 => 1_usize..300, 1 => Just(256), 1 => Just(384)].prop_flat_map(
            move |dimensions| {
                let vector = prop::collection::vec(number.clone(), dimensions);
                (vector.clone(), vector)
            },
        )
    }

    proptest! {
        #[test]
        fn an_inner_product_lies_within_its_bounds((vector, query) in vectors()) {
            let mut codes = Codes::default();
            codes.insert(0, &vector);
            let mut bounds = Vec::new();
            codes.bounds(&CodedQuery::new(&query), &mut bounds);
            let exact: f64 = vector.iter().zip(&query).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            prop_assert_eq!(bounds.len(), 1);
            prop_assert!(f64::from(bounds[0].lower) <= exact, "{:?} {}", bounds, exact);
            prop_assert!(f64::from(bounds[0].upper) >= exact, "{:?} {}", bounds, exact);
        }
    }
}
