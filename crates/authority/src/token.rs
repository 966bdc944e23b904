//! Delegation tokens: what is in them, how they are made, whether they still count.

use std::fmt;

use bailiwick_identity::Algorithm;
use bailiwick_identity::jws::{self, Profile};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::agent::{Agent, Bounds, Delegation, DelegationId};
use crate::audit::{Event, Kind, Outcome};
use crate::authority::{Authority, Inner};
use crate::clock::Timestamp;
use crate::config::MAX_TOKEN_TTL_SECONDS;
use crate::database::DatabaseError;
use crate::error::AuthorityError;
use crate::people;
use crate::scope::Scopes;
use crate::store;

/// The longest chain of actors (RFC 8693 section 4.1).
pub(crate) const MAX_ACTORS: usize = 4;

/// Our own clock may be set back a little between issue and use.
const CLOCK_SKEW_SECONDS: u64 = 5;

/// Why a bearer token opens nothing. The text is all that its bearer may read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It was good until its `exp`: get another one.
    #[error("Token has expired")]
    Expired,
    /// Everything else, on purpose without telling what.
    #[error("Invalid token")]
    Invalid,
    /// Nobody knows: the database cannot be read.
    #[error("the authority is not available")]
    Unavailable,
}

impl TokenError {
    /// The HTTP status: 401, or 503 when nobody knows.
    pub fn status(&self) -> u16 {
        match self {
            Self::Expired | Self::Invalid => 401,
            Self::Unavailable => 503,
        }
    }
}

/// A [`TokenError`] with its cause, which never holds a part of the token.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) error: TokenError,
    pub(crate) cause: String,
}

impl Refusal {
    pub(crate) fn invalid(cause: &str) -> Self {
        Self { error: TokenError::Invalid, cause: cause.to_owned() }
    }
}

impl From<AuthorityError> for Refusal {
    fn from(e: AuthorityError) -> Self {
        Self { error: TokenError::Unavailable, cause: e.to_string() }
    }
}

impl From<DatabaseError> for Refusal {
    fn from(e: DatabaseError) -> Self {
        AuthorityError::from(e).into()
    }
}

/// A scope that the token does not have (RFC 6750 section 3.1: `insufficient_scope`, 403).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this needs the scope {required:?}")]
pub struct InsufficientScope {
    /// What it takes.
    pub required: String,
}

/// What a verified token lets its bearer do, now.
///
/// Invariant: only [`Authority::authenticate`] makes one.
#[derive(Clone, Debug)]
pub struct Grant {
    agent: String,
    client_id: String,
    spiffe_id: String,
    actors: Vec<String>,
    token_id: String,
    scopes: Scopes,
    ceilings: Vec<Bounds>,
    expires_at: Timestamp,
}

impl Grant {
    /// The name of the agent that holds the token.
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// Its client id.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// On whose behalf it acts: the `sub` of the token, a SPIFFE ID. Its own unless exchanged.
    pub fn spiffe_id(&self) -> &str {
        &self.spiffe_id
    }

    /// Who acts, when the token was exchanged (RFC 8693): the holder's SPIFFE ID.
    pub fn actor(&self) -> Option<&str> {
        self.actors.first().map(String::as_str)
    }

    /// The SPIFFE IDs of all agents that act, when the token was exchanged: the holder first.
    pub fn actors(&self) -> &[String] {
        &self.actors
    }

    /// The token's `jti`.
    pub fn token_id(&self) -> &str {
        &self.token_id
    }

    /// What the token allows and what is still delegated.
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// The labels that it may write are within all of these.
    pub fn ceilings(&self) -> &[Bounds] {
        &self.ceilings
    }

    /// When the token ends.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// # Errors
    /// The grant lacks `scope`.
    pub fn require(&self, scope: &str) -> Result<(), InsufficientScope> {
        if self.scopes.contains(scope) {
            return Ok(());
        }
        Err(InsufficientScope { required: scope.to_owned() })
    }

    /// An audit event about whoever holds this grant.
    pub fn event(&self, kind: Kind, outcome: Outcome) -> Event {
        let mut event = Event::new(kind, outcome);
        event.agent = Some(self.agent.clone());
        event.client_id = Some(self.client_id.clone());
        event.subject = Some(self.spiffe_id.clone());
        event.jti = Some(self.token_id.clone());
        event.actors.clone_from(&self.actors);
        event
    }
}

