//! The nearest of the permitted chunks.
//!
//! Few chunks are compared whole. Of many, a code of one bit a dimension bounds every score from
//! above; of those that may be among the best by it, a code of four bits does; and only what may be
//! among them still is compared whole. What may be is decided from the permitted chunks' bounds
//! alone, whatever their order, so that the result is a function of nothing else.

use std::cell::RefCell;

use half::f16;

use crate::code::{CodedQuery, Coder, FineQuery, ROWS};
use crate::kernel;
use crate::rank::{Best, Greatest, Ranked};
use crate::snapshot::{Part, Place};
use crate::view::Visible;

/// Up to so many permitted chunks, reading codes first would not be faster.
const FEW: u64 = 1024;
/// How many of the highest bounds by the coarse code are looked at to learn how good the best are
/// at least.
const PROBES: usize = 100;
/// Blocks whose bounds are looked at together: they stay in the nearest cache.
const STRETCH: usize = 128;

/// How thoroughly is looked for the nearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// All are compared whole, however many there are.
    Exact,
    /// Each of the best is found, unless its code understates it by more than the deviations that
    /// [`crate::code`] allows for.
    Bounded,
    /// Only those with the highest bounds are compared whole, a few for each that is wanted.
    Likely,
}

/// The `most` permitted chunks with the greatest inner product with `vector`, best first.
pub(crate) fn nearest<'a>(
    visible: &Visible<'a>,
    vector: &[f32],
    coder: &Coder,
    most: usize,
    care: Care,
) -> Vec<Ranked<'a>> {
    let mut best = Best::new(most);
    if most == 0 {
        return Vec::new();
    }
    let probes = PROBES.max(4 * most);
    if care == Care::Exact || visible.totals.chunks <= FEW.max(4 * probes as u64) {
        compare_all(visible, vector, &mut best);
    } else {
        SCAN.with_borrow_mut(|scan| {
            let (coarse, fine) = coder.query(vector);
            scan.bound_all(visible, &coarse);
            let highest = scan.highest(probes);
            scan.bound_finely(visible, &fine, highest);
            let likely = scan.highest_fine(2 * most);
            scan.compare(visible, vector, likely, &mut best);
            let floor = best.floor();
            if care == Care::Bounded && floor < highest.max(likely) {
                best = Best::new(most);
                scan.bound_finely(visible, &fine, floor);
                scan.compare(visible, vector, floor, &mut best);
            }
        });
    }
    best.into_ranked()
}

/// The inner product of one chunk's vector.
pub(crate) fn score(visible: &Visible<'_>, at: Place, vector: &[f32]) -> Option<f32> {
    let part = visible.part(at.part)?;
    Some(kernel::inner_product(vector, part.segment.vector(at.place)))
}

fn compare_all<'a>(visible: &Visible<'a>, vector: &[f32], best: &mut Best<'a>) {
    let dimensions = vector.len();
    let mut products = [0.0_f32; 256];
    for (number, part, ranges) in visible.parts() {
        for range in ranges {
            for start in range.clone().step_by(products.len()) {
                let count = products.len().min((range.end - start) as usize);
                let first = start as usize * dimensions;
                let rows: &[f16] = part
                    .segment
                    .vectors()
                    .get(first..first + count * dimensions)
                    .unwrap_or_default();
                let products = products.get_mut(..count).unwrap_or_default();
                kernel::inner_products(vector, rows, products);
                for (place, product) in (start..).zip(products) {
                    offer(visible, part, Place { part: number, place }, *product, best);
                }
            }
        }
    }
}

#[inline]
fn offer<'a>(visible: &Visible<'a>, part: &Part, at: Place, score: f32, best: &mut Best<'a>) {
    if score >= best.floor()
        && !part.dead.contains(at.place)
        && let Some((id, row)) = visible.chunk(at)
    {
        best.offer(Ranked { score, id, row, at });
    }
}

thread_local! {
    /// Bounds of a large search take megabytes, which are not asked for anew each time.
    static SCAN: RefCell<Scan> = RefCell::default();
}

/// The bounds of all permitted chunks.
#[derive(Debug, Default)]
struct Scan {
    /// For each block in which something is permitted, part by part and in order, of its rows.
    bounds: Vec<[f32; ROWS]>,
    stretches: Vec<Stretch>,
    /// Chunks with a fine bound, part by part.
    candidates: Vec<Candidate>,
    found: Vec<u32>,
    places: Vec<u32>,
    products: Vec<f32>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    at: Place,
    /// By its fine code.
    bound: f32,
}

