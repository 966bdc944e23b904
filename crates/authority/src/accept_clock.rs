//! An operator says that the clock is right, which was ahead before.

use serde::Serialize;

use crate::audit::Kind;
use crate::authority::{Administrator, Authority, Inner, administered};
use crate::clock::Timestamp;
use crate::error::AuthorityError;
use crate::keys::OVERLAP_SECONDS;

/// A clock that was accepted.
#[derive(Clone, Debug, Serialize)]
pub struct AcceptedClock {
    /// The time that counts now.
    pub now: Timestamp,
    /// The greatest time that was seen before.
    pub before: Timestamp,
    /// Key that signs tokens from now on.
    pub kid: String,
}

impl Authority {
    /// Checks that the clock is not behind a time that was seen before.
    ///
    /// # Errors
    /// [`AuthorityError::ClockBehind`], or the database cannot be read.
    pub async fn check_clock(&self) -> Result<(), AuthorityError> {
        self.blocking(|inner| inner.store.now().map(drop)).await
    }

    /// Takes the clock for right, although it is behind a time that was seen before.
    ///
    /// What was deleted meanwhile cannot be told, so nothing of before counts: a new key signs, and
    /// tokens of the former ones, assertions, and tokens of people that are to be exchanged are
    /// refused if they are older.
    ///
    /// # Errors
    /// The clock is not behind, or nothing can be recorded or stored.
    pub async fn accept_clock(&self, by: &Administrator) -> Result<AcceptedClock, AuthorityError> {
        let by = by.clone();
        self.blocking(move |inner| inner.accept_clock(&by)).await
    }
}

impl Inner {
    fn accept_clock(&self, by: &Administrator) -> Result<AcceptedClock, AuthorityError> {
        if self.store.now().is_ok() {
            return Err(AuthorityError::ClockNotBehind);
        }
        self.store.write(|writing| {
            let (now, before) = (writing.now(), writing.latest()?);
            let kid = self.keys.rotate(writing)?;
            writing.accept_time(now.earlier(OVERLAP_SECONDS))?;
            let event = administered(Kind::Admin, by).with_detail(format!(
                "the clock is accepted, which was {before} before; tokens of agents are revoked, \
                 and the key {kid} signs"
            ));
            self.audit.record_blocking(event)?;
            Ok(AcceptedClock { now, before, kid })
        })
    }
}
