//! What engines behind HTTP have in common: one call within its time, or nothing.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use bailiwick_identity::is_loopback;
use bailiwick_json::{JsonError, is_json};
use futures::StreamExt;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use utoipa::ToSchema;

use super::Unavailable;
use crate::policy::PolicyError;

/// The longest answer: far beyond the numbers of 100,000 labels.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// So many calls in a row fail before the server is left alone for [`PAUSE`].
const FAILURES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(5);
/// Members of an error of OPA, AuthZEN and their like, and of no decision.
const FAILED: [&str; 4] = ["error", "errors", "code", "message"];
/// Members that hold the decisions themselves, which the engines look at one by one.
const DECISIONS: [&str; 2] = ["result", "evaluations"];

/// `[policy.opa]` and `[policy.authzen]`: a server that decides.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteConfig {
    /// Where the server is, such as `https://opa.example.com`, without the path of the call.
    pub url: String,
    /// The environment variable with the bearer token. Default: no token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_env: Option<String>,
    /// The file with the bearer token, in its place.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// The longest that one decision may take, attempts and calls together. Default: 2000.
    #[serde(default = "two_thousand")]
    pub timeout_ms: u64,
    /// How often a call that failed is tried again. Default: 2.
    #[serde(default = "two")]
    pub retries: usize,
    /// The most labels of one call. Default: 10000.
    #[serde(default = "ten_thousand")]
    pub max_labels: usize,
    /// How long a decision is remembered, because nobody says here that the policy changed.
    /// Default: 10.
    #[serde(default = "ten")]
    pub max_age_seconds: u64,
}

fn two_thousand() -> u64 {
    2000
}

fn two() -> usize {
    2
}

fn ten_thousand() -> usize {
    10_000
}

fn ten() -> u64 {
    10
}

/// A server that decides, and how to call it.
#[derive(Debug)]
pub(super) struct Remote {
    client: Client,
    url: Url,
    token: Option<SecretString>,
    pub(super) config: RemoteConfig,
    breaker: Mutex<Breaker>,
}

/// Keeps calls from a server that does not answer, so that it may recover and nobody waits.
#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    until: Option<Instant>,
}

/// Why one attempt failed, and whether another one may not.
struct Failure {
    cause: String,
    may_pass: bool,
}

