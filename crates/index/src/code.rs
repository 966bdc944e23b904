//! One bit a dimension of each vector, from which a search tells how great an inner product can be.
//!
//! The estimator is that of `RaBitQ` (Gao & Long 2024, doi:10.1145/3654970). Let `r` be the rotated
//! vector, `s` the signs of its numbers, and `q` the rotated query. With `a = |r|² / Σ|rᵢ|`, the
//! code `a·s` is `r + w`, where `w` is at right angles to `r`. After a random rotation `w` points
//! anywhere, so `a·⟨s, q⟩` is `⟨r, q⟩` plus an error of mean 0 and deviation `|w||q| / √(D − 1)`.
//!
//! The query is rounded to 4 bits, `q + e`, and scaled so that `e` is at right angles to `q`. Then
//! the error is `⟨w, q + e⟩ + ⟨r, e⟩`, and because `|r|² + |w|² = a²D`, its variance is
//! `(|w|²|q|² + a²D|e|²) / (D − 1)`: what a row and a query must know is two numbers each.
//!
//! A code depends on its own vector alone: nothing is learnt from other people's rows.

use bytemuck::{Pod, Zeroable};

use crate::rotation::{Rotation, WORD};

/// Rows of a block.
pub(crate) const ROWS: usize = 8;
/// 64 dimensions of each row of a block: what one instruction reads.
pub(crate) type BlockWord = [u64; ROWS];

/// Bits of each number of a coded query.
pub(crate) const PLANES: usize = 4;
/// How many deviations above the estimate an upper bound lies.
///
/// The error is normal, or has a lighter tail, so the last of the best rows is missed with a
/// probability of at most 2.3 in 10,000, and those before it less often. Over 50,351 real vectors
/// and 1,109 queries, none of the 11,090 best was missed, and with 3 deviations one. More
/// deviations leave more rows to be compared whole: 2.4 % with 3, 3.9 % with 3.5, 6 % with 4.
const DEVIATIONS: f32 = 3.5;
/// More than rounding can add to an estimate, as a share of the vector's length.
const ROUNDING: f64 = 1e-6;
/// Steps on either side of zero that a number of a query is rounded to.
const STEPS: f32 = 8.0;

/// What an estimate needs to know of a row besides its code; of a zero vector, zeros.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub(crate) struct Factors {
    /// By what the product of the signs and a query is multiplied.
    pub(crate) scale: f32,
    /// The deviation of an estimate, for a query of length 1.
    pub(crate) error: f32,
}

/// A rotated query in 4 bits a dimension. A bit counts for its plane's weight where it is set, and
/// against it where it is not, so the numbers are the odd ones from -15 to 15.
#[derive(Clone, Debug)]
pub(crate) struct CodedQuery {
    /// For each 64 dimensions, their bits of weight 1, 2, 4 and 8.
    pub(crate) words: Vec<[u64; PLANES]>,
    /// What 1 stands for.
    pub(crate) unit: f32,
    /// [`DEVIATIONS`] times the query's length: of a row's own error.
    pub(crate) length: f32,
    /// [`DEVIATIONS`] times the length of what the query's rounding left out: of a row's scale.
    pub(crate) residual: f32,
}

/// Makes codes and coded queries for vectors of one number of dimensions.
#[derive(Debug)]
pub(crate) struct Coder {
    rotation: Rotation,
}

impl Coder {
    pub(crate) fn new(dimensions: usize) -> Self {
        Self { rotation: Rotation::new(dimensions) }
    }

    /// Words of a code. A block is so many [`BlockWord`]s.
    pub(crate) fn words(&self) -> usize {
        self.rotation.width() / WORD
    }

    /// Writes the code of a vector of finite numbers into [`Self::words`] words.
    pub(crate) fn encode(&self, vector: &[f32], code: &mut [u64]) -> Factors {
        let rotated = self.rotation.rotate(vector);
        let (words, _) = rotated.as_chunks::<WORD>();
        for (word, numbers) in code.iter_mut().zip(words) {
            *word = bits(numbers.map(|number| number >= 0.0));
        }
        let square = sum(&rotated, |number| number * number);
        let magnitudes = sum(&rotated, f64::abs);
        if magnitudes == 0.0 {
            return Factors::default();
        }
        let width = rotated.len() as f64;
        let scale = square / magnitudes;
        let error = ((scale * scale * width - square).max(0.0) / (width - 1.0)).sqrt();
        Factors { scale: scale as f32, error: (error + ROUNDING * square.sqrt()) as f32 }
    }

    /// The code of a query of finite numbers.
    pub(crate) fn query(&self, vector: &[f32]) -> CodedQuery {
        self.query_within(vector, DEVIATIONS)
    }

    fn query_within(&self, vector: &[f32], deviations: f32) -> CodedQuery {
        let rotated = self.rotation.rotate(vector);
        let peak = rotated.iter().fold(0.0_f32, |peak, number| peak.max(number.abs()));
        let step = if peak > 0.0 { peak / STEPS } else { 1.0 };
        let levels: Vec<f32> = rotated
            .iter()
            .map(|number| 2.0 * (number / step).floor().clamp(-STEPS, STEPS - 1.0) + 1.0)
            .collect();
        let (words, _) = levels.as_chunks::<WORD>();
        let words = words.iter().map(planes).collect();
        let width = rotated.len() as f64;
        let square = sum(&rotated, |number| number * number);
        let product: f64 = rotated.iter().zip(&levels).map(|(x, y)| f64::from(x * y)).sum();
        let unit = if product > 0.0 { square / product } else { 0.0 };
        let coded = unit * unit * sum(&levels, |level| level * level);
        let residual = ((coded - square).max(0.0) * width / (width - 1.0)).sqrt();
        CodedQuery {
            words,
            unit: unit as f32,
            length: deviations * square.sqrt() as f32,
            residual: deviations * residual as f32,
        }
    }
}

/// Puts a row's code among the others of its block, the last of `blocks`.
#[cfg(test)]
pub(crate) fn store(blocks: &mut [BlockWord], row: usize, code: &[u64]) {
    let start = row / ROWS * code.len();
    for (block, word) in blocks.iter_mut().skip(start).zip(code) {
        if let Some(place) = block.get_mut(row % ROWS) {
            *place = *word;
        }
    }
}

/// The first is the lowest bit.
fn bits(set: [bool; WORD]) -> u64 {
    set.into_iter().rev().fold(0, |word, set| word << 1 | u64::from(set))
}

/// The bits of odd numbers from -15 to 15, by weight.
fn planes(levels: &[f32; WORD]) -> [u64; PLANES] {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number from 0 to 15"
    )]
    let numbers = levels.map(|level| ((level + 15.0) / 2.0) as u8);
    std::array::from_fn(|plane| bits(numbers.map(|number| number >> plane & 1 == 1)))
}

/// The sum in a fixed order, eight side by side.
fn sum(numbers: &[f32], of: impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [0.0; 8];
    let (groups, _) = numbers.as_chunks::<8>();
    for group in groups {
        for (lane, number) in lanes.iter_mut().zip(group) {
            *lane += of(f64::from(*number));
        }
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests;
