//! Opens the crate's SQLite files: private to their owner, versioned, never recreated.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bailiwick_sqlite::{OpenFiles, ReplacedFile};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

/// How long a statement waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The file or a page of it is not what SQLite wrote.
    #[error("{} is corrupt ({cause}); restore it from a backup", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        cause: String,
    },
    /// The file was there before and is gone or empty now.
    #[error("{} is missing or empty, but {} is there; restore it from a backup", path.display(), witness.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What shows that it was there.
        witness: PathBuf,
    },
    /// A newer release wrote the file.
    #[error("{} has schema version {found}, this release knows {known}; use a newer release", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: i64,
        /// The newest version that this release reads.
        known: i64,
    },
    /// The disk is full, a lock was not released in time, a permission lacks.
    #[error("{} cannot be used: {cause}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        cause: rusqlite::Error,
    },
    /// Another process removed or replaced a file of the open database.
    #[error(transparent)]
    Replaced(#[from] ReplacedFile),
    /// A file or directory cannot be made or read.
    #[error("{} cannot be used: {cause}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
}

impl DatabaseError {
    /// Sorts what SQLite said about `path`.
    pub(crate) fn sqlite(path: &Path, cause: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match cause.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt { path, cause: cause.to_string() }
            }
            _ => Self::Unusable { path, cause },
        }
    }

    pub(crate) fn file(path: &Path, cause: std::io::Error) -> Self {
        Self::File { path: path.to_owned(), cause }
    }
}

/// What a database must look like: the steps that lead there from an empty one, each of which
/// makes the next version, kept in `user_version`. A step that was released never changes.
pub(crate) struct Shape(pub(crate) &'static [&'static str]);

impl Shape {
    fn version(&self) -> i64 {
        i64::try_from(self.0.len()).unwrap_or(i64::MAX)
    }
}

/// Opens `path`, and makes it when it does not exist.
pub(crate) fn open(path: &Path, shape: &Shape) -> Result<Connection, DatabaseError> {
    bailiwick_sqlite::create(path).map_err(|e| DatabaseError::file(path, e))?;
    let wrong = |e| DatabaseError::sqlite(path, e);
    // One thread at a time uses a connection: Rust sees to that, so SQLite need not.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(wrong)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(wrong)?;
    use_wal(&connection).map_err(wrong)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(wrong)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(wrong)?;
    connection.set_prepared_statement_cache_capacity(64);
    prepare(&mut connection, path, shape)?;
    Ok(connection)
}

/// Notes the files of a database that [`open`] opened, which has read it and so made its log.
pub(crate) fn open_files(path: &Path) -> Result<OpenFiles, DatabaseError> {
    OpenFiles::note(path).map_err(|e| DatabaseError::file(path, e))
}

/// Switches to write-ahead logging; SQLite does not wait for locks here, so this does.
fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
    let mut tries = 0;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && tries < 100 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            other => return other,
        }
    }
}

fn prepare(connection: &mut Connection, path: &Path, shape: &Shape) -> Result<(), DatabaseError> {
    let wrong = |e| DatabaseError::sqlite(path, e);
    let known = shape.version();
    if version(connection).map_err(wrong)? == known {
        return Ok(());
    }
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrong)?;
    let found = version(&transaction).map_err(wrong)?;
    if found > known {
        return Err(DatabaseError::Newer { path: path.to_owned(), found, known });
    }
    for step in shape.0.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step).map_err(wrong)?;
    }
    transaction.pragma_update(None, "user_version", known).map_err(wrong)?;
    transaction.commit().map_err(wrong)
}

pub(crate) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Copies the state of `from` at one moment into the new file `to`, also while others write.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), DatabaseError> {
    let unwritable = |e| DatabaseError::file(to, e);
    // SQLite fills an empty file, which keeps the mode that it has.
    let file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(unwritable)?;
    let name = to.to_str().ok_or_else(|| unwritable(ErrorKind::InvalidFilename.into()))?;
    let wrong = |e| DatabaseError::sqlite(from, e);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(from, flags).map_err(wrong)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(wrong)?;
    connection.execute("VACUUM INTO ?1", [name]).map_err(wrong)?;
    file.sync_all().map_err(unwritable)
}

/// Whether `path` holds anything: a file cut to nothing counts as gone.
pub(crate) fn has_content(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| m.len() > 0)
}

/// Makes `path` a directory that only its owner enters.
pub(crate) fn private_directory(path: &Path) -> Result<(), DatabaseError> {
    let wrong = |e| DatabaseError::file(path, e);
    match DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(wrong(e)),
        _ => {}
    }
    let mode = fs::metadata(path).map_err(wrong)?.permissions().mode();
    if mode & 0o077 != 0
        && let Err(e) = fs::set_permissions(path, Permissions::from_mode(0o700))
    {
        tracing::warn!(path = %path.display(), cause = %e, "others may enter this directory");
    }
    Ok(())
}
