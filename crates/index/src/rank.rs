//! The best few of many, with ties decided by chunk id.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::snapshot::Place;
use crate::types::{ChunkId, DocumentId};

/// A [`ChunkId`] where it lies, in the same order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ChunkRef<'a> {
    pub(crate) document: &'a str,
    pub(crate) n: u32,
}

impl<'a> From<&'a ChunkId> for ChunkRef<'a> {
    fn from(id: &'a ChunkId) -> Self {
        Self { document: id.document.as_str(), n: id.n }
    }
}

impl ChunkRef<'_> {
    pub(crate) fn to_id(self) -> Result<ChunkId, String> {
        Ok(ChunkId { document: DocumentId::new(self.document)?, n: self.n })
    }
}

/// A chunk with a score, ordered by rank: greater is better.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranked<'a> {
    pub(crate) score: f32,
    pub(crate) id: ChunkRef<'a>,
    /// The chunk's row in the catalogue.
    pub(crate) row: i64,
    pub(crate) at: Place,
}

impl Ord for Ranked<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| other.id.cmp(&self.id))
    }
}

impl PartialOrd for Ranked<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked<'_> {}

/// The greatest few of many numbers.
#[derive(Debug)]
pub(crate) struct Greatest {
    most: usize,
    /// The greatest so far, and after them those that came since they were last told apart.
    numbers: Vec<f32>,
    least: f32,
}

impl Greatest {
    /// So many times as many numbers as are wanted are kept, because telling them apart takes as
    /// long for many as for few, for each of them.
    const SLACK: usize = 4;

    pub(crate) fn new(most: usize) -> Self {
        Self { most, numbers: Vec::new(), least: f32::NEG_INFINITY }
    }

    /// Numbers that are not greater make no difference any more.
    #[inline]
    pub(crate) fn floor(&self) -> f32 {
        self.least
    }

    #[inline]
    pub(crate) fn offer(&mut self, number: f32) {
        if number > self.least {
            self.numbers.push(number);
            if self.numbers.len() >= Self::SLACK * self.most {
                self.tell_apart();
            }
        }
    }

    fn tell_apart(&mut self) {
        if self.most == 0 || self.numbers.len() < self.most {
            return;
        }
        let (_, least, _) =
            self.numbers.select_nth_unstable_by(self.most - 1, |left, right| right.total_cmp(left));
        self.least = *least;
        self.numbers.truncate(self.most);
    }

    /// The least of them, or less than any number if there are too few.
    pub(crate) fn into_least(mut self) -> f32 {
        self.tell_apart();
        self.least
    }
}

/// Keeps the best `most` of everything that it is offered.
#[derive(Debug)]
pub(crate) struct Best<'a> {
    most: usize,
    heap: BinaryHeap<Reverse<Ranked<'a>>>,
}

impl<'a> Best<'a> {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, heap: BinaryHeap::with_capacity(most.min(1024) + 1) }
    }

    pub(crate) fn offer(&mut self, ranked: Ranked<'a>) {
        if self.heap.len() < self.most {
            self.heap.push(Reverse(ranked));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && ranked > worst.0
        {
            *worst = Reverse(ranked);
        }
    }

    /// The score below which nothing gets in any more.
    #[inline]
    pub(crate) fn floor(&self) -> f32 {
        let full = self.heap.len() >= self.most;
        self.heap.peek().filter(|_| full).map_or(f32::NEG_INFINITY, |worst| worst.0.score)
    }

    /// Best first.
    pub(crate) fn into_ranked(self) -> Vec<Ranked<'a>> {
        self.heap.into_sorted_vec().into_iter().map(|Reverse(ranked)| ranked).collect()
    }
}
