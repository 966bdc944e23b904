//! Fills an index and says how long the index took over it, reading the files not counted.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::ensure;
use bailiwick_index::Index as _;
use bailiwick_policy::Ceiling;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::corpus::Set;
use crate::{Place, machine, people};

const BATCH: usize = 1_000;

pub(crate) fn run(place: &Place) -> anyhow::Result<()> {
    ensure!(!place.index.exists(), "{} is there already", place.index.display());
    let set = Set::open(place)?;
    let schema = people::schema()?;
    let labels = people::labels(&set.world, &schema)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let part = place.index.with_extension("part");
    if part.exists() {
        fs::remove_dir_all(&part)?;
    }
    let unfinished = Place { index: part, corpus: place.corpus.clone(), set: place.set.clone() };
    let index = people::open(&unfinished, &set, &schema)?;

    let style = ProgressStyle::with_template("{pos:>9} of {len} chunks, {per_sec}, {eta} left")?;
    let progress = ProgressBar::new(set.world.chunks as u64).with_style(style);
    let mut documents = set.reader()?;
    let cpu = machine::cpu()?;
    let (mut spent, mut slowest) = (Duration::ZERO, Duration::ZERO);
    loop {
        let batch = documents.batch(BATCH, |document| {
            let label = set.labels.get(document).and_then(|label| labels.get(*label as usize));
            label.cloned().unwrap_or_else(bailiwick_policy::Label::quarantine)
        })?;
        if batch.is_empty() {
            break;
        }
        let began = Instant::now();
        let receipt = runtime.block_on(index.upsert(batch, &Ceiling::none()))?;
        let took = began.elapsed();
        spent += took;
        slowest = slowest.max(took);
        progress.inc(receipt.chunks as u64);
    }
    progress.finish();
    let merging = machine::settle()?;
    drop(index);
    let chunks = set.world.chunks;
    let built = json!({
        "chunks": chunks,
        "seconds": (spent + merging).as_secs_f64(),
        "ingest_seconds": spent.as_secs_f64(),
        "cpu_seconds": machine::cpu()? - cpu,
        "slowest_batch_ms": slowest.as_secs_f64() * 1e3,
        "disk": machine::disk(&unfinished.index)?,
    });
    fs::write(unfinished.index.join("built.json"), built.to_string())?;
    fs::rename(&unfinished.index, &place.index)?;
    println!("{built}");
    Ok(())
}
