//! The only way into the index: validate, stamp, label, split, embed, store.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use bailiwick_index::{
    DocumentId, Index, IndexError, NewChunk, NewDocument, Origin, Receipt, SourceName,
};
use bailiwick_models::{Embedders, ModelError};
use bailiwick_policy::{Ceiling, Label, Schema};
use serde::Serialize;
use serde_json::{Map, Value};
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::document::{CONTENT_TYPE, STAMPS, SourceDocument};
use crate::split::{self, Format};

/// The most bytes of one document's text.
pub const MAX_TEXT_BYTES: usize = 10_000_000;

/// The most bytes of one document's metadata, as JSON.
pub const MAX_METADATA_BYTES: usize = 64 * 1024;

/// How many lists and objects in each other metadata may be.
const MAX_METADATA_DEPTH: usize = 16;

/// How many passages are embedded at a time.
pub(crate) const EMBEDDED_TOGETHER: usize = 256;

/// Who brings the documents, as a verified token says, and how far she may go.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The agent's SPIFFE ID.
    pub ingested_by: String,
    /// The SPIFFE IDs of the agents that act for that one, the holder of the token first: the
    /// chain of actors of RFC 8693.
    pub actors: Vec<String>,
    /// The token's id.
    pub token_jti: Option<String>,
    /// The token's scope.
    pub scope: Option<String>,
    /// The labels that she may give documents, and that those may have which she changes.
    pub ceiling: Ceiling,
    /// The source that the documents come from, which owns their ids. By default the agent.
    pub source: Option<SourceName>,
    /// Whether documents of other sources are taken over.
    pub replace: bool,
}

impl Stamp {
    /// The source that the documents belong to once they are stored.
    fn origin(&self) -> Result<Origin, IntakeError> {
        let source = match &self.source {
            Some(source) => source.clone(),
            None => SourceName::new(&self.ingested_by)
                .map_err(|_| IntakeError::Internal("an agent's name is no source"))?,
        };
        let (agent, contributors) = (Some(self.ingested_by.clone()), self.actors.clone());
        Ok(Origin { source, agent, contributors, replace: self.replace })
    }
}

/// What happens to a document that is right but for its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlabelled {
    /// It is refused, and the batch with it.
    Refuse,
    /// It is stored where no policy can reach it, until an administrator labels it.
    Quarantine,
}

