//! One endpoint of a model: where it is, how to prove who we are, how long to wait.

use std::time::Duration;

use futures::StreamExt;
use reqwest::{Client, Response, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use crate::ModelError;
use crate::config::{Access, bounded, refusal};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_KEY_BYTES: usize = 16 * 1024;
const MAX_ERROR_BYTES: usize = 64 * 1024;

#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    client: Client,
    base_url: Url,
    key: Option<SecretString>,
    timeout: Duration,
}

impl Endpoint {
    /// `section` is the configuration's section, for messages.
    pub(crate) fn new(
        section: &str,
        access: &Access<'_>,
        default_timeout: u64,
    ) -> Result<Self, ModelError> {
        let name = format!("{section}.{}", access.url_key);
        let base_url = base_url(&name, required(&name, access.url)?)?;
        let key = key(section, access)?;
        if key.is_some() && base_url.scheme() == "http" && !is_loopback(&base_url) {
            return Err(ModelError::Configuration(format!(
                "{name} would send the key unencrypted; use https"
            )));
        }
        let seconds =
            bounded(&format!("{section}.timeout_seconds"), access.timeout_seconds, 1, 600)?;
        let mut client =
            Client::builder().redirect(redirect::Policy::none()).connect_timeout(CONNECT_TIMEOUT);
        if is_loopback(&base_url) {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| {
            tracing::error!(cause = causes(&error), "no HTTP client for the {section} endpoint");
            refusal("no HTTP client can be made; look at the log")
        })?;
        Ok(Self {
            client,
            base_url,
            key,
            timeout: Duration::from_secs(seconds.unwrap_or(default_timeout)),
        })
    }

    pub(crate) fn base_url(&self) -> &str {
        self.base_url.as_str().trim_end_matches('/')
    }

    /// Sends one request to the base URL and `call`, and returns a response of status 200 whose
    /// body is still unread.
    pub(crate) async fn post(&self, call: &str, body: &Value) -> Result<Response, ModelError> {
        let mut request =
            self.client.post(format!("{}{call}", self.base_url())).timeout(self.timeout).json(body);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose_secret());
        }
        let response = request.send().await.map_err(broken)?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = read(response, MAX_ERROR_BYTES).await.unwrap_or_default();
        tracing::warn!(status, code = error_code(&body), "a model endpoint refused a request");
        Err(ModelError::Refused)
    }
}

/// The whole body, of at most `limit` bytes.
pub(crate) async fn read(response: Response, limit: usize) -> Result<Vec<u8>, ModelError> {
    let mut body = Vec::new();
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece.map_err(broken)?);
        if body.len() > limit {
            tracing::warn!(limit, "a model endpoint sent more than its byte limit");
            return Err(ModelError::TooLarge);
        }
    }
    Ok(body)
}

/// Logs what went wrong on the wire and says what the caller may know.
#[expect(clippy::needless_pass_by_value, reason = "this is what map_err calls")]
pub(crate) fn broken(error: reqwest::Error) -> ModelError {
    tracing::warn!(cause = causes(&error), "a model endpoint cannot be reached");
    if error.is_timeout() { ModelError::TimedOut } else { ModelError::Unreachable }
}

/// The machine-readable part of an error body.
///
/// Its prose stays out of the log: endpoints repeat the key's first letters and the prompt there.
pub(crate) fn error_code(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body {
        error: Detail,
    }
    #[derive(Deserialize)]
    struct Detail {
        code: Option<Value>,
        r#type: Option<Value>,
    }
    let Ok(Body { error }) = bailiwick_json::read(body) else {
        return "unknown".into();
    };
    let names = [error.code, error.r#type].into_iter().flatten();
    let name = names.into_iter().find_map(|name| name.as_str().map(str::to_owned));
    name.filter(|name| name.len() <= 64 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .unwrap_or_else(|| "unknown".into())
}

/// A key that is set and not empty.
pub(crate) fn required<'a>(key: &str, value: Option<&'a str>) -> Result<&'a str, ModelError> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| {
        ModelError::Configuration(format!("{key} is missing; this provider needs it"))
    })
}

fn base_url(key: &str, text: &str) -> Result<Url, ModelError> {
    let refused = |why: &str| ModelError::Configuration(format!("{key} {why}"));
    let url = Url::parse(text)
        .map_err(|_| refused("is not a URL; write it like https://models.example.com/v1"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(refused("must start with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("must not hold a password; use api_key_env or api_key_file"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("must end with its path; remove the query and the fragment"));
    }
    Ok(url)
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}

fn key(section: &str, access: &Access<'_>) -> Result<Option<SecretString>, ModelError> {
    let refused = |text: String| Err(ModelError::Configuration(text));
    let key = match (access.api_key_env, access.api_key_file) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return refused(format!(
                "{section}.api_key_env and {section}.api_key_file exclude each other; remove one"
            ));
        }
        (Some(variable), None) => match std::env::var(variable) {
            Ok(key) => key,
            Err(_) => {
                return refused(format!(
                    "{section}.api_key_env must name a variable that is set, and hold no key itself"
                ));
            }
        },
        (None, Some(path)) => match std::fs::read_to_string(path) {
            Ok(key) => key,
            Err(error) => {
                return refused(format!(
                    "{section}.api_key_file cannot be read: {}; check its path and mode",
                    error.kind()
                ));
            }
        },
    };
    let key = key.trim();
    if key.is_empty() || key.len() > MAX_KEY_BYTES || !key.chars().all(|c| c.is_ascii_graphic()) {
        return refused(format!(
            "the key of {section} is empty or holds characters that no key has; check its source"
        ));
    }
    Ok(Some(SecretString::from(key)))
}

/// An error and what lies beneath it, in one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
