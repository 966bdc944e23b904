//! Token exchange (RFC 8693): an agent acts on somebody else's behalf, with less.
//!
//! Invariant: scope, audience and lifetime of the new token are within those of the subject's
//! token and within what is delegated to the agent that acts.
//!
//! The subject is another agent, or a person. What an agent gets for a person reads, and does
//! nothing else, what both of them may read.

use std::sync::Arc;

use bailiwick_identity::Claims;
use serde_json::Value;

use super::{Code, Form, OAuthError, narrowed_audience, narrowed_scopes, usable};
use crate::agent::{Agent, Delegation};
use crate::authority::{Authority, Inner};
use crate::clock::Timestamp;
use crate::people::{PersonNames, READ};
use crate::scope::Scopes;
use crate::store::{self, By};
use crate::token::{Actor, Draft, Live, MAX_ACTORS, Minted, PersonId, Refusal};

/// The kind of token that we take and give.
pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The same, by its form.
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// On whose behalf a token is asked for, and how much of it there is.
struct Subject {
    subject: String,
    person: Option<PersonId>,
    /// Those who act for the subject already.
    act: Option<Actor>,
    /// The token or the person in the lineage.
    parent: String,
    scopes: Scopes,
    audience: Vec<String>,
    not_after: Timestamp,
}

impl Authority {
    /// Exchanges a token of ours, or of a person's provider.
    pub(super) async fn exchange(
        &self,
        agent: &Agent,
        form: Arc<Form>,
    ) -> Result<Minted, OAuthError> {
        let token = form.required("subject_token")?;
        accepted(form.required("subject_token_type")?)?;
        if let Some(wanted) = form.one("requested_token_type")? {
            accepted(wanted)?;
        }
        let agent = agent.clone();
        if self.may_have_issued(token) {
            return self.blocking(move |inner| inner.exchange_own(&agent, &form)).await;
        }
        let people = self.people.as_ref().ok_or_else(|| {
            Code::InvalidGrant.error("the token is not ours, and no people are known here")
        })?;
        reads(&agent, self.now())?;
        let claims = people.verify(token).await.map_err(Refusal::from)?;
        let audience = people.audiences().to_vec();
        self.blocking(move |inner| inner.exchange_person(&agent, &form, &claims, audience)).await
    }
}

impl Inner {
    /// The agent that asks: by its assertion, or, where a person's token is exchanged, by a token
    /// of its own as `actor_token`.
    pub(super) fn actor(&self, form: &Form, exchanged: bool) -> Result<Agent, OAuthError> {
        let Some(token) = form.one("actor_token")?.filter(|_| exchanged) else {
            return self.authenticate_client(form);
        };
        accepted(form.required("actor_token_type")?)?;
        let subject = form.required("subject_token")?;
        if form.one("client_assertion")?.is_some() || self.own_token(subject).is_ok() {
            let cause = "the client that authenticates is the actor; send no actor_token";
            return Err(Code::InvalidRequest.error(cause));
        }
        let refused = |cause: &str| Code::InvalidClient.error(cause);
        let live = self.live_token(token).map_err(|refusal| match OAuthError::from(refusal) {
            error if error.code == Code::Unavailable => error,
            error => refused(&error.cause),
        })?;
        if live.claims.act.is_some() || !live.audience.iter().any(|a| a == self.config.audience()) {
            return Err(refused("actor_token is no token of the agent's own for this server"));
        }
        let agent = self.store.read(|c| store::agent(c, By::Name(&live.holder)))?;
        agent.ok_or_else(|| refused("there is no such agent"))
    }

