//! A fixed random rotation, after which no direction of a vector is special.
//!
//! One bit a dimension says most of a vector only when its length is spread evenly over the
//! dimensions. Random signs followed by a Hadamard transform do that for every vector, in
//! n log n additions (Ailon & Chazelle 2009, doi:10.1137/060673096). The signs come from a public
//! constant, so a rotated vector depends on nothing but itself.

/// Vectors are padded with zeros to a multiple of this, so that a code fills whole words.
pub(crate) const WORD: usize = 64;
/// After this many, even a vector along one axis is spread so evenly that a longer mixing does not
/// make the estimates better.
const ROUNDS: usize = 4;
/// Another number would make every stored code meaningless.
const SEED: u64 = 0x6261_696c_6977_6963;
/// Butterflies of this width and less are done within a group of so many numbers.
const GROUP: usize = 8;

/// Keeps lengths and inner products, up to rounding.
#[derive(Debug)]
pub(crate) struct Rotation {
    /// The greatest power of two that is not above [`Self::width`].
    window: usize,
    /// For each round, by what each number is multiplied.
    signs: Vec<Vec<f32>>,
}

impl Rotation {
    pub(crate) fn new(dimensions: usize) -> Self {
        let width = dimensions.max(1).next_multiple_of(WORD);
        let mut bits = Bits(SEED);
        let signs = (0..ROUNDS).map(|_| bits.signs(width)).collect();
        Self { window: 1 << width.ilog2(), signs }
    }

    /// Numbers of a rotated vector: the dimensions, padded to a multiple of [`WORD`].
    pub(crate) fn width(&self) -> usize {
        self.signs.first().map_or(0, Vec::len)
    }

    /// The rotated vector.
    pub(crate) fn rotate(&self, vector: &[f32]) -> Vec<f32> {
        let mut numbers = vector.to_vec();
        numbers.resize(self.width(), 0.0);
        for (round, signs) in self.signs.iter().enumerate() {
            numbers.iter_mut().zip(signs).for_each(|(number, sign)| *number *= sign);
            self.mix(&mut numbers, round);
        }
        numbers
    }

    /// A transform of the whole, or where its width is no power of two, of its start and its end
    /// by turns; a step of Kac's walk then carries half of either into the other.
    fn mix(&self, numbers: &mut [f32], round: usize) {
        let width = numbers.len();
        let start = if round.is_multiple_of(2) { 0 } else { width - self.window };
        if let Some(window) = numbers.get_mut(start..start + self.window) {
            hadamard(window);
        }
        if self.window < width {
            let (left, right) = numbers.split_at_mut(width / 2);
            butterfly(left, right);
            scale(numbers, std::f32::consts::FRAC_1_SQRT_2);
        }
    }
}

/// The fast Walsh-Hadamard transform of a power of two of numbers, at least [`GROUP`].
fn hadamard(numbers: &mut [f32]) {
    let mut half = numbers.len() / 2;
    while half >= GROUP {
        for pair in numbers.chunks_exact_mut(2 * half) {
            let (left, right) = pair.split_at_mut(half);
            butterfly(left, right);
        }
        half /= 2;
    }
    let (groups, _) = numbers.as_chunks_mut::<GROUP>();
    for group in groups {
        *group = hadamard_of_eight(*group);
    }
    scale(numbers, 1.0 / (numbers.len() as f32).sqrt());
}

fn hadamard_of_eight([a, b, c, d, e, f, g, h]: [f32; GROUP]) -> [f32; GROUP] {
    let [a, b, c, d, e, f, g, h] = [a + e, b + f, c + g, d + h, a - e, b - f, c - g, d - h];
    let [a, b, c, d, e, f, g, h] = [a + c, b + d, a - c, b - d, e + g, f + h, e - g, f - h];
    [a + b, a - b, c + d, c - d, e + f, e - f, g + h, g - h]
}

fn butterfly(left: &mut [f32], right: &mut [f32]) {
    for (left, right) in left.iter_mut().zip(right) {
        (*left, *right) = (*left + *right, *left - *right);
    }
}

fn scale(numbers: &mut [f32], factor: f32) {
    numbers.iter_mut().for_each(|number| *number *= factor);
}

/// `SplitMix64` (Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195).
struct Bits(u64);

impl Bits {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn signs(&mut self, count: usize) -> Vec<f32> {
        let signs = (0..count.div_ceil(WORD)).flat_map(|_| {
            let bits = self.next();
            (0..WORD).map(move |bit| if bits >> bit & 1 == 1 { 1.0 } else { -1.0 })
        });
        signs.take(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn product(left: &[f32], right: &[f32]) -> f64 {
        left.iter().zip(right).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    }

    fn pairs() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        let number = prop_oneof![4 => -1.0_f32..1.0, 1 => Just(0.0), 1 => -60_000.0_f32..60_000.0];
        let dimensions = prop_oneof![6 => 1_usize..600, 1 => Just(1536), 1 => 4000_usize..=4096];
        dimensions.prop_flat_map(move |dimensions| {
            let vector = prop::collection::vec(number.clone(), dimensions);
            (vector.clone(), vector)
        })
    }

    proptest! {
        #[test]
        fn lengths_and_inner_products_are_kept((left, right) in pairs()) {
            let rotation = Rotation::new(left.len());
            let turned = (rotation.rotate(&left), rotation.rotate(&right));
            let lengths = product(&left, &left).sqrt() * product(&right, &right).sqrt();
            let difference = product(&left, &right) - product(&turned.0, &turned.1);
            prop_assert!(difference.abs() <= 3e-6 * lengths, "{} of {}", difference, lengths);
            let shrunk = product(&left, &left) - product(&turned.0, &turned.0);
            prop_assert!(shrunk.abs() <= 3e-6 * product(&left, &left));
        }
    }

    #[test]
    fn a_vector_along_one_axis_is_spread_over_all() {
        for dimensions in [64, 100, 256, 320, 384, 768, 960, 1536, 3072] {
            let rotation = Rotation::new(dimensions);
            for axis in 0..dimensions.min(200) {
                let mut vector = vec![0.0; dimensions];
                vector[axis] = 1.0;
                let turned = rotation.rotate(&vector);
                // Of numbers from a normal distribution, magnitudes sum to 0.8 of the greatest sum.
                let magnitudes: f32 = turned.iter().map(|x| x.abs()).sum();
                let evenness = magnitudes / (turned.len() as f32).sqrt();
                assert!(evenness > 0.65, "{evenness} for axis {axis} of {dimensions}");
            }
        }
    }

    /// Codes are stored: should these change, every stored code must be made anew.
    #[test]
    fn the_rotation_is_the_one_that_codes_were_made_with() {
        let turned = Rotation::new(384).rotate(&[1.0]);
        let signs = turned.iter().take(64).map(|x| if *x < 0.0 { '0' } else { '1' });
        assert_eq!(
            signs.collect::<String>(),
            "0010110000101100000011111111110110001110010010101000101101111111"
        );
    }
}
