//! What searches see: one state of the index.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use bailiwick_policy::{Bailiwick, LabelId};

use crate::code::ROWS;
use crate::segment::Segment;
use crate::space::Space;
use crate::types::Size;
use crate::view::Views;

/// Reading over fewer dead chunks is not slower than starting again behind them.
const NEAR: u32 = 16;

/// Places whose chunks were removed, or moved to another label, after their segment was made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dead {
    bits: Vec<u64>,
    count: usize,
}

impl Dead {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    #[inline]
    pub(crate) fn contains(&self, place: u32) -> bool {
        self.bits.get(place as usize / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// Which of the eight places of a block are here, the first in the lowest bit.
    #[inline]
    pub(crate) fn of_block(&self, block: u32) -> u8 {
        const { assert!(ROWS == 8) };
        let word = self.bits.get(block as usize / 8).copied().unwrap_or_default();
        word.to_le_bytes().get(block as usize % 8).copied().unwrap_or_default()
    }

    fn insert(&mut self, place: u32) -> bool {
        let at = place as usize / 64;
        if self.bits.len() <= at {
            self.bits.resize(at + 1, 0);
        }
        let Some(word) = self.bits.get_mut(at) else { return false };
        let is_new = *word >> (place % 64) & 1 == 0;
        *word |= 1 << (place % 64);
        self.count += usize::from(is_new);
        is_new
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        (0_u32..).zip(&self.bits).flat_map(|(n, word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| n * 64 + bit)
        })
    }
}

/// A segment, and which of its chunks are alive.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) segment: Arc<Segment>,
    pub(crate) dead: Arc<Dead>,
    /// Its number in the manifest, if it is in a file.
    pub(crate) file: Option<i64>,
}

impl Part {
    pub(crate) fn new(segment: Segment, file: Option<i64>) -> Self {
        Self { segment: Arc::new(segment), dead: Arc::default(), file }
    }

    /// How many chunks are alive.
    pub(crate) fn len(&self) -> usize {
        self.segment.len() - self.dead.len()
    }

    /// Marks a chunk as dead, if it is here.
    pub(crate) fn kill(&mut self, label: LabelId, row: i64) -> Option<u32> {
        let place = self.segment.find(label, row)?;
        Arc::make_mut(&mut self.dead).insert(place).then_some(place)
    }

    /// The places of the permitted chunks: ranges in order. Where most chunks are dead, as under a
    /// filter that few match, long stretches of them are left out.
    pub(crate) fn permitted(&self, within: &Bailiwick) -> Vec<Range<u32>> {
        let permitted = self.segment.permitted(within);
        if self.dead.len() <= self.segment.len() / 4 {
            return permitted;
        }
        let mut ranges: Vec<Range<u32>> = Vec::new();
        for range in permitted {
            let start = range.start;
            for place in range.filter(|place| !self.dead.contains(*place)) {
                match ranges.last_mut() {
                    Some(last) if last.end > start && place - last.end < NEAR => {
                        last.end = place + 1;
                    }
                    _ => ranges.push(place..place + 1),
                }
            }
        }
        ranges
    }

    /// Whether these are the same chunks, dead or alive.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.segment, &other.segment)
    }
}

/// A chunk: a part, and a place in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) part: u32,
    pub(crate) place: u32,
}

/// How many chunks a label has, and how many words these have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) chunks: u64,
    pub(crate) words: u64,
}

impl Totals {
    /// One chunk less. Before the bytes of a segment are checked, a length in it may be any number.
    fn lose(&mut self, words: u64) {
        self.chunks = self.chunks.saturating_sub(1);
        self.words = self.words.saturating_sub(words);
    }
}

/// One state of the index. It never changes; a write makes the next one.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) space: Arc<Space>,
    pub(crate) revision: u64,
    pub(crate) parts: Vec<Part>,
    /// For each label, by its number.
    totals: Arc<Vec<Totals>>,
    pub(crate) views: Views,
}

impl Snapshot {
    pub(crate) fn new(space: Arc<Space>, revision: u64, parts: Vec<Part>) -> Self {
        let (totals, views) = (Arc::default(), Views::default());
        let mut snapshot = Self { space, revision, parts: Vec::new(), totals, views };
        for part in parts {
            snapshot.count(&part);
            snapshot.parts.push(part);
        }
        snapshot
    }

    /// Adds the chunks of a segment.
    pub(crate) fn add(&mut self, part: Part) {
        self.count(&part);
        self.parts.push(part);
    }

