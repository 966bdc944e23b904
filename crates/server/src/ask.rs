//! The one path behind both questions: bailiwick → hits, maybe reranked → audit record → answer.

use bailiwick_authority::audit::{ClaimsRead, Event, Kind, Outcome};
use bailiwick_index::{Fusion, Hits, IndexError, Mode, Query, Size};
use bailiwick_models::{Embedder, Reranker};
use bailiwick_policy::{Bailiwick, Label, Narrowing};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::Reader;
use crate::orders;
use crate::problem::Problem;

/// A question.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// What is asked.
    query: String,
    /// The most sources, 1 to 100.
    #[serde(default = "five")]
    #[schema(default = 5)]
    top_k: usize,
    /// Which rankings are used: `hybrid`, `dense` or `lexical`.
    #[serde(default)]
    #[schema(value_type = String, default = "hybrid")]
    mode: Mode,
    /// Narrows what is searched: `{"attribute": value | [values] | {"operator": value}}`.
    #[serde(default, rename = "where")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>)]
    narrowing: Option<Value>,
    /// Compares the question with every permitted passage, however many there are.
    #[serde(default)]
    #[schema(default = false)]
    exact: bool,
    /// How the two rankings of `hybrid` become one: `convex` adds scores, `ranks` reciprocal ranks.
    #[serde(default)]
    #[schema(value_type = String, default = "convex")]
    fusion: Fusion,
    /// How much each source should differ from those before it, 0 to 1.
    #[serde(default)]
    #[schema(default = 0.0)]
    diversity: f32,
}

fn five() -> usize {
    5
}

/// What was found for a question, and for whom.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) question: String,
    pub(crate) hits: Hits,
    pub(crate) sources: Sources,
    bailiwick: Bailiwick,
}

/// The sources of an answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Sources {
    /// Best first.
    source_nodes: Vec<SourceNode>,
    /// The least label that is as secret as all sources: an answer is as secret as what it was
    /// made from.
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
    classification: Value,
    /// How much this person may read.
    bailiwick: Extent,
    /// The id of this retrieval's audit record.
    receipt: String,
}

/// A passage, in the shape of LlamaIndex's `NodeWithScore`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SourceNode {
    node: Node,
    /// Higher is better.
    score: f32,
}

/// A chunk, in the shape of LlamaIndex's `TextNode`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Node {
    /// `<document id>#<n>`.
    id_: String,
    /// The document's id.
    ref_doc_id: String,
    text: String,
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
    metadata: Map<String, Value>,
}

/// How much of the index somebody may read.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Extent {
    /// Labels that hold at least one chunk.
    labels: usize,
    /// Chunks.
    chunks: u64,
}

impl From<Size> for Extent {
    fn from(size: Size) -> Self {
        Self { labels: size.labels, chunks: size.chunks }
    }
}

impl Question {
    fn check(&self, app: &App) -> Result<(), Problem> {
        let limits = app.settings.limits;
        if self.query.trim().is_empty() {
            return Err(Problem::bad_request("query: write a question"));
        }
        if self.query.len() > limits.query_bytes {
            let most = limits.query_bytes;
            return Err(Problem::too_large(format!("query: a question has at most {most} bytes")));
        }
        if !(1..=limits.top_k).contains(&self.top_k) {
            return Err(Problem::bad_request(format!("top_k: write 1 to {}", limits.top_k)));
        }
        if !(0.0..=1.0).contains(&self.diversity) {
            return Err(Problem::bad_request("diversity: write 0 to 1"));
        }
        Ok(())
    }
}

