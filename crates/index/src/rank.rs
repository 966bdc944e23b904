//! The best few of many, with ties decided by chunk id.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use bailiwick_policy::LabelId;

use crate::types::ChunkId;

/// A chunk with a score, ordered by rank: greater is better.
#[derive(Clone, Debug)]
pub(crate) struct Ranked<'a> {
    pub(crate) score: f32,
    pub(crate) id: &'a ChunkId,
    /// The chunk's row in the catalogue.
    pub(crate) row: i64,
    pub(crate) label: LabelId,
}

impl Ord for Ranked<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| other.id.cmp(self.id))
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

/// What the score of the last of the best is at least, told from lower bounds of scores.
#[derive(Debug)]
pub(crate) struct Floor {
    most: usize,
    /// The greatest lower bounds.
    heap: BinaryHeap<Reverse<Ordered>>,
}

/// A number with a total order.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ordered(f32);

impl Eq for Ordered {}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Floor {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, heap: BinaryHeap::with_capacity(most.min(1024) + 1) }
    }

    #[inline]
    pub(crate) fn raise(&mut self, lower: f32) {
        if self.heap.len() < self.most {
            self.heap.push(Reverse(Ordered(lower)));
        } else if let Some(mut least) = self.heap.peek_mut()
            && lower > least.0.0
        {
            *least = Reverse(Ordered(lower));
        }
    }

    /// Whether a score of at most `upper` may be among the best.
    #[inline]
    pub(crate) fn admits(&self, upper: f32) -> bool {
        self.heap.len() < self.most || self.heap.peek().is_some_and(|least| upper >= least.0.0)
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

    #[inline]
    pub(crate) fn offer(&mut self, ranked: Ranked<'a>) {
        if self.heap.len() < self.most {
            self.heap.push(Reverse(ranked));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && ranked > worst.0
        {
            *worst = Reverse(ranked);
        }
    }

    /// Whether anything with this score could still be among the best.
    #[inline]
    pub(crate) fn may_take(&self, score: f32) -> bool {
        self.heap.len() < self.most || self.heap.peek().is_some_and(|worst| score >= worst.0.score)
    }

    /// Best first.
    pub(crate) fn into_ranked(self) -> Vec<Ranked<'a>> {
        self.heap.into_sorted_vec().into_iter().map(|Reverse(ranked)| ranked).collect()
    }
}
