//! Token exchange (RFC 8693): an agent acts on another one's behalf, with less.
//!
//! Invariant: scope, audience and lifetime of the new token are within those of the subject's
//! token and within what is delegated to the agent that acts.

use super::{Code, Form, OAuthError, narrowed_audience, narrowed_scopes, usable};
use crate::agent::Agent;
use crate::authority::Inner;
use crate::clock::Timestamp;
use crate::token::{Actor, Draft, Live, MAX_ACTORS, Minted};

/// The kind of token that we take and give.
pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The same, by its form.
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

impl Inner {
    pub(super) fn exchange(&self, agent: &Agent, form: &Form) -> Result<Minted, OAuthError> {
        let subject_token = form.required("subject_token")?;
        accepted(form.required("subject_token_type")?)?;
        if let Some(wanted) = form.one("requested_token_type")? {
            accepted(wanted)?;
        }
        if form.one("actor_token")?.is_some() {
            let cause = "the client that authenticates is the actor; send no actor_token";
            return Err(Code::InvalidRequest.error(cause));
        }
        let subject = self.live_token(subject_token)?;
        let act = next_actor(agent, &subject)?;
        let delegation = usable(agent)?;
        let parent = subject.claims.jti;
        let audience: Vec<String> =
            subject.audience.into_iter().filter(|one| delegation.audience.contains(one)).collect();
        let minted = self.mint(Draft {
            agent,
            delegation,
            subject: &subject.claims.sub,
            scopes: narrowed_scopes(&subject.scopes.shared_with(&delegation.permissions), form)?,
            audience: narrowed_audience(&audience, form)?,
            not_after: Timestamp::from_unix(subject.claims.exp),
            act: Some(act),
        })?;
        let claims = &minted.claims;
        self.store.write(|writing| writing.insert_exchange(&claims.jti, &parent, claims.exp))?;
        Ok(minted)
    }
}

fn accepted(kind: &str) -> Result<(), OAuthError> {
    if kind == ACCESS_TOKEN || kind == JWT {
        return Ok(());
    }
    Err(Code::InvalidRequest.error("only access tokens are exchanged, for access tokens"))
}

/// The chain of actors with `agent` at its head.
fn next_actor(agent: &Agent, subject: &Live) -> Result<Actor, OAuthError> {
    if subject.claims.sub == agent.spiffe_id {
        let cause = "an agent does not act for itself; client_credentials narrows its own token";
        return Err(Code::InvalidGrant.error(cause));
    }
    let act = Actor {
        sub: agent.spiffe_id.clone(),
        client_id: agent.client_id.to_string(),
        act: subject.claims.act.clone().map(Box::new),
    };
    if act.depth() > MAX_ACTORS {
        return Err(Code::InvalidGrant.error("too many actors already"));
    }
    Ok(act)
}
