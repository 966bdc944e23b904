//! One bounded GET: no redirects, no proxies, no compression, five seconds, 512 KiB.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Response, StatusCode, redirect};
use url::Url;

use super::Reach;

const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 512 * 1024;

/// The HTTP client of one issuer.
pub(super) struct Fetcher {
    client: Client,
}

/// What a GET brought.
pub(super) struct Document {
    pub(super) body: Vec<u8>,
    /// How long the answer is fresh, by its `Cache-Control`.
    pub(super) max_age: Option<Duration>,
}

/// Why a GET brought nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("{0}")]
    Network(String),
    #[error("the answer is a redirect, which is never followed")]
    Redirect,
    #[error("the answer has status {0}, not 200")]
    Status(StatusCode),
    #[error("the answer is a web page, not JSON")]
    Page,
    #[error("the answer is compressed although that was not asked for")]
    Compressed,
    #[error("the answer is longer than 512 KiB")]
    TooLong,
}

impl Fetcher {
    pub(super) fn new(reach: &Reach) -> Result<Fetcher, String> {
        let builder = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .timeout(TIMEOUT)
            // A kept connection would outlive the check of its address.
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(reach.clone()));
        // Over plain http no certificate is looked at, and a bare machine may have none at all.
        let builder = if reach.is_plain() { builder.tls_certs_only([]) } else { builder };
        let client = builder.build().map_err(|error| innermost(&error))?;
        Ok(Fetcher { client })
    }

    /// Gets a document, with a bearer token if there is one to show.
    pub(super) async fn get(
        &self,
        url: &Url,
        bearer: Option<&str>,
    ) -> Result<Document, FetchError> {
        let mut request = self.client.get(url.clone()).header(ACCEPT, "application/json");
        if let Some(token) = bearer {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(network)?;
        let status = response.status();
        if status.is_redirection() {
            return Err(FetchError::Redirect);
        }
        if status != StatusCode::OK {
            return Err(FetchError::Status(status));
        }
        let headers = response.headers();
        if header(headers, CONTENT_TYPE).contains("html") {
            return Err(FetchError::Page);
        }
        if !matches!(header(headers, CONTENT_ENCODING).as_str(), "" | "identity") {
            return Err(FetchError::Compressed);
        }
        let max_age = max_age(&header(headers, CACHE_CONTROL));
        Ok(Document { body: bounded(response).await?, max_age })
    }
}

/// Reads a body and stops at the first byte too many, whatever its length was said to be.
async fn bounded(mut response: Response) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(network)? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(FetchError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A header's value in lower case; empty when it is absent or not text.
fn header(headers: &HeaderMap, name: reqwest::header::HeaderName) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_ascii_lowercase()
}

fn max_age(cache_control: &str) -> Option<Duration> {
    cache_control.split(',').find_map(|directive| match directive.trim() {
        "no-store" | "no-cache" => Some(Duration::ZERO),
        other => other.strip_prefix("max-age=")?.parse().ok().map(Duration::from_secs),
    })
}

fn network(error: reqwest::Error) -> FetchError {
    FetchError::Network(if error.is_timeout() {
        "no complete answer within 5 seconds".to_owned()
    } else {
        innermost(&error)
    })
}

/// The root of an error chain; the links above it only say that a request failed.
fn innermost(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_control_is_read_where_it_says_something() {
        let seconds = |text: &str| max_age(text).map(|age| age.as_secs());
        assert_eq!(seconds("public, max-age=600, must-revalidate"), Some(600));
        assert_eq!(seconds("no-cache"), Some(0));
        assert_eq!(seconds("no-store, max-age=600"), Some(0));
        for nothing in ["", "public", "max-age=", "max-age=-1", "max-age=99999999999999999999"] {
            assert_eq!(seconds(nothing), None, "{nothing}");
        }
    }
}
