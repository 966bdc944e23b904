//! Inner products of half-precision rows. All is inlined into each version of its caller.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256i, _MM_HINT_T0, _mm_prefetch, _mm256_cvtph_ps, _mm512_cvtph_ps};

use half::f16;

/// Products that are summed side by side: enough that no addition waits for the one before it.
/// The order of additions is part of the result.
const LANES: usize = 32;
/// Numbers that are widened at once.
const GROUP: usize = 16;
/// So many rows ahead are fetched from memory, which answers after about the time of two.
const AHEAD: usize = 4;
/// Bytes of a line of the cache.
const LINE: usize = 64;

#[inline(always)]
pub(super) fn of_rows(
    query: &[f32],
    rows: &[f16],
    products: &mut [f32],
    widen: impl Fn(&[f16; GROUP]) -> [f32; GROUP] + Copy,
) {
    for (row, product) in rows.chunks_exact(query.len().max(1)).zip(products) {
        *product = of_row(query, row, widen);
    }
}

#[inline(always)]
pub(super) fn of_places(
    query: &[f32],
    plane: &[f16],
    places: &[u32],
    products: &mut [f32],
    widen: impl Fn(&[f16; GROUP]) -> [f32; GROUP] + Copy,
) {
    let row = |place: u32| {
        let start = (place as usize).checked_mul(query.len())?;
        plane.get(start..)?.get(..query.len())
    };
    let coming = places.iter().skip(AHEAD).map(Some).chain(std::iter::repeat(None));
    for ((place, coming), product) in places.iter().zip(coming).zip(products) {
        if let Some(row) = coming.and_then(|place| row(*place)) {
            prefetch(row);
        }
        *product = row(*place).map_or(f32::NEG_INFINITY, |row| of_row(query, row, widen));
    }
}

#[inline(always)]
fn of_row(query: &[f32], row: &[f16], widen: impl Fn(&[f16; GROUP]) -> [f32; GROUP] + Copy) -> f32 {
    let mut lanes = [0.0; LANES];
    let (queries, last_query) = query.as_chunks::<LANES>();
    let (rows, last_row) = row.as_chunks::<LANES>();
    for (query, row) in queries.iter().zip(rows) {
        add_products(&mut lanes, query, row, widen);
    }
    if !last_query.is_empty() {
        let (mut query, mut row) = ([0.0; LANES], [f16::ZERO; LANES]);
        query.iter_mut().zip(last_query).for_each(|(place, number)| *place = *number);
        row.iter_mut().zip(last_row).for_each(|(place, number)| *place = *number);
        add_products(&mut lanes, &query, &row, widen);
    }
    total(lanes)
}

#[inline(always)]
fn add_products(
    lanes: &mut [f32; LANES],
    query: &[f32; LANES],
    row: &[f16; LANES],
    widen: impl Fn(&[f16; GROUP]) -> [f32; GROUP] + Copy,
) {
    let (lanes, _) = lanes.as_chunks_mut::<GROUP>();
    let (query, _) = query.as_chunks::<GROUP>();
    let (row, _) = row.as_chunks::<GROUP>();
    for ((lanes, query), row) in lanes.iter_mut().zip(query).zip(row) {
        let row = widen(row);
        for ((lane, query), row) in lanes.iter_mut().zip(query).zip(row) {
            *lane += query * row;
        }
    }
}

/// Adds the upper half of the lanes to the lower until one is left.
#[inline(always)]
fn total(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        let (low, high) = lanes.split_at_mut(half);
        low.iter_mut().zip(high).for_each(|(low, high)| *low += *high);
        half /= 2;
    }
    let [total, ..] = lanes;
    total
}

/// By arithmetic that vector instructions have. The exponent is counted from 127 there and from 15
/// here, so the bits, moved to their places, are those of a number 2¹¹² times too small.
#[inline(always)]
pub(super) fn widen(halves: &[f16; GROUP]) -> [f32; GROUP] {
    const REBIAS: f32 = f32::from_bits((127 + 112) << 23);
    /// The first that a finite half-precision number is below.
    const INFINITE: f32 = 65_536.0;
    halves.map(|half| {
        let bits = u32::from(half.to_bits());
        let magnitude = f32::from_bits((bits & 0x7fff) << 13) * REBIAS;
        let beyond = if magnitude >= INFINITE { 0xff << 23 } else { 0 };
        f32::from_bits(magnitude.to_bits() | beyond | (bits & 0x8000) << 16)
    })
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "f16c")]
pub(super) fn widen_f16c(halves: &[f16; GROUP]) -> [f32; GROUP] {
    let [low, high]: [_; 2] = bytemuck::cast(*halves);
    bytemuck::cast([_mm256_cvtph_ps(low), _mm256_cvtph_ps(high)])
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn widen_avx512(halves: &[f16; GROUP]) -> [f32; GROUP] {
    bytemuck::cast(_mm512_cvtph_ps(bytemuck::cast::<_, __m256i>(*halves)))
}

/// Asks for the memory of these, without waiting for it.
#[inline(always)]
pub(super) fn prefetch<T: bytemuck::NoUninit>(items: &[T]) {
    let (lines, last) = bytemuck::cast_slice::<T, u8>(items).as_chunks::<LINE>();
    lines.iter().for_each(|line| prefetch_line(line));
    if !last.is_empty() {
        prefetch_line(last);
    }
}

#[cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "a hint, for which there is no safe function")
)]
#[inline(always)]
fn prefetch_line(line: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: Any address may be hinted at, and this one is of bytes that are there.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
    };
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}
