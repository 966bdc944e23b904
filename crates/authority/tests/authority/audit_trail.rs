//! The audit trail: what is written stays, and whoever changes it is found.

use std::path::Path;
use std::sync::Arc;

use bailiwick_authority::audit::{Event, Fault, Kind, Outcome};
use bailiwick_authority::{Audit, AuditError};
use rusqlite::Connection;

use super::{CLI, House};

fn retrieved(n: usize) -> Event {
    let mut event = Event::new(Kind::Retrieved, Outcome::Ok);
    event.issuer = Some("https://idp.example".into());
    event.subject = Some(format!("person-{n}"));
    event.document_ids = vec![format!("document-{n}")];
    event.index_revision = Some(7);
    event
}

/// A trail of `n` records.
async fn trail(directory: &Path, n: usize) -> Audit {
    let audit = Audit::open(directory).unwrap();
    for i in 1..=n {
        audit.record(retrieved(i)).await.unwrap();
    }
    audit
}

fn tamper(directory: &Path, sql: &str) {
    let connection = Connection::open(directory.join("audit.db")).unwrap();
    connection
        .execute_batch(
            "DROP TRIGGER audit_is_never_altered; DROP TRIGGER audit_is_never_shortened;",
        )
        .unwrap();
    connection.execute_batch(sql).unwrap();
}

