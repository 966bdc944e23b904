//! Agents and what is delegated to them.

use axum::Json;
use axum::extract::State;
use bailiwick_authority::{Agent, Authentication, AuthorityError, Delegation, DelegationRequest};
use bailiwick_policy::Bounds;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::Admin;
use crate::input::{Body, Segment};
use crate::orders;
use crate::problem::Problem;

/// Lists all agents, revoked ones too.
#[utoipa::path(get, path = "/api/admin/agents", tag = "administrators",
    responses((status = 200, body = Vec<Agent>), (status = 403, body = Problem)))]
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
    responses((status = 200, body = Agent), (status = 403, body = Problem)))]
pub(crate) async fn create_agent(
    State(app): State<App>,
    Admin(by, _): Admin,
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
    /// The labels that it may write: `{"attribute": [values] | {"operator": value}}`. Default:
    /// those of any document.
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>)]
    ceiling: Option<Map<String, Value>>,
    /// The labels that it may read for people who may read them too. Default: none.
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>)]
    read: Option<Map<String, Value>>,
}

/// Delegates to an agent, in place of what was delegated before.
#[utoipa::path(post, path = "/api/admin/delegations/{name}", tag = "administrators",
    params(("name" = String, Path)), request_body = NewDelegation,
    responses((status = 200, body = Delegation), (status = 403, body = Problem)))]
pub(crate) async fn delegate(
    State(app): State<App>,
    Admin(by, _): Admin,
    Segment(name): Segment,
    Body(new): Body<NewDelegation>,
) -> Result<Json<Delegation>, Problem> {
    for bounds in new.ceiling.iter().chain(&new.read) {
        Bounds::new(app.policy.schema(), bounds)
            .map_err(|error| Problem::bad_request(error.to_string()))?;
    }
    let request = DelegationRequest {
        permissions: new.permissions,
        audience: new.audience,
        ttl_seconds: new.ttl_seconds,
        lifetime_seconds: new.lifetime_seconds,
        ceiling: new.ceiling,
        read: new.read,
    };
    app.authority.delegate(&name, request, &by).await.map(Json).map_err(failed)
}

/// Every delegation that an agent ever had, oldest first.
#[utoipa::path(get, path = "/api/admin/delegations/{name}", tag = "administrators",
    params(("name" = String, Path)),
    responses((status = 200, body = Vec<Delegation>), (status = 403, body = Problem)))]
pub(crate) async fn delegations(
    State(app): State<App>,
    _: Admin,
    Segment(name): Segment,
) -> Result<Json<Vec<Delegation>>, Problem> {
    app.authority.delegations(&name).await.map(Json).map_err(failed)
}

/// Takes back what is delegated to an agent.
#[utoipa::path(delete, path = "/api/admin/delegations/{name}", tag = "administrators",
    params(("name" = String, Path)), responses((status = 200, body = Agent), (status = 403, body = Problem)))]
pub(crate) async fn revoke_delegation(
    State(app): State<App>,
    Admin(by, _): Admin,
    Segment(name): Segment,
) -> Result<Json<Agent>, Problem> {
    app.authority.revoke_delegation(&name, &by).await.map(Json).map_err(failed)
}

/// Shuts an agent out for good, from the next request on.
#[utoipa::path(post, path = "/api/admin/agents/{name}/revoke", tag = "administrators",
    params(("name" = String, Path)), responses((status = 200, body = Agent), (status = 403, body = Problem)))]
pub(crate) async fn revoke_agent(
    State(app): State<App>,
    Admin(by, _): Admin,
    Segment(name): Segment,
) -> Result<Json<Agent>, Problem> {
    app.authority.revoke_agent(&name, &by).await.map(Json).map_err(failed)
}

/// Shuts an agent out for good, and puts all that it brought out of everybody's reach.
#[utoipa::path(post, path = "/api/admin/agents/{name}/quarantine", tag = "administrators",
    params(("name" = String, Path)), responses((status = 200, body = Agent), (status = 403, body = Problem)))]
pub(crate) async fn quarantine(
    State(app): State<App>,
    Admin(by, _): Admin,
    Segment(name): Segment,
) -> Result<Json<Agent>, Problem> {
    let agent = app.authority.quarantine(&name, &by).await.map_err(failed)?;
    orders::obey(&app).await?;
    Ok(Json(agent))
}

/// Gives back the documents of a revoked agent that are in quarantine.
#[utoipa::path(post, path = "/api/admin/agents/{name}/release", tag = "administrators",
    params(("name" = String, Path)), responses((status = 200, body = Agent), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn release(
    State(app): State<App>,
    Admin(by, _): Admin,
    Segment(name): Segment,
) -> Result<Json<Agent>, Problem> {
    let agent = app.authority.release(&name, &by).await.map_err(failed)?;
    orders::obey(&app).await?;
    Ok(Json(agent))
}

/// Removes the documents of a revoked agent that are in quarantine.
#[utoipa::path(post, path = "/api/admin/agents/{name}/purge", tag = "administrators",
    params(("name" = String, Path)), responses((status = 200, body = Agent), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn purge(
    State(app): State<App>,
    Admin(by, _): Admin,
    Segment(name): Segment,
) -> Result<Json<Agent>, Problem> {
    let agent = app.authority.purge(&name, &by).await.map_err(failed)?;
    orders::obey(&app).await?;
    Ok(Json(agent))
}

fn failed(error: AuthorityError) -> Problem {
    match &error {
        AuthorityError::NoSuchAgent(_) => Problem::with_status(404, error.to_string()),
        AuthorityError::AgentExists(_)
        | AuthorityError::AgentRevoked(_)
        | AuthorityError::NothingDelegated(_)
        | AuthorityError::NotQuarantined(_) => Problem::conflict(error.to_string()),
        AuthorityError::Database(_) | AuthorityError::Audit(_) | AuthorityError::SigningKey(_) => {
            tracing::error!(%error, "the authority failed");
            Problem::unavailable("The authority's database cannot be used now; the log says why.")
        }
        _ => Problem::bad_request(error.to_string()),
    }
}
