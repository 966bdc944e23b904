//! Small documents, and an index to put them into.

use std::path::Path;
use std::sync::Arc;

use bailiwick_index::{
    DocumentId, EmbeddedIndex, Hits, Mode, NewChunk, NewDocument, Options, Origin, Query,
    SourceName,
};
use bailiwick_policy::{AttributeConfig, Schema};
use serde_json::{Map, Value, json};

pub(crate) const DIMENSIONS: usize = 8;
/// Whose vectors these are.
pub(crate) const SPACE: &str = "test";

pub(crate) fn schema() -> Arc<Schema> {
    let attributes: Vec<AttributeConfig> =
        serde_json::from_value(json!([{ "name": "team", "type": "keyword" }])).unwrap();
    Arc::new(Schema::new(&attributes).unwrap())
}

/// So few chunks in memory that any test moves some to files, and merges these.
pub(crate) fn options(folder: &Path) -> Options {
    Options { flush: 6, ..Options::new(folder.to_owned(), schema(), SPACE.into(), DIMENSIONS) }
}

pub(crate) fn open(folder: &Path) -> EmbeddedIndex {
    try_open(folder).expect("the index opens")
}

pub(crate) fn try_open(folder: &Path) -> Result<EmbeddedIndex, bailiwick_index::IndexError> {
    EmbeddedIndex::open(options(folder))
}

pub(crate) fn metadata(team: &str) -> Map<String, Value> {
    json!({ "team": team }).as_object().unwrap().clone()
}

/// A vector of unit length that depends on the text's letters alone.
pub(crate) fn vector(text: &str) -> Vec<f32> {
    vector_of(text, DIMENSIONS)
}

pub(crate) fn vector_of(text: &str, dimensions: usize) -> Vec<f32> {
    let mut sums = vec![0.1_f32; dimensions];
    for (place, byte) in text.bytes().enumerate() {
        sums[(usize::from(byte) + place) % dimensions] += f32::from(byte % 13) - 5.5;
    }
    let length = sums.iter().map(|x| x * x).sum::<f32>().sqrt();
    sums.iter().map(|x| x / length).collect()
}

/// A source that replaces no other's documents.
pub(crate) fn origin(source: &str) -> Arc<Origin> {
    Arc::new(Origin::of(SourceName::new(source).unwrap()))
}

pub(crate) fn document(id: &str, team: &str, passages: &[&str]) -> NewDocument {
    let metadata = metadata(team);
    NewDocument {
        id: DocumentId::new(id).unwrap(),
        text: passages.join("\n"),
        label: schema().label(&metadata).unwrap(),
        metadata,
        content_hash: [7; 32],
        origin: origin("tests"),
        space: SPACE.into(),
        chunks: passages
            .iter()
            .map(|text| NewChunk { text: (*text).to_owned(), vector: vector(text) })
            .collect(),
    }
}

pub(crate) fn query(text: &str, mode: Mode, top_k: usize) -> Query {
    Query { dense_weight: 0.4, ..Query::new(text, SPACE, vector(text), top_k, mode) }
}

/// Everything about hits that their reader can see, with scores to the last bit.
pub(crate) fn seen(hits: &Hits) -> Vec<(String, String, Value, u32)> {
    let seen = hits.hits.iter().map(|hit| {
        (hit.id.to_string(), hit.text.clone(), json!(hit.metadata), hit.score.to_bits())
    });
    seen.collect()
}
