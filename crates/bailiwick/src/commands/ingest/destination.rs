//! Where documents go: into the data directory, or to a server.

use std::cmp::Reverse;
use std::sync::Arc;

use anyhow::Result;
use bailiwick_authority::Audit;
use bailiwick_authority::audit::{Event, Kind, Outcome};
use bailiwick_index::{Receipt, SourceName};
use bailiwick_ingest::{
    DelegationTokens, HttpError, Intake, IntakeError, Remote, SourceDocument, Stamp, Unlabelled,
    batches,
};
use bailiwick_policy::{Ceiling, Schema};

use crate::assemble;
use crate::cli::Ingest;
use crate::config::Config;

/// The scope with which documents are sent.
const WRITE: &str = "write:documents";
/// Who ingests when nobody needs a token, because the data directory is his.
pub(crate) const OPERATOR: &str = "command line";

/// Where documents go.
pub(super) struct Destination {
    place: Place,
    /// Whether ids of other sources are taken over.
    replace: bool,
}

enum Place {
    Here { intake: Intake, audit: Audit, unlabelled: Unlabelled },
    Server(Sender),
}

/// What became of a batch.
#[derive(Default)]
pub(super) struct BatchOutcome {
    pub(super) receipt: Receipt,
    /// Ids of documents that were refused, and why.
    pub(super) refused: Vec<(String, String)>,
    /// What ended the batch before all of it was tried.
    pub(super) failure: Option<anyhow::Error>,
    /// Ids of documents that are stored now, or may be: whoever lost the connection does not know.
    pub(super) ids: Vec<String>,
}

/// Why a write did nothing.
enum Failure {
    /// These documents are wrong, by their places in the batch.
    Documents(Vec<(usize, String)>),
    /// Something in the batch is wrong, and it is not said what.
    Batch(String),
    /// No write will do better.
    Run(anyhow::Error),
}

impl From<IntakeError> for Failure {
    fn from(error: IntakeError) -> Self {
        let refused = error.refusals();
        if refused.is_empty() {
            return Self::Run(error.into());
        }
        Self::Documents(refused.iter().map(|each| (each.index, each.reason.clone())).collect())
    }
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Refused { documents, status: 400 | 403 | 409 | 422, .. }
                if !documents.is_empty() =>
            {
                Self::Documents(documents)
            }
            HttpError::Refused { status: 400 | 413 | 422, .. } => Self::Batch(error.to_string()),
            other => Self::Run(other.into()),
        }
    }
}

impl Destination {
    /// The server of the options if they name one, or else the data directory.
    pub(super) fn open(options: &Ingest, config: &Config, schema: Arc<Schema>) -> Result<Self> {
        if let (Some(server), Some(client_id)) = (&options.server, &options.client_id) {
            return Self::of_server(server, client_id, options.replace);
        }
        let unlabelled =
            if options.quarantine { Unlabelled::Quarantine } else { Unlabelled::Refuse };
        let audit = Audit::open(&config.data_dir)?;
        let intake = assemble::store(config, schema, &audit)?.intake;
        let place = Place::Here { intake, audit, unlabelled };
        Ok(Self { place, replace: options.replace })
    }

    pub(super) fn of_server(server: &str, client_id: &str, replace: bool) -> Result<Self> {
        Ok(Self { place: Place::Server(Sender::new(server, client_id)?), replace })
    }

    /// Stores what can be stored of a batch: documents that are refused are left out, and the rest
    /// is tried again without them.
    pub(super) async fn store(
        &self,
        batch: Vec<SourceDocument>,
        source: Option<&SourceName>,
    ) -> BatchOutcome {
        let mut stored = BatchOutcome::default();
        let mut waiting = vec![batch];
        while let Some(mut batch) = waiting.pop() {
            if batch.is_empty() {
                continue;
            }
            match self.write(&batch, source).await {
                Ok(receipt) => {
                    stored.receipt += receipt;
                    stored.ids.extend(batch.into_iter().map(|document| document.id));
                }
                Err(Failure::Documents(mut refused)) => {
                    // From the last on, so that the places before stay true.
                    refused.sort_by_key(|(place, _)| Reverse(*place));
                    refused.dedup_by_key(|(place, _)| *place);
                    let known = batch.len();
                    for (place, reason) in refused {
                        if place < batch.len() {
                            stored.refused.push((batch.remove(place).id, reason));
                        }
                    }
                    if batch.len() == known {
                        let problem = "the documents that were refused are not in the batch";
                        stored.failure = Some(anyhow::anyhow!(problem));
                        return stored;
                    }
                    waiting.push(batch);
                }
                Err(Failure::Batch(reason)) if batch.len() == 1 => {
                    stored.refused.extend(batch.pop().map(|document| (document.id, reason)));
                }
                Err(Failure::Batch(_)) => {
                    let second = batch.split_off(batch.len() / 2);
                    waiting.extend([second, batch]);
                }
                Err(Failure::Run(failure)) => {
                    stored.ids.extend(batch.into_iter().map(|document| document.id));
                    stored.failure = Some(failure);
                    return stored;
                }
            }
        }
        stored
    }

