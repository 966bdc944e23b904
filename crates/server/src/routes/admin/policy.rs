//! The policy in force.

use axum::Json;
use axum::extract::State;
use bailiwick_policy::{Attribute, PolicyConfig};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::Admin;
use crate::problem::Problem;

/// The policy in force, and what it is about.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InForce {
    /// Names it: 16 hexadecimal digits.
    revision: String,
    /// Why the policy's files, as they are now, are not in force; then those before them are.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    /// As it is configured; all rules and groups must hold.
    policy: PolicyConfig,
    /// What labels are made of.
    attributes: Vec<AttributeInForce>,
    /// The claims that it reads, as far as the configuration names them.
    claims: Vec<String>,
}

/// One property of documents that rules can look at.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttributeInForce {
    name: String,
    /// `keyword`, `integer` or `level`.
    #[serde(rename = "type")]
    kind: String,
    /// For a level the names, low to high.
    levels: Vec<String>,
    /// Whether a document may lack it.
    optional: bool,
    /// Whether it holds a list.
    multiple: bool,
}

impl From<&Attribute> for AttributeInForce {
    fn from(attribute: &Attribute) -> Self {
        Self {
            name: attribute.name().to_owned(),
            kind: attribute.kind().to_owned(),
            levels: attribute.levels().into_iter().map(str::to_owned).collect(),
            optional: attribute.is_optional(),
            multiple: attribute.is_multiple(),
        }
    }
}

/// The policy in force, as it is configured.
#[utoipa::path(get, path = "/api/admin/policy", tag = "administrators",
    responses((status = 200, body = InForce), (status = 403, body = Problem)))]
pub(crate) async fn policy(State(app): State<App>, _: Admin) -> Json<InForce> {
    let policy = &app.policy;
    Json(InForce {
        revision: policy.revision(),
        refused: policy.refused(),
        policy: policy.config().clone(),
        attributes: policy.schema().attributes().iter().map(Into::into).collect(),
        claims: policy.claims(),
    })
}
