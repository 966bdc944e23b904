//! An id belongs to the source that stored it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use bailiwick_index::{
    DocumentId, EmbeddedIndex, Index, IndexError, NewDocument, Origin, SourceName,
};
use bailiwick_policy::{Bounds, Ceiling};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use crate::corpus::origin;
use crate::people::People;
use crate::{document, open, schema};

fn from(source: &str, id: &str, team: &str, text: &str) -> NewDocument {
    NewDocument { origin: origin(source), ..document(id, team, &[text]) }
}

fn replacing(document: NewDocument) -> NewDocument {
    let replace = Origin { replace: true, ..Origin::clone(&document.origin) };
    NewDocument { origin: Arc::new(replace), ..document }
}

fn id(text: &str) -> DocumentId {
    DocumentId::new(text).unwrap()
}

async fn store(index: &EmbeddedIndex, document: NewDocument) -> Result<(), IndexError> {
    index.upsert(vec![document], &Ceiling::none()).await.map(drop)
}

fn owners(refused: Result<(), IndexError>) -> Vec<(String, String)> {
    let refused = refused.unwrap_err();
    assert!(matches!(refused, IndexError::OtherSource(_)), "{refused}");
    let IndexError::OtherSource(others) = refused else { return Vec::new() };
    others.iter().map(|(id, owner)| (id.to_string(), owner.to_string())).collect()
}

