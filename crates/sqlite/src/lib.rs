#![doc = include_str!("../README.md")]

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Suffixes of the files of a database in write-ahead mode: itself, its log, and the log's index.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// A file of an open database that is not the one that was opened.
///
/// From then on, what SQLite reports as committed may be in a file that has no name any more.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} was removed or replaced while it was open, so nothing more is read from or written to this \
     database; stop this process, keep a copy of the folder, and restore it from a backup or start \
     again",
    path.display()
)]
pub struct ReplacedFile {
    /// The file that is missing or another one now.
    pub path: PathBuf,
}

/// Creates an empty database file that only its owner may read, unless there is a file already.
///
/// SQLite gives the log and its index the mode of the database, so this sets all three. Call it
/// before the first connection of the process: an existing file is not opened.
///
/// # Errors
/// The file cannot be created.
pub fn create(path: &Path) -> io::Result<()> {
    // Existence is looked up first, because `create_new` may be refused for other reasons, such as
    // a disk that cannot be written, where an existing file is still readable.
    if fs::symlink_metadata(path).is_ok() {
        return Ok(());
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Identities of the files of an open database, to notice when one is removed or replaced.
///
/// They are compared by `stat`, never by opening a file, which would drop SQLite's locks. While a
/// connection is open, its files keep their inodes, so no other file can take their identity.
#[derive(Debug)]
pub struct OpenFiles {
    files: Vec<(PathBuf, Identity)>,
}

/// Device and inode of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl OpenFiles {
    /// Notes the files of the database at `path`, to which a connection must be open that has read
    /// or written in write-ahead mode: from then on SQLite neither removes nor replaces them.
    ///
    /// # Errors
    /// One of the three files is missing.
    pub fn note(path: &Path) -> io::Result<Self> {
        let files = SUFFIXES.iter().map(|suffix| {
            let mut name = OsString::from(path);
            name.push(suffix);
            let file = PathBuf::from(name);
            let identity = Identity::of(&file)?;
            Ok((file, identity))
        });
        Ok(Self { files: files.collect::<io::Result<_>>()? })
    }

    /// Compares the files with those that were noted. Costs three calls of `stat`.
    ///
    /// # Errors
    /// [`ReplacedFile`] names the first file that is missing or another one.
    pub fn check(&self) -> Result<(), ReplacedFile> {
        let replaced = self
            .files
            .iter()
            .find(|(file, noted)| !Identity::of(file).is_ok_and(|identity| identity == *noted));
        replaced.map_or(Ok(()), |(path, _)| Err(ReplacedFile { path: path.clone() }))
    }
}

impl Identity {
    fn of(file: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(file)?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rusqlite::Connection;

    use super::*;

    fn open(path: &Path) -> Connection {
        let connection = Connection::open(path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.execute_batch("CREATE TABLE IF NOT EXISTS t (n INTEGER)").unwrap();
        connection
    }

    /// Lines of /proc/locks that are about this process.
    fn locks() -> usize {
        let own = std::process::id().to_string();
        let locks = fs::read_to_string("/proc/locks").unwrap();
        locks.lines().filter(|line| line.split_whitespace().nth(4) == Some(&own)).count()
    }

    #[test]
    fn files_are_private_and_existing_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("private.db");
        create(&path).unwrap();
        let connection = open(&path);
        for suffix in SUFFIXES {
            let file = format!("{}{suffix}", path.display());
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
        }
        let (held, length) = (locks(), fs::metadata(&path).unwrap().len());
        create(&path).unwrap();
        assert_eq!((locks(), fs::metadata(&path).unwrap().len()), (held, length));
        assert!(held > 0, "an open database holds a lock");
        drop(connection);
    }

    #[test]
    fn a_missing_or_replaced_file_is_named() {
        for suffix in SUFFIXES {
            for replaced in [false, true] {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("watched.db");
                let _connection = open(&path);
                let files = OpenFiles::note(&path).unwrap();
                files.check().unwrap();
                let file = PathBuf::from(format!("{}{suffix}", path.display()));
                fs::rename(&file, folder.path().join("elsewhere")).unwrap();
                if replaced {
                    fs::copy(folder.path().join("elsewhere"), &file).unwrap();
                }
                assert_eq!(files.check().unwrap_err().path, file);
                // The file that was opened is back.
                fs::rename(folder.path().join("elsewhere"), &file).unwrap();
                files.check().unwrap();
            }
        }
    }
}
