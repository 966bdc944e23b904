//! What goes wrong for an operator: opening, registering, delegating, rotating.

use crate::audit::AuditError;
use crate::clock::Timestamp;
use crate::config::MAX_TOKEN_TTL_SECONDS;
use crate::database::DatabaseError;
use crate::scope::ScopeError;

/// Why the authority did not open or do what an administrator asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// A configuration key has an impossible value.
    #[error("authority.{key}: {reason}")]
    Config {
        /// The key.
        key: &'static str,
        /// What is wrong with its value, and what to write.
        reason: String,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The audit trail cannot be written, so nothing was done.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The signing key cannot be made, read or used.
    #[error("signing key: {0}")]
    SigningKey(String),
    /// The name is malformed.
    #[error("an agent's name has 1 to 63 of a-z, 0-9 and \"-\", and does not start with \"-\"")]
    AgentName,
    /// The name was given before; names are never given twice.
    #[error("an agent called {0:?} exists already, perhaps a revoked one; choose another name")]
    AgentExists(String),
    /// Nobody has that name.
    #[error("there is no agent called {0:?}; `bailiwick agents list` shows them")]
    NoSuchAgent(String),
    /// The agent was shut out for good.
    #[error("the agent {0:?} is revoked for good; create another")]
    AgentRevoked(String),
    /// There is nothing to take back.
    #[error("nothing is delegated to the agent {0:?}, so there is nothing to take back")]
    NothingDelegated(String),
    /// There are no documents to release or purge.
    #[error(
        "the documents of the agent {0:?} are not in quarantine; `agents revoke {0} --quarantine` \
         puts them there"
    )]
    NotQuarantined(String),
    /// There is no such way to authenticate.
    #[error("an agent proves itself by client-id, private-key-jwt or jwt-svid")]
    Method,
    /// The agent's key is unusable.
    #[error("the agent's key: {0}")]
    Key(String),
    /// A permission is malformed.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// An audience is malformed.
    #[error("1 to 16 audiences of at most 512 bytes, without spaces and \"*\"")]
    Audience,
    /// Bounds that say nothing, or too much.
    #[error("a ceiling and read bounds name at least one attribute, and take at most 16 KiB")]
    Bounds,
    /// A time is out of range.
    #[error("a token lasts 1 to {longest} seconds here, at most {MAX_TOKEN_TTL_SECONDS} anywhere")]
    Ttl {
        /// The configured `token_ttl_seconds`.
        longest: u64,
    },
    /// A delegation that would be over at once or never.
    #[error("a delegation lasts 1 second to 10 years")]
    Lifetime,
    /// The clock is behind, so rows that would refuse something may be deleted already.
    #[error(
        "the clock says {now}, but {latest} was seen before, so nothing is issued or accepted; set \
         the clock right, or, if it was ahead before and is right now, run `bailiwick clock accept`"
    )]
    ClockBehind {
        /// What the clock says.
        now: Timestamp,
        /// The greatest time that was seen.
        latest: Timestamp,
    },
    /// There is no clock to accept.
    #[error("the clock is not behind, so there is nothing to accept")]
    ClockNotBehind,
    /// The runtime stopped in the middle.
    #[error("the server is stopping")]
    Stopped,
}
