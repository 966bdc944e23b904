//! Documents → the server's `POST /api/documents`.

use bailiwick_index::{Receipt, SourceName};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::document::SourceDocument;
use crate::http::{self, Base, HttpError};

const SERVER: &str = "the server";
const ANSWER_BYTES: usize = 64 * 1024;

/// A server that takes documents.
#[derive(Debug)]
pub struct Remote {
    http: Client,
    base: Base,
}

impl Remote {
    /// The server at this address.
    ///
    /// # Errors
    /// [`HttpError::Settings`] when the address cannot be used.
    pub fn new(address: &str) -> Result<Self, HttpError> {
        let base = Base::parse(address)?;
        Ok(Self { http: base.client()?, base })
    }

    /// Sends one batch of a source, which the server stores whole or not at all. Without a name,
    /// the source is the agent. With `replace`, ids of other sources are taken over. The token
    /// needs the scope
    /// `write:documents`; [`batches`](crate::batches) cuts what is more than one request takes.
    ///
    /// # Errors
    /// [`HttpError`]; with [`HttpError::Refused`] the server says what is wrong with the batch.
    pub async fn send(
        &self,
        documents: &[SourceDocument],
        source: Option<&SourceName>,
        replace: bool,
        token: &SecretString,
    ) -> Result<Receipt, HttpError> {
        let batch = Batch { documents, source, replace };
        let request = self.http.post(self.base.join("api/documents")).json(&batch);
        let sent = request.bearer_auth(token.expose_secret()).send().await;
        let body = http::answer(SERVER, sent, ANSWER_BYTES, Some(token)).await?;
        receipt(&body)
    }
}

impl Remote {
    /// Removes one document of a source; the receipt is empty when it was not there.
    ///
    /// # Errors
    /// [`HttpError`] for every other answer than that it is gone.
    pub async fn remove(
        &self,
        id: &str,
        source: &SourceName,
        token: &SecretString,
    ) -> Result<Receipt, HttpError> {
        let id = utf8_percent_encode(id, NON_ALPHANUMERIC);
        let source = utf8_percent_encode(source.as_str(), NON_ALPHANUMERIC);
        let path = format!("api/documents/{id}?source={source}");
        let request = self.http.delete(self.base.join(&path));
        let sent = request.bearer_auth(token.expose_secret()).send().await;
        match http::answer(SERVER, sent, ANSWER_BYTES, Some(token)).await {
            Ok(body) => receipt(&body),
            Err(HttpError::Refused { status: 404, .. }) => Ok(Receipt::default()),
            Err(error) => Err(error),
        }
    }
}

fn receipt(body: &[u8]) -> Result<Receipt, HttpError> {
    let Answer { documents, chunks, revision } =
        bailiwick_json::read(body).map_err(|_| HttpError::Malformed {
            peer: SERVER,
            problem: "it is not a receipt, so the write may or may not have happened".into(),
        })?;
    Ok(Receipt { documents, chunks, revision })
}

#[derive(Serialize)]
struct Batch<'a> {
    documents: &'a [SourceDocument],
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a SourceName>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replace: bool,
}

#[derive(Deserialize)]
struct Answer {
    documents: usize,
    chunks: usize,
    revision: u64,
}
