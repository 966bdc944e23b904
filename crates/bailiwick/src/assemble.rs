//! Configuration → the parts that do the work.

use std::sync::Arc;

use anyhow::{Context, Result};
use bailiwick_authority::audit::{Questions, Writers};
use bailiwick_authority::{Audit, Authority, Vault};
use bailiwick_identity::Verifier;
use bailiwick_index::{EmbeddedIndex, Index, Options};
use bailiwick_ingest::{Intake, change_embedder};
use bailiwick_models::{Embedder, Embedders};
use bailiwick_policy::{AdminRule, Policy, Schema};
use bailiwick_server::{App, Parts, Settings};
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::config::Config;

pub(crate) fn schema(config: &Config) -> Result<Arc<Schema>> {
    Ok(Arc::new(Schema::new(&config.attributes)?))
}

pub(crate) fn policy(config: &Config) -> Result<Policy> {
    Ok(Policy::new(&config.policy, schema(config)?)?)
}

pub(crate) fn authority(config: &Config) -> Result<(Authority, Arc<Audit>)> {
    let audit = Arc::new(Audit::open(&config.data_dir)?);
    let authority =
        Authority::open(&config.data_dir, config.authority.clone(), Arc::clone(&audit))?;
    Ok((authority, audit))
}

/// The index and the only way into it.
pub(crate) struct Store {
    index: EmbeddedIndex,
    embedders: Embedders,
    pub(crate) intake: Intake,
}

pub(crate) fn store(config: &Config, schema: Arc<Schema>, audit: &Audit) -> Result<Store> {
    let embedders = Embedders::configured(&config.embedding, &config.data_dir)?;
    let folder = config.data_dir.join("index");
    let space = |embedder: &Arc<dyn Embedder>| (embedder.id().to_owned(), embedder.dimensions());
    let (wanted, dimensions) = space(embedders.wanted());
    let former = embedders.former().map(space);
    let options =
        Options { former, ..Options::new(folder, Arc::clone(&schema), wanted, dimensions) };
    let index = EmbeddedIndex::open(options)?;
    complete_contributors(&index, audit, config)?;
    let intake = Intake::new(schema, embedders.clone(), Arc::new(index.clone()));
    Ok(Store { index, embedders, intake })
}

/// Fills in, once, what an index of an older release does not know of who wrote its documents.
fn complete_contributors(index: &EmbeddedIndex, audit: &Audit, config: &Config) -> Result<()> {
    if !index.lacks_contributors()? {
        return Ok(());
    }
    let Writers { pairs, is_whole } = audit.writers(&config.authority.trust_domain)?;
    let added = index.complete_contributors(&pairs, is_whole)?;
    tracing::info!(added, "the audit trail told which agents wrote which documents");
    if !is_whole {
        tracing::warn!(
            "part of the audit trail was pruned, and with it which agents had a hand in the \
             documents that are stored now: `bailiwick agents revoke --quarantine` names them"
        );
    }
    Ok(())
}

/// Brings the index to the vectors of the wanted embedder, beside everything else.
fn change_vectors(index: &EmbeddedIndex, embedders: &Embedders) {
    let (index, wanted) = (index.clone(), Arc::clone(embedders.wanted()));
    if *index.space() != *wanted.id() {
        tokio::spawn(async move { change_embedder(&index, &*wanted).await });
    }
}

/// Everything that a server is made of.
pub(crate) fn app(config: &Config) -> Result<App> {
    let policy = Arc::new(policy(config)?);
    let verifier = Verifier::start(config.identity.clone())?;
    let (authority, audit) = authority(config)?;
    let authority = authority.with_people(Arc::clone(&verifier));
    let vault = Vault::new(config.vault.collections.clone(), Arc::clone(&audit))?;
    let reranker = bailiwick_models::reranker(&config.rerank)?;
    let answerer = bailiwick_answer::answerer(&config.answer)?;
    let Store { index, embedders, intake } = store(config, Arc::clone(policy.schema()), &audit)?;
    let questions = Questions::open(&config.data_dir, config.audit.query)?;
    let metrics = PrometheusBuilder::new().install_recorder().context("metrics cannot be kept")?;
    let settings = settings(config);
    change_vectors(&index, &embedders);
    tokio::spawn(authority.clone().look_after_trail(config.audit));
    tokio::spawn(Policy::follow(Arc::downgrade(&policy)));
    Ok(App::new(Parts {
        verifier,
        policy,
        index: Arc::new(index),
        embedders,
        reranker,
        answerer,
        intake,
        authority,
        audit,
        questions,
        vault,
        settings,
        metrics,
    }))
}

fn settings(config: &Config) -> Settings {
    let admin = config.admin.as_ref();
    Settings {
        public_url: config.public_url(),
        issuer: config.identity.issuer.clone(),
        client_id: config.app.client_id.clone(),
        scopes: config.app.scopes.clone(),
        suggestions: config.app.suggestions.clone(),
        provider_origins: config.app.provider_origins.clone(),
        web_folder: config.app.folder.clone(),
        admin: admin.map(|admin| AdminRule::new(&admin.claim, &admin.value)),
        limits: config.limits,
    }
}
