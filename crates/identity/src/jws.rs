//! The strict reader of signed tokens (JWS compact serialization, RFC 7515; RFC 8725).
//!
//! `jsonwebtoken` checks signatures and nothing else here: form, header, keys and claims are read
//! by this module, which accepts one way to write each thing.
//! The order is fixed: size, form, header, algorithm, then the key, then the signature, then the
//! payload.

mod claims;
mod keys;
mod strict;

use serde_json::{Map, Value};

pub use keys::{IgnoredKey, KeySet, KeySetError};
pub(crate) use strict::Unverified;

use crate::{Algorithm, Rejection};

/// What a token must be to be accepted.
///
/// Start from [`Profile::access_token`] or [`Profile::client_assertion`] and change fields.
#[derive(Clone, Debug)]
pub struct Profile {
    /// `iss`, byte for byte.
    pub issuer: String,
    /// `aud` must name at least one of these, byte for byte.
    pub audiences: Vec<String>,
    /// The allowed signature algorithms; what the token says never adds one.
    pub algorithms: Vec<Algorithm>,
    /// Allowed `typ` headers, without `application/`; case does not matter.
    pub token_types: Vec<String>,
    /// Whether a token may leave `typ` out.
    pub untyped: bool,
    /// Claims that must be there besides `iss`, `aud` and `exp`.
    pub required_claims: Vec<String>,
    /// Whether `sub` must be there; when it is, it is checked in any case.
    pub subject_required: bool,
    /// Tolerance for `exp`, `nbf` and `iat`, in seconds.
    pub clock_skew_seconds: u64,
    /// Longest `exp - iat`, in seconds; without `iat`, longest `exp - now`.
    pub max_lifetime_seconds: u64,
}

/// Longer tokens, in bytes, are refused before they are looked at.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

impl Profile {
    /// An access token (RFC 9068): `typ: at+jwt`, `sub` and `iat` required, at most a day long.
    pub fn access_token(issuer: impl Into<String>, audiences: Vec<String>) -> Profile {
        Profile {
            issuer: issuer.into(),
            audiences,
            algorithms: Algorithm::DEFAULTS.to_vec(),
            token_types: vec!["at+jwt".to_owned()],
            untyped: false,
            required_claims: vec!["iat".to_owned()],
            subject_required: true,
            clock_skew_seconds: 30,
            max_lifetime_seconds: 86_400,
        }
    }

    /// A client's assertion of itself (RFC 7523 section 3): `typ` may be absent or `JWT`, `jti`
    /// is required so that the caller can refuse a replay, and it lives five minutes at most.
    ///
    /// The caller still compares `sub` with `iss` and remembers `jti`.
    pub fn client_assertion(client_id: impl Into<String>, audiences: Vec<String>) -> Profile {
        Profile {
            token_types: vec!["JWT".to_owned(), "client-authentication+jwt".to_owned()],
            untyped: true,
            required_claims: vec!["jti".to_owned()],
            max_lifetime_seconds: 300,
            ..Profile::access_token(client_id, audiences)
        }
    }
}

/// Header and payload of a compact token as they are signed (RFC 7515, section 5.1).
///
/// Name a token by these and not by all of it: whoever holds a token that is signed with ECDSA can
/// replace the signature (r, s) by (r, n - s), which verifies too.
pub fn signing_input(token: &str) -> &str {
    token.rsplit_once('.').map_or(token, |(signed, _)| signed)
}

/// Verifies `token` with one of `keys` and returns its payload.
///
/// `now_unix` is in seconds since 1970-01-01 UTC.
///
/// # Errors
/// [`Rejection::Expired`] if the token was good until its `exp`, [`Rejection::Invalid`] otherwise.
pub fn verify(
    token: &str,
    profile: &Profile,
    keys: &KeySet,
    now_unix: i64,
) -> Result<Map<String, Value>, Rejection> {
    Unverified::read(token, profile)?.verify(profile, keys, now_unix)
}

impl Unverified<'_> {
    pub(crate) fn verify(
        &self,
        profile: &Profile,
        keys: &KeySet,
        now_unix: i64,
    ) -> Result<Map<String, Value>, Rejection> {
        let key = keys.find(self.key_id.as_deref())?;
        if key.algorithm() != self.algorithm {
            return Err(Rejection::invalid("the key is for another algorithm than alg says"));
        }
        let holds = jsonwebtoken::crypto::verify(
            self.signature,
            self.signed.as_bytes(),
            key.decoding(),
            self.algorithm.into(),
        );
        if !holds.unwrap_or(false) {
            return Err(Rejection::invalid("signature does not hold"));
        }
        claims::read(&self.payload, profile, now_unix)
    }
}
