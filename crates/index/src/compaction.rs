//! Many small segments become few large ones, while searches go on.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::IndexError;
use crate::manifest::{self, Merged};
use crate::segment::{self, Source, Stored, write};
use crate::snapshot::{Part, Snapshot};

/// So many segments of like size become one: each chunk is copied once for each factor of this.
const FAN_IN: usize = 8;
/// By how much a segment is too large to be merged with smaller ones in idle time.
const MUCH_LARGER: usize = 8;
/// A segment with a greater share of dead chunks is copied without them.
const DEAD: usize = 4;

/// Merges segments in memory as long as the last ones are of like size, so that single writes do
/// not leave thousands.
pub(crate) fn merge_small(snapshot: &mut Snapshot, flush: usize) {
    loop {
        let small = snapshot.parts.iter().rev().take_while(|part| part.file.is_none());
        let Some(last) = small.clone().next().map(magnitude) else { return };
        let like: Vec<Part> = small.take_while(|part| magnitude(part) <= last).cloned().collect();
        if like.len() < FAN_IN || like.iter().map(Part::len).sum::<usize>() > flush {
            return;
        }
        let merged = Part::new(write(&sources(&like), snapshot.space.dimensions), None);
        snapshot.replace(&like, merged);
    }
}

/// Powers of the fan-in.
fn magnitude(part: &Part) -> u32 {
    part.len().max(1).ilog(FAN_IN)
}

fn sources(parts: &[Part]) -> Vec<&dyn Source> {
    parts.iter().map(|part| part as &dyn Source).collect()
}

/// The segments that should become one, if any should. When the index is idle, what is in memory
/// is moved to a file however little it is.
pub(crate) fn plan(snapshot: &Snapshot, flush: usize, idle: bool) -> Option<Vec<Part>> {
    let (files, memory): (Vec<Part>, Vec<Part>) =
        snapshot.parts.iter().cloned().partition(|part| part.file.is_some());
    let waiting: usize = memory.iter().map(|part| part.segment.len()).sum();
    if waiting >= flush || (idle && waiting > 0) {
        return Some(memory);
    }
    if let Some(worn) = files.iter().find(|part| part.dead.len() * DEAD > part.segment.len()) {
        return Some(vec![worn.clone()]);
    }
    let like = files.iter().map(magnitude).find_map(|size| {
        let like: Vec<Part> =
            files.iter().filter(|part| magnitude(part) == size).cloned().collect();
        (like.len() >= FAN_IN).then_some(like)
    });
    like.or_else(|| idle.then(|| unlike(files)).flatten())
}

/// Segments of any size that an idle index has the time to merge: each of them is not much larger
/// than those behind it together, so that no chunk is copied often.
fn unlike(mut files: Vec<Part>) -> Option<Vec<Part>> {
    files.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let mut rest: usize = files.iter().map(Part::len).sum();
    let first = files.iter().position(|part| {
        rest -= part.len();
        rest > 0 && part.len() <= rest * MUCH_LARGER
    })?;
    Some(files.split_off(first))
}

/// A merged segment that the manifest does not name yet.
#[derive(Debug)]
pub(crate) struct Made {
    former: Vec<Part>,
    part: Part,
    stored: Option<Stored>,
}

/// Writes one file of the chunks that are alive in `former`.
pub(crate) fn make(
    former: Vec<Part>,
    path: &Path,
    file: i64,
    dimensions: usize,
    stop: &dyn Fn() -> bool,
) -> Result<Made, IndexError> {
    if former.iter().all(|part| part.len() == 0) {
        let part = Part::new(write(&[], dimensions), None);
        return Ok(Made { former, part, stored: None });
    }
    let stored = segment::store(&sources(&former), dimensions, path, stop)?;
    failpoint!("segment-before-map");
    // What was written a moment ago is of this index, however many labels that has by now.
    let segment = segment::map(&stored, dimensions, u32::MAX).map_err(io::Error::other)?;
    Ok(Made { former, part: Part::new(segment, Some(file)), stored: Some(stored) })
}

impl Made {
    /// Puts the merged segment in the place of the former ones, in the manifest and in the next
    /// state, and says which files are of no use any more.
    ///
    /// `now` is the state as it is now: chunks that died while the file was written are dead in
    /// it too.
    pub(crate) fn install(
        self,
        connection: &mut Connection,
        folder: &Path,
        now: &Snapshot,
    ) -> Result<(Snapshot, Vec<PathBuf>), IndexError> {
        let Self { former, mut part, stored } = self;
        let mut died = Vec::new();
        for before in &former {
            // Gone only when all was made anew meanwhile, without this file.
            let Some(current) = now.parts.iter().find(|part| part.is(before)) else {
                return Ok((now.clone(), Vec::new()));
            };
            for place in current.dead.iter().filter(|place| !before.dead.contains(*place)) {
                if let Some((label, row)) = before.segment.chunk(place) {
                    part.kill(label, row);
                    died.push((label, row));
                }
            }
        }
        let row = |part: &Part, place: u32| part.segment.rows().get(place as usize).copied();
        let dead = former.iter().flat_map(|part| part.dead.iter().filter_map(|at| row(part, at)));
        let in_memory = former.iter().filter(|part| part.file.is_none());
        let merged = Merged {
            file: part.file.zip(stored.as_ref()),
            former: former.iter().filter_map(|part| part.file).collect(),
            flushed: in_memory.flat_map(|part| part.segment.rows().iter().copied()).max(),
            dropped: dead.collect(),
            died,
        };
        let transaction = connection.transaction()?;
        manifest::install(&transaction, &merged)?;
        failpoint!("manifest-before-commit");
        transaction.commit()?;
        let unused = merged.former.iter().map(|file| manifest::path(folder, *file)).collect();
        let mut next = now.clone();
        next.replace(&former, part);
        Ok((next, unused))
    }
}
