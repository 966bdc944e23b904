//! What every route can reach.

use std::path::PathBuf;
use std::sync::Arc;

use bailiwick_answer::Answerer;
use bailiwick_authority::audit::Questions;
use bailiwick_authority::{Audit, Authority, Vault};
use bailiwick_identity::Verifier;
use bailiwick_index::Index;
use bailiwick_ingest::Intake;
use bailiwick_models::{Embedders, Reranker};
use bailiwick_policy::{AdminRule, Policy};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::attempts::FailedAttempts;
use crate::web::Web;

/// The parts that the server is made of, shared by all requests.
#[derive(Clone, Debug)]
pub struct App(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    parts: Parts,
    /// Taken only once a request is read and its caller known, so that slow ones keep nobody out.
    searches: Semaphore,
    web: Web,
}

/// Everything that [`App`] holds. Each part is the only way to make the next one's input.
pub struct Parts {
    /// Token → claims.
    pub verifier: Arc<Verifier>,
    /// Claims → bailiwick.
    pub policy: Arc<Policy>,
    /// Bailiwick → hits.
    pub index: Arc<dyn Index>,
    /// Question → vector.
    pub embedders: Embedders,
    /// Hits → better order; none where the search has the last word.
    pub reranker: Option<Reranker>,
    /// Hits → answer.
    pub answerer: Arc<dyn Answerer>,
    /// Documents → index.
    pub intake: Intake,
    /// Agents and their tokens.
    pub authority: Authority,
    /// What happened.
    pub audit: Arc<Audit>,
    /// What the trail keeps of a question.
    pub questions: Questions,
    /// The protected records.
    pub vault: Vault,
    /// What the configuration says of the routes.
    pub settings: Settings,
    /// What `/metrics` prints.
    pub metrics: PrometheusHandle,
}

/// What the configuration says of the routes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where people reach this server, without a slash at the end.
    pub public_url: String,
    /// Who signs people in.
    pub issuer: String,
    /// The web app's client id at the identity provider.
    pub client_id: String,
    /// What the web app asks for at sign-in.
    pub scopes: Vec<String>,
    /// Questions that the web app offers to begin with.
    pub suggestions: Vec<String>,
    /// Origins that the web app may talk to besides this server's and the issuer's.
    pub provider_origins: Vec<String>,
    /// The web app is served from here and not as it was embedded, while somebody works on it.
    pub web_folder: Option<PathBuf>,
    /// What makes an administrator; without it there are none.
    pub admin: Option<AdminRule>,
    /// What a request may ask for.
    pub limits: Limits,
}

/// `[limits]` of the configuration: what a request may ask for.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The longest question, in bytes of UTF-8. Default: 8192.
    pub query_bytes: usize,
    /// The most sources. Default: 100.
    pub top_k: usize,
    /// The largest batch of documents, in bytes. Default: 64 MiB.
    pub documents_bytes: usize,
    /// Searches under way at once; more wait. Default: 512.
    pub concurrency: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { query_bytes: 8192, top_k: 100, documents_bytes: 64 << 20, concurrency: 512 }
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl App {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        let searches = Semaphore::new(parts.settings.limits.concurrency);
        let web = Web::new(&parts.settings);
        Self(Arc::new(Shared { parts, searches, web }))
    }

    /// The web app's files.
    pub(crate) fn web(&self) -> &Web {
        &self.0.web
    }

    /// Checks that people can be answered now.
    ///
    /// # Errors
    /// The reason why not, for an operator.
    pub(crate) async fn ready(&self) -> Result<(), String> {
        self.verifier.readiness()?;
        self.audit.readiness().await.map_err(|error| error.to_string())?;
        self.authority.readiness().map_err(|error| error.to_string())?;
        self.authority.check_clock().await.map_err(|error| error.to_string())?;
        self.index.readiness().map_err(|error| error.to_string())
    }

    /// Waits for a turn to search; it is over when the result is dropped.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.0.searches.acquire().await.ok()
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0.parts
    }
}

/// The state of the routes that check credentials by themselves.
#[derive(Clone, Debug)]
pub(crate) struct TokenApp {
    pub(crate) app: App,
    pub(crate) attempts: Arc<FailedAttempts>,
}
