//! The AuthSec SDKs' way to a delegation token: `GET …/sdk/delegation-token`.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};
use url::form_urlencoded;
use uuid::Uuid;

use crate::agent::{Agent, Authentication, Delegation};
use crate::audit::{Event, Kind, Outcome};
use crate::authority::{Authority, Inner};
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::error::AuthorityError;
use crate::scope::Scopes;
use crate::store::{self, By};
use crate::token::{Draft, Minted};

/// What the client asked for.
#[derive(Clone, Debug)]
pub struct DelegationTokenRequest {
    client_id: Uuid,
    scope: Option<String>,
    request_id: Option<String>,
}

impl DelegationTokenRequest {
    /// Reads a request: its query as it stands in the URL, and every `X-Client-ID` header.
    ///
    /// # Errors
    /// The client id is missing, no UUID, given twice, or query and header differ.
    pub fn from_http(
        query: Option<&str>,
        x_client_ids: &[&str],
        request_id: Option<&str>,
    ) -> Result<Self, IssueError> {
        let (mut in_query, mut scopes) = (Vec::new(), Vec::new());
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match name.as_ref() {
                "client_id" => in_query.push(value.into_owned()),
                "scope" => scopes.push(value.into_owned()),
                _ => {}
            }
        }
        if in_query.len() > 1 || scopes.len() > 1 || x_client_ids.len() > 1 {
            return Err(IssueError::Ambiguous);
        }
        let given = in_query.iter().map(String::as_str).chain(x_client_ids.iter().copied());
        let ids = given.map(client_id).collect::<Result<Vec<Uuid>, IssueError>>()?;
        let client_id = match ids.as_slice() {
            [] => return Err(IssueError::ClientIdMissing),
            [first, rest @ ..] if rest.iter().all(|id| id == first) => *first,
            _ => return Err(IssueError::Ambiguous),
        };
        Ok(Self { client_id, scope: scopes.pop(), request_id: request_id.map(str::to_owned) })
    }
}

impl DelegationTokenRequest {
    /// The client id that was sent; nobody vouches for it.
    pub fn client_id(&self) -> Uuid {
        self.client_id
    }
}

/// The form that every client sends; the parser would take four others.
fn client_id(text: &str) -> Result<Uuid, IssueError> {
    match text {
        "" => Err(IssueError::ClientIdMissing),
        _ if text.len() == 36 => Uuid::try_parse(text).map_err(|_| IssueError::ClientIdMalformed),
        _ => Err(IssueError::ClientIdMalformed),
    }
}

/// Why there is no token. [`status`](Self::status) and [`body`](Self::body) are the answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// 400: neither `client_id` nor `X-Client-ID`.
    #[error("client_id is required (query param or X-Client-ID header)")]
    ClientIdMissing,
    /// 400: no UUID.
    #[error("Invalid client_id format")]
    ClientIdMalformed,
    /// 400: a parameter twice, or two client ids.
    #[error("invalid_request")]
    Ambiguous,
    /// 400: a scope that is not delegated, or none at all.
    #[error("invalid_scope")]
    InvalidScope,
    /// 401: the agent is revoked.
    #[error("invalid_client")]
    Revoked,
    /// 401: the agent has a better credential than its client id.
    #[error("invalid_client")]
    WeakCredential,
    /// 403: the delegation is empty.
    #[error("access_denied")]
    NothingPermitted,
    /// 404: no such agent, or nothing delegated to it.
    #[error("No active delegation token found")]
    NothingDelegated,
    /// 410: the delegation has ended.
    #[error("Delegation token has expired")]
    Expired {
        /// When.
        expired_at: Timestamp,
    },
    /// 503: the database, the key or the audit trail cannot be used. The cause is for the log.
    #[error("temporarily_unavailable")]
    Unavailable(#[source] AuthorityError),
}

impl From<AuthorityError> for IssueError {
    fn from(e: AuthorityError) -> Self {
        Self::Unavailable(e)
    }
}

impl From<DatabaseError> for IssueError {
    fn from(e: DatabaseError) -> Self {
        Self::Unavailable(e.into())
    }
}

impl IssueError {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::ClientIdMissing
            | Self::ClientIdMalformed
            | Self::Ambiguous
            | Self::InvalidScope => 400,
            Self::Revoked | Self::WeakCredential => 401,
            Self::NothingPermitted => 403,
            Self::NothingDelegated => 404,
            Self::Expired { .. } => 410,
            Self::Unavailable(_) => 503,
        }
    }

    /// The JSON body: the AuthSec clients show `error`, and read JSON only.
    pub fn body(&self) -> Value {
        let mut body = json!({ "error": self.to_string(), "error_description": self.advice() });
        if let (Self::Expired { expired_at }, Some(members)) = (self, body.as_object_mut()) {
            members.insert("expired_at".into(), expired_at.to_string().into());
        }
        body
    }

    /// The `WWW-Authenticate` header of a 401.
    pub fn challenge(&self) -> Option<&'static str> {
        (self.status() == 401).then_some("Bearer error=\"invalid_client\"")
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::ClientIdMissing => "send the agent's client id, a UUID, as client_id",
            Self::ClientIdMalformed => {
                "a client id is a UUID, like the one that `agents create` prints"
            }
            Self::Ambiguous => "send each parameter once; client_id and X-Client-ID must agree",
            Self::InvalidScope => {
                "ask for one or more delegated scopes, with single spaces between"
            }
            Self::Revoked => "this agent is revoked; ask an administrator for another",
            Self::WeakCredential => {
                "this agent authenticates with an assertion; use the token endpoint"
            }
            Self::NothingPermitted => "the delegation permits nothing; ask an administrator",
            Self::NothingDelegated => "an administrator must delegate to this client id first",
            Self::Expired { .. } => "the delegation has ended; an administrator must delegate anew",
            Self::Unavailable(_) => "no token can be issued now; try again later",
        }
    }
}

