//! `/api/admin`: agents, delegations, the audit trail, and what given claims would see.

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_authority::audit::{Event, Kind, Outcome};
use bailiwick_authority::{
    Administrator, Agent, Authentication, AuthorityError, Delegation, DelegationRequest,
};
use bailiwick_policy::{Explanation, LabelId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::Admin;
use crate::input::{Body, Parameters, Segment};
use crate::problem::Problem;
use crate::request_id::RequestId;

/// Lists all agents, revoked ones too.
#[utoipa::path(get, path = "/api/admin/agents", tag = "administrators",
    responses((status = 200, body = Vec<Object>), (status = 403, body = Problem)))]
pub(crate) async fn agents(State(app): State<App>, _: Admin) -> Result<Json<Vec<Agent>>, Problem> {
    app.authority.list_agents().await.map(Json).map_err(failed)
}

/// A new agent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAgent {
    name: String,
    /// `client-id`, `private-key-jwt` or `jwt-svid`.
    auth: String,
    /// For `private-key-jwt` its public key as PEM or JWK; for `jwt-svid` the bundle's JWK Set.
    public_key: Option<String>,
}

/// Registers an agent.
#[utoipa::path(post, path = "/api/admin/agents", tag = "administrators", request_body = NewAgent,
    responses((status = 200, body = Object), (status = 403, body = Problem)))]
pub(crate) async fn create_agent(
    State(app): State<App>,
    Admin(by): Admin,
    Body(new): Body<NewAgent>,
) -> Result<Json<Agent>, Problem> {
    let auth = Authentication::from_parts(&new.auth, new.public_key.as_deref()).map_err(failed)?;
    app.authority.create_agent(&new.name, auth, &by).await.map(Json).map_err(failed)
}

/// What to delegate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDelegation {
    /// Scopes, such as `read:records`.
    permissions: Vec<String>,
    /// For whom the tokens are. Default: this server.
    #[serde(default)]
    audience: Vec<String>,
    /// How long a token lasts.
    ttl_seconds: Option<u64>,
    /// How long the delegation lasts.
    lifetime_seconds: Option<u64>,
}

/// Delegates to an agent, in place of what was delegated before.
#[utoipa::path(post, path = "/api/admin/delegations/{name}", tag = "administrators",
    params(("name" = String, Path)), request_body = NewDelegation,
    responses((status = 200, body = Object), (status = 403, body = Problem)))]
pub(crate) async fn delegate(
    State(app): State<App>,
    Admin(by): Admin,
    Segment(name): Segment,
    Body(new): Body<NewDelegation>,
) -> Result<Json<Delegation>, Problem> {
    let request = DelegationRequest {
        permissions: new.permissions,
        audience: new.audience,
        ttl_seconds: new.ttl_seconds,
        lifetime_seconds: new.lifetime_seconds,
    };
    app.authority.delegate(&name, request, &by).await.map(Json).map_err(failed)
}

/// Every delegation that an agent ever had, oldest first.
#[utoipa::path(get, path = "/api/admin/delegations/{name}", tag = "administrators",
    params(("name" = String, Path)),
    responses((status = 200, body = Vec<Object>), (status = 403, body = Problem)))]
pub(crate) async fn delegations(
    State(app): State<App>,
    _: Admin,
    Segment(name): Segment,
) -> Result<Json<Vec<Delegation>>, Problem> {
    app.authority.delegations(&name).await.map(Json).map_err(failed)
}

/// Takes back what is delegated to an agent.
#[utoipa::path(delete, path = "/api/admin/delegations/{name}", tag = "administrators",
    params(("name" = String, Path)), responses((status = 200, body = Object), (status = 403, body = Problem)))]
pub(crate) async fn revoke_delegation(
    State(app): State<App>,
    Admin(by): Admin,
    Segment(name): Segment,
) -> Result<Json<Agent>, Problem> {
    app.authority.revoke_delegation(&name, &by).await.map(Json).map_err(failed)
}

/// Shuts an agent out for good, from the next request on.
#[utoipa::path(post, path = "/api/admin/agents/{name}/revoke", tag = "administrators",
    params(("name" = String, Path)), responses((status = 200, body = Object), (status = 403, body = Problem)))]
