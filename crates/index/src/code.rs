//! Two codes of each vector, from which a search tells how great an inner product can be: a coarse
//! one of one bit a dimension, read for every row, and a fine one of four, read where the coarse one
//! does not settle it.
//!
//! The estimator is that of `RaBitQ` (Gao & Long 2024, doi:10.1145/3654970; with more bits Gao et
//! al. 2025, doi:10.1145/3725413). Let `r` be the rotated vector, `s` its numbers rounded to a few
//! levels, and `q` the rotated query. With `a = |r|² / ⟨r, s⟩`, the code `a·s` is `r + w`, where `w`
//! is at right angles to `r`. After a random rotation `w` points anywhere, so `a·⟨s, q⟩` is `⟨r, q⟩`
//! plus an error of mean 0 and deviation `|w||q| / √(D − 1)`.
//!
//! The query is rounded too, `q + e`, and scaled so that `e` is at right angles to `q`. Then the
//! error is `⟨w, q + e⟩ + ⟨r, e⟩`, and because `|r|² + |w|² = a²|s|²`, its variance is
//! `(|w|²|q|² + a²|s|²|e|²) / (D − 1)`. With `m` for the greatest level, `|s|²` is at most `m²D`:
//! what a row and a query must know is two numbers each.
//!
//! A code depends on its own vector alone: nothing is learnt from other people's rows.

use bytemuck::{Pod, Zeroable};

use crate::rotation::{Rotation, WORD};

/// Rows of a block.
pub(crate) const ROWS: usize = 8;
/// 64 dimensions of each row of a block: what one instruction reads. The last word of a block holds
/// the rows' [`Factors`], so that one place in memory says all of a coarse code.
pub(crate) type BlockWord = [u64; ROWS];

/// Fine codes of 64 dimensions: of the first 32 in the lower halves of the bytes.
pub(crate) type Levels = [u8; WORD / 2];

/// Bits of each number of a coarse query. With four, bounds are so little lower that the time to
/// compare a fourth is lost.
pub(crate) const PLANES: usize = 3;
/// The greatest number of a coarse query. Its numbers, as the levels of a row, are the odd ones from
/// the negative of the greatest.
pub(crate) const TOP_NUMBER: i32 = (1 << PLANES) - 1;
/// The greatest of the levels of four bits.
pub(crate) const TOP_LEVEL: i32 = 15;
/// What the distance of two levels should be in deviations of a row's numbers, which a rotation
/// makes nearly normal (Max 1960, doi:10.1109/TIT.1960.1057548).
const LEVEL_STEP: f64 = 0.3352;
/// The same of the numbers of a coarse query, which are fewer.
const NUMBER_STEP: f64 = 0.5860;
/// How many deviations above the estimate a coarse upper bound lies.
///
/// The error is normal, or has a lighter tail, so the last of the best rows is missed with a
/// probability of at most 2.3 in 10,000, and those before it less often. Over 49,664 real vectors
/// and 480 queries, none of the 4,800 best was missed, nor with 3 deviations. More of them leave
/// more rows to be looked at again: 2.1 % with 3, 3.4 % with 3.5, 5.4 % with 4.
const DEVIATIONS: f32 = 3.5;
/// The same of a fine bound, whose deviations are a seventh: with so many, a bound is exceeded by 3
/// products in a million.
const FINE_DEVIATIONS: f32 = 4.5;
/// More than rounding can add to an estimate, as a share of the vector's length.
const ROUNDING: f64 = 1e-6;
/// What an estimate needs to know of a row besides its code; of a zero vector, zeros.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub(crate) struct Factors {
    /// By what the product of the levels and a query is multiplied.
    pub(crate) scale: f32,
    /// The deviation of an estimate, for a query of length 1.
    pub(crate) error: f32,
}

/// Both codes of one vector.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Code {
    /// The signs, the first dimension in the lowest bit.
    pub(crate) signs: Vec<u64>,
    pub(crate) factors: Factors,
    pub(crate) levels: Vec<Levels>,
    pub(crate) fine: Factors,
}

