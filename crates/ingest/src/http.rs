//! What the clients of the authority, the vault and the server share: strict addresses, bounded
//! bodies, no redirects.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;
use url::{Host, Url};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(120);

/// The most bytes of an error's body that are read, and the most characters that are shown.
const ERROR_BYTES: usize = 256 * 1024;
const ERROR_CHARACTERS: usize = 300;

/// Why nothing was fetched or sent. It never holds a token or a record.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The base address, the client id or the scope cannot be used.
    #[error("{0}")]
    Settings(String),
    /// The endpoint is not a plain path.
    #[error("`{0}` is not an endpoint; give a path such as `secure-vault/records`")]
    Endpoint(String),
    /// No answer came.
    #[error("{peer} cannot be reached; check the address and that it runs")]
    Unreachable {
        /// Who was asked.
        peer: &'static str,
        /// What went wrong.
        #[source]
        cause: reqwest::Error,
    },
    /// The answer was no.
    #[error("{peer} answered {status}{}", detail.as_ref().map_or_else(String::new, |d| format!(": {d}")))]
    Refused {
        /// Who was asked.
        peer: &'static str,
        /// The HTTP status.
        status: u16,
        /// What the answer says for itself, made safe to print.
        detail: Option<String>,
        /// Documents that the answer names, by their places in the request, and what it says of
        /// each.
        documents: Vec<(usize, String)>,
    },
    /// The answer is not what was agreed.
    #[error("{peer} sent an answer that cannot be used: {problem}")]
    Malformed {
        /// Who was asked.
        peer: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The answer is too long.
    #[error("{peer} sent more than {limit} bytes; ask for less at a time")]
    TooLarge {
        /// Who was asked.
        peer: &'static str,
        /// The most bytes taken.
        limit: usize,
    },
}

/// Where the authority, the vault and the server are: an address to which paths are appended.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    address: String,
    /// Whether it is on this machine.
    here: bool,
}

impl Base {
    /// Takes HTTPS, and plain HTTP only to this machine, because a token travels with every call.
    pub(crate) fn parse(address: &str) -> Result<Self, HttpError> {
        let wrong = |why: &str| HttpError::Settings(format!("the address {why}"));
        let url = Url::parse(address).map_err(|_| wrong("is not an address; give https://…"))?;
        if !url.username().is_empty() || url.password().is_some() {
            // The address itself stays unsaid: it holds a password.
            return Err(HttpError::Settings("an address must not hold a user or password".into()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("must not have a query or a fragment"));
        }
        let here = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
            Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
            None => return Err(wrong("names no host")),
        };
        match url.scheme() {
            "https" => {}
            "http" if here => {}
            "http" => return Err(wrong("would send tokens in the clear; use https")),
            _ => return Err(wrong("must start with https://")),
        }
        Ok(Self { address: url.as_str().trim_end_matches('/').to_owned(), here })
    }

    pub(crate) fn join(&self, path: &str) -> String {
        format!("{}/{path}", self.address)
    }

    /// A client that follows no redirect, and asks no proxy for this machine, so that a token goes
    /// nowhere but to the address given.
    pub(crate) fn client(&self) -> Result<Client, HttpError> {
        let mut client = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .user_agent(concat!("bailiwick/", env!("CARGO_PKG_VERSION")));
        if self.here {
            client = client.no_proxy();
        }
        let unmade = |cause| HttpError::Settings(format!("no HTTP client can be made: {cause}"));
        client.build().map_err(unmade)
    }
}

/// The body of a 200, or the error that any other answer is.
pub(crate) async fn answer(
    peer: &'static str,
    sent: Result<Response, reqwest::Error>,
    limit: usize,
    secret: Option<&SecretString>,
) -> Result<Vec<u8>, HttpError> {
    let response = sent.map_err(|cause| unreachable(peer, cause))?;
    let status = response.status();
    if status != StatusCode::OK {
        // A body that cannot be read takes nothing from the refusal.
        let body = body(peer, response, ERROR_BYTES).await.unwrap_or_default();
        let (detail, documents) = complaint(&body, secret);
        return Err(HttpError::Refused { peer, status: status.as_u16(), detail, documents });
    }
    body(peer, response, limit).await
}

async fn body(
    peer: &'static str,
    mut response: Response,
    limit: usize,
) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|cause| unreachable(peer, cause))? {
        if body.len() + piece.len() > limit {
            return Err(HttpError::TooLarge { peer, limit });
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// The address is left out, because a query belongs in no log.
fn unreachable(peer: &'static str, cause: reqwest::Error) -> HttpError {
    HttpError::Unreachable { peer, cause: cause.without_url() }
}

#[derive(Deserialize)]
struct Complaint {
    detail: Option<String>,
    error_description: Option<String>,
    error: Option<String>,
    title: Option<String>,
    #[serde(default)]
    errors: Value,
}

#[derive(Deserialize)]
struct RefusedDocument {
    index: usize,
    reason: String,
}

/// What an error body says, in general and of single documents, unless it repeats the secret that
/// was sent.
fn complaint(body: &[u8], secret: Option<&SecretString>) -> (Option<String>, Vec<(usize, String)>) {
    let Ok(said) = bailiwick_json::read::<Complaint>(body) else { return (None, Vec::new()) };
    let safe = |text: String| {
        let repeats = secret.is_some_and(|secret| text.contains(secret.expose_secret()));
        (!repeats).then(|| printable(&text))
    };
    let detail = said.detail.or(said.error_description).or(said.error).or(said.title);
    let documents: Vec<RefusedDocument> =
        bailiwick_json::from_value(said.errors).unwrap_or_default();
    let documents = documents.into_iter().map(|refused| {
        let unsaid = || "the server refuses it".to_owned();
        (refused.index, safe(refused.reason).unwrap_or_else(unsaid))
    });
    (detail.and_then(safe), documents.collect())
}

/// A stranger's text as one short line without anything that moves a terminal's cursor.
pub(crate) fn printable(text: &str) -> String {
    text.chars().take(ERROR_CHARACTERS).map(|c| if is_hidden(c) { ' ' } else { c }).collect()
}

/// Whether a character steers a terminal, or is not seen there.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
