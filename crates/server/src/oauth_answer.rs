//! What the endpoints that give tokens answer: errors in OAuth's form (RFC 6749 section 5.2), and
//! nothing that a cache may keep.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An error. Clients read JSON with `error`, and nothing else.
pub(crate) fn refusal(status: u16, body: Value, challenge: Option<&'static str>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(body)).into_response();
    if let Some(challenge) = challenge {
        let challenge = HeaderValue::from_static(challenge);
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    no_store(response)
}

pub(crate) fn slow_down(seconds: u64) -> Response {
    let body = json!({ "error": "slow_down", "error_description": "too many failed attempts" });
    let mut response = refusal(429, body, None);
    response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    response
}

pub(crate) fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