    fn exchange_own(&self, agent: &Agent, form: &Form) -> Result<Minted, OAuthError> {
        let live = self.live_token(form.required("subject_token")?)?;
        let Live { claims, scopes, audience, .. } = live;
        if claims.sub_id.is_none() && claims.sub == agent.spiffe_id {
            let cause =
                "an agent does not act for itself; client_credentials narrows its own token";
            return Err(Code::InvalidGrant.error(cause));
        }
        let mut subject = Subject {
            subject: claims.sub,
            person: claims.sub_id,
            act: claims.act,
            parent: claims.jti,
            scopes,
            audience,
            not_after: Timestamp::from_unix(claims.exp),
        };
        let delegation = if subject.person.is_some() {
            reads(agent, self.now())?
        } else {
            let delegation = usable(agent, self.now())?;
            subject.scopes = subject.scopes.shared_with(&delegation.permissions);
            subject.audience.retain(|one| delegation.audience.contains(one));
            delegation
        };
        let minted = self.mint_for(agent, delegation, form, &subject)?;
        let claims = &minted.claims;
        self.store
            .write(|writing| writing.insert_exchange(&claims.jti, &subject.parent, claims.exp))?;
        Ok(minted)
    }

    fn exchange_person(
        &self,
        agent: &Agent,
        form: &Form,
        person: &Claims,
        audience: Vec<String>,
    ) -> Result<Minted, OAuthError> {
        let names = PersonNames::of(form.required("subject_token")?);
        if self.store.read(|c| store::any_revoked(c, names.all()))? {
            return Err(Code::InvalidGrant.error("what is exchanged for this token is revoked"));
        }
        let accepted_at = self.store.read(store::accepted_at)?;
        let issued = person.as_map().get("iat").and_then(Value::as_i64);
        if issued.is_none_or(|at| at <= accepted_at) {
            return Err(Code::InvalidGrant.error("the token is of before the clock was accepted"));
        }
        let (iss, sub) = (person.issuer().to_owned(), person.subject().to_owned());
        let subject = Subject {
            subject: sub.clone(),
            person: Some(PersonId { iss, sub }),
            act: None,
            parent: names.current,
            scopes: Scopes::new(&[READ]).unwrap_or_default(),
            audience,
            not_after: Timestamp::from_unix(person.expires_at()),
        };
        // The verifier forgives clocks that differ a little; what we sign is not longer than hers.
        if subject.not_after <= self.now() {
            return Err(Code::InvalidGrant.error("the person's token has expired"));
        }
        let minted = self.mint_for(agent, reads(agent, self.now())?, form, &subject)?;
        let claims = &minted.claims;
        self.store.write(|writing| {
            writing.keep_person(&subject.parent, &person.keep(), person.expires_at())?;
            writing.insert_exchange(&claims.jti, &subject.parent, claims.exp)
        })?;
        Ok(minted)
    }

    fn mint_for(
        &self,
        agent: &Agent,
        delegation: &Delegation,
        form: &Form,
        subject: &Subject,
    ) -> Result<Minted, OAuthError> {
        Ok(self.mint(Draft {
            agent,
            delegation,
            subject: &subject.subject,
            person: subject.person.clone(),
            scopes: narrowed_scopes(&subject.scopes, form)?,
            audience: narrowed_audience(&subject.audience, form)?,
            not_after: subject.not_after,
            act: Some(next_actor(agent, subject.act.clone())?),
        })?)
    }
}

/// What is delegated to `agent` now, if it may read for people.
fn reads(agent: &Agent, now: Timestamp) -> Result<&Delegation, OAuthError> {
    let delegation = agent.delegation.as_ref();
    delegation.filter(|it| it.expires_at > now && it.read.is_some()).ok_or_else(|| {
        Code::AccessDenied.error("this agent may read for nobody; delegate with read bounds")
    })
}

fn accepted(kind: &str) -> Result<(), OAuthError> {
    if kind == ACCESS_TOKEN || kind == JWT {
        return Ok(());
    }
    Err(Code::InvalidRequest.error("only access tokens are exchanged, for access tokens"))
}

/// The chain of actors with `agent` at its head.
fn next_actor(agent: &Agent, act: Option<Actor>) -> Result<Actor, OAuthError> {
    let act = Actor {
        sub: agent.spiffe_id.clone(),
        client_id: agent.client_id.to_string(),
        act: act.map(Box::new),
    };
    if act.depth() > MAX_ACTORS {
        return Err(Code::InvalidGrant.error("too many actors already"));
    }
    Ok(act)
}
