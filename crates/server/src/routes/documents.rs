//! `/api/documents`: people read, agents write.

use axum::Json;
use axum::extract::{Extension, FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use bailiwick_authority::Grant;
use bailiwick_authority::audit::{Event, Kind, Outcome};
use bailiwick_index::{Document, DocumentId, Receipt, SourceName};
use bailiwick_ingest::{IntakeError, Metadata, SourceDocument, Stamp, Unlabelled};
use bailiwick_policy::{Bounds, BoundsError, Ceiling, Step};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tracing::Instrument;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::ask;
use crate::caller::{Agent, Reader, insufficient_scope, undecided};
use crate::input::{Body, Parameters, Segment};
use crate::problem::Problem;
use crate::request_id::RequestId;

/// The scope that writing takes.
pub(crate) const WRITE: &str = "write:documents";
/// The most ids that a refused write leaves on record.
const REFUSED_IDS: usize = 100;

/// Documents to store, all or none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    /// `{"id", "text", "metadata"}` each; the attributes stand in the metadata.
    #[schema(value_type = Vec<Object>)]
    documents: Vec<SourceDocument>,
    /// The source that the documents belong to, such as a folder's path. Default: the agent. An id
    /// of another source is refused with 409.
    source: Option<String>,
    /// Whether documents of other sources are replaced.
    #[serde(default)]
    replace: bool,
}

/// The source that a document belongs to: one of another source is refused with 409.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Owner {
    /// The source's name, such as a folder's path. Default: the agent.
    source: Option<String>,
    /// Whether a document of another source is removed too.
    #[serde(default)]
    replace: bool,
}

impl Owner {
    fn source(&self) -> Result<Option<SourceName>, Problem> {
        let source = self.source.as_deref().map(SourceName::new).transpose();
        source.map_err(|problem| Problem::bad_request(format!("source: {problem}")))
    }
}

/// A document as its reader sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Text {
    id: String,
    /// The whole text.
    text: String,
    /// Attributes, stamps, and whatever its owner sent.
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
    metadata: Map<String, Value>,
}

/// Why somebody may read a document.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Why {
    id: String,
    /// What it takes to read it.
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
    label: Value,
    /// The rules that hold.
    rules: Vec<Step>,
    /// Names the policy that decided.
    policy_revision: String,
}

/// What a write did. It is durable and searchable.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Written {
    /// Documents written or removed.
    documents: usize,
    /// Chunks written or removed.
    chunks: usize,
    /// The index's revision after the write.
    revision: u64,
}

/// An agent that may write, up to its ceiling.
#[derive(Debug)]
pub(crate) struct Writer(Grant, Ceiling);

/// What an agent that may write has sent. The agent is looked at before the body, which may be
/// large, and again after it, which may take minutes: a revoked one begins no write.
#[derive(Debug)]
pub(crate) struct Sent<T>(Writer, T);

impl FromRequestParts<App> for Writer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Agent(grant) = Agent::from_request_parts(parts, app).await?;
        let (cause, problem) = match (grant.require(WRITE), ceiling(&grant, app)) {
            (Ok(()), Ok(ceiling)) => return Ok(Self(grant, ceiling)),
            (Err(lacking), _) => (lacking.to_string(), insufficient_scope(WRITE, app)),
            (_, Err(error)) => {
                let detail = "This agent's ceiling does not fit the schema; delegate to it anew.";
                (error.to_string(), Problem::forbidden(detail))
            }
        };
        let mut event = grant.event(Kind::Ingested, Outcome::Refused);
        event.detail = Some(cause);
        event.scope = Some(WRITE.to_owned());
        event.request_id = Some(RequestId::of(&parts.extensions));
        if let Err(error) = app.audit.record(event).await {
            tracing::error!(%error, "a refusal was not recorded");
        }
        Err(problem)
    }
}

impl<T: DeserializeOwned + Send> FromRequest<App> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        Writer::from_request_parts(&mut parts, app).await?;
        let request = Request::from_parts(parts.clone(), body);
        let Body(sent) = Body::from_request(request, app).await?;
        Ok(Self(Writer::from_request_parts(&mut parts, app).await?, sent))
    }
}

