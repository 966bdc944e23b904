//! People for whom agents act: whose claims are kept as long as their token lasts.
//!
//! The node of a person in a token's lineage is named after the SHA-256 of her token, so that all
//! that was exchanged for one token ends with it, and the token itself is kept nowhere.

use aws_lc_rs::digest::{SHA256, digest};
use bailiwick_identity::{Claims, Rejection, Verifier};
use serde_json::Value;

use crate::agent::Bounds;
use crate::authority::{Authority, Inner};
use crate::store;
use crate::token::{self, Refusal, TokenError};

/// What a token for a person is good for.
pub(crate) const READ: &str = "read:documents";

/// What the name of a person's node begins with; a delegation token's begins with a number.
const PREFIX: &str = "person.";

/// The name of the node of the person who holds `token`.
pub(crate) fn person_id(token: &str) -> String {
    let hash = digest(&SHA256, token.as_bytes());
    let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{hex}")
}

pub(crate) fn is_person(jti: &str) -> bool {
    jti.starts_with(PREFIX)
}

/// A person for whom an agent asks, as a verified token says.
///
/// Invariant: only [`Authority::acting`] makes one.
#[derive(Clone, Debug)]
pub struct ActingFor {
    claims: Claims,
    agent: String,
    client_id: String,
    actors: Vec<String>,
    token_id: String,
    expires_at: i64,
    reads: Vec<Bounds>,
}

impl ActingFor {
    /// The person's claims, of the token that she gave the first agent.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The name of the agent that holds the token.
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// Its client id.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The SPIFFE IDs of all agents between the token and the person, the one that holds it first.
    pub fn actors(&self) -> &[String] {
        &self.actors
    }

    /// The token's `jti`.
    pub fn token_id(&self) -> &str {
        &self.token_id
    }

    /// When the token ends, in seconds since 1970-01-01 UTC; the person's does not end before.
    pub fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// What is read must be within all of these.
    pub fn reads(&self) -> &[Bounds] {
        &self.reads
    }
}

impl Authority {
    /// Whether a token says that it is one of ours. Only to choose what to verify it with: nothing
    /// of it is true yet.
    pub fn may_have_issued(&self, token: &str) -> bool {
        let says = token::peek(token).and_then(|claims| claims.get("iss").cloned());
        says.as_ref().and_then(Value::as_str) == Some(&self.config().issuer)
    }

    /// Verifies a bearer token with which an agent asks for a person: signature, audience, expiry;
    /// then, in the database, that none of the tokens, agents and delegations between it and the
    /// person is revoked, and that each of these agents may still read for people.
    ///
    /// # Errors
    /// See [`TokenError`]. The cause goes to the log and to the audit trail.
    pub async fn acting(
        &self,
        bearer: &str,
        request_id: Option<&str>,
    ) -> Result<ActingFor, TokenError> {
        let (token, people) = (bearer.to_owned(), self.people.clone());
        match self.blocking(move |inner| inner.acting(&token, people.as_deref())).await {
            Ok(acting) => Ok(acting),
            Err(refusal) => Err(self.token_refused(refusal, request_id).await),
        }
    }
}

impl Inner {
    fn acting(&self, token: &str, people: Option<&Verifier>) -> Result<ActingFor, Refusal> {
        let live = self.live_token(token)?;
        let (Some(kept), Some(people)) = (&live.person, people) else {
            return Err(Refusal::invalid("an agent's own token reads nothing"));
        };
        let claims = people.recall(kept)?;
        if !live.audience.iter().any(|one| people.audiences().contains(one)) {
            return Err(Refusal::invalid("the token is for another audience"));
        }
        Ok(ActingFor {
            claims,
            agent: live.holder,
            client_id: live.claims.client_id,
            actors: live.claims.act.map(|act| act.chain()).unwrap_or_default(),
            token_id: live.claims.jti,
            expires_at: live.claims.exp,
            reads: live.reads,
        })
    }

    /// The claims of the person with this node.
    pub(crate) fn kept_person(&self, id: &str) -> Result<String, Refusal> {
        let person = self.store.read(|c| store::person(c, id))?;
        let person = person.ok_or_else(|| Refusal::invalid("the person is not known any more"))?;
        if person.revoked {
            return Err(Refusal::invalid("what was exchanged for the person's token is revoked"));
        }
        Ok(person.claims)
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        let error = match rejection {
            Rejection::Expired(_) => TokenError::Expired,
            Rejection::Invalid(_) => TokenError::Invalid,
            Rejection::Unavailable(_) => TokenError::Unavailable,
        };
        Self { error, cause: rejection.cause().to_owned() }
    }
}