/// Blocks of one part that follow one another, at most [`STRETCH`] of them.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    part: u32,
    start: usize,
    end: usize,
    /// None of their bounds is greater.
    highest: f32,
}

impl Scan {
    fn bound_all(&mut self, visible: &Visible<'_>, query: &CodedQuery) {
        self.stretches.clear();
        let mut before = 0;
        for (number, part, _) in visible.parts() {
            let of_part = visible.blocks(number);
            if self.bounds.len() < before + of_part.len() {
                self.bounds.resize(2 * (before + of_part.len()), [0.0; ROWS]);
            }
            for blocks in of_part.chunks(STRETCH) {
                let (start, end) = (before, before + blocks.len());
                let bounds = self.bounds.get_mut(start..end).unwrap_or_default();
                let highest = kernel::upper_bounds(query, part.segment.coarse(), blocks, bounds);
                self.stretches.push(Stretch { part: number, start, end, highest });
                before = end;
            }
        }
    }

    /// The bound that so many chunks reach.
    fn highest(&mut self, count: usize) -> f32 {
        let Self { bounds, stretches, found, .. } = self;
        let mut greatest = Greatest::new(count);
        for stretch in stretches {
            if stretch.highest > greatest.floor() {
                found.clear();
                stretch.survivors(bounds, greatest.floor(), found);
                let bounds = bounds.as_flattened();
                let bounds = found.iter().filter_map(|index| bounds.get(*index as usize));
                bounds.for_each(|bound| greatest.offer(*bound));
            }
        }
        greatest.into_least()
    }

    /// Makes candidates of every chunk whose coarse bound is at least `floor`.
    fn bound_finely(&mut self, visible: &Visible<'_>, query: &FineQuery, floor: f32) {
        let Self { bounds, stretches, candidates, found, places, products } = self;
        candidates.clear();
        for of_part in stretches.chunk_by(|left, right| left.part == right.part) {
            let Some(&Stretch { part: number, start, .. }) = of_part.first() else { continue };
            let Some(part) = visible.part(number) else { continue };
            let blocks = visible.blocks(number);
            found.clear();
            for stretch in of_part.iter().filter(|stretch| stretch.highest >= floor) {
                stretch.survivors(bounds, floor, found);
            }
            places.clear();
            places.extend(found.iter().filter_map(|index| {
                let block = blocks.get(*index as usize / ROWS - start)?;
                Some(block.at * ROWS as u32 + index % ROWS as u32)
            }));
            products.resize(places.len(), 0.0);
            let (levels, factors) = (part.segment.levels(), part.segment.fine());
            kernel::upper_bounds_at(query, levels, factors, places, products);
            let of_place = |(place, bound): (&u32, &f32)| Candidate {
                at: Place { part: number, place: *place },
                bound: *bound,
            };
            candidates.extend(places.iter().zip(products.iter()).map(of_place));
        }
    }

    /// The fine bound that so many candidates reach.
    fn highest_fine(&self, count: usize) -> f32 {
        let mut greatest = Greatest::new(count);
        self.candidates.iter().for_each(|candidate| greatest.offer(candidate.bound));
        greatest.into_least()
    }

    /// Compares whole every candidate whose fine bound is at least `floor`.
    fn compare<'a>(
        &mut self,
        visible: &Visible<'a>,
        vector: &[f32],
        floor: f32,
        best: &mut Best<'a>,
    ) {
        let Self { candidates, places, products, .. } = self;
        for of_part in candidates.chunk_by(|left, right| left.at.part == right.at.part) {
            let Some(number) = of_part.first().map(|candidate| candidate.at.part) else { continue };
            let Some(part) = visible.part(number) else { continue };
            let likely = of_part.iter().filter(|candidate| candidate.bound >= floor);
            places.clear();
            places.extend(likely.map(|candidate| candidate.at.place));
            products.resize(places.len(), 0.0);
            kernel::inner_products_at(vector, part.segment.vectors(), places, products);
            for (place, product) in places.iter().zip(products.iter()) {
                offer(visible, part, Place { part: number, place: *place }, *product, best);
            }
        }
    }
}

impl Stretch {
    /// Where bounds of at least `floor` are.
    fn survivors(&self, bounds: &[[f32; ROWS]], floor: f32, found: &mut Vec<u32>) {
        let bounds = bounds.get(self.start..self.end).unwrap_or_default();
        // What does not count has negative infinity, and no floor is to let it in.
        let floor = floor.max(f32::MIN);
        kernel::survivors(bounds.as_flattened(), floor, (self.start * ROWS) as u32, found);
    }
}