/// The answer to a good request: serialize it as the body of a 200, with `Cache-Control: no-store`.
#[derive(Clone, Serialize)]
pub struct IssuedToken {
    token: String,
    access_token: String,
    token_type: &'static str,
    spiffe_id: String,
    permissions: Scopes,
    scope: String,
    audience: Vec<String>,
    issued_at: Timestamp,
    expires_at: Timestamp,
    expires_in: i64,
    ttl_seconds: i64,
    client_id: String,
    workspace_id: String,
    tenant_id: String,
    status: &'static str,
}

/// Without the token.
impl fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedToken")
            .field("spiffe_id", &self.spiffe_id)
            .field("scope", &self.scope)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl IssuedToken {
    fn new(minted: Minted, trust_domain: &str) -> Self {
        let lifetime = minted.lifetime();
        let claims = minted.claims;
        Self {
            access_token: minted.token.clone(),
            token: minted.token,
            token_type: "Bearer",
            spiffe_id: claims.sub,
            permissions: claims.permissions,
            scope: claims.scope,
            audience: claims.aud,
            issued_at: Timestamp::from_unix(claims.iat),
            expires_at: Timestamp::from_unix(claims.exp),
            expires_in: lifetime,
            ttl_seconds: lifetime,
            client_id: claims.client_id,
            workspace_id: trust_domain.to_owned(),
            tenant_id: trust_domain.to_owned(),
            status: "active",
        }
    }

    /// The token: a bearer secret.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// When it ends.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

impl Authority {
    /// Issues a delegation token to an agent that has nothing but its client id.
    ///
    /// It is returned only once its audit record is durable.
    ///
    /// # Errors
    /// See [`IssueError`]; every refusal is recorded too.
    pub async fn issue_delegation_token(
        &self,
        request: DelegationTokenRequest,
    ) -> Result<IssuedToken, IssueError> {
        let DelegationTokenRequest { client_id, scope, request_id } = request;
        let asked = scope.clone();
        let issued = self.blocking(move |inner| inner.issue(client_id, asked.as_deref())).await;
        let error = match issued {
            Ok((minted, agent)) => {
                let event = minted.event(&agent).with_request(request_id.as_deref());
                self.audit().record(event).await.map_err(AuthorityError::from)?;
                return Ok(IssuedToken::new(minted, &self.config().trust_domain));
            }
            Err(error) => error,
        };
        let outcome = match &error {
            IssueError::Unavailable(cause) => {
                tracing::error!(%cause, "no token could be issued");
                Outcome::Failed
            }
            _ => Outcome::Refused,
        };
        let mut event = Event::new(Kind::TokenRefused, outcome)
            .with_detail(format!("{error}: {}", error.advice()))
            .with_request(request_id.as_deref());
        event.client_id = Some(client_id.to_string());
        self.audit().record_refusal(event).await;
        Err(error)
    }
}

impl Inner {
    fn issue(&self, id: Uuid, asked: Option<&str>) -> Result<(Minted, Agent), IssueError> {
        let now = self.store.now()?;
        let agent = self
            .store
            .read(|c| store::agent(c, By::ClientId(id)))?
            .ok_or(IssueError::NothingDelegated)?;
        if agent.revoked_at.is_some() {
            return Err(IssueError::Revoked);
        }
        if agent.auth != Authentication::ClientId {
            return Err(IssueError::WeakCredential);
        }
        let delegation = usable(&agent, now)?;
        let scopes = match asked {
            None => delegation.permissions.clone(),
            Some(asked) => {
                delegation.permissions.narrowed(asked).ok_or(IssueError::InvalidScope)?
            }
        };
        let minted = self.mint(Draft {
            agent: &agent,
            delegation,
            subject: &agent.spiffe_id,
            person: None,
            scopes,
            audience: delegation.audience.clone(),
            not_after: delegation.expires_at,
            act: None,
        })?;
        Ok((minted, agent))
    }
}

/// What is delegated to `agent` now, if it permits anything.
fn usable(agent: &Agent, now: Timestamp) -> Result<&Delegation, IssueError> {
    let delegation = agent.delegation.as_ref().ok_or(IssueError::NothingDelegated)?;
    if delegation.expires_at <= now {
        return Err(IssueError::Expired { expired_at: delegation.expires_at });
    }
    if delegation.permissions.is_empty() {
        return Err(IssueError::NothingPermitted);
    }
    Ok(delegation)
}
