//! Chunks in the order of their labels, with everything that a search reads of them.
//!
//! A segment never changes. It lies in memory or in a mapped file, byte for byte alike:
//!
//! ```text
//! runs       label, first place, words    one for each label that it holds, by label
//! rows       the catalogue's row          one for each chunk, by (label, row)
//! ids        name and number              ┐
//! names      document ids                 ┘ what ties are decided by
//! lengths    words                        one for each chunk
//! coarse     coarse codes and their factors, by blocks of eight chunks
//! levels     fine codes
//! fine       what turns a fine code into a bound
//! vectors    f16                          one for each chunk
//! postings   for each word: places of the chunks that hold it, and how often
//! terms      where each word's text and postings are, by the word
//! texts      the words
//! footer     where all this is
//! ```
//!
//! A chunk's *place* is its position here. Nothing of a chunk depends on any other chunk, so a
//! segment says of the permitted ones what a segment without the rest would say.

mod directory;
mod file;
mod fresh;
mod source;
mod write;

use std::ops::Range;

use bailiwick_policy::{Bailiwick, LabelId};
use bytemuck::{Pod, Zeroable};
use half::f16;

use crate::code::{BlockWord, Factors, Levels};
use crate::rank::ChunkRef;
use crate::rotation::WORD;
use directory::Directory;

pub(crate) use file::{FileError, Stored, map, store};
pub(crate) use fresh::{Analysed, Fresh, FreshRow};
pub(crate) use source::Source;
pub(crate) use write::write;

/// The chunks of one label: from `start` to the start of the next run.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub(crate) struct Run {
    label: u32,
    start: u32,
    words: u64,
}

/// Where a chunk's document id is among the names, and the chunk's number in the document.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct Id {
    name: u32,
    n: u32,
}

/// Where a word's text ends, and where the chunks are that hold it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct TermEntry {
    text_end: u32,
    chunks: u32,
    /// In units of four bytes.
    postings: u64,
}

/// The chunks that hold a word, by place, and how often each does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Postings<'a> {
    pub(crate) places: &'a [u32],
    /// At most 255.
    pub(crate) frequencies: &'a [u8],
}

/// What a segment is made of, in this order.
#[derive(Clone, Copy, Debug)]
enum Section {
    Runs,
    Rows,
    Ids,
    Names,
    Lengths,
    Coarse,
    Levels,
    Fine,
    Vectors,
    Postings,
    Terms,
    Texts,
}

const SECTIONS: usize = 12;

/// Where the sections are, in bytes, and how many chunks they hold.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
struct Layout {
    rows: u64,
    dimensions: u64,
    sections: [[u64; 2]; SECTIONS],
}

/// The bytes of a segment, wherever they are.
enum Bytes {
    Memory(Vec<u64>),
    Mapped(memmap2::Mmap),
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Memory(words) => bytemuck::cast_slice(words),
            Self::Mapped(map) => map,
        }
    }
}

/// See the module's text.
pub(crate) struct Segment {
    bytes: Bytes,
    layout: Layout,
    directory: Directory,
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mapped = matches!(self.bytes, Bytes::Mapped(_));
        f.debug_struct("Segment").field("chunks", &self.len()).field("mapped", &mapped).finish()
    }
}

impl Segment {
    /// Of bytes in which everything is where `layout` says.
    fn new(bytes: Bytes, layout: Layout) -> Self {
        let mut segment = Self { bytes, layout, directory: Directory::default() };
        segment.directory = Directory::new(segment.section(Section::Runs));
        segment
    }

    /// The same, if its runs can be true in an index of so many labels. Snapshots rely on that
    /// before every byte is checked.
    fn plausible(bytes: Bytes, layout: Layout, labels: u32) -> Option<Self> {
        let unchecked = Self { bytes, layout, directory: Directory::default() };
        let is_plausible = unchecked.runs().all(|(label, run, words)| {
            let most = u64::from(run.end.saturating_sub(run.start)) * u64::from(u16::MAX);
            let is_within = run.start < run.end && run.end as usize <= unchecked.len();
            label.as_u32() < labels && is_within && words <= most
        });
        is_plausible.then(|| Self::new(unchecked.bytes, layout))
    }

    /// How many chunks there are, dead ones included.
    pub(crate) fn len(&self) -> usize {
        self.layout.rows as usize
    }

    pub(crate) fn dimensions(&self) -> usize {
        self.layout.dimensions as usize
    }

    /// How many bytes it takes.
    pub(crate) fn size(&self) -> u64 {
        self.bytes.as_slice().len() as u64
    }

    fn section<T: Pod>(&self, section: Section) -> &[T] {
        let [start, length] = self.layout.sections.get(section as usize).copied().unwrap_or([0; 2]);
        let range = start as usize..(start + length) as usize;
        // Whether sections are within the bytes and aligned was checked when they were read.
        self.bytes
            .as_slice()
            .get(range)
            .and_then(|bytes| bytemuck::try_cast_slice(bytes).ok())
            .unwrap_or_default()
    }

    pub(crate) fn rows(&self) -> &[i64] {
        self.section(Section::Rows)
    }

