//! Segments in files: written once, whole or not at all, and mapped.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::mem::size_of;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bytemuck::{Pod, Zeroable, bytes_of};
use memmap2::Mmap;

use super::write::{ALIGNMENT, sections};
use super::{Bytes, Id, Layout, Section, Segment, Source};
use crate::code::{BlockWord, Factors, Levels, ROWS};
use crate::rotation::WORD;

const MAGIC: [u8; 8] = *b"BWSEG\0\0\x04";

/// What the end of a file says of the rest.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Footer {
    layout: Layout,
    /// CRC-32 of everything before the footer, and of the layout.
    checksum: u64,
    magic: [u8; 8],
}

/// Why a segment's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the file is not a whole segment")]
    Damaged,
    #[error("the file is of another state of the index")]
    Foreign,
}

/// A file that was written, and what it can be recognised by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) path: PathBuf,
    pub(crate) checksum: u32,
}

/// Writes the chunks that are alive in `sources` to the file `path`, which is durable when this
/// returns.
pub(crate) fn store(
    sources: &[&dyn Source],
    dimensions: usize,
    path: &Path,
    stop: &dyn Fn() -> bool,
) -> io::Result<Stored> {
    let unfinished = path.with_extension("unfinished");
    let file =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    let out = BufWriter::with_capacity(1 << 20, file);
    let mut out = Summed { out, sum: crc32fast::Hasher::new(), length: 0 };
    let layout = sections(sources, dimensions, &mut out, stop)?;
    out.sum.update(bytes_of(&layout));
    let checksum = out.sum.clone().finalize();
    let footer = Footer { layout, checksum: u64::from(checksum), magic: MAGIC };
    out.write_all(bytes_of(&footer))?;
    let file = out.out.into_inner().map_err(io::IntoInnerError::into_error)?;
    failpoint!("segment-before-sync");
    file.sync_all()?;
    failpoint!("segment-before-rename");
    fs::rename(&unfinished, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(Stored { path: path.to_owned(), checksum })
}

/// Maps the segment that was stored so, in an index of so many labels.
pub(crate) fn map(stored: &Stored, dimensions: usize, labels: u32) -> Result<Segment, FileError> {
    let map = mapped(&File::open(&stored.path)?)?;
    let (body, footer) = map.split_last_chunk::<FOOTER>().ok_or(FileError::Damaged)?;
    let footer: Footer = bytemuck::pod_read_unaligned(footer);
    let Footer { layout, checksum, magic } = footer;
    if magic != MAGIC || !layout.fits(body.len()) {
        return Err(FileError::Damaged);
    }
    if checksum != u64::from(stored.checksum) || layout.dimensions != dimensions as u64 {
        return Err(FileError::Foreign);
    }
    #[cfg(target_os = "linux")]
    populate(&map, layout);
    Segment::plausible(Bytes::Mapped(map), layout, labels).ok_or(FileError::Damaged)
}

/// Maps the coarse codes before anybody asks: a first search of many of them would do it page by
/// page, and take ten times as long as the next.
#[cfg(target_os = "linux")]
fn populate(map: &Mmap, layout: Layout) {
    let coarse = layout.sections.get(Section::Coarse as usize).copied().unwrap_or_default();
    let [start, length] = coarse.map(|number| number as usize);
    if let Err(error) = map.advise_range(memmap2::Advice::PopulateRead, start, length) {
        tracing::debug!(%error, "a segment is mapped as it is read");
    }
}

impl Segment {
    /// Whether a mapped segment's bytes are those that were written. Reads all of it.
    pub(crate) fn is_sound(&self) -> bool {
        self.bytes.as_slice().split_last_chunk::<FOOTER>().is_some_and(|(body, footer)| {
            let footer: Footer = bytemuck::pod_read_unaligned(footer);
            let mut sum = crc32fast::Hasher::new();
            sum.update(body);
            sum.update(bytes_of(&footer.layout));
            u64::from(sum.finalize()) == footer.checksum
        })
    }
}

const FOOTER: usize = size_of::<Footer>();

#[expect(unsafe_code, reason = "a mapping is only as constant as its file")]
fn mapped(file: &File) -> io::Result<Mmap> {
    // SAFETY: the file lies in the index's own folder, which is locked and closed to other users,
    // and nothing writes to a segment after it has got its name.
    unsafe { Mmap::map(file) }
}

impl Layout {
    /// Whether every section lies within `length` bytes, is aligned, and has as many items as
    /// there are chunks.
    fn fits(&self, length: usize) -> bool {
        let within = self.sections.iter().all(|[start, size]| {
            start % ALIGNMENT == 0
                && start.checked_add(*size).is_some_and(|end| end <= length as u64)
        });
        let size = |section: Section| self.sections.get(section as usize).map(|[_, size]| *size);
        let holds = |section, of_each: u64| size(section) == self.rows.checked_mul(of_each);
        let rows = u32::try_from(self.rows).is_ok() && self.dimensions <= 1 << 16;
        let groups = self.dimensions.div_ceil(WORD as u64);
        within
            && rows
            && holds(Section::Rows, 8)
            && holds(Section::Lengths, 2)
            && holds(Section::Ids, size_of::<Id>() as u64)
            && self
                .rows
                .div_ceil(ROWS as u64)
                .checked_mul((groups + 1) * size_of::<BlockWord>() as u64)
                == size(Section::Coarse)
            && holds(Section::Levels, groups * size_of::<Levels>() as u64)
            && holds(Section::Fine, size_of::<Factors>() as u64)
            && holds(Section::Vectors, 2 * self.dimensions)
    }
}

/// Counts and sums up what goes through it.
struct Summed {
    out: BufWriter<File>,
    sum: crc32fast::Hasher,
    length: usize,
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sum.update(bytes.get(..written).unwrap_or_default());
        self.length += written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
