//! What is written fails at every point at which it can, and the index heals.
//!
//! Failpoints are of the whole process, so this is a program of its own.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "index/corpus.rs"]
mod corpus;
#[path = "index/people.rs"]
mod people;
#[path = "index/spaces.rs"]
mod spaces;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bailiwick_index::{DocumentId, Index, Mode};
use bailiwick_policy::Ceiling;
use corpus::{document, metadata, open, query, schema, seen, try_open};
use people::People;

const POINTS: [&str; 5] = [
    "write-before-commit",
    "segment-before-sync",
    "segment-before-rename",
    "manifest-before-commit",
    "segment-before-map",
];
/// Works twice, fails once, works thrice, fails twice, and works from then on.
const MOOD: &str = "2*off->1*return->3*off->2*return->off";

/// How many failures of a mood that takes eight turns at most did not happen yet. They are used up.
fn failures_left(point: &str) -> usize {
    let fails = || {
        fail::fail_point!(point, |_| true);
        false
    };
    (0..8).filter(|_| fails()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_what_was_acknowledged_is_there_and_nothing_else() {
    assert!(fail::has_failpoints());
    let scenario = fail::FailScenario::setup();
    let people = People::new().await;
    for point in POINTS {
        let folder = tempfile::tempdir().unwrap();
        fail::cfg(point, MOOD).unwrap();
        let mut acknowledged = BTreeMap::new();
        {
            let index = open(folder.path());
            for n in 0..40 {
                let text = format!("pump number{n} leaks");
                let texts = [text.as_str(), "a valve"];
                let id = format!("d{}", n % 25);
                let team = if n % 3 == 0 { "theirs" } else { "ours" };
                if index.upsert(vec![document(&id, team, &texts)], &Ceiling::none()).await.is_ok() {
                    acknowledged.insert(id, (team, text));
                }
            }
            for (n, team) in [(3, "ours"), (4, "theirs"), (5, "ours")] {
                let id = format!("d{n}");
                let label = schema().label(&metadata(team)).unwrap();
                let known = DocumentId::new(&id).unwrap();
                if let Ok(Some(_)) =
                    index.relabel(&known, metadata(team), label, &[], &Ceiling::none()).await
                {
                    acknowledged.get_mut(&id).unwrap().0 = team;
                }
            }
            for n in 6..9 {
                let id = format!("d{n}");
                if index.remove(&[DocumentId::new(&id).unwrap()], &Ceiling::none()).await.is_ok() {
                    acknowledged.remove(&id);
                }
            }
            // The thread that merges has come to the point, and waits before it tries again.
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert!(failures_left(point) < 3, "{point} did not fail");
            fail::cfg(point, MOOD).unwrap();
            compare(&people, &index, &acknowledged, point).await;
        }
        let reopened = open(folder.path());
        compare(&people, &reopened, &acknowledged, point).await;
        fail::remove(point);
    }
    scenario.teardown();
}

/// What fails while the vectors are replaced by those of another embedder leaves an index of one
/// or of the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_embedder_that_fails_leaves_one_space_or_the_other() {
    let scenario = fail::FailScenario::setup();
    let people = People::new().await;
    // The last one comes when the catalogue has changed already, and what is derived has not.
    for point in ["generation-before-commit", "generation-after-commit", "segment-before-sync"] {
        for restart in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let mut index = open(folder.path());
            index.upsert(spaces::library(), &Ceiling::none()).await.unwrap();
            let mut failures = 0;
            while let Some(mut generation) = spaces::begin(&index).await {
                while generation.done() < generation.total() {
                    assert!(spaces::step(&mut generation, 10).await.unwrap());
                }
                fail::cfg(point, if failures == 0 { "return" } else { "off" }).unwrap();
                let changed = generation.next(10).await;
                fail::remove(point);
                spaces::compare(&people, &index, &spaces::library()).await;
                drop(generation);
                if changed.is_err() {
                    failures += 1;
                    if restart {
                        drop(index);
                        index = spaces::open(folder.path());
                        spaces::compare(&people, &index, &spaces::library()).await;
                    }
                }
            }
            assert_eq!((&*index.space(), failures), (spaces::OTHER, 1), "{point} {restart}");
            spaces::compare(&people, &index, &spaces::library()).await;
        }
    }
    scenario.teardown();
}

