//! Which segments are in files, as the catalogue has it: what it does not name does not exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_policy::LabelId;
use rusqlite::{Connection, Transaction, params};

use crate::IndexError;
use crate::catalogue;
use crate::segment::{self, FileError, Stored};
use crate::snapshot::{Part, Snapshot};
use crate::space::Space;

/// The last chunk that is in a segment's file, or was when it was made. Later rows are in memory.
const FLUSHED: &str = "flushed";

/// The file of a segment.
pub(crate) fn path(folder: &Path, file: i64) -> PathBuf {
    folder.join(format!("{file:08}.segment"))
}

/// A number for the next file. It may have been given to a file that never got into the manifest.
pub(crate) fn next_file(connection: &Connection) -> Result<i64, IndexError> {
    let sql = "SELECT coalesce(max(file), 0) + 1 FROM segments";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// The row after which chunks are in no file.
pub(crate) fn flushed(connection: &Connection) -> Result<i64, IndexError> {
    let stored = catalogue::meta(connection, FLUSHED)?;
    Ok(stored.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// What one merge changes.
#[derive(Debug)]
pub(crate) struct Merged<'a> {
    /// The new file, unless nothing was left to be in it.
    pub(crate) file: Option<(i64, &'a Stored)>,
    /// The files that it replaces.
    pub(crate) former: Vec<i64>,
    /// The greatest row that is in a file now, if rows were not in one before.
    pub(crate) flushed: Option<i64>,
    /// Chunks that were dead already, and are in no segment any more.
    pub(crate) dropped: Vec<i64>,
    /// Chunks that died while the file was written, and are in it.
    pub(crate) died: Vec<(LabelId, i64)>,
}

/// Puts a merged segment in the place of those that it was made of.
pub(crate) fn install(
    transaction: &Transaction<'_>,
    merged: &Merged<'_>,
) -> Result<(), IndexError> {
    for file in &merged.former {
        transaction.prepare_cached("DELETE FROM segments WHERE file = ?")?.execute([file])?;
    }
    if let Some((file, stored)) = merged.file {
        transaction
            .prepare_cached("INSERT INTO segments VALUES (?, ?)")?
            .execute(params![file, stored.checksum])?;
    }
    let mut statement = transaction.prepare_cached("DELETE FROM gone WHERE chunk = ?")?;
    for row in &merged.dropped {
        statement.execute([row])?;
    }
    if let Some(row) = merged.flushed {
        // Most of what came and went in memory is in no file.
        let mut statement =
            transaction.prepare_cached("DELETE FROM gone WHERE chunk > ? AND chunk <= ?")?;
        statement.execute([flushed(transaction)?, row])?;
        catalogue::set_meta(transaction, FLUSHED, &row.to_string())?;
    }
    let mut statement = transaction.prepare_cached("INSERT OR IGNORE INTO gone VALUES (?, ?)")?;
    for (label, row) in &merged.died {
        statement.execute(params![row, label.as_u32()])?;
    }
    Ok(())
}

/// Forgets all files, so that they are made anew of the catalogue.
pub(crate) fn clear(connection: &Transaction<'_>) -> Result<(), IndexError> {
    connection.execute_batch("DELETE FROM segments; DELETE FROM gone")?;
    Ok(catalogue::set_meta(connection, FLUSHED, "0")?)
}

/// [`clear`], as a write of its own: until all is made anew, by whomever, nothing else is written.
pub(crate) fn start_anew(connection: &mut Connection) -> Result<(), IndexError> {
    let transaction = connection.transaction()?;
    clear(&transaction)?;
    catalogue::raise_revision(&transaction)?;
    failpoint!("anew-before-commit");
    transaction.commit()?;
    failpoint!("anew-after-commit");
    Ok(())
}

/// Maps every segment of the manifest, and deletes other files.
///
/// A segment that is missing or damaged is a reason to forget them all: they are derived.
pub(crate) fn open(
    connection: &mut Connection,
    folder: &Path,
    space: Arc<Space>,
) -> Result<Snapshot, IndexError> {
    let parts = match mapped(connection, folder, space.dimensions)? {
        Ok(parts) => parts,
        Err((path, error)) => {
            tracing::warn!(path = %path.display(), %error, "all segments will be made anew");
            let transaction = connection.transaction()?;
            clear(&transaction)?;
            transaction.commit()?;
            Vec::new()
        }
    };
    let wanted: BTreeSet<PathBuf> =
        parts.iter().filter_map(|part| Some(path(folder, part.file?))).collect();
    let found = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let found: Vec<PathBuf> = found.collect::<std::io::Result<_>>()?;
    let unused = found.into_iter().filter(|path| !wanted.contains(path));
    delete(&unused.collect::<Vec<_>>());
    let mut snapshot = Snapshot::new(space, catalogue::revision(connection)?, parts);
    let mut statement = connection.prepare("SELECT chunk, label FROM gone")?;
    let mut gone = statement.query([])?;
    while let Some(row) = gone.next()? {
        snapshot.remove(LabelId::from_u32(row.get(1)?), row.get(0)?);
    }
    Ok(snapshot)
}

/// Deletes files that the manifest does not name. One that stays is deleted at the next start.
pub(crate) fn delete(unused: &[PathBuf]) {
    for path in unused {
        if let Err(error) = fs::remove_file(path) {
            tracing::warn!(path = %path.display(), %error, "an unused segment stays");
        }
    }
}

type Unmapped = (PathBuf, FileError);

fn mapped(
    connection: &Connection,
    folder: &Path,
    dimensions: usize,
) -> Result<Result<Vec<Part>, Unmapped>, IndexError> {
    let mut statement = connection.prepare("SELECT file, checksum FROM segments ORDER BY file")?;
    let files = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let labels: u32 = connection.query_row("SELECT count(*) FROM labels", [], |row| row.get(0))?;
    let mut parts = Vec::new();
    for stored in files {
        let (file, checksum) = stored?;
        let stored = Stored { path: path(folder, file), checksum };
        match segment::map(&stored, dimensions, labels) {
            Ok(segment) => parts.push(Part::new(segment, Some(file))),
            Err(error) => return Ok(Err((stored.path, error))),
        }
    }
    Ok(Ok(parts))
}
