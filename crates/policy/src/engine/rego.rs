//! Rego in this process, by regorus: `data.bailiwick.allow` for `input.claims` and `input.label`.

use std::collections::{BTreeMap, HashSet};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use regorus::rvm::program::Program;
use regorus::rvm::vm::RegoVM;
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{MemoryBudgetConfig, Value};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::{Engine, Question, Unavailable};
use crate::label::{Label, LabelId};
use crate::policy::PolicyError;
use crate::schema::Schema;
use crate::value::{Held, Scalar};

use compile::Compiled;
use source::Sources;

mod compile;
mod source;
mod suite;

pub use suite::RegoTest;

/// The one rule that decides.
const ALLOW: &str = "data.bailiwick.allow";
/// Evaluation recurses with the depth of a policy, which its author chooses.
const STACK_BYTES: usize = 16 << 20;
/// Fewer labels are not worth another thread.
const LABELS_PER_THREAD: usize = 1024;

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
    /// The most instructions for one label. Default: 100000.
    #[serde(default = "hundred_thousand")]
    pub max_instructions: usize,
    /// The most memory for one label, in MiB. Default: 16.
    #[serde(default = "sixteen")]
    pub max_memory_mib: u64,
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

    fn asks(&self) -> String {
        ALLOW.to_owned()
    }

    fn source(&self) -> &str {
        &self.source
    }

    async fn allowed(&self, question: Question) -> Result<HashSet<LabelId>, Unavailable> {
        let _turn = self.turn.acquire().await;
        let (compiled, limits) = (Arc::clone(&self.compiled), self.limits);
        let decided =
            tokio::task::spawn_blocking(move || on_all_cores(&compiled, limits, &question));
        decided.await.map_err(|error| Unavailable::because(format!("Rego broke off: {error}")))?
    }

    async fn because(&self, question: Question, _: bool) -> Result<String, Unavailable> {
        let (compiled, limits) = (Arc::clone(&self.compiled), self.limits);
        let lines = tokio::task::spawn_blocking(move || compiled.lines(limits, &question));
        lines.await.map_err(|error| Unavailable::because(format!("Rego broke off: {error}")))?
    }

    fn remade(&self) -> Result<Option<Arc<dyn Engine>>, PolicyError> {
        let sources = Sources::read(&self.config)?;
        if sources.digest() == self.source {
            return Ok(None);
        }
        Ok(Some(Arc::new(Self::new(&self.config, &sources)?)))
    }
}

/// Shares the labels among the cores; one that fails fails all.
fn on_all_cores(
    compiled: &Compiled,
    limits: Limits,
    question: &Question,
) -> Result<HashSet<LabelId>, Unavailable> {
    let deadline = Instant::now() + limits.time;
    let claims = Value::from(Json::Object((*question.claims).clone()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = question.labels.len().div_ceil(cores).max(LABELS_PER_THREAD);
    let broken = |_| Unavailable::because("Rego broke off");
    std::thread::scope(|scope| {
        let threads: Vec<_> = question
            .labels
            .chunks(share)
            .map(|labels| {
                let evaluate = || evaluate(compiled, limits, deadline, question, &claims, labels);
                std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, evaluate)
            })
            .collect();
        let mut allowed = HashSet::new();
        for thread in threads {
            let thread = thread.map_err(|error| Unavailable::because(error.to_string()))?;
            allowed.extend(thread.join().map_err(broken)??);
        }
        Ok(allowed)
    })
}

fn evaluate(
    compiled: &Compiled,
    limits: Limits,
    deadline: Instant,
    question: &Question,
    claims: &Value,
    labels: &[(LabelId, Label)],
) -> Result<Vec<LabelId>, Unavailable> {
    let late = || Unavailable::because(format!("Rego took longer than {:?}", limits.time));
    let mut machine = compiled.machine(limits)?;
    let mut interpreter = compiled.interpreter.clone();
    interpreter.set_execution_timer_config(limits.timer());
    let inputs = Inputs::new(&question.schema, claims);
    let mut allowed = Vec::new();
    let mut failed = (0_usize, None);
    for (id, label) in labels {
        let input = inputs.of(label);
        machine.set_input(input.clone());
        // The machine is quick and within bounds, but lets a call with an undefined argument run
        // (regorus 0.14.1). What it would open must be true for the interpreter too.
        let verdict = match machine.execute() {
            Ok(Value::Bool(true)) => {
                interpreter.set_input(input);
                interpreter.eval_rule(ALLOW.to_owned()).map_err(|error| error.to_string())
            }
            other => other.map_err(|error| error.to_string()),
        };
        match verdict {
            Ok(Value::Bool(true)) => allowed.push(*id),
            Ok(_) => {}
            // A label whose evaluation fails is closed, and the others are decided.
            Err(error) => {
                failed.0 += 1;
                failed.1.get_or_insert(error);
            }
        }
        if Instant::now() > deadline {
            return Err(late());
        }
    }
    if let (labels, Some(error)) = failed {
        tracing::warn!(labels, %error, "Rego failed on labels, which are therefore closed");
    }
    Ok(allowed)
}

impl Compiled {
    /// A machine that is ready for one label after another.
    fn machine(&self, limits: Limits) -> Result<RegoVM, Unavailable> {
        let mut machine = RegoVM::new();
        machine.load_program(Arc::<Program>::clone(&self.program));
        machine
            .set_data(self.data.clone())
            .map_err(|error| Unavailable::because(error.to_string()))?;
        machine.set_max_instructions(limits.instructions);
        machine.set_memory_budget_config(Some(MemoryBudgetConfig { limit: limits.memory }));
        machine.set_execution_timer_config(Some(limits.timer()));
        Ok(machine)
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

/// `input` for one label after another; what they have in common is made once.
struct Inputs<'a> {
    schema: &'a Schema,
    claims_key: Value,
    claims: Value,
    label_key: Value,
    names: Vec<Value>,
}

impl<'a> Inputs<'a> {
    fn new(schema: &'a Schema, claims: &Value) -> Self {
        let names = schema.attributes().iter().map(|attribute| attribute.name().into());
        Self {
            schema,
            claims_key: "claims".into(),
            claims: claims.clone(),
            label_key: "label".into(),
            names: names.collect(),
        }
    }

    fn of(&self, label: &Label) -> Value {
        let attributes = self.schema.attributes().iter().zip(&self.names);
        let held = attributes.zip(label.values().unwrap_or_default());
        let held = held.filter_map(|((attribute, name), held)| {
            let value = |scalar: &Scalar| match (attribute.kind.json(scalar), scalar) {
                (_, Scalar::Keyword(text)) => Value::from(&**text),
                (json, _) => Value::from(json),
            };
            let value = match held.as_ref()? {
                Held::One(scalar) => value(scalar),
                Held::Many(scalars) => scalars.iter().map(value).collect::<Vec<_>>().into(),
            };
            Some((name.clone(), value))
        });
        let label = Value::from(held.collect::<BTreeMap<_, _>>());
        let input =
            [(self.claims_key.clone(), self.claims.clone()), (self.label_key.clone(), label)];
        Value::from(BTreeMap::from(input))
    }
}