/// Makes the documents what a release left that kept no sources.
fn forget_sources(folder: &Path) {
    let database = rusqlite::Connection::open(folder.join("index.db")).unwrap();
    database.execute_batch("ALTER TABLE documents DROP COLUMN source").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_source_neither_replaces_nor_removes_a_document() {
    let people = People::new().await;
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    store(&index, from("hr", "README.md", "ours", "a pump")).await.unwrap();
    let batch = vec![from("eng", "free", "ours", "x"), from("eng", "README.md", "ours", "y")];
    let refused = index.upsert(batch, &Ceiling::none()).await.map(drop);
    assert_eq!(owners(refused), [("README.md".into(), "hr".into())]);
    let removed = index.remove_from(&[id("README.md")], &origin("eng"), &Ceiling::none()).await;
    assert_eq!(owners(removed.map(drop)), [("README.md".into(), "hr".into())]);
    let matching = index.remove_matching_from(None, &origin("eng")).await.unwrap();
    assert_eq!(matching.documents, 0);

    let ours = people.member(&["ours"], &index).await;
    let kept = index.document(&id("README.md"), &ours).await.unwrap().unwrap();
    assert_eq!(kept.text, "a pump");
    assert!(index.document(&id("free"), &ours).await.unwrap().is_none(), "half a batch is stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_gives_a_document_another_text_and_label_and_a_replacer_becomes_the_owner() {
    let people = People::new().await;
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    for team in ["theirs", "ours", "theirs"] {
        store(&index, from("hr", "a", team, team)).await.unwrap();
        let reader = people.member(&[team], &index).await;
        assert_eq!(index.document(&id("a"), &reader).await.unwrap().unwrap().text, team);
    }
    store(&index, replacing(from("eng", "a", "ours", "z"))).await.unwrap();
    assert_eq!(owners(store(&index, from("hr", "a", "ours", "w")).await)[0].1, "eng");
    drop(index);
    let index = open(folder.path());
    assert_eq!(owners(store(&index, from("hr", "a", "ours", "w")).await)[0].1, "eng");
    index.remove_from(&[id("a")], &origin("eng"), &Ceiling::none()).await.unwrap();
    store(&index, from("hr", "a", "ours", "the id is free again")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_learns_of_no_owner_beyond_its_ceiling() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    store(&index, from("hr", "a", "theirs", "x")).await.unwrap();
    let bounds = Bounds::new(&schema(), json!({ "team": "ours" }).as_object().unwrap()).unwrap();
    let ceiling = Ceiling::new(vec![bounds]);
    for document in [from("eng", "a", "ours", "y"), replacing(from("eng", "a", "ours", "y"))] {
        let refused = index.upsert(vec![document], &ceiling).await;
        assert!(matches!(refused, Err(IndexError::Beyond(_))), "{refused:?}");
    }
    let refused = index.remove_from(&[id("a")], &origin("eng"), &ceiling).await;
    assert!(matches!(refused, Err(IndexError::Beyond(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_a_release_without_sources_belong_to_the_agents_that_brought_them() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut stamped = document("stamped", "ours", &["x"]);
    stamped.metadata.insert("ingested_by".into(), json!("relabeller"));
    stamped.metadata.insert("text_ingested_by".into(), json!("writer"));
    let documents = vec![stamped, document("bare", "ours", &["x"])];
    index.upsert(documents, &Ceiling::none()).await.unwrap();
    drop(index);
    forget_sources(folder.path());

    let index = open(folder.path());
    let by = |agent: &str, name: &str| {
        let agent = Some(agent.to_owned());
        let origin = Origin { agent, ..Origin::clone(&origin("folder")) };
        NewDocument { origin: Arc::new(origin), ..document(name, "ours", &["y"]) }
    };
    for other in ["relabeller", "stranger"] {
        assert_eq!(owners(store(&index, by(other, "stamped")).await)[0].1, "writer");
    }
    store(&index, by("writer", "stamped")).await.unwrap();
    store(&index, by("stranger", "bare")).await.unwrap();
    for name in ["stamped", "bare"] {
        assert_eq!(owners(store(&index, from("late", name, "ours", "z")).await)[0].1, "folder");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_document_is_claimed_by_the_source_that_sends_it() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let sent = document("a", "ours", &["x"]);
    store(&index, sent.clone()).await.unwrap();
    drop(index);
    forget_sources(folder.path());

    let index = open(folder.path());
    let known = [(sent.id.clone(), sent.content_hash)];
    let is_unchanged = async |source: &str, known: &[(DocumentId, [u8; 32])]| {
        index.unchanged(known, &SourceName::new(source).unwrap()).await.unwrap()[0]
    };
    assert!(!is_unchanged("other", &[(sent.id.clone(), [0; 32])]).await);
    assert!(is_unchanged("hr", &known).await);
    assert!(!is_unchanged("eng", &known).await, "it belongs to hr now");
    assert_eq!(owners(store(&index, from("eng", "a", "ours", "y")).await)[0].1, "hr");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sources_that_write_at_once_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    for round in 0..20 {
        let id = format!("d{round}");
        let (one, two) = tokio::join!(
            store(&index, from("hr", &id, "ours", "x")),
            store(&index, from("eng", &id, "ours", "y"))
        );
        assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1, "{one:?} {two:?}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Store { source: usize, ids: Vec<usize>, replace: bool },
    Remove { source: usize, ids: Vec<usize> },
    Relabel { id: usize, team: usize },
}

const SOURCES: [&str; 3] = ["hr", "eng", "legal"];
const TEAMS: [&str; 2] = ["ours", "theirs"];

fn step() -> impl Strategy<Value = Step> {
    let ids = || prop::collection::btree_set(0_usize..5, 1..4).prop_map(Vec::from_iter);
    prop_oneof![
        4 => (0_usize..3, ids(), prop::bool::weighted(0.2))
            .prop_map(|(source, ids, replace)| Step::Store { source, ids, replace }),
        1 => (0_usize..3, ids()).prop_map(|(source, ids)| Step::Remove { source, ids }),
        1 => (0_usize..5, 0_usize..2).prop_map(|(id, team)| Step::Relabel { id, team }),
    ]
}

#[test]
fn whatever_sources_do_no_document_changes_hands_without_replace() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config { cases: 24, ..Config::default() });
    let law = |steps: Vec<Step>| {
        let folder = tempfile::tempdir().unwrap();
        let index = open(folder.path());
        let mut model: HashMap<usize, usize> = HashMap::new();
        let none = Ceiling::none();
        for step in steps {
            let others = |source: usize, ids: &[usize]| {
                ids.iter().any(|id| model.get(id).is_some_and(|owner| *owner != source))
            };
            let name = |n: usize| format!("d{n}");
            match &step {
                Step::Store { source, ids, replace } => {
                    let stored = ids.iter().map(|n| from(SOURCES[*source], &name(*n), "ours", "x"));
                    let stored = stored.map(|new| if *replace { replacing(new) } else { new });
                    let result = runtime.block_on(index.upsert(stored.collect(), &none));
                    prop_assert_eq!(result.is_ok(), *replace || !others(*source, ids));
                    if result.is_ok() {
                        model.extend(ids.iter().map(|id| (*id, *source)));
                    }
                }
                Step::Remove { source, ids } => {
                    let gone: Vec<DocumentId> = ids.iter().map(|n| id(&name(*n))).collect();
                    let origin = origin(SOURCES[*source]);
                    let result = runtime.block_on(index.remove_from(&gone, &origin, &none));
                    prop_assert_eq!(result.is_ok(), !others(*source, ids));
                    if let Ok(receipt) = result {
                        let known = ids.iter().filter_map(|id| model.remove(id));
                        prop_assert_eq!(receipt.documents, known.count());
                    }
                }
                Step::Relabel { id: n, team } => {
                    let metadata = crate::metadata(TEAMS[*team]);
                    let label = schema().label(&metadata).unwrap();
                    let relabelled = id(&name(*n));
                    let moved = index.relabel(&relabelled, metadata, label, &[], &none);
                    let moved = runtime.block_on(moved).unwrap();
                    prop_assert_eq!(moved.is_some(), model.contains_key(n));
                }
            }
        }
        Ok(())
    };
    runner.run(&prop::collection::vec(step(), 1..25), law).unwrap();
}