/// The claims of a delegation token (RFC 9068).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TokenClaims {
    pub(crate) iss: String,
    pub(crate) sub: String,
    pub(crate) aud: Vec<String>,
    pub(crate) exp: i64,
    pub(crate) iat: i64,
    pub(crate) jti: String,
    pub(crate) client_id: String,
    pub(crate) scope: String,
    /// The same as `scope`, for the AuthSec clients.
    pub(crate) permissions: Scopes,
    /// The person, when `sub` is one: who she is takes her issuer too (RFC 9493 section 3.2.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sub_id: Option<PersonId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) act: Option<Actor>,
}

/// A person by issuer and subject.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "format", rename = "iss_sub")]
pub(crate) struct PersonId {
    pub(crate) iss: String,
    pub(crate) sub: String,
}

/// Who acts for the subject, and for whom it acted before (RFC 8693 section 4.1).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Actor {
    pub(crate) sub: String,
    pub(crate) client_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) act: Option<Box<Actor>>,
}

impl Actor {
    pub(crate) fn depth(&self) -> usize {
        1 + self.act.as_ref().map_or(0, |inner| inner.depth())
    }

    /// The SPIFFE IDs of the chain, the one that holds the token first.
    pub(crate) fn chain(&self) -> Vec<String> {
        let rest = self.act.as_ref().map(|inner| inner.chain()).unwrap_or_default();
        std::iter::once(self.sub.clone()).chain(rest).collect()
    }
}

/// A token's `jti`: the number of its delegation, a dot, a UUID.
///
/// The number ties the token to the delegation that it came from, so that a delegation which is
/// taken back stays taken back when another one follows.
fn new_token_id(delegation: DelegationId) -> String {
    format!("{delegation}.{}", Uuid::new_v4())
}

fn delegation_of(jti: &str) -> Option<DelegationId> {
    let (number, unique) = jti.split_once('.')?;
    Uuid::try_parse(unique).ok()?;
    number.parse().ok().map(DelegationId)
}

/// What goes into a new token.
pub(crate) struct Draft<'a> {
    /// Who gets it.
    pub(crate) agent: &'a Agent,
    /// What it was delegated.
    pub(crate) delegation: &'a Delegation,
    /// On whose behalf.
    pub(crate) subject: &'a str,
    pub(crate) person: Option<PersonId>,
    pub(crate) scopes: Scopes,
    pub(crate) audience: Vec<String>,
    /// It ends then at the latest.
    pub(crate) not_after: Timestamp,
    pub(crate) act: Option<Actor>,
}

/// A signed token. It must not leave before its audit record is durable.
pub(crate) struct Minted {
    pub(crate) token: String,
    pub(crate) claims: TokenClaims,
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minted").field("claims", &self.claims).finish_non_exhaustive()
    }
}

impl Minted {
    pub(crate) fn lifetime(&self) -> i64 {
        self.claims.exp.saturating_sub(self.claims.iat)
    }

    /// The record that must be written before the token leaves.
    pub(crate) fn event(&self, agent: &Agent) -> Event {
        let mut event = Event::new(Kind::TokenIssued, Outcome::Ok);
        event.agent = Some(agent.name.clone());
        event.client_id = Some(self.claims.client_id.clone());
        event.issuer = self.claims.sub_id.as_ref().map(|person| person.iss.clone());
        event.subject = Some(self.claims.sub.clone());
        event.jti = Some(self.claims.jti.clone());
        event.scope = Some(self.claims.scope.clone());
        if let Some(act) = &self.claims.act {
            event.actors = act.chain();
            event.detail = Some("token exchange".to_owned());
        }
        event
    }
}

