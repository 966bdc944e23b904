//! The inner loops of a search, compiled for each instruction set and chosen when it runs.
//!
//! There is one source of each, in plain safe Rust. Whole numbers are exact, and floating-point
//! ones are combined in an order that is written out, so every machine gives the same results, bit
//! for bit. The only `unsafe` is the call of code whose instructions were found to be there, and a
//! hint to the cache.

use std::sync::LazyLock;

use half::f16;

use crate::code::{BlockWord, CodedQuery, Factors, FineQuery, Levels, ROWS};

mod fine;
mod product;
mod scan;

/// Rows of coarse codes that lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Which block of its plane this is.
    pub(crate) at: u32,
    /// Which of its rows count, the first in the lowest bit.
    pub(crate) rows: u8,
}

/// Writes to `bounds` what the inner products of the rows of these blocks with the query hardly
/// exceed (see [`crate::code`]), and gives the greatest, so that many rows with no chance are
/// passed over at once. A row that does not count, or is outside of the plane, gets negative
/// infinity.
pub(crate) fn upper_bounds(
    query: &CodedQuery,
    plane: &[BlockWord],
    blocks: &[Block],
    bounds: &mut [[f32; ROWS]],
) -> f32 {
    INSTRUCTIONS.upper_bounds(query, plane, blocks, bounds)
}

/// Appends the places of the bounds that are not below `floor`, each plus `first`.
pub(crate) fn survivors(bounds: &[f32], floor: f32, first: u32, places: &mut Vec<u32>) {
    INSTRUCTIONS.survivors(bounds, floor, first, places);
}

/// Writes to `bounds` what the inner products of the rows at these places hardly exceed. A row
/// outside of the plane gets negative infinity.
pub(crate) fn upper_bounds_at(
    query: &FineQuery,
    plane: &[Levels],
    factors: &[Factors],
    places: &[u32],
    bounds: &mut [f32],
) {
    INSTRUCTIONS.upper_bounds_at(query, plane, factors, places, bounds);
}

/// Writes to `products` the inner product of each row with the query; the rows follow each other.
pub(crate) fn inner_products(query: &[f32], rows: &[f16], products: &mut [f32]) {
    INSTRUCTIONS.inner_products(query, rows, products);
}

/// The inner product of one row with the query.
pub(crate) fn inner_product(query: &[f32], row: &[f16]) -> f32 {
    let mut product = [0.0];
    inner_products(query, row, &mut product);
    let [product] = product;
    product
}

/// Writes to `products` the inner products of the rows at these places of a plane. A row outside
/// of the plane gets negative infinity.
pub(crate) fn inner_products_at(
    query: &[f32],
    plane: &[f16],
    places: &[u32],
    products: &mut [f32],
) {
    INSTRUCTIONS.inner_products_at(query, plane, places, products);
}

/// The instructions that a machine has.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Instructions {
    /// What the compiler takes for granted: SSE2 on x86-64, NEON on 64-bit ARM.
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

static INSTRUCTIONS: LazyLock<Instructions> =
    LazyLock::new(|| Instructions::available().last().copied().unwrap_or(Instructions::Baseline));

impl Instructions {
    /// The fastest comes last.
    fn available() -> Vec<Self> {
        let mut available = vec![Self::Baseline];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("f16c")
        {
            available.push(Self::Avx2);
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vpopcntdq")
            {
                available.push(Self::Avx512);
            }
        }
        available
    }
}

/// Compiles the loops with these instructions. `$differences` compares a block with a query, `$keep`
/// finds the bounds that reach a floor, `$product` multiplies levels with a query, and `$widen` turns
/// 16 half-precision numbers into single ones.
macro_rules! compile {
    ($name:ident, $(#[$features:meta],)? $differences:path, $keep:path, $product:path, $widen:path) => {
        mod $name {
            use super::*;

            $(#[$features])?
            pub(super) fn upper_bounds(
                query: &CodedQuery,
                plane: &[BlockWord],
                blocks: &[Block],
                bounds: &mut [[f32; ROWS]],
            ) -> f32 {
                scan::upper_bounds(query, plane, blocks, bounds, |words, block| {
                    $differences(words, block)
                })
            }

            $(#[$features])?
            pub(super) fn survivors(bounds: &[f32], floor: f32, first: u32, places: &mut Vec<u32>) {
                scan::survivors(bounds, floor, first, places, |run, floor, place| {
                    $keep(run, floor, place)
                });
            }

            $(#[$features])?
            pub(super) fn upper_bounds_at(
                query: &FineQuery,
                plane: &[Levels],
                factors: &[Factors],
                places: &[u32],
                bounds: &mut [f32],
            ) {
                fine::upper_bounds_at(query, plane, factors, places, bounds, |query, row| {
                    $product(query, row)
                });
            }

            $(#[$features])?
            pub(super) fn inner_products(query: &[f32], rows: &[f16], products: &mut [f32]) {
                product::of_rows(query, rows, products, |halves| $widen(halves));
            }

            $(#[$features])?
            pub(super) fn inner_products_at(
                query: &[f32],
                plane: &[f16],
                places: &[u32],
                products: &mut [f32],
            ) {
                product::of_places(query, plane, places, products, |halves| $widen(halves));
            }
        }
    };
}

compile!(baseline, scan::differences, scan::keep, fine::product, product::widen);
#[cfg(target_arch = "x86_64")]
compile!(
    avx2,
    #[target_feature(enable = "avx2,popcnt,f16c")],
    scan::differences,
    scan::keep,
    fine::product_avx2,
    product::widen_f16c
);
#[cfg(target_arch = "x86_64")]
compile!(
    avx512,
    #[target_feature(enable = "avx2,popcnt,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq")],
    scan::differences_avx512,
    scan::keep_avx512,
    fine::product_avx2,
    product::widen_avx512
);

/// Calls the loop that was compiled with the instructions of `self`.
macro_rules! dispatch {
    ($($function:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        #[expect(unsafe_code, reason = "a function compiled for instructions that may be missing")]
        impl Instructions {
            $(
                fn $function(self, $($argument: $type),*) $(-> $result)? {
                    match self {
                        Self::Baseline => baseline::$function($($argument),*),
                        // SAFETY: `available` gives this only where the instructions are.
                        #[cfg(target_arch = "x86_64")]
                        Self::Avx2 => unsafe { avx2::$function($($argument),*) },
                        // SAFETY: As above.
                        #[cfg(target_arch = "x86_64")]
                        Self::Avx512 => unsafe { avx512::$function($($argument),*) },
                    }
                }
            )*
        }
    };
}

dispatch! {
    upper_bounds(
        query: &CodedQuery, plane: &[BlockWord], blocks: &[Block], bounds: &mut [[f32; ROWS]]
    ) -> f32;
    survivors(bounds: &[f32], floor: f32, first: u32, places: &mut Vec<u32>);
    upper_bounds_at(
        query: &FineQuery, plane: &[Levels], factors: &[Factors], places: &[u32],
        bounds: &mut [f32]
    );
    inner_products(query: &[f32], rows: &[f16], products: &mut [f32]);
    inner_products_at(query: &[f32], plane: &[f16], places: &[u32], products: &mut [f32]);
}

#[cfg(test)]
mod tests;
