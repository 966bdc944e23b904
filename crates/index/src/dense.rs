//! The nearest of the permitted chunks.
//!
//! Few chunks are compared whole. Of many, a code of one bit a dimension bounds every score from
//! above, and only what may be among the best is compared whole. What may be is decided from the
//! permitted chunks' bounds alone, whatever their order, so that the result is a function of
//! nothing else.

use std::cell::RefCell;

use half::f16;

use crate::code::{Coder, ROWS};
use crate::kernel;
use crate::rank::{Best, Greatest, Ranked};
use crate::snapshot::{Part, Place, Visible};

/// Up to so many permitted chunks, reading codes first would not be faster.
const FEW: u64 = 512;
/// How many of the highest bounds are compared whole to learn how good the best are at least.
const PROBES: usize = 100;
/// Chunks that are bounded at a time: their bounds stay in the nearest cache.
const PIECE: usize = 1024;

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
            scan.bound_all(visible, vector, coder);
            let highest = scan.highest(visible, probes);
            scan.compare(visible, vector, highest, &mut best);
            let floor = best.floor();
            if care == Care::Bounded && floor < highest {
                best = Best::new(most);
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
    bounds: Vec<f32>,
    pieces: Vec<Piece>,
    places: Vec<u32>,
    products: Vec<f32>,
}

/// Chunks that follow one another in a segment.
#[derive(Clone, Copy, Debug)]
struct Piece {
    part: u32,
    /// The place of the first.
    place: u32,
    /// Where their bounds are.
    start: usize,
    length: usize,
    /// None of them is greater.
    highest: f32,
}

impl Scan {
    fn bound_all(&mut self, visible: &Visible<'_>, vector: &[f32], coder: &Coder) {
        let query = coder.query(vector);
        self.pieces.clear();
        let mut end = 0;
        for (number, part, ranges) in visible.parts() {
            for range in ranges {
                // Codes come in blocks: what of the first and last is not permitted is bounded
                // with the rest, and then left out.
                let mut place = range.start as usize / ROWS * ROWS;
                while place < range.end as usize {
                    let length = PIECE.min(range.end as usize - place);
                    if self.bounds.len() < end + length {
                        self.bounds.resize(2 * (end + PIECE), 0.0);
                    }
                    let bounds = self.bounds.get_mut(end..end + length).unwrap_or_default();
                    let (block, words) = part.segment.block(place);
                    let blocks = block * words..(block + length.div_ceil(ROWS)) * words;
                    let codes = part.segment.codes().get(blocks).unwrap_or_default();
                    let factors = part.segment.factors();
                    let factors = factors.get(place..place + length).unwrap_or_default();
                    let highest = kernel::upper_bounds(&query, codes, factors, bounds);
                    let skip = (range.start as usize).saturating_sub(place);
                    self.pieces.push(Piece {
                        part: number,
                        place: (place + skip) as u32,
                        start: end + skip,
                        length: length - skip,
                        highest,
                    });
                    end += length;
                    place += length;
                }
            }
        }
    }

    /// The bound that so many chunks reach.
    fn highest(&mut self, visible: &Visible<'_>, count: usize) -> f32 {
        let mut greatest = Greatest::new(count);
        let mut offsets = std::mem::take(&mut self.places);
        for piece in &self.pieces {
            if piece.highest <= greatest.least() {
                continue;
            }
            let Some(part) = visible.part(piece.part) else { continue };
            let bounds = self.of(piece);
            offsets.clear();
            kernel::survivors(bounds, greatest.least(), 0, &mut offsets);
            for offset in &offsets {
                if let Some(bound) = bounds.get(*offset as usize)
                    && !part.dead.contains(piece.place + offset)
                {
                    greatest.offer(*bound);
                }
            }
        }
        self.places = offsets;
        greatest.least()
    }

    fn of(&self, piece: &Piece) -> &[f32] {
        self.bounds.get(piece.start..piece.start + piece.length).unwrap_or_default()
    }

    /// Compares whole every chunk whose bound is at least `floor`.
    fn compare<'a>(
        &mut self,
        visible: &Visible<'a>,
        vector: &[f32],
        floor: f32,
        best: &mut Best<'a>,
    ) {
        let mut places = std::mem::take(&mut self.places);
        let mut products = std::mem::take(&mut self.products);
        let mut pieces = self.pieces.iter().filter(|piece| piece.highest >= floor).peekable();
        for (number, part, _) in visible.parts() {
            places.clear();
            while let Some(piece) = pieces.next_if(|piece| piece.part == number) {
                kernel::survivors(self.of(piece), floor, piece.place, &mut places);
            }
            products.clear();
            products.resize(places.len(), 0.0);
            kernel::inner_products_at(vector, part.segment.vectors(), &places, &mut products);
            for (place, product) in places.iter().zip(&products) {
                offer(visible, part, Place { part: number, place: *place }, *product, best);
            }
        }
        (self.places, self.products) = (places, products);
    }
}
