//! What you get is what you would get from an index that holds only what you may read.

use std::sync::Arc;

use bailiwick_index::{DocumentId, EmbeddedIndex, Filter, Fusion, Index, Mode, NewDocument, Query};
use bailiwick_policy::{Bailiwick, Ceiling};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use crate::large;
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
    index.upsert(vec![document(&id(n), team, &passages)], &Ceiling::none()).await.unwrap();
}

async fn take(index: &dyn Index, step: &Step) {
    match step {
        Step::Store { n, team, passages } => store(index, *n, team, passages).await,
        Step::Relabel { n, team } => {
            let metadata = metadata(team);
            let label = schema().label(&metadata).unwrap();
            let id = DocumentId::new(&id(*n)).unwrap();
            index.relabel(&id, metadata, label, &[], &Ceiling::none()).await.unwrap();
        }
        Step::Remove { n } => {
            index.remove(&[DocumentId::new(&id(*n)).unwrap()], &Ceiling::none()).await.unwrap();
        }
    }
}

/// How many questions are asked of how many histories: 10 of each. The nightly run asks more.
fn histories() -> u32 {
    let wanted = std::env::var("NONINTERFERENCE_CASES").ok().and_then(|text| text.parse().ok());
    wanted.unwrap_or(2_000_u32).div_ceil(10)
}

/// A question, and the teams of the person who asks it.
type Asked = (Vec<&'static str>, Vec<&'static str>);

fn asked() -> impl Strategy<Value = Vec<Asked>> {
    let words = prop::collection::vec(prop::sample::select(&WORDS[..]), 1..4);
    let teams = prop::sample::subsequence(&["ours", "theirs"][..], 1..=2);
    prop::collection::vec((words, teams), 10)
}

/// Ids, order, texts, scores to the last bit, and counts are those of the index without the rest.
#[test]
fn hidden_documents_change_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let people = runtime.block_on(People::new());
    let mut runner = TestRunner::new(Config { cases: histories(), ..Config::default() });
    let law = |(steps, asked): (Vec<Step>, Vec<Asked>)| {
        runtime.block_on(async {
            let folder = large::folder();
            let everything = open(folder.path());
            for step in &steps {
                take(&everything, step).await;
            }
            for teams in [&["ours"][..], &["theirs"], &["ours", "theirs"]] {
                let folder = large::folder();
                let permitted_only = open(folder.path());
                for (n, team, passages) in outcome(&steps) {
                    if teams.contains(&team) {
                        store(&permitted_only, n, team, &passages).await;
                    }
                }
                let worlds = Worlds {
                    everything: &everything,
                    permitted_only: &permitted_only,
                    among_all: people.member(teams, &everything).await,
                    alone: people.member(teams, &permitted_only).await,
                };
                worlds.are_of_one_size().await?;
                for (question, _) in asked.iter().filter(|(_, of)| of == teams) {
                    worlds.answer_alike(&question.join(" ")).await?;
                }
            }
            Ok(())
        })
    };
    runner.run(&(steps(), asked()), law).unwrap();
}

fn of_team(team: &str, operator: &str) -> Filter {
    let test = json!({ "key": "team", "operator": operator, "value": team });
    Filter::new(&json!({ "filters": [test] }), &schema()).unwrap()
}

/// One person in an index of everything, and in one of what she may read.
struct Worlds<'a> {
    everything: &'a EmbeddedIndex,
    permitted_only: &'a EmbeddedIndex,
    among_all: Arc<Bailiwick>,
    alone: Arc<Bailiwick>,
}

