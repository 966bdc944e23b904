//! The chain of hashes, and who looks whether it holds.
//!
//! Invariant: a record's hash covers its predecessor's hash and its own text, and its text holds
//! its number.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aws_lc_rs::digest;
use rusqlite::{Connection, OptionalExtension, Statement};
use serde::Deserialize;
use serde_json::Value;

use super::seal::{Seal, Witness};
use super::{Audit, AuditError, Recorded};
use crate::database::DatabaseError;

/// The chain's first link.
const GENESIS: [u8; 32] = [0; 32];

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It is not there.
    Missing,
    /// Its text or hash was changed, or its predecessor's.
    Altered,
    /// It stands in another's place.
    Reordered,
    /// It is not the one that was there when a checkpoint was signed.
    Rewritten,
    /// A search does not find it by what it says, or finds it by what it does not say.
    Misfiled,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::Altered => "was altered",
            Self::Reordered => "was moved",
            Self::Rewritten => "is not the one that a checkpoint was signed for",
            Self::Misfiled => "is not found by what it says",
        })
    }
}

/// What [`Audit::verify`] found intact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many records.
    pub records: u64,
    /// The last record's hash in hex. Kept elsewhere, it also shows a trail that was rewritten whole.
    pub head: String,
    /// The last record that a signed checkpoint vouches for, with all before it.
    pub sealed: Option<u64>,
}

impl Audit {
    /// Checks the whole chain, the signatures of the checkpoints that the authority keeps, and
    /// what searches go by.
    ///
    /// # Errors
    /// [`AuditError::Broken`] names the first record that is altered, missing or moved.
    pub fn verify(&self) -> Result<Verified, AuditError> {
        self.verify_with(&[])
    }

    /// [`verify`](Self::verify), also with checkpoints that were kept elsewhere: these show even a
    /// trail that was rewritten together with all that the authority keeps.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), and [`AuditError::Seal`] when a checkpoint was not signed here.
    pub fn verify_with(&self, kept: &[Seal]) -> Result<Verified, AuditError> {
        let wrong = |e| DatabaseError::sqlite(&self.path, e);
        // Read first, so that no checkpoint is younger than the trail that is looked at.
        let witness = Witness::read(&self.path)?;
        let mut connection = self.reader()?;
        let snapshot = connection.transaction().map_err(wrong)?;
        let (start, head) = beginning(&snapshot).map_err(wrong)?;
        if let Some(old) = kept.iter().find(|seal| seal.seq < start) {
            return Err(AuditError::Seal(format!(
                "it is for record {}, and the trail begins after record {start}",
                old.seq
            )));
        }
        // An anchor is signed before anything is removed, so no start lies behind it.
        let anchored = witness.anchor.as_ref().is_some_and(|anchor| anchor.seq >= start);
        if start > 0 && !anchored {
            return Err(AuditError::Broken { seq: start, fault: Fault::Missing });
        }
        let mut walk = Walk { seq: start, head, sealed: None, wanted: witness.wanted(kept)? };
        let mut filed = Filed::new(&snapshot).map_err(wrong)?;
        walk.go(&snapshot, &mut filed).map_err(wrong)??;
        if !filed.is_all().map_err(wrong)? {
            return Err(AuditError::Broken { seq: walk.seq, fault: Fault::Misfiled });
        }
        let Walk { seq, head, sealed, .. } = walk;
        Ok(Verified { records: seq.saturating_sub(start), head: hex(&head), sealed })
    }

    /// The last number and its hash, of a chain that goes on from `last` without a fault.
    pub(super) fn continued(&self, last: Option<&Seal>) -> Result<(u64, String), AuditError> {
        let wrong = |e| DatabaseError::sqlite(&self.path, e);
        let mut connection = self.reader()?;
        let snapshot = connection.transaction().map_err(wrong)?;
        let (start, head) = beginning(&snapshot).map_err(wrong)?;
        let (seq, head) = match last {
            Some(last) if last.seq > start => (last.seq, last.hash()?),
            _ => (start, head),
        };
        let wanted = last.iter().map(|last| (last.seq, last.head.clone())).collect();
        let mut walk = Walk { seq, head, sealed: None, wanted };
        let mut filed = Filed::new(&snapshot).map_err(wrong)?;
        walk.go(&snapshot, &mut filed).map_err(wrong)??;
        Ok((walk.seq, hex(&walk.head)))
    }
}

/// A look at each record, one after the other.
struct Walk {
    seq: u64,
    head: Vec<u8>,
    /// The last number of those that are vouched for.
    sealed: Option<u64>,
    /// What signed checkpoints say of the hashes, by number.
    wanted: BTreeMap<u64, String>,
}

