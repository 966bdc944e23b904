//! The nearest of the permitted chunks.
//!
//! Few chunks are compared whole. Of many, a code of one bit a dimension bounds every score from
//! above; of those that may be among the best by it, a code of four bits does; and only what may be
//! among them still is compared whole. What may be is decided from the permitted chunks' bounds
//! alone, whatever their order, so that the result is a function of nothing else.

use std::cell::RefCell;
use std::ops::Range;

use half::f16;

use crate::code::{BlockWord, CodedQuery, Coder, Factors, FineQuery, ROWS};
use crate::kernel;
use crate::rank::{Best, Greatest, Ranked};
use crate::segment::Segment;
use crate::snapshot::{Part, Place, Visible};

/// Up to so many permitted chunks, reading codes first would not be faster.
const FEW: u64 = 2048;
/// How many of the highest bounds are compared whole to learn how good the best are at least.
const PROBES: usize = 100;
/// Bounds that are looked at together: they stay in the nearest cache.
const STRETCH: u32 = 1024;
/// So many ranges ahead are fetched from memory.
const AHEAD: usize = 4;
/// Chunks of a range that are fetched.
const FETCHED: u32 = 16;

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
            let highest = scan.highest(visible, probes);
            scan.compare(visible, vector, highest, None, &mut best);
            let floor = best.floor();
            if care == Care::Bounded && floor < highest {
                best = Best::new(most);
                scan.compare(visible, vector, floor, Some(&fine), &mut best);
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

/// The bounds of all permitted chunks, one after another.
#[derive(Debug, Default)]
struct Scan {
    bounds: Vec<f32>,
    pieces: Vec<Piece>,
    stretches: Vec<Stretch>,
    found: Vec<u32>,
    places: Vec<u32>,
    products: Vec<f32>,
}

/// Chunks that follow one another in a segment.
#[derive(Clone, Copy, Debug)]
struct Piece {
    part: u32,
    /// The place of the first.
    place: u32,
    /// Where its bound is.
    start: u32,
}

/// Bounds of pieces that follow one another, about [`STRETCH`] of them.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    start: usize,
    end: usize,
    /// None of them is greater.
    highest: f32,
}

impl Scan {
    fn bound_all(&mut self, visible: &Visible<'_>, query: &CodedQuery) {
        self.pieces.clear();
        self.stretches.clear();
        let mut stretch = Stretch { start: 0, end: 0, highest: f32::NEG_INFINITY };
        for (number, part, ranges) in visible.parts() {
            let codes = Codes::of(&part.segment);
            for (at, range) in ranges.iter().enumerate() {
                if let Some(coming) = ranges.get(at + AHEAD) {
                    codes.prefetch(coming);
                }
                let mut range = range.clone();
                while !range.is_empty() {
                    let most = range.start.next_multiple_of(ROWS as u32) + STRETCH;
                    let piece = range.start..range.end.min(most);
                    self.bound(number, &codes, piece.clone(), query, &mut stretch);
                    if stretch.end - stretch.start >= STRETCH as usize {
                        self.stretches.push(stretch);
                        stretch.start = stretch.end;
                        stretch.highest = f32::NEG_INFINITY;
                    }
                    range.start = piece.end;
                }
            }
        }
        self.stretches.push(stretch);
    }

    fn bound(
        &mut self,
        part: u32,
        codes: &Codes<'_>,
        piece: Range<u32>,
        query: &CodedQuery,
        stretch: &mut Stretch,
    ) {
        // Codes come in blocks: what of the first and last is not permitted is bounded with the
        // rest, and then struck out.
        let (first, signs, factors) = codes.blocks(&piece);
        let end = stretch.end + factors.len();
        if self.bounds.len() < end {
            self.bounds.resize(2 * end, 0.0);
        }
        let bounds = self.bounds.get_mut(stretch.end..end).unwrap_or_default();
        let highest = kernel::upper_bounds(query, signs, factors, bounds);
        let before = bounds.get_mut(..piece.start as usize - first).unwrap_or_default();
        before.fill(f32::NEG_INFINITY);
        let after = bounds.get_mut(piece.end as usize - first..).unwrap_or_default();
        after.fill(f32::NEG_INFINITY);
        self.pieces.push(Piece { part, place: first as u32, start: stretch.end as u32 });
        stretch.end = end;
        stretch.highest = stretch.highest.max(highest);
    }