    fn count(&mut self, part: &Part) {
        let totals = Arc::make_mut(&mut self.totals);
        for (label, run, words) in part.segment.runs() {
            let of_label = of_label(totals, label);
            of_label.chunks += u64::from(run.end - run.start);
            of_label.words += words;
            if !part.dead.is_empty() {
                for place in run.filter(|place| part.dead.contains(*place)) {
                    of_label.lose(length(part, place));
                }
            }
        }
    }

    /// Removes a chunk. Its words and vector stay in its segment until that is merged.
    pub(crate) fn remove(&mut self, label: LabelId, row: i64) {
        for part in &mut self.parts {
            if let Some(place) = part.kill(label, row) {
                let of_label = of_label(Arc::make_mut(&mut self.totals), label);
                of_label.lose(length(part, place));
            }
        }
    }

    /// Puts one part in the place of several that hold the same chunks.
    pub(crate) fn replace(&mut self, former: &[Part], merged: Part) {
        self.parts.retain(|part| !former.iter().any(|former| former.is(part)));
        if merged.segment.len() > 0 {
            // Files first, so that small parts follow large ones.
            let at = self.parts.iter().take_while(|part| part.file.is_some()).count();
            let at = if merged.file.is_some() { at } else { self.parts.len() };
            self.parts.insert(at, merged);
        }
    }

    /// How much each permitted label has, of those that have anything.
    pub(crate) fn totals(&self, within: &Bailiwick) -> impl Iterator<Item = Totals> {
        let totals = within.iter().filter_map(|label| self.totals.get(label.as_u32() as usize));
        totals.copied().filter(|totals| totals.chunks > 0)
    }

    /// How much of this there is within a bailiwick. Nothing but labels is looked at, because
    /// callers do not expect this to take long.
    pub(crate) fn size(&self, within: &Bailiwick) -> Size {
        self.totals(within).fold(Size::default(), |size, of_label| Size {
            labels: size.labels + 1,
            chunks: size.chunks + of_label.chunks,
        })
    }

    /// How many chunks there are.
    pub(crate) fn len(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }

    /// How many chunks a label has.
    pub(crate) fn chunks(&self, label: LabelId) -> u64 {
        self.totals.get(label.as_u32() as usize).map_or(0, |totals| totals.chunks)
    }

    /// What would be here without those chunks of a bailiwick that do not match. The others are
    /// not looked at, and stay.
    pub(crate) fn matching(
        &self,
        within: &Bailiwick,
        mut matches: impl FnMut(i64) -> bool,
    ) -> Self {
        let mut smaller = self.clone();
        let totals = Arc::make_mut(&mut smaller.totals);
        for part in &mut smaller.parts {
            let segment = Arc::clone(&part.segment);
            let dead = Arc::make_mut(&mut part.dead);
            for (label, run, _) in segment.runs().filter(|(label, ..)| within.contains(*label)) {
                let of_label = of_label(totals, label);
                let rows = segment.rows().get(run.start as usize..run.end as usize);
                let lengths = segment.lengths().get(run.start as usize..run.end as usize);
                let chunks = rows.into_iter().flatten().zip(lengths.into_iter().flatten());
                for (place, (row, length)) in run.zip(chunks) {
                    if !dead.contains(place) && !matches(*row) {
                        dead.insert(place);
                        of_label.lose((*length).into());
                    }
                }
            }
        }
        smaller
    }

    /// The ids of the documents that have chunks under these labels and match.
    pub(crate) fn documents(
        &self,
        of: impl Fn(LabelId) -> bool,
        mut matches: impl FnMut(i64) -> bool,
    ) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for part in &self.parts {
            for (_, run, _) in part.segment.runs().filter(|(label, ..)| of(*label)) {
                let rows = part.segment.rows().get(run.start as usize..run.end as usize);
                for (place, row) in run.zip(rows.into_iter().flatten()) {
                    if !part.dead.contains(place) && matches(*row) {
                        found.insert(part.segment.id(place).document);
                    }
                }
            }
        }
        found
    }
}

fn of_label(totals: &mut Vec<Totals>, label: LabelId) -> &mut Totals {
    let at = label.as_u32() as usize;
    if totals.len() <= at {
        totals.resize(at + 1, Totals::default());
    }
    #[expect(clippy::indexing_slicing, reason = "the line above makes the place")]
    &mut totals[at]
}

fn length(part: &Part, place: u32) -> u64 {
    part.segment.lengths().get(place as usize).copied().map(u64::from).unwrap_or_default()
}
