//! Changes under searches that go on, and schemas that change under stored documents.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bailiwick_index::{DocumentId, EmbeddedIndex, Index, Mode, NewChunk, NewDocument, Options};
use bailiwick_policy::{AttributeConfig, Ceiling, Label, Schema};
use serde_json::{Value, json};

use crate::people::People;
use crate::{document, metadata, open, query, schema, seen, vector};

/// While a document goes to and fro, a search between two changes sees one state and no trace of
/// the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_search_between_two_changes_sees_no_trace_of_the_other_state() {
    const CHANGING: u64 = 0;
    let people = People::new().await;
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let texts = ["a pump and a valve", "a pump that leaks", "a valve"];
    for (n, text) in texts.iter().enumerate() {
        index
            .upsert(vec![document(&format!("d{n}"), "ours", &[text])], &Ceiling::none())
            .await
            .unwrap();
    }
    let id = DocumentId::new("d1").unwrap();
    let move_to = async |index: &EmbeddedIndex, team: &str| {
        let label = schema().label(&metadata(team)).unwrap();
        index.relabel(&id, metadata(team), label, &[], &Ceiling::none()).await.unwrap().unwrap();
    };
    move_to(&index, "theirs").await;
    let ours = people.member(&["ours"], &index).await;
    let asked = query("pump", Mode::Hybrid, 5);
    let hidden = seen(&index.search(&asked, &ours).await.unwrap());
    move_to(&index, "ours").await;
    let shown = seen(&index.search(&asked, &ours).await.unwrap());
    assert_ne!(hidden, shown);

    let state = Arc::new(AtomicU64::new(1));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (index, ours, asked) = (index.clone(), Arc::clone(&ours), asked.clone());
            let (state, hidden, shown) = (Arc::clone(&state), hidden.clone(), shown.clone());
            tokio::spawn(async move {
                let mut compared = 0;
                while state.load(Ordering::SeqCst) != u64::MAX {
                    let before = state.load(Ordering::SeqCst);
                    let found = seen(&index.search(&asked, &ours).await.unwrap());
                    if before != CHANGING && state.load(Ordering::SeqCst) == before {
                        assert_eq!(found, if before % 2 == 0 { &*hidden } else { &*shown });
                        compared += 1;
                    }
                }
                compared
            })
        })
        .collect();
    for n in 2..30 {
        state.store(CHANGING, Ordering::SeqCst);
        move_to(&index, if n % 2 == 0 { "theirs" } else { "ours" }).await;
        state.store(n, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    state.store(u64::MAX, Ordering::SeqCst);
    for reader in readers {
        assert!(reader.await.unwrap() > 0, "nothing was compared");
    }
}

fn levels(names: &[&str]) -> Arc<Schema> {
    let attribute = json!([{ "name": "level", "type": "level", "levels": names }]);
    let attributes: Vec<AttributeConfig> = serde_json::from_value(attribute).unwrap();
    Arc::new(Schema::new(&attributes).unwrap())
}

fn with(folder: &Path, schema: Arc<Schema>) -> EmbeddedIndex {
    EmbeddedIndex::open(Options { schema, ..crate::options(folder) }).unwrap()
}

/// The labels that are in use, described.
fn used(index: &dyn Index, schema: &Schema) -> Vec<Value> {
    let numbers = (0..index.labels().len()).map(|n| u32::try_from(n).unwrap());
    let labels = numbers.map(bailiwick_policy::LabelId::from_u32);
    labels.filter_map(|id| index.labels().label(id)).map(|label| schema.describe(&label)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn levels_that_change_lower_no_document() {
    let folder = tempfile::tempdir().unwrap();
    let first = levels(&["Public", "Secret"]);
    let store = |id: &str, said: Value, label: Option<Label>| {
        let metadata = json!({ "level": said }).as_object().unwrap().clone();
        NewDocument {
            id: DocumentId::new(id).unwrap(),
            text: "pump".into(),
            label: label.unwrap_or_else(|| first.label(&metadata).unwrap()),
            metadata,
            content_hash: [7; 32],
            origin: crate::corpus::origin("tests"),
            space: crate::corpus::SPACE.into(),
            chunks: vec![NewChunk { text: "pump".into(), vector: vector("pump") }],
        }
    };
    let documents =
        vec![store("ranked", json!(2), None), store("lost", json!(3), Some(Label::quarantine()))];
    with(folder.path(), Arc::clone(&first)).upsert(documents, &Ceiling::none()).await.unwrap();
    // The rank 2 was Secret and stays it; the rank 3 was nothing and stays in quarantine.
    for names in [&["Public", "Internal", "Secret"][..], &["Open", "Public", "Internal", "Secret"]]
    {
        let schema = levels(names);
        let index = with(folder.path(), Arc::clone(&schema));
        assert_eq!(used(&index, &schema), [json!({ "level": "Secret" }), Value::Null], "{names:?}");
    }
}