    /// The bound that so many chunks reach.
    fn highest(&mut self, visible: &Visible<'_>, count: usize) -> f32 {
        let mut greatest = Greatest::new(count);
        let mut cursor = Cursor::default();
        let mut found = std::mem::take(&mut self.found);
        for stretch in &self.stretches {
            if stretch.highest <= greatest.floor() {
                continue;
            }
            found.clear();
            self.survivors(stretch, greatest.floor(), &mut found);
            for index in &found {
                let piece = cursor.piece_of(&self.pieces, *index);
                let is_dead = visible
                    .part(piece.part)
                    .is_none_or(|part| part.dead.contains(piece.place_of(*index)));
                if let Some(bound) = self.bounds.get(*index as usize)
                    && !is_dead
                {
                    greatest.offer(*bound);
                }
            }
        }
        self.found = found;
        greatest.into_least()
    }

    /// Where bounds of at least `floor` are.
    fn survivors(&self, stretch: &Stretch, floor: f32, found: &mut Vec<u32>) {
        let bounds = self.bounds.get(stretch.start..stretch.end).unwrap_or_default();
        kernel::survivors(bounds, floor, stretch.start as u32, found);
    }

    /// Compares whole every chunk whose bound is at least `floor`, by its fine code too if a query
    /// in that form is given.
    fn compare<'a>(
        &mut self,
        visible: &Visible<'a>,
        vector: &[f32],
        floor: f32,
        fine: Option<&FineQuery>,
        best: &mut Best<'a>,
    ) {
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        for stretch in self.stretches.iter().filter(|stretch| stretch.highest >= floor) {
            self.survivors(stretch, floor, &mut found);
        }
        let Self { pieces, places, products, .. } = self;
        let mut cursor = Cursor::default();
        let mut found_in_part = found.iter().peekable();
        for (number, part, _) in visible.parts() {
            places.clear();
            while let Some(index) = found_in_part.peek() {
                let piece = cursor.piece_of(pieces, **index);
                if piece.part != number {
                    break;
                }
                places.push(piece.place_of(**index));
                found_in_part.next();
            }
            if let Some(query) = fine {
                let (levels, factors) = (part.segment.levels(), part.segment.fine());
                products.resize(places.len(), 0.0);
                kernel::upper_bounds_at(query, levels, factors, places, products);
                let mut bounds = products.iter();
                places.retain(|_| bounds.next().is_some_and(|bound| *bound >= floor));
            }
            products.resize(places.len(), 0.0);
            kernel::inner_products_at(vector, part.segment.vectors(), places, products);
            for (place, product) in places.iter().zip(products.iter()) {
                offer(visible, part, Place { part: number, place: *place }, *product, best);
            }
        }
        self.found = found;
    }
}

impl Piece {
    fn place_of(&self, index: u32) -> u32 {
        self.place + (index - self.start)
    }
}

/// Finds the pieces of bounds that are asked for in order.
#[derive(Debug, Default)]
struct Cursor(usize);

impl Cursor {
    fn piece_of(&mut self, pieces: &[Piece], index: u32) -> Piece {
        while pieces.get(self.0 + 1).is_some_and(|next| next.start <= index) {
            self.0 += 1;
        }
        pieces.get(self.0).copied().unwrap_or(Piece { part: u32::MAX, place: 0, start: index })
    }
}

/// The coarse codes of a segment.
struct Codes<'a> {
    signs: &'a [BlockWord],
    factors: &'a [Factors],
    /// Words of a block.
    words: usize,
}

impl<'a> Codes<'a> {
    fn of(segment: &'a Segment) -> Self {
        Self { signs: segment.signs(), factors: segment.factors(), words: segment.groups() }
    }

    /// The blocks in which these places lie, their factors, and the first of their places.
    fn blocks(&self, places: &Range<u32>) -> (usize, &'a [BlockWord], &'a [Factors]) {
        let block = places.start as usize / ROWS;
        let end = (places.end as usize).div_ceil(ROWS);
        let signs = self.signs.get(block * self.words..end * self.words);
        let factors = self.factors.get(block * ROWS..self.factors.len().min(end * ROWS));
        (block * ROWS, signs.unwrap_or_default(), factors.unwrap_or_default())
    }

    /// Asks for the memory of the first chunks of a range; those that follow come by themselves.
    fn prefetch(&self, range: &Range<u32>) {
        let first = range.start..range.end.min(range.start + FETCHED);
        let (_, signs, factors) = self.blocks(&first);
        kernel::prefetch(signs);
        kernel::prefetch(factors);
    }
}
