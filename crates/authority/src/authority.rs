//! The authority as its administrators see it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bailiwick_identity::Verifier;
use serde_json::{Value, json};
use spiffe::TrustDomain;
use uuid::Uuid;

use crate::agent::{
    self, Agent, Authentication, DEFAULT_DELEGATION_SECONDS, Delegation, DelegationId,
    DelegationRequest,
};
use crate::audit::{Audit, Event, Kind, Outcome};
use crate::clock::{Clock, Timestamp};
use crate::config::AuthorityConfig;
use crate::database;
use crate::error::AuthorityError;
use crate::keys::Keys;
use crate::scope::Scopes;
use crate::store::{self, By, Store, Writing};

/// Ten years, in seconds.
const MAX_DELEGATION_SECONDS: u64 = 10 * 365 * 24 * 3600;

/// Who administers.
#[derive(Clone, Debug)]
pub enum Administrator {
    /// Somebody who may write into the data directory.
    CommandLine,
    /// A person with the administrator's claim.
    Person {
        /// The `iss` of the person's token.
        issuer: String,
        /// The `sub` of the person's token.
        subject: String,
    },
}

/// Registers agents, delegates to them, and issues, verifies and revokes their tokens.
///
/// Cheap to clone. Several, in several processes, may stand on one data directory: each decision
/// reads the database.
#[derive(Clone)]
pub struct Authority {
    inner: Arc<Inner>,
    /// Verifies the tokens of people for whom agents act; without it they act for nobody.
    pub(crate) people: Option<Arc<Verifier>>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

pub(crate) struct Inner {
    pub(crate) config: AuthorityConfig,
    pub(crate) trust_domain: TrustDomain,
    pub(crate) store: Store,
    pub(crate) keys: Keys,
    pub(crate) audit: Arc<Audit>,
}

impl Authority {
    /// Opens the authority in `data_dir`; at the very first time it makes the signing key.
    /// Blocks for some hundred milliseconds then.
    ///
    /// # Errors
    /// An impossible configuration, or a database, key file or audit trail that cannot be used.
    pub fn open(
        data_dir: &Path,
        config: AuthorityConfig,
        audit: Arc<Audit>,
    ) -> Result<Self, AuthorityError> {
        Self::open_with_clock(data_dir, config, audit, Clock::system())
    }

    /// [`open`](Self::open), with another clock than this machine's.
    ///
    /// # Errors
    /// As there.
    pub fn open_with_clock(
        data_dir: &Path,
        config: AuthorityConfig,
        audit: Arc<Audit>,
        clock: Clock,
    ) -> Result<Self, AuthorityError> {
        let trust_domain = config.validate()?;
        database::private_directory(data_dir)?;
        let key_directory = data_dir.join("keys");
        let store = Store::open(data_dir, &key_directory, clock)?;
        let keys = Keys::new(key_directory)?;
        let inner = Inner { config, trust_domain, store, keys, audit };
        inner.ensure_key()?;
        Ok(Self { inner: Arc::new(inner), people: None })
    }

    /// Lets agents act for people whose tokens this verifier accepts.
    #[must_use]
    pub fn with_people(self, verifier: Arc<Verifier>) -> Self {
        Self { people: Some(verifier), ..self }
    }

    /// The configuration that it was opened with.
    pub fn config(&self) -> &AuthorityConfig {
        &self.inner.config
    }

    /// Registers an agent. It may do nothing until something is delegated to it.
    ///
    /// # Errors
    /// The name is malformed or taken, or nothing can be stored.
    pub async fn create_agent(
        &self,
        name: &str,
        auth: Authentication,
        by: &Administrator,
    ) -> Result<Agent, AuthorityError> {
        let (name, by) = (name.to_owned(), by.clone());
        self.blocking(move |inner| inner.create_agent(name, auth, &by)).await
    }

    /// Delegates to an agent; this takes the place of what was delegated before.
    ///
    /// Tokens of the former delegation live on, as far as the new one allows what they allow.
    ///
    /// # Errors
    /// No such agent, a revoked one, a malformed permission or audience, an impossible time.
    pub async fn delegate(
        &self,
        name: &str,
        request: DelegationRequest,
        by: &Administrator,
    ) -> Result<Delegation, AuthorityError> {
        let (name, by) = (name.to_owned(), by.clone());
        self.blocking(move |inner| inner.delegate(&name, request, &by)).await
    }

