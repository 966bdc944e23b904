//! Upper bounds from codes of one bit a dimension. All is inlined into each version of its caller.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    _CMP_GE_OQ, _mm512_add_epi64, _mm512_cmp_ps_mask, _mm512_cvtepi64_epi32,
    _mm512_maskz_compress_epi32, _mm512_popcnt_epi64, _mm512_set1_epi64, _mm512_set1_ps,
    _mm512_setzero_si512, _mm512_slli_epi64, _mm512_xor_si512,
};

use super::Block;
use super::product::prefetch;
use crate::code::{BlockWord, CodedQuery, Factors, PLANES, ROWS, TOP_NUMBER};

/// Of all bits of a word of a query.
const WEIGHTS: i32 = 64 * TOP_NUMBER;
/// So many blocks ahead are fetched from memory: those of scattered labels do not come by themselves.
const AHEAD: usize = 8;
/// Bounds that are compared at once.
const RUN: usize = 16;
/// For each choice of rows, what no bound exceeds: those of the others are infinitely low. To
/// compare with these is one instruction, and to choose by bits twenty.
static LIMITS: [[f32; ROWS]; 1 << ROWS] = limits();

#[expect(clippy::indexing_slicing, reason = "evaluated when this is compiled")]
const fn limits() -> [[f32; ROWS]; 1 << ROWS] {
    let mut limits = [[f32::INFINITY; ROWS]; 1 << ROWS];
    let mut at = 0;
    while at < ROWS << ROWS {
        let (rows, row) = (at / ROWS, at % ROWS);
        if rows >> row & 1 == 0 {
            limits[rows][row] = f32::NEG_INFINITY;
        }
        at += 1;
    }
    limits
}

#[inline(always)]
pub(super) fn upper_bounds(
    query: &CodedQuery,
    plane: &[BlockWord],
    blocks: &[Block],
    bounds: &mut [[f32; ROWS]],
    against: impl Fn(&[[u64; PLANES]], &[BlockWord]) -> [i32; ROWS] + Copy,
) -> f32 {
    let words = query.words.as_slice();
    let width = words.len().wrapping_add(1);
    let codes = |block: &Block| {
        let start = (block.at as usize).wrapping_mul(width);
        plane.get(start..start.wrapping_add(width))
    };
    let coming = blocks.iter().skip(AHEAD).map(Some).chain(std::iter::repeat(None));
    let mut greatest = [f32::NEG_INFINITY; ROWS];
    for ((block, coming), bounds) in blocks.iter().zip(coming).zip(bounds) {
        if let Some(codes) = coming.and_then(codes) {
            prefetch(codes);
        }
        *bounds = match codes(block).and_then(<[_]>::split_last) {
            Some((factors, signs)) => of_block(query, against(words, signs), factors, block.rows),
            None => [f32::NEG_INFINITY; ROWS],
        };
        for (greatest, bound) in greatest.iter_mut().zip(bounds) {
            *greatest = greater(*greatest, *bound);
        }
    }
    greatest.into_iter().fold(f32::NEG_INFINITY, greater)
}

/// Without the care for numbers that are none, which bounds never are: one instruction.
#[inline(always)]
fn greater(left: f32, right: f32) -> f32 {
    if left > right { left } else { right }
}

#[inline(always)]
fn less(left: f32, right: f32) -> f32 {
    if left < right { left } else { right }
}

#[inline(always)]
fn of_block(
    query: &CodedQuery,
    against: [i32; ROWS],
    factors: &BlockWord,
    rows: u8,
) -> [f32; ROWS] {
    let all = WEIGHTS.wrapping_mul(query.words.len() as i32);
    let factors: [Factors; ROWS] = bytemuck::cast(*factors);
    let mut bounds = [f32::NEG_INFINITY; ROWS];
    let limits = LIMITS.get(usize::from(rows)).unwrap_or(&[f32::NEG_INFINITY; ROWS]);
    for (((bound, against), factors), limit) in
        bounds.iter_mut().zip(against).zip(factors).zip(limits)
    {
        let sum = all.wrapping_sub(against.wrapping_mul(2));
        *bound = less(query.rounded.upper_bound(sum, factors), *limit);
    }
    bounds
}

