//! `GET /api/me`.

use axum::Json;
use axum::extract::State;
use bailiwick_authority::{ActingFor, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::App;
use crate::ask::{self, Extent};
use crate::caller::Reader;
use crate::problem::Problem;

/// How the server sees the caller.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    /// Who issued the token.
    issuer: String,
    /// The person; with the issuer, all of her name here.
    subject: String,
    /// The claims that the policy reads.
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
    claims: Map<String, Value>,
    /// The claims that the policy would read, and that this token does not carry usably.
    missing: Vec<String>,
    /// How much she may read.
    bailiwick: Extent,
    /// When the token ends: RFC 3339, UTC.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// Seconds until then.
    expires_in: i64,
    /// Names the policy that decided.
    policy_revision: String,
    /// The agents that ask for her, by SPIFFE ID, the one that holds the token first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actors: Vec<String>,
    /// Whether she may administer.
    administrator: bool,
}

/// Tells the caller who she is here.
#[utoipa::path(get, path = "/api/me", tag = "people",
    responses((status = 200, body = Me), (status = 401, body = Problem)))]
pub(crate) async fn me(State(app): State<App>, reader: Reader) -> Result<Json<Me>, Problem> {
    let (claims, missing) = app.policy.claims_read(&reader.claims);
    let bailiwick = app.index.size(&reader.bailiwick).await.map_err(ask::unavailable)?;
    let through = reader.through.as_ref();
    let expires_at = through.map_or(reader.claims.expires_at(), ActingFor::expires_at);
    let expires_at = Timestamp::from_unix(expires_at);
    Ok(Json(Me {
        issuer: reader.claims.issuer().to_owned(),
        subject: reader.claims.subject().to_owned(),
        claims,
        missing,
        bailiwick: bailiwick.into(),
        expires_at,
        expires_in: expires_at.unix() - Timestamp::now().unix(),
        policy_revision: reader.bailiwick.policy_revision().to_owned(),
        actors: through.map(|through| through.actors().to_vec()).unwrap_or_default(),
        administrator: through.is_none()
            && app
                .settings
                .admin
                .as_ref()
                .is_some_and(|rule| rule.oversight(&reader.claims).is_some()),
    }))
}