    async fn write(
        &self,
        batch: &[SourceDocument],
        source: Option<&SourceName>,
    ) -> Result<Receipt, Failure> {
        match &self.place {
            Place::Here { intake, audit, unlabelled } => {
                let stamp = stamp(source, self.replace);
                let receipt = intake.store(batch.to_vec(), &stamp, *unlabelled).await?;
                let ids = batch.iter().map(|document| document.id.clone()).collect();
                audit
                    .record(event(&receipt, ids))
                    .await
                    .map_err(|error| Failure::Run(error.into()))?;
                Ok(receipt)
            }
            Place::Server(sender) => sender.write(batch, source, self.replace).await,
        }
    }

    /// Removes a document of a source. One that is not there, or another source's by now, is not
    /// this source's to remove, and the receipt does not count it.
    pub(super) async fn remove(&self, id: &str, source: &SourceName) -> Result<Receipt> {
        match &self.place {
            Place::Here { intake, audit, .. } => {
                let ids = vec![id.to_owned()];
                let removed = intake.remove_from(&ids, &stamp(Some(source), false)).await;
                let receipt = match removed {
                    Err(IntakeError::OtherSource(_)) => return Ok(Receipt::default()),
                    removed => removed?,
                };
                audit.record(event(&receipt, ids)).await?;
                Ok(receipt)
            }
            Place::Server(sender) => {
                let token = sender.tokens.get(Some(WRITE)).await?;
                match sender.remote.remove(id, source, &token.secret).await {
                    Err(HttpError::Refused { status: 409, .. }) => Ok(Receipt::default()),
                    removed => Ok(removed?),
                }
            }
        }
    }

    /// Removes documents from the data directory, whatever their source.
    pub(super) async fn remove_any(&self, ids: Vec<String>) -> Result<Receipt> {
        let Place::Here { intake, audit, .. } = &self.place else {
            anyhow::bail!("documents are sent, not stored here");
        };
        let receipt = intake.remove(&ids, &Ceiling::none()).await?;
        audit.record(event(&receipt, ids)).await?;
        Ok(receipt)
    }
}

fn stamp(source: Option<&SourceName>, replace: bool) -> Stamp {
    Stamp {
        ingested_by: OPERATOR.into(),
        actors: Vec::new(),
        token_jti: None,
        scope: None,
        ceiling: Ceiling::none(),
        source: source.cloned(),
        replace,
    }
}

fn event(receipt: &Receipt, ids: Vec<String>) -> Event {
    let mut event = Event::new(Kind::Ingested, Outcome::Ok);
    event.subject = Some(OPERATOR.into());
    event.index_revision = Some(receipt.revision);
    event.document_ids = ids;
    event
}

/// Sends documents to a server in an agent's name.
pub(crate) struct Sender {
    remote: Remote,
    tokens: DelegationTokens,
}

impl Sender {
    pub(crate) fn new(server: &str, client_id: &str) -> Result<Self> {
        Ok(Self { remote: Remote::new(server)?, tokens: DelegationTokens::new(server, client_id)? })
    }

    /// Sends all documents, in batches, whose source is the agent.
    pub(crate) async fn send(&self, documents: Vec<SourceDocument>) -> Result<Receipt> {
        let mut total = Receipt::default();
        for batch in batches(documents) {
            let token = self.tokens.get(Some(WRITE)).await?;
            total += self.remote.send(&batch, None, false, &token.secret).await?;
        }
        Ok(total)
    }

    async fn write(
        &self,
        batch: &[SourceDocument],
        source: Option<&SourceName>,
        replace: bool,
    ) -> Result<Receipt, Failure> {
        // A refusal of the agent itself concerns no document.
        let token =
            self.tokens.get(Some(WRITE)).await.map_err(|error| Failure::Run(error.into()))?;
        Ok(self.remote.send(batch, source, replace, &token.secret).await?)
    }
}