/// The labels that an agent may write, as this schema understands what was delegated.
fn ceiling(grant: &Grant, app: &App) -> Result<Ceiling, BoundsError> {
    let schema = app.policy.schema();
    let bounds = grant.ceilings().iter().map(|bounds| Bounds::new(schema, bounds));
    bounds.collect::<Result<_, _>>().map(Ceiling::new)
}

/// A document that the caller may read. Forbidden and absent look the same.
#[utoipa::path(get, path = "/api/documents/{id}", tag = "people", params(("id" = String, Path)),
    responses((status = 200, body = Text), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(app): State<App>,
    Extension(request): Extension<RequestId>,
    reader: Reader,
    Segment(id): Segment,
) -> Result<Json<Text>, Problem> {
    let document = permitted(&app, &reader, request, &id).await?;
    Ok(Json(Text { id, text: document.text, metadata: document.metadata }))
}

/// Why the caller may read a document. Forbidden and absent look the same.
#[utoipa::path(get, path = "/api/documents/{id}/why", tag = "people", params(("id" = String, Path)),
    responses((status = 200, body = Why), (status = 404, body = Problem)))]
pub(crate) async fn why(
    State(app): State<App>,
    Extension(request): Extension<RequestId>,
    reader: Reader,
    Segment(id): Segment,
) -> Result<Json<Why>, Problem> {
    let document = permitted(&app, &reader, request, &id).await?;
    let schema = app.policy.schema();
    let label = schema.label(&document.metadata).map_err(|_| Problem::not_found())?;
    let explained = app.policy.explain(reader.claims.as_map(), &label).await;
    let explanation = explained.map_err(undecided)?.for_reader();
    Ok(Json(Why {
        id,
        label: schema.describe(&label),
        rules: explanation.steps,
        policy_revision: explanation.policy_revision,
    }))
}

/// The document, if the caller may read it; on record either way.
async fn permitted(
    app: &App,
    reader: &Reader,
    request: RequestId,
    id: &str,
) -> Result<Document, Problem> {
    let id = DocumentId::new(id).map_err(|_| Problem::not_found())?;
    let found = app.index.document(&id, &reader.bailiwick).await.map_err(ask::unavailable)?;
    let mut event = ask::event(app, reader, &request.to_string());
    event.index_revision = Some(app.index.revision());
    if let Some(document) = &found {
        event.document_ids.push(document.id.to_string());
        let schema = app.policy.schema();
        let label = schema.label(&document.metadata).ok();
        event.labels.extend(label.map(|label| schema.describe(&label).to_string()));
    }
    ask::record(app, event).await?;
    found.ok_or_else(Problem::not_found)
}

