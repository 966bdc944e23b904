//! How long a search takes: `cargo bench -p bailiwick-index`.
//!
//! 10,000 chunks of 256 dimensions under 20 labels; the words follow Zipf's law. `hidden_chunks`
//! reports whether chunks that a person may not read change how long her searches take.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use bailiwick_dev_idp::{DevProvider, Settings};
use bailiwick_identity::{IdentityConfig, Verifier};
use bailiwick_index::{
    DocumentId, EmbeddedIndex, Index, Mode, NewChunk, NewDocument, Options, Origin, Query,
    SourceName,
};
use bailiwick_policy::{AttributeConfig, Bailiwick, Ceiling, Policy, Schema};
use divan::Bencher;
use serde_json::json;
use tokio::runtime::Runtime;

/// Whose vectors these are.
const SPACE: &str = "bench";
const CHUNKS: usize = 10_000;
const DIMENSIONS: usize = 256;
const TEAMS: usize = 20;
const WORDS: usize = 120;

fn main() {
    divan::main();
}

struct World {
    runtime: Runtime,
    index: EmbeddedIndex,
    everything: Arc<Bailiwick>,
    one_team: Arc<Bailiwick>,
    _folder: tempfile::TempDir,
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn word(&mut self) -> String {
        format!("word{}", (8000_f64.powf(self.next())) as usize)
    }

    fn vector(&mut self) -> Vec<f32> {
        let numbers: Vec<f32> = (0..DIMENSIONS).map(|_| self.next() as f32 - 0.5).collect();
        let length = numbers.iter().map(|x| x * x).sum::<f32>().sqrt();
        numbers.into_iter().map(|x| x / length).collect()
    }
}

fn world(teams: usize) -> World {
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let attributes: Vec<AttributeConfig> =
        serde_json::from_value(json!([{ "name": "team", "type": "keyword" }])).unwrap();
    let schema = Arc::new(Schema::new(&attributes).unwrap());
    let options =
        Options::new(folder.path().to_owned(), Arc::clone(&schema), SPACE.into(), DIMENSIONS);
    let index = EmbeddedIndex::open(options).unwrap();
    let mut numbers = Numbers(1);
    let (everything, one_team) = runtime.block_on(async {
        for batch in 0..CHUNKS / 500 {
            let documents = (0..500).map(|n| document(&mut numbers, batch * 500 + n, &schema));
            let kept = documents.enumerate().filter(|(n, _)| n % TEAMS < teams);
            index
                .upsert(kept.map(|(_, document)| document).collect(), &Ceiling::none())
                .await
                .unwrap();
        }
        let all: Vec<String> = (0..TEAMS).map(|n| format!("team{n}")).collect();
        (
            bailiwick(&index, &schema, &all).await,
            bailiwick(&index, &schema, all.get(..1).unwrap()).await,
        )
    });
    World { runtime, index, everything, one_team, _folder: folder }
}

fn document(numbers: &mut Numbers, n: usize, schema: &Schema) -> NewDocument {
    let metadata = json!({ "team": format!("team{}", n % TEAMS) });
    let metadata = metadata.as_object().unwrap().clone();
    let text: Vec<String> = (0..WORDS).map(|_| numbers.word()).collect();
    let chunk = NewChunk { text: text.join(" "), vector: numbers.vector() };
    NewDocument {
        id: DocumentId::new(&format!("d{n}")).unwrap(),
        text: chunk.text.clone(),
        label: schema.label(&metadata).unwrap(),
        metadata,
        content_hash: [0; 32],
        origin: Arc::new(Origin::of(SourceName::new("bench").unwrap())),
        space: SPACE.into(),
        chunks: vec![chunk],
    }
}

async fn bailiwick(
    index: &EmbeddedIndex,
    schema: &Arc<Schema>,
    teams: &[String],
) -> Arc<Bailiwick> {
    let provider = DevProvider::start(Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        people: Vec::new(),
        audience: "bailiwick".into(),
        client_id: "bench".into(),
        redirect_origins: vec!["http://127.0.0.1:1".into()],
        token_lifetime: Duration::from_secs(600),
    })
    .await
    .unwrap();
    let identity: IdentityConfig =
        serde_json::from_value(json!({ "issuer": provider.issuer(), "audience": "bailiwick" }))
            .unwrap();
    let verifier = Verifier::start(identity).unwrap();
    while verifier.readiness().is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let token = provider.sign(json!({ "teams": teams }).as_object().unwrap().clone()).unwrap();
    let claims = verifier.verify(&token).await.unwrap();
    let rules = json!({ "rule": [{ "attribute": "team", "op": "in", "claim": "teams" }] });
    let policy = Policy::new(&serde_json::from_value(rules).unwrap(), Arc::clone(schema)).unwrap();
    policy.decide(&claims, index.labels()).await.unwrap()
}

fn search(bencher: Bencher<'_, '_>, mode: Mode, all: bool) {
    search_among(bencher, mode, all, TEAMS);
}

fn search_among(bencher: Bencher<'_, '_>, mode: Mode, all: bool, teams: usize) {
    let world = world(teams);
    let within = if all { &world.everything } else { &world.one_team };
    let mut numbers = Numbers(7);
    let queries = (0..64).map(|_| {
        let text = (0..6).map(|_| numbers.word()).collect::<Vec<_>>().join(" ");
        Query { dense_weight: 0.4, ..Query::new(text, SPACE, numbers.vector(), 5, mode) }
    });
    let queries: Vec<Query> = queries.collect();
    let mut turn = queries.iter().cycle();
    bencher.bench_local(|| {
        let query = turn.next().unwrap();
        world.runtime.block_on(world.index.search(query, within)).unwrap()
    });
}

#[divan::bench(args = [true, false])]
fn dense(bencher: Bencher<'_, '_>, everything: bool) {
    search(bencher, Mode::Dense, everything);
}

#[divan::bench(args = [true, false])]
fn lexical(bencher: Bencher<'_, '_>, everything: bool) {
    search(bencher, Mode::Lexical, everything);
}

#[divan::bench(args = [true, false])]
fn hybrid(bencher: Bencher<'_, '_>, everything: bool) {
    search(bencher, Mode::Hybrid, everything);
}

/// One team's chunks, alone or beside those of the 19 others.
#[divan::bench(args = [1, TEAMS])]
fn hidden_chunks(bencher: Bencher<'_, '_>, teams: usize) {
    search_among(bencher, Mode::Hybrid, false, teams);
}
