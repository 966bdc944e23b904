//! Documents → the server's `POST /api/documents`.

use bailiwick_index::Receipt;
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

    /// Sends one batch, which the server stores whole or not at all. The token needs the scope
    /// `write:documents`; [`batches`](crate::batches) cuts what is more than one request takes.
    ///
    /// # Errors
    /// [`HttpError`]; with [`HttpError::Refused`] the server says what is wrong with the batch.
    pub async fn send(
        &self,
        documents: &[SourceDocument],
        token: &SecretString,
    ) -> Result<Receipt, HttpError> {
        let request = self.http.post(self.base.join("api/documents")).json(&Batch { documents });
        let sent = request.bearer_auth(token.expose_secret()).send().await;
        let body = http::answer(SERVER, sent, ANSWER_BYTES, Some(token)).await?;
        receipt(&body)
    }
}

impl Remote {
    /// Removes one document; the receipt is empty when it was not there.
    ///
    /// # Errors
    /// [`HttpError`] for every other answer than that it is gone.
    pub async fn remove(&self, id: &str, token: &SecretString) -> Result<Receipt, HttpError> {
        let id = utf8_percent_encode(id, NON_ALPHANUMERIC);
        let request = self.http.delete(self.base.join(&format!("api/documents/{id}")));
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
        serde_json::from_slice(body).map_err(|_| HttpError::Malformed {
            peer: SERVER,
            problem: "it is not a receipt, so the write may or may not have happened".into(),
        })?;
    Ok(Receipt { documents, chunks, revision })
}

#[derive(Serialize)]
struct Batch<'a> {
    documents: &'a [SourceDocument],
}

#[derive(Deserialize)]
struct Answer {
    documents: usize,
    chunks: usize,
    revision: u64,
}