/// Stores documents; they are durable and searchable when this answers.
#[utoipa::path(post, path = "/api/documents", tag = "agents", request_body = Batch,
    responses((status = 200, body = Written), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn write(
    State(app): State<App>,
    Extension(request): Extension<RequestId>,
    Sent(Writer(grant, ceiling), batch): Sent<Batch>,
) -> Result<Json<Written>, Problem> {
    let ids: Vec<String> = batch.documents.iter().map(|document| document.id.clone()).collect();
    let owner = Owner { source: batch.source, replace: batch.replace };
    let stamp = stamp(&grant, ceiling, &owner)?;
    to_the_end(async move {
        let stored = app.intake.store(batch.documents, &stamp, Unlabelled::Refuse).await;
        finish(&app, &grant, request, ids, stored.map(Some)).await
    })
    .await
}

/// Gives a document other metadata; in force for every query that starts after the answer.
#[utoipa::path(put, path = "/api/documents/{id}/metadata", tag = "agents",
    params(("id" = String, Path)), request_body = Object,
    responses((status = 200, body = Written), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn relabel(
    State(app): State<App>,
    Extension(request): Extension<RequestId>,
    Segment(id): Segment,
    Sent(Writer(grant, ceiling), Metadata(metadata)): Sent<Metadata>,
) -> Result<Json<Written>, Problem> {
    let stamp = stamp(&grant, ceiling, &Owner::default())?;
    to_the_end(async move {
        let changed = app.intake.set_metadata(&id, metadata, &stamp).await;
        finish(&app, &grant, request, vec![id], changed).await
    })
    .await
}

/// Removes a document.
#[utoipa::path(delete, path = "/api/documents/{id}", tag = "agents", params(("id" = String, Path), Owner),
    responses((status = 200, body = Written), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn remove(
    State(app): State<App>,
    Extension(request): Extension<RequestId>,
    Writer(grant, ceiling): Writer,
    Segment(id): Segment,
    Parameters(owner): Parameters<Owner>,
) -> Result<Json<Written>, Problem> {
    let stamp = stamp(&grant, ceiling, &owner)?;
    to_the_end(async move {
        let removed = app.intake.remove_from(std::slice::from_ref(&id), &stamp).await;
        let removed = removed.map(|receipt| (receipt.documents > 0).then_some(receipt));
        finish(&app, &grant, request, vec![id], removed).await
    })
    .await
}

/// Goes on when the caller hangs up, which would otherwise end a write before it is on record.
async fn to_the_end(
    write: impl Future<Output = Result<Receipt, Problem>> + Send + 'static,
) -> Result<Json<Written>, Problem> {
    let ended = tokio::spawn(write.in_current_span()).await;
    ended
        .map_err(|error| {
            tracing::error!(%error, "a write did not end by itself");
            Problem::internal()
        })?
        .map(|Receipt { documents, chunks, revision }| {
            Json(Written { documents, chunks, revision })
        })
}

fn stamp(grant: &Grant, ceiling: Ceiling, owner: &Owner) -> Result<Stamp, Problem> {
    Ok(Stamp {
        ingested_by: grant.spiffe_id().to_owned(),
        actors: grant.actors().to_vec(),
        token_jti: Some(grant.token_id().to_owned()),
        scope: Some(WRITE.to_owned()),
        ceiling,
        source: owner.source()?,
        replace: owner.replace,
    })
}

/// Records what became of a write, and turns its error into the caller's. None: there was no such
/// document, which is on record too, because asking for many ids finds out which exist.
async fn finish(
    app: &App,
    grant: &Grant,
    request: RequestId,
    ids: Vec<String>,
    written: Result<Option<Receipt>, IntakeError>,
) -> Result<Receipt, Problem> {
    let mut event = written_event(grant, &written);
    event.document_ids = recorded(ids, event.outcome);
    event.request_id = Some(request.to_string());
    event.scope = Some(WRITE.to_owned());
    app.audit.record(event).await.map_err(|error| {
        tracing::error!(%error, "a write was not recorded");
        Problem::unavailable("The audit trail cannot be written; the write is not acknowledged.")
    })?;
    written.map_err(refused)?.ok_or_else(Problem::not_found)
}

/// The ids that go on record: all of a write that was let through, and the first of a refused one,
/// because anything may stand there for an id.
fn recorded(ids: Vec<String>, outcome: Outcome) -> Vec<String> {
    let most = if outcome == Outcome::Refused { REFUSED_IDS } else { ids.len() };
    ids.into_iter().filter(|id| DocumentId::new(id).is_ok()).take(most).collect()
}

fn written_event(grant: &Grant, written: &Result<Option<Receipt>, IntakeError>) -> Event {
    match written {
        Ok(None) => {
            grant.event(Kind::Ingested, Outcome::Refused).with_detail("there is no such document")
        }
        Ok(Some(receipt)) => {
            let mut event = grant.event(Kind::Ingested, Outcome::Ok);
            event.index_revision = Some(receipt.revision);
            event
        }
        Err(error) if !error.refusals().is_empty() => {
            grant.event(Kind::Ingested, Outcome::Refused).with_detail(error.to_string())
        }
        Err(error) => grant.event(Kind::Ingested, Outcome::Failed).with_detail(error.to_string()),
    }
}

fn refused(error: IntakeError) -> Problem {
    match &error {
        IntakeError::Refused(refusals) => Problem::refused(error.to_string(), json!(refusals)),
        IntakeError::Beyond(refusals) => Problem::beyond(error.to_string(), json!(refusals)),
        IntakeError::OtherSource(refusals) => {
            Problem::other_source(error.to_string(), json!(refusals))
        }
        _ => {
            tracing::error!(error = &error as &dyn std::error::Error, "documents were not stored");
            Problem::unavailable(error.to_string())
        }
    }
}
