//! Engines besides the rules: whoever answers "which of these labels may these claims read".

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value as Json};
use thiserror::Error;

use crate::label::{Label, LabelId};
use crate::policy::PolicyError;
use crate::rules::PolicyConfig;
use crate::schema::Schema;

pub(crate) mod authzen;
pub(crate) mod opa;
pub(crate) mod rego;
pub(crate) mod remote;

/// What `policy.engine` may be.
const NAMES: [&str; 4] = ["rules", "rego", "opa", "authzen"];

/// Labels to decide.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// With their numbers, each once, none of them in quarantine.
    pub(crate) labels: Arc<[(LabelId, Label)]>,
    /// For each attribute a number for the value of each label; equal numbers are equal values.
    pub(crate) columns: Arc<[Vec<u32>]>,
}

/// What an engine is asked: everything it needs, and nothing else that is known.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// The claims that the engine is told, typed ([`Disclosure`](crate::disclosure::Disclosure)).
    pub(crate) claims: Arc<Map<String, Json>>,
    pub(crate) asked: Asked,
    pub(crate) schema: Arc<Schema>,
}

/// What of a label and of claims something depends on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reads {
    /// All of the label may be read.
    pub(crate) everything: bool,
    /// Attributes of the label.
    pub(crate) attributes: BTreeSet<String>,
    /// Members of the claims.
    pub(crate) claims: BTreeSet<String>,
}

/// What an engine, or one condition of its policy, says of a label.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// The condition, and where it is written.
    pub(crate) text: String,
    pub(crate) reads: Reads,
    /// None when it cannot be said.
    pub(crate) holds: Option<bool>,
    /// What else there is to say.
    pub(crate) because: String,
}

impl Said {
    /// A decision of which only the engine knows what it was made of.
    fn decided(text: String, allowed: bool, because: String) -> Vec<Self> {
        vec![Self { text, reads: Reads::default(), holds: Some(allowed), because }]
    }
}

/// One state of a policy that is not made of rules. Another state is another engine.
///
/// An adapter is one file with one implementation, and one line in [`open`].
#[async_trait]
pub(crate) trait Engine: fmt::Debug + Send + Sync {
    /// Its table in the configuration, such as `policy.rego`.
    fn name(&self) -> &'static str;

    /// What the policy was made of, as far as it is known here.
    fn source(&self) -> &str;

    /// How long a decision may be remembered; without end where the policy changes only together
    /// with [`source`](Self::source).
    fn max_age(&self) -> Option<Duration> {
        None
    }

    /// Which of the labels may be read. Everything that is not the boolean `true`, given without
    /// an error, leaves a label out.
    async fn allowed(&self, question: Question) -> Result<HashSet<LabelId>, Unavailable>;

    /// Why the one label of the question may, or may not, be read, as far as the engine tells:
    /// the decision, then the conditions that it was made of.
    async fn because(&self, question: Question, allowed: bool) -> Result<Vec<Said>, Unavailable>;

    /// The engine made again of what its source is now; none while nothing has changed.
    fn remade(&self) -> Result<Option<Arc<dyn Engine>>, PolicyError> {
        Ok(None)
    }
}

/// Nobody decides now, so nobody reads: the engine cannot be reached, is too slow, or says what
/// makes no sense.
///
/// It prints as what a caller may know; the cause is for the log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the policy cannot be evaluated now; try again later")]
pub struct Unavailable {
    cause: String,
    is_beyond_limits: bool,
}

impl Unavailable {
    pub(crate) fn because(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), is_beyond_limits: false }
    }

    /// A policy that came with a request took more than it may.
    pub(crate) fn beyond_limits(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), is_beyond_limits: true }
    }

    /// Whether a proposed policy itself is to blame; then its author may know the cause.
    pub fn is_beyond_limits(&self) -> bool {
        self.is_beyond_limits
    }

    /// What happened, for the log.
    pub fn cause(&self) -> &str {
        &self.cause
    }
}

/// The engine that a configuration names; none for the rules alone.
pub(crate) fn open(config: &PolicyConfig) -> Result<Option<Arc<dyn Engine>>, PolicyError> {
    if !NAMES.contains(&config.engine.as_str()) {
        return Err(PolicyError::UnknownEngine);
    }
    let tables = [
        ("rego", config.rego.is_some()),
        ("opa", config.opa.is_some()),
        ("authzen", config.authzen.is_some()),
    ];
    if let Some((name, _)) = tables.iter().find(|(name, there)| *there && *name != config.engine) {
        let problem = format!("`engine = \"{}\"` does not use it; remove one", config.engine);
        return Err(PolicyError::engine(name, problem));
    }
    let missing = |name| PolicyError::engine(name, "this table is missing; the engine needs it");
    Ok(match config.engine.as_str() {
        "rego" => {
            let config = config.rego.as_ref().ok_or_else(|| missing("rego"))?;
            Some(Arc::new(rego::Rego::open(config)?))
        }
        "opa" => {
            let config = config.opa.as_ref().ok_or_else(|| missing("opa"))?;
            Some(Arc::new(opa::Opa::open(config)?))
        }
        "authzen" => {
            let config = config.authzen.as_ref().ok_or_else(|| missing("authzen"))?;
            Some(Arc::new(authzen::Authzen::open(config)?))
        }
        _ => None,
    })
}

/// Asks an engine, and believes only an answer about what was asked.
pub(crate) async fn ask(
    engine: &dyn Engine,
    question: Question,
) -> Result<HashSet<LabelId>, Unavailable> {
    let asked = Arc::clone(&question.asked.labels);
    let allowed = engine.allowed(question).await?;
    let among = asked.iter().filter(|(id, _)| allowed.contains(id)).count();
    if among != allowed.len() {
        return Err(Unavailable::because("the engine allows a label that it was not asked about"));
    }
    Ok(allowed)
}
