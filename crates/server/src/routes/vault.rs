//! `GET /secure-vault/{…}`.

use axum::Json;
use axum::extract::{Extension, OriginalUri, State};
use axum::response::{IntoResponse, Response};
use bailiwick_authority::VaultError;

use crate::app::App;
use crate::caller::{Agent, insufficient_scope};
use crate::oauth_answer::no_store;
use crate::problem::Problem;
use crate::request_id::RequestId;

/// Reads a protected collection.
#[utoipa::path(get, operation_id = "read_record", path = "/secure-vault/{path}", tag = "agents", params(("path" = String, Path)),
    responses((status = 200, body = Object), (status = 403, body = Problem)))]
pub(crate) async fn read(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    Agent(grant): Agent,
    OriginalUri(uri): OriginalUri,
) -> Result<Response, Problem> {
    let read = app.vault.read(&grant, uri.path(), Some(&id.to_string())).await;
    match read {
        Ok(envelope) => Ok(no_store(Json(envelope).into_response())),
        Err(VaultError::NotFound) => Err(Problem::not_found()),
        Err(VaultError::InsufficientScope(lacking)) => {
            Err(insufficient_scope(&lacking.required, &app))
        }
        Err(error) => Err(Problem::with_status(error.status(), error.to_string())),
    }
}
