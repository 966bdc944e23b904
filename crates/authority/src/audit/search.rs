//! Finds records by whom and what they are about.
//!
//! Invariant: every record has its terms as soon as it is written, by whatever process: a trigger
//! of the database writes them in the same transaction. The chain does not cover them, so
//! [`Audit::verify`] compares them with the records.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use serde::Serialize;
use utoipa::ToSchema;

use super::chain::Record;
use super::{Audit, AuditError, Kind, Recorded};
use crate::clock::Timestamp;
use crate::database::DatabaseError;

/// One row for each value of a record that one can search for.
pub(super) const TERMS: &str = "
    CREATE TABLE audit_terms (
        field TEXT NOT NULL,
        value TEXT NOT NULL,
        seq   INTEGER NOT NULL,
        PRIMARY KEY (field, value, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE VIEW audit_terms_of AS
        SELECT seq, 'event' AS field, event ->> 'kind' AS value FROM audit
        UNION ALL SELECT seq, 'person', event ->> 'subject' FROM audit
        UNION ALL SELECT seq, 'agent', event ->> 'agent' FROM audit
        UNION ALL SELECT a.seq, 'document', d.value
                  FROM audit a, json_each(a.event, '$.document_ids') d;
    CREATE TRIGGER audit_has_terms AFTER INSERT ON audit BEGIN
        INSERT OR IGNORE INTO audit_terms (field, value, seq)
        SELECT field, value, seq FROM audit_terms_of WHERE seq = new.seq AND value IS NOT NULL;
    END;
    INSERT OR IGNORE INTO audit_terms (field, value, seq)
        SELECT field, value, seq FROM audit_terms_of WHERE value IS NOT NULL
        ORDER BY field, value, seq;
";

/// Then claims became known by their digest, and records may go when the configuration says so.
pub(super) const CLASSES_AND_RETENTION: &str = "
    CREATE TABLE audit_anchor (
        id   INTEGER PRIMARY KEY CHECK (id = 1),
        seq  INTEGER NOT NULL,
        hash BLOB NOT NULL
    ) STRICT;
    DROP TRIGGER audit_has_terms;
    DROP VIEW audit_terms_of;
    CREATE VIEW audit_terms_of AS
        SELECT seq, 'event' AS field, event ->> 'kind' AS value FROM audit
        UNION ALL SELECT seq, 'person', event ->> 'subject' FROM audit
        UNION ALL SELECT seq, 'agent', event ->> 'agent' FROM audit
        UNION ALL SELECT seq, 'claims', event ->> 'claims_digest' FROM audit
                  WHERE event ->> 'kind' = 'claims_seen'
        UNION ALL SELECT a.seq, 'document', d.value
                  FROM audit a, json_each(a.event, '$.document_ids') d;
    CREATE TRIGGER audit_has_terms AFTER INSERT ON audit BEGIN
        INSERT OR IGNORE INTO audit_terms (field, value, seq)
        SELECT field, value, seq FROM audit_terms_of WHERE seq = new.seq AND value IS NOT NULL;
    END;
    CREATE TRIGGER audit_drops_terms BEFORE DELETE ON audit BEGIN
        DELETE FROM audit_terms WHERE (field, value, seq) IN
        (SELECT field, value, seq FROM audit_terms_of WHERE seq = old.seq);
    END;
    DROP TRIGGER audit_is_never_shortened;
    CREATE TRIGGER audit_is_never_shortened BEFORE DELETE ON audit
    WHEN old.seq > coalesce((SELECT seq FROM audit_anchor), 0)
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
";

/// The most records that one search returns.
const MOST: usize = 1000;
/// How far the times of neighbours in the trail may be out of order, in seconds: several writers
/// wait for the disk, and clocks are set.
const DISORDER: u64 = 60;
/// How many records of each term are counted to find the rarest.
const COUNTED: i64 = 1000;

/// What is looked for; whatever is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// The `sub` of a person, or the SPIFFE ID of an agent.
    pub person: Option<String>,
    /// The id of a document that was returned, stored or removed.
    pub document: Option<String>,
    /// The name of an agent.
    pub agent: Option<String>,
    /// What happened.
    pub event: Option<Kind>,
    /// The first second.
    pub from: Option<Timestamp>,
    /// The second after the last.
    pub to: Option<Timestamp>,
    /// Only records before this one: [`Page::next`] of the page before.
    pub before: Option<u64>,
    /// The most records, at most 1,000.
    pub limit: usize,
}

/// Some of the records that a [`Search`] finds.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Page {
    /// Newest first.
    pub records: Vec<Recorded>,
    /// For [`Search::before`], when older records may be found.
    pub next: Option<u64>,
}