/// One document that cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// Its id as it was sent, shortened when it is too long.
    pub id: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Why nothing was stored.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IntakeError {
    /// At least one document is wrong, and here is each.
    #[error("{}", told(.0))]
    Refused(Vec<Refusal>),
    /// At least one document is beyond the writer's ceiling, and here is each.
    #[error("{}", told(.0))]
    Beyond(Vec<Refusal>),
    /// At least one id belongs to another source, and here is each with its owner.
    #[error("{}", told(.0))]
    OtherSource(Vec<Refusal>),
    /// The documents cannot be embedded.
    #[error("the documents cannot be embedded now; try again")]
    Model(#[from] ModelError),
    /// The index does not take them.
    #[error("the index does not take the documents now; try again")]
    Index(#[from] IndexError),
    /// A bug or a machine without memory.
    #[error("the documents cannot be prepared; this is not their fault")]
    Internal(&'static str),
}

impl IntakeError {
    /// The documents that are refused, when they are the reason.
    pub fn refusals(&self) -> &[Refusal] {
        match self {
            Self::Refused(refusals) | Self::Beyond(refusals) | Self::OtherSource(refusals) => {
                refusals
            }
            _ => &[],
        }
    }
}

fn told(refusals: &[Refusal]) -> String {
    let Some(first) = refusals.first() else {
        return "nothing is wrong".into();
    };
    let Refusal { index, id, reason } = first;
    let others = match refusals.len() - 1 {
        0 => String::new(),
        n => format!(" (and {n} more)"),
    };
    format!(
        "nothing is written: document {index}, `{}`: {reason}{others}",
        crate::http::printable(id)
    )
}

/// Takes documents in.
#[derive(Clone)]
pub struct Intake {
    schema: Arc<Schema>,
    embedders: Embedders,
    index: Arc<dyn Index>,
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").field("embedders", &self.embedders).finish_non_exhaustive()
    }
}

/// A document that may be stored.
#[derive(Clone)]
struct Accepted {
    id: DocumentId,
    text: String,
    metadata: Map<String, Value>,
    label: Label,
    content_hash: [u8; 32],
}

impl Intake {
    /// Documents are labelled by this schema, embedded by the model whose vectors the index holds,
    /// and stored in this index.
    pub fn new(schema: Arc<Schema>, embedders: Embedders, index: Arc<dyn Index>) -> Self {
        Self { schema, embedders, index }
    }

    /// Stores all of these documents or none. Those that the index already holds just so are not
    /// written again, and the receipt counts only what was written; its revision covers them all.
    ///
    /// # Errors
    /// [`IntakeError::Refused`] names every document that is wrong, [`IntakeError::Beyond`] those
    /// whose label is beyond the writer's ceiling, or else those that are stored under such a one,
    /// [`IntakeError::OtherSource`] those that belong to another source.
    pub async fn store(
        &self,
        documents: Vec<SourceDocument>,
        stamp: &Stamp,
        unlabelled: Unlabelled,
    ) -> Result<Receipt, IntakeError> {
        let accepted = self.accept(documents, stamp, unlabelled)?;
        let origin = Arc::new(stamp.origin()?);
        let places: HashMap<DocumentId, usize> =
            accepted.iter().map(|document| document.id.clone()).zip(0..).collect();
        let known: Vec<(DocumentId, [u8; 32])> =
            accepted.iter().map(|document| (document.id.clone(), document.content_hash)).collect();
        let unchanged = self.index.unchanged(&known, &origin.source).await?;
        if unchanged.len() != known.len() {
            return Err(IntakeError::Internal("the index did not answer for every document"));
        }
        let fresh: Vec<Accepted> = accepted
            .into_iter()
            .zip(unchanged)
            .filter_map(|(document, unchanged)| (!unchanged).then_some(document))
            .collect();
        if fresh.is_empty() {
            return Ok(Receipt { revision: self.index.revision(), ..Receipt::default() });
        }
        let quarantined = fresh.iter().filter(|document| document.label.is_quarantine()).count();
        let receipt = self
            .embed_and_store(fresh, &origin, stamp)
            .await
            .map_err(|error| named(error, &places))?;
        if quarantined > 0 {
            tracing::warn!(quarantined, ingested_by = %stamp.ingested_by, "documents without a label are quarantined");
        }
        Ok(receipt)
    }

    /// Gives a stored document other metadata, and the label that follows from it. `None`: there is
    /// no such document.
    ///
    /// # Errors
    /// [`IntakeError::Refused`] when the metadata makes no label, [`IntakeError::Beyond`] when this
    /// label or the one that the document has is beyond the writer's ceiling.
    pub async fn set_metadata(
        &self,
        id: &str,
        metadata: Map<String, Value>,
        stamp: &Stamp,
    ) -> Result<Option<Receipt>, IntakeError> {
        let prepared = (|| {
            let id = DocumentId::new(id)?;
            let metadata = stamped(metadata, stamp)?;
            let label = self.schema.label_of_new(&metadata).map_err(|cause| cause.to_string())?;
            Ok::<_, String>((id, metadata, label))
        })();
        let (id, metadata, label) =
            prepared.map_err(|reason| IntakeError::Refused(vec![refusal(0, id, reason)]))?;
        if !stamp.ceiling.permits(&label) {
            return Err(IntakeError::Beyond(vec![refusal(0, id.as_str(), NEW_LABEL.into())]));
        }
        let relabelled =
            self.index.relabel(&id, metadata, label, &stamp.actors, &stamp.ceiling).await;
        relabelled.map_err(|error| named(error.into(), &HashMap::from([(id, 0)])))
    }

    /// Removes these documents. One that is not there is none of the receipt's.
    ///
    /// # Errors
    /// [`IntakeError::Refused`] when one of these can be no document's id, [`IntakeError::Beyond`]
    /// when one is a document beyond the ceiling; then none is removed.
    pub async fn remove(&self, ids: &[String], ceiling: &Ceiling) -> Result<Receipt, IntakeError> {
        let wanted = wanted(ids)?;
        let removed = self.index.remove(&wanted, ceiling).await;
        removed.map_err(|error| named(error.into(), &wanted.into_iter().zip(0..).collect()))
    }

    /// Like [`Intake::remove`], of documents that belong to the stamp's source.
    ///
    /// # Errors
    /// Those of [`Intake::remove`], and [`IntakeError::OtherSource`] when one belongs to another
    /// source; then none is removed.
    pub async fn remove_from(&self, ids: &[String], stamp: &Stamp) -> Result<Receipt, IntakeError> {
        let wanted = wanted(ids)?;
        let removed = self.index.remove_from(&wanted, &stamp.origin()?, &stamp.ceiling).await;
        removed.map_err(|error| named(error.into(), &wanted.into_iter().zip(0..).collect()))
    }

    fn accept(
        &self,
        documents: Vec<SourceDocument>,
        stamp: &Stamp,
        unlabelled: Unlabelled,
    ) -> Result<Vec<Accepted>, IntakeError> {
        let mut refusals = Vec::new();
        let mut accepted = Vec::with_capacity(documents.len());
        let mut seen = HashSet::new();
        for (index, document) in documents.into_iter().enumerate() {
            let sent_id = document.id.clone();
            let result = if seen.insert(sent_id.clone()) {
                self.accept_one(document, stamp, unlabelled)
            } else {
                Err("the batch holds another document with this id".into())
            };
            match result {
                Ok(document) => accepted.push(document),
                Err(reason) => refusals.push(refusal(index, &sent_id, reason)),
            }
        }
        if !refusals.is_empty() {
            return Err(IntakeError::Refused(refusals));
        }
        let beyond: Vec<Refusal> = (0..)
            .zip(&accepted)
            .filter(|(_, document)| !stamp.ceiling.permits(&document.label))
            .map(|(index, document)| refusal(index, document.id.as_str(), NEW_LABEL.into()))
            .collect();
        if beyond.is_empty() { Ok(accepted) } else { Err(IntakeError::Beyond(beyond)) }
    }

    fn accept_one(
        &self,
        document: SourceDocument,
        stamp: &Stamp,
        unlabelled: Unlabelled,
    ) -> Result<Accepted, String> {
        let SourceDocument { id, text, metadata } = document;
        let id = DocumentId::new(&id)?;
        if text.trim().is_empty() {
            return Err("its text is empty".into());
        }
        if text.len() > MAX_TEXT_BYTES {
            return Err(format!("its text has more than {MAX_TEXT_BYTES} bytes; split it"));
        }
        if text.contains('\0') {
            return Err("its text holds a NUL character".into());
        }
        let metadata = stamped(metadata, stamp)?;
        let label = match self.schema.label_of_new(&metadata) {
            Ok(label) => label,
            Err(_) if unlabelled == Unlabelled::Quarantine => Label::quarantine(),
            Err(cause) => return Err(cause.to_string()),
        };
        let content_hash = self.content_hash(&id, &text, &metadata, &label);
        Ok(Accepted { id, text, metadata, label, content_hash })
    }

    /// Changes when anything that is stored would, but for the stamps of the single run.
    ///
    /// The label is part of it, because another schema reads another label from the same metadata.
    fn content_hash(
        &self,
        id: &DocumentId,
        text: &str,
        metadata: &Map<String, Value>,
        label: &Label,
    ) -> [u8; 32] {
        let lasting: std::collections::BTreeMap<&String, &Value> = metadata
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "ingested_at" | "token_jti"))
            .collect();
        let parts = [
            id.as_str(),
            text,
            &serde_json::json!(lasting).to_string(),
            &self.schema.describe(label).to_string(),
            split::VERSION,
        ];
        let mut hash = Context::new(&SHA256);
        for part in parts {
            // The length keeps the end of one part from passing for the start of the next.
            hash.update(&part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.finish().as_ref());
        bytes
    }

    async fn embed_and_store(
        &self,
        fresh: Vec<Accepted>,
        origin: &Arc<Origin>,
        stamp: &Stamp,
    ) -> Result<Receipt, IntakeError> {
        let again = self.embedders.former().map(|_| fresh.clone());
        let documents = self.embed(fresh, origin).await?;
        match (self.index.upsert(documents, &stamp.ceiling).await, again) {
            // The index changed its embedder meanwhile, which it does once.
            (Err(IndexError::OtherSpace { .. }), Some(fresh)) => {
                let documents = self.embed(fresh, origin).await?;
                Ok(self.index.upsert(documents, &stamp.ceiling).await?)
            }
            (stored, _) => Ok(stored?),
        }
    }

    async fn embed(
        &self,
        documents: Vec<Accepted>,
        origin: &Arc<Origin>,
    ) -> Result<Vec<NewDocument>, IntakeError> {
        let split = tokio::task::spawn_blocking(move || {
            let passages = |document: Accepted| {
                (split::passages(&document.text, format_of(&document)), document)
            };
            documents.into_iter().map(passages).collect::<Vec<_>>()
        });
        let split = split.await.map_err(|_| IntakeError::Internal("the splitter failed"))?;
        let mut texts: Vec<String> = Vec::new();
        let mut places = Vec::with_capacity(split.len());
        for (passages, document) in split {
            places.push((passages.len(), document));
            texts.extend(passages);
        }
        let embedder = self.embedders.of(&self.index.space());
        let mut vectors = Vec::with_capacity(texts.len());
        for together in texts.chunks(EMBEDDED_TOGETHER) {
            vectors.extend(embedder.embed(together).await?);
        }
        if vectors.len() != texts.len() {
            return Err(IntakeError::Internal("the model did not embed every passage"));
        }
        let mut chunks =
            texts.into_iter().zip(vectors).map(|(text, vector)| NewChunk { text, vector });
        let space: Arc<str> = embedder.id().into();
        let documents = places.into_iter().map(|(passages, document)| {
            let (space, origin) = (Arc::clone(&space), Arc::clone(origin));
            let Accepted { id, text, metadata, label, content_hash } = document;
            let chunks = chunks.by_ref().take(passages).collect();
            NewDocument { id, text, metadata, label, content_hash, origin, space, chunks }
        });
        Ok(documents.collect())
    }
}

/// What the reader says of the text, or else what the id's ending says.
fn format_of(document: &Accepted) -> Format {
    let markdown = match document.metadata.get(CONTENT_TYPE).and_then(Value::as_str) {
        Some(content_type) => content_type.starts_with("text/markdown"),
        None => [".md", ".markdown"].iter().any(|ending| document.id.as_str().ends_with(ending)),
    };
    if markdown { Format::Markdown } else { Format::Plain }
}

/// The metadata with the truth under the reserved names, and nothing where there is none.
fn stamped(mut metadata: Map<String, Value>, stamp: &Stamp) -> Result<Map<String, Value>, String> {
    // The depth comes first: measuring the size goes as deep as the metadata.
    if metadata.values().any(|value| is_deeper_than(MAX_METADATA_DEPTH, value)) {
        return Err(format!("its metadata is nested deeper than {MAX_METADATA_DEPTH} levels"));
    }
    if serde_json::to_vec(&metadata).map_or(true, |json| json.len() > MAX_METADATA_BYTES) {
        return Err(format!("its metadata has more than {MAX_METADATA_BYTES} bytes"));
    }
    if is_mock(&metadata) {
        return Err("it was made by a mock; connect its reader to the real source".into());
    }
    for name in STAMPS {
        metadata.remove(name);
    }
    let truth = [
        ("ingested_by", Some(stamp.ingested_by.clone())),
        ("ingested_through", stamp.actors.first().cloned()),
        ("token_jti", stamp.token_jti.clone()),
        ("scope", stamp.scope.clone()),
        ("ingested_at", Some(now())),
    ];
    metadata
        .extend(truth.into_iter().filter_map(|(name, said)| Some((name.to_owned(), said?.into()))));
    Ok(metadata)
}

fn is_mock(metadata: &Map<String, Value>) -> bool {
    let marked =
        metadata.get("mock").is_some_and(|mock| !matches!(mock, Value::Null | Value::Bool(false)));
    let auth = metadata.get("ingestion_auth").map(|auth| auth.to_string().to_lowercase());
    marked || auth.is_some_and(|auth| auth.contains("mock"))
}

fn is_deeper_than(levels: usize, value: &Value) -> bool {
    let deeper = |value: &Value| levels == 0 || is_deeper_than(levels - 1, value);
    match value {
        Value::Array(values) => values.iter().any(deeper),
        Value::Object(members) => members.values().any(deeper),
        _ => false,
    }
}

/// The time in UTC to the second, as RFC 3339 with a `Z`.
fn now() -> String {
    let now = OffsetDateTime::now_utc();
    let seconds = now.replace_nanosecond(0).unwrap_or(now);
    seconds.format(&Rfc3339).unwrap_or_else(|_| seconds.unix_timestamp().to_string())
}

/// Why a document is beyond a ceiling.
const NEW_LABEL: &str = "its label is beyond what this agent may write";
const STORED_LABEL: &str = "it is stored under a label beyond what this agent may write";

/// Names the documents that the index refused, by their places in the request.
fn named(error: IntakeError, places: &HashMap<DocumentId, usize>) -> IntakeError {
    let refused =
        |id: &DocumentId, reason: String| Some(refusal(*places.get(id)?, id.as_str(), reason));
    match error {
        IntakeError::Index(IndexError::Beyond(ids)) => {
            let refusals = ids.iter().filter_map(|id| refused(id, STORED_LABEL.into()));
            IntakeError::Beyond(refusals.collect())
        }
        IntakeError::Index(IndexError::OtherSource(owned)) => {
            let refusals = owned.iter().filter_map(|(id, owner)| refused(id, other_source(owner)));
            IntakeError::OtherSource(refusals.collect())
        }
        other => other,
    }
}

fn other_source(owner: &SourceName) -> String {
    format!(
        "the id belongs to the source `{}`; send it for that source, or replace the document",
        crate::http::printable(owner.as_str())
    )
}

/// The ids of stored documents that are to be removed.
fn wanted(ids: &[String]) -> Result<Vec<DocumentId>, IntakeError> {
    let mut refusals = Vec::new();
    let mut wanted = Vec::with_capacity(ids.len());
    for (index, id) in ids.iter().enumerate() {
        match DocumentId::new(id) {
            Ok(id) => wanted.push(id),
            Err(reason) => refusals.push(refusal(index, id, reason)),
        }
    }
    if refusals.is_empty() { Ok(wanted) } else { Err(IntakeError::Refused(refusals)) }
}

fn refusal(index: usize, id: &str, reason: String) -> Refusal {
    let id = id.chars().take(DocumentId::MAX_BYTES).collect();
    Refusal { index, id, reason }
}
