//! Whatever is done to the trail's file, it does not verify; what the configuration removes, it
//! does without.

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use bailiwick_authority::audit::{
    ClaimsRead, Event, Fault, Kind, Outcome, Questions, QuestionsKept, Seal, Search,
};
use bailiwick_authority::{Audit, AuditError};
use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::{CLI, House, open};

/// How many records the trail of the laws has, the first of them the authority's key.
const RECORDS: i64 = 14;

fn claims(department: &str) -> ClaimsRead {
    let said = json!({ "department": department });
    ClaimsRead { said: said.as_object().unwrap().clone(), missing: vec!["projects".into()] }
}

fn retrieved(n: usize) -> Event {
    let mut event = Event::new(Kind::Retrieved, Outcome::Ok)
        .with_claims(claims(["sales", "hr"][n % 2]))
        .with_detail(format!("number {n}"));
    event.subject = Some(format!("person-{}", n % 3));
    event.agent = Some(format!("agent-{}", n % 2));
    event.document_ids = vec![format!("document-{n}"), "document-0".into()];
    event
}

/// A trail that is sealed at its end, in files that nobody has open.
fn sealed() -> &'static TempDir {
    static SEALED: OnceLock<TempDir> = OnceLock::new();
    SEALED.get_or_init(|| {
        let House { directory, authority, audit, .. } = House::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for n in 0..11 {
                audit.record(retrieved(n)).await.unwrap();
            }
            authority.checkpoint().await.unwrap();
        });
        drop((authority, audit, runtime));
        for name in ["audit.db", "authority.db"] {
            let connection = Connection::open(directory.path().join(name)).unwrap();
            let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
            connection.query_row(sql, [], |_| Ok(())).unwrap();
        }
        directory
    })
}

fn copied(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for name in ["audit.db", "authority.db"] {
        fs::copy(from.join(name), to.path().join(name)).unwrap();
    }
    to
}

