//! Agents and what is delegated to them.

use std::fmt;

use bailiwick_identity::jws::KeySet;
use serde::Serialize;
use serde_json::{Map, Value, json};
use spiffe::{JwtBundle, SpiffeId, TrustDomain};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::AuthorityError;
use crate::scope::Scopes;

/// How long a delegation lasts when nobody says otherwise: 90 days, in seconds.
pub const DEFAULT_DELEGATION_SECONDS: u64 = 90 * 24 * 3600;

/// The longest audience in bytes, and the most of them.
const MAX_AUDIENCE_BYTES: usize = 512;
const MAX_AUDIENCES: usize = 16;

/// The longest ceiling or read bounds in bytes, as JSON.
const MAX_BOUNDS_BYTES: usize = 16 * 1024;

/// How an agent proves who it is.
///
/// Its keys are public ones; whoever gives a private key is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// By its client id alone: weak, for the AuthSec clients that can do no more.
    ClientId,
    /// By a JWT that it signs (RFC 7523), checked with these keys: PEM or a JWK Set.
    PrivateKeyJwt(String),
    /// By a JWT-SVID, checked with this trust bundle: a JWK Set.
    JwtSvid(String),
}

impl Authentication {
    /// From public keys: PEM (`BEGIN PUBLIC KEY`), a JWK with a `kid`, or a JWK Set.
    ///
    /// # Errors
    /// It is none of these, a key of it is private or unusable.
    pub fn private_key_jwt(keys: &str) -> Result<Self, AuthorityError> {
        let keys = match bailiwick_json::read::<Value>(keys.as_bytes()) {
            Ok(jwk) if jwk.get("keys").is_none() => json!({ "keys": [jwk] }).to_string(),
            _ => keys.to_owned(),
        };
        client_keys(&keys)?;
        Ok(Self::PrivateKeyJwt(keys))
    }

    /// From a trust bundle: a JWK Set.
    ///
    /// # Errors
    /// It is no JWK Set, or holds no key.
    pub fn jwt_svid(bundle: &str) -> Result<Self, AuthorityError> {
        // Any trust domain will do: only the keys are looked at here.
        let domain =
            TrustDomain::new("bundle.check").map_err(|e| AuthorityError::Key(e.to_string()))?;
        trust_bundle(domain, bundle)?;
        Ok(Self::JwtSvid(bundle.to_owned()))
    }

    /// From a method's name and the public keys that go with it.
    ///
    /// # Errors
    /// No such method, or keys that are missing, superfluous or unusable.
    pub fn from_parts(method: &str, keys: Option<&str>) -> Result<Self, AuthorityError> {
        let wrong = |reason: &str| Err(AuthorityError::Key(reason.to_owned()));
        match (method, keys) {
            ("client-id", None) => Ok(Self::ClientId),
            ("client-id", Some(_)) => wrong("`client-id` goes without one; leave it out"),
            ("private-key-jwt", Some(keys)) => Self::private_key_jwt(keys),
            ("jwt-svid", Some(bundle)) => Self::jwt_svid(bundle),
            ("private-key-jwt" | "jwt-svid", None) => {
                wrong("this method needs one; give it as --public-key FILE, or as public_key")
            }
            _ => Err(AuthorityError::Method),
        }
    }

    /// `client-id`, `private-key-jwt` or `jwt-svid`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ClientId => "client-id",
            Self::PrivateKeyJwt(_) => "private-key-jwt",
            Self::JwtSvid(_) => "jwt-svid",
        }
    }

    pub(crate) fn keys(&self) -> Option<&str> {
        match self {
            Self::ClientId => None,
            Self::PrivateKeyJwt(keys) | Self::JwtSvid(keys) => Some(keys),
        }
    }

    pub(crate) fn from_stored(name: &str, keys: Option<String>) -> Option<Self> {
        match (name, keys) {
            ("client-id", None) => Some(Self::ClientId),
            ("private-key-jwt", Some(keys)) => Some(Self::PrivateKeyJwt(keys)),
            ("jwt-svid", Some(keys)) => Some(Self::JwtSvid(keys)),
            _ => None,
        }
    }
}

