//! The OAuth endpoints, as functions from a form to an answer.

mod client;
mod exchange;
mod form;
mod metadata;
mod revocation;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

pub use self::form::Form;
use crate::agent::{Agent, Delegation};
use crate::audit::{Event, Kind, Outcome};
use crate::authority::{Authority, Inner};
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::error::AuthorityError;
use crate::scope::Scopes;
use crate::token::{Draft, Minted, Refusal, TokenError};

/// `grant_type` of RFC 6749 section 4.4.
const CLIENT_CREDENTIALS: &str = "client_credentials";
/// `grant_type` of RFC 8693.
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// What an OAuth endpoint answers instead (RFC 6749 section 5.2).
///
/// [`status`](Self::status) and [`body`](Self::body) are the answer; the cause is for the log and
/// the audit trail.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", code.name())]
pub struct OAuthError {
    code: Code,
    cause: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    InvalidScope,
    InvalidTarget,
    UnauthorizedClient,
    UnsupportedGrantType,
    AccessDenied,
    Unavailable,
}

impl Code {
    fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::AccessDenied => "access_denied",
            Self::Unavailable => "temporarily_unavailable",
        }
    }

    fn error(self, cause: impl Into<String>) -> OAuthError {
        OAuthError { code: self, cause: cause.into() }
    }
}

impl OAuthError {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self.code {
            Code::InvalidClient => 401,
            Code::AccessDenied => 403,
            Code::Unavailable => 503,
            _ => 400,
        }
    }

    /// The JSON body. What failed about a client or a token is not told: whether a client is
    /// unknown, revoked or lacks the key looks the same.
    pub fn body(&self) -> Value {
        let description = match self.code {
            Code::InvalidClient => "client authentication failed",
            Code::InvalidGrant => "the subject token cannot be exchanged",
            Code::Unavailable => "try again later",
            _ => &self.cause,
        };
        json!({ "error": self.code.name(), "error_description": description })
    }

    /// The `WWW-Authenticate` header of a 401.
    pub fn challenge(&self) -> Option<&'static str> {
        (self.status() == 401).then_some("Bearer error=\"invalid_client\"")
    }
}

impl From<AuthorityError> for OAuthError {
    fn from(e: AuthorityError) -> Self {
        Code::Unavailable.error(e.to_string())
    }
}

impl From<DatabaseError> for OAuthError {
    fn from(e: DatabaseError) -> Self {
        AuthorityError::from(e).into()
    }
}

/// What is wrong with a token that was handed in to be exchanged.
impl From<Refusal> for OAuthError {
    fn from(refusal: Refusal) -> Self {
        match refusal.error {
            TokenError::Unavailable => Code::Unavailable.error(refusal.cause),
            _ => Code::InvalidGrant.error(refusal.cause),
        }
    }
}

/// The answer of the token endpoint (RFC 6749 section 5.1, RFC 8693 section 2.2.1): serialize it
/// as the body of a 200, with `Cache-Control: no-store`.
#[derive(Serialize)]
pub struct TokenResponse {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
}

/// Without the token.
impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenResponse").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// A token that waits for its audit record.
struct Issued {
    minted: Minted,
    agent: Agent,
    exchanged: bool,
}

/// A request that failed, and who made it, as far as that was proved.
struct Failed {
    error: OAuthError,
    agent: Option<Box<Agent>>,
}

impl<E: Into<OAuthError>> From<E> for Failed {
    fn from(e: E) -> Self {
        Self { error: e.into(), agent: None }
    }
}

impl Authority {
    /// `POST /oauth/token`: `client_credentials` and token exchange, for agents that authenticate
    /// with an assertion.
    ///
    /// A token is returned only once its audit record is durable.
    ///
    /// # Errors
    /// See [`OAuthError`]; every refusal is recorded too.
    pub async fn token_endpoint(
        &self,
        form: Form,
        request_id: Option<&str>,
    ) -> Result<TokenResponse, OAuthError> {
        match self.issue_by_form(form).await {
            Ok(issued) => {
                let event = issued.minted.event(&issued.agent).with_request(request_id);
                self.audit().record(event).await.map_err(AuthorityError::from)?;
                Ok(TokenResponse {
                    token_type: "Bearer",
                    expires_in: issued.minted.lifetime(),
                    scope: issued.minted.claims.scope,
                    access_token: issued.minted.token,
                    issued_token_type: issued.exchanged.then_some(exchange::ACCESS_TOKEN),
                })
            }
            Err(failed) => Err(self.refused(failed, request_id).await),
        }
    }

