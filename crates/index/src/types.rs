//! What goes into an index and what comes out of it.

use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;

use bailiwick_policy::{Label, LabelId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::filter::Filter;

/// A document's id: what its owner calls it, 1 to 512 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct DocumentId(Arc<str>);

impl DocumentId {
    /// The longest id in bytes.
    pub const MAX_BYTES: usize = 512;

    /// # Errors
    /// A sentence for the caller when the id is empty, too long, or holds a control character.
    pub fn new(id: &str) -> Result<Self, String> {
        if id.is_empty() {
            return Err("a document id must not be empty".into());
        }
        if id.len() > Self::MAX_BYTES {
            return Err(format!("a document id has at most {} bytes", Self::MAX_BYTES));
        }
        if id.chars().any(char::is_control) {
            return Err("a document id must not hold control characters".into());
        }
        Ok(Self(id.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Name of what documents come from, such as a folder's path: 1 to 4,096 bytes without control
/// characters. A document's id belongs to the source that stored it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct SourceName(Arc<str>);

impl SourceName {
    /// The longest name in bytes, which is the longest path of a file system.
    pub const MAX_BYTES: usize = 4096;

    /// # Errors
    /// A sentence for the caller when the name is empty, too long, or holds a control character.
    pub fn new(name: &str) -> Result<Self, String> {
        if name.is_empty() || name.len() > Self::MAX_BYTES {
            return Err(format!("a source is named by 1 to {} bytes", Self::MAX_BYTES));
        }
        if name.chars().any(char::is_control) {
            return Err("the name of a source must not hold control characters".into());
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The source that a write is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Owner of the documents once they are stored.
    pub source: SourceName,
    /// Agent that writes, as it stands in the metadata `ingested_by`. Documents of a release that
    /// kept no sources belong to their agents.
    pub agent: Option<String>,
    /// Agents through whose hands the write came, besides those that the documents' stamps name.
    pub contributors: Vec<String>,
    /// Whether documents of other sources may be written too, which then belong to this one.
    pub replace: bool,
}

impl Origin {
    /// The origin of documents from this source, which replaces no other source's.
    pub fn of(source: SourceName) -> Self {
        Self { source, agent: None, contributors: Vec::new(), replace: false }
    }
}

/// A chunk's id: its document's id and its place in the document, from 0.
///
/// Its text form is `<document id>#<n>`; its order is the tie-break of every ranking, so that
/// equal scores rank alike whatever else the index holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId {
    /// The document.
    pub document: DocumentId,
    /// The place in the document, from 0.
    pub n: u32,
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.document, self.n)
    }
}

/// A document ready to be stored: labelled, split and embedded.
#[derive(Clone, Debug)]
pub struct NewDocument {
    /// Its id; a document with the same id is replaced.
    pub id: DocumentId,
    /// The whole text.
    pub text: String,
    /// What is shown with it: attributes, stamps, and whatever its owner sent.
    pub metadata: Map<String, Value>,
    /// What it takes to read it.
    pub label: Label,
    /// SHA-256 of what the owner sent, so that an unchanged document can be skipped.
    pub content_hash: [u8; 32],
    /// The source that it comes from.
    pub origin: Arc<Origin>,
    /// The embedder that made the vectors of its chunks.
    pub space: Arc<str>,
    /// Its chunks, in order.
    pub chunks: Vec<NewChunk>,
}

/// One chunk of a [`NewDocument`].
#[derive(Clone, Debug)]
pub struct NewChunk {
    /// The passage.
    pub text: String,
    /// Its embedding, with the index's number of dimensions.
    pub vector: Vec<f32>,
}

/// A stored document, as its reader sees it.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    /// Its id.
    pub id: DocumentId,
    /// The whole text.
    pub text: String,
    /// Attributes, stamps, and whatever its owner sent.
    pub metadata: Map<String, Value>,
}

/// How the two rankings are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// BM25 and vectors, combined.
    #[default]
    Hybrid,
    /// Vectors alone.
    Dense,
    /// BM25 alone.
    Lexical,
}

/// How a hybrid ranking is made of two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fusion {
    /// A weighted sum of the two scores.
    #[default]
    Convex,
    /// Reciprocal ranks, which ignore by how much one chunk is better than the next.
    Ranks,
}

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Query {
    /// The words, for BM25.
    pub text: String,
    /// The embedder that made `vector`.
    pub space: Arc<str>,
    /// Their embedding; empty when `mode` is [`Mode::Lexical`].
    pub vector: Vec<f32>,
    /// The most hits wanted.
    pub top_k: usize,
    /// Which rankings are used.
    pub mode: Mode,
    /// The share of the dense score in a hybrid one, 0 to 1. It belongs to the embedder.
    pub dense_weight: f32,
    /// How a hybrid ranking is made.
    pub fusion: Fusion,
    /// Compares every permitted vector whole, however many there are.
    pub exact: bool,
    /// How much a hit should differ from those before it, 0 (the default) to 1.
    pub diversity: f32,
    /// What hits' metadata must say. Everything else is not there for this query: it enters no
    /// word statistic and no norm.
    pub filter: Option<Arc<Filter>>,
}

impl Query {
    /// A query with equal weights and everything else as it is by default.
    pub fn new(
        text: impl Into<String>,
        space: impl Into<Arc<str>>,
        vector: Vec<f32>,
        top_k: usize,
        mode: Mode,
    ) -> Self {
        Self {
            text: text.into(),
            space: space.into(),
            vector,
            top_k,
            mode,
            dense_weight: 0.5,
            fusion: Fusion::default(),
            exact: false,
            diversity: 0.0,
            filter: None,
        }
    }
}

/// What makes a vector near to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// The angle between them: vectors are brought to length 1.
    #[default]
    Cosine,
    /// The inner product, whatever their lengths.
    InnerProduct,
}

