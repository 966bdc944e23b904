//! The keys of one OpenID provider: found by discovery, kept fresh, kept through an outage.
//!
//! ```text
//! keep_fresh ──fetch──▶ snapshot ◀──read── keys_for(kid)
//!                          ▲                   │ unknown kid, at most once per cool-down
//!                          └───────fetch───────┘
//! ```
//! A failed fetch changes nothing; a successful one replaces the keys as a whole, so that a
//! withdrawn key is gone.

mod fetch;
mod reach;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use bailiwick_json::Limits;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use url::Url;

use crate::jws::{IgnoredKey, KeySet, KeySetError};
use crate::{IdentityConfigError, Rejection};
pub(crate) use fetch::FetchError;
use fetch::Fetcher;
pub(crate) use reach::Reach;
pub use reach::is_loopback;

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);
const SHORTEST_REFRESH: Duration = Duration::from_secs(5 * 60);
const DEFAULT_REFRESH: Duration = Duration::from_secs(60 * 60);
const LONGEST_REFRESH: Duration = Duration::from_secs(24 * 60 * 60);
const DISCOVERY_LIMITS: Limits = Limits { depth: 16, members: 1024 };

/// Where keys come from, as configured.
pub(crate) struct Source {
    pub(crate) issuer: String,
    pub(crate) discovery: Url,
    /// The configured `jwks_uri`, which makes discovery unnecessary.
    pub(crate) keys: Option<Url>,
    pub(crate) reach: Reach,
    pub(crate) cooldown: Duration,
    pub(crate) max_stale: Duration,
}

/// The keys of one issuer and what keeps them fresh.
pub(crate) struct Provider {
    source: Source,
    fetcher: Fetcher,
    known: ArcSwapOption<Known>,
    userinfo: ArcSwapOption<Url>,
    failure: ArcSwap<String>,
    /// Held during every fetch; says when an unknown `kid` last caused one.
    asked: Mutex<Option<Instant>>,
    fetches: AtomicU64,
}

/// Keys and when they were fetched.
pub(crate) struct Known {
    keys: KeySet,
    since: Instant,
}

impl Known {
    pub(crate) fn keys(&self) -> &KeySet {
        &self.keys
    }
}