/// What a bound needs to know of a rounded query besides its numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounded {
    /// What 1 stands for.
    unit: f32,
    /// The deviations that are allowed for, times the query's length: of a row's own error.
    length: f32,
    /// The same times the length of what the rounding left out: of a row's scale.
    residual: f32,
}

impl Rounded {
    /// What the product of a row and the query hardly exceeds, when that of the levels and the
    /// query's numbers is `sum`.
    #[inline(always)]
    pub(crate) fn upper_bound(&self, sum: i32, factors: Factors) -> f32 {
        let own = factors.error * self.length;
        let rounding = factors.scale * self.residual;
        factors.scale * (self.unit * sum as f32) + (own * own + rounding * rounding).sqrt()
    }
}

/// A rotated query in 3 bits a dimension. A bit counts for its plane's weight where it is set, and
/// against it where it is not, so the numbers are the odd ones from -7 to 7.
#[derive(Clone, Debug)]
pub(crate) struct CodedQuery {
    /// For each 64 dimensions, their bits of weight 1, 2 and 4.
    pub(crate) words: Vec<[u64; PLANES]>,
    pub(crate) rounded: Rounded,
}

/// A rotated query in 8 bits a dimension.
#[derive(Clone, Debug)]
pub(crate) struct FineQuery {
    pub(crate) groups: Vec<[i8; WORD]>,
    /// What the numbers sum up to.
    pub(crate) sum: i32,
    pub(crate) rounded: Rounded,
}

impl Code {
    /// One word of the coarse code: of the signs, or after them the factors.
    pub(crate) fn coarse(&self, word: usize) -> u64 {
        let factors = (word == self.signs.len()).then(|| bytemuck::cast(self.factors));
        self.signs.get(word).copied().or(factors).unwrap_or_default()
    }
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

    /// Both codes of a vector of finite numbers.
    pub(crate) fn encode(&self, vector: &[f32]) -> Code {
        let rotated = self.rotation.rotate(vector);
        let (words, _) = rotated.as_chunks::<WORD>();
        let signs = words.iter().map(|numbers| bits(numbers.map(|number| number >= 0.0))).collect();
        let square = sum(&rotated, |number| number * number);
        let magnitudes = sum(&rotated, f64::abs);
        let width = rotated.len() as f64;
        let above = above_lowest(&rotated, LEVEL_STEP * (square / width).sqrt(), TOP_LEVEL);
        let (groups, _) = above.as_chunks::<WORD>();
        let level: Vec<f32> = above.iter().map(|above| odd(*above, TOP_LEVEL) as f32).collect();
        let products: Vec<f32> = rotated.iter().zip(&level).map(|(x, y)| x * y).collect();
        Code {
            signs,
            factors: factors(square, magnitudes, width, width),
            levels: groups.iter().map(packed).collect(),
            fine: factors(
                square,
                sum(&products, |product| product),
                sum(&level, |level| level * level),
                width,
            ),
        }
    }

    /// The codes of a query of finite numbers.
    pub(crate) fn query(&self, vector: &[f32]) -> (CodedQuery, FineQuery) {
        let rotated = self.rotation.rotate(vector);
        (coarse_query(&rotated, DEVIATIONS), fine_query(&rotated, FINE_DEVIATIONS))
    }
}

/// Of a vector `r` with this square, and levels with this product with `r` and this square.
fn factors(square: f64, product: f64, squares: f64, width: f64) -> Factors {
    if product <= 0.0 {
        return Factors::default();
    }
    let scale = square / product;
    let error = (scale * scale * squares - square).max(0.0) / (width - 1.0);
    Factors { scale: scale as f32, error: (error.sqrt() + ROUNDING * square.sqrt()) as f32 }
}

