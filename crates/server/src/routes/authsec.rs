//! `GET /authsec/uflow/sdk/delegation-token`, as the AuthSec SDKs call it.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, Extension, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use bailiwick_authority::{DelegationTokenRequest, IssueError, IssuedToken};

use crate::app::{App, TokenApp};
use crate::attempts::Suspect;
use crate::oauth_answer::{no_store, refusal, slow_down};
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
    let mut suspects = vec![Suspect::at(peer.ip())];
    suspects.extend(
        request.as_ref().ok().map(|request| Suspect::Client(request.client_id().to_string())),
    );
    if let Some(seconds) = attempts.wait_seconds(&suspects) {
        return slow_down(seconds);
    }
    match issue(&app, request).await {
        Ok(token) => no_store(Json(token).into_response()),
        Err(error) => {
            attempts.failed(suspects, error.status());
            refusal(error.status(), error.body(), error.challenge())
        }
    }
}

async fn issue(
    app: &App,
    request: Result<DelegationTokenRequest, IssueError>,
) -> Result<IssuedToken, IssueError> {
    app.authority.issue_delegation_token(request?).await
}
