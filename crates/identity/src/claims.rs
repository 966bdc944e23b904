//! What a verified token says.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

/// What a verified access token says of a person.
///
/// Only a [`Verifier`](crate::Verifier) makes one: of a token, or of what it
/// [kept](Claims::keep) of one.
/// A person is the pair of [`issuer`](Claims::issuer) and [`subject`](Claims::subject), never the
/// subject alone.
#[derive(Clone)]
pub struct Claims {
    issuer: String,
    subject: String,
    expires_at: i64,
    token_id: Option<String>,
    payload: Arc<Map<String, Value>>,
}

impl Claims {
    /// Takes a payload that has passed [`jws`](crate::jws); `None` if that check let a hole open.
    pub(crate) fn from_verified(payload: Map<String, Value>) -> Option<Claims> {
        let text = |name| payload.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Claims {
            issuer: text("iss")?,
            subject: text("sub")?,
            expires_at: payload.get("exp")?.as_i64()?,
            token_id: text("jti"),
            payload: Arc::new(payload),
        })
    }

    /// `iss`, equal to the configured issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub`, at most 255 bytes and never empty.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `exp`, in seconds since 1970-01-01 UTC.
    pub fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// `jti`, when the issuer gives one.
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// The claims as text, for [`Verifier::recall`](crate::Verifier::recall). It holds personal
    /// data, and whoever can change it where it is kept can change what the person may read.
    pub fn keep(&self) -> String {
        Value::Object(Map::clone(&self.payload)).to_string()
    }

    /// The whole verified payload.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.payload
    }
}

impl fmt::Debug for Claims {
    /// Leaves the payload out: it holds names, mail addresses and groups of a person.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Claims")
            .field("issuer", &self.issuer)
            .field("subject", &self.subject)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
