//! How long a search takes beside hidden documents: reported, not promised.

use std::time::{Duration, Instant};

use bailiwick_index::{EmbeddedIndex, Index, Mode, NewDocument, Query};
use bailiwick_policy::{Bailiwick, Ceiling};

use crate::corpus::seen;
use crate::large;
use crate::people::People;

const PERMITTED: usize = 2_000;
const HIDDEN: usize = 4 * PERMITTED;
const QUESTIONS: usize = 500;
const WORDS: [&str; 7] = ["audit", "breach", "claim", "deed", "escrow", "fine", "grant"];

/// `cargo test --package bailiwick-index and_time -- --nocapture` prints the times.
#[tokio::test]
async fn hidden_documents_and_time() {
    let people = People::new().await;
    let (folder, other) = (large::folder(), large::folder());
    let (alone, among) = (large::open(folder.path()), large::open(other.path()));
    for from in (0..PERMITTED).step_by(500) {
        alone.upsert(documents("ours", from, 500), &Ceiling::none()).await.unwrap();
        among.upsert(documents("ours", from, 500), &Ceiling::none()).await.unwrap();
        among.upsert(documents("theirs", 4 * from, 2_000), &Ceiling::none()).await.unwrap();
    }
    let hidden = people.member(&["theirs"], &among).await;
    assert_eq!(among.size(&hidden).await.unwrap().chunks, HIDDEN as u64);
    let worlds = [
        (&alone, people.member(&["ours"], &alone).await),
        (&among, people.member(&["ours"], &among).await),
    ];
    let mut taken = [Vec::new(), Vec::new()];
    for n in 0..QUESTIONS {
        let question = Query { mode: Mode::Hybrid, ..large::query_of(&text(31 * n)) };
        let mut found = Vec::new();
        for ((index, within), taken) in worlds.iter().zip(&mut taken) {
            found.push(asked(index, &question, within, taken).await);
        }
        assert_eq!(found[0], found[1], "{}", question.text);
    }
    println!("a hybrid search of {PERMITTED} permitted chunks, among how many hidden ones:");
    for (hidden, taken) in [0, HIDDEN].into_iter().zip(&mut taken) {
        taken.sort_unstable();
        let [half, most] = [50, 99].map(|share| taken[share * taken.len() / 100]);
        println!("{hidden:>6}: median {half:?}, 99th percentile {most:?}");
    }
}

async fn asked(
    index: &EmbeddedIndex,
    question: &Query,
    within: &Bailiwick,
    taken: &mut Vec<Duration>,
) -> impl PartialEq + std::fmt::Debug + use<> {
    let began = Instant::now();
    let hits = index.search(question, within).await.unwrap();
    taken.push(began.elapsed());
    seen(&hits)
}

fn documents(team: &str, from: usize, count: usize) -> Vec<NewDocument> {
    let numbers = from..from + count;
    numbers.map(|n| large::document_of(&format!("{team}-{n}"), team, &text(n))).collect()
}

fn text(n: usize) -> String {
    format!("{} {} number{n}", WORDS[n % 7], WORDS[n * n % 5])
}