fn tamper(directory: &Path, sql: &str) {
    let connection = Connection::open(directory.join("audit.db")).unwrap();
    let triggers: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for trigger in triggers {
        connection.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    connection.execute_batch(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
}

fn exported(audit: &Audit) -> Result<String, AuditError> {
    let mut lines = Vec::new();
    audit.export(&mut lines)?;
    Ok(String::from_utf8(lines).unwrap())
}

/// What somebody may do who has the file and knows SQL; each changes what is there.
fn mutation() -> impl Strategy<Value = String> {
    let record = 1..=RECORDS;
    let pair = (1..RECORDS, 1..RECORDS).prop_filter("two records", |(a, b)| a != b);
    let forget = "UPDATE sqlite_sequence SET seq = (SELECT coalesce(max(seq), 0) FROM audit);";
    let terms = "DELETE FROM audit_terms WHERE seq NOT IN (SELECT seq FROM audit);";
    prop_oneof![
        (record.clone(), 0..60_i64).prop_map(|(seq, at)| format!(
            "UPDATE audit SET event = substr(event, 1, {at})
             || char(unicode(substr(event, {at} + 1, 1)) + 1) || substr(event, {at} + 2)
             WHERE seq = {seq}"
        )),
        record.clone().prop_map(|seq| format!(
            "UPDATE audit SET event = replace(event, 'person', 'persom'), hash = zeroblob(32)
             WHERE seq = {seq}"
        )),
        (record.clone(), 0..32_i64).prop_map(|(seq, at)| format!(
            "UPDATE audit SET hash = unhex(substr(hex(hash), 1, 2 * {at})
             || printf('%02X', (instr('0123456789ABCDEF', substr(hex(hash), 2 * {at} + 1, 1)) * 16) % 256)
             || substr(hex(hash), 2 * {at} + 3)) WHERE seq = {seq}"
        )),
        (record.clone(), 1..4_i64).prop_map(move |(seq, some)| format!(
            "DELETE FROM audit WHERE seq BETWEEN {seq} AND {seq} + {some} - 1; {terms}"
        )),
        // Cut off at the end, and all traces of it removed.
        record.clone().prop_map(move |seq| format!(
            "DELETE FROM audit WHERE seq >= {seq}; {terms} {forget}"
        )),
        // Cut off at the beginning, as if the configuration had asked for it.
        record.clone().prop_map(move |seq| format!(
            "INSERT INTO audit_anchor SELECT 1, seq, hash FROM audit WHERE seq = {seq};
             DELETE FROM audit WHERE seq <= {seq}; {terms}"
        )),
        pair.clone().prop_map(|(a, b)| format!(
            "UPDATE audit SET seq = -1 WHERE seq = {a}; UPDATE audit SET seq = {a} WHERE seq = {b};
             UPDATE audit SET seq = {b} WHERE seq = -1"
        )),
        pair.prop_map(|(a, b)| format!(
            "UPDATE audit SET (event, hash) = (SELECT event, hash FROM audit WHERE seq = {b})
             WHERE seq = {a}"
        )),
        record.clone().prop_map(|seq| format!(
            "INSERT INTO audit (event, hash) SELECT event, hash FROM audit WHERE seq = {seq}"
        )),
        (record.clone(), 0..3_i64).prop_map(|(seq, n)| format!(
            "DELETE FROM audit_terms WHERE (field, value, seq) IN
             (SELECT field, value, seq FROM audit_terms WHERE seq >= {seq}
              ORDER BY seq, field, value LIMIT 1 OFFSET {n})"
        )),
        record.clone().prop_map(|seq| format!(
            "UPDATE audit_terms SET value = value || 'x' WHERE (field, value, seq) IN
             (SELECT field, value, seq FROM audit_terms WHERE seq >= {seq} ORDER BY seq LIMIT 1)"
        )),
        record.prop_map(|seq| format!(
            "INSERT INTO audit_terms VALUES ('document', 'never-read', {seq})"
        )),
        (1..9_i64).prop_map(|more| format!("UPDATE sqlite_sequence SET seq = seq + {more}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_trail_that_was_touched_never_verifies(sql in mutation()) {
        let copy = copied(sealed().path());
        tamper(copy.path(), &sql);
        let verdict = Audit::open(copy.path()).and_then(|audit| audit.verify());
        prop_assert!(verdict.is_err(), "{} verified: {:?}", sql, verdict);
    }

    /// SQLite leaves room between its records, where a byte means nothing.
    #[test]
    fn a_byte_that_changes_is_found_or_changes_no_record(
        place in any::<prop::sample::Index>(), bit in 0..8_u32,
    ) {
        let whole = exported(&Audit::open(copied(sealed().path()).path()).unwrap()).unwrap();
        let copy = copied(sealed().path());
        let file = copy.path().join("audit.db");
        let mut bytes = fs::read(&file).unwrap();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        fs::write(&file, bytes).unwrap();
        if let Ok(audit) = Audit::open(copy.path())
            && audit.verify().is_ok()
        {
            prop_assert_eq!(exported(&audit).unwrap(), whole);
        }
    }

    /// Somebody who recomputes every hash has a chain without a fault, and no signature for it.
    #[test]
    fn a_trail_that_was_rewritten_whole_is_not_the_one_that_was_sealed(from in 1..=RECORDS) {
        let copy = copied(sealed().path());
        let sql = format!("UPDATE audit SET event = replace(event, 'number', 'anumber')
                           WHERE seq >= {from}");
        tamper(copy.path(), &sql);
        let connection = Connection::open(copy.path().join("audit.db")).unwrap();
        let changed: i64 = connection
            .query_row("SELECT count(*) FROM audit WHERE event LIKE '%anumber%'", [], |r| r.get(0))
            .unwrap();
        rechain(&connection);
        let verdict = Audit::open(copy.path()).unwrap().verify();
        if changed == 0 {
            prop_assert!(verdict.is_ok());
        } else {
            let wanted = Fault::Rewritten;
            let found = matches!(verdict, Err(AuditError::Broken { fault, .. }) if fault == wanted);
            prop_assert!(found, "{:?}", verdict);
        }
    }
}

fn rechain(connection: &Connection) {
    use aws_lc_rs::digest::{Context, SHA256};
    let mut head = vec![0_u8; 32];
    for seq in 1..=RECORDS {
        let sql = "SELECT event FROM audit WHERE seq = ?1";
        let event: String = connection.query_row(sql, [seq], |row| row.get(0)).unwrap();
        let mut context = Context::new(&SHA256);
        context.update(&head);
        context.update(event.as_bytes());
        head = context.finish().as_ref().to_vec();
        let sql = "UPDATE audit SET hash = ?2 WHERE seq = ?1";
        connection.execute(sql, rusqlite::params![seq, head]).unwrap();
    }
}

#[test]
fn the_trail_of_the_laws_verifies_untouched() {
    let copy = copied(sealed().path());
    let audit = Audit::open(copy.path()).unwrap();
    let verified = audit.verify().unwrap();
    let records = u64::try_from(RECORDS).unwrap();
    assert_eq!((verified.records, verified.sealed), (records, Some(records)));
}

#[tokio::test]
async fn a_checkpoint_that_was_kept_elsewhere_shows_a_return_to_yesterday() {
    let house = House::new();
    house.audit.record(retrieved(1)).await.unwrap();
    let yesterday = house.authority.checkpoint().await.unwrap();
    let saved = copied_open(house.path());
    house.audit.record(retrieved(2)).await.unwrap();
    let today = house.authority.checkpoint().await.unwrap();
    assert!(today.seq > yesterday.seq);
    assert_eq!(house.authority.checkpoint().await.unwrap(), today, "nothing is new");
    let both = [yesterday.clone(), today.clone()];
    assert_eq!(house.audit.verify_with(&both).unwrap().sealed, Some(today.seq));

    // Both databases go back; each agrees with the other.
    let audit = Audit::open(saved.path()).unwrap();
    assert!(audit.verify().is_ok() && audit.verify_with(&[yesterday]).is_ok());
    match audit.verify_with(std::slice::from_ref(&today)) {
        Err(AuditError::Broken { fault: Fault::Missing, .. }) => {}
        other => panic!("{other:?}"),
    }
}

fn copied_open(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    bailiwick_authority::back_up(from, &to.path().join("copy")).unwrap();
    for name in ["audit.db", "authority.db"] {
        fs::rename(to.path().join("copy").join(name), to.path().join(name)).unwrap();
    }
    to
}

#[tokio::test]
async fn a_checkpoint_counts_only_as_it_was_signed_and_only_from_this_authority() {
    let (house, stranger) = (House::new(), House::new());
    house.audit.record(retrieved(1)).await.unwrap();
    stranger.audit.record(retrieved(1)).await.unwrap();
    let seal = house.authority.checkpoint().await.unwrap();
    let foreign = stranger.authority.checkpoint().await.unwrap();
    let changes: [fn(&mut Seal); 4] = [
        |seal| seal.seq -= 1,
        |seal| seal.head = "0".repeat(64),
        |seal| seal.issuer.push('x'),
        |seal| seal.signature.truncate(8),
    ];
    let mut forged = vec![foreign];
    for change in changes {
        let mut seal = seal.clone();
        change(&mut seal);
        forged.push(seal);
    }
    for seal in forged {
        let verdict = house.audit.verify_with(std::slice::from_ref(&seal));
        assert!(matches!(verdict, Err(AuditError::Seal(_))), "{seal:?}: {verdict:?}");
    }
    // A key that has long retired still vouches.
    for _ in 0..2 {
        house.authority.rotate_keys(&CLI).await.unwrap();
        Connection::open(house.path().join("authority.db"))
            .unwrap()
            .execute("UPDATE signing_keys SET retired_at = 1 WHERE retired_at > 0", [])
            .unwrap();
    }
    house.authority.rotate_keys(&CLI).await.unwrap();
    assert_eq!(
        house.audit.verify_with(std::slice::from_ref(&seal)).unwrap().sealed,
        Some(seal.seq)
    );
}

#[tokio::test]
async fn no_checkpoint_is_signed_for_a_trail_that_is_broken() {
    let house = House::new();
    house.authority.checkpoint().await.unwrap();
    for n in 0..4 {
        house.audit.record(retrieved(n)).await.unwrap();
    }
    tamper(house.path(), "UPDATE audit SET event = replace(event, 'person', 'nobody')");
    let refused = house.authority.checkpoint().await.unwrap_err();
    assert!(refused.to_string().contains("altered"), "{refused}");
}

#[tokio::test]
async fn what_is_too_old_goes_and_the_rest_still_verifies() {
    let house = House::new();
    for n in 0..2_500 {
        let mut event = retrieved(n);
        let year = if n < 2_400 { 2020 } else { 2100 };
        event.time = format!("{year}-01-01T00:{:02}:{:02}.000Z", n / 60 % 60, n % 60);
        house.audit.record(event).await.unwrap();
    }
    // The key's own record is of today and stands before them, so that it goes with them.
    let before = house.audit.verify().unwrap();
    let removed = house.authority.prune(30, &CLI).await.unwrap();
    let after = house.audit.verify().unwrap();
    assert_eq!(removed, 1 + 2 + 2_400, "the key, both sets of claims, what is old");
    assert_eq!(after.records, before.records - removed + 1, "it is on record that they went");
    assert_eq!(house.last_event()["kind"], "pruned");
    assert_eq!(house.authority.prune(30, &CLI).await.unwrap(), 0);

    let found = |document: &str| {
        let search = Search { document: Some(document.into()), limit: 10, ..Search::default() };
        house.audit.search(&search).unwrap().records.len()
    };
    assert_eq!((found("document-7"), found("document-2450")), (0, 1));
    assert_eq!(house.audit.known_claims().unwrap().len(), 0);
    house.audit.record(retrieved(0)).await.unwrap();
    assert_eq!(house.audit.known_claims().unwrap()[0].claims, claims("sales"));

    // The anchor is what lets it begin late; without it, or behind it, nothing does.
    let kept = house.authority.checkpoint().await.unwrap();
    let (_authority, audit) = open(house.path());
    assert_eq!(audit.verify_with(std::slice::from_ref(&kept)).unwrap().sealed, Some(kept.seq));
    tamper(house.path(), "DELETE FROM audit WHERE seq = (SELECT min(seq) FROM audit)");
    assert!(audit.verify().is_err());
}

#[tokio::test]
async fn claims_are_recorded_once_and_named_by_every_record() {
    let house = House::new();
    let (_authority, other) = open(house.path());
    for n in 0..8 {
        let audit = if n % 3 == 0 { &other } else { &house.audit };
        audit.record(retrieved(n)).await.unwrap();
    }
    let known = house.audit.known_claims().unwrap();
    let seen: Vec<_> = known.iter().map(|known| known.claims.clone()).collect();
    assert_eq!(seen, [claims("sales"), claims("hr")]);
    for record in house.events().iter().filter(|event| event["kind"] == "retrieved") {
        let digest = record["claims_digest"].as_str().unwrap();
        assert!(known.iter().any(|known| known.digest == digest));
        assert!(record.get("claims").is_none(), "a receipt holds the digest alone");
    }
    let seen = house.events().into_iter().filter(|event| event["kind"] == "claims_seen");
    assert!(seen.into_iter().all(|event| event.get("subject").is_none()), "and nobody's name");
}

#[tokio::test]
async fn a_question_is_left_out_hashed_or_kept() {
    let house = House::new();
    let noted = |kept, question: &str| {
        let mut event = Event::new(Kind::Retrieved, Outcome::Ok);
        Questions::open(house.path(), kept).unwrap().note(question, &mut event);
        (event.query, event.query_hash)
    };
    assert_eq!(noted(QuestionsKept::Omit, "salaries"), (None, None));
    assert_eq!(noted(QuestionsKept::Store, "salaries"), (Some("salaries".into()), None));
    let (words, hash) = noted(QuestionsKept::Hash, "salaries");
    assert_eq!((words, hash.as_ref().unwrap().len()), (None, 64));
    assert_eq!(noted(QuestionsKept::Hash, "salaries").1, hash, "the key is kept");
    assert_ne!(noted(QuestionsKept::Hash, "salary").1, hash);
    let elsewhere = House::new();
    let questions = Questions::open(elsewhere.path(), QuestionsKept::Hash).unwrap();
    assert_ne!(questions.hash("salaries"), hash, "nobody without the key can guess");
}

#[tokio::test]
async fn writers_go_on_while_old_records_go() {
    let house = House::new();
    for n in 0..1_500 {
        let mut event = retrieved(n);
        event.time = "2020-01-01T00:00:00.000Z".into();
        house.audit.record(event).await.unwrap();
    }
    let audit = Arc::clone(&house.audit);
    let writer = tokio::spawn(async move {
        for n in 0..200 {
            audit.record(retrieved(n)).await.unwrap();
        }
    });
    house.authority.prune(1, &CLI).await.unwrap();
    writer.await.unwrap();
    assert!(house.audit.verify().unwrap().records >= 200);
}
