//! `bailiwick ingest`.

mod destination;
mod files;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use bailiwick_index::Receipt;
use bailiwick_ingest::files::{Extraction, FileOptions, discover};
use bailiwick_ingest::vault::VaultReader;
use bailiwick_ingest::{SourceDocument, batches};
use bailiwick_policy::Schema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::assemble;
use crate::cli::Ingest;
use crate::config::Config;
use crate::print;

use destination::Destination;
pub(crate) use destination::{OPERATOR, Sender};

/// What a run did, and what it left out.
#[derive(Debug, Default, Serialize)]
struct Report {
    #[serde(flatten)]
    receipt: Receipt,
    /// A sentence for each file, record or document.
    left_out: Vec<String>,
}

pub(crate) async fn run(options: Ingest, config: &Config, as_json: bool) -> Result<()> {
    let schema = assemble::schema(config)?;
    for (name, _) in &options.attributes {
        schema.check_name(name).map_err(|problem| anyhow!("--attribute: {problem}"))?;
    }
    let mut report = Report::default();
    if !options.remove.is_empty() {
        let here = Destination::open(&options, config, schema)?;
        report.receipt += here.remove_any(options.remove).await?;
    } else if let (Some(endpoint), Some(client_id)) = (&options.vault, &options.client_id) {
        let server = options.server.clone().unwrap_or_else(|| config.public_url());
        let scope = options.scope.as_deref();
        let documents =
            read_vault(&server, client_id, Arc::clone(&schema), endpoint, scope).await?;
        let documents = with_defaults(documents, &given_metadata(&options), &schema);
        let there = Destination::of_server(&server, client_id, options.replace)?;
        for batch in batches(documents) {
            let stored = there.store(batch, options.source.as_ref()).await;
            report.receipt += stored.receipt;
            let named = stored.refused.iter().map(|(id, reason)| format!("`{id}`: {reason}"));
            report.left_out.extend(named);
            stored.failure.map_or(Ok(()), Err)?;
        }
    } else {
        files::ingest(&options, config, schema, &mut report).await?;
    }
    conclude(&report, as_json)
}

fn conclude(report: &Report, as_json: bool) -> Result<()> {
    let Receipt { documents, chunks, .. } = report.receipt;
    if as_json {
        print::json(report)?;
    } else {
        print::line(format!("documents changed: {documents} (chunks: {chunks})"))?;
    }
    if report.left_out.is_empty() {
        return Ok(());
    }
    bail!("left out: {}\n  {}", report.left_out.len(), report.left_out.join("\n  "))
}

fn file_options(schema: Arc<Schema>, metadata: Map<String, Value>) -> FileOptions {
    FileOptions { schema, metadata, passed_over: None, extraction: Extraction::Worker }
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

/// Reads every file of a folder, all of which must be readable.
pub(crate) fn read_folder(folder: &Path, schema: Arc<Schema>) -> Result<Vec<SourceDocument>> {
    let options = file_options(schema, Map::new());
    let found = discover(folder, &options);
    if let Some(left_out) = found.left_out.into_iter().next() {
        return Err(left_out.error.into());
    }
    let mut documents = Vec::new();
    for source in found.files {
        documents.extend(source.read()?);
    }
    Ok(documents)
}
