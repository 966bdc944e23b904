//! What becomes of documents whose agent an administrator put in quarantine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bailiwick_index::{
    Act, DocumentId, EmbeddedIndex, Index, Mode, NewDocument, Order, Origin,
    incomplete_contributors,
};
use bailiwick_policy::Ceiling;
use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::people::People;
use crate::{document, metadata, open, query, schema};

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_was_still_writing_is_held_as_it_comes() {
    let people = People::new().await;
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut late = document("late", "ours", &["a late pump"]);
    late.metadata.insert("ingested_by".into(), "rogue".into());
    let id = late.id.clone();
    let order = |number, act| Order { number, agent: "rogue".into(), act };
    index.obey(order(1, Act::Quarantine)).await.unwrap();
    index.upsert(vec![late], &Ceiling::none()).await.unwrap();
    for is_held in [true, false] {
        let ours = people.member(&["ours"], &index).await;
        let found = index.search(&query("pump", Mode::Hybrid, 10), &ours).await.unwrap();
        assert_eq!(found.hits.is_empty(), is_held);
        assert_eq!(index.document(&id, &ours).await.unwrap().is_none(), is_held);
        index.obey(order(2, Act::Release)).await.unwrap();
    }
}

/// A data folder of an older release, whose trail was pruned: it is not known any more through
/// whose hands these documents came, and that is said until they are written again.
#[tokio::test(flavor = "multi_thread")]
async fn documents_whose_contributors_nobody_recorded_are_named_until_they_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let stored = |id: &str| document(id, "ours", &["a pump"]);
    index.upsert(vec![stored("a"), stored("b")], &Ceiling::none()).await.unwrap();
    let named = || {
        let (count, ids) = incomplete_contributors(folder.path(), 1).unwrap().unwrap();
        (count, ids.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(named(), (0, vec![]));
    assert!(!index.lacks_contributors().unwrap(), "a new index keeps them from the beginning");
    index.complete_contributors(&BTreeSet::new(), false).unwrap();
    assert_eq!(named(), (2, vec!["a".to_owned()]));
    index.upsert(vec![stored("a")], &Ceiling::none()).await.unwrap();
    assert_eq!(named(), (1, vec!["b".to_owned()]));
}

/// The trail may name an agent that was quarantined before the documents' contributors were known.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_trail_adds_is_quarantined_if_its_agent_is() {
    let people = People::new().await;
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    index.upsert(vec![document("a", "ours", &["a pump"])], &Ceiling::none()).await.unwrap();
    let quarantine = Order { number: 1, agent: "rogue".into(), act: Act::Quarantine };
    index.obey(quarantine).await.unwrap();
    let ours = people.member(&["ours"], &index).await;
    let id = DocumentId::new("a").unwrap();
    assert!(index.document(&id, &ours).await.unwrap().is_some());
    let pairs = ["honest", "rogue"].map(|agent| ["a", "gone"].map(|id| (agent.into(), id.into())));
    let added = index.complete_contributors(&pairs.into_iter().flatten().collect(), true).unwrap();
    assert_eq!(added, 2);
    assert!(index.document(&id, &ours).await.unwrap().is_none());
}

/// The hold alone may remember the agent: it passed the document on, and the stamps of an older
/// release lost its name.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_older_release_held_stays_held_when_it_is_relabelled() {
    let people = People::new().await;
    let folder = tempfile::tempdir().unwrap();
    let mut held = document("a", "ours", &["a pump"]);
    let (id, metadata, label) = (held.id.clone(), held.metadata.clone(), held.label.clone());
    let contributors = vec!["rogue".to_owned()];
    held.origin = Arc::new(Origin { contributors, ..Origin::clone(&held.origin) });
    let order = |number, act| Order { number, agent: "rogue".into(), act };
    let index = open(folder.path());
    index.upsert(vec![held], &Ceiling::none()).await.unwrap();
    index.obey(order(1, Act::Quarantine)).await.unwrap();
    drop(index);
    let database = rusqlite::Connection::open(folder.path().join("index.db")).unwrap();
    let older = "DROP TABLE contributors; DROP TABLE incomplete_contributors";
    database.execute_batch(older).unwrap();
    drop(database);

    let index = open(folder.path());
    index.complete_contributors(&BTreeSet::new(), false).unwrap();
    index.relabel(&id, metadata, label, &[], &Ceiling::none()).await.unwrap().unwrap();
    let ours = people.member(&["ours"], &index).await;
    assert!(index.document(&id, &ours).await.unwrap().is_none());
    index.obey(order(2, Act::Release)).await.unwrap();
    assert!(index.document(&id, &ours).await.unwrap().is_some());
}

