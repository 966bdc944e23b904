//! `bailiwick ingest`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bailiwick_authority::Audit;
use bailiwick_authority::audit::{Event, Kind, Outcome};
use bailiwick_index::Receipt;
use bailiwick_ingest::files::{Extraction, FileOptions, FileSource, discover};
use bailiwick_ingest::vault::VaultReader;
use bailiwick_ingest::{
    DelegationTokens, Intake, Remote, SourceDocument, Stamp, Unlabelled, batches,
};
use bailiwick_policy::{Ceiling, Schema};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value};

use crate::assemble;
use crate::cli::Ingest;
use crate::config::Config;
use crate::manifest::Manifest;
use crate::print;

/// Files that are stored or sent together.
const FILES_AT_ONCE: usize = 64;
/// The scope with which documents are sent.
const WRITE: &str = "write:documents";
/// Who ingests when nobody needs a token, because the data directory is his.
pub(crate) const OPERATOR: &str = "command line";

pub(crate) async fn run(options: Ingest, config: &Config, as_json: bool) -> Result<()> {
    let schema = assemble::schema(config)?;
    let receipt = if !options.remove.is_empty() {
        Destination::here(&options, config, schema)?.remove(options.remove).await?
    } else if let (Some(endpoint), Some(client_id)) = (&options.vault, &options.client_id) {
        let server = options.server.clone().unwrap_or_else(|| config.public_url());
        let scope = options.scope.as_deref();
        let documents =
            read_vault(&server, client_id, Arc::clone(&schema), endpoint, scope).await?;
        let documents = with_defaults(documents, &given_metadata(&options), &schema);
        Sender::new(&server, client_id)?.send(documents).await?
    } else {
        from_files(&options, config, schema).await?
    };
    if as_json {
        return print::json(&receipt);
    }
    let Receipt { documents, chunks, .. } = receipt;
    print::line(format!("documents changed: {documents} (chunks: {chunks})"))
}

async fn from_files(options: &Ingest, config: &Config, schema: Arc<Schema>) -> Result<Receipt> {
    let file_options = file_options(Arc::clone(&schema), given_metadata(options));
    let sources = discover(&options.paths, &file_options)?;
    let manifest = Manifest::open(&config.data_dir, &options.paths)?;
    let destination = match (&options.server, &options.client_id) {
        (Some(server), Some(client_id)) => Destination::Server(Sender::new(server, client_id)?),
        _ => Destination::here(options, config, schema)?,
    };
    let mut ids = BTreeSet::new();
    let mut receipt = store_files(sources, &destination, &mut ids).await?;
    if options.prune {
        add(&mut receipt, destination.remove(manifest.gone(&ids)).await?);
    }
    manifest.save(ids, !options.prune)?;
    Ok(receipt)
}

/// Where documents go.
enum Destination {
    Here { intake: Intake, audit: Audit, unlabelled: Unlabelled },
    Server(Sender),
}

impl Destination {
    fn here(options: &Ingest, config: &Config, schema: Arc<Schema>) -> Result<Self> {
        let unlabelled =
            if options.quarantine { Unlabelled::Quarantine } else { Unlabelled::Refuse };
        let audit = Audit::open(&config.data_dir)?;
        let intake = assemble::store(config, schema, &audit)?.intake;
        Ok(Self::Here { intake, audit, unlabelled })
    }

    async fn take(&self, documents: Vec<SourceDocument>) -> Result<Receipt> {
        let Self::Here { intake, audit, unlabelled } = self else {
            return self.sender()?.send(documents).await;
        };
        let ids = documents.iter().map(|document| document.id.clone()).collect();
        let stamp = Stamp {
            ingested_by: OPERATOR.into(),
            ingested_through: None,
            actors: Vec::new(),
            token_jti: None,
            scope: None,
            ceiling: Ceiling::none(),
        };
        let receipt = intake.store(documents, &stamp, *unlabelled).await?;
        audit.record(event(&receipt, ids)).await?;
        Ok(receipt)
    }

    async fn remove(&self, ids: Vec<String>) -> Result<Receipt> {
        let Self::Here { intake, audit, .. } = self else {
            return self.sender()?.remove(ids).await;
        };
        let receipt = intake.remove(&ids, &Ceiling::none()).await?;
        audit.record(event(&receipt, ids)).await?;
        Ok(receipt)
    }

