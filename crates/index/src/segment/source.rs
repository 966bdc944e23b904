//! What a segment can be made of.

use std::borrow::Borrow;

use bailiwick_policy::LabelId;
use half::f16;

use super::Segment;
use crate::code::{Factors, Levels, ROWS};
use crate::rank::ChunkRef;
use crate::snapshot::Part;

/// Chunks that a segment is made of: new ones, or those that are alive in another segment.
pub(crate) trait Source {
    /// How many places there are, dead ones included.
    fn places(&self) -> usize;
    /// Calls `each` with the label, row and place of every chunk that is alive.
    fn alive(&self, each: &mut dyn FnMut(LabelId, i64, u32));
    fn id(&self, place: u32) -> ChunkRef<'_>;
    fn length(&self, place: u32) -> u16;
    /// One word of a chunk's coarse code, whose factors are the last.
    fn coarse(&self, place: u32, word: usize) -> u64;
    /// A chunk's fine code.
    fn levels(&self, place: u32) -> &[Levels];
    fn fine(&self, place: u32) -> Factors;
    fn vector(&self, place: u32) -> &[f16];
    /// How many distinct words there are; they are in order.
    fn terms(&self) -> usize;
    fn term(&self, at: usize) -> &[u8];
    /// Calls `each` with every place that holds the word, dead ones included, and how often.
    fn postings(&self, at: usize, each: &mut dyn FnMut(u32, u8));
}

impl Source for Part {
    fn places(&self) -> usize {
        self.segment.len()
    }

    fn alive(&self, each: &mut dyn FnMut(LabelId, i64, u32)) {
        for (label, run, _) in self.segment.runs() {
            let rows = self.segment.rows().get(run.start as usize..).unwrap_or_default();
            for (place, row) in run.zip(rows) {
                if !self.dead.contains(place) {
                    each(label, *row, place);
                }
            }
        }
    }

    fn id(&self, place: u32) -> ChunkRef<'_> {
        self.segment.id(place)
    }

    fn length(&self, place: u32) -> u16 {
        self.segment.lengths().get(place as usize).copied().unwrap_or_default()
    }

    fn coarse(&self, place: u32, word: usize) -> u64 {
        let block = place as usize / ROWS * (self.segment.groups() + 1);
        let words = self.segment.coarse().get(block + word);
        words.and_then(|lanes| lanes.get(place as usize % ROWS)).copied().unwrap_or_default()
    }

    fn levels(&self, place: u32) -> &[Levels] {
        let groups = self.segment.groups();
        let start = place as usize * groups;
        self.segment.levels().get(start..start + groups).unwrap_or_default()
    }

    fn fine(&self, place: u32) -> Factors {
        self.segment.fine().get(place as usize).copied().unwrap_or_default()
    }

    fn vector(&self, place: u32) -> &[f16] {
        self.segment.vector(place)
    }

    fn terms(&self) -> usize {
        Segment::terms(self.segment.borrow())
    }

    fn term(&self, at: usize) -> &[u8] {
        Segment::term(self.segment.borrow(), at)
    }

    fn postings(&self, at: usize, each: &mut dyn FnMut(u32, u8)) {
        let postings = self.segment.postings_of(at);
        for (place, frequency) in postings.places.iter().zip(postings.frequencies) {
            each(*place, *frequency);
        }
    }
}
