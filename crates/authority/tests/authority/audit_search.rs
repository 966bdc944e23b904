//! Search in the audit trail finds just what a look at every record would find.

use std::path::Path;

use bailiwick_authority::audit::{Event, Kind, Outcome, Page, Recorded, Search};
use bailiwick_authority::{Audit, Timestamp};
use rusqlite::Connection;

/// 200 records, ten a minute from noon on.
async fn trail(directory: &Path) -> Audit {
    let audit = Audit::open(directory).unwrap();
    for n in 0..200_u32 {
        let kind = if n % 7 == 0 { Kind::Ingested } else { Kind::Retrieved };
        let mut event = Event::new(kind, Outcome::Ok);
        event.time = format!("2026-11-21T12:{:02}:{:02}.500Z", n / 10, n % 10 * 6);
        event.subject = Some(format!("person-{}", n % 3));
        event.agent = (n % 7 == 0).then(|| format!("agent-{}", n % 2));
        event.document_ids = vec![format!("document-{}", n % 5), format!("document-{}", n % 4)];
        audit.record(event).await.unwrap();
    }
    audit
}

fn seqs(page: &Page) -> Vec<u64> {
    page.records.iter().map(|record| record.seq).collect()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn wanted(limit: usize) -> Search {
    Search { limit, ..Search::default() }
}

#[tokio::test]
async fn every_combination_finds_what_a_look_at_every_record_finds() {
    let directory = tempfile::tempdir().unwrap();
    let audit = trail(directory.path()).await;
    let all: Vec<Recorded> = audit.search(&wanted(1000)).unwrap().records;
    assert_eq!(all.len(), 200);
    for chosen in 0..64_u32 {
        let on = |bit: u32| chosen & (1 << bit) != 0;
        let search = Search {
            person: on(0).then(|| "person-1".into()),
            document: on(1).then(|| "document-2".into()),
            agent: on(2).then(|| "agent-1".into()),
            event: on(3).then_some(Kind::Ingested),
            from: on(4).then(|| at("2026-11-21T12:05:00Z")),
            to: on(5).then(|| at("2026-11-21T13:15:00+01:00")),
            ..wanted(1000)
        };
        let expected: Vec<u64> = all
            .iter()
            .filter(|record| {
                let event = &record.event;
                (!on(0) || event.subject.as_deref() == Some("person-1"))
                    && (!on(1) || event.document_ids.iter().any(|id| id == "document-2"))
                    && (!on(2) || event.agent.as_deref() == Some("agent-1"))
                    && (!on(3) || event.kind == Kind::Ingested)
                    && (!on(4) || event.time.as_str() >= "2026-11-21T12:05:00.000Z")
                    && (!on(5) || event.time.as_str() < "2026-11-21T12:15:00.000Z")
            })
            .map(|record| record.seq)
            .collect();
        assert_eq!(seqs(&audit.search(&search).unwrap()), expected, "{search:?}");
    }
}

#[tokio::test]
async fn pages_follow_one_another_without_gap_or_repeat() {
    let directory = tempfile::tempdir().unwrap();
    let audit = trail(directory.path()).await;
    let search = Search { person: Some("person-2".into()), ..wanted(7) };
    let whole = seqs(&audit.search(&Search { limit: 1000, ..search.clone() }).unwrap());
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = audit.search(&Search { before, ..search.clone() }).unwrap();
        assert!(page.records.len() <= 7);
        found.extend(seqs(&page));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(found, whole);
    assert!(found.is_sorted_by(|newer, older| newer > older));
}

/// What turns a trail of today into one that an earlier release left.
const FORMER: [&str; 2] = [
    "DROP TRIGGER audit_drops_terms; DROP TABLE audit_anchor; PRAGMA user_version = 2;",
    "DROP TRIGGER audit_drops_terms; DROP TABLE audit_anchor;
     DROP TRIGGER audit_has_terms; DROP VIEW audit_terms_of; DROP TABLE audit_terms;
     PRAGMA user_version = 1;",
];

#[tokio::test]
async fn a_trail_of_a_release_before_is_searched_and_verified_when_it_is_opened() {
    for former in FORMER {
        let directory = tempfile::tempdir().unwrap();
        drop(trail(directory.path()).await);
        let connection = Connection::open(directory.path().join("audit.db")).unwrap();
        connection.execute_batch(former).unwrap();
        let audit = Audit::open(directory.path()).unwrap();
        let search = Search { agent: Some("agent-0".into()), ..wanted(1000) };
        assert_eq!(audit.search(&search).unwrap().records.len(), 15);
        assert_eq!(audit.verify().unwrap().records, 200);
    }
}

#[tokio::test]
async fn what_is_looked_for_is_never_taken_for_a_statement() {
    let directory = tempfile::tempdir().unwrap();
    let audit = trail(directory.path()).await;
    for hostile in ["' OR 1=1 --", "person-%", "", "PERSON-1", "person-1\0", "person-1 "] {
        let search = Search { person: Some(hostile.into()), ..wanted(10) };
        assert_eq!(seqs(&audit.search(&search).unwrap()), [0; 0], "{hostile:?}");
    }
    assert!(Timestamp::parse("yesterday").is_err());
}