impl Audit {
    /// Finds records, newest first. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// The file is corrupt or unusable, or one of the records is not what was written.
    pub fn search(&self, search: &Search) -> Result<Page, AuditError> {
        let wrong = |e| DatabaseError::sqlite(&self.path, e);
        let connection = self.reader()?;
        let limit = search.limit.clamp(1, MOST);
        let (sql, values) = search.statement(&connection).map_err(wrong)?;
        let mut statement = connection.prepare(&sql).map_err(wrong)?;
        let mut rows = statement.query(params_from_iter(values)).map_err(wrong)?;
        let mut page = Page { records: Vec::new(), next: None };
        while let Some(row) = rows.next().map_err(wrong)? {
            let record = Record::read(row).map_err(wrong)?.parsed()?;
            if !search.covers(&record.event.time) {
                continue;
            }
            if page.records.len() == limit {
                page.next = page.records.last().map(|last| last.seq);
                break;
            }
            page.records.push(record);
        }
        Ok(page)
    }
}

impl Search {
    /// Goes through the rarest term's records, newest first, and looks the others up.
    fn statement(&self, connection: &Connection) -> rusqlite::Result<(String, Vec<Value>)> {
        let mut terms = self.terms(connection)?;
        terms.sort_by_key(|(count, ..)| *count);
        let led = if terms.is_empty() { "a.seq" } else { "t0.seq" };
        let (first, end) = self.window(connection)?;
        let mut values = vec![Value::from(first), Value::from(end)];
        let (mut tables, mut conditions) = (String::new(), String::new());
        for (n, (_, field, value)) in terms.into_iter().enumerate() {
            // CROSS keeps the order that is written.
            tables.push_str(&format!("audit_terms t{n} CROSS JOIN "));
            conditions
                .push_str(&format!(" AND t{n}.field = ? AND t{n}.value = ? AND t{n}.seq = {led}"));
            values.extend([Value::from(field.to_owned()), Value::from(value)]);
        }
        let sql = format!(
            "SELECT a.seq, a.event, a.hash FROM {tables}audit a
             WHERE {led} >= ? AND {led} < ? AND a.seq = {led}{conditions} ORDER BY {led} DESC"
        );
        Ok((sql, values))
    }

    /// The terms, each with how many records have it, of which a few are counted.
    fn terms(&self, connection: &Connection) -> rusqlite::Result<Vec<(i64, &str, String)>> {
        let event = self.event.map(|kind| kind.name().to_owned());
        let fields = [
            ("document", self.document.clone()),
            ("agent", self.agent.clone()),
            ("person", self.person.clone()),
            ("event", event),
        ];
        let mut count = connection.prepare(
            "SELECT count(*) FROM
             (SELECT 1 FROM audit_terms WHERE field = ?1 AND value = ?2 LIMIT ?3)",
        )?;
        let wanted = fields.into_iter().filter_map(|(field, value)| Some((field, value?)));
        wanted
            .map(|(field, value)| {
                let count = count.query_row(params![field, value, COUNTED], |row| row.get(0))?;
                Ok((count, field, value))
            })
            .collect()
    }

    /// The numbers between which the wanted times stand: the first, and the one after the last.
    fn window(&self, connection: &Connection) -> rusqlite::Result<(i64, i64)> {
        let first = match self.from {
            Some(from) => first_at(connection, from.earlier(DISORDER))?,
            None => 0,
        };
        let end = match self.to {
            Some(to) => first_at(connection, to.plus(DISORDER))?,
            None => i64::MAX,
        };
        let before = self.before.map_or(i64::MAX, |seq| i64::try_from(seq).unwrap_or(i64::MAX));
        Ok((first, end.min(before)))
    }

    fn covers(&self, time: &str) -> bool {
        self.from.is_none_or(|from| time >= from.in_milliseconds().as_str())
            && self.to.is_none_or(|to| time < to.in_milliseconds().as_str())
    }
}

/// The number of the first record of this time or later, by bisection: numbers have no gaps
/// but the one before the first.
pub(super) fn first_at(connection: &Connection, time: Timestamp) -> rusqlite::Result<i64> {
    let time = time.in_milliseconds();
    let mut at = connection.prepare("SELECT event ->> 'time' FROM audit WHERE seq = ?1")?;
    let last: Option<i64> =
        connection.query_row("SELECT max(seq) FROM audit", [], |row| row.get(0))?;
    let (mut low, mut high) = (1, last.unwrap_or(0) + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<String> = at.query_row([middle], |row| row.get(0)).optional()?;
        // What is not there any more was the oldest.
        if found.is_none_or(|found| found < time) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
