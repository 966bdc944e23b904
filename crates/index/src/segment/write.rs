//! Makes one segment of many sources.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};

use bailiwick_policy::LabelId;
use bytemuck::{Pod, bytes_of, cast_slice};

use super::{Bytes, Fresh, Id, Layout, Run, SECTIONS, Section, Segment, Source, TermEntry};
use crate::code::ROWS;
use crate::rank::ChunkRef;

/// Sections begin at multiples of a cache line.
pub(super) const ALIGNMENT: u64 = 64;
/// A chunk of a source that did not get into the segment.
const DROPPED: u32 = u32::MAX;

/// A writer was asked to stop.
#[derive(Debug, thiserror::Error)]
#[error("cancelled")]
pub(crate) struct Cancelled;

/// Writes a segment of all chunks that are alive in `sources`, and says where everything is.
///
/// `stop` is asked now and then whether to give up.
///
/// # Errors
/// Those of `out`, and [`Cancelled`] as an [`io::Error`].
pub(super) fn sections(
    sources: &[&dyn Source],
    dimensions: usize,
    out: &mut dyn Write,
    stop: &dyn Fn() -> bool,
) -> io::Result<Layout> {
    let order = Order::of(sources);
    let mut writer =
        Writer { out, at: 0, layout: Layout::of(order.chunks.len(), dimensions), stop };
    writer.rows(&order, sources)?;
    writer.coarse(&order, sources)?;
    writer.slices(Section::Levels, &order, |chunk| chunk.of(sources).levels(chunk.place))?;
    writer.each(Section::Fine, &order, |chunk| chunk.of(sources).fine(chunk.place))?;
    writer.slices(Section::Vectors, &order, |chunk| chunk.of(sources).vector(chunk.place))?;
    writer.words(&order, sources)?;
    Ok(writer.layout)
}

/// A segment in memory of all chunks that are alive in `sources`.
pub(crate) fn write(sources: &[&dyn Source], dimensions: usize) -> Segment {
    // Words take about as much again, and growing would copy it all several times.
    let rows: usize = sources.iter().map(|source| source.places()).sum();
    let mut bytes = Vec::with_capacity(rows * 4 * dimensions);
    match sections(sources, dimensions, &mut bytes, &|| false) {
        Ok(layout) => Segment::new(Bytes::Memory(aligned(&bytes)), layout),
        // Memory takes whatever is written to it, and nobody asked to stop.
        Err(_) => Segment::new(Bytes::Memory(Vec::new()), Layout::of(0, dimensions)),
    }
}

fn aligned(bytes: &[u8]) -> Vec<u64> {
    let mut words = vec![0_u64; bytes.len().div_ceil(8)];
    if let Some(start) = bytemuck::cast_slice_mut(&mut words).get_mut(..bytes.len()) {
        start.copy_from_slice(bytes);
    }
    words
}

impl Layout {
    fn of(rows: usize, dimensions: usize) -> Self {
        Self { rows: rows as u64, dimensions: dimensions as u64, sections: [[0; 2]; SECTIONS] }
    }
}

/// One chunk of one of the sources.
#[derive(Clone, Copy)]
struct Chunk {
    label: LabelId,
    row: i64,
    source: u32,
    place: u32,
}

impl Chunk {
    fn of<'a>(&self, sources: &[&'a dyn Source]) -> &'a dyn Source {
        static NOTHING: Fresh = Fresh::EMPTY;
        sources.get(self.source as usize).copied().unwrap_or(&NOTHING)
    }
}

/// Which chunk goes where.
struct Order {
    chunks: Vec<Chunk>,
    /// For each source and place the new place.
    places: Vec<Vec<u32>>,
}

impl Order {
    fn of(sources: &[&dyn Source]) -> Self {
        let mut chunks = Vec::new();
        for (number, source) in (0..).zip(sources) {
            source.alive(&mut |label, row, place| {
                chunks.push(Chunk { label, row, source: number, place });
            });
        }
        chunks.sort_unstable_by_key(|chunk| (chunk.label, chunk.row));
        let mut places: Vec<_> =
            sources.iter().map(|source| vec![DROPPED; source.places()]).collect();
        for (new, chunk) in (0..).zip(&chunks) {
            let of_source = places.get_mut(chunk.source as usize);
            if let Some(place) = of_source.and_then(|places| places.get_mut(chunk.place as usize)) {
                *place = new;
            }
        }
        Self { chunks, places }
    }

    fn place(&self, source: usize, place: u32) -> u32 {
        let of_source = self.places.get(source);
        of_source.and_then(|places| places.get(place as usize)).copied().unwrap_or(DROPPED)
    }
}

struct Writer<'a> {
    out: &'a mut dyn Write,
    at: u64,
    layout: Layout,
    stop: &'a dyn Fn() -> bool,
}

