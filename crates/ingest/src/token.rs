//! Delegation tokens from the authority.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Mutex;

use crate::http::{self, Base, HttpError};

const AUTHORITY: &str = "the authority";
const ANSWER_BYTES: usize = 64 * 1024;
const TOKEN_BYTES: usize = 16 * 1024;

/// A token this close to its end is not used again, so that none expires on its way.
const EARLY: Duration = Duration::from_secs(60);

/// A token, which prints as nothing.
#[derive(Clone, Debug)]
pub struct DelegationToken {
    /// What goes behind `Bearer`.
    pub secret: SecretString,
    /// Whose token the authority says it is.
    pub spiffe_id: Option<String>,
    /// When it stops being taken.
    pub expires_at: SystemTime,
}

/// Fetches tokens for one agent, and keeps each until a minute before its end.
#[derive(Debug)]
pub struct DelegationTokens {
    http: Client,
    base: Base,
    client_id: String,
    /// Held across the request, so that many readers cause one.
    kept: Mutex<HashMap<Option<String>, DelegationToken>>,
}

impl DelegationTokens {
    /// Tokens of the agent with this client id, from the authority at this address.
    ///
    /// # Errors
    /// [`HttpError::Settings`] when the address or the client id cannot be used.
    pub fn new(address: &str, client_id: &str) -> Result<Self, HttpError> {
        Self::at(Base::parse(address)?, client_id)
    }

    pub(crate) fn at(base: Base, client_id: &str) -> Result<Self, HttpError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if client_id.is_empty() || client_id.len() > 64 || !client_id.chars().all(plain) {
            let told = http::printable(client_id);
            return Err(HttpError::Settings(format!("`{told}` is not a client id; it is a UUID")));
        }
        let kept = Mutex::default();
        Ok(Self { http: base.client()?, base, client_id: client_id.to_owned(), kept })
    }

    /// A token for this scope, or for all that is delegated.
    ///
    /// # Errors
    /// [`HttpError`] for every answer that is not a usable token.
    pub async fn get(&self, scope: Option<&str>) -> Result<DelegationToken, HttpError> {
        let mut kept = self.kept.lock().await;
        let scope = scope.map(str::to_owned);
        let early = SystemTime::now() + EARLY;
        if let Some(token) = kept.get(&scope).filter(|token| token.expires_at > early) {
            return Ok(token.clone());
        }
        kept.remove(&scope);
        let token = self.fetch(scope.as_deref()).await?;
        kept.insert(scope, token.clone());
        Ok(token)
    }

    /// Drops the token for this scope, because somebody refused it.
    pub async fn forget(&self, scope: Option<&str>) {
        self.kept.lock().await.remove(&scope.map(str::to_owned));
    }

    async fn fetch(&self, scope: Option<&str>) -> Result<DelegationToken, HttpError> {
        let url = self.base.join("authsec/uflow/sdk/delegation-token");
        let mut query = vec![("client_id", self.client_id.as_str())];
        query.extend(scope.map(|scope| ("scope", scope)));
        let sent = self.http.get(url).query(&query).send().await;
        let body = http::answer(AUTHORITY, sent, ANSWER_BYTES, None).await?;
        // serde's message may quote the body, which holds the token.
        let answer: Answer =
            bailiwick_json::read(&body).map_err(|_| malformed("it is not a token answer"))?;
        answer.into_token(SystemTime::now())
    }
}

#[derive(Deserialize)]
struct Answer {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
    spiffe_id: Option<String>,
    expires_at: Option<String>,
    ttl_seconds: Option<u64>,
    expires_in: Option<u64>,
}

impl Answer {
    fn into_token(self, now: SystemTime) -> Result<DelegationToken, HttpError> {
        let expires_at = self.expires_at(now)?;
        let secret = self.token.or(self.access_token).ok_or(malformed("it holds no token"))?;
        let text = secret.expose_secret();
        // Anything else could end the header, or is no JWT (RFC 7515, section 7.1).
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if text.is_empty() || text.len() > TOKEN_BYTES || !text.bytes().all(fits) {
            return Err(malformed("its token is not a JWT"));
        }
        if expires_at <= now {
            return Err(malformed("its token has expired"));
        }
        Ok(DelegationToken { secret, spiffe_id: self.spiffe_id, expires_at })
    }

    fn expires_at(&self, now: SystemTime) -> Result<SystemTime, HttpError> {
        if let Some(text) = &self.expires_at {
            let at = OffsetDateTime::parse(text, &Rfc3339)
                .map_err(|_| malformed("its `expires_at` is not an RFC 3339 time"))?;
            return Ok(at.into());
        }
        let seconds = self.ttl_seconds.or(self.expires_in);
        let seconds = seconds.ok_or(malformed("it does not say when the token expires"))?;
        now.checked_add(Duration::from_secs(seconds)).ok_or(malformed("it expires too late"))
    }
}

fn malformed(problem: &str) -> HttpError {
    HttpError::Malformed { peer: AUTHORITY, problem: problem.to_owned() }
}
