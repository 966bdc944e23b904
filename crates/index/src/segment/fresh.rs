//! Chunks that are in no segment yet.

use std::sync::Arc;

use ahash::AHashMap;
use bailiwick_policy::LabelId;
use half::f16;

use super::Source;
use crate::analysis::Words;
use crate::code::{Code, Coder, Factors, Levels};
use crate::rank::ChunkRef;
use crate::types::ChunkId;

/// What is derived from a chunk alone.
#[derive(Clone, Debug)]
pub(crate) struct Analysed {
    pub(crate) vector: Vec<f16>,
    code: Code,
    words: Words,
}

impl Analysed {
    pub(crate) fn new(words: Words, vector: Vec<f16>, coder: &Coder) -> Self {
        // The code is of what is stored, so that a code made later is the same.
        let stored: Vec<f32> = vector.iter().copied().map(f16::to_f32).collect();
        let code = coder.encode(&stored);
        Self { vector, code, words }
    }
}

/// A chunk and its number in the catalogue.
#[derive(Clone, Debug)]
pub(crate) struct FreshRow {
    pub(crate) row: i64,
    pub(crate) label: LabelId,
    pub(crate) id: ChunkId,
    pub(crate) analysed: Analysed,
}

/// A word, the places that hold it, and how often each does.
type Term = (Arc<str>, Vec<(u32, u8)>);

/// Chunks and, for each word, which of them hold it.
#[derive(Debug)]
pub(crate) struct Fresh {
    rows: Vec<FreshRow>,
    terms: Vec<Term>,
}

impl Fresh {
    pub(super) const EMPTY: Self = Self { rows: Vec::new(), terms: Vec::new() };

    pub(crate) fn new(mut rows: Vec<FreshRow>) -> Self {
        let mut terms: AHashMap<Arc<str>, Vec<(u32, u8)>> = AHashMap::new();
        for (place, row) in (0..).zip(&mut rows) {
            for (word, frequency) in row.analysed.words.counted.drain(..) {
                terms.entry(word).or_default().push((place, frequency));
            }
        }
        let mut terms: Vec<Term> = terms.into_iter().collect();
        terms.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        Self { rows, terms }
    }

    fn row(&self, place: u32) -> Option<&FreshRow> {
        self.rows.get(place as usize)
    }

    fn code(&self, place: u32) -> Option<&Code> {
        self.row(place).map(|row| &row.analysed.code)
    }
}

impl Source for Fresh {
    fn places(&self) -> usize {
        self.rows.len()
    }

    fn alive(&self, each: &mut dyn FnMut(LabelId, i64, u32)) {
        for (place, row) in (0..).zip(&self.rows) {
            each(row.label, row.row, place);
        }
    }

    fn id(&self, place: u32) -> ChunkRef<'_> {
        self.row(place).map(|row| ChunkRef::from(&row.id)).unwrap_or_default()
    }

    fn length(&self, place: u32) -> u16 {
        self.row(place).map(|row| row.analysed.words.length).unwrap_or_default()
    }

    fn coarse(&self, place: u32, word: usize) -> u64 {
        self.code(place).map(|code| code.coarse(word)).unwrap_or_default()
    }

    fn levels(&self, place: u32) -> &[Levels] {
        self.code(place).map(|code| code.levels.as_slice()).unwrap_or_default()
    }

    fn fine(&self, place: u32) -> Factors {
        self.code(place).map(|code| code.fine).unwrap_or_default()
    }

    fn vector(&self, place: u32) -> &[f16] {
        self.row(place).map(|row| row.analysed.vector.as_slice()).unwrap_or_default()
    }

    fn terms(&self) -> usize {
        self.terms.len()
    }

    fn term(&self, at: usize) -> &[u8] {
        self.terms.get(at).map(|(word, _)| word.as_bytes()).unwrap_or_default()
    }

    fn postings(&self, at: usize, each: &mut dyn FnMut(u32, u8)) {
        let found = self.terms.get(at).map(|(_, found)| found.as_slice()).unwrap_or_default();
        found.iter().for_each(|(place, frequency)| each(*place, *frequency));
    }
}