impl Walk {
    /// Goes on to the end of the chain.
    fn go(
        &mut self,
        connection: &Connection,
        filed: &mut Filed<'_>,
    ) -> rusqlite::Result<Result<(), AuditError>> {
        let broken = |seq, fault| Ok(Err(AuditError::Broken { seq, fault }));
        if let Err(fault) = self.vouched() {
            return broken(self.seq, fault);
        }
        let mut statement =
            connection.prepare("SELECT seq, event, hash FROM audit WHERE seq > ?1 ORDER BY seq")?;
        let mut rows = statement.query([i64::try_from(self.seq).unwrap_or(i64::MAX)])?;
        while let Some(row) = rows.next()? {
            let record = Record::read(row)?;
            let seq = self.seq.saturating_add(1);
            if let Err(fault) = record.check(seq, &self.head) {
                return broken(seq, fault);
            }
            if !filed.holds(&record)? {
                return broken(seq, Fault::Misfiled);
            }
            (self.head, self.seq) = (record.hash, seq);
            if let Err(fault) = self.vouched() {
                return broken(seq, fault);
            }
        }
        let sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'audit'";
        let written = connection.query_row(sql, [], number)?;
        let vouched = self.wanted.keys().next_back().copied().unwrap_or(0);
        if self.seq != written || self.seq < vouched {
            return broken(self.seq.saturating_add(1), Fault::Missing);
        }
        Ok(Ok(()))
    }

    /// Compares the place that the walk has come to with what was signed for it.
    fn vouched(&mut self) -> Result<(), Fault> {
        match self.wanted.get(&self.seq) {
            Some(hash) if *hash != hex(&self.head) => Err(Fault::Rewritten),
            Some(_) => {
                self.sealed = Some(self.seq);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Whether searches find just what is there.
struct Filed<'a> {
    connection: &'a Connection,
    look_up: Statement<'a>,
    expected: u64,
}

/// What of a record is searched for; the view `audit_terms_of` says the same in SQL.
#[derive(Deserialize)]
struct Terms {
    kind: String,
    subject: Option<String>,
    agent: Option<String>,
    claims_digest: Option<String>,
    #[serde(default)]
    document_ids: BTreeSet<String>,
}

impl<'a> Filed<'a> {
    fn new(connection: &'a Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT 1 FROM audit_terms WHERE field = ?1 AND value = ?2 AND seq = ?3";
        Ok(Self { connection, look_up: connection.prepare(sql)?, expected: 0 })
    }

    fn holds(&mut self, record: &Record) -> rusqlite::Result<bool> {
        let Ok(terms) = serde_json::from_str::<Terms>(&record.event) else {
            return Ok(false);
        };
        let claims = terms.claims_digest.filter(|_| terms.kind == "claims_seen");
        let single = [
            ("event", Some(terms.kind)),
            ("person", terms.subject),
            ("agent", terms.agent),
            ("claims", claims),
        ];
        let documents = terms.document_ids.into_iter().map(|id| ("document", Some(id)));
        for (field, value) in single.into_iter().chain(documents) {
            let Some(value) = value else { continue };
            self.expected = self.expected.saturating_add(1);
            let seq = i64::try_from(record.seq).unwrap_or(i64::MAX);
            if !self.look_up.exists((field, value, seq))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether nothing else is searched in than what the records say.
    fn is_all(&self) -> rusqlite::Result<bool> {
        let count: u64 =
            self.connection.query_row("SELECT count(*) FROM audit_terms", [], number)?;
        Ok(count == self.expected)
    }
}

/// A stored record.
pub(super) struct Record {
    pub(super) seq: u64,
    pub(super) event: String,
    pub(super) hash: Vec<u8>,
}

impl Record {
    pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { seq: number(row)?, event: row.get(1)?, hash: row.get(2)? })
    }

    pub(super) fn parsed(self) -> Result<Recorded, AuditError> {
        let altered = |_| AuditError::Broken { seq: self.seq, fault: Fault::Altered };
        let recorded: Recorded = serde_json::from_str(&self.event).map_err(altered)?;
        Ok(Recorded { hash: hex(&self.hash), ..recorded })
    }

    /// Whether this is the record that was written as number `seq` after `head`.
    fn check(&self, seq: u64, head: &[u8]) -> Result<(), Fault> {
        if self.seq != seq {
            return Err(Fault::Missing);
        }
        if self.hash == link(head, &self.event) {
            return Ok(());
        }
        let says = serde_json::from_str::<Value>(&self.event)
            .ok()
            .and_then(|event| event.get("seq").and_then(Value::as_u64));
        Err(if says.is_some_and(|s| s != seq) { Fault::Reordered } else { Fault::Altered })
    }
}

/// The number and the hash before the first record: those of the last one that was removed.
pub(super) fn beginning(connection: &Connection) -> rusqlite::Result<(u64, Vec<u8>)> {
    let anchor = connection
        .prepare_cached("SELECT seq, hash FROM audit_anchor")?
        .query_row([], |row| Ok((number(row)?, row.get(1)?)))
        .optional()?;
    Ok(anchor.unwrap_or((0, GENESIS.to_vec())))
}

/// A record's number, the first column.
pub(super) fn number(row: &rusqlite::Row<'_>) -> rusqlite::Result<u64> {
    let number: i64 = row.get(0)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, number))
}

/// The hash of a record: SHA-256 over its predecessor's hash and its text.
pub(super) fn link(head: &[u8], event: &str) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(head);
    context.update(event.as_bytes());
    context.finish().as_ref().to_vec()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
