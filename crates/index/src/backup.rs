//! Copies of the truth; what is derived is made again from them.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::IndexError;
use crate::catalogue::{self, DATABASE, DERIVED};

/// Copies the index of `folder` into the folder `to`, which is made: its state of one moment, also
/// while another process writes. Without an index in `folder` nothing is done.
///
/// # Errors
/// When `to` holds an index already, cannot be written, or the database is damaged or missing.
pub fn back_up(folder: &Path, to: &Path) -> Result<(), IndexError> {
    let database = folder.join(DATABASE);
    if !catalogue::exists(&database, &folder.join(DERIVED))? {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    let target = to.join(DATABASE);
    // SQLite fills an empty file, which keeps the mode that it has.
    let file = File::options().write(true).create_new(true).mode(0o600).open(&target)?;
    let name = target.to_str().ok_or_else(|| {
        catalogue::unusable(&target, "its name is not UTF-8; choose another folder")
    })?;
    catalogue::reader(&database)?.execute("VACUUM INTO ?", [name])?;
    file.sync_all()?;
    Ok(File::open(to)?.sync_all()?)
}

/// Has SQLite check every page of the index in `folder`, and counts its documents. A folder
/// without an index holds none.
///
/// # Errors
/// When the database is damaged or missing.
pub fn check(folder: &Path) -> Result<u64, IndexError> {
    let database = folder.join(DATABASE);
    if !catalogue::exists(&database, &folder.join(DERIVED))? {
        return Ok(0);
    }
    let connection = catalogue::reader(&database)?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        let problem = format!("{verdict}; restore it from another backup");
        return Err(catalogue::unusable(&database, &problem));
    }
    let documents: i64 =
        connection.query_row("SELECT count(*) FROM documents", [], |row| row.get(0))?;
    Ok(documents.unsigned_abs())
}
