//! Each request has an id of ours, which its answer, its log lines and its audit record share.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{Extensions, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;
use uuid::Uuid;

/// The request's id. A caller cannot choose it, because receipts are found by it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestId(Uuid);

impl RequestId {
    /// The id of a request that came through [`identify`].
    pub(crate) fn of(extensions: &Extensions) -> String {
        extensions.get::<Self>().map_or_else(String::new, |Self(id)| id.to_string())
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Names the request, logs how it ended, and counts it.
pub(crate) async fn identify(mut request: Request, next: Next) -> Response {
    let id = RequestId(Uuid::new_v4());
    request.extensions_mut().insert(id);
    let start = Instant::now();
    let method = request.method().clone();
    // The matched route and not the address, which may hold anything, tokens included.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let span = tracing::info_span!("request", id = %id, %method, %route);
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    let seconds = start.elapsed().as_secs_f64();
    span.in_scope(|| tracing::info!(status, duration_ms = seconds * 1e3, "answered"));
    metrics::counter!("bailiwick_requests_total", "route" => route.clone(), "status" => status.to_string())
        .increment(1);
    metrics::histogram!("bailiwick_request_seconds", "route" => route).record(seconds);
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}