    fn sender(&self) -> Result<&Sender> {
        match self {
            Self::Server(sender) => Ok(sender),
            Self::Here { .. } => bail!("documents are stored here, not sent"),
        }
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

    /// Sends all documents, in batches.
    pub(crate) async fn send(&self, documents: Vec<SourceDocument>) -> Result<Receipt> {
        let mut total = Receipt::default();
        for batch in batches(documents) {
            let token = self.tokens.get(Some(WRITE)).await?;
            add(&mut total, self.remote.send(&batch, &token.secret).await?);
        }
        Ok(total)
    }

    async fn remove(&self, ids: Vec<String>) -> Result<Receipt> {
        let mut total = Receipt::default();
        for id in ids {
            let token = self.tokens.get(Some(WRITE)).await?;
            add(&mut total, self.remote.remove(&id, &token.secret).await?);
        }
        Ok(total)
    }
}

fn add(total: &mut Receipt, receipt: Receipt) {
    total.documents += receipt.documents;
    total.chunks += receipt.chunks;
    total.revision = receipt.revision.max(total.revision);
}

fn file_options(schema: Arc<Schema>, metadata: Map<String, Value>) -> FileOptions {
    FileOptions { schema, metadata, extraction: Extraction::Worker }
}

/// Attributes from the command line are the weakest: a document's own stay.
fn with_defaults(
    mut documents: Vec<SourceDocument>,
    defaults: &Map<String, Value>,
    schema: &Schema,
) -> Vec<SourceDocument> {
    for document in &mut documents {
        let own = std::mem::replace(&mut document.metadata, defaults.clone());
        schema.overlay(&mut document.metadata, own);
    }
    documents
}

fn given_metadata(options: &Ingest) -> Map<String, Value> {
    let mut metadata = Map::new();
    for (name, value) in &options.attributes {
        // An attribute that is given twice holds a list.
        match metadata.get_mut(name) {
            None => drop(metadata.insert(name.clone(), Value::from(value.as_str()))),
            Some(Value::Array(values)) => values.push(Value::from(value.as_str())),
            Some(first) => *first = Value::from(vec![first.take(), Value::from(value.as_str())]),
        }
    }
    metadata
}

/// Reads and stores all files, and notes the ids that they gave.
async fn store_files(
    sources: Vec<FileSource>,
    destination: &Destination,
    ids: &mut BTreeSet<String>,
) -> Result<Receipt> {
    let bar = progress(sources.len());
    let mut total = Receipt::default();
    let mut broken = Vec::new();
    for group in sources.chunks(FILES_AT_ONCE) {
        let mut documents = Vec::new();
        for source in group {
            match source.read() {
                Ok(read) => documents.extend(read),
                Err(error) => broken.push(error.to_string()),
            }
            bar.inc(1);
        }
        ids.extend(documents.iter().map(|document| document.id.clone()));
        for batch in batches(documents) {
            add(&mut total, destination.take(batch).await?);
        }
    }
    bar.finish_and_clear();
    if broken.is_empty() {
        return Ok(total);
    }
    let (stored, files) = (total.documents, broken.len());
    bail!("documents stored: {stored}; files left out: {files}\n  {}", broken.join("\n  "))
}

/// A progress bar, which is silent when nobody watches.
fn progress(files: usize) -> ProgressBar {
    let bar = ProgressBar::new(files as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} files  {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// Reads a collection through the vault with a delegation token.
pub(crate) async fn read_vault(
    server: &str,
    client_id: &str,
    schema: Arc<Schema>,
    endpoint: &str,
    scope: Option<&str>,
) -> Result<Vec<SourceDocument>> {
    let reader = VaultReader::new(server, client_id, schema)?;
    reader.read(endpoint, scope).await.with_context(|| format!("{endpoint} gave no documents"))
}

/// Reads every file of a folder.
pub(crate) fn read_folder(folder: &Path, schema: Arc<Schema>) -> Result<Vec<SourceDocument>> {
    let options = file_options(schema, Map::new());
    let sources = discover(&[folder.to_owned()], &options)?;
    let mut documents = Vec::new();
    for source in sources {
        documents.extend(source.read()?);
    }
    Ok(documents)
}