#[tokio::test]
async fn whoever_changes_a_record_is_found() {
    let cases = [
        (
            "UPDATE audit SET event = replace(event, 'person-3', 'person-9') WHERE seq = 3",
            3,
            Fault::Altered,
        ),
        ("UPDATE audit SET hash = zeroblob(32) WHERE seq = 5", 5, Fault::Altered),
        ("DELETE FROM audit WHERE seq = 4", 4, Fault::Missing),
        ("DELETE FROM audit WHERE seq = 1", 1, Fault::Missing),
        ("DELETE FROM audit WHERE seq = 6", 6, Fault::Missing),
        ("DELETE FROM audit", 1, Fault::Missing),
        (
            "UPDATE audit SET seq = 99 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3;
             UPDATE audit SET seq = 3 WHERE seq = 99;",
            2,
            Fault::Reordered,
        ),
        ("INSERT INTO audit (event, hash) VALUES ('{\"seq\":7}', zeroblob(32))", 7, Fault::Altered),
    ];
    for (sql, first, wanted) in cases {
        let directory = tempfile::tempdir().unwrap();
        let audit = trail(directory.path(), 6).await;
        assert_eq!(audit.verify().unwrap().records, 6);
        tamper(directory.path(), sql);
        match audit.verify() {
            Err(AuditError::Broken { seq, fault }) => {
                assert_eq!((seq, fault), (first, wanted), "{sql}")
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_database_refuses_to_forget() {
    let directory = tempfile::tempdir().unwrap();
    let audit = trail(directory.path(), 3).await;
    let connection = Connection::open(directory.path().join("audit.db")).unwrap();
    for sql in
        ["DELETE FROM audit", "UPDATE audit SET event = '{}'", "DELETE FROM audit WHERE seq = 3"]
    {
        let refused = connection.execute(sql, []).unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
    assert_eq!(audit.verify().unwrap().records, 3);
}

#[tokio::test]
async fn the_head_shows_a_trail_that_was_rewritten_whole() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = trail(one.path(), 3).await.verify().unwrap();
    let second = trail(two.path(), 3).await.verify().unwrap();
    assert_eq!(first.records, second.records);
    assert_ne!(first.head, second.head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_writers_share_one_chain() {
    let directory = tempfile::tempdir().unwrap();
    let handles = [Audit::open(directory.path()).unwrap(), Audit::open(directory.path()).unwrap()]
        .map(Arc::new);
    let mut writers = Vec::new();
    for writer in 0..16 {
        let audit = Arc::clone(&handles[writer % 2]);
        writers.push(tokio::spawn(async move {
            for n in 0..50 {
                audit.record(retrieved(writer * 50 + n)).await.unwrap();
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(handles[0].verify().unwrap().records, 800);
    let mut people: Vec<String> = handles[1]
        .tail(800)
        .unwrap()
        .iter()
        .map(|event| event["subject"].as_str().unwrap().to_owned())
        .collect();
    people.sort();
    people.dedup();
    assert_eq!(people.len(), 800, "each record once");
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let audit = trail(directory.path(), 5).await;
    // The first handle is neither closed nor flushed: this is what another process would find.
    let found = Audit::open(directory.path()).unwrap();
    assert_eq!(found.verify().unwrap().records, 5);
    let tail = found.tail(2).unwrap();
    assert_eq!(
        (&tail[0]["subject"], &tail[1]["subject"]),
        (&"person-4".into(), &"person-5".into())
    );
    drop(audit);
}

#[tokio::test]
async fn hostile_text_stays_inside_its_record() {
    let directory = tempfile::tempdir().unwrap();
    let audit = Audit::open(directory.path()).unwrap();
    let hostile = "x\",\"admin\":true}\r\n{\"kind\":\"admin\u{1b}[2J\u{0}\u{2028}";
    let mut event = Event::new(Kind::Retrieved, Outcome::Ok).with_detail("é".repeat(5_000));
    event.subject = Some(hostile.into());
    audit.record(event).await.unwrap();

    let record = audit.tail(10).unwrap().remove(0);
    assert_eq!(record["subject"], hostile);
    assert_eq!(record.get("admin"), None);
    assert!(record["detail"].as_str().unwrap().len() <= 1024);
    let connection = Connection::open(directory.path().join("audit.db")).unwrap();
    let text: String = connection.query_row("SELECT event FROM audit", [], |r| r.get(0)).unwrap();
    assert!(!text.contains(char::is_control), "{text:?}");
    assert_eq!(audit.verify().unwrap().records, 1);
}

#[tokio::test]
async fn nothing_opens_when_the_trail_cannot_be_written() {
    let house = House::new();
    let agent = house.agent("reader", &["read:records"]).await;
    let token = house.token(&agent).await;
    // A trail that refuses every append stands for a full disk.
    Connection::open(house.path().join("audit.db"))
        .unwrap()
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON audit
             BEGIN SELECT RAISE(ABORT, 'disk full'); END;",
        )
        .unwrap();

    let refused = super::issue(&house.authority, &agent, None).await.unwrap_err();
    assert_eq!(refused.status(), 503);
    assert!(!refused.body().to_string().contains("disk"), "the cause is for the log");
    assert!(house.authority.delegate("reader", super::allow(&["read:all"]), &CLI).await.is_err());
    let delegated = &house.authority.list_agents().await.unwrap()[0].delegation;
    assert_eq!(delegated.as_ref().unwrap().permissions.as_slice(), ["read:records"]);

    // Closing a door does not wait for the record of it.
    assert!(house.authority.revoke_agent("reader", &CLI).await.is_err());
    assert!(house.authority.authenticate(&token, None).await.is_err());
}

#[tokio::test]
async fn no_token_is_ever_stored() {
    let house = House::new();
    let agent = house.agent("reader", &["read:records"]).await;
    let token = house.token(&agent).await;
    house.authority.authenticate(&token, Some("request-1")).await.unwrap();
    house.authority.authenticate(&format!("{token}x"), Some("request-2")).await.unwrap_err();
    let (_, signature) = token.rsplit_once('.').unwrap();
    let payload = token.split('.').nth(1).unwrap();
    for name in ["audit.db", "audit.db-wal", "authority.db", "authority.db-wal"] {
        let content = std::fs::read(house.path().join(name)).unwrap();
        let text = String::from_utf8_lossy(&content);
        assert!(!text.contains(signature) && !text.contains(payload), "{name}");
    }
    let issued = super::issue(&house.authority, &agent, None).await.unwrap();
    assert!(!format!("{issued:?}").contains("eyJ"));
    assert!(house.events().iter().any(|e| e["request_id"] == "request-2"));
}
