//! What a request says, checked: errors are problem documents, and name the field.

use std::error::Error;
use std::iter::successors;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use bailiwick_json::{JsonError, is_json};
use bailiwick_redact::without_values;
use serde::de::DeserializeOwned;
use tower_http::timeout::TimeoutError;

use crate::problem::Problem;

/// A whole body, of at most the route's limit and within its time.
#[derive(Debug)]
pub(crate) struct Whole(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for Whole {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Bytes::from_request(request, state).await.map(Self).map_err(|error| broken_off(&error))
    }
}

fn broken_off(error: &BytesRejection) -> Problem {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::too_large("The body is larger than this address takes.");
    }
    let mut causes = successors(Some(error as &dyn Error), |&cause| cause.source());
    if causes.any(|cause| cause.is::<TimeoutError>()) {
        return Problem::too_slow("The body did not arrive in time; send it faster.");
    }
    Problem::bad_request("The body did not arrive whole; send it again.")
}

/// A JSON body of at most the route's limit.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if !kind.is_some_and(is_json) {
            return Err(Problem::unsupported_media_type());
        }
        let Whole(bytes) = Whole::from_request(request, state).await?;
        // No body is an array, and this says so more clearly than what follows.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(Problem::bad_request("The body is not a JSON object."));
        }
        let wrong =
            |error: JsonError| Problem::bad_request(format!("The JSON body is wrong: {error}"));
        bailiwick_json::read(&bytes).map(Self).map_err(wrong)
    }
}

/// The one variable segment of an address. One that cannot be read names nothing.
#[derive(Debug)]
pub(crate) struct Segment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(segment)| Self(segment)).map_err(|_| Problem::not_found())
    }
}

/// What stands behind the question mark.
#[derive(Debug)]
pub(crate) struct Parameters<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(value)| Self(value))
            .map_err(|error| Problem::bad_request(without_values(error.body_text())))
    }
}
