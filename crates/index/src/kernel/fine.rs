//! Upper bounds from codes of four bits a dimension. All is inlined into each version of its caller.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256i, _mm256_add_epi16, _mm256_add_epi32, _mm256_and_si256, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_setzero_si256,
    _mm256_srli_epi16,
};

use super::product::prefetch;
use crate::code::{Factors, FineQuery, Levels, TOP_LEVEL};
use crate::rotation::WORD;

/// So many rows ahead are fetched from memory.
const AHEAD: usize = 8;

#[inline(always)]
pub(super) fn upper_bounds_at(
    query: &FineQuery,
    plane: &[Levels],
    factors: &[Factors],
    places: &[u32],
    bounds: &mut [f32],
    product: impl Fn(&[[i8; WORD]], &[Levels]) -> i32 + Copy,
) {
    let groups = query.groups.as_slice();
    let row = |place: u32| {
        let start = (place as usize).checked_mul(groups.len())?;
        let row = plane.get(start..)?.get(..groups.len())?;
        Some((row, factors.get(place as usize)?))
    };
    // What is stored counts steps above the lowest level.
    let lowest = TOP_LEVEL.wrapping_mul(query.sum);
    let coming = places.iter().skip(AHEAD).map(Some).chain(std::iter::repeat(None));
    for ((place, coming), bound) in places.iter().zip(coming).zip(bounds) {
        if let Some((levels, factors)) = coming.and_then(|place| row(*place)) {
            prefetch(levels);
            prefetch(std::slice::from_ref(factors));
        }
        *bound = row(*place).map_or(f32::NEG_INFINITY, |(levels, factors)| {
            let sum = product(groups, levels).wrapping_mul(2).wrapping_sub(lowest);
            query.rounded.upper_bound(sum, *factors)
        });
    }
}

#[inline(always)]
pub(super) fn product(query: &[[i8; WORD]], row: &[Levels]) -> i32 {
    let mut sum = 0_i32;
    for (query, levels) in query.iter().zip(row) {
        let (low, high) = query.split_at(WORD / 2);
        for ((levels, low), high) in levels.iter().zip(low).zip(high) {
            let low = i32::from(levels & 15).wrapping_mul(i32::from(*low));
            let high = i32::from(levels >> 4).wrapping_mul(i32::from(*high));
            sum = sum.wrapping_add(low).wrapping_add(high);
        }
    }
    sum
}

/// The same. Four products of at most 15 and 127 stay below the greatest number of 16 bits.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn product_avx2(query: &[[i8; WORD]], row: &[Levels]) -> i32 {
    let (half, ones) = (_mm256_set1_epi8(15), _mm256_set1_epi16(1));
    let mut sums = _mm256_setzero_si256();
    for (query, levels) in query.iter().zip(row) {
        let [low, high]: [__m256i; 2] = bytemuck::cast(*query);
        let levels = bytemuck::cast(*levels);
        let low = _mm256_maddubs_epi16(_mm256_and_si256(levels, half), low);
        let levels = _mm256_srli_epi16::<4>(levels);
        let high = _mm256_maddubs_epi16(_mm256_and_si256(levels, half), high);
        let products = _mm256_madd_epi16(_mm256_add_epi16(low, high), ones);
        sums = _mm256_add_epi32(sums, products);
    }
    let sums: [i32; 8] = bytemuck::cast(sums);
    sums.into_iter().fold(0, i32::wrapping_add)
}
