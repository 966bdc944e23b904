//! `[identity]`: whose tokens are accepted, and where their keys come from.

use serde::{Deserialize, Deserializer};
use url::Url;

use crate::Algorithm;
use crate::groups::{Groups, GroupsConfig};
use crate::jws::Profile;
use crate::provider::{Reach, Source};

/// The table `[identity]` of the configuration: whose tokens are accepted.
///
/// Unknown keys are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityConfig {
    /// The provider's issuer identifier, byte for byte as it stands in `iss`: an https URL
    /// without query and fragment. Plain http is for loopback hosts only.
    pub issuer: String,
    /// The names of this server in `aud`: a string or a list; a token must name one of them.
    #[serde(deserialize_with = "one_or_many")]
    pub audience: Vec<String>,
    /// Where the provider publishes its keys. Default: what its discovery document says, which
    /// must then be at the issuer's own origin.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// Allowed signature algorithms. Default: `RS256`, `ES256`, `EdDSA`, `PS256`.
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// Tolerance for `exp`, `nbf` and `iat`, in seconds, at most 60. Default: 30.
    #[serde(default = "default_clock_skew")]
    pub clock_skew_seconds: u64,
    /// Allowed `typ` headers. Default: `at+jwt` and, for the many providers that do not follow
    /// RFC 9068 yet, `JWT`.
    #[serde(default = "default_token_types")]
    pub token_types: Vec<String>,
    /// Longest `exp - iat`, in seconds. Default: 86400, a day.
    #[serde(default = "one_day")]
    pub max_token_lifetime_seconds: u64,
    /// Shortest time between two fetches of the keys because of an unknown `kid`, in seconds, at
    /// least 1. Default: 60.
    #[serde(default = "default_cooldown")]
    pub unknown_kid_cooldown_seconds: u64,
    /// How long fetched keys serve while the provider cannot be reached, in seconds, at least 1.
    /// Default: 86400, a day.
    #[serde(default = "one_day")]
    pub max_stale_seconds: u64,
    /// Hosts that may resolve to loopback, link-local or private addresses, and that a discovery
    /// document may name in `jwks_uri` although they are not the issuer's. Default: none.
    #[serde(default)]
    pub danger_allowed_hosts: Vec<String>,
    /// Claims that tokens do not carry, and where to look them up. Default: nowhere.
    #[serde(default)]
    pub groups: Option<GroupsConfig>,
}

/// What is wrong with an [`IdentityConfig`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityConfigError {
    /// A field has a value that cannot be used.
    #[error("identity.{field}: {problem}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What is wrong and what to write instead.
        problem: &'static str,
    },
    /// The HTTP client could not be set up.
    #[error("the client for the identity provider cannot start: {0}; install ca-certificates")]
    Client(String),
    /// There is no tokio runtime to refresh the keys in.
    #[error("no tokio runtime is running; start the verifier inside one")]
    NoRuntime,
}

fn default_algorithms() -> Vec<Algorithm> {
    Algorithm::DEFAULTS.to_vec()
}

fn default_clock_skew() -> u64 {
    30
}

fn default_token_types() -> Vec<String> {
    vec!["at+jwt".to_owned(), "JWT".to_owned()]
}

fn one_day() -> u64 {
    86_400
}

