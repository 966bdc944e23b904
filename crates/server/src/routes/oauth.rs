//! The authority's OAuth endpoints.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bailiwick_authority::{Form, OAuthError};
use serde_json::{Value, json};

use crate::app::{App, TokenApp};
use crate::attempts::Suspect;
use crate::input::Whole;
use crate::oauth_answer::{no_store, refusal, slow_down};
use crate::problem::Problem;
use crate::request_id::RequestId;
use crate::routes::documents;

/// Token endpoint: client credentials and token exchange.
#[utoipa::path(post, path = "/oauth/token", tag = "agents",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = Object), (status = 401, body = Object)))]
pub(crate) async fn token(
    State(state): State<TokenApp>,
    Extension(id): Extension<RequestId>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Response {
    answer(&state, peer, &headers, &body, async |app: &App, form| {
        app.authority.token_endpoint(form, Some(&id.to_string())).await.map(|token| json!(token))
    })
    .await
}

/// Revokes a token (RFC 7009).
#[utoipa::path(post, path = "/oauth/revoke", tag = "agents",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200), (status = 401, body = Object)))]
pub(crate) async fn revoke(
    State(state): State<TokenApp>,
    Extension(id): Extension<RequestId>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Response {
    answer(&state, peer, &headers, &body, async |app: &App, form| {
        app.authority.revoke(form, Some(&id.to_string())).await.map(|()| Value::Null)
    })
    .await
}

/// Tells what a token is good for (RFC 7662).
#[utoipa::path(post, path = "/oauth/introspect", tag = "agents",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = Object), (status = 401, body = Object)))]
pub(crate) async fn introspect(
    State(state): State<TokenApp>,
    Extension(id): Extension<RequestId>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Response {
    answer(&state, peer, &headers, &body, async |app: &App, form| {
        app.authority.introspect(form, Some(&id.to_string())).await
    })
    .await
}

/// What the three endpoints share: a form in, JSON out, failures counted.
async fn answer(
    TokenApp { app, attempts }: &TokenApp,
    peer: SocketAddr,
    headers: &HeaderMap,
    body: &[u8],
    work: impl AsyncFnOnce(&App, Form) -> Result<Value, OAuthError>,
) -> Response {
    let suspects = vec![Suspect::at(peer.ip())];
    if let Some(seconds) = attempts.wait_seconds(&suspects) {
        return slow_down(seconds);
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
        return Problem::with_status(415, "Send a form: application/x-www-form-urlencoded.")
            .into_response();
    }
    let answered = match Form::parse(body) {
        Ok(form) => work(app, form).await,
        Err(error) => Err(error),
    };
    match answered {
        Ok(Value::Null) => no_store(StatusCode::OK.into_response()),
        Ok(json) => no_store(Json(json).into_response()),
        Err(error) => {
            attempts.failed(suspects, error.status());
            refusal(error.status(), error.body(), error.challenge())
        }
    }
}

/// RFC 8414.
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", tag = "agents",
    responses((status = 200, body = Object)))]
pub(crate) async fn metadata(State(app): State<App>) -> Json<Value> {
    Json(app.authority.metadata())
}

/// The public keys that verify delegation tokens (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "agents",
    responses((status = 200, body = Object)))]
pub(crate) async fn jwks(State(app): State<App>) -> Result<Json<Value>, Problem> {
    app.authority.jwks().await.map(Json).map_err(|error| {
        tracing::error!(%error, "the signing keys cannot be read");
        Problem::unavailable("The signing keys cannot be read now; try again later.")
    })
}

/// The vault and the documents API as a protected resource (RFC 9728).
#[utoipa::path(get, path = "/.well-known/oauth-protected-resource", tag = "agents",
    responses((status = 200, body = Object)))]
pub(crate) async fn agents_resource(State(app): State<App>) -> Json<Value> {
    let mut scopes = app.vault.scopes();
    scopes.push(documents::WRITE.into());
    Json(app.authority.resource_metadata(&scopes))
}

/// The API for people as a protected resource (RFC 9728).
#[utoipa::path(get, path = "/.well-known/oauth-protected-resource/api", tag = "people",
    responses((status = 200, body = Object)))]
pub(crate) async fn people_resource(State(app): State<App>) -> Json<Value> {
    Json(json!({
        "resource": format!("{}/api", app.settings.public_url),
        "authorization_servers": [app.settings.issuer],
        "scopes_supported": app.settings.scopes,
        "bearer_methods_supported": ["header"],
    }))
}
