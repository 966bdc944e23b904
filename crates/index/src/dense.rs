//! Exact vector search over the permitted chunks, which stand together by label.
//!
//! The codes bound every score; whole vectors are read only where the bounds leave a doubt.

use std::sync::Arc;

use bailiwick_policy::{Bailiwick, LabelId};

use crate::codes::{Bounds, CodedQuery, Codes};
use crate::rank::{Best, Floor, Ranked};
use crate::types::{ChunkId, Size};

/// Products summed side by side. The order of additions is part of the result, so it is the same
/// on every machine and whatever the instruction set.
const LANES: usize = 16;

/// The chunks of one label, in the order of their rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Block {
    /// Ascending.
    rows: Vec<i64>,
    ids: Vec<ChunkId>,
    /// `rows.len()` × the number of dimensions.
    vectors: Vec<f32>,
    codes: Codes,
    /// Words as the lexical index counts them, in all chunks.
    tokens: u64,
    /// For each chunk.
    lengths: Vec<u32>,
}

/// One chunk as the index keeps it in memory.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) row: i64,
    pub(crate) id: ChunkId,
    pub(crate) vector: Vec<f32>,
    pub(crate) tokens: u32,
}

impl Block {
    fn place(&self, row: i64) -> Option<usize> {
        self.rows.binary_search(&row).ok()
    }

    fn insert(&mut self, entry: Entry) {
        let place = self.rows.partition_point(|row| *row < entry.row);
        let start = place * entry.vector.len();
        self.codes.insert(place, &entry.vector);
        self.vectors.splice(start..start, entry.vector);
        self.rows.insert(place, entry.row);
        self.ids.insert(place, entry.id);
        self.lengths.insert(place, entry.tokens);
        self.tokens += u64::from(entry.tokens);
    }

    fn remove(&mut self, row: i64, dimensions: usize) -> Option<Entry> {
        let place = self.place(row)?;
        let start = place * dimensions;
        let tokens = self.lengths.remove(place);
        self.codes.remove(place, dimensions);
        self.tokens -= u64::from(tokens);
        Some(Entry {
            row: self.rows.remove(place),
            id: self.ids.remove(place),
            vector: self.vectors.drain(start..start + dimensions).collect(),
            tokens,
        })
    }
}

/// All chunks, by label. A copy shares every block that a write does not touch.
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    dimensions: usize,
    by_label: Vec<Arc<Block>>,
}

/// What BM25 needs to know of the permitted chunks as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) chunks: u64,
    pub(crate) tokens: u64,
}

impl Blocks {
    pub(crate) fn new(dimensions: usize) -> Self {
        Self { dimensions, by_label: Vec::new() }
    }

    pub(crate) fn insert(&mut self, label: LabelId, entry: Entry) {
        let place = label.as_u32() as usize;
        if self.by_label.len() <= place {
            self.by_label.resize_with(place + 1, Arc::default);
        }
        if let Some(block) = self.by_label.get_mut(place) {
            Arc::make_mut(block).insert(entry);
        }
    }

    pub(crate) fn remove(&mut self, label: LabelId, row: i64) -> Option<Entry> {
        let block = self.by_label.get_mut(label.as_u32() as usize)?;
        Arc::make_mut(block).remove(row, self.dimensions)
    }

    fn permitted<'a>(
        &'a self,
        within: &'a Bailiwick,
    ) -> impl Iterator<Item = (LabelId, &'a Block)> {
        let blocks = within.iter().filter_map(|label| Some((label, self.block(label)?)));
        blocks.filter(|(_, block)| !block.rows.is_empty())
    }

    fn block(&self, label: LabelId) -> Option<&Block> {
        self.by_label.get(label.as_u32() as usize).map(AsRef::as_ref)
    }

    pub(crate) fn size(&self, within: &Bailiwick) -> Size {
        self.permitted(within).fold(Size::default(), |size, (_, block)| Size {
            labels: size.labels + 1,
            chunks: size.chunks + block.rows.len() as u64,
        })
    }

    pub(crate) fn totals(&self, within: &Bailiwick) -> Totals {
        self.permitted(within).fold(Totals::default(), |totals, (_, block)| Totals {
            chunks: totals.chunks + block.rows.len() as u64,
            tokens: totals.tokens + block.tokens,
        })
    }

    /// The chunk with this row, if it has this label.
    pub(crate) fn id(&self, label: LabelId, row: i64) -> Option<&ChunkId> {
        let block = self.block(label)?;
        block.ids.get(block.place(row)?)
    }

    /// The inner product of one chunk with the query.
    pub(crate) fn score(&self, label: LabelId, row: i64, query: &[f32]) -> Option<f32> {
        let block = self.block(label)?;
        let start = block.place(row)? * self.dimensions;
        Some(inner_product(block.vectors.get(start..start + self.dimensions)?, query))
    }

    /// The `most` permitted chunks with the greatest inner product, best first.
    pub(crate) fn nearest<'a>(
        &'a self,
        query: &[f32],
        within: &'a Bailiwick,
        most: usize,
    ) -> Vec<Ranked<'a>> {
        let query_code = CodedQuery::new(query);
        let mut floor = Floor::new(most);
        let mut bounds = Vec::new();
        let mut blocks = Vec::new();
        for (label, block) in self.permitted(within) {
            let start = bounds.len();
            block.codes.bounds(&query_code, &mut bounds);
            bounds.iter().skip(start).for_each(|bounds| floor.raise(bounds.lower));
            blocks.push((label, block, start));
        }
        let mut best = Best::new(most);
        for (label, block, start) in blocks {
            let bounds = bounds.get(start..start + block.rows.len()).unwrap_or_default();
            block.offer(query, label, bounds, &floor, &mut best);
        }
        best.into_ranked()
    }
}

impl Block {
    /// Scores the chunks that may still be among the best.
    fn offer<'a>(
        &'a self,
        query: &[f32],
        label: LabelId,
        bounds: &[Bounds],
        floor: &Floor,
        best: &mut Best<'a>,
    ) {
        let chunks = self.vectors.chunks_exact(query.len().max(1)).zip(&self.ids).zip(&self.rows);
        for (((vector, id), row), _) in
            chunks.zip(bounds).filter(|(_, bounds)| floor.admits(bounds.upper))
        {
            let score = inner_product(vector, query);
            best.offer(Ranked { score, id, row: *row, label });
        }
    }
}

fn inner_product(vector: &[f32], query: &[f32]) -> f32 {
    pulp::Arch::new().dispatch(|| sum_of_products(vector, query))
}

/// Inlined into each instruction set's version of its callers.
#[inline(always)]
fn sum_of_products(left: &[f32], right: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (left, left_rest) = left.as_chunks::<LANES>();
    let (right, right_rest) = right.as_chunks::<LANES>();
    for (left, right) in left.iter().zip(right) {
        for ((lane, left), right) in lanes.iter_mut().zip(left).zip(right) {
            *lane += left * right;
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(left, right)| left * right).sum();
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests;