    /// Shuts an agent out for good: its tokens are refused from the next request on.
    ///
    /// # Errors
    /// No such agent, or nothing can be stored. If only the audit record fails, the agent is
    /// revoked all the same.
    pub async fn revoke_agent(
        &self,
        name: &str,
        by: &Administrator,
    ) -> Result<Agent, AuthorityError> {
        let (name, by) = (name.to_owned(), by.clone());
        self.blocking(move |inner| inner.revoke_agent(&name, &by)).await
    }

    /// Takes back what is delegated to an agent. Its tokens are refused from the next request on,
    /// and a later delegation does not revive them.
    ///
    /// # Errors
    /// No such agent, nothing is delegated to it, or nothing can be stored. If only the audit
    /// record fails, the delegation is revoked all the same.
    pub async fn revoke_delegation(
        &self,
        name: &str,
        by: &Administrator,
    ) -> Result<Agent, AuthorityError> {
        let (name, by) = (name.to_owned(), by.clone());
        self.blocking(move |inner| inner.revoke_delegation(&name, &by)).await
    }

    /// Every agent, by name, revoked ones too.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn list_agents(&self) -> Result<Vec<Agent>, AuthorityError> {
        self.blocking(|inner| Ok(inner.store.read(store::agents)?)).await
    }

    /// Every delegation that an agent ever had, oldest first.
    ///
    /// # Errors
    /// No such agent, or the database cannot be read.
    pub async fn delegations(&self, name: &str) -> Result<Vec<Delegation>, AuthorityError> {
        let name = name.to_owned();
        self.blocking(move |inner| {
            let found = inner.store.read(|c| store::agent(c, By::Name(&name)))?;
            let agent = found.ok_or(AuthorityError::NoSuchAgent(name))?;
            Ok(inner.store.read(|c| store::delegations(c, agent.client_id))?)
        })
        .await
    }

    /// Makes a new signing key and returns its id. The old one verifies until its last token
    /// has expired.
    ///
    /// # Errors
    /// The key cannot be made or stored.
    pub async fn rotate_keys(&self, by: &Administrator) -> Result<String, AuthorityError> {
        let by = by.clone();
        self.blocking(move |inner| {
            inner.store.write(|writing| {
                let kid = inner.keys.rotate(writing)?;
                let event = administered(Kind::KeyRotated, &by).with_detail(kid.as_str());
                inner.audit.record_blocking(event)?;
                Ok(kid)
            })
        })
        .await
    }

    /// The public keys that verify our tokens, as a JWK Set (RFC 7517).
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn jwks(&self) -> Result<Value, AuthorityError> {
        self.blocking(|inner| inner.keys.jwks(&inner.store)).await
    }

    /// Checks that the authority's database is the file that was opened.
    ///
    /// # Errors
    /// Another process removed or replaced it, or its log.
    pub fn readiness(&self) -> Result<(), AuthorityError> {
        Ok(self.inner.store.check_files()?)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.now()
    }

    pub(crate) fn audit(&self) -> &Audit {
        &self.inner.audit
    }

    /// Runs what waits for disks and big numbers where waiting harms nobody.
    pub(crate) async fn blocking<T, E>(
        &self,
        job: impl FnOnce(&Inner) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<AuthorityError> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || job(&inner))
            .await
            .unwrap_or_else(|_| Err(AuthorityError::Stopped.into()))
    }
}

/// What opens something is recorded before it is committed; what closes something is committed
/// first, so that a full disk never keeps a door open.
impl Inner {
    /// What the clock says, for what closes something or is only a note. What opens something asks
    /// [`Store::now`].
    pub(crate) fn now(&self) -> Timestamp {
        self.store.clock.now()
    }

    fn ensure_key(&self) -> Result<(), AuthorityError> {
        self.store.write(|writing| {
            if let Some(kid) = self.keys.ensure(writing)? {
                let event = Event::new(Kind::KeyRotated, Outcome::Ok).with_detail(kid);
                self.audit.record_blocking(event)?;
            }
            Ok(())
        })
    }

    fn create_agent(
        &self,
        name: String,
        auth: Authentication,
        by: &Administrator,
    ) -> Result<Agent, AuthorityError> {
        let agent = Agent {
            spiffe_id: agent::spiffe_id(&self.trust_domain, &name)?,
            name,
            client_id: Uuid::new_v4(),
            auth,
            created_at: self.now(),
            revoked_at: None,
            last_used_at: None,
            documents: None,
            delegation: None,
        };
        self.store.write(|writing| {
            if writing.agent(&agent.name)?.is_some() {
                return Err(AuthorityError::AgentExists(agent.name.clone()));
            }
            writing.insert_agent(&agent)?;
            let event = about(&agent, Kind::AgentCreated, by).with_detail(agent.auth.name());
            self.audit.record_blocking(event)?;
            Ok(())
        })?;
        Ok(agent)
    }