/// Why keys could not be refreshed.
#[derive(Debug, thiserror::Error)]
enum RefreshError {
    #[error("discovery failed: {0}")]
    Discovery(#[source] FetchError),
    #[error("the discovery document is not usable: {0}")]
    Document(&'static str),
    #[error("fetching the keys failed: {0}")]
    Keys(#[source] FetchError),
    #[error(transparent)]
    KeySet(#[from] KeySetError),
    #[error("the key set has no key that may verify tokens")]
    NoUsableKey,
}

impl Provider {
    pub(crate) fn new(source: Source) -> Result<Provider, IdentityConfigError> {
        let fetcher = Fetcher::new(&source.reach).map_err(IdentityConfigError::Client)?;
        Ok(Provider {
            source,
            fetcher,
            known: ArcSwapOption::empty(),
            userinfo: ArcSwapOption::empty(),
            failure: ArcSwap::from_pointee("the first fetch has not finished yet".to_owned()),
            asked: Mutex::new(None),
            fetches: AtomicU64::new(0),
        })
    }

    /// Refreshes the keys for ever: at the pace that the provider asks for, and sooner after a
    /// failure.
    pub(crate) async fn keep_fresh(self: Arc<Self>) {
        let mut retry = FIRST_RETRY;
        loop {
            let refreshed = {
                let _alone = self.asked.lock().await;
                self.refresh().await
            };
            let wait = match refreshed {
                Ok(max_age) => {
                    retry = FIRST_RETRY;
                    refresh_interval(max_age, self.source.max_stale)
                }
                Err(_) => {
                    let wait = retry;
                    retry = (retry * 2).min(LAST_RETRY);
                    wait
                }
            };
            tokio::time::sleep(jittered(wait)).await;
        }
    }

    /// The keys to verify a token with that names `key_id`; fetches them first if that one is
    /// unknown and nobody has asked lately.
    pub(crate) async fn keys_for(
        self: &Arc<Self>,
        key_id: Option<&str>,
    ) -> Result<Arc<Known>, Rejection> {
        if let Some(key_id) = key_id
            && !self.knows(key_id)
            && self.may_ask()
        {
            // The fetch is a task of its own, so that a caller who hangs up does not cancel it
            // for the others and does not use up the cool-down for nothing.
            let (provider, key_id) = (Arc::clone(self), key_id.to_owned());
            let asked = tokio::spawn(async move { provider.ask_for(&key_id).await }).await;
            if asked.is_err() {
                return Err(Rejection::invalid("fetching the provider's keys was interrupted"));
            }
        }
        let known = self.known.load_full();
        let known = known.ok_or(Rejection::invalid("no key of the provider is known yet"))?;
        if known.since.elapsed() > self.source.max_stale {
            return Err(Rejection::invalid("the provider's keys are older than max_stale_seconds"));
        }
        Ok(known)
    }

    /// Where the provider tells who somebody is (OpenID Connect Core 1.0 section 5.3), if its
    /// discovery document names a place at its own origin.
    pub(crate) fn userinfo(&self) -> Option<Arc<Url>> {
        self.userinfo.load_full()
    }

    /// Gets a document within the bounds that hold for keys.
    pub(crate) async fn fetch(
        &self,
        url: &Url,
        bearer: Option<&str>,
    ) -> Result<Vec<u8>, FetchError> {
        Ok(self.fetcher.get(url, bearer).await?.body)
    }

    pub(crate) fn readiness(&self) -> Result<(), String> {
        let reason = match self.known.load_full() {
            Some(known) if known.since.elapsed() <= self.source.max_stale => return Ok(()),
            Some(_) => "too old keys",
            None => "no keys",
        };
        let (issuer, failure) = (&self.source.issuer, self.failure.load());
        Err(format!("{reason} of the identity provider {issuer}: {failure}; trying again"))
    }

    fn knows(&self, key_id: &str) -> bool {
        self.known.load().as_ref().is_some_and(|known| known.keys.contains(key_id))
    }

    /// Whether asking may help: not during the cool-down, but always during a fetch, to wait for
    /// its outcome.
    fn may_ask(&self) -> bool {
        self.asked.try_lock().map_or(true, |asked| self.is_cool(*asked))
    }

    fn is_cool(&self, asked: Option<Instant>) -> bool {
        asked.is_none_or(|at| at.elapsed() >= self.source.cooldown)
    }

    async fn ask_for(&self, key_id: &str) {
        let before = self.fetches.load(Ordering::Acquire);
        let mut asked = self.asked.lock().await;
        let fetched_meanwhile = self.fetches.load(Ordering::Acquire) != before;
        if fetched_meanwhile || self.knows(key_id) || !self.is_cool(*asked) {
            return;
        }
        *asked = Some(Instant::now());
        // The outcome is logged where it is made, and the caller looks at the keys themselves.
        let _ = self.refresh().await;
    }

    /// Fetches the keys; the caller holds `asked`.
    async fn refresh(&self) -> Result<Option<Duration>, RefreshError> {
        let outcome = self.fetch_keys().await;
        self.fetches.fetch_add(1, Ordering::Release);
        match &outcome {
            Ok(_) => tracing::debug!(issuer = self.source.issuer, "provider keys refreshed"),
            Err(error) => {
                tracing::warn!(issuer = self.source.issuer, %error, "provider keys not refreshed");
                self.failure.store(Arc::new(error.to_string()));
            }
        }
        outcome
    }

    async fn fetch_keys(&self) -> Result<Option<Duration>, RefreshError> {
        let url = match &self.source.keys {
            Some(url) => url.clone(),
            None => self.discover().await?,
        };
        let document = self.fetcher.get(&url, None).await.map_err(RefreshError::Keys)?;
        let (keys, ignored) = KeySet::from_jwks(&document.body)?;
        ignored.iter().for_each(|key| self.report(key));
        if keys.is_empty() {
            return Err(RefreshError::NoUsableKey);
        }
        self.known.store(Some(Arc::new(Known { keys, since: Instant::now() })));
        Ok(document.max_age)
    }

    /// The `jwks_uri` of the discovery document (OpenID Connect Discovery 1.0 section 4).
    async fn discover(&self) -> Result<Url, RefreshError> {
        let document = self.fetcher.get(&self.source.discovery, None).await;
        let document = document.map_err(RefreshError::Discovery)?;
        let document = bailiwick_json::read_within(&document.body, DISCOVERY_LIMITS);
        let document: Map<String, Value> = document
            .map_err(|_| RefreshError::Document("it is not one unambiguous JSON object"))?;
        let text = |name| document.get(name).and_then(Value::as_str);
        if text("issuer") != Some(&self.source.issuer) {
            return Err(RefreshError::Document(
                "its issuer is not byte for byte the configured one",
            ));
        }
        let userinfo = text("userinfo_endpoint").and_then(|url| self.source.reach.url(url).ok());
        let userinfo = userinfo.filter(|url| self.may_be_named(url));
        self.userinfo.store(userinfo.map(Arc::new));
        let uri = text("jwks_uri").ok_or(RefreshError::Document("it has no jwks_uri"))?;
        let uri = self.source.reach.url(uri).map_err(RefreshError::Document)?;
        if !self.may_be_named(&uri) {
            return Err(RefreshError::Document(
                "its jwks_uri is at another origin than the issuer; \
                 if that is right, set identity.jwks_uri in the configuration",
            ));
        }
        Ok(uri)
    }

    /// Whether the discovery document may send us there: to its own origin, or where the operator
    /// allows it.
    fn may_be_named(&self, url: &Url) -> bool {
        url.origin() == self.source.discovery.origin() || self.source.reach.lists(url)
    }

    fn report(&self, key: &IgnoredKey) {
        let (issuer, IgnoredKey { position, reason, private }) = (&self.source.issuer, key);
        if *private {
            tracing::error!(issuer, position, reason, "the provider publishes a private key");
        } else {
            tracing::warn!(issuer, position, reason, "a key of the provider is not used");
        }
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Provider")
            .field("issuer", &self.source.issuer)
            .finish_non_exhaustive()
    }
}

/// How long fetched keys are left alone: as long as the provider says, within five minutes and a
/// day, and never so long that they could get too old before a second attempt.
fn refresh_interval(max_age: Option<Duration>, max_stale: Duration) -> Duration {
    max_age.unwrap_or(DEFAULT_REFRESH).clamp(SHORTEST_REFRESH, LONGEST_REFRESH).min(max_stale / 2)
}

/// Shortens a wait by up to a tenth, so that many servers do not ask at the same moment.
fn jittered(wait: Duration) -> Duration {
    let share = RandomState::new().hash_one(0_u8) % 1000;
    wait.mul_f64(1.0 - share as f64 / 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_cannot_ask_for_a_refresh_too_often_or_too_rarely() {
        let interval = |seconds: Option<u64>| {
            refresh_interval(seconds.map(Duration::from_secs), Duration::from_secs(10 * 86_400))
        };
        assert_eq!(interval(Some(0)), SHORTEST_REFRESH, "K15");
        assert_eq!(interval(Some(315_360_000)), LONGEST_REFRESH, "K15");
        assert_eq!(interval(Some(900)), Duration::from_secs(900));
        assert_eq!(interval(None), DEFAULT_REFRESH);
    }

    #[test]
    fn keys_are_refreshed_before_they_are_too_old() {
        let max_stale = Duration::from_secs(600);
        for age in [None, Some(Duration::from_secs(86_400))] {
            assert!(refresh_interval(age, max_stale) < max_stale);
        }
    }

    #[test]
    fn jitter_only_shortens_and_only_a_little() {
        let wait = Duration::from_secs(100);
        for _ in 0..1000 {
            let jittered = jittered(wait);
            assert!(jittered <= wait && jittered >= wait.mul_f64(0.9));
        }
    }
}
