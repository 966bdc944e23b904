//! Corpora that are too large for a disk to wait for.

use std::path::Path;

use bailiwick_index::{EmbeddedIndex, Mode, NewChunk, NewDocument, Options, Query};
use tempfile::TempDir;

use crate::corpus::{SPACE, document, options, vector_of};

/// What codes say something of.
const DIMENSIONS: usize = 96;

/// A folder in memory where there is one: these tests are about what is stored, not about disks.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap()
}

/// An index for vectors of many dimensions.
pub(crate) fn open(folder: &Path) -> EmbeddedIndex {
    let options = Options { dimensions: DIMENSIONS, flush: 700, ..options(folder) };
    EmbeddedIndex::open(options).expect("the index opens")
}

pub(crate) fn document_of(id: &str, team: &str, text: &str) -> NewDocument {
    let chunks = vec![NewChunk { text: text.to_owned(), vector: vector_of(text, DIMENSIONS) }];
    NewDocument { chunks, ..document(id, team, &[]) }
}

pub(crate) fn query_of(text: &str) -> Query {
    Query::new(text, SPACE, vector_of(text, DIMENSIONS), 10, Mode::Dense)
}