/// Finds what answers a question inside the reader's bailiwick, and records that it was asked.
pub(crate) async fn find(
    app: &App,
    reader: &Reader,
    question: Question,
    receipt: String,
) -> Result<Found, Problem> {
    question.check(app)?;
    let _turn = app.turn().await;
    let mut bailiwick = reader.bailiwick.as_ref().clone();
    let size = app.index.size(&bailiwick).await.map_err(unavailable)?;
    if let Some(narrowing) = &question.narrowing {
        let narrowing = Narrowing::new(app.policy.schema(), narrowing)
            .map_err(|error| Problem::bad_request(error.to_string()))?;
        bailiwick = bailiwick.narrow(&narrowing, app.index.labels());
    }
    // Who asks for one ranking by name gets that one, also while the reranker is away.
    let reranker = app.reranker.as_ref().filter(|_| question.mode == Mode::Hybrid);
    let candidates = reranker.map_or(0, Reranker::candidates);
    let top_k = question.top_k.max(candidates);
    let mut hits = search(app, &question, top_k, &bailiwick).await?;
    if let Some(reranker) = reranker {
        rerank(reranker, &question, &mut hits).await?;
    }
    // A reranker may think for minutes: what was withdrawn meanwhile is neither on record as an
    // answer nor given.
    let mut hits = still_permitted(app, hits, &bailiwick).await?;
    hits.hits.truncate(question.top_k);
    let mut event = found(app, reader, &hits, &receipt);
    event.bailiwick_digest = Some(bailiwick.digest());
    app.questions.note(&question.query, &mut event);
    record(app, event).await?;
    // The record waited for the disk, and a model may be called next.
    let hits = still_permitted(app, hits, &bailiwick).await?;
    let sources = Sources::new(app, &hits, size, receipt);
    Ok(Found { question: question.query, hits, sources, bailiwick })
}

impl Found {
    /// What a model may read of it now: a stream asks the model only when its client reads on,
    /// which may be long after the sources were sent.
    pub(crate) async fn still_permitted(self, app: &App) -> Result<(String, Hits), Problem> {
        Ok((self.question, still_permitted(app, self.hits, &self.bailiwick).await?))
    }
}

/// The hits without those that were deleted, relabelled or ordered away since they were found.
async fn still_permitted(app: &App, hits: Hits, within: &Bailiwick) -> Result<Hits, Problem> {
    orders::obey(app).await?;
    app.index.reread(hits, within).await.map_err(unavailable)
}

async fn search(
    app: &App,
    question: &Question,
    top_k: usize,
    within: &Bailiwick,
) -> Result<Hits, Problem> {
    let query = embedded(app, question, top_k).await?;
    let found = match app.index.search(&query, within).await {
        // The index changed its embedder meanwhile, which it does once.
        Err(IndexError::OtherSpace { .. }) => {
            app.index.search(&embedded(app, question, top_k).await?, within).await
        }
        found => found,
    };
    found.map_err(unavailable)
}

/// The question as a query for the vectors that the index holds.
async fn embedded(app: &App, question: &Question, top_k: usize) -> Result<Query, Problem> {
    let embedder = app.embedders.of(&app.index.space());
    let vector = embed(&**embedder, question).await?;
    Ok(Query {
        dense_weight: embedder.dense_weight(),
        fusion: question.fusion,
        exact: question.exact,
        diversity: question.diversity,
        ..Query::new(question.query.clone(), embedder.id(), vector, top_k, question.mode)
    })
}

async fn embed(embedder: &dyn Embedder, question: &Question) -> Result<Vec<f32>, Problem> {
    if question.mode == Mode::Lexical {
        return Ok(Vec::new());
    }
    let embedded = embedder.embed(std::slice::from_ref(&question.query)).await;
    match embedded.map(|mut vectors| vectors.pop()) {
        Ok(Some(vector)) => Ok(vector),
        Ok(None) => Err(Problem::internal()),
        Err(error) => {
            tracing::error!(%error, "the question was not embedded");
            let detail =
                "The embedding model does not answer; ask with \"mode\": \"lexical\", or later.";
            Err(Problem::unavailable(detail))
        }
    }
}

