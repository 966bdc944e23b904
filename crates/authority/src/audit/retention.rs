//! How the trail is looked after: checkpoints in time, and records that are too old removed.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde::Deserialize;

use super::chain::{hex, number};
use super::question::QuestionsKept;
use super::seal::SealKind;
use super::search::first_at;
use super::{Audit, AuditError, Kind};
use crate::authority::{Administrator, Authority, Inner, administered};
use crate::clock::Timestamp;
use crate::database::{self, DatabaseError};
use crate::error::AuthorityError;

/// How often somebody looks whether a checkpoint is due.
const LOOK: Duration = Duration::from_secs(2);
/// How often the time is noted, so that a clock which is put back is noticed: every this many
/// looks, once a minute.
const LOOKS_BETWEEN_NOTES: u32 = 30;
/// How often records that are too old are removed: every this many looks, once an hour.
const LOOKS_BETWEEN_REMOVALS: u32 = 1800;
/// How many records are removed at once; writers wait for it.
const AT_ONCE: u64 = 1000;

/// The `[audit]` table of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// What is kept of a question: `omit`, `hash` or `store`. Default: `omit`.
    pub query: QuestionsKept,
    /// After how many records a checkpoint is signed. Default: 10,000.
    pub checkpoint_records: u64,
    /// After how many minutes, if there is a new record. Default: 10.
    pub checkpoint_minutes: u64,
    /// After how many days records are removed. Default: never.
    pub keep_days: Option<u32>,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            query: QuestionsKept::default(),
            checkpoint_records: 10_000,
            checkpoint_minutes: 10,
            keep_days: None,
        }
    }
}

impl AuditConfig {
    /// Checks every key.
    ///
    /// # Errors
    /// A sentence that names the first key with an impossible value.
    pub fn validate(&self) -> Result<(), String> {
        let numbers = [
            ("checkpoint_records", self.checkpoint_records),
            ("checkpoint_minutes", self.checkpoint_minutes),
            ("keep_days", self.keep_days.map_or(1, u64::from)),
        ];
        match numbers.into_iter().find(|(_, number)| *number == 0) {
            Some((key, _)) => Err(format!("audit.{key}: write 1 or more, or leave it out")),
            None => Ok(()),
        }
    }
}

impl Authority {
    /// Signs checkpoints when they are due and removes what is too old, for as long as it is
    /// polled. What goes wrong is logged, and tried again.
    pub async fn look_after_trail(self, config: AuditConfig) {
        let mut looks = 0_u32;
        loop {
            if let Err(error) = self.blocking(move |inner| inner.checkpoint_if_due(config)).await {
                tracing::error!(%error, "no checkpoint of the audit trail was signed");
            }
            if looks.is_multiple_of(LOOKS_BETWEEN_NOTES)
                && let Err(error) = self.blocking(|inner| inner.store.note_time()).await
            {
                tracing::error!(%error, "the time was not noted");
            }
            if looks.is_multiple_of(LOOKS_BETWEEN_REMOVALS)
                && let Some(days) = config.keep_days
                && let Err(error) = self.prune(days, &Administrator::CommandLine).await
            {
                tracing::error!(%error, "old records of the audit trail were not removed");
            }
            looks = looks.wrapping_add(1);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Removes the records of the trail that are older than `days`, behind a signed anchor with
    /// which the rest still verifies. Returns how many it removed.
    ///
    /// # Errors
    /// The trail is broken, or nothing can be signed, recorded or removed.
    pub async fn prune(&self, days: u32, by: &Administrator) -> Result<u64, AuthorityError> {
        let by = by.clone();
        self.blocking(move |inner| inner.prune(days, &by)).await
    }
}

impl Inner {
    fn checkpoint_if_due(&self, config: AuditConfig) -> Result<(), AuthorityError> {
        let last = self.witness()?.checkpoint;
        let written = self.audit.last()?;
        let (sealed, at) = last.map_or((0, None), |last| (last.seq, Some(last.time)));
        let new = written.saturating_sub(sealed);
        let waited = at.and_then(|at| Timestamp::parse(&at).ok()).is_none_or(|at| {
            // A clock that was ahead signed the last one, and must not keep the next one waiting.
            let now = self.now();
            at > now || at.plus(config.checkpoint_minutes.saturating_mul(60)) <= now
        });
        if new >= config.checkpoint_records || new > 0 && waited {
            self.checkpoint()?;
        }
        Ok(())
    }

    fn prune(&self, days: u32, by: &Administrator) -> Result<u64, AuthorityError> {
        let before = self.store.now()?.earlier(u64::from(days) * 24 * 3600);
        let Some((seq, head)) = self.audit.last_before(before)? else {
            return Ok(0);
        };
        // Only what a checkpoint has vouched for goes: nobody removes a record unseen.
        self.checkpoint()?;
        let event = administered(Kind::Pruned, by)
            .with_detail(format!("records up to {seq}, of before {before}"));
        self.audit.record_blocking(event)?;
        self.seal(SealKind::Anchor, seq, head)?;
        Ok(self.audit.remove_up_to(seq)?)
    }
}

impl Audit {
    /// The number of the last record.
    fn last(&self) -> Result<u64, AuditError> {
        let sql = "SELECT coalesce(max(seq), 0) FROM audit";
        let last = self.reader()?.query_row(sql, [], number);
        Ok(last.map_err(|e| DatabaseError::sqlite(&self.path, e))?)
    }

    /// The last record of before a time, with its hash, if there is one and it is not the last.
    fn last_before(&self, time: Timestamp) -> Result<Option<(u64, String)>, AuditError> {
        let wrong = |e| DatabaseError::sqlite(&self.path, e);
        let connection = self.reader()?;
        let first = first_at(&connection, time).map_err(wrong)?;
        let sql = "SELECT seq, hash FROM audit
                   WHERE seq < ?1 AND seq < (SELECT max(seq) FROM audit) ORDER BY seq DESC LIMIT 1";
        let found = connection
            .query_row(sql, [first], |row| Ok((number(row)?, hex(&row.get::<_, Vec<u8>>(1)?))));
        Ok(found.optional().map_err(wrong)?)
    }

    /// Removes records, a few at a time, and counts them. Each time the chain begins a little
    /// later, and never behind the anchor that was signed for all of them.
    fn remove_up_to(&self, last: u64) -> Result<u64, AuditError> {
        let wrong = |e| DatabaseError::sqlite(&self.path, e);
        let mut connection = database::open(&self.path, &super::SHAPE)?;
        let mut removed = 0;
        loop {
            let some = remove_some(&mut connection, last).map_err(wrong)?;
            if some == 0 {
                return Ok(removed);
            }
            removed += some;
        }
    }
}

fn remove_some(connection: &mut Connection, last: u64) -> rusqlite::Result<u64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let first = transaction.query_row("SELECT coalesce(min(seq), 0) FROM audit", [], number)?;
    if first > last {
        return Ok(0);
    }
    let end = i64::try_from(last.min(first + AT_ONCE)).unwrap_or(i64::MAX);
    transaction.execute(
        "INSERT OR REPLACE INTO audit_anchor (id, seq, hash)
         SELECT 1, seq, hash FROM audit WHERE seq = ?1",
        [end],
    )?;
    let removed = transaction.execute("DELETE FROM audit WHERE seq <= ?1", params![end])?;
    transaction.commit()?;
    Ok(u64::try_from(removed).unwrap_or(0))
}