/// What fails while damaged segments are made anew is made up for by the next write or start.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_segments_are_made_anew_whatever_fails() {
    let scenario = fail::FailScenario::setup();
    let people = People::new().await;
    for point in ["anew-before-commit", "anew-after-commit", "segment-before-rename"] {
        let folder = tempfile::tempdir().unwrap();
        let mut acknowledged = BTreeMap::new();
        {
            let index = open(folder.path());
            for n in 0..30 {
                let text = format!("pump number{n} leaks");
                let documents = vec![document(&format!("d{n}"), "ours", &[&text, "a valve"])];
                index.upsert(documents, &Ceiling::none()).await.unwrap();
                acknowledged.insert(format!("d{n}"), ("ours", text));
            }
        }
        for file in std::fs::read_dir(folder.path().join("segments")).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_some_and(|ending| ending == "segment") {
                // Neither the labels at the start nor the layout at the end, which are checked
                // before the file is used.
                let mut bytes = std::fs::read(&file).unwrap();
                let damaged = bytes.len() / 2..bytes.len() - 300;
                bytes[damaged].iter_mut().for_each(|byte| *byte = !*byte);
                std::fs::write(file, bytes).unwrap();
            }
        }
        {
            fail::cfg(point, "1*return->1*off->1*return->off").unwrap();
            let index = loop {
                // What is moved to files at the start fails at the last point, too.
                if let Ok(index) = try_open(folder.path()) {
                    break index;
                }
            };
            tokio::time::sleep(Duration::from_millis(200)).await;
            let text = "pump number7 is new".to_owned();
            let documents = vec![document("d30", "ours", &[&text, "a valve"])];
            index.upsert(documents, &Ceiling::none()).await.unwrap();
            acknowledged.insert("d30".to_owned(), ("ours", text));
            assert!(failures_left(point) < 2, "{point} did not fail");
            fail::remove(point);
        }
        let reopened = open(folder.path());
        // What the first process left damaged is mended behind the first searches.
        for _ in 0..100 {
            if difference(&people, &reopened, &acknowledged, point).await.is_none() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        compare(&people, &reopened, &acknowledged, point).await;
    }
    scenario.teardown();
}

/// Nobody waits for the thread that merges when it is no more.
#[tokio::test(flavor = "multi_thread")]
async fn writers_go_on_when_merging_has_panicked() {
    let scenario = fail::FailScenario::setup();
    let people = People::new().await;
    let folder = tempfile::tempdir().unwrap();
    let panicked = Arc::new(AtomicBool::new(false));
    let fired = Arc::clone(&panicked);
    fail::cfg_callback("segment-before-map", move || {
        fired.store(true, Ordering::SeqCst);
        panic!("the thread that merges");
    })
    .unwrap();
    let index = open(folder.path());
    let count = 20 * corpus::options(folder.path()).flush;
    let writes = async {
        for n in 0..count {
            let documents = vec![document(&format!("d{n}"), "ours", &["a pump leaks"])];
            index.upsert(documents, &Ceiling::none()).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), writes).await.expect("writers go on");
    assert!(panicked.load(Ordering::SeqCst));
    let ours = people.member(&["ours"], &index).await;
    assert_eq!(index.size(&ours).await.unwrap().chunks, count as u64);
    scenario.teardown();
}

/// The index gives what a new one gives that holds what was acknowledged.
async fn compare(
    people: &People,
    index: &dyn Index,
    acknowledged: &BTreeMap<String, (&str, String)>,
    point: &str,
) {
    assert_eq!(difference(people, index, acknowledged, point).await, None, "{point}");
}

/// How the index differs from a new one that holds what was acknowledged.
async fn difference(
    people: &People,
    index: &dyn Index,
    acknowledged: &BTreeMap<String, (&str, String)>,
    point: &str,
) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let alone = bailiwick_index::EmbeddedIndex::open(corpus::options(folder.path())).unwrap();
    let documents = acknowledged
        .iter()
        .filter(|(_, (team, _))| *team == "ours")
        .map(|(id, (team, text))| document(id, team, &[text.as_str(), "a valve"]));
    let mood = fail::list();
    fail::remove(point);
    alone.upsert(documents.collect(), &Ceiling::none()).await.unwrap();
    for (name, actions) in mood {
        fail::cfg(name, &actions).unwrap();
    }
    let (among_all, only) =
        (people.member(&["ours"], index).await, people.member(&["ours"], &alone).await);
    let sizes = (index.size(&among_all).await.unwrap(), alone.size(&only).await.unwrap());
    if sizes.0 != sizes.1 {
        return Some(format!("{sizes:?}"));
    }
    for mode in [Mode::Dense, Mode::Lexical, Mode::Hybrid] {
        let asked = query("pump number7", mode, 60);
        let found = seen(&index.search(&asked, &among_all).await.unwrap());
        let expected = seen(&alone.search(&asked, &only).await.unwrap());
        if found != expected {
            return Some(format!("{mode:?}: {found:?}, not {expected:?}"));
        }
    }
    None
}