pub(crate) async fn revoke_agent(
    State(app): State<App>,
    Admin(by): Admin,
    Segment(name): Segment,
) -> Result<Json<Agent>, Problem> {
    app.authority.revoke_agent(&name, &by).await.map(Json).map_err(failed)
}

/// How much of the audit trail is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tail {
    #[serde(default = "hundred")]
    n: usize,
}

fn hundred() -> usize {
    100
}

/// The most audit records in one answer.
const MOST_RECORDS: usize = 1000;

/// The last records of the audit trail, newest last.
#[utoipa::path(get, path = "/api/admin/audit", tag = "administrators", params(("n" = Option<usize>, Query)),
    responses((status = 200, body = Vec<Object>), (status = 403, body = Problem)))]
pub(crate) async fn audit(
    State(app): State<App>,
    _: Admin,
    Parameters(tail): Parameters<Tail>,
) -> Result<Json<Vec<Value>>, Problem> {
    let audit = std::sync::Arc::clone(&app.audit);
    let read = tokio::task::spawn_blocking(move || audit.tail(tail.n.min(MOST_RECORDS))).await;
    read.map_err(|_| Problem::internal())?.map(Json).map_err(|error| {
        tracing::error!(%error, "the audit trail cannot be read");
        Problem::unavailable("The audit trail cannot be read; the log says why.")
    })
}

/// Claims that nobody vouches for, and perhaps a document's metadata.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Supposed {
    /// The claims of a token.
    #[schema(value_type = Object)]
    claims: Map<String, Value>,
    /// The metadata of a document, to explain the decision on it.
    #[schema(value_type = Option<Object>)]
    document: Option<Map<String, Value>>,
}

/// What the claims would open.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct View {
    /// The labels that they would open.
    #[schema(value_type = Vec<Object>)]
    labels: Vec<Value>,
    /// Why, or why not, the document.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
}

/// What would these claims see? Labels only: nothing can be read this way.
#[utoipa::path(post, path = "/api/admin/view-as", tag = "administrators", request_body = Supposed,
    responses((status = 200, body = View), (status = 403, body = Problem)))]
pub(crate) async fn view_as(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    Admin(by): Admin,
    Body(supposed): Body<Supposed>,
) -> Result<Json<View>, Problem> {
    let schema = app.policy.schema();
    let explained = supposed.document.map(|document| schema.label(&document)).transpose();
    let explained =
        explained.map_err(|error| Problem::bad_request(format!("document: {error}")))?;
    let table = app.index.labels();
    let numbers = (0_u32..).take(table.len()).map(LabelId::from_u32);
    let labels = numbers
        .filter_map(|number| table.label(number))
        .filter(|label| app.policy.explain(&supposed.claims, label).allowed)
        .map(|label| schema.describe(&label))
        .collect();
    let mut event = Event::new(Kind::Admin, Outcome::Ok)
        .with_detail("view-as")
        .with_request(Some(&id.to_string()));
    if let Administrator::Person { issuer, subject } = by {
        (event.issuer, event.subject) = (Some(issuer), Some(subject));
    }
    app.audit.record(event).await.map_err(|_| {
        Problem::unavailable("The audit trail cannot be written, so nothing is answered.")
    })?;
    let explanation = explained.map(|label| app.policy.explain(&supposed.claims, &label));
    Ok(Json(View { labels, explanation }))
}

fn failed(error: AuthorityError) -> Problem {
    match &error {
        AuthorityError::NoSuchAgent(_) => Problem::with_status(404, error.to_string()),
        AuthorityError::AgentExists(_)
        | AuthorityError::AgentRevoked(_)
        | AuthorityError::NothingDelegated(_) => Problem::conflict(error.to_string()),
        AuthorityError::Database(_) | AuthorityError::Audit(_) | AuthorityError::SigningKey(_) => {
            tracing::error!(%error, "the authority failed");
            Problem::unavailable("The authority's database cannot be used now; the log says why.")
        }
        _ => Problem::bad_request(error.to_string()),
    }
}