/// What agents and administrators do to a few documents.
#[derive(Clone, Debug)]
enum Step {
    /// Through the hands of these agents comes a text, and a label with it.
    Write {
        document: usize,
        hands: Vec<usize>,
    },
    /// Through the hands of these agents comes another label.
    Relabel {
        document: usize,
        hands: Vec<usize>,
    },
    Order {
        agent: usize,
        act: Act,
    },
}

const DOCUMENTS: usize = 3;
const AGENTS: usize = 4;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let hands = || proptest::collection::vec(0..AGENTS, 1..4);
    let step = prop_oneof![
        3 => (0..DOCUMENTS, hands()).prop_map(|(document, hands)| Step::Write { document, hands }),
        3 => (0..DOCUMENTS, hands()).prop_map(|(document, hands)| Step::Relabel { document, hands }),
        2 => (0..AGENTS, prop_oneof![
            3 => Just(Act::Quarantine), 2 => Just(Act::Release), 1 => Just(Act::Purge),
        ]).prop_map(|(agent, act)| Step::Order { agent, act }),
    ];
    proptest::collection::vec(step, 1..14)
}

/// What should be there: of each document the hands of its text and of its label.
#[derive(Default)]
struct Expected {
    documents: BTreeMap<usize, (BTreeSet<usize>, BTreeSet<usize>)>,
    quarantined: BTreeSet<usize>,
}

impl Expected {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Write { document, hands } => {
                let hands: BTreeSet<usize> = hands.iter().copied().collect();
                self.documents.insert(*document, (hands.clone(), hands));
            }
            Step::Relabel { document, hands } => {
                if let Some((_, label)) = self.documents.get_mut(document) {
                    *label = hands.iter().copied().collect();
                }
            }
            Step::Order { agent, act: Act::Quarantine } => drop(self.quarantined.insert(*agent)),
            Step::Order { agent, act: Act::Release } => drop(self.quarantined.remove(agent)),
            Step::Order { agent, act: Act::Purge } => {
                let quarantined = self.quarantined.clone();
                self.documents.retain(|_, (text, label)| {
                    let is_theirs = text.contains(agent) || label.contains(agent);
                    let is_held =
                        !text.is_disjoint(&quarantined) || !label.is_disjoint(&quarantined);
                    !(is_theirs && is_held)
                });
            }
        }
    }

    fn readable(&self) -> BTreeSet<String> {
        let readable = self.documents.iter().filter(|(_, (text, label))| {
            text.is_disjoint(&self.quarantined) && label.is_disjoint(&self.quarantined)
        });
        readable.map(|(document, _)| format!("document-{document}")).collect()
    }
}

/// The stamps that the intake writes: the first agent and the last. The others are contributors.
fn stamped(hands: &[usize]) -> (Map<String, Value>, Vec<String>) {
    let name = |hand: &usize| format!("agent-{hand}");
    let mut metadata = metadata("ours");
    metadata.insert("ingested_by".into(), name(&hands[0]).into());
    if hands.len() > 1 {
        metadata.insert("ingested_through".into(), name(&hands[hands.len() - 1]).into());
    }
    (metadata, hands.iter().map(name).collect())
}

async fn take(index: &EmbeddedIndex, number: u64, step: &Step) {
    let none = Ceiling::none();
    match step {
        Step::Write { document: n, hands } => {
            let (metadata, contributors) = stamped(hands);
            let passages = [&*format!("pump {n}")];
            let written = document(&format!("document-{n}"), "ours", &passages);
            let origin = Arc::new(Origin { contributors, ..Origin::clone(&written.origin) });
            let written = NewDocument { metadata, origin, ..written };
            index.upsert(vec![written], &none).await.unwrap();
        }
        Step::Relabel { document: n, hands } => {
            let (metadata, contributors) = stamped(hands);
            let label = schema().label(&metadata).unwrap();
            let id = DocumentId::new(&format!("document-{n}")).unwrap();
            index.relabel(&id, metadata, label, &contributors, &none).await.unwrap();
        }
        Step::Order { agent, act } => {
            let order = Order { number, agent: format!("agent-{agent}"), act: *act };
            index.obey(order).await.unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn orders_reach_every_document_in_which_an_agent_had_a_hand(steps in steps()) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let people = People::new().await;
            let folder = tempfile::tempdir().unwrap();
            let index = open(folder.path());
            let mut expected = Expected::default();
            for (number, step) in (1..).zip(&steps) {
                take(&index, number, step).await;
                expected.take(step);
                let ours = people.member(&["ours"], &index).await;
                let found = index.search(&query("pump", Mode::Hybrid, 10), &ours).await.unwrap();
                let found: BTreeSet<_> =
                    found.hits.iter().map(|hit| hit.id.document.to_string()).collect();
                prop_assert_eq!(found, expected.readable(), "after {:?}", step);
            }
            Ok(())
        })?;
    }
}