/// Puts permitted hits in the reranker's order, ties by chunk id.
///
/// Without the reranker there is no answer: the first ranking in its place would be other sources
/// and other scores for the same question, and nobody would be told.
async fn rerank(reranker: &Reranker, question: &Question, hits: &mut Hits) -> Result<(), Problem> {
    let texts: Vec<&str> = hits.hits.iter().map(|hit| hit.text.as_str()).collect();
    let scores = reranker.scores(&question.query, &texts).await.map_err(|error| {
        tracing::error!(%error, "the hits were not reranked");
        let detail =
            "The reranker does not answer; ask with \"mode\": \"lexical\" or \"dense\", or later.";
        Problem::unavailable(detail)
    })?;
    for (hit, score) in hits.hits.iter_mut().zip(scores) {
        hit.score = score;
    }
    hits.hits.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    Ok(())
}

/// What this person reads, with nothing in it yet.
pub(crate) fn event(app: &App, reader: &Reader, receipt: &str) -> Event {
    let (said, missing) = app.policy.claims_read(&reader.claims);
    let mut event = Event::new(Kind::Retrieved, Outcome::Ok)
        .with_request(Some(receipt))
        .with_claims(ClaimsRead { said, missing });
    event.issuer = Some(reader.claims.issuer().to_owned());
    event.subject = Some(reader.claims.subject().to_owned());
    event.jti = reader.claims.token_id().map(str::to_owned);
    event.actors = actors(reader.claims.as_map().get("act"));
    event.policy_revision = Some(reader.bailiwick.policy_revision().to_owned());
    event.bailiwick_digest = Some(reader.bailiwick.digest());
    if let Some(through) = &reader.through {
        event.agent = Some(through.agent().to_owned());
        event.client_id = Some(through.client_id().to_owned());
        event.jti = Some(through.token_id().to_owned());
        event.actors.splice(0..0, through.actors().iter().cloned());
    }
    event
}

/// Who acts for the person, the one that came last first (RFC 8693 section 4.1).
fn actors(mut act: Option<&Value>) -> Vec<String> {
    let mut actors = Vec::new();
    while let Some(actor) = act {
        actors.extend(actor.get("sub").and_then(Value::as_str).map(str::to_owned));
        act = actor.get("act");
    }
    actors
}

/// Nothing is returned that is not on record.
pub(crate) async fn record(app: &App, event: Event) -> Result<(), Problem> {
    app.audit.record(event).await.map_err(|error| {
        tracing::error!(%error, "a retrieval was not recorded, so it is not answered");
        Problem::unavailable("The audit trail cannot be written, so nothing is answered.")
    })
}

/// What was found, with the labels of the documents.
fn found(app: &App, reader: &Reader, hits: &Hits, receipt: &str) -> Event {
    let labels = app.index.labels();
    let schema = app.policy.schema();
    let mut event = event(app, reader, receipt);
    event.index_revision = Some(hits.revision);
    for hit in &hits.hits {
        let document = hit.id.document.to_string();
        if !event.document_ids.contains(&document) {
            event.document_ids.push(document);
            let label = labels.label(hit.label).map(|label| schema.describe(&label).to_string());
            event.labels.extend(label);
        }
    }
    event
}

impl Sources {
    fn new(app: &App, hits: &Hits, bailiwick: Size, receipt: String) -> Self {
        let labels: Vec<Label> =
            hits.hits.iter().filter_map(|hit| app.index.labels().label(hit.label)).collect();
        let source_nodes = hits.hits.iter().map(|hit| SourceNode {
            node: Node {
                id_: hit.id.to_string(),
                ref_doc_id: hit.id.document.to_string(),
                text: hit.text.clone(),
                metadata: hit.metadata.clone(),
            },
            score: hit.score,
        });
        Self {
            source_nodes: source_nodes.collect(),
            classification: app.policy.schema().least_upper_bound(&labels),
            bailiwick: bailiwick.into(),
            receipt,
        }
    }
}

/// The caller learns that it does not work now; the log learns why.
pub(crate) fn unavailable(error: IndexError) -> Problem {
    tracing::error!(error = &error as &dyn std::error::Error, "the index failed");
    Problem::unavailable("The index cannot be read now; try again later.")
}
