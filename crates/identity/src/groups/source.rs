//! Where claims are looked up: the provider's userinfo endpoint, a server of one's own, a file.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bailiwick_json::{Limits, read_within};
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use crate::IdentityConfigError;
use crate::provider::{FetchError, Provider, Reach};

/// Claims about a token itself; no source may say what the token does not.
const OF_TOKENS: [&str; 13] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "act",
    "azp",
    "cnf",
    "client_id",
    "scope",
    "_claim_names",
];
const ANSWER_LIMITS: Limits = Limits { depth: 16, members: 1024 };
/// The largest file, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// `[identity.groups]`: claims that tokens do not carry, and where to look them up.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupsConfig {
    /// `userinfo`, the provider's endpoint (OpenID Connect Core 1.0 section 5.3); `http`, a server
    /// that is asked with `?iss=…&sub=…`; or `file`.
    pub source: String,
    /// The claims that are looked up when a token lacks them or only refers to them. Default:
    /// `groups`.
    #[serde(default = "groups")]
    pub claims: Vec<String>,
    /// Where to ask. Required for `http`; for `userinfo` the default is what discovery names at
    /// the issuer's own origin.
    #[serde(default)]
    pub url: Option<String>,
    /// For `http`: the environment variable with the bearer token that the server wants.
    #[serde(default)]
    pub token_env: Option<String>,
    /// For `file`: JSON, an object with one object of claims for each `sub`. Read again when it
    /// changed.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// How long an answer counts, in seconds, 1 to 86400. Default: 300.
    #[serde(default = "five_minutes")]
    pub cache_seconds: u64,
    /// Whether a token is refused with 503 while the source fails. Default: no, the claims stay
    /// missing, and the rules that read them hold for nobody.
    #[serde(default)]
    pub required: bool,
}

fn groups() -> Vec<String> {
    vec!["groups".to_owned()]
}

fn five_minutes() -> u64 {
    300
}

/// Whom a source is asked about.
#[derive(Clone, Copy)]
pub(super) struct Person<'a> {
    pub(super) token: &'a str,
    pub(super) issuer: &'a str,
    pub(super) subject: &'a str,
}

/// A source, ready to be asked.
#[derive(Debug)]
pub(crate) enum Source {
    Userinfo(Option<Url>),
    Http { url: Url, token: Option<SecretString> },
    File(Arc<File>),
}

