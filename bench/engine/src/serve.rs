//! Answers one JSON line with one: `{"do": "search", "cell": 0, "mode": "dense", "seconds": 1}`.

use std::io::{BufRead as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bailiwick_identity::Claims;
use bailiwick_index::{ChunkId, EmbeddedIndex, Index as _, Mode, Query};
use bailiwick_policy::{Bailiwick, Label, Schema, wait};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::corpus::Set;
use crate::{Place, machine, people, writes};

const TOP: usize = 10;
const DENSE_WEIGHT: f32 = 0.4;

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
enum Request {
    /// Queries of one cell, in turn, until the time is over or each was asked once.
    Search(Search),
    /// Relabels a document of 100 chunks so many times.
    Relabel { times: usize },
    /// Puts a new policy into force so many times.
    Policy { times: usize },
    /// Adds up a buffer of so many bytes.
    Bandwidth { bytes: usize },
    /// Resident memory, and disk.
    Memory,
}

#[derive(Debug, Deserialize)]
struct Search {
    cell: usize,
    mode: Mode,
    #[serde(default)]
    exact: bool,
    /// Whether texts and metadata are fetched.
    #[serde(default)]
    texts: bool,
    /// Which query is the first.
    #[serde(default)]
    first: usize,
    seconds: f64,
    #[serde(default = "one")]
    threads: usize,
}

fn one() -> usize {
    1
}

/// Of each query its number, the microseconds it took, and the chunks found.
#[derive(Debug, Serialize)]
struct Answer {
    query: usize,
    us: f64,
    found: Vec<u32>,
}

/// An open index and those who ask.
pub(crate) struct House {
    pub(crate) set: Set,
    pub(crate) schema: Arc<Schema>,
    pub(crate) labels: Vec<Label>,
    pub(crate) index: EmbeddedIndex,
    pub(crate) claims: Vec<Claims>,
    pub(crate) runtime: tokio::runtime::Runtime,
    within: Vec<Arc<Bailiwick>>,
    starts: Vec<u32>,
}

pub(crate) fn run(place: &Place) -> anyhow::Result<()> {
    let set = Set::open(place)?;
    let schema = people::schema()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let claims = people::claims(&runtime, set.world.people.len())?;
    let policy = people::policy(&schema, false)?;

    let before = machine::memory()?;
    let began = Instant::now();
    let index = people::open(place, &set, &schema)?;
    let opened = began.elapsed();
    let everyone = wait(policy.decide(claims.first().context("nobody")?, index.labels()))?;
    let query = query(&set, 0, Mode::Hybrid, false)?;
    index.search_blocking(&query, &everyone)?;
    let first = began.elapsed();
    let memory = machine::memory()?.beyond(before);

    let within = people::decide(&policy, &claims, &index)?;
    let labels = people::labels(&set.world, &schema)?;
    machine::settle()?;
    let starts = set.starts()?;
    let house = House { set, schema, labels, index, claims, runtime, within, starts };
    say(&json!({ "open_ms": ms(opened), "first_answer_ms": ms(first), "memory": memory }))?;
    for line in std::io::stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?)? {
            Request::Search(search) => house.searched(&search)?,
            Request::Relabel { times } => writes::relabel(&house, times)?,
            Request::Policy { times } => writes::policy(&house, times)?,
            Request::Bandwidth { bytes } => json!({ "ms": ms(machine::sum_of(bytes)) }),
            Request::Memory => {
                json!({ "memory": machine::memory()?.beyond(before), "disk": machine::disk(&place.index)? })
            }
        };
        say(&answer)?;
    }
    Ok(())
}

fn say(answer: &serde_json::Value) -> anyhow::Result<()> {
    println!("{answer}");
    Ok(std::io::stdout().flush()?)
}

pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// One of the set's queries. Queries of a set are asked in a circle.
pub(crate) fn query(set: &Set, number: usize, mode: Mode, exact: bool) -> anyhow::Result<Query> {
    let place = number % set.queries.len();
    let (text, vector) = set.queries.get(place).context("no queries")?;
    let query = Query::new(text.clone(), set.embedder.as_str(), vector.clone(), TOP, mode);
    Ok(Query { dense_weight: DENSE_WEIGHT, exact, ..query })
}

impl House {
    fn searched(&self, search: &Search) -> anyhow::Result<serde_json::Value> {
        let parts: Vec<anyhow::Result<Vec<Answer>>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..search.threads)
                .map(|thread| scope.spawn(move || self.answers(search, thread)))
                .collect();
            let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
            joined.map(|part| part.unwrap_or_else(|_| Err(anyhow::anyhow!("panicked")))).collect()
        });
        let parts = parts.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        // The time between searches, in which this program keeps its books, does not count.
        let rate = |part: &Vec<Answer>| {
            1e6 * part.len() as f64 / part.iter().map(|answer| answer.us).sum::<f64>()
        };
        let qps: f64 = parts.iter().map(rate).sum();
        Ok(json!({ "qps": qps, "answers": parts.into_iter().flatten().collect::<Vec<_>>() }))
    }

    fn answers(&self, search: &Search, thread: usize) -> anyhow::Result<Vec<Answer>> {
        let count = self.set.queries.len();
        let began = Instant::now();
        let mut answers = Vec::new();
        for n in (thread..count).step_by(search.threads) {
            let number = (search.first + n) % count;
            let query = query(&self.set, number, search.mode, search.exact)?;
            let within = self.within(search.cell, number)?;
            let began_query = Instant::now();
            let ids: Vec<ChunkId> = if search.texts {
                let hits = self.index.search_blocking(&query, within)?.hits;
                hits.into_iter().map(|hit| hit.id).collect()
            } else {
                let ranked = self.index.rank_blocking(&query, within)?;
                ranked.into_iter().map(|(id, _)| id).collect()
            };
            let us = began_query.elapsed().as_secs_f64() * 1e6;
            let found = ids.iter().map(|id| self.row(id)).collect::<anyhow::Result<_>>()?;
            answers.push(Answer { query: number, us, found });
            if began.elapsed().as_secs_f64() > search.seconds {
                break;
            }
        }
        Ok(answers)
    }

    /// What the person may read who asks this query in this cell.
    fn within(&self, cell: usize, query: usize) -> anyhow::Result<&Bailiwick> {
        let people = &self.set.world.cells.get(cell).context("no such cell")?.people;
        let topic = self.set.world.topics.get(query).context("no such query")?;
        let person = people.get(topic % people.len()).context("nobody")?;
        Ok(self.within.get(*person).context("nobody")?)
    }

    fn row(&self, id: &ChunkId) -> anyhow::Result<u32> {
        let number = id.document.as_str().strip_prefix('d').context("a document of the corpus")?;
        let start = self.starts.get(number.parse::<usize>()?).context("a document of the set")?;
        Ok(start + id.n)
    }
}