fn default_cooldown() -> u64 {
    60
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a string or a list of strings")]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

/// Types of tokens that say something else than who may read.
const FOREIGN_TOKEN_TYPES: [&str; 3] = ["dpop+jwt", "logout+jwt", "secevent+jwt"];
const MAX_CLOCK_SKEW_SECONDS: u64 = 60;

impl IdentityConfig {
    /// Checks every field and parses them into what a token must be and where keys come from.
    pub(crate) fn parse(
        mut self,
    ) -> Result<(Profile, Source, Option<Groups>), IdentityConfigError> {
        self.check_names()?;
        self.check_seconds()?;
        let source = self.source()?;
        let groups = match self.groups.take() {
            Some(config) => Some(Groups::new(&config, config.source(&source.reach)?)),
            None => None,
        };
        let profile = Profile {
            algorithms: self.algorithms,
            token_types: self.token_types,
            clock_skew_seconds: self.clock_skew_seconds,
            max_lifetime_seconds: self.max_token_lifetime_seconds,
            ..Profile::access_token(self.issuer, self.audience)
        };
        Ok((profile, source, groups))
    }

    /// What a token must be, for who has the keys and fetches nothing.
    pub(crate) fn parse_without_provider(self) -> Result<Profile, IdentityConfigError> {
        if self.jwks_uri.is_some() {
            return field("jwks_uri", "the keys are given, so none are fetched; leave it out");
        }
        if self.groups.is_some() {
            return field("groups", "with keys that are given, nothing is looked up; leave it out");
        }
        let (profile, ..) = self.parse()?;
        Ok(profile)
    }

    fn check_names(&self) -> Result<(), IdentityConfigError> {
        if self.audience.is_empty() || self.audience.iter().any(String::is_empty) {
            return field("audience", "it is empty; name this server as tokens do in `aud`");
        }
        if self.algorithms.is_empty() {
            return field("algorithms", "it is empty; list at least one, such as \"RS256\"");
        }
        if self.token_types.is_empty() || self.token_types.iter().any(String::is_empty) {
            return field("token_types", "it is empty; list at least one, such as \"at+jwt\"");
        }
        let foreign = |name: &String| {
            FOREIGN_TOKEN_TYPES.iter().any(|foreign| name.to_ascii_lowercase().ends_with(foreign))
        };
        if self.token_types.iter().any(foreign) {
            return field(
                "token_types",
                "DPoP proofs, logout tokens and security events are no access tokens; remove them",
            );
        }
        if self.danger_allowed_hosts.iter().any(|host| host.is_empty() || host.contains('/')) {
            return field(
                "danger_allowed_hosts",
                "write bare hosts, without scheme, port and path",
            );
        }
        Ok(())
    }

    fn check_seconds(&self) -> Result<(), IdentityConfigError> {
        if self.clock_skew_seconds > MAX_CLOCK_SKEW_SECONDS {
            return field("clock_skew_seconds", "more than 60; set the clocks right and use less");
        }
        if self.max_token_lifetime_seconds == 0 {
            return field("max_token_lifetime_seconds", "0 refuses every token; use 1 or more");
        }
        if self.unknown_kid_cooldown_seconds == 0 {
            return field(
                "unknown_kid_cooldown_seconds",
                "0 lets anyone make us flood the provider; use 1 or more",
            );
        }
        if self.max_stale_seconds == 0 {
            return field("max_stale_seconds", "0 refuses every token; use 1 or more");
        }
        Ok(())
    }

    fn source(&self) -> Result<Source, IdentityConfigError> {
        let problem = |field, problem| IdentityConfigError::Field { field, problem };
        let reach = Reach::new(&self.issuer, &self.danger_allowed_hosts);
        let issuer = reach.url(&self.issuer).map_err(|reason| problem("issuer", reason))?;
        if issuer.query().is_some() {
            return field("issuer", "an issuer has no query; remove what follows the `?`");
        }
        let keys = match &self.jwks_uri {
            None => None,
            Some(uri) => Some(reach.url(uri).map_err(|reason| problem("jwks_uri", reason))?),
        };
        let discovery = format!(
            "{}/.well-known/openid-configuration",
            self.issuer.strip_suffix('/').unwrap_or(&self.issuer)
        );
        Ok(Source {
            issuer: self.issuer.clone(),
            discovery: Url::parse(&discovery)
                .map_err(|_| problem("issuer", "it is not a URL; use https://…"))?,
            keys,
            reach,
            cooldown: std::time::Duration::from_secs(self.unknown_kid_cooldown_seconds),
            max_stale: std::time::Duration::from_secs(self.max_stale_seconds),
        })
    }
}

fn field<T>(field: &'static str, problem: &'static str) -> Result<T, IdentityConfigError> {
    Err(IdentityConfigError::Field { field, problem })
}
