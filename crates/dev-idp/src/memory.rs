//! Sign-ins under way, sessions, codes and tokens, all of them in memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use url::Url;
use uuid::Uuid;

use crate::people::Person;

/// Everything that the provider remembers. A restart forgets it.
pub(crate) struct Memory {
    /// Sign-ins that wait for somebody to pick a person.
    pub(crate) pending: Shelf<Asked>,
    pub(crate) sessions: Shelf<Session>,
    pub(crate) codes: Shelf<Grant>,
    pub(crate) refresh_tokens: Shelf<Grant>,
    /// The `jti` of access tokens that were revoked.
    pub(crate) revoked: Shelf<()>,
}

/// A checked request for authorization.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) answer_to: AnswerTo,
    pub(crate) scope: Scope,
    pub(crate) nonce: Option<String>,
    /// The PKCE challenge, S256.
    pub(crate) challenge: String,
}

/// Where the answer to a request goes. Exists only for a permitted address.
#[derive(Clone)]
pub(crate) struct AnswerTo {
    pub(crate) url: Url,
    /// As the client wrote it, which the token endpoint compares.
    pub(crate) written: String,
    pub(crate) state: Option<String>,
}

/// A browser in which somebody picked a person.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) person: Arc<Person>,
    /// Unix seconds.
    pub(crate) since: i64,
}

/// What a code or a refresh token stands for.
#[derive(Clone)]
pub(crate) struct Grant {
    pub(crate) session: Session,
    pub(crate) asked: Asked,
    /// Shared by a code and all refresh tokens that descend from it.
    pub(crate) family: Uuid,
    /// A spent handle stays for its lifetime, so that a second use is noticed.
    pub(crate) spent: bool,
}

/// The scopes that were granted, in the order of [`Scope::ALL`].
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Scope(Vec<&'static str>);

impl Scope {
    pub(crate) const ALL: [&'static str; 4] = ["openid", "profile", "email", "offline_access"];

    /// The known ones among those asked for; OpenID Connect Core 3.1.2.1 ignores the others.
    pub(crate) fn granted(asked: &str) -> Self {
        let asked: Vec<&str> = asked.split(' ').collect();
        Self(Self::ALL.into_iter().filter(|one| asked.contains(one)).collect())
    }

    pub(crate) fn has(&self, scope: &str) -> bool {
        self.0.contains(&scope)
    }

    pub(crate) fn within(&self, wider: &Self) -> bool {
        self.0.iter().all(|one| wider.has(one))
    }

    pub(crate) fn text(&self) -> String {
        self.0.join(" ")
    }
}

impl Memory {
    pub(crate) fn new(token_lifetime: Duration) -> Self {
        const WORKING_DAY: Duration = Duration::from_secs(12 * 3600);
        Self {
            pending: Shelf::new(Duration::from_secs(600)),
            sessions: Shelf::new(WORKING_DAY),
            codes: Shelf::new(Duration::from_secs(60)),
            refresh_tokens: Shelf::new(WORKING_DAY),
            revoked: Shelf::new(token_lifetime),
        }
    }
}

/// Values under unguessable handles, each for the same time, at most [`Shelf::ROOM`] of them.
pub(crate) struct Shelf<V> {
    /// Oldest first.
    kept: VecDeque<(Instant, String, V)>,
    lifetime: Duration,
}

impl<V> Shelf<V> {
    /// The oldest goes when one more arrives. So few are searched one by one.
    const ROOM: usize = 1_000;

    fn new(lifetime: Duration) -> Self {
        Self { kept: VecDeque::new(), lifetime }
    }

    /// Keeps a value and makes its handle.
    pub(crate) fn put(&mut self, value: V) -> String {
        let handle = unguessable();
        self.put_under(handle.clone(), value);
        handle
    }

    pub(crate) fn put_under(&mut self, handle: String, value: V) {
        self.kept.retain(|(since, ..)| since.elapsed() < self.lifetime);
        if self.kept.len() >= Self::ROOM {
            self.kept.pop_front();
        }
        self.kept.push_back((Instant::now(), handle, value));
    }

    pub(crate) fn get(&mut self, handle: &str) -> Option<&mut V> {
        let alive = |since: &Instant| since.elapsed() < self.lifetime;
        self.kept
            .iter_mut()
            .find(|(since, name, _)| name == handle && alive(since))
            .map(|(.., value)| value)
    }

    pub(crate) fn take(&mut self, handle: &str) -> Option<V> {
        let at = self.kept.iter().position(|(_, name, _)| name == handle)?;
        let (since, _, value) = self.kept.remove(at)?;
        (since.elapsed() < self.lifetime).then_some(value)
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&V) -> bool) {
        self.kept.retain(|(.., value)| keep(value));
    }
}

/// 244 random bits from the operating system, in letters that need no escaping anywhere.
pub(crate) fn unguessable() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}