impl Remote {
    /// `path` is what the engine calls below `url`.
    pub(super) fn new(
        engine: &'static str,
        config: &RemoteConfig,
        path: &str,
    ) -> Result<Self, PolicyError> {
        let wrong = |problem: String| PolicyError::engine(engine, problem);
        let url = format!("{}{path}", config.url.trim_end_matches('/'));
        let url = Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| wrong("url: write it like https://pdp.example.com".into()))?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err(wrong("url: no password and no query; use token_env or token_file".into()));
        }
        let loopback = is_loopback(&url);
        if url.scheme() == "http" && !loopback {
            return Err(wrong("url: claims travel only encrypted; use https".into()));
        }
        if config.timeout_ms == 0 || config.max_labels == 0 {
            return Err(wrong("timeout_ms and max_labels must not be 0; leave them out".into()));
        }
        let mut client = Client::builder().redirect(redirect::Policy::none());
        if loopback {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| wrong(format!("no HTTP client: {error}")))?;
        let token = token(config).map_err(wrong)?;
        Ok(Self { client, url, token, config: config.clone(), breaker: Mutex::default() })
    }

    pub(super) fn url(&self) -> String {
        self.url.to_string()
    }

    /// The moment by which a decision that begins now must be there.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.config.timeout_ms)
    }

    pub(super) fn max_age(&self) -> Duration {
        Duration::from_secs(self.config.max_age_seconds)
    }

    /// One call: the answer of status 200, as what it must be and without an error, by the
    /// deadline.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        body: &Json,
        deadline: Instant,
    ) -> Result<T, Unavailable> {
        if self.breaker().until.is_some_and(|until| Instant::now() < until) {
            return Err(Unavailable::because(format!("{} is left alone for a while", self.url)));
        }
        let body = bytes::Bytes::from(body.to_string());
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(25))
            .with_max_times(self.config.retries)
            .with_jitter();
        let attempts = (|| self.attempt(body.clone()))
            .retry(pauses)
            .sleep(tokio::time::sleep)
            .when(|failure: &Failure| failure.may_pass);
        let answered = tokio::time::timeout_at(deadline.into(), attempts).await;
        let answered = answered.unwrap_or_else(|_| {
            let cause = format!("no answer within {} ms", self.config.timeout_ms);
            Err(Failure { cause, may_pass: true })
        });
        // What will not pass is the fault of this call, and tells nothing of the others.
        if !answered.as_ref().is_err_and(|failure| !failure.may_pass) {
            self.breaker().count(answered.is_ok());
        }
        let answer = answered.and_then(|answer| {
            understood(&answer).map_err(|cause| Failure { cause, may_pass: false })
        });
        answer.map_err(|failure| Unavailable::because(format!("{}: {}", self.url, failure.cause)))
    }

    async fn attempt(&self, body: bytes::Bytes) -> Result<Vec<u8>, Failure> {
        let mut request = self.client.post(self.url.clone()).body(body);
        request = request.header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let response = request.send().await.map_err(|error| broken(&error))?;
        let status = response.status();
        if status != StatusCode::OK {
            let may_pass = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            return Err(Failure { cause: format!("it answers {status}"), may_pass });
        }
        let mut kinds = response.headers().get_all(CONTENT_TYPE).iter().peekable();
        if kinds.peek().is_none() || !kinds.all(|kind| kind.to_str().is_ok_and(is_json)) {
            let cause = "the answer's Content-Type is not application/json".to_owned();
            return Err(Failure { cause, may_pass: false });
        }
        let mut answer = Vec::new();
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.next().await {
            answer.extend_from_slice(&piece.map_err(|error| broken(&error))?);
            if answer.len() > MAX_ANSWER_BYTES {
                let cause = format!("the answer has more than {MAX_ANSWER_BYTES} bytes");
                return Err(Failure { cause, may_pass: false });
            }
        }
        Ok(answer)
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Breaker {
    /// After a pause one call finds out; if it fails, the next pause begins.
    fn count(&mut self, answered: bool) {
        self.failures = if answered { 0 } else { self.failures.saturating_add(1) };
        self.until = (self.failures >= FAILURES).then(|| Instant::now() + PAUSE);
    }
}

/// An answer as what it must be, if nothing beside it says that something failed.
fn understood<T: DeserializeOwned>(answer: &[u8]) -> Result<T, String> {
    let malformed = |error: JsonError| format!("the answer is malformed: {error}");
    let members: Map<String, Json> = bailiwick_json::read(answer).map_err(malformed)?;
    let failed = FAILED.into_iter().find(|name| members.get(*name).is_some_and(says_something));
    let beside = members.iter().filter(|(name, _)| !DECISIONS.contains(&name.as_str()));
    if let Some(place) = failed.map(str::to_owned).or_else(|| error_in(beside)) {
        return Err(format!("the answer carries an error, in `{place}`"));
    }
    bailiwick_json::from_value(Json::Object(members)).map_err(malformed)
}

/// Where these members say that something failed: the path of the first `error` or `errors` that
/// holds something, at any depth, such as `context.error`.
pub(super) fn error_in<'a>(
    members: impl IntoIterator<Item = (&'a String, &'a Json)>,
) -> Option<String> {
    fn inside(value: &Json) -> Option<String> {
        match value {
            Json::Object(members) => error_in(members),
            Json::Array(values) => values.iter().find_map(inside),
            _ => None,
        }
    }
    members.into_iter().find_map(|(name, value)| {
        let is_error = name.eq_ignore_ascii_case("error") || name.eq_ignore_ascii_case("errors");
        if is_error && says_something(value) {
            return Some(name.clone());
        }
        inside(value).map(|place| format!("{name}.{place}"))
    })
}

/// Whether a member that tells of errors tells of any: `"errors": []` does not.
fn says_something(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) => false,
        Json::String(text) => !text.is_empty(),
        Json::Array(values) => !values.is_empty(),
        Json::Object(members) => !members.is_empty(),
        Json::Bool(true) | Json::Number(_) => true,
    }
}

fn broken(error: &reqwest::Error) -> Failure {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source());
    let causes: Vec<_> = causes.map(ToString::to_string).collect();
    Failure { cause: causes.join(": "), may_pass: true }
}

fn token(config: &RemoteConfig) -> Result<Option<SecretString>, String> {
    let token = match (&config.token_env, &config.token_file) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err("token_env and token_file exclude each other; remove one".into());
        }
        (Some(name), None) => std::env::var(name)
            .map_err(|_| "token_env must name a variable that is set, and hold no token itself")?,
        (None, Some(path)) => std::fs::read_to_string(path)
            .map_err(|error| format!("token_file cannot be read: {}", error.kind()))?,
    };
    let token = token.trim();
    if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
        return Err("the token is empty or holds characters that no token has".into());
    }
    Ok(Some(SecretString::from(token)))
}
