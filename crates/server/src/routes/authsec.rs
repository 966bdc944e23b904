//! `GET /authsec/uflow/sdk/delegation-token`, as the AuthSec SDKs call it.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, Extension, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bailiwick_authority::{DelegationTokenRequest, IssueError, IssuedToken};
use serde_json::json;

use crate::app::{App, TokenApp};
use crate::attempts::Suspect;
use crate::request_id::RequestId;

/// Issues a delegation token to an agent that is registered with its client id alone.
#[utoipa::path(get, path = "/authsec/uflow/sdk/delegation-token", tag = "agents",
    params(("client_id" = String, Query), ("scope" = Option<String>, Query)),
    responses((status = 200, body = Object), (status = 404, body = Object)))]
pub(crate) async fn delegation_token(
    State(TokenApp { app, attempts }): State<TokenApp>,
    Extension(id): Extension<RequestId>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let header_ids: Vec<&str> =
        headers.get_all("x-client-id").iter().map(|id| id.to_str().unwrap_or("\u{fffd}")).collect();
    let request =
        DelegationTokenRequest::from_http(query.as_deref(), &header_ids, Some(&id.to_string()));
    let mut suspects = vec![Suspect::Address(peer.ip())];
    suspects.extend(
        request.as_ref().ok().map(|request| Suspect::Client(request.client_id().to_string())),
    );
    if let Some(seconds) = attempts.wait_seconds(&suspects) {
        return slow_down(seconds);
    }
    match issue(&app, request).await {
        Ok(token) => no_store(Json(token).into_response()),
        Err(error) => {
            attempts.failed(suspects);
            refusal(&error)
        }
    }
}

async fn issue(
    app: &App,
    request: Result<DelegationTokenRequest, IssueError>,
) -> Result<IssuedToken, IssueError> {
    app.authority.issue_delegation_token(request?).await
}

/// The SDKs read JSON with `error`, and nothing else.
fn refusal(error: &IssueError) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(error.body())).into_response();
    if let Some(challenge) = error.challenge() {
        let challenge = HeaderValue::from_static(challenge);
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    no_store(response)
}

pub(crate) fn slow_down(seconds: u64) -> Response {
    let body = json!({ "error": "slow_down", "error_description": "too many failed attempts" });
    let mut response = (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    no_store(response)
}

pub(crate) fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
