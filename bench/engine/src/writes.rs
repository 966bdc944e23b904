//! Changes of who may read what, while the index is full.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use bailiwick_index::{DocumentId, Index as _, Mode, NewChunk};
use bailiwick_policy::{Ceiling, wait};
use serde_json::{Map, Value, json};

use crate::corpus::document;
use crate::people;
use crate::serve::{House, ms, query};

const CHUNKS: usize = 100;
/// As many people as a policy change is measured with.
const KNOWN: usize = 100;

/// Moves a document of 100 chunks to and fro between two labels, and checks after each move that
/// the reader of the first label finds it just when she may.
pub(crate) fn relabel(house: &House, times: usize) -> anyhow::Result<Value> {
    let reader = house.set.world.people.get(1).context("nobody")?;
    let open = *reader.labels.first().context("a person without labels")?;
    let closed = (0..house.labels.len()).find(|label| !reader.labels.contains(label));
    let label = |number: usize| house.labels.get(number).cloned().context("no such label");
    let (open, closed) = (label(open)?, label(closed.context("she may read everything")?)?);

    let mut wanted = query(&house.set, 0, Mode::Dense, false)?;
    wanted.top_k = 1;
    let chunk = |n| NewChunk { text: format!("part {n}"), vector: wanted.vector.clone() };
    let id = DocumentId::new("relabelled").map_err(anyhow::Error::msg)?;
    let chunks = (0..CHUNKS).map(chunk).collect();
    let added = document(id.as_str(), &house.set.embedder, chunks, closed.clone())?;
    house.runtime.block_on(house.index.upsert(vec![added], &Ceiling::none()))?;
    let policy = people::policy(&house.schema, false)?;
    let second = house.claims.get(1).context("nobody")?;
    let within = wait(policy.decide(second, house.index.labels()))?;
    let mut taken = Vec::new();
    for n in 0..times {
        let to = if n % 2 == 0 { &open } else { &closed };
        let began = Instant::now();
        house.runtime.block_on(house.index.relabel(
            &id,
            Map::new(),
            to.clone(),
            &[],
            &Ceiling::none(),
        ))?;
        taken.push(ms(began.elapsed()));
        let hits = house.index.search_blocking(&wanted, &within)?.hits;
        let found = hits.iter().any(|hit| hit.id.document == id);
        ensure!(found == (n % 2 == 0), "a new label is not in force at the next query");
    }
    house.runtime.block_on(house.index.remove(&[id], &Ceiling::none()))?;
    Ok(json!({ "ms": taken, "chunks": CHUNKS }))
}

/// Replaces the policy, and asks at once: the time until the first person's answer under the new
/// one, and until all 100 are decided.
pub(crate) fn policy(house: &House, times: usize) -> anyhow::Result<Value> {
    let wanted = query(&house.set, 0, Mode::Dense, false)?;
    let (mut first, mut all) = (Vec::new(), Vec::new());
    let people = house.claims.iter().cycle().skip(1).take(KNOWN);
    let revision = house.index.revision();
    for n in 0..times {
        let began = Instant::now();
        let policy = people::policy(&house.schema, n % 2 == 0)?;
        for (place, claims) in people.clone().enumerate() {
            let within = wait(policy.decide(claims, house.index.labels()))?;
            if place == 0 {
                house.index.search_blocking(&wanted, &within)?;
                first.push(ms(began.elapsed()));
            }
        }
        all.push(ms(began.elapsed()));
    }
    ensure!(house.index.revision() == revision, "a change of policy wrote to the index");
    Ok(json!({ "first_answer_ms": first, "all_decided_ms": all, "people": KNOWN }))
}