/// How many levels lie below that of each number, if the distance of two is `step`, and `top` is the
/// greatest.
fn above_lowest(numbers: &[f32], distance: f64, top: i32) -> Vec<u8> {
    let (step, top) = (step(distance), top as f32);
    let below = |number: &f32| (number / step + (top + 1.0) / 2.0).clamp(0.0, top);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to the greatest, and what is left out is wanted to be"
    )]
    numbers.iter().map(|number| below(number) as u8).collect()
}

/// The level above so many others.
fn odd(above: u8, top: i32) -> i32 {
    2 * i32::from(above) - top
}

fn packed(above: &[u8; WORD]) -> Levels {
    let (low, high) = above.split_at(WORD / 2);
    let mut levels = [0; WORD / 2];
    for ((levels, low), high) in levels.iter_mut().zip(low).zip(high) {
        *levels = low | high << 4;
    }
    levels
}

fn coarse_query(rotated: &[f32], deviations: f32) -> CodedQuery {
    let square = sum(rotated, |number| number * number);
    let deviation = (square / rotated.len() as f64).sqrt();
    let above = above_lowest(rotated, NUMBER_STEP * deviation, TOP_NUMBER);
    let numbers = above.iter().map(|above| odd(*above, TOP_NUMBER));
    let rounded = rounded(rotated, numbers, 1.0, deviations);
    let (words, _) = above.as_chunks::<WORD>();
    CodedQuery { words: words.iter().map(planes).collect(), rounded }
}

fn fine_query(rotated: &[f32], deviations: f32) -> FineQuery {
    let step = step(f64::from(peak(rotated) / f32::from(i8::MAX)));
    #[expect(clippy::cast_possible_truncation, reason = "a whole number from -127 to 127")]
    let numbers = rotated.iter().map(|number| (number / step).round() as i8);
    let numbers: Vec<i8> = numbers.collect();
    let top = f64::from(TOP_LEVEL);
    let rounded = rounded(rotated, numbers.iter().map(|number| (*number).into()), top, deviations);
    let (groups, _) = numbers.as_chunks::<WORD>();
    let sum = numbers.iter().map(|number| i32::from(*number)).sum();
    FineQuery { groups: groups.to_vec(), sum, rounded }
}

fn peak(rotated: &[f32]) -> f32 {
    rotated.iter().fold(0.0_f32, |peak, number| peak.max(number.abs()))
}

/// Any step will do for numbers that are all zero.
fn step(step: f64) -> f32 {
    if step > 0.0 { step as f32 } else { 1.0 }
}

/// Of a query that was rounded to these numbers, for rows whose greatest level is `top`.
fn rounded(
    rotated: &[f32],
    numbers: impl Iterator<Item = i32> + Clone,
    top: f64,
    deviations: f32,
) -> Rounded {
    let width = rotated.len() as f64;
    let square = sum(rotated, |number| number * number);
    let product = rotated.iter().zip(numbers.clone());
    let product: f64 = product.map(|(x, y)| f64::from(*x) * f64::from(y)).sum();
    let unit = if product > 0.0 { square / product } else { 0.0 };
    let coded =
        unit * unit * numbers.map(|number| f64::from(number) * f64::from(number)).sum::<f64>();
    let residual = top * ((coded - square).max(0.0) * width / (width - 1.0)).sqrt();
    Rounded {
        unit: unit as f32,
        length: deviations * square.sqrt() as f32,
        residual: deviations * residual as f32,
    }
}

/// Puts a row's code among the others of its block, the last of `blocks`.
#[cfg(test)]
pub(crate) fn store(blocks: &mut [BlockWord], row: usize, code: &Code) {
    let width = code.signs.len() + 1;
    for (word, block) in blocks.iter_mut().skip(row / ROWS * width).take(width).enumerate() {
        if let Some(place) = block.get_mut(row % ROWS) {
            *place = code.coarse(word);
        }
    }
}

/// The first is the lowest bit.
fn bits(set: [bool; WORD]) -> u64 {
    set.into_iter().rev().fold(0, |word, set| word << 1 | u64::from(set))
}

/// The bits of numbers from 0 to 7, by weight.
fn planes(numbers: &[u8; WORD]) -> [u64; PLANES] {
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