/// One passage that answers, from a document that the reader may read.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The chunk.
    pub id: ChunkId,
    /// The passage.
    pub text: String,
    /// Its document's metadata.
    pub metadata: Map<String, Value>,
    /// Its document's label.
    pub label: LabelId,
    /// Higher is better. Cosine for dense, BM25 for lexical, 0 to 1 for hybrid.
    pub score: f32,
}

/// The answer to a [`Query`]: best first, ties by [`ChunkId`].
#[derive(Clone, Debug, Default)]
pub struct Hits {
    /// Best first.
    pub hits: Vec<Hit>,
    /// The state of the index that was searched.
    pub revision: u64,
}

/// How much of the index one person may read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Labels that hold at least one chunk.
    pub labels: usize,
    /// Chunks.
    pub chunks: u64,
}

/// How much stands under one label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelSize {
    /// The label.
    pub label: LabelId,
    /// Documents.
    pub documents: u64,
    /// Chunks.
    pub chunks: u64,
}

/// The metadata names of the agent that brought a document, and of the one that passed it on.
pub(crate) const CONTRIBUTOR_STAMPS: [&str; 2] = ["ingested_by", "ingested_through"];
/// The metadata name of the agent that brought the text, when another gave the metadata since.
pub(crate) const TEXT_CONTRIBUTOR_STAMP: &str = "text_ingested_by";

/// What an administrator wants done with everything that an agent brought.
#[derive(Clone, Debug)]
pub struct Order {
    /// Orders are obeyed once, and in the order of their numbers, from 1.
    pub number: u64,
    /// The agent, as stamps and [`Origin::contributors`] name it.
    pub agent: String,
    /// What to do.
    pub act: Act,
}

/// What becomes of an agent's documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// They are out of everybody's reach, and so is what the agent is still writing.
    Quarantine,
    /// They get the labels back that they had, or that they were given since.
    Release,
    /// They are removed.
    Purge,
}

/// What a write did. It is durable and searchable when this is returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// Documents written or removed.
    pub documents: usize,
    /// Chunks written or removed.
    pub chunks: usize,
    /// The index's revision after the write.
    pub revision: u64,
}

/// Sums the counts, and keeps the later revision.
impl AddAssign for Receipt {
    fn add_assign(&mut self, other: Self) {
        self.documents += other.documents;
        self.chunks += other.chunks;
        self.revision = self.revision.max(other.revision);
    }
}
