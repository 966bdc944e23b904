//! Records behind the vault → documents.

use std::sync::Arc;

use bailiwick_policy::Schema;
use reqwest::Client;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::document::SourceDocument;
use crate::http::{self, Base, HttpError};
use crate::record::{Record, Records};
use crate::token::DelegationTokens;

const VAULT: &str = "the vault";

/// The most bytes of one collection.
const COLLECTION_BYTES: usize = 64 * 1024 * 1024;

/// How the records were come by; AuthSec's own reader stamps another text.
const INGESTION_AUTH: &str = "delegation token";

/// Reads collections of the vault with delegation tokens.
#[derive(Debug)]
pub struct VaultReader {
    http: Client,
    base: Base,
    tokens: DelegationTokens,
    schema: Arc<Schema>,
}

impl VaultReader {
    /// A reader for the agent with this client id, and for the authority and the vault at this
    /// address; its documents carry the attributes of this schema.
    ///
    /// # Errors
    /// [`HttpError::Settings`] when the address or the client id cannot be used.
    pub fn new(address: &str, client_id: &str, schema: Arc<Schema>) -> Result<Self, HttpError> {
        let base = Base::parse(address)?;
        let tokens = DelegationTokens::at(base.clone(), client_id)?;
        Ok(Self { http: base.client()?, base, tokens, schema })
    }

    /// The records of one collection, as documents with the id `<endpoint>#<record id or place>`.
    ///
    /// # Errors
    /// [`HttpError`] for everything that is not the collection, whole; there is no document then.
    pub async fn read(
        &self,
        endpoint: &str,
        scope: Option<&str>,
    ) -> Result<Vec<SourceDocument>, HttpError> {
        let endpoint = plain_path(endpoint)?;
        let token = self.tokens.get(scope).await?;
        let request = self.http.get(self.base.join(endpoint));
        let request = request.header("content-type", "application/json");
        let sent = request.bearer_auth(token.secret.expose_secret()).send().await;
        let body = http::answer(VAULT, sent, COLLECTION_BYTES, Some(&token.secret)).await;
        if let Err(HttpError::Refused { status: 401, .. }) = &body {
            self.tokens.forget(scope).await;
        }
        self.documents(endpoint, &body?)
    }

    fn documents(&self, endpoint: &str, body: &[u8]) -> Result<Vec<SourceDocument>, HttpError> {
        let envelope: Envelope = bailiwick_json::read(body)
            .map_err(|_| malformed("it is not a JSON object with `status` and `data`"))?;
        if envelope.status.as_deref() != Some("success") {
            return Err(malformed("its `status` is not `success`"));
        }
        let contents: Contents = bailiwick_json::read(body)
            .map_err(|_| malformed("its `data` is neither a record nor a list of records"))?;
        match contents.data {
            Records::One(record) => {
                let text = serde_json::to_string_pretty(&record);
                let text = text.map_err(|_| malformed("its record cannot be written as JSON"))?;
                Ok(vec![self.document(endpoint, None, record, |_| text)])
            }
            Records::Many(records) => {
                let documents = records.into_iter().enumerate().map(|(place, record)| {
                    self.document(endpoint, Some(place), record, |own| own.text(&self.schema))
                });
                Ok(documents.collect())
            }
        }
    }

    fn document(
        &self,
        endpoint: &str,
        place: Option<usize>,
        record: Record,
        text: impl FnOnce(&Record) -> String,
    ) -> SourceDocument {
        let record = record.without_reserved_names(&self.schema);
        let id = record.id().unwrap_or_else(|| place.unwrap_or_default().to_string());
        let mut metadata = record.details(&self.schema);
        metadata.retain(|name, _| !crate::document::is_reserved(name));
        self.schema.overlay(&mut metadata, record.attributes(&self.schema));
        metadata.extend(stamps(endpoint, place, &record));
        SourceDocument { id: format!("{endpoint}#{id}"), text: text(&record), metadata }
    }
}

/// The names that AuthSec's reader stamps. What the record does not say is not made up.
fn stamps(endpoint: &str, place: Option<usize>, record: &Record) -> Map<String, Value> {
    let said = |field: &str| record.get(field).filter(|value| !value.is_null()).cloned();
    let stamps = [
        ("source_endpoint", Some(endpoint.into())),
        ("ingestion_auth", Some(INGESTION_AUTH.into())),
        ("record_index", place.map(Value::from)),
        ("clearance_required", said("clearance")),
        ("confidentiality", said("confidentiality_level")),
    ];
    stamps.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The endpoint without its leading slash, if it is nothing but a path below the base address.
fn plain_path(endpoint: &str) -> Result<&str, HttpError> {
    let path = endpoint.strip_prefix('/').unwrap_or(endpoint);
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    let plain = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(fits);
    if path.len() > 256 || !path.split('/').all(plain) {
        return Err(HttpError::Endpoint(http::printable(endpoint)));
    }
    Ok(path)
}

#[derive(Deserialize)]
struct Envelope {
    status: Option<String>,
}

#[derive(Deserialize)]
struct Contents {
    data: Records,
}

fn malformed(problem: &str) -> HttpError {
    HttpError::Malformed { peer: VAULT, problem: problem.to_owned() }
}
