//! What one person sees of one state of the index.
//!
//! Where the chunks of many labels are is many places. Who asks again, while nothing was written,
//! gets what was found for her before.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use ahash::AHashMap;
use bailiwick_policy::Bailiwick;

use crate::code::ROWS;
use crate::kernel::Block;
use crate::rank::ChunkRef;
use crate::snapshot::{Dead, Part, Place, Snapshot, Totals};

/// What a state keeps of views at most, in units of 8 bytes.
const MOST_KEPT: usize = 1 << 21;
/// What a view takes besides its labels, ranges and blocks, in these units.
const OF_EACH: usize = 32;

/// The permitted chunks of a [`Snapshot`]. Whatever ranks chunks works on this.
#[derive(Debug)]
pub(crate) struct Visible<'a> {
    parts: &'a [Part],
    view: Arc<View>,
    /// Of the chunks that are permitted and alive.
    pub(crate) totals: Totals,
}

impl<'a> Visible<'a> {
    /// Every part in which something is permitted, with its number and the places that are, dead
    /// ones included.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (u32, &'a Part, &[Range<u32>])> {
        let parts = (0..).zip(self.parts).zip(&self.view.parts);
        parts
            .map(|((number, part), seen)| (number, part, seen.ranges.as_slice()))
            .filter(|(.., ranges)| !ranges.is_empty())
    }

    /// How many parts there are, with or without permitted chunks.
    pub(crate) fn part_count(&self) -> usize {
        self.parts.len()
    }

    pub(crate) fn part(&self, number: u32) -> Option<&'a Part> {
        self.parts.get(number as usize)
    }

    /// The blocks of a part in which something is permitted and alive.
    pub(crate) fn blocks(&self, part: u32) -> &[Block] {
        self.view.parts.get(part as usize).map(|seen| seen.blocks.as_slice()).unwrap_or_default()
    }

    /// A chunk's id and its row in the catalogue.
    pub(crate) fn chunk(&self, at: Place) -> Option<(ChunkRef<'a>, i64)> {
        let segment = &self.part(at.part)?.segment;
        Some((segment.id(at.place), *segment.rows().get(at.place as usize)?))
    }
}

impl Snapshot {
    /// What one person sees of this.
    pub(crate) fn within(&self, within: &Bailiwick) -> Visible<'_> {
        let view = self.views.of(self, within);
        Visible { parts: &self.parts, totals: view.totals, view }
    }
}

#[derive(Debug)]
struct View {
    parts: Vec<Seen>,
    totals: Totals,
}

/// What is permitted of one part.
#[derive(Debug)]
struct Seen {
    ranges: Vec<Range<u32>>,
    blocks: Vec<Block>,
}

impl View {
    fn new(snapshot: &Snapshot, within: &Bailiwick) -> Self {
        let parts = snapshot.parts.iter().map(|part| {
            let ranges = part.permitted(within);
            let blocks = blocks(&ranges, &part.dead);
            Seen { ranges, blocks }
        });
        let totals = snapshot.totals(within).fold(Totals::default(), |sum, of_label| Totals {
            chunks: sum.chunks + of_label.chunks,
            words: sum.words + of_label.words,
        });
        Self { parts: parts.collect(), totals }
    }

    /// In units of 8 bytes, as many as a range, a block and 64 labels take.
    fn weight(&self, within: &Bailiwick) -> usize {
        let parts = self.parts.iter().map(|seen| seen.ranges.len() + seen.blocks.len());
        OF_EACH + within.words().len() + parts.sum::<usize>()
    }
}

/// The views of one state, by the permitted labels.
#[derive(Debug, Default)]
pub(crate) struct Views(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    views: AHashMap<Box<[u64]>, Arc<View>>,
    weight: usize,
}

impl Clone for Views {
    /// A copy of a state is made to be changed, and then it is seen differently.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Views {
    fn of(&self, snapshot: &Snapshot, within: &Bailiwick) -> Arc<View> {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = kept().views.get(within.words()) {
            return Arc::clone(view);
        }
        let view = Arc::new(View::new(snapshot, within));
        let weight = view.weight(within);
        let mut kept = kept();
        if kept.weight + weight > MOST_KEPT {
            *kept = Kept::default();
        }
        kept.weight += weight;
        kept.views.insert(within.words().into(), Arc::clone(&view));
        view
    }
}

/// The blocks in which these places lie. Only what is permitted and alive counts in them.
fn blocks(ranges: &[Range<u32>], dead: &Dead) -> Vec<Block> {
    const ALL: u8 = u8::MAX;
    let rows = ROWS as u32;
    let mut blocks: Vec<Block> = Vec::new();
    for range in ranges {
        let (first, end) = (range.start / rows, range.end.div_ceil(rows));
        // The range before may end in the block in which this one starts.
        let shared = blocks.pop_if(|last| last.at == first);
        let start = blocks.len();
        blocks.extend((first..end).map(|at| Block { at, rows: ALL }));
        if let Some(last) = blocks.last_mut() {
            last.rows &= ALL >> (end * rows - range.end);
        }
        if let Some(block) = blocks.get_mut(start) {
            block.rows &= ALL << (range.start % rows);
            block.rows |= shared.map_or(0, |shared| shared.rows);
        }
    }
    if !dead.is_empty() {
        blocks.retain_mut(|block| {
            block.rows &= !dead.of_block(block.at);
            block.rows != 0
        });
    }
    blocks.shrink_to_fit();
    blocks
}
