#![doc = include_str!("../README.md")]

/// A place at which a test may have the work fail as a disk would. Nothing but in tests.
macro_rules! failpoint {
    ($name:literal) => {
        fail::fail_point!($name, |_| Err(std::io::Error::other("failpoint").into()))
    };
}

mod analysis;
mod analyst;
mod backup;
mod bm25;
mod catalogue;
mod change;
mod code;
mod columns;
mod compaction;
mod dense;
mod diversity;
mod embedded;
mod filter;
mod follow;
mod gallop;
mod generation;
mod hybrid;
mod kernel;
mod manifest;
mod memory;
mod rank;
mod rotation;
mod search;
mod segment;
mod snapshot;
mod space;
mod state;
mod survey;
mod types;
mod view;

#[cfg(not(target_endian = "little"))]
compile_error!("segments are read as they are stored, in little-endian order");

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bailiwick_policy::{Bailiwick, Ceiling, Label, LabelId, LabelTable, Oversight};
use bailiwick_sqlite::ReplacedFile;
use serde_json::{Map, Value};
use thiserror::Error;

pub use backup::{back_up, check};
pub use embedded::{EmbeddedIndex, Options};
pub use filter::{Filter, FilterError};
pub use generation::Generation;
pub use survey::{Survey, incomplete_contributors};
pub use types::{
    Act, ChunkId, Document, DocumentId, Fusion, Hit, Hits, LabelSize, Metric, Mode, NewChunk,
    NewDocument, Order, Origin, Query, Receipt, Size, SourceName,
};

/// Documents and their chunks, searched within a bailiwick.
///
/// Every method that reads for a person takes a [`Bailiwick`], and its result is what an index would
/// give that holds only the documents inside: ids, order, scores and counts.
#[async_trait]
pub trait Index: Send + Sync + std::fmt::Debug {
    /// Checks that what is read and written is the stored data.
    ///
    /// # Errors
    /// The cause, for an operator.
    fn readiness(&self) -> Result<(), IndexError>;

    /// The labels that documents here have or had.
    fn labels(&self) -> &LabelTable;

    /// Counts the writes; a larger number is a later state.
    fn revision(&self) -> u64;

    /// Names the embedder that made the vectors here: questions and documents must be embedded by
    /// it. It may change while they are; then [`IndexError::OtherSpace`] says so.
    fn space(&self) -> Arc<str>;

    /// The best `query.top_k` chunks inside the bailiwick, ties by chunk id.
    async fn search(&self, query: &Query, within: &Bailiwick) -> Result<Hits, IndexError>;

    /// The hits that are still stored with the same text inside the bailiwick, in the same order
    /// and with the same scores, each with its document's current label and metadata.
    ///
    /// For callers that did something slow since the search, such as reranking: what was deleted,
    /// rewritten, relabelled or quarantined meanwhile is left out.
    async fn reread(&self, hits: Hits, within: &Bailiwick) -> Result<Hits, IndexError>;

    /// The document, or none, whether it is outside the bailiwick or does not exist.
    async fn document(
        &self,
        id: &DocumentId,
        within: &Bailiwick,
    ) -> Result<Option<Document>, IndexError>;

    /// How much is inside the bailiwick.
    async fn size(&self, within: &Bailiwick) -> Result<Size, IndexError>;

    /// How much there is under each label that a document has.
    async fn label_sizes(&self, oversight: Oversight) -> Result<Vec<LabelSize>, IndexError>;

    /// Some documents under these labels, a few of each, at most `limit`.
    async fn sample(
        &self,
        labels: &BTreeSet<LabelId>,
        limit: usize,
        oversight: Oversight,
    ) -> Result<Vec<DocumentId>, IndexError>;

    /// The label of a document, if there is such a document.
    async fn label_of(
        &self,
        id: &DocumentId,
        oversight: Oversight,
    ) -> Result<Option<LabelId>, IndexError>;

