//! Answers through the public surface; the language model is a real HTTP peer.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod extractive;
mod generated;
#[path = "../../../models/tests/models/peer.rs"]
mod peer;

use bailiwick_answer::Answerer;
use bailiwick_index::{ChunkId, DocumentId, Hit, Hits};
use bailiwick_policy::LabelId;
use futures::TryStreamExt;
use serde_json::{Map, json};

/// Hits with these passages, best first, each of a document of its own.
pub(crate) fn hits(passages: &[&str]) -> Hits {
    let hit = |(place, passage): (usize, &&str)| {
        let mut metadata = Map::new();
        metadata.insert("clearance_level".into(), json!("SECRET-ATTRIBUTE"));
        Hit {
            id: ChunkId { document: DocumentId::new(&format!("d{place}")).unwrap(), n: 0 },
            text: (*passage).to_owned(),
            metadata,
            label: LabelId::from_u32(0),
            score: 1.0 / (1.0 + f32::from(u16::try_from(place).unwrap())),
        }
    };
    Hits { hits: passages.iter().enumerate().map(hit).collect(), revision: 1 }
}

/// The whole answer.
pub(crate) async fn ask(answerer: &dyn Answerer, question: &str, hits: &Hits) -> String {
    answerer.answer(question, hits).await.unwrap().try_collect().await.unwrap()
}