impl Inner {
    pub(crate) fn mint(&self, draft: Draft<'_>) -> Result<Minted, AuthorityError> {
        let now = self.store.now()?;
        let ttl = draft.delegation.ttl_seconds.min(self.config.token_ttl_seconds);
        let end = now.plus(ttl).min(draft.delegation.expires_at).min(draft.not_after);
        let claims = TokenClaims {
            iss: self.config.issuer.clone(),
            sub: draft.subject.to_owned(),
            aud: draft.audience,
            exp: end.unix(),
            iat: now.unix(),
            jti: new_token_id(draft.delegation.id),
            client_id: draft.agent.client_id.to_string(),
            scope: draft.scopes.joined(),
            permissions: draft.scopes,
            sub_id: draft.person,
            act: draft.act,
        };
        let token = self.keys.signer(&self.store)?.sign(&claims)?;
        self.touch(draft.agent, now);
        Ok(Minted { token, claims })
    }

    /// Notes that the agent is in use, once a minute: a courtesy that stops nothing.
    fn touch(&self, agent: &Agent, now: Timestamp) {
        let due = agent.last_used_at.is_none_or(|at| at.plus(60) <= now);
        if due && let Err(e) = self.store.write(|writing| writing.touch(agent.client_id, now)) {
            tracing::warn!(cause = %e, "the time of use was not noted");
        }
    }

    /// The claims of a token that we signed and that has not expired; nothing else is checked.
    pub(crate) fn own_token(&self, token: &str) -> Result<TokenClaims, Refusal> {
        let unread = peek(token).ok_or_else(|| Refusal::invalid("token is malformed"))?;
        // The audience is judged where the token is used; here it may be anybody's.
        let audiences = match unread.get("aud") {
            Some(Value::Array(list)) => {
                list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => return Err(Refusal::invalid("aud is not a list")),
        };
        let profile = Profile {
            algorithms: vec![Algorithm::RS256],
            clock_skew_seconds: CLOCK_SKEW_SECONDS,
            max_lifetime_seconds: MAX_TOKEN_TTL_SECONDS,
            ..Profile::access_token(self.config.issuer.clone(), audiences)
        };
        let now = self.store.now()?.unix();
        let keys = self.keys.verifying(&self.store)?;
        let payload = jws::verify(token, &profile, &keys, now)?;
        let claims: TokenClaims = serde_json::from_value(Value::Object(payload))
            .map_err(|_| Refusal::invalid("claims are not those of a delegation token"))?;
        if claims.exp <= now {
            let cause = "exp is past".to_owned();
            return Err(Refusal { error: TokenError::Expired, cause });
        }
        Ok(claims)
    }

    /// What of a token still counts: its lineage is looked up, one exchange after the other.
    pub(crate) fn live_token(&self, token: &str) -> Result<Live, Refusal> {
        let claims = self.own_token(token)?;
        let mut live = Live {
            holder: String::new(),
            scopes: claims.permissions.clone(),
            audience: claims.aud.clone(),
            ceilings: Vec::new(),
            reads: Vec::new(),
            person: None,
            claims,
        };
        let mut jti = live.claims.jti.clone();
        for hop in 0..=MAX_ACTORS {
            if people::is_person(&jti) {
                live.person = Some(self.kept_person(&jti)?);
                return Ok(live);
            }
            let delegation =
                delegation_of(&jti).ok_or_else(|| Refusal::invalid("jti is not one of ours"))?;
            let state = self
                .store
                .read(|c| store::token_state(c, delegation, &jti))?
                .ok_or_else(|| Refusal::invalid("its delegation is unknown"))?;
            let parent = live.narrow(state, hop, self.now())?;
            match parent {
                Some(parent) => jti = parent,
                None if live.claims.sub_id.is_some() => {
                    return Err(Refusal::invalid("the person behind the token is unknown"));
                }
                None => return Ok(live),
            }
        }
        Err(Refusal::invalid("too many exchanges"))
    }
}

/// A token that counts, and what of it.
pub(crate) struct Live {
    pub(crate) claims: TokenClaims,
    /// The name of the agent that holds it.
    pub(crate) holder: String,
    pub(crate) scopes: Scopes,
    pub(crate) audience: Vec<String>,
    /// Those of every delegation that it stands on.
    pub(crate) ceilings: Vec<Bounds>,
    /// The same for what is read for a person.
    pub(crate) reads: Vec<Bounds>,
    /// The person whom it is for, as her claims were kept; none for an agent's own.
    pub(crate) person: Option<String>,
}

impl Live {
    /// Applies what the database says of the token itself (`hop` 0) or of one that it came from.
    /// Returns the token that this one came from.
    fn narrow(
        &mut self,
        state: store::TokenState,
        hop: usize,
        now: Timestamp,
    ) -> Result<Option<String>, Refusal> {
        if state.revoked {
            return Err(Refusal::invalid("the token is revoked"));
        }
        if state.agent_revoked {
            return Err(Refusal::invalid("the agent is revoked"));
        }
        if state.delegation_revoked {
            return Err(Refusal::invalid("the delegation is revoked"));
        }
        let active = state
            .active
            .filter(|active| active.expires_at > now.unix())
            .ok_or_else(|| Refusal::invalid("nothing is delegated to the agent now"))?;
        if hop == 0 {
            if state.client_id != self.claims.client_id {
                return Err(Refusal::invalid("the delegation is another agent's"));
            }
            if state.parent.is_some() != self.claims.act.is_some() {
                return Err(Refusal::invalid("where the exchanged token came from is unknown"));
            }
            self.holder = state.agent;
        }
        // The delegation that the token is of and the agent's of today both count.
        if self.claims.sub_id.is_some() {
            let (Some(then), Some(now)) = (state.reach.read, active.reach.read) else {
                return Err(Refusal::invalid("the agent may read for nobody now"));
            };
            add(&mut self.reads, [then, now]);
        } else {
            let ceilings = [state.reach.ceiling, active.reach.ceiling];
            add(&mut self.ceilings, ceilings.into_iter().flatten());
            self.scopes = self.scopes.shared_with(&active.permissions);
            self.audience.retain(|one| active.audience.contains(one));
        }
        Ok(state.parent)
    }
}

fn add(known: &mut Vec<Bounds>, more: impl IntoIterator<Item = Bounds>) {
    for bounds in more {
        if !known.contains(&bounds) {
            known.push(bounds);
        }
    }
}

impl Authority {
    /// Verifies a bearer token for our own APIs: signature, audience, expiry; then, in the
    /// database, that neither it nor its agent nor its delegation is revoked.
    ///
    /// # Errors
    /// See [`TokenError`]. The cause goes to the log and to the audit trail.
    pub async fn authenticate(
        &self,
        bearer: &str,
        request_id: Option<&str>,
    ) -> Result<Grant, TokenError> {
        let token = bearer.to_owned();
        match self.blocking(move |inner| inner.grant(&token)).await {
            Ok(grant) => Ok(grant),
            Err(refusal) => Err(self.token_refused(refusal, request_id).await),
        }
    }

