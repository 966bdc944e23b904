//! A policy in Rego whose text came with a request: evaluated by a worker process, because regorus
//! bounds neither what one call of a built-in function allocates nor what the compiler takes.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bailiwick_worker::{Death, Limits, Worker, confine, serve};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::source::{RegoTexts, Sources};
use super::{Rego, RegoConfig, evaluate};
use crate::engine::{Asked, Engine, Question, Said, Unavailable};
use crate::label::LabelId;
use crate::policy::PolicyError;
use crate::schema::{AttributeConfig, Schema};

/// Arguments of this program that make it the worker.
const ARGUMENTS: [&str; 2] = ["worker", "rego"];
const LIMITS: Limits = Limits { memory_bytes: 512 << 20, cpu_seconds: 60 };
/// The longest that the compiler may take, and that one decision over all labels may.
const TIME: Duration = Duration::from_secs(10);
/// Bytes of an answer: a number of a few digits for each label.
const ANSWER_BYTES: u64 = 64 << 20;

/// Proposed policies that may be evaluated at a time.
static TURNS: Semaphore = Semaphore::const_new(1);

#[derive(Debug, Serialize, Deserialize)]
enum Request {
    Compile {
        files: Vec<(String, String)>,
        data: Vec<(String, String)>,
        attributes: Vec<AttributeConfig>,
    },
    Decide {
        claims: Map<String, Json>,
        /// As [`Schema::describe`] describes them.
        labels: Vec<Json>,
        columns: Vec<Vec<u32>>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
enum Response {
    Compiled,
    /// The allowed labels, by their places in the request.
    Allowed(Vec<u32>),
    /// The policy is wrong, or what it needs.
    Wrong(String),
    Unavailable(String),
}

/// A policy that lives in a worker process. The process ends with it.
#[derive(Debug)]
pub(crate) struct Confined {
    source: String,
    worker: Arc<Mutex<Worker>>,
    _turn: SemaphorePermit<'static>,
}

impl Confined {
    /// Compiles the texts in a new worker, with the limits that are the default.
    pub(crate) async fn new(texts: &RegoTexts, schema: &Schema) -> Result<Self, PolicyError> {
        let stopped =
            |error: &dyn std::fmt::Display| PolicyError::engine("rego", error.to_string());
        let turn = TURNS.acquire().await.map_err(|error| stopped(&error))?;
        let sources = texts.sources();
        let source = sources.digest();
        let Sources { files, data } = sources;
        let attributes = schema.configured().to_vec();
        let compile = Request::Compile { files, data, attributes };
        let started = tokio::task::spawn_blocking(move || {
            let mut worker = Worker::start(&ARGUMENTS)?;
            let answer = call(&mut worker, &compile)?;
            // A caller that hangs up gives no turn to another while this one is still compiled.
            Ok::<_, Death>((worker, turn, answer))
        });
        let started = started.await.map_err(|error| stopped(&error))?;
        match started.map_err(|death| stopped(&death))? {
            (worker, turn, Response::Compiled) => {
                let worker = Arc::new(Mutex::new(worker));
                Ok(Self { source, worker, _turn: turn })
            }
            (_, _, Response::Wrong(problem)) => Err(PolicyError::engine("rego", problem)),
            (_, _, other) => Err(stopped(&format!("the worker answered {other:?}"))),
        }
    }
}

#[async_trait]
impl Engine for Confined {
    fn name(&self) -> &'static str {
        "policy.rego"
    }

    fn source(&self) -> &str {
        &self.source
    }

    async fn allowed(&self, question: Question) -> Result<HashSet<LabelId>, Unavailable> {
        let asked = Arc::clone(&question.asked.labels);
        let decide = Request::Decide {
            claims: (*question.claims).clone(),
            labels: asked.iter().map(|(_, label)| question.schema.describe(label)).collect(),
            columns: question.asked.columns.to_vec(),
        };
        let worker = Arc::clone(&self.worker);
        let answer = tokio::task::spawn_blocking(move || {
            call(&mut worker.lock().unwrap_or_else(PoisonError::into_inner), &decide)
        });
        let answer = answer.await.map_err(|error| Unavailable::because(error.to_string()))?;
        match answer.map_err(|death| Unavailable::beyond_limits(death.to_string()))? {
            Response::Allowed(places) => {
                let label = |place: &u32| asked.get(*place as usize).map(|(id, _)| *id);
                let allowed: Option<HashSet<LabelId>> = places.iter().map(label).collect();
                allowed.ok_or_else(|| Unavailable::because("the worker names no label"))
            }
            Response::Unavailable(cause) => Err(Unavailable::beyond_limits(cause)),
            other => Err(Unavailable::because(format!("the worker answered {other:?}"))),
        }
    }

    async fn because(&self, _: Question, _: bool) -> Result<Vec<Said>, Unavailable> {
        Err(Unavailable::because("a proposed policy is compared and not explained"))
    }
}

fn call(worker: &mut Worker, request: &Request) -> Result<Response, Death> {
    let request = serde_json::to_vec(request).map_err(io::Error::from)?;
    let answer = worker.call(&request, TIME, ANSWER_BYTES)?;
    Ok(serde_json::from_slice(&answer).map_err(io::Error::from)?)
}

/// Evaluates proposed policies for the process that started this one, within limits.
///
/// # Errors
/// When the limits cannot be set, or a pipe fails.
pub fn serve_proposed_rego() -> io::Result<()> {
    confine(LIMITS)?;
    let mut compiled = None;
    serve(|request| {
        let answer = match serde_json::from_slice(request) {
            Ok(request) => answer(request, &mut compiled),
            Err(error) => Response::Wrong(error.to_string()),
        };
        // A response holds numbers and text, which are always JSON.
        serde_json::to_vec(&answer).unwrap_or_default()
    })
}

fn answer(request: Request, kept: &mut Option<(Rego, Arc<Schema>)>) -> Response {
    match (request, kept) {
        (Request::Compile { files, data, attributes }, kept) => {
            match compile(&Sources { files, data }, &attributes) {
                Ok(compiled) => {
                    *kept = Some(compiled);
                    Response::Compiled
                }
                Err(problem) => Response::Wrong(problem),
            }
        }
        (Request::Decide { claims, labels, columns }, Some((rego, schema))) => {
            let labels = (0_u32..).zip(labels).map(|(place, described)| {
                let label = schema.label(described.as_object().unwrap_or(&Map::new()));
                Ok((LabelId::from_u32(place), label.map_err(|error| error.to_string())?))
            });
            let labels: Result<Vec<_>, String> = labels.collect();
            match labels {
                Ok(labels) => {
                    let asked = Asked { labels: labels.into(), columns: columns.into() };
                    decide(rego, Question { claims: claims.into(), asked, schema: schema.clone() })
                }
                Err(problem) => Response::Wrong(problem),
            }
        }
        (Request::Decide { .. }, None) => Response::Wrong("no policy was sent yet".to_owned()),
    }
}

fn compile(
    sources: &Sources,
    attributes: &[AttributeConfig],
) -> Result<(Rego, Arc<Schema>), String> {
    let schema = Schema::new(attributes).map_err(|error| error.to_string())?;
    match Rego::new(&RegoConfig::default(), sources) {
        Ok(rego) => Ok((rego, Arc::new(schema))),
        Err(PolicyError::Engine { problem, .. }) => Err(problem),
        Err(other) => Err(other.to_string()),
    }
}

fn decide(rego: &Rego, question: Question) -> Response {
    match evaluate::allowed(&rego.compiled, rego.limits, &question) {
        Ok(allowed) => Response::Allowed(allowed.iter().map(|label| label.as_u32()).collect()),
        Err(unavailable) => Response::Unavailable(unavailable.cause().to_owned()),
    }
}