/// Why a source did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error("the provider's userinfo endpoint is not known: {0}")]
    NoEndpoint(&'static str),
    #[error("the source of groups failed: {0}")]
    Fetch(#[from] FetchError),
    #[error("the answer is not one unambiguous JSON object")]
    NotAnObject,
    #[error("the answer is about somebody else, or does not say about whom")]
    OtherSubject,
    #[error("the file of groups cannot be used: {0}")]
    File(String),
}

impl GroupsConfig {
    pub(crate) fn source(&self, reach: &Reach) -> Result<Source, IdentityConfigError> {
        let problem = |field, problem| Err(IdentityConfigError::Field { field, problem });
        let name = |name: &String| name.is_empty() || OF_TOKENS.contains(&name.as_str());
        if self.claims.is_empty() || self.claims.iter().any(name) {
            return problem("groups.claims", "name claims of people, such as \"groups\"");
        }
        if !(1..=86_400).contains(&self.cache_seconds) {
            return problem("groups.cache_seconds", "use 1 to 86400");
        }
        let url = self.url.as_deref().map(|url| reach.url(url)).transpose();
        let url =
            url.map_err(|problem| IdentityConfigError::Field { field: "groups.url", problem })?;
        match (self.source.as_str(), url, &self.token_env, &self.file) {
            ("userinfo", url, None, None) => Ok(Source::Userinfo(url)),
            ("http", Some(url), token_env, None) => {
                let token = token_env.as_ref().map(std::env::var).transpose();
                match token.map(|token| token.map(SecretString::from)) {
                    Ok(token) => Ok(Source::Http { url, token }),
                    Err(_) => problem("groups.token_env", "there is no such variable; set it"),
                }
            }
            ("http", None, ..) => problem("groups.url", "`http` needs one; say whom to ask"),
            ("file", None, None, Some(path)) => Ok(Source::File(Arc::new(File::new(path.clone())))),
            ("file", .., None) => problem("groups.file", "`file` needs one; name it"),
            ("userinfo" | "http" | "file", ..) => problem(
                "groups",
                "`file` is for the source `file`, `token_env` for `http`, `url` for `userinfo` \
                 and `http`; remove the others",
            ),
            _ => problem("groups.source", "it is none of userinfo, http and file"),
        }
    }
}

impl Source {
    /// Whether the person's own token opens the source, so that the answer may depend on it.
    pub(super) fn asks_with_the_token(&self) -> bool {
        matches!(self, Source::Userinfo(_))
    }

    /// What it says of a person, of these claims. Nothing, if it knows nobody by that name.
    pub(super) async fn ask(
        &self,
        provider: &Provider,
        person: Person<'_>,
        claims: &[String],
    ) -> Result<Map<String, Value>, SourceError> {
        let answer = match self {
            Source::Userinfo(url) => {
                let known = provider.userinfo();
                let url = match url {
                    Some(url) => url,
                    None => known.as_deref().ok_or(SourceError::NoEndpoint(
                        "discovery has named none at the issuer's origin; set identity.groups.url",
                    ))?,
                };
                about(person, &provider.fetch(url, Some(person.token)).await?)?
            }
            Source::Http { url, token } => {
                let mut url = url.clone();
                url.query_pairs_mut().append_pair("iss", person.issuer);
                url.query_pairs_mut().append_pair("sub", person.subject);
                let token = token.as_ref().map(ExposeSecret::expose_secret);
                match provider.fetch(&url, token).await {
                    Err(FetchError::Status(StatusCode::NOT_FOUND)) => Map::new(),
                    answer => about(person, &answer?)?,
                }
            }
            Source::File(file) => {
                let file = Arc::clone(file);
                let read = tokio::task::spawn_blocking(move || file.read()).await;
                let people = read.map_err(|_| SourceError::File("reading it failed".into()))??;
                let claims = people.get(person.subject).and_then(Value::as_object);
                claims.cloned().unwrap_or_default()
            }
        };
        Ok(answer.into_iter().filter(|(name, _)| claims.contains(name)).collect())
    }
}

/// An answer that is about this person (OpenID Connect Core 1.0 section 5.3.2).
fn about(person: Person<'_>, body: &[u8]) -> Result<Map<String, Value>, SourceError> {
    let answer: Map<String, Value> =
        read_within(body, ANSWER_LIMITS).map_err(|_| SourceError::NotAnObject)?;
    if answer.get("sub").and_then(Value::as_str) == Some(person.subject) {
        return Ok(answer);
    }
    Err(SourceError::OtherSubject)
}

/// A file of claims, and what stood in it when it last changed.
pub(crate) struct File {
    path: PathBuf,
    known: Mutex<Option<Read>>,
}

#[derive(Clone)]
struct Read {
    modified: SystemTime,
    length: u64,
    people: Arc<Map<String, Value>>,
}

impl File {
    fn new(path: PathBuf) -> File {
        File { path, known: Mutex::default() }
    }

    fn read(&self) -> Result<Arc<Map<String, Value>>, SourceError> {
        let wrong = |problem: String| SourceError::File(problem);
        let metadata = std::fs::metadata(&self.path).map_err(|e| wrong(e.to_string()))?;
        let modified = metadata.modified().map_err(|e| wrong(e.to_string()))?;
        let length = metadata.len();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(read) = &*known
            && (read.modified, read.length) == (modified, length)
        {
            return Ok(Arc::clone(&read.people));
        }
        if length > MAX_FILE_BYTES {
            return Err(wrong("it is larger than 64 MiB".to_owned()));
        }
        let bytes = std::fs::read(&self.path).map_err(|e| wrong(e.to_string()))?;
        let limits = Limits { depth: 16, members: usize::MAX };
        let people = read_within(&bytes, limits)
            .map_err(|_| wrong("it is not one unambiguous JSON object".to_owned()))?;
        let people = Arc::new(people);
        *known = Some(Read { modified, length, people: Arc::clone(&people) });
        Ok(people)
    }
}

impl fmt::Debug for File {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("File").field("path", &self.path).finish_non_exhaustive()
    }
}