    /// Words as BM25 counts them, for each chunk; at most 65,535.
    pub(crate) fn lengths(&self) -> &[u16] {
        self.section(Section::Lengths)
    }

    /// The blocks of coarse codes, one after another.
    pub(crate) fn coarse(&self) -> &[BlockWord] {
        self.section(Section::Coarse)
    }

    pub(crate) fn levels(&self) -> &[Levels] {
        self.section(Section::Levels)
    }

    pub(crate) fn fine(&self) -> &[Factors] {
        self.section(Section::Fine)
    }

    /// The vectors of all chunks, one after another.
    pub(crate) fn vectors(&self) -> &[f16] {
        self.section(Section::Vectors)
    }

    pub(crate) fn vector(&self, place: u32) -> &[f16] {
        let start = place as usize * self.dimensions();
        self.vectors().get(start..start + self.dimensions()).unwrap_or_default()
    }

    /// How many times 64 dimensions a code has.
    pub(crate) fn groups(&self) -> usize {
        self.dimensions().div_ceil(WORD)
    }

    /// Each label that it holds, the places of its chunks, and how many words they have.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (LabelId, Range<u32>, u64)> {
        let runs: &[Run] = self.section(Section::Runs);
        let ends = runs.iter().skip(1).map(|run| run.start).chain([self.len() as u32]);
        runs.iter()
            .zip(ends)
            .map(|(run, end)| (LabelId::from_u32(run.label), run.start..end, run.words))
    }

    /// The places of one label's chunks.
    fn run(&self, label: LabelId) -> Option<Range<u32>> {
        let run = self.directory.run(label)?;
        self.places(self.section(Section::Runs), run..run + 1)
    }

    /// The places of these runs, which are one after another.
    fn places(&self, of: &[Run], runs: Range<usize>) -> Option<Range<u32>> {
        let end = of.get(runs.end).map_or(self.len() as u32, |next| next.start);
        Some(of.get(runs.start)?.start..end)
    }

    /// The places of the permitted chunks: ranges in order, neighbours joined.
    pub(crate) fn permitted(&self, within: &Bailiwick) -> Vec<Range<u32>> {
        let mut ranges: Vec<Range<u32>> = Vec::new();
        let of = self.section(Section::Runs);
        self.directory.permitted(within, |runs| {
            let Some(next) = self.places(of, runs) else { return };
            match ranges.last_mut() {
                Some(last) if last.end == next.start => last.end = next.end,
                _ => ranges.push(next),
            }
        });
        ranges
    }

    /// Where the chunk with this label and row is.
    pub(crate) fn find(&self, label: LabelId, row: i64) -> Option<u32> {
        let run = self.run(label)?;
        let rows = self.rows().get(run.start as usize..run.end as usize)?;
        rows.binary_search(&row).ok().map(|at| run.start + at as u32)
    }

    /// The label and the row of a chunk.
    pub(crate) fn chunk(&self, place: u32) -> Option<(LabelId, i64)> {
        let runs: &[Run] = self.section(Section::Runs);
        let run = runs.partition_point(|run| run.start <= place).checked_sub(1)?;
        let label = LabelId::from_u32(runs.get(run)?.label);
        Some((label, *self.rows().get(place as usize)?))
    }

    pub(crate) fn id(&self, place: u32) -> ChunkRef<'_> {
        let ids: &[Id] = self.section(Section::Ids);
        let Some(id) = ids.get(place as usize) else { return ChunkRef::default() };
        ChunkRef { document: self.name(id.name).unwrap_or_default(), n: id.n }
    }

    fn name(&self, start: u32) -> Option<&str> {
        let names: &[u8] = self.section(Section::Names);
        let (length, rest) = names.get(start as usize..)?.split_first_chunk::<2>()?;
        let name = rest.get(..usize::from(u16::from_le_bytes(*length)))?;
        std::str::from_utf8(name).ok()
    }

    /// The chunks that hold this word.
    pub(crate) fn postings(&self, word: &str) -> Postings<'_> {
        let terms: &[TermEntry] = self.section(Section::Terms);
        let (mut low, mut high) = (0, terms.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.term(middle).cmp(word.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return self.postings_of(middle),
            }
        }
        Postings::default()
    }

    fn term(&self, at: usize) -> &[u8] {
        let terms: &[TermEntry] = self.section(Section::Terms);
        let end = |at: usize| terms.get(at).map_or(0, |term| term.text_end as usize);
        let start = at.checked_sub(1).map_or(0, end);
        self.section::<u8>(Section::Texts).get(start..end(at)).unwrap_or_default()
    }

    fn postings_of(&self, at: usize) -> Postings<'_> {
        let terms: &[TermEntry] = self.section(Section::Terms);
        let found = terms.get(at).and_then(|term| {
            let chunks = term.chunks as usize;
            let postings: &[u32] = self.section(Section::Postings);
            let (places, rest) =
                postings.get(term.postings as usize..)?.split_at_checked(chunks)?;
            let frequencies = bytemuck::cast_slice(rest).get(..chunks)?;
            Some(Postings { places, frequencies })
        });
        found.unwrap_or_default()
    }

    fn terms(&self) -> usize {
        self.section::<TermEntry>(Section::Terms).len()
    }
}
