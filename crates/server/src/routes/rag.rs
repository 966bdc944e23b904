//! `POST /api/rag/query` and `POST /api/rag/retrieve`.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bailiwick_answer::AnswerError;
use futures::{Stream, StreamExt, TryStreamExt};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::app::App;
use crate::ask::{self, Found, Question, Sources};
use crate::caller::Reader;
use crate::input::Body;
use crate::problem::Problem;
use crate::request_id::RequestId;

/// Interval of the comments that keep proxies from closing a stream while a model thinks.
const COMMENT_INTERVAL: Duration = Duration::from_secs(15);

/// Tells nginx to pass on each event at once, which it otherwise collects.
const UNBUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// An answer and what it was made from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Answer {
    /// The answer; `[n]` is the n-th source.
    response: String,
    #[serde(flatten)]
    sources: Sources,
}

/// Answers a question from what the caller may read.
///
/// As `text/event-stream`: `sources` with [`Sources`], a `token` with `{"text"}` for each piece,
/// then `done`; or `error` with a [`Problem`], which ends it.
#[utoipa::path(post, path = "/api/rag/query", tag = "people", request_body = Question,
    responses((status = 200, content((Answer = "application/json"), (String = "text/event-stream"))), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(crate) async fn query(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    reader: Reader,
    Body(question): Body<Question>,
) -> Result<Response, Problem> {
    let found = ask::find(&app, &reader, question, id.to_string()).await?;
    if wants_events(&headers) {
        let comments = KeepAlive::new().interval(COMMENT_INTERVAL);
        let stream = Sse::new(events(app, found)).keep_alive(comments);
        return Ok(([UNBUFFERED], stream).into_response());
    }
    let pieces = app.answerer.answer(&found.question, &found.hits).await.map_err(unanswered)?;
    let response = pieces.try_collect::<String>().await.map_err(unanswered)?;
    Ok(Json(Answer { response, sources: found.sources }).into_response())
}

/// Finds the passages that an answer would be made from.
#[utoipa::path(post, path = "/api/rag/retrieve", tag = "people", request_body = Question,
    responses((status = 200, body = Sources), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(crate) async fn retrieve(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    reader: Reader,
    Body(question): Body<Question>,
) -> Result<Json<Sources>, Problem> {
    Ok(Json(ask::find(&app, &reader, question, id.to_string()).await?.sources))
}

fn wants_events(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

/// `sources` before the model is asked, then a `token` for each piece, then `done`; or `error`,
/// which ends it.
fn events(app: App, found: Found) -> impl Stream<Item = Result<Event, Infallible>> {
    let sources = event("sources", &found.sources);
    let pieces = async move {
        let (question, hits) = found.still_permitted(&app).await?;
        let pieces = app.answerer.answer(&question, &hits).await.map_err(unanswered)?;
        Ok::<_, Problem>(pieces.map_err(unanswered))
    };
    let pieces = futures::stream::once(pieces).try_flatten();
    let told = pieces.map(Some).chain(futures::stream::iter([None]));
    let told = told.scan(false, |failed, piece| {
        let event = (!*failed).then(|| match piece {
            Some(Ok(text)) => event("token", &json!({ "text": text })),
            Some(Err(error)) => {
                *failed = true;
                event("error", &error)
            }
            None => event("done", &json!({})),
        });
        async move { event }
    });
    futures::stream::iter([sources]).chain(told).map(Ok)
}

fn event(name: &str, data: &impl Serialize) -> Event {
    let named = Event::default().event(name);
    named.json_data(data).unwrap_or_else(|_| Event::default().event("error"))
}

fn unanswered(error: AnswerError) -> Problem {
    tracing::error!(error = &error as &dyn std::error::Error, "no answer was made");
    Problem::unavailable("The language model does not answer; use /api/rag/retrieve, or try later.")
}
