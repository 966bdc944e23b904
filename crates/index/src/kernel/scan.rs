//! Upper bounds from codes of one bit a dimension. All is inlined into each version of its caller.

use crate::code::{BlockWord, CodedQuery, Factors, PLANES, ROWS};

/// Bounds that are compared at once.
const RUN: usize = 32;

#[inline(always)]
pub(super) fn upper_bounds(
    query: &CodedQuery,
    blocks: &[BlockWord],
    factors: &[Factors],
    bounds: &mut [f32],
) -> f32 {
    let words = query.words.as_slice();
    let mut blocks = blocks.chunks_exact(words.len().max(1));
    let (factors, last_factors) = factors.as_chunks::<ROWS>();
    let (bounds, last_bounds) = bounds.as_chunks_mut::<ROWS>();
    let mut greatest = [f32::NEG_INFINITY; ROWS];
    for ((bounds, factors), block) in bounds.iter_mut().zip(factors).zip(&mut blocks) {
        *bounds = of_block(query, words, block, factors);
        for (greatest, bound) in greatest.iter_mut().zip(bounds) {
            *greatest = greater(*greatest, *bound);
        }
    }
    let mut greatest = greatest.into_iter().fold(f32::NEG_INFINITY, greater);
    if let Some(block) = blocks.next() {
        let mut factors = [Factors::default(); ROWS];
        factors.iter_mut().zip(last_factors).for_each(|(factors, last)| *factors = *last);
        let of_block = of_block(query, words, block, &factors);
        for (bound, of_row) in last_bounds.iter_mut().zip(of_block) {
            *bound = of_row;
            greatest = greater(greatest, of_row);
        }
    }
    greatest
}

/// Without the care for numbers that are none, which bounds never are: one instruction.
#[inline(always)]
fn greater(left: f32, right: f32) -> f32 {
    if left > right { left } else { right }
}

#[expect(clippy::indexing_slicing, reason = "`row` is below `ROWS`, as long as the arrays are")]
#[inline(always)]
fn of_block(
    query: &CodedQuery,
    words: &[[u64; PLANES]],
    block: &[BlockWord],
    factors: &[Factors; ROWS],
) -> [f32; ROWS] {
    let against = disagreements(words, block);
    let all = 15 * 64 * words.len() as i32;
    std::array::from_fn(|row| {
        let (factors, against) = (factors[row], against[row]);
        let sum = all.wrapping_sub(against.wrapping_mul(2)) as f32;
        let own = factors.error * query.length;
        let rounding = factors.scale * query.residual;
        factors.scale * (query.unit * sum) + (own * own + rounding * rounding).sqrt()
    })
}

/// For each row, the weights of the query's bits that differ from the row's.
#[expect(clippy::indexing_slicing, reason = "`row` is below `ROWS`, as long as the arrays are")]
#[inline(always)]
fn disagreements(words: &[[u64; PLANES]], block: &[BlockWord]) -> [i32; ROWS] {
    let mut counts = [[0_u64; ROWS]; PLANES];
    for (rows, planes) in block.iter().zip(words) {
        for (counts, plane) in counts.iter_mut().zip(planes) {
            for (count, row) in counts.iter_mut().zip(rows) {
                *count = count.wrapping_add(u64::from((row ^ plane).count_ones()));
            }
        }
    }
    let [ones, twos, fours, eights] = counts;
    std::array::from_fn(|row| {
        let high = fours[row].wrapping_add(eights[row].wrapping_mul(2));
        let low = ones[row].wrapping_add(twos[row].wrapping_mul(2));
        low.wrapping_add(high.wrapping_mul(4)) as i32
    })
}

#[inline(always)]
pub(super) fn survivors(bounds: &[f32], floor: f32, first: u32, places: &mut Vec<u32>) {
    let mut place = first;
    for run in bounds.chunks(RUN) {
        if run.iter().fold(false, |any, bound| any | (*bound >= floor)) {
            for (bound, place) in run.iter().zip(place..) {
                if *bound >= floor {
                    places.push(place);
                }
            }
        }
        place = place.wrapping_add(RUN as u32);
    }
}
