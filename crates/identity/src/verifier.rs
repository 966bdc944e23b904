//! A bearer token in, claims out.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::task::JoinHandle;

use crate::groups::Groups;
use crate::jws::{KeySet, Profile, Unverified};
use crate::provider::Provider;
use crate::{Claims, IdentityConfig, IdentityConfigError, Rejection};

/// Turns bearer tokens of one issuer into [`Claims`].
#[derive(Debug)]
pub struct Verifier {
    profile: Profile,
    keys: Keys,
}

/// Where the keys come from.
#[derive(Debug)]
enum Keys {
    /// From the provider, which may also know claims that tokens lack.
    Fetched {
        provider: Arc<Provider>,
        groups: Option<Groups>,
        refresher: JoinHandle<()>,
    },
    Given(KeySet),
}

impl Verifier {
    /// Starts to fetch the issuer's keys in the background and returns at once.
    ///
    /// An unreachable provider is no error: [`readiness`](Verifier::readiness) tells of it, every
    /// token is refused meanwhile, and fetching is tried again until it works.
    ///
    /// # Errors
    /// When the configuration cannot be used, or outside a tokio runtime.
    pub fn start(config: IdentityConfig) -> Result<Arc<Verifier>, IdentityConfigError> {
        let (profile, source, groups) = config.parse()?;
        let runtime =
            tokio::runtime::Handle::try_current().map_err(|_| IdentityConfigError::NoRuntime)?;
        let provider = Arc::new(Provider::new(source)?);
        let refresher = runtime.spawn(Arc::clone(&provider).keep_fresh());
        Ok(Arc::new(Verifier { profile, keys: Keys::Fetched { provider, groups, refresher } }))
    }

    /// Verifies with these keys and no others, and fetches nothing.
    ///
    /// # Errors
    /// When the configuration cannot be used, or names something to fetch: `jwks_uri` or `groups`.
    pub fn with_keys(
        config: IdentityConfig,
        keys: KeySet,
    ) -> Result<Arc<Verifier>, IdentityConfigError> {
        let profile = config.parse_without_provider()?;
        Ok(Arc::new(Verifier { profile, keys: Keys::Given(keys) }))
    }

    /// Verifies an access token.
    ///
    /// Waits for the network only when the token names a key that is not known yet, and then at
    /// most once in `unknown_kid_cooldown_seconds`, all callers together; and to look up claims that
    /// the token lacks, where `[identity.groups]` says so.
    ///
    /// # Errors
    /// [`Rejection`], whose cause is for the log only.
    pub async fn verify(&self, token: &str) -> Result<Claims, Rejection> {
        let unverified = Unverified::read(token, &self.profile)?;
        let payload = match &self.keys {
            Keys::Given(keys) => unverified.verify(&self.profile, keys, unix_now())?,
            Keys::Fetched { provider, groups, .. } => {
                let known = provider.keys_for(unverified.key_id.as_deref()).await?;
                let payload = unverified.verify(&self.profile, known.keys(), unix_now())?;
                match groups {
                    Some(groups) => groups.complete(provider, token, payload).await?,
                    None => payload,
                }
            }
        };
        Claims::from_verified(payload).ok_or(Rejection::invalid("a claim has the wrong type"))
    }

    /// Claims that this verifier gave before and that were [kept](Claims::keep) since, by somebody
    /// who vouches that nobody else could change them.
    ///
    /// # Errors
    /// They are another issuer's, their token has expired, or they are no claims.
    pub fn recall(&self, kept: &str) -> Result<Claims, Rejection> {
        let claims = serde_json::from_str(kept).ok().and_then(Claims::from_verified);
        let claims = claims.ok_or(Rejection::invalid("kept claims are damaged"))?;
        if claims.issuer() != self.profile.issuer {
            return Err(Rejection::invalid("kept claims are another issuer's"));
        }
        if claims.expires_at() <= unix_now() {
            return Err(Rejection::expired("the token of the kept claims has expired"));
        }
        Ok(claims)
    }

    /// The names of this server in people's tokens.
    pub fn audiences(&self) -> &[String] {
        &self.profile.audiences
    }

    /// Whether tokens can be verified now.
    ///
    /// # Errors
    /// Why not, for an operator.
    pub fn readiness(&self) -> Result<(), String> {
        match &self.keys {
            Keys::Fetched { provider, .. } => provider.readiness(),
            Keys::Given(_) => Ok(()),
        }
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        if let Keys::Fetched { refresher, .. } = &self.keys {
            refresher.abort();
        }
    }
}

/// Seconds since 1970; a clock before that reads as 0, at which every real token is from the future.
fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