    /// Stores all of `documents` or none, replacing those with the same id. They are durable and
    /// searchable when this returns.
    ///
    /// The ceiling is held against the labels of the documents that are replaced; the new ones'
    /// labels are the caller's to check, who can say more about them. Only then are the sources of
    /// those that are replaced compared with those of the new ones, so that a writer learns of
    /// nothing beyond its ceiling.
    async fn upsert(
        &self,
        documents: Vec<NewDocument>,
        ceiling: &Ceiling,
    ) -> Result<Receipt, IndexError>;

    /// Removes those that exist, or none if the ceiling forbids one; the receipt counts them.
    async fn remove(&self, ids: &[DocumentId], ceiling: &Ceiling) -> Result<Receipt, IndexError>;

    /// Like [`Index::remove`], and refuses documents of other sources than the origin's, unless it
    /// replaces those.
    async fn remove_from(
        &self,
        ids: &[DocumentId],
        origin: &Origin,
        ceiling: &Ceiling,
    ) -> Result<Receipt, IndexError>;

    /// Gives a document new metadata and a new label; none when there is no such document. The
    /// ceiling is held against the label that it has. `contributors` are the agents through whose
    /// hands the label came, besides those that the stamps in the metadata name.
    async fn relabel(
        &self,
        id: &DocumentId,
        metadata: Map<String, Value>,
        label: Label,
        contributors: &[String],
        ceiling: &Ceiling,
    ) -> Result<Option<Receipt>, IndexError>;

    /// Obeys an order about an agent's documents; one that was obeyed before does nothing. It is
    /// durable, and in force for every search that starts after this returns.
    async fn obey(&self, order: Order) -> Result<Receipt, IndexError>;

    /// The number of the last order that was obeyed; 0 before the first.
    fn obeyed(&self) -> u64;

    /// For a writer that sent them before: which of these documents are stored with this content
    /// hash and for this source already. Those that no source has claimed yet become its own.
    async fn unchanged(
        &self,
        ids: &[(DocumentId, [u8; 32])],
        source: &SourceName,
    ) -> Result<Vec<bool>, IndexError>;
}

/// Why the index cannot do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The database is damaged, missing or of another version.
    #[error("the index in `{path}` cannot be used: {problem}")]
    Unusable {
        /// The file.
        path: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Stored documents have labels beyond the writer's ceiling; nothing was written.
    #[error("documents are stored under labels beyond the writer's ceiling")]
    Beyond(Vec<DocumentId>),
    /// Stored documents belong to other sources, which are named; nothing was written.
    #[error("documents with these ids belong to other sources")]
    OtherSource(Vec<(DocumentId, SourceName)>),
    /// A vector of another embedder was given: embed by the one that [`Index::space`] names.
    #[error("a vector was made by `{found}`, and this index holds vectors of `{expected}`")]
    OtherSpace {
        /// What the index holds.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A vector of the wrong length was given.
    #[error("a vector has {found} dimensions; this index holds vectors of {expected}")]
    Dimensions {
        /// What the index holds.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// A vector holds a number that is none, or too great to be stored in 16 bits.
    #[error("a vector holds a number that is not finite, or beyond 65504")]
    NotFinite,
    /// The bailiwick was decided on another index's labels, whose numbers mean nothing here.
    #[error("this bailiwick was decided for another index")]
    ForeignBailiwick,
    /// The catalogue failed.
    #[error("the index's database failed")]
    Catalogue(#[from] rusqlite::Error),
    /// Another process removed or replaced a file of the open database.
    #[error(transparent)]
    Replaced(#[from] ReplacedFile),
    /// The index takes more memory than there is.
    #[error(
        "the index takes {needed} MiB of memory and may take {available} MiB; use a machine with \
         more, or an embedding with fewer dimensions"
    )]
    TooLarge {
        /// What it takes, in MiB.
        needed: u64,
        /// What it may take, in MiB.
        available: u64,
    },
    /// A file could not be read or written.
    #[error("the index's files cannot be read or written")]
    Io(#[from] std::io::Error),
    /// A stored value is not what was written.
    #[error("a stored value is damaged: {0}")]
    Damaged(String),
    /// A search or a write was interrupted by a fault of its own.
    #[error("the index's worker stopped: {0}")]
    Stopped(String),
}
