//! What you get is what you would get from an index that holds only what you may read.

use bailiwick_index::{DocumentId, Index, Mode};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::people::People;
use crate::{document, metadata, open, query, schema, seen};

const TEAMS: [&str; 3] = ["ours", "theirs", "nobodys"];
const WORDS: [&str; 10] =
    ["pump", "valve", "leak", "sensor", "budget", "water", "meter", "report", "pumping", "the"];

/// One thing that happens to the index that holds everything.
#[derive(Clone, Debug)]
enum Step {
    /// Stores or replaces a document.
    Store {
        n: u8,
        team: &'static str,
        passages: Vec<String>,
    },
    /// Moves a document to another team.
    Relabel {
        n: u8,
        team: &'static str,
    },
    Remove {
        n: u8,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let passage = prop::collection::vec(prop::sample::select(&WORDS[..]), 1..7)
        .prop_map(|words| words.join(" "));
    let passages = prop::collection::vec(passage, 1..4);
    let team = prop::sample::select(&TEAMS[..]);
    let step = prop_oneof![
        6 => (0_u8..12, team.clone(), passages)
            .prop_map(|(n, team, passages)| Step::Store { n, team, passages }),
        1 => (0_u8..12, team).prop_map(|(n, team)| Step::Relabel { n, team }),
        1 => (0_u8..12).prop_map(|n| Step::Remove { n }),
    ];
    prop::collection::vec(step, 1..24)
}

/// What is left at the end: number, team, passages.
fn outcome(steps: &[Step]) -> Vec<(u8, &'static str, Vec<String>)> {
    let mut left: Vec<(u8, &'static str, Vec<String>)> = Vec::new();
    for step in steps {
        match step {
            Step::Store { n, team, passages } => {
                left.retain(|(other, ..)| other != n);
                left.push((*n, *team, passages.clone()));
            }
            Step::Relabel { n, team } => {
                left.iter_mut().filter(|(other, ..)| other == n).for_each(|entry| entry.1 = *team);
            }
            Step::Remove { n } => left.retain(|(other, ..)| other != n),
        }
    }
    left
}

fn id(n: u8) -> String {
    format!("document-{n:02}")
}

async fn store(index: &dyn Index, n: u8, team: &str, passages: &[String]) {
    let passages: Vec<&str> = passages.iter().map(String::as_str).collect();
    index.upsert(vec![document(&id(n), team, &passages)]).await.unwrap();
}

async fn take(index: &dyn Index, step: &Step) {
    match step {
        Step::Store { n, team, passages } => store(index, *n, team, passages).await,
        Step::Relabel { n, team } => {
            let metadata = metadata(team);
            let label = schema().label(&metadata).unwrap();
            let id = DocumentId::new(&id(*n)).unwrap();
            index.relabel(&id, metadata, label).await.unwrap();
        }
        Step::Remove { n } => {
            index.remove(&[DocumentId::new(&id(*n)).unwrap()]).await.unwrap();
        }
    }
}

/// Ids, order, texts, scores to the last bit, and counts are those of the index without the rest.
#[test]
fn hidden_documents_change_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let people = runtime.block_on(People::new());
    let mut runner = TestRunner::new(Config { cases: 24, ..Config::default() });
    let questions = prop::collection::vec(prop::sample::select(&WORDS[..]), 1..4);
    let teams = prop::sample::subsequence(&["ours", "theirs"][..], 1..=2);
    let law = |(steps, question, teams): (Vec<Step>, Vec<&str>, Vec<&str>)| {
        runtime.block_on(async {
            let folders = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let everything = open(folders.0.path());
            for step in &steps {
                take(&everything, step).await;
            }
            let permitted_only = open(folders.1.path());
            for (n, team, passages) in outcome(&steps) {
                if teams.contains(&team) {
                    store(&permitted_only, n, team, &passages).await;
                }
            }
            let among_all = people.member(&teams, &everything).await;
            let alone = people.member(&teams, &permitted_only).await;
            let sizes = (
                everything.size(&among_all).await.unwrap(),
                permitted_only.size(&alone).await.unwrap(),
            );
            prop_assert_eq!(sizes.0, sizes.1);
            for mode in [Mode::Dense, Mode::Lexical, Mode::Hybrid] {
                for top_k in [1, 3, 50] {
                    let query = query(&question.join(" "), mode, top_k);
                    let with = everything.search(&query, &among_all).await.unwrap();
                    let without = permitted_only.search(&query, &alone).await.unwrap();
                    prop_assert_eq!(seen(&with), seen(&without), "{:?} {}", mode, top_k);
                }
            }
            Ok(())
        })
    };
    runner.run(&(steps(), questions, teams), law).unwrap();
}

#[test]
fn equal_scores_rank_by_id_and_not_by_age() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let people = People::new().await;
        let folder = tempfile::tempdir().unwrap();
        let index = open(folder.path());
        for name in ["c", "a", "d", "b"] {
            index.upsert(vec![document(name, "ours", &["the pump leaks"])]).await.unwrap();
        }
        let ours = people.member(&["ours"], &index).await;
        for mode in [Mode::Dense, Mode::Lexical, Mode::Hybrid] {
            let hits = index.search(&query("pump leak", mode, 3), &ours).await.unwrap();
            let ids: Vec<String> = hits.hits.iter().map(|hit| hit.id.to_string()).collect();
            assert_eq!(ids, ["a#0", "b#0", "c#0"], "{mode:?}");
        }
    });
}
