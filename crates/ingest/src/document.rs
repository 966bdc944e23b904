//! What a reader hands to the intake.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::record::Record;

/// The metadata names under which [`Intake`](crate::Intake) writes the truth about a document's
/// way in; whatever a sender wrote there is overwritten or removed.
pub const STAMPS: [&str; 6] =
    ["ingested_by", "ingested_through", "text_ingested_by", "token_jti", "scope", "ingested_at"];

/// The metadata names that belong to the reader, so that no record of an API can set them.
pub const READER_NAMES: [&str; 5] =
    ["source_endpoint", "ingestion_auth", "record_index", "clearance_required", "confidentiality"];

/// The metadata name that says what kind of text a document holds, such as `text/markdown`.
pub const CONTENT_TYPE: &str = "content_type";

/// One document as it comes from a file, a vault record or a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceDocument {
    /// What its owner calls it. A document with the same id is replaced.
    pub id: String,
    /// The whole text.
    pub text: String,
    /// Its attributes, and whatever else is shown with it.
    #[serde(default, deserialize_with = "distinct")]
    pub metadata: Map<String, Value>,
}

/// A document's metadata, as it comes in a request by itself.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "Given")]
pub struct Metadata(pub Map<String, Value>);

/// Metadata alone, or as it stands in a document: `{"metadata": {…}}`.
#[derive(Deserialize)]
#[serde(untagged, expecting = "metadata is an object in which no name stands twice")]
enum Given {
    Member(Member),
    Alone(Record),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    metadata: Record,
}

impl From<Given> for Metadata {
    fn from(given: Given) -> Self {
        let (Given::Member(Member { metadata }) | Given::Alone(metadata)) = given;
        Self(metadata.into_map())
    }
}

/// A name that appears twice is an error: whoever checked the metadata before us may have seen the
/// other value, and it may be the label.
fn distinct<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    Record::deserialize(deserializer).map(Record::into_map)
}

/// The most documents in one request.
pub const BATCH_DOCUMENTS: usize = 100;

/// The most bytes of text and metadata in one request, unless a single document has more.
pub const BATCH_BYTES: usize = 4_000_000;

/// Cuts documents into the batches that a server takes in one request.
pub fn batches(documents: Vec<SourceDocument>) -> Vec<Vec<SourceDocument>> {
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    let mut bytes = 0;
    for document in documents {
        let size = document.json_bytes();
        if !batch.is_empty() && (batch.len() == BATCH_DOCUMENTS || bytes + size > BATCH_BYTES) {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += size;
        batch.push(document);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

impl SourceDocument {
    /// What it takes in a request, in bytes.
    fn json_bytes(&self) -> usize {
        serde_json::to_vec(self).map_or(usize::MAX / 2, |json| json.len() + 1)
    }
}

/// Whether a record must not set this metadata name.
pub(crate) fn is_reserved(name: &str) -> bool {
    name.starts_with('_') || STAMPS.contains(&name) || READER_NAMES.contains(&name)
}