impl Worlds<'_> {
    async fn are_of_one_size(&self) -> Result<(), TestCaseError> {
        let with = self.everything.size(&self.among_all).await.unwrap();
        prop_assert_eq!(with, self.permitted_only.size(&self.alone).await.unwrap());
        Ok(())
    }

    async fn answer_alike(&self, question: &str) -> Result<(), TestCaseError> {
        for mode in [Mode::Dense, Mode::Lexical, Mode::Hybrid] {
            for (top_k, exact, fusion, diversity) in [
                (1, false, Fusion::Convex, 0.0),
                (3, true, Fusion::Ranks, 0.0),
                (5, false, Fusion::Ranks, 0.3),
                (50, false, Fusion::Convex, 0.0),
            ] {
                let plain = query(question, mode, top_k);
                for filter in [None, Some("=="), Some("!=")] {
                    let filter = filter.map(|operator| Arc::new(of_team("ours", operator)));
                    let query = Query { exact, fusion, diversity, filter, ..plain.clone() };
                    let with = self.everything.search(&query, &self.among_all).await.unwrap();
                    let without = self.permitted_only.search(&query, &self.alone).await.unwrap();
                    prop_assert_eq!(seen(&with), seen(&without), "{:?}", query);
                }
            }
        }
        Ok(())
    }
}

/// So many chunks that codes decide which vectors are read, in files that are merged meanwhile.
#[test]
fn hidden_documents_change_nothing_among_thousands() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let people = People::new().await;
        let (folder, other) = (large::folder(), large::folder());
        let everything = large::open(folder.path());
        let permitted_only = large::open(other.path());
        let text = |n: usize| format!("{} {} number{n}", WORDS[n % 10], WORDS[n * n % 7]);
        let batch = |from: usize, teams: &[&str], gone: bool| -> Vec<NewDocument> {
            let wanted = (from..from + 500).filter(|n| !gone || n % 7 != 0);
            let named = wanted.map(|n| (n, TEAMS[n % 5 % 3]));
            let kept = named.filter(|(_, team)| teams.contains(team));
            kept.map(|(n, team)| large::document_of(&id_of(n), team, &text(n))).collect()
        };
        let permitted = ["ours", "theirs"];
        for from in (0..6_000).step_by(500) {
            everything.upsert(batch(from, &TEAMS, false), &Ceiling::none()).await.unwrap();
            let gone = (from..from + 500).filter(|n| n % 7 == 0);
            let gone: Vec<_> = gone.map(|n| DocumentId::new(&id_of(n)).unwrap()).collect();
            everything.remove(&gone, &Ceiling::none()).await.unwrap();
        }
        // In another order, so that segments differ.
        for from in (0..6_000).step_by(500).rev() {
            permitted_only.upsert(batch(from, &permitted, true), &Ceiling::none()).await.unwrap();
        }
        let worlds = Worlds {
            everything: &everything,
            permitted_only: &permitted_only,
            among_all: people.member(&permitted, &everything).await,
            alone: people.member(&permitted, &permitted_only).await,
        };
        worlds.are_of_one_size().await.unwrap();
        for n in 0..40 {
            let query = large::query_of(&text(n * 151));
            let with = everything.search(&query, &worlds.among_all).await.unwrap();
            let without = permitted_only.search(&query, &worlds.alone).await.unwrap();
            assert_eq!(seen(&with), seen(&without), "{}", query.text);
            assert_eq!(with.hits.len(), query.top_k);
        }
    });
}

fn id_of(n: usize) -> String {
    format!("document-{n:05}")
}

#[test]
fn equal_scores_rank_by_id_and_not_by_age() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let people = People::new().await;
        let folder = tempfile::tempdir().unwrap();
        let index = open(folder.path());
        for name in ["c", "a", "d", "b"] {
            index
                .upsert(vec![document(name, "ours", &["the pump leaks"])], &Ceiling::none())
                .await
                .unwrap();
        }
        let ours = people.member(&["ours"], &index).await;
        for mode in [Mode::Dense, Mode::Lexical, Mode::Hybrid] {
            let hits = index.search(&query("pump leak", mode, 3), &ours).await.unwrap();
            let ids: Vec<String> = hits.hits.iter().map(|hit| hit.id.to_string()).collect();
            assert_eq!(ids, ["a#0", "b#0", "c#0"], "{mode:?}");
        }
    });
}