    /// Logs and records a refusal, and hands its error on.
    async fn refused(&self, failed: Failed, request_id: Option<&str>) -> OAuthError {
        let Failed { error, agent } = failed;
        tracing::info!(cause = %error, "an OAuth request was refused");
        let outcome = match error.code {
            Code::Unavailable => Outcome::Failed,
            _ => Outcome::Refused,
        };
        let mut event = Event::new(Kind::TokenRefused, outcome)
            .with_detail(error.to_string())
            .with_request(request_id);
        event.client_id = agent.as_ref().map(|agent| agent.client_id.to_string());
        event.agent = agent.map(|agent| agent.name);
        self.audit().record_refusal(event).await;
        error
    }
}

impl Authority {
    async fn issue_by_form(&self, form: Form) -> Result<Issued, Failed> {
        let exchanged = match form.one("grant_type")? {
            Some(CLIENT_CREDENTIALS) => false,
            Some(TOKEN_EXCHANGE) => true,
            Some(_) => {
                let cause = "grant_type is client_credentials or token exchange here";
                return Err(Code::UnsupportedGrantType.error(cause).into());
            }
            None => return Err(Code::InvalidRequest.error("grant_type is missing").into()),
        };
        let form = Arc::new(form);
        let client = Arc::clone(&form);
        let agent = self.blocking(move |inner| inner.actor(&client, exchanged)).await?;
        let minted = if exchanged {
            self.exchange(&agent, form).await
        } else {
            let agent = agent.clone();
            self.blocking(move |inner| inner.client_credentials(&agent, &form)).await
        };
        match minted {
            Ok(minted) => Ok(Issued { minted, agent, exchanged }),
            Err(error) => Err(Failed { error, agent: Some(Box::new(agent)) }),
        }
    }
}

impl Inner {
    fn client_credentials(&self, agent: &Agent, form: &Form) -> Result<Minted, OAuthError> {
        let delegation = usable(agent, self.now())?;
        Ok(self.mint(Draft {
            agent,
            delegation,
            subject: &agent.spiffe_id,
            person: None,
            scopes: narrowed_scopes(&delegation.permissions, form)?,
            audience: narrowed_audience(&delegation.audience, form)?,
            not_after: delegation.expires_at,
            act: None,
        })?)
    }
}

/// What is delegated to `agent` now, if it permits anything.
fn usable(agent: &Agent, now: Timestamp) -> Result<&Delegation, OAuthError> {
    let delegation =
        agent.delegation.as_ref().filter(|delegation| delegation.expires_at > now).ok_or_else(
            || Code::UnauthorizedClient.error("nothing is delegated to this agent now"),
        )?;
    if delegation.permissions.is_empty() {
        return Err(Code::AccessDenied.error("the delegation permits nothing"));
    }
    Ok(delegation)
}

/// What `scope` takes from `held`; without it, all.
fn narrowed_scopes(held: &Scopes, form: &Form) -> Result<Scopes, OAuthError> {
    let scopes = match form.one("scope")? {
        None => held.clone(),
        Some(asked) => held.narrowed(asked).unwrap_or_default(),
    };
    if scopes.is_empty() {
        return Err(Code::InvalidScope.error("ask for scopes that are delegated to this agent"));
    }
    Ok(scopes)
}

/// What `audience` and `resource` take from `held`; without them, all.
fn narrowed_audience(held: &[String], form: &Form) -> Result<Vec<String>, OAuthError> {
    let asked = [form.every("audience"), form.every("resource")].concat();
    let known = |one: &&str| held.iter().any(|h| h == one);
    if held.is_empty() || !asked.iter().all(known) {
        return Err(Code::InvalidTarget.error("ask for an audience of this agent's delegation"));
    }
    let keep = |one: &&String| asked.is_empty() || asked.contains(&one.as_str());
    Ok(held.iter().filter(keep).cloned().collect())
}
