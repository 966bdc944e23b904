//! The embedded index from outside.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod durability;
mod noninterference;
mod people;
mod trouble;
mod writes;

use std::path::Path;
use std::sync::Arc;

use bailiwick_index::{
    DocumentId, EmbeddedIndex, Hits, Mode, NewChunk, NewDocument, Options, Query,
};
use bailiwick_policy::{AttributeConfig, Schema};
use serde_json::{Map, Value, json};

const DIMENSIONS: usize = 8;

fn schema() -> Arc<Schema> {
    let attributes: Vec<AttributeConfig> =
        serde_json::from_value(json!([{ "name": "team", "type": "keyword" }])).unwrap();
    Arc::new(Schema::new(&attributes).unwrap())
}

fn open(folder: &Path) -> EmbeddedIndex {
    try_open(folder).expect("the index opens")
}

fn try_open(folder: &Path) -> Result<EmbeddedIndex, bailiwick_index::IndexError> {
    EmbeddedIndex::open(Options {
        folder: folder.to_owned(),
        schema: schema(),
        embedder: "test".into(),
        dimensions: DIMENSIONS,
    })
}

fn metadata(team: &str) -> Map<String, Value> {
    json!({ "team": team }).as_object().unwrap().clone()
}

/// A vector of unit length that depends on the text's letters alone.
fn vector(text: &str) -> Vec<f32> {
    let mut sums = [0.1_f32; DIMENSIONS];
    for (place, byte) in text.bytes().enumerate() {
        sums[(usize::from(byte) + place) % DIMENSIONS] += f32::from(byte % 13) - 5.5;
    }
    let length = sums.iter().map(|x| x * x).sum::<f32>().sqrt();
    sums.iter().map(|x| x / length).collect()
}

fn document(id: &str, team: &str, passages: &[&str]) -> NewDocument {
    let metadata = metadata(team);
    NewDocument {
        id: DocumentId::new(id).unwrap(),
        text: passages.join("\n"),
        label: schema().label(&metadata).unwrap(),
        metadata,
        content_hash: [7; 32],
        chunks: passages
            .iter()
            .map(|text| NewChunk { text: (*text).to_owned(), vector: vector(text) })
            .collect(),
    }
}

fn query(text: &str, mode: Mode, top_k: usize) -> Query {
    Query { text: text.to_owned(), vector: vector(text), top_k, mode, dense_weight: 0.4 }
}

/// Everything about hits that their reader can see, with scores to the last bit.
fn seen(hits: &Hits) -> Vec<(String, String, Value, u32)> {
    let seen = hits.hits.iter().map(|hit| {
        (hit.id.to_string(), hit.text.clone(), json!(hit.metadata), hit.score.to_bits())
    });
    seen.collect()
}
