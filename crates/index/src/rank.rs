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
    heap: BinaryHeap<Reverse<Number>>,
}

/// A number with a total order.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Number(f32);

impl Eq for Number {}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Greatest {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, heap: BinaryHeap::with_capacity(most.min(1024) + 1) }
    }

    /// The least of them, or less than any number while there are too few.
    #[inline]
    pub(crate) fn least(&self) -> f32 {
        let full = self.heap.len() >= self.most;
        self.heap.peek().filter(|_| full).map_or(f32::NEG_INFINITY, |least| least.0.0)
    }

    pub(crate) fn offer(&mut self, number: f32) {
        if self.heap.len() < self.most {
            self.heap.push(Reverse(Number(number)));
        } else if let Some(mut least) = self.heap.peek_mut()
            && number > least.0.0
        {
            *least = Reverse(Number(number));
        }
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
