//! What the audit trail takes at a million records: `cargo bench -p bailiwick-authority`.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::sync::LazyLock;

use bailiwick_authority::audit::{Event, Kind, Outcome, Search};
use bailiwick_authority::{Audit, Timestamp};
use divan::{Bencher, black_box};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const RECORDS: u32 = 1_000_000;
/// So many wait for the writer at a time, as so many requests would.
const AT_ONCE: u32 = 1_000;

/// A trail of retrievals, ten a second, of 1,000 people, 100 agents and 50,000 documents.
struct Trail {
    audit: Audit,
    runtime: Runtime,
    _folder: TempDir,
}

static TRAIL: LazyLock<Trail> = LazyLock::new(|| {
    let (folder, runtime) = (TempDir::new().unwrap(), Runtime::new().unwrap());
    let audit = {
        let _inside = runtime.enter();
        Audit::open(folder.path()).unwrap()
    };
    for first in (0..RECORDS).step_by(AT_ONCE as usize) {
        let events = (first..first + AT_ONCE).map(event);
        runtime.block_on(record_all(&audit, events));
    }
    Trail { audit, runtime, _folder: folder }
});

async fn record_all(audit: &Audit, events: impl Iterator<Item = Event>) {
    let recorded = events.map(|event| audit.record(event));
    for recorded in futures::future::join_all(recorded).await {
        recorded.unwrap();
    }
}

fn event(n: u32) -> Event {
    let mut event = Event::new(Kind::Retrieved, Outcome::Ok);
    event.time = time(n / 10);
    event.issuer = Some("https://idp.example.com/realms/acme".into());
    event.subject = Some(format!("person-{}", n % 1000));
    event.agent = n.is_multiple_of(10).then(|| format!("agent-{}", n / 10 % 100));
    event.jti = Some(format!("token-{n}"));
    event.claims_digest = Some(format!("{:064x}", n % 1000));
    event.policy_revision = Some("4196874f84fc5c04".into());
    event.bailiwick_digest = Some(format!("{:064x}", n % 500));
    event.index_revision = Some(u64::from(n / 1000));
    event.document_ids =
        (0..5).map(|k| format!("folder/document-{}", (n * 7 + k) % 50_000)).collect();
    event.labels = vec![r#"{"department":"hr","clearance_level":"Internal"}"#.into()];
    event
}

/// So many seconds after a certain midnight.
fn time(seconds: u32) -> String {
    let (day, hour) = (1 + seconds / 86_400, seconds / 3600 % 24);
    format!("2026-11-{day:02}T{hour:02}:{:02}:{:02}.000Z", seconds / 60 % 60, seconds % 60)
}

fn main() {
    divan::main();
}

/// The newest 100 records of one person, document, agent or minute.
#[divan::bench(args = ["person", "document", "agent", "time", "person, document and time"])]
fn search(bencher: Bencher<'_, '_>, by: &str) {
    let at = |seconds| Some(Timestamp::parse(&time(seconds)).unwrap());
    let by = |field: &str| by.contains(field);
    let middle = RECORDS / 20;
    let search = Search {
        person: by("person").then(|| "person-7".into()),
        document: by("document").then(|| "folder/document-49".into()),
        agent: by("agent").then(|| "agent-7".into()),
        from: if by("time") { at(middle) } else { None },
        to: if by("time") { at(middle + 60) } else { None },
        limit: 100,
        ..Search::default()
    };
    let trail = &*TRAIL;
    bencher.bench_local(|| trail.audit.search(black_box(&search)).unwrap());
}

/// Every record, every link of the chain.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn verify_a_million() {
    assert!(TRAIL.audit.verify().unwrap().records >= u64::from(RECORDS));
}

/// What a question waits for, when so many are asked at once.
#[divan::bench(args = [1, 16, 256])]
fn record(bencher: Bencher<'_, '_>, at_once: u32) {
    let trail = &*TRAIL;
    bencher
        .counter(at_once)
        .bench_local(|| trail.runtime.block_on(record_all(&trail.audit, (0..at_once).map(event))));
}
