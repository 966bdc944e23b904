//! The vault: the gateway in front of protected APIs.
//!
//! Invariant: nothing is read without a [`Grant`] that has the collection's scope, and nothing
//! leaves before its audit record is durable.
//! Invariant: an agent's token never reaches an upstream, and an upstream's credential never
//! reaches an agent.

mod source;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use self::source::Source;
use crate::audit::{Audit, AuditError, Event, Kind, Outcome};
use crate::scope::{ScopeError, Scopes};
use crate::token::{Grant, InsufficientScope};

/// Where the gateway stands among the server's addresses.
const PREFIX: &str = "secure-vault/";

/// A `[[vault.collection]]` table of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectionConfig {
    /// Where it is read, without a leading slash: `secure-vault/records`.
    pub path: String,
    /// The scope that it takes: `read:records`.
    pub scope: String,
    /// A JSON file that is the collection; read anew at each request. Or `upstream`.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// The URL of the API that has the collection: `https`, or `http` on this machine.
    #[serde(default)]
    pub upstream: Option<String>,
    /// The header that carries the upstream's credential, such as `authorization`.
    #[serde(default)]
    pub upstream_header: Option<String>,
    /// The environment variable that holds that header's whole value.
    #[serde(default)]
    pub upstream_header_env: Option<String>,
    /// How long the upstream may take in all, in seconds: 1 to 60, default 10.
    #[serde(default)]
    pub timeout_seconds: Option<u64>,
    /// Lets `upstream` be plain `http` on another machine, where everybody on the way reads it.
    #[serde(default)]
    pub danger_allow_plain_http: bool,
}

/// A collection that cannot be served as configured.
#[derive(Debug, thiserror::Error)]
#[error("[[vault.collection]] {path:?}: {key}: {reason}")]
pub struct VaultConfigError {
    path: String,
    key: &'static str,
    reason: String,
}

impl VaultConfigError {
    fn new(config: &CollectionConfig, key: &'static str, reason: impl Into<String>) -> Self {
        Self { path: config.path.clone(), key, reason: reason.into() }
    }
}

/// Why a read gives nothing. The text is for the caller; the cause is in the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// 404: no collection has that path.
    #[error("there is no such collection")]
    NotFound,
    /// 403: the grant lacks the collection's scope.
    #[error(transparent)]
    InsufficientScope(#[from] InsufficientScope),
    /// 504: the source took too long.
    #[error("the collection's source did not answer in time")]
    Timeout,
    /// 502: the source answered wrongly or not at all.
    #[error("the collection's source did not answer properly")]
    BadSource,
    /// 503: the read could not be recorded, so it did not happen.
    #[error("the read could not be recorded")]
    Unrecorded(#[source] AuditError),
}

impl VaultError {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::InsufficientScope(_) => 403,
            Self::Timeout => 504,
            Self::BadSource => 502,
            Self::Unrecorded(_) => 503,
        }
    }
}

/// The collections, by path.
#[derive(Debug)]
pub struct Vault {
    collections: BTreeMap<String, Collection>,
    audit: Arc<Audit>,
}

#[derive(Debug)]
struct Collection {
    scope: String,
    source: Source,
}

impl Vault {
    /// Checks the collections and takes their upstreams' credentials from the environment.
    ///
    /// # Errors
    /// [`VaultConfigError`] names the collection and the key.
    pub fn new(
        collections: Vec<CollectionConfig>,
        audit: Arc<Audit>,
    ) -> Result<Self, VaultConfigError> {
        let mut known = BTreeMap::new();
        for config in collections {
            let wrong = |key, reason: &str| VaultConfigError::new(&config, key, reason);
            if !config.path.starts_with(PREFIX) {
                return Err(wrong("path", "it must begin with secure-vault/"));
            }
            if !is_path(&config.path) {
                let reason = "write segments of letters, digits and \"-._~\", with \"/\" between";
                return Err(wrong("path", reason));
            }
            Scopes::new(&[&config.scope])
                .map_err(|e: ScopeError| wrong("scope", &e.to_string()))?;
            let source = Source::new(&config)?;
            let collection = Collection { scope: config.scope.clone(), source };
            if known.insert(config.path.clone(), collection).is_some() {
                return Err(wrong("path", "another collection has the same"));
            }
        }
        Ok(Self { collections: known, audit })
    }

    /// The scopes that the collections take, for the metadata of the protected resource.
    pub fn scopes(&self) -> Vec<String> {
        let mut scopes: Vec<String> =
            self.collections.values().map(|collection| collection.scope.clone()).collect();
        scopes.sort();
        scopes.dedup();
        scopes
    }

    /// Reads the collection at `path`: the URL's path as it stands there, still percent-encoded.
    ///
    /// The result is `{"status": "success", "code": 200, "data": …}`.
    /// An upstream that answers in that form itself is not wrapped twice: its `data` is passed on.
    ///
    /// # Errors
    /// See [`VaultError`]; every refusal and failure is recorded too.
    pub async fn read(
        &self,
        grant: &Grant,
        path: &str,
        request_id: Option<&str>,
    ) -> Result<Value, VaultError> {
        match self.data(grant, path).await {
            Ok((scope, data)) => {
                let records = data.as_array().map_or(1, Vec::len);
                let mut event = grant
                    .event(Kind::VaultRead, Outcome::Ok)
                    .with_detail(format!("{path}: {records} records"));
                event.scope = Some(scope);
                let event = event.with_request(request_id);
                self.audit.record(event).await.map_err(VaultError::Unrecorded)?;
                Ok(json!({ "status": "success", "code": 200, "data": data }))
            }
            Err(error) => {
                let event = refusal(grant, path, &error).with_request(request_id);
                self.audit.record_refusal(event).await;
                Err(error)
            }
        }
    }

    async fn data(&self, grant: &Grant, path: &str) -> Result<(String, Value), VaultError> {
        // Configured paths are plain, so whatever is encoded, doubled or climbs equals none.
        let path = path.strip_prefix('/').unwrap_or(path);
        let collection = self.collections.get(path).ok_or(VaultError::NotFound)?;
        grant.require(&collection.scope)?;
        let data = collection.source.read().await.map_err(|failure| {
            tracing::warn!(collection = path, cause = %failure, "a collection was not read");
            failure.error()
        })?;
        Ok((collection.scope.clone(), data))
    }
}

fn refusal(grant: &Grant, path: &str, error: &VaultError) -> Event {
    let outcome = match error {
        VaultError::NotFound | VaultError::InsufficientScope(_) => Outcome::Refused,
        _ => Outcome::Failed,
    };
    let mut event =
        grant.event(Kind::VaultRefused, outcome).with_detail(format!("{error}: {path}"));
    if let VaultError::InsufficientScope(InsufficientScope { required }) = error {
        event.scope = Some(required.clone());
    }
    event
}

fn is_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    text.len() <= 256
        && text.split('/').all(|segment| {
            !segment.is_empty() && segment != "." && segment != ".." && segment.chars().all(plain)
        })
}
