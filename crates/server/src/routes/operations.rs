//! What operators and programs read: health, readiness, metrics, the web app's configuration.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::app::App;
use crate::problem::Problem;

/// The process runs.
#[utoipa::path(get, path = "/healthz", tag = "operators", responses((status = 200, body = Object)))]
pub(crate) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// People can be answered now; 503 says why not. `policy` is `former` while the policy's files are
/// wrong, and those before them stay in force.
#[utoipa::path(get, path = "/readyz", tag = "operators",
    responses((status = 200, body = Object), (status = 503, body = Problem)))]
pub(crate) async fn readyz(State(app): State<App>) -> Result<Json<Value>, Problem> {
    app.ready().await.map_err(Problem::unavailable)?;
    let policy = if app.policy.refused().is_some() { "former" } else { "current" };
    Ok(Json(json!({ "status": "ready", "policy": policy })))
}

/// Counts and durations, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operators", responses((status = 200, body = String)))]
pub(crate) async fn metrics(State(app): State<App>) -> String {
    app.metrics.render()
}

/// What the web app needs to sign people in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AppConfig {
    /// The identity provider.
    issuer: String,
    /// What the web app is called there.
    client_id: String,
    /// What it asks for.
    scopes: Vec<String>,
    /// Questions to begin with.
    suggestions: Vec<String>,
}

/// Tells the web app how to sign people in.
#[utoipa::path(get, path = "/app-config.json", tag = "people",
    responses((status = 200, body = AppConfig)))]
pub(crate) async fn app_config(State(app): State<App>) -> Json<AppConfig> {
    let settings = &app.settings;
    Json(AppConfig {
        issuer: settings.issuer.clone(),
        client_id: settings.client_id.clone(),
        scopes: settings.scopes.clone(),
        suggestions: settings.suggestions.clone(),
    })
}
