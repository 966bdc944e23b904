//! What the endpoints for programs answer instead of a token.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::key::KeyError;

/// An error of the token endpoint and its neighbours (RFC 6749 section 5.2, RFC 6750 section 3.1).
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
}

impl Refusal {
    pub(crate) fn new(error: &'static str, description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description }
    }

    pub(crate) fn grant(description: &'static str) -> Self {
        Self::new("invalid_grant", description)
    }

    pub(crate) fn bearer() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            ..Self::new("invalid_token", "the access token is missing, wrong, expired or revoked")
        }
    }
}

impl From<KeyError> for Refusal {
    fn from(cause: KeyError) -> Self {
        tracing::error!(%cause, "a token could not be signed");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            ..Self::new("server_error", "the token could not be signed")
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description });
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED
            && let Ok(challenge) = format!("Bearer error=\"{}\"", self.error).try_into()
        {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
