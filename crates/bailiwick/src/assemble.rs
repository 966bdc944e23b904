//! Configuration → the parts that do the work.

use std::sync::Arc;

use anyhow::{Context, Result};
use bailiwick_authority::{Audit, Authority, Vault};
use bailiwick_identity::Verifier;
use bailiwick_index::{EmbeddedIndex, Index, Options};
use bailiwick_ingest::Intake;
use bailiwick_models::Embedder;
use bailiwick_policy::{ClaimPath, Policy, Schema};
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
    pub(crate) index: Arc<dyn Index>,
    pub(crate) embedder: Arc<dyn Embedder>,
    pub(crate) intake: Intake,
}

pub(crate) fn store(config: &Config, schema: Arc<Schema>) -> Result<Store> {
    let embedder = bailiwick_models::embedder(&config.embedding, &config.data_dir)?;
    let folder = config.data_dir.join("index");
    let (space, dimensions) = (embedder.id().to_owned(), embedder.dimensions());
    let options = Options::new(folder, Arc::clone(&schema), space, dimensions);
    let index: Arc<dyn Index> = Arc::new(EmbeddedIndex::open(options)?);
    let intake = Intake::new(schema, Arc::clone(&embedder), Arc::clone(&index));
    Ok(Store { index, embedder, intake })
}

/// Everything that a server is made of.
pub(crate) fn app(config: &Config) -> Result<App> {
    let policy = Arc::new(policy(config)?);
    let verifier = Verifier::start(config.identity.clone())?;
    let (authority, audit) = authority(config)?;
    let vault = Vault::new(config.vault.collections.clone(), Arc::clone(&audit))?;
    let reranker = bailiwick_models::reranker(&config.rerank)?;
    let answerer = bailiwick_answer::answerer(&config.answer)?;
    let Store { index, embedder, intake } = store(config, Arc::clone(policy.schema()))?;
    let metrics = PrometheusBuilder::new().install_recorder().context("metrics cannot be kept")?;
    let settings = settings(config);
    Ok(App::new(Parts {
        verifier,
        policy,
        index,
        embedder,
        reranker,
        answerer,
        intake,
        authority,
        audit,
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
        admin: admin.map(|admin| (ClaimPath::new(&admin.claim), admin.value.clone())),
        limits: config.limits,
    }
}