    /// Logs and records that a token was refused, and says what its bearer may know.
    pub(crate) async fn token_refused(
        &self,
        refusal: Refusal,
        request_id: Option<&str>,
    ) -> TokenError {
        tracing::info!(cause = %refusal.cause, "a delegation token was refused");
        let event = Event::new(Kind::TokenRefused, Outcome::Refused)
            .with_detail(refusal.cause)
            .with_request(request_id);
        self.audit().record_refusal(event).await;
        refusal.error
    }
}

impl Inner {
    fn grant(&self, token: &str) -> Result<Grant, Refusal> {
        let live = self.live_token(token)?;
        if live.person.is_some() {
            return Err(Refusal::invalid("a token for a person is for what people read"));
        }
        if !live.audience.iter().any(|one| one == self.config.audience()) {
            return Err(Refusal::invalid("the token is for another audience"));
        }
        Ok(Grant {
            agent: live.holder,
            client_id: live.claims.client_id,
            spiffe_id: live.claims.sub,
            actors: live.claims.act.map(|actor| actor.chain()).unwrap_or_default(),
            token_id: live.claims.jti,
            scopes: live.scopes,
            ceilings: live.ceilings,
            expires_at: Timestamp::from_unix(live.claims.exp),
        })
    }
}

/// What a token says of itself. Only to choose what to verify it with: nothing of it is true yet.
pub(crate) fn peek(token: &str) -> Option<Map<String, Value>> {
    if token.len() > jws::MAX_TOKEN_BYTES {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    bailiwick_json::read(&payload).ok()
}
