//! The `[authority]` table.

use bailiwick_identity::is_loopback;
use serde::Deserialize;
use spiffe::TrustDomain;
use url::Url;

use crate::error::AuthorityError;

/// The longest life of a delegation token, in seconds, whatever is configured.
pub const MAX_TOKEN_TTL_SECONDS: u64 = 1800;

/// The `[authority]` table of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorityConfig {
    /// Our name in every token, and the base of our endpoints: an `https` URL without query,
    /// fragment and final slash; `http` only on this machine.
    pub issuer: String,
    /// The SPIFFE trust domain of the agents.
    pub trust_domain: String,
    /// The longest life of a token, in seconds: at most 1800, which is the default.
    #[serde(default = "longest")]
    pub token_ttl_seconds: u64,
    /// For whom our vault and documents API are in tokens. Default: `issuer`.
    #[serde(default)]
    pub audience: Option<String>,
}

fn longest() -> u64 {
    MAX_TOKEN_TTL_SECONDS
}

impl AuthorityConfig {
    /// The audience of the tokens that our own APIs accept.
    pub fn audience(&self) -> &str {
        self.audience.as_deref().unwrap_or(&self.issuer)
    }

    /// Where client assertions are sent, and for whom they are.
    pub fn token_endpoint(&self) -> String {
        format!("{}/oauth/token", self.issuer)
    }

    /// Checks every key.
    ///
    /// # Errors
    /// [`AuthorityError::Config`] names the first key with an impossible value.
    pub fn validate(&self) -> Result<TrustDomain, AuthorityError> {
        let wrong = |key, reason: &str| AuthorityError::Config { key, reason: reason.to_owned() };
        if !is_issuer(&self.issuer) {
            return Err(wrong(
                "issuer",
                "write an https URL without query, fragment and final slash; http only on this machine",
            ));
        }
        if !(1..=MAX_TOKEN_TTL_SECONDS).contains(&self.token_ttl_seconds) {
            return Err(wrong("token_ttl_seconds", "write 1 to 1800"));
        }
        let audience = self.audience();
        if audience.is_empty() || audience.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(wrong("audience", "write a name without spaces, or leave it out"));
        }
        TrustDomain::new(&self.trust_domain)
            .ok()
            .filter(|domain| domain.as_str() == self.trust_domain)
            .ok_or_else(|| wrong("trust_domain", "write a name like acme.example, in lower case"))
    }
}

/// RFC 8414 section 2: `https`, no query, no fragment; and no final slash, so that it is compared
/// and extended without doubt.
fn is_issuer(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        let plain = url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && !text.ends_with('/');
        plain && is_private_channel(&url)
    })
}

/// Whether what is sent there can be read by nobody on the way.
pub(crate) fn is_private_channel(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(url),
        _ => false,
    }
}
