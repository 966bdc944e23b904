//! The greatest time that was seen, so that a clock which is put back revives nothing.
//!
//! Rows about tokens are deleted by time. A clock that was ahead deleted rows about tokens that
//! live; when it is put back, nothing is issued or accepted until an operator says which is right.

use rusqlite::{Connection, params};

use super::{Store, Writing};
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::error::AuthorityError;

/// How far a clock may be put back unnoticed, in seconds: what time servers correct.
pub(super) const TOLERANCE_SECONDS: u64 = 60;

impl Store {
    /// Now.
    ///
    /// # Errors
    /// The clock is behind a time that was seen before.
    pub(crate) fn now(&self) -> Result<Timestamp, AuthorityError> {
        let now = self.clock.now();
        let latest = self.read(latest)?;
        if now.plus(TOLERANCE_SECONDS) < latest {
            return Err(AuthorityError::ClockBehind { now, latest });
        }
        Ok(now)
    }

    /// Keeps the time, as every write does.
    pub(crate) fn note_time(&self) -> Result<(), AuthorityError> {
        self.now()?;
        self.write(|_| Ok(()))
    }
}

/// What was issued until this second may have been used or revoked without a row that says so:
/// the last time that a clock was accepted.
pub(crate) fn accepted_at(c: &Connection) -> rusqlite::Result<i64> {
    c.prepare_cached("SELECT accepted_at FROM clock")?.query_row([], |row| row.get(0))
}

fn latest(c: &Connection) -> rusqlite::Result<Timestamp> {
    let mut statement = c.prepare_cached("SELECT latest FROM clock")?;
    statement.query_row([], |row| row.get(0).map(Timestamp::from_unix))
}

impl Writing<'_> {
    /// The time of this write.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) fn latest(&self) -> Result<Timestamp, DatabaseError> {
        self.run(latest)
    }

    pub(super) fn note_time(&self) -> Result<(), DatabaseError> {
        self.run(|c| {
            let mut statement =
                c.prepare_cached("UPDATE clock SET latest = ?1 WHERE latest < ?1")?;
            statement.execute([self.now.unix()]).map(drop)
        })
    }

    /// Takes now for the greatest time. Keys that retired verify no token from here on, and what
    /// was written with a later time is dated back: a delegation lasts as long as it was meant to.
    pub(crate) fn accept_time(&self, retired: Timestamp) -> Result<(), DatabaseError> {
        let now = self.now.unix();
        self.run(|c| {
            c.execute("UPDATE clock SET latest = ?1, accepted_at = ?1", [now])?;
            c.execute(
                "UPDATE signing_keys SET retired_at = ?1 WHERE retired_at > ?1",
                [retired.unix()],
            )?;
            c.execute(
                "UPDATE delegations SET expires_at = expires_at - (created_at - ?1),
                        created_at = ?1
                 WHERE created_at > ?1",
                [now],
            )?;
            c.execute("UPDATE agents SET last_used_at = ?1 WHERE last_used_at > ?1", params![now])
                .map(drop)
        })
    }
}
