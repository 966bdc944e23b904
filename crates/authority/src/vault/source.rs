//! Where a collection's data comes from.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bailiwick_json::JsonError;
use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::{Map, Value};
use url::Url;

use super::{CollectionConfig, VaultConfigError, VaultError};
use crate::config;

/// The largest collection: 64 MB.
const MAX_BYTES: usize = 64_000_000;
const DEFAULT_TIMEOUT_SECONDS: u64 = 10;
const MAX_TIMEOUT_SECONDS: u64 = 60;

/// A file or an API. `Debug` shows where it is, never its credential.
#[derive(Debug)]
pub(super) enum Source {
    File(PathBuf),
    Upstream(Upstream),
}

pub(super) struct Upstream {
    url: Url,
    /// Holds the credential among its default headers.
    client: Client,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

/// Why a source gave nothing, for the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("it took too long")]
    Timeout,
    #[error("it does not answer: {0}")]
    Unreachable(String),
    #[error("it answered {0}")]
    Status(u16),
    #[error("it is larger than 64 MB")]
    TooLarge,
    #[error("it is not unambiguous JSON: {0}")]
    NotJson(JsonError),
    #[error("it says that it failed")]
    SaysError,
    #[error("the file cannot be read: {0}")]
    File(std::io::Error),
}

impl Failure {
    pub(super) fn error(&self) -> VaultError {
        match self {
            Self::Timeout => VaultError::Timeout,
            _ => VaultError::BadSource,
        }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(e: reqwest::Error) -> Self {
        if e.is_timeout() { Self::Timeout } else { Self::Unreachable(e.without_url().to_string()) }
    }
}

impl Source {
    pub(super) fn new(config: &CollectionConfig) -> Result<Self, VaultConfigError> {
        let wrong = |key, reason: &str| VaultConfigError::new(config, key, reason);
        match (&config.file, &config.upstream) {
            (Some(file), None) => {
                let upstream_only = config.upstream_header.is_some()
                    || config.upstream_header_env.is_some()
                    || config.timeout_seconds.is_some()
                    || config.danger_allow_plain_http;
                if upstream_only {
                    let reason = "upstream_header, upstream_header_env, timeout_seconds and \
                                  danger_allow_plain_http belong to an upstream";
                    return Err(wrong("file", reason));
                }
                Ok(Self::File(file.clone()))
            }
            (None, Some(upstream)) => Upstream::new(config, upstream).map(Self::Upstream),
            _ => Err(wrong("file", "write exactly one of file and upstream")),
        }
    }

    pub(super) async fn read(&self) -> Result<Value, Failure> {
        match self {
            Self::File(path) => {
                let path = path.clone();
                tokio::task::spawn_blocking(move || read_file(&path))
                    .await
                    .unwrap_or(Err(Failure::Timeout))
            }
            Self::Upstream(upstream) => upstream.read().await,
        }
    }
}

fn read_file(path: &Path) -> Result<Value, Failure> {
    let file = std::fs::File::open(path).map_err(Failure::File)?;
    let mut content = Vec::new();
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut content).map_err(Failure::File)?;
    if content.len() > MAX_BYTES {
        return Err(Failure::TooLarge);
    }
    parse(&content)
}

fn parse(content: &[u8]) -> Result<Value, Failure> {
    bailiwick_json::read(content).map_err(Failure::NotJson)
}

impl Upstream {
    fn new(config: &CollectionConfig, upstream: &str) -> Result<Self, VaultConfigError> {
        let wrong = |key, reason: &str| VaultConfigError::new(config, key, reason);
        let url = Url::parse(upstream)
            .ok()
            .filter(|url| url.username().is_empty() && url.password().is_none())
            .ok_or_else(|| wrong("upstream", "write a URL without a user name"))?;
        let plain = config.danger_allow_plain_http && url.scheme() == "http" && url.has_host();
        if !plain && !config::is_private_channel(&url) {
            let reason = "write an https URL; http only on this machine, or say \
                          danger_allow_plain_http = true";
            return Err(wrong("upstream", reason));
        }
        let seconds = config.timeout_seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS);
        if !(1..=MAX_TIMEOUT_SECONDS).contains(&seconds) {
            return Err(wrong("timeout_seconds", "write 1 to 60"));
        }
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some((name, value)) = credential(config)? {
            headers.insert(name, value);
        }
        let client = Client::builder()
            .default_headers(headers)
            .redirect(Policy::none())
            .timeout(Duration::from_secs(seconds))
            .no_proxy()
            .build()
            .map_err(|e| wrong("upstream", &e.to_string()))?;
        Ok(Self { url, client })
    }

    async fn read(&self) -> Result<Value, Failure> {
        let response = self.client.get(self.url.clone()).send().await?;
        if response.status().as_u16() != 200 {
            return Err(Failure::Status(response.status().as_u16()));
        }
        unwrapped(parse(&body(response).await?)?)
    }
}

/// The header that shows the upstream who we are.
fn credential(
    config: &CollectionConfig,
) -> Result<Option<(HeaderName, HeaderValue)>, VaultConfigError> {
    let wrong = |key, reason: &str| VaultConfigError::new(config, key, reason);
    let (name, variable) = match (&config.upstream_header, &config.upstream_header_env) {
        (None, None) => return Ok(None),
        (Some(name), Some(variable)) => (name, variable),
        _ => {
            let reason = "write both upstream_header and upstream_header_env, or neither";
            return Err(wrong("upstream_header", reason));
        }
    };
    let name = HeaderName::try_from(name.as_str())
        .map_err(|_| wrong("upstream_header", "write the name of an HTTP header"))?;
    let value =
        std::env::var(variable).ok().filter(|value| !value.is_empty()).ok_or_else(|| {
            let reason = "name a variable that is set; the credential itself does not belong here";
            wrong("upstream_header_env", reason)
        })?;
    let mut value = HeaderValue::try_from(value.as_str())
        .map_err(|_| wrong("upstream_header_env", "the variable holds no header value"))?;
    value.set_sensitive(true);
    Ok(Some((name, value)))
}

async fn body(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if content.len() + chunk.len() > MAX_BYTES {
            return Err(Failure::TooLarge);
        }
        content.extend_from_slice(&chunk);
    }
    Ok(content)
}

/// The `data` of an answer that comes in our own envelope already; any other answer as it is.
fn unwrapped(answer: Value) -> Result<Value, Failure> {
    let Value::Object(mut members) = answer else {
        return Ok(answer);
    };
    if !is_envelope(&members) {
        return Ok(Value::Object(members));
    }
    if members.get("status").and_then(Value::as_str) != Some("success") {
        return Err(Failure::SaysError);
    }
    Ok(members.remove("data").unwrap_or(Value::Null))
}

/// A `status` of the two that the envelope knows, and nothing that the envelope does not know.
fn is_envelope(members: &Map<String, Value>) -> bool {
    let status = members.get("status").and_then(Value::as_str);
    let known = |name: &String| matches!(name.as_str(), "status" | "code" | "data" | "message");
    match status {
        Some("success") => members.contains_key("data") && members.keys().all(known),
        Some("error") => members.keys().all(known),
        _ => false,
    }
}