    fn delegate(
        &self,
        name: &str,
        request: DelegationRequest,
        by: &Administrator,
    ) -> Result<Delegation, AuthorityError> {
        let mut delegation = self.delegation(request)?;
        self.store.write(|writing| {
            let agent = known(writing, name)?;
            if agent.revoked_at.is_some() {
                return Err(AuthorityError::AgentRevoked(agent.name));
            }
            delegation.id = writing.replace_delegation(agent.client_id, &delegation)?;
            let mut event = about(&agent, Kind::Delegated, by);
            event.scope = Some(delegation.permissions.joined());
            event.detail = Some(told(&delegation));
            self.audit.record_blocking(event)?;
            Ok(())
        })?;
        Ok(delegation)
    }

    /// Checks what is asked, and fills in what is not.
    fn delegation(&self, request: DelegationRequest) -> Result<Delegation, AuthorityError> {
        let longest = self.config.token_ttl_seconds;
        let ttl_seconds = request.ttl_seconds.unwrap_or(longest);
        if !(1..=longest).contains(&ttl_seconds) {
            return Err(AuthorityError::Ttl { longest });
        }
        let lifetime = request.lifetime_seconds.unwrap_or(DEFAULT_DELEGATION_SECONDS);
        if !(1..=MAX_DELEGATION_SECONDS).contains(&lifetime) {
            return Err(AuthorityError::Lifetime);
        }
        let created_at = self.store.now()?;
        Ok(Delegation {
            id: DelegationId(0),
            permissions: Scopes::new(&request.permissions)?,
            audience: agent::audience(request.audience, self.config.audience())?,
            ttl_seconds,
            ceiling: agent::bounds(request.ceiling)?,
            read: agent::bounds(request.read)?,
            created_at,
            expires_at: created_at.plus(lifetime),
            replaced_at: None,
            revoked_at: None,
        })
    }

    fn revoke_agent(&self, name: &str, by: &Administrator) -> Result<Agent, AuthorityError> {
        let agent = self.store.write(|writing| {
            let agent = known(writing, name)?;
            writing.revoke_agent(agent.client_id, writing.now())?;
            known(writing, name)
        })?;
        self.audit.record_blocking(about(&agent, Kind::AgentRevoked, by))?;
        Ok(agent)
    }

    fn revoke_delegation(&self, name: &str, by: &Administrator) -> Result<Agent, AuthorityError> {
        let agent = self.store.write(|writing| {
            let agent = known(writing, name)?;
            if agent.delegation.is_none() {
                return Err(AuthorityError::NothingDelegated(agent.name));
            }
            writing.revoke_delegations(agent.client_id, writing.now())?;
            known(writing, name)
        })?;
        self.audit.record_blocking(about(&agent, Kind::DelegationRevoked, by))?;
        Ok(agent)
    }
}

/// A delegation in words, for the audit trail.
fn told(delegation: &Delegation) -> String {
    let Delegation { id, expires_at, .. } = delegation;
    let mut told =
        format!("delegation {id} for {} until {expires_at}", delegation.audience.join(" "));
    for (what, bounds) in [("writes", &delegation.ceiling), ("reads", &delegation.read)] {
        if let Some(bounds) = bounds {
            told += &format!(", {what} {}", json!(bounds));
        }
    }
    told
}

pub(crate) fn known(writing: &Writing<'_>, name: &str) -> Result<Agent, AuthorityError> {
    writing.agent(name)?.ok_or_else(|| AuthorityError::NoSuchAgent(name.to_owned()))
}

pub(crate) fn administered(kind: Kind, by: &Administrator) -> Event {
    let mut event = Event::new(kind, Outcome::Ok);
    match by {
        Administrator::CommandLine => event.subject = Some("command line".into()),
        Administrator::Person { issuer, subject } => {
            event.issuer = Some(issuer.clone());
            event.subject = Some(subject.clone());
        }
    }
    event
}

pub(crate) fn about(agent: &Agent, kind: Kind, by: &Administrator) -> Event {
    let mut event = administered(kind, by);
    event.agent = Some(agent.name.clone());
    event.client_id = Some(agent.client_id.to_string());
    event
}
