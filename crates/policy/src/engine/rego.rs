//! Rego in this process, by regorus: `data.bailiwick.allow` for `input.claims` and `input.label`.

use std::collections::HashSet;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use regorus::utils::limits::ExecutionTimerConfig;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::{Engine, Question, Said, Unavailable};
use crate::label::LabelId;
use crate::policy::PolicyError;

use compile::Compiled;
pub(crate) use confined::Confined;
use source::Sources;

mod compile;
mod confined;
mod evaluate;
mod parts;
mod reads;
mod source;
mod suite;

pub use confined::serve_proposed_rego;
pub use source::RegoTexts;
pub use suite::RegoTest;

/// The one rule that decides.
const ALLOW: &str = "data.bailiwick.allow";

/// `[policy.rego]`.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegoConfig {
    /// Files of Rego v1, or folders whose `*.rego` files are read.
    #[schema(value_type = Vec<String>)]
    pub files: Vec<PathBuf>,
    /// JSON documents that are merged into `data`. Default: none.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub data: Vec<PathBuf>,
    /// The longest that one decision may take, over all labels. Default: 2000.
    #[serde(default = "two_seconds")]
    pub timeout_ms: u64,
    /// The most instructions of one evaluation. Default: 100000.
    #[serde(default = "hundred_thousand")]
    pub max_instructions: usize,
    /// The most memory of one evaluation, in MiB. Default: 16.
    #[serde(default = "sixteen")]
    pub max_memory_mib: u64,
}

impl Default for RegoConfig {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            data: Vec::new(),
            timeout_ms: two_seconds(),
            max_instructions: hundred_thousand(),
            max_memory_mib: sixteen(),
        }
    }
}

fn two_seconds() -> u64 {
    2000
}

fn hundred_thousand() -> usize {
    100_000
}

fn sixteen() -> u64 {
    16
}

/// A policy in Rego, compiled.
#[derive(Debug)]
pub(crate) struct Rego {
    config: RegoConfig,
    source: String,
    compiled: Arc<Compiled>,
    limits: Limits,
    /// One decision at a time takes all cores, so more at once would only wait for each other.
    turn: Arc<Semaphore>,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    time: Duration,
    instructions: usize,
    memory: NonZeroU64,
}

impl Rego {
    pub(crate) fn open(config: &RegoConfig) -> Result<Self, PolicyError> {
        Self::new(config, &Sources::read(config)?)
    }

    fn new(config: &RegoConfig, sources: &Sources) -> Result<Self, PolicyError> {
        let none = || PolicyError::engine("rego", "a limit of 0 allows nothing; leave it out");
        let memory = NonZeroU64::new(config.max_memory_mib.saturating_mul(1 << 20));
        let limits = Limits {
            time: Duration::from_millis(config.timeout_ms),
            instructions: config.max_instructions,
            memory: memory.ok_or_else(none)?,
        };
        if limits.time.is_zero() || limits.instructions == 0 {
            return Err(none());
        }
        Ok(Self {
            config: config.clone(),
            source: sources.digest(),
            compiled: Arc::new(Compiled::new(sources)?),
            limits,
            turn: Arc::new(Semaphore::new(1)),
        })
    }
}

#[async_trait]
impl Engine for Rego {
    fn name(&self) -> &'static str {
        "policy.rego"
    }

    fn source(&self) -> &str {
        &self.source
    }

    async fn allowed(&self, question: Question) -> Result<HashSet<LabelId>, Unavailable> {
        let _turn = self.turn.acquire().await;
        let (compiled, limits) = (Arc::clone(&self.compiled), self.limits);
        let decided =
            tokio::task::spawn_blocking(move || evaluate::allowed(&compiled, limits, &question));
        decided.await.map_err(|error| Unavailable::because(format!("Rego broke off: {error}")))?
    }

    async fn because(&self, question: Question, _: bool) -> Result<Vec<Said>, Unavailable> {
        let (compiled, limits) = (Arc::clone(&self.compiled), self.limits);
        let said = tokio::task::spawn_blocking(move || compiled.because(limits, &question));
        said.await.map_err(|error| Unavailable::because(format!("Rego broke off: {error}")))?
    }

    fn remade(&self) -> Result<Option<Arc<dyn Engine>>, PolicyError> {
        let sources = Sources::read(&self.config)?;
        if sources.digest() == self.source {
            return Ok(None);
        }
        Ok(Some(Arc::new(Self::new(&self.config, &sources)?)))
    }
}

impl Limits {
    fn timer(self) -> ExecutionTimerConfig {
        ExecutionTimerConfig {
            limit: self.time,
            check_interval: NonZeroU32::MIN.saturating_add(1023),
        }
    }
}
