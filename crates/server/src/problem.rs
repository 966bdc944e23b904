//! Errors as people and programs read them (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// `application/problem+json`.
///
/// It tells the caller what she may know; the cause goes to the log before one is made.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// A stable name of the kind of problem.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words.
    #[schema(value_type = String)]
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened, and what to do next.
    detail: String,
    /// Each thing that is wrong, when there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    errors: Option<Box<Value>>,
    #[serde(skip)]
    challenge: Option<Box<str>>,
}

impl Problem {
    fn new(status: StatusCode, kind: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:bailiwick:problem:{kind}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            errors: None,
            challenge: None,
        }
    }

    /// 400: the request is malformed; `detail` names the field.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    /// 401, with the challenge of RFC 6750.
    pub(crate) fn unauthorized(detail: impl Into<String>, challenge: String) -> Self {
        let problem = Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail);
        Self { challenge: Some(challenge.into()), ..problem }
    }

    /// 403 for a token that is good but too narrow.
    pub(crate) fn insufficient_scope(scope: &str, challenge: String) -> Self {
        let detail = format!("this token does not have the scope {scope}");
        let problem = Self::new(StatusCode::FORBIDDEN, "insufficient-scope", detail);
        Self { challenge: Some(challenge.into()), ..problem }
    }

    /// 403 for a person without the administrator's claim.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 403 for documents that an agent may not write, each of them named.
    pub(crate) fn beyond(detail: impl Into<String>, errors: Value) -> Self {
        let problem = Self::new(StatusCode::FORBIDDEN, "beyond-ceiling", detail);
        Self { errors: Some(Box::new(errors)), ..problem }
    }

    /// 404, the same for what is forbidden and what is absent.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here that you may see.")
    }

    /// 405.
    pub(crate) fn method_not_allowed() -> Self {
        let detail = "This address does not take this method; see /openapi.json.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
    }

    /// 408.
    pub(crate) fn too_slow(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "too-slow", detail)
    }

    /// 409: what is asked does not fit what is there.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// 409 for ids that belong to other sources, each of them named.
    pub(crate) fn other_source(detail: impl Into<String>, errors: Value) -> Self {
        let problem = Self::new(StatusCode::CONFLICT, "other-source", detail);
        Self { errors: Some(Box::new(errors)), ..problem }
    }

    /// 413.
    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
    }

    /// 415.
    pub(crate) fn unsupported_media_type() -> Self {
        let detail = "Send JSON, with the header Content-Type: application/json.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
    }

    /// 422: well-formed, and refused for what it says.
    pub(crate) fn refused(detail: impl Into<String>, errors: Value) -> Self {
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", detail);
        Self { errors: Some(Box::new(errors)), ..problem }
    }

    /// 500. The cause is in the log under the request's id.
    pub(crate) fn internal() -> Self {
        let detail = "Something went wrong here. The log has it under this answer's X-Request-ID.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// 503: not now. `detail` says what is missing, in words for the caller.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }

    /// Another status, such as the gateway's 502 and 504.
    pub(crate) fn with_status(status: u16, detail: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = status.canonical_reason().unwrap_or("error").to_lowercase().replace(' ', "-");
        Self::new(status, &kind, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let challenge = self.challenge.clone();
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = challenge.and_then(|text| HeaderValue::try_from(&*text).ok()) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