/// What is shown of it: its name, never its keys.
impl Serialize for Authentication {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The keys of an agent that signs its own assertions.
pub(crate) fn client_keys(text: &str) -> Result<KeySet, AuthorityError> {
    let refused = |why: String| AuthorityError::Key(why);
    if text.contains("PRIVATE KEY") {
        return Err(refused("this is a private key; replace it, and give the public half".into()));
    }
    if text.contains("-----BEGIN") {
        return KeySet::from_pem(text.as_bytes()).map_err(|e| refused(e.to_string()));
    }
    let (keys, ignored) = KeySet::from_jwks(text.as_bytes()).map_err(|e| refused(e.to_string()))?;
    match ignored.first() {
        Some(key) => Err(refused(format!("key {} cannot be used: {}", key.position, key.reason))),
        None if keys.is_empty() => Err(refused("the set holds no key".into())),
        None => Ok(keys),
    }
}

/// The keys that vouch for the workloads of `domain`.
pub(crate) fn trust_bundle(domain: TrustDomain, text: &str) -> Result<JwtBundle, AuthorityError> {
    let bundle = JwtBundle::from_jwt_authorities(domain, text.as_bytes())
        .map_err(|e| AuthorityError::Key(format!("this is no trust bundle: {e}")))?;
    if bundle.jwt_authorities().next().is_none() {
        return Err(AuthorityError::Key("the trust bundle holds no key".into()));
    }
    Ok(bundle)
}

/// A workload that ingests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Agent {
    /// Its name, unique for ever: `[a-z0-9][a-z0-9-]{0,62}`.
    pub name: String,
    /// Its client id.
    #[schema(value_type = String)]
    pub client_id: Uuid,
    /// `spiffe://<trust domain>/agent/<name>`.
    pub spiffe_id: String,
    /// How it proves who it is.
    #[schema(value_type = String)]
    pub auth: Authentication,
    /// When it was registered.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was shut out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
    /// When it last got a token, to the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
    /// What became of the documents that it brought: `quarantined` or `purged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documents: Option<String>,
    /// What it may do now; one that has expired is still shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delegation: Option<Delegation>,
}

/// The SPIFFE ID of the agent called `name`.
pub(crate) fn spiffe_id(trust_domain: &TrustDomain, name: &str) -> Result<String, AuthorityError> {
    let mut letters = name.chars();
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let starts_well = letters.next().is_some_and(good);
    if name.len() > 63 || !starts_well || !letters.all(|c| good(c) || c == '-') {
        return Err(AuthorityError::AgentName);
    }
    SpiffeId::from_segments(trust_domain.clone(), &["agent", name])
        .map(|id| id.to_string())
        .map_err(|_| AuthorityError::AgentName)
}

/// The number of a delegation. Its tokens' ids begin with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct DelegationId(pub(crate) i64);

impl fmt::Display for DelegationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Conditions on labels, such as `{"department": ["hr"]}`, in the language of the policy's `Bounds`.
/// They are kept here and not read: whoever delegates checks them against the schema first.
pub type Bounds = Map<String, Value>;

/// What an administrator lets an agent do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Delegation {
    /// Its number.
    #[schema(value_type = i64)]
    pub id: DelegationId,
    /// What the agent may do. Empty: nothing.
    #[schema(value_type = Vec<String>)]
    pub permissions: Scopes,
    /// For whom its tokens are.
    pub audience: Vec<String>,
    /// How long its tokens last, in seconds.
    pub ttl_seconds: u64,
    /// The labels that it may write; none: those of any document.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>)]
    pub ceiling: Option<Bounds>,
    /// The labels that it may read for a person who may read them too; none: it reads for nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>)]
    pub read: Option<Bounds>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it ends by itself.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// When a later one took its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub replaced_at: Option<Timestamp>,
    /// When it was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
}

/// What to delegate.
#[derive(Clone, Debug, Default)]
pub struct DelegationRequest {
    /// What the agent may do. Empty: nothing.
    pub permissions: Vec<String>,
    /// For whom its tokens are. Empty: for this server.
    pub audience: Vec<String>,
    /// How long its tokens last, in seconds. Default: as long as the configuration allows.
    pub ttl_seconds: Option<u64>,
    /// How long the delegation lasts, in seconds. Default: [`DEFAULT_DELEGATION_SECONDS`].
    pub lifetime_seconds: Option<u64>,
    /// The labels that it may write. Default: those of any document.
    pub ceiling: Option<Bounds>,
    /// The labels that it may read for people. Default: none, it reads for nobody.
    pub read: Option<Bounds>,
}

/// Checks the audiences of a delegation.
pub(crate) fn audience(asked: Vec<String>, own: &str) -> Result<Vec<String>, AuthorityError> {
    if asked.is_empty() {
        return Ok(vec![own.to_owned()]);
    }
    let bad = |a: &String| {
        a.is_empty()
            || a.len() > MAX_AUDIENCE_BYTES
            || a.contains('*')
            || a.chars().any(|c| c.is_control() || c.is_whitespace())
    };
    if asked.len() > MAX_AUDIENCES || asked.iter().any(bad) {
        return Err(AuthorityError::Audience);
    }
    let mut kept: Vec<String> = Vec::new();
    for one in asked {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    Ok(kept)
}

/// Checks that bounds say something, and not too much.
pub(crate) fn bounds(asked: Option<Bounds>) -> Result<Option<Bounds>, AuthorityError> {
    let size = |bounds: &Bounds| json!(bounds).to_string().len();
    match asked {
        Some(bounds) if bounds.is_empty() || size(&bounds) > MAX_BOUNDS_BYTES => {
            Err(AuthorityError::Bounds)
        }
        asked => Ok(asked),
    }
}