impl Writer<'_> {
    fn begin(&mut self, section: Section) -> io::Result<()> {
        if (self.stop)() {
            return Err(io::Error::other(Cancelled));
        }
        let gap = self.at.next_multiple_of(ALIGNMENT) - self.at;
        let zeros = [0_u8; ALIGNMENT as usize];
        self.put(zeros.get(..gap as usize).unwrap_or_default())?;
        if let Some(place) = self.layout.sections.get_mut(section as usize) {
            *place = [self.at, 0];
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn end(&mut self, section: Section) {
        if let Some([start, length]) = self.layout.sections.get_mut(section as usize) {
            *length = self.at - *start;
        }
    }

    fn whole<T: Pod>(&mut self, section: Section, items: &[T]) -> io::Result<()> {
        self.begin(section)?;
        self.put(cast_slice(items))?;
        self.end(section);
        Ok(())
    }

    fn each<T: Pod>(
        &mut self,
        section: Section,
        order: &Order,
        item: impl Fn(&Chunk) -> T,
    ) -> io::Result<()> {
        self.begin(section)?;
        for chunk in &order.chunks {
            self.put(bytes_of(&item(chunk)))?;
        }
        self.end(section);
        Ok(())
    }

    fn slices<'a, T: Pod>(
        &mut self,
        section: Section,
        order: &Order,
        items: impl Fn(&Chunk) -> &'a [T],
    ) -> io::Result<()> {
        self.begin(section)?;
        for chunk in &order.chunks {
            self.put(cast_slice(items(chunk)))?;
        }
        self.end(section);
        Ok(())
    }

    fn rows(&mut self, order: &Order, sources: &[&dyn Source]) -> io::Result<()> {
        let mut runs: Vec<Run> = Vec::new();
        for (place, chunk) in (0..).zip(&order.chunks) {
            let words = u64::from(chunk.of(sources).length(chunk.place));
            match runs.last_mut() {
                Some(run) if run.label == chunk.label.as_u32() => run.words += words,
                _ => runs.push(Run { label: chunk.label.as_u32(), start: place, words }),
            }
        }
        self.whole(Section::Runs, &runs)?;
        self.each(Section::Rows, order, |chunk| chunk.row)?;

        let (mut ids, mut names) = (Vec::with_capacity(order.chunks.len()), Vec::new());
        let (mut last, mut start) = (None, 0);
        for chunk in &order.chunks {
            let ChunkRef { document, n } = chunk.of(sources).id(chunk.place);
            // Chunks of one document follow one another and share its name.
            if last != Some(document) {
                start = names.len();
                names.extend((document.len() as u16).to_le_bytes());
                names.extend(document.as_bytes());
                last = Some(document);
            }
            let name = u32::try_from(start).map_err(io::Error::other)?;
            ids.push(Id { name, n });
        }
        self.whole(Section::Ids, &ids)?;
        self.whole(Section::Names, &names)?;
        self.each(Section::Lengths, order, |chunk| chunk.of(sources).length(chunk.place))
    }

    fn coarse(&mut self, order: &Order, sources: &[&dyn Source]) -> io::Result<()> {
        self.begin(Section::Coarse)?;
        let words = self.layout.dimensions.div_ceil(64) as usize + 1;
        for block in order.chunks.chunks(ROWS) {
            for word in 0..words {
                let mut lanes = [0_u64; ROWS];
                for (lane, chunk) in lanes.iter_mut().zip(block) {
                    *lane = chunk.of(sources).coarse(chunk.place, word);
                }
                self.put(cast_slice(&lanes))?;
            }
        }
        self.end(Section::Coarse);
        Ok(())
    }

    /// Postings, then the table of the words that they belong to.
    fn words(&mut self, order: &Order, sources: &[&dyn Source]) -> io::Result<()> {
        self.begin(Section::Postings)?;
        let (mut terms, mut texts) = (Vec::new(), Vec::<u8>::new());
        let mut written = 0_u64;
        let mut places: Vec<(u32, u8)> = Vec::new();
        let mut next: BinaryHeap<Reverse<(&[u8], usize, usize)>> = BinaryHeap::new();
        for (number, source) in sources.iter().enumerate().filter(|(_, source)| source.terms() > 0)
        {
            next.push(Reverse((source.term(0), number, 0)));
        }
        while let Some(Reverse((term, number, at))) = next.pop() {
            let Some(source) = sources.get(number) else { continue };
            source.postings(at, &mut |place, frequency| {
                let new = order.place(number, place);
                if new != DROPPED {
                    places.push((new, frequency));
                }
            });
            if at + 1 < source.terms() {
                next.push(Reverse((source.term(at + 1), number, at + 1)));
            }
            let is_last = next.peek().is_none_or(|Reverse((other, ..))| *other != term);
            if is_last && !places.is_empty() {
                places.sort_unstable();
                texts.extend(term);
                terms.push(TermEntry {
                    text_end: u32::try_from(texts.len()).map_err(io::Error::other)?,
                    chunks: places.len() as u32,
                    postings: written,
                });
                written += self.postings(&places)?;
                places.clear();
            }
        }
        self.end(Section::Postings);
        self.whole(Section::Terms, &terms)?;
        self.whole(Section::Texts, &texts)
    }

    /// Writes one word's postings, and says how many units of four bytes they take.
    fn postings(&mut self, places: &[(u32, u8)]) -> io::Result<u64> {
        let start = self.at;
        let (numbers, mut frequencies): (Vec<u32>, Vec<u8>) = places.iter().copied().unzip();
        frequencies.resize(frequencies.len().next_multiple_of(4), 0);
        self.put(cast_slice(&numbers))?;
        self.put(&frequencies)?;
        Ok((self.at - start) / 4)
    }
}