/// For each row, the weights of the query's bits that differ from the row's.
#[expect(clippy::indexing_slicing, reason = "`row` is below `ROWS`, as long as the arrays are")]
#[inline(always)]
pub(super) fn differences(words: &[[u64; PLANES]], block: &[BlockWord]) -> [i32; ROWS] {
    let mut sums = [0_u64; ROWS];
    for (rows, planes) in block.iter().zip(words) {
        for row in 0..ROWS {
            let [ones, twos, fours] =
                planes.map(|plane| u64::from((rows[row] ^ plane).count_ones()));
            let low = ones.wrapping_add(twos.wrapping_mul(2));
            sums[row] = sums[row].wrapping_add(low).wrapping_add(fours.wrapping_mul(4));
        }
    }
    sums.map(|sum| sum as i32)
}

/// The same. Written out, because the optimiser goes along the words instead of the rows as soon
/// as there are eight of them, which takes three times as long.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512vpopcntdq")]
pub(super) fn differences_avx512(words: &[[u64; PLANES]], block: &[BlockWord]) -> [i32; ROWS] {
    let mut counts = [_mm512_setzero_si512(); PLANES];
    for (rows, planes) in block.iter().zip(words) {
        let rows = bytemuck::cast(*rows);
        for (count, plane) in counts.iter_mut().zip(planes) {
            let differing = _mm512_xor_si512(rows, _mm512_set1_epi64(plane.cast_signed()));
            *count = _mm512_add_epi64(*count, _mm512_popcnt_epi64(differing));
        }
    }
    let [ones, twos, fours] = counts;
    let low = _mm512_add_epi64(ones, _mm512_slli_epi64::<1>(twos));
    let sums = _mm512_add_epi64(low, _mm512_slli_epi64::<2>(fours));
    bytemuck::cast(_mm512_cvtepi64_epi32(sums))
}

#[inline(always)]
pub(super) fn survivors(
    bounds: &[f32],
    floor: f32,
    first: u32,
    places: &mut Vec<u32>,
    keep: impl Fn(&[f32; RUN], f32, u32) -> ([u32; RUN], usize) + Copy,
) {
    let (runs, last) = bounds.as_chunks::<RUN>();
    let mut place = first;
    for run in runs {
        let (kept, count) = keep(run, floor, place);
        if count > 0 {
            // All are copied, because so many are one instruction.
            let end = places.len() + count;
            places.extend_from_slice(&kept);
            places.truncate(end);
        }
        place = place.wrapping_add(RUN as u32);
    }
    let last = last.iter().zip(place..).filter(|(bound, _)| **bound >= floor);
    places.extend(last.map(|(_, place)| place));
}

/// The places of those that are not below the floor, and how many there are. Nothing is skipped,
/// because a processor guesses badly which bounds these are.
#[expect(clippy::indexing_slicing, reason = "as many are kept at most as there are")]
#[inline(always)]
pub(super) fn keep(run: &[f32; RUN], floor: f32, first: u32) -> ([u32; RUN], usize) {
    let (mut kept, mut count) = ([0; RUN], 0);
    for (bound, place) in run.iter().zip(first..) {
        kept[count] = place;
        count += usize::from(*bound >= floor);
    }
    (kept, count)
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn keep_avx512(run: &[f32; RUN], floor: f32, first: u32) -> ([u32; RUN], usize) {
    let which = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(bytemuck::cast(*run), _mm512_set1_ps(floor));
    let places: [u32; RUN] = std::array::from_fn(|place| first.wrapping_add(place as u32));
    let kept = _mm512_maskz_compress_epi32(which, bytemuck::cast(places));
    (bytemuck::cast(kept), which.count_ones() as usize)
}
