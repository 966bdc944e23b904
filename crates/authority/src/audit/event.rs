//! What is written into the audit trail.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::claims::ClaimsRead;
use crate::clock;

/// The longest [`Event::detail`] in bytes; the rest is cut off.
const MAX_DETAIL: usize = 1024;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// An agent got a token.
    TokenIssued,
    /// A token or a client was refused.
    TokenRefused,
    /// A token was revoked, or somebody tried to (RFC 7009).
    TokenRevoked,
    /// An agent was registered.
    AgentCreated,
    /// An agent was shut out for good.
    AgentRevoked,
    /// An agent got permissions.
    Delegated,
    /// An agent lost its permissions.
    DelegationRevoked,
    /// A new signing key took over.
    KeyRotated,
    /// A record left the vault.
    VaultRead,
    /// The vault gave nothing.
    VaultRefused,
    /// Documents were stored, changed or removed.
    Ingested,
    /// Somebody asked, and got passages or none.
    Retrieved,
    /// Claims came that the trail does not know yet; those who come with them are not named.
    ClaimsSeen,
    /// The oldest records were removed, as the configuration says.
    Pruned,
    /// Another act of an administrator.
    Admin,
}

impl Kind {
    /// Its name in the trail, such as `token_issued`.
    pub fn name(self) -> &'static str {
        match self {
            Self::TokenIssued => "token_issued",
            Self::TokenRefused => "token_refused",
            Self::TokenRevoked => "token_revoked",
            Self::AgentCreated => "agent_created",
            Self::AgentRevoked => "agent_revoked",
            Self::Delegated => "delegated",
            Self::DelegationRevoked => "delegation_revoked",
            Self::KeyRotated => "key_rotated",
            Self::VaultRead => "vault_read",
            Self::VaultRefused => "vault_refused",
            Self::Ingested => "ingested",
            Self::Retrieved => "retrieved",
            Self::ClaimsSeen => "claims_seen",
            Self::Pruned => "pruned",
            Self::Admin => "admin",
        }
    }

    /// Whether the record must survive a power loss before anybody is answered.
    ///
    /// The others survive the death of the process; a power loss may take the last of them.
    pub(crate) fn must_reach_the_disk(self) -> bool {
        !matches!(self, Self::VaultRead | Self::VaultRefused | Self::Retrieved | Self::TokenRefused)
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Ok,
    /// It was not allowed.
    Refused,
    /// It was allowed and went wrong.
    Failed,
}

/// One event. Fields that do not apply stay `None` or empty and are not written.
///
/// A token never goes into any of them: its id (`jti`) names it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// When: RFC 3339, UTC, milliseconds.
    pub time: String,
    /// What.
    pub kind: Kind,
    /// How it ended.
    pub outcome: Outcome,
    /// Who issued the person's token; with `subject`, the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The person, or the SPIFFE ID of an agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The agent's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Who acted for the subject, the one that came last first (RFC 8693 section 4.1).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actors: Vec<String>,
    /// The agent's client id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The id of the token that was issued, used or revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The scope that was granted, used or asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Names the claims that the policy read: the record `claims_seen` with the same digest says
    /// what they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims_digest: Option<String>,
    /// The claims themselves, in a record `claims_seen` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<ClaimsRead>,
    /// The policy that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_revision: Option<String>,
    /// Names the set of labels that were searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bailiwick_digest: Option<String>,
    /// The state of the index that was read or made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index_revision: Option<u64>,
    /// The documents that were returned, stored or removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub document_ids: Vec<String>,
    /// Their labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// What was asked, if the configuration keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// In hex, the HMAC-SHA-256 of what was asked, if the configuration keeps that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_hash: Option<String>,
    /// The HTTP request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Anything else worth a sentence; cut to 1,024 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The claims behind `claims_digest`, for the writer: it records them if they are new.
    #[serde(skip)]
    pub(super) read: Option<ClaimsRead>,
}

/// An event as it stands in the trail.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Recorded {
    /// Its place in the trail, from 1.
    pub seq: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// In hex, the SHA-256 of the record before and of this one.
    #[serde(default)]
    pub hash: String,
}

impl Event {
    /// An event of this moment that says nothing more yet.
    pub fn new(kind: Kind, outcome: Outcome) -> Self {
        Self {
            time: clock::now_in_milliseconds(),
            kind,
            outcome,
            issuer: None,
            subject: None,
            agent: None,
            actors: Vec::new(),
            client_id: None,
            jti: None,
            scope: None,
            claims_digest: None,
            claims: None,
            policy_revision: None,
            bailiwick_digest: None,
            index_revision: None,
            document_ids: Vec::new(),
            labels: Vec::new(),
            query: None,
            query_hash: None,
            request_id: None,
            detail: None,
            read: None,
        }
    }

    /// The event with a [`detail`](Self::detail).
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The event, tied to an HTTP request.
    #[must_use]
    pub fn with_request(mut self, request_id: Option<&str>) -> Self {
        self.request_id = request_id.map(str::to_owned);
        self
    }

    /// The event with the digest of the claims that the policy read for it. The claims themselves
    /// are recorded once, by the trail.
    #[must_use]
    pub fn with_claims(mut self, read: ClaimsRead) -> Self {
        self.claims_digest = Some(read.digest());
        self.read = Some(read);
        self
    }

    /// Bounds what a stranger can make us store.
    pub(super) fn clip(&mut self) {
        if let Some(detail) = &mut self.detail {
            while detail.len() > MAX_DETAIL {
                detail.pop();
            }
        }
    }
}
