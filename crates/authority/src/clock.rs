//! Points in time, as this crate stores and shows them.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

const SECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const MILLISECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A second in UTC, shown as RFC 3339 with `Z` and no fraction, up to the year 9999.
///
/// The AuthSec clients read other forms wrongly: a fraction of any length but six, or no zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// Where the time comes from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Self::new(Timestamp::now)
    }

    /// Another clock, such as a test's.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

impl Timestamp {
    /// This second.
    pub fn now() -> Self {
        Self(OffsetDateTime::now_utc().unix_timestamp())
    }

    /// From Unix seconds.
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Unix seconds.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// From RFC 3339, such as `2026-11-21T22:59:00Z`; fractions of a second are dropped.
    ///
    /// # Errors
    /// A sentence for whoever wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        OffsetDateTime::parse(text, &Rfc3339)
            .map(|at| Self(at.unix_timestamp()))
            .map_err(|_| format!("{text:?} is no time as in 2026-11-21T22:59:00Z"))
    }

    /// With milliseconds, as the audit trail writes times.
    pub(crate) fn in_milliseconds(self) -> String {
        let at = OffsetDateTime::from_unix_timestamp(self.0).ok();
        at.and_then(|at| at.format(MILLISECONDS).ok()).unwrap_or_default()
    }

    pub(crate) fn earlier(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub_unsigned(seconds))
    }

    /// `seconds` later.
    #[must_use]
    pub fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = OffsetDateTime::from_unix_timestamp(self.0).ok();
        match at.and_then(|at| at.format(SECONDS).ok()) {
            Some(text) => f.write_str(&text),
            None => write!(f, "{} seconds after 1970", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Now, to the millisecond, as RFC 3339 with `Z`.
pub(crate) fn now_in_milliseconds() -> String {
    OffsetDateTime::now_utc().format(MILLISECONDS).unwrap_or_default()
}
