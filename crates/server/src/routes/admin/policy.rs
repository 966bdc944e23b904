//! The policy in force, and what given claims would see.

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_policy::{Attribute, Explanation, LabelId, PolicyConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::record;
use crate::app::App;
use crate::caller::Admin;
use crate::input::Body;
use crate::problem::Problem;
use crate::request_id::RequestId;

/// The policy in force, and what it is about.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InForce {
    /// Names it: 16 hexadecimal digits.
    revision: String,
    /// As it is configured; all rules and groups must hold.
    policy: PolicyConfig,
    /// What labels are made of.
    attributes: Vec<AttributeInForce>,
    /// The claims that the rules read.
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
        revision: policy.revision().to_owned(),
        policy: policy.config().clone(),
        attributes: policy.schema().attributes().iter().map(Into::into).collect(),
        claims: policy.claims(),
    })
}

/// Claims that nobody vouches for, and perhaps a document's metadata.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Supposed {
    /// The claims of a token.
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
    claims: Map<String, Value>,
    /// The metadata of a document, to explain the decision on it.
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>)]
    document: Option<Map<String, Value>>,
}

/// What the claims would open.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct View {
    /// The labels that they would open.
    #[schema(value_type = Vec<Object>)]
    labels: Vec<Value>,
    /// Why, or why not, the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
}

/// What would these claims see? Labels only: nothing can be read this way.
#[utoipa::path(post, path = "/api/admin/view-as", tag = "administrators", request_body = Supposed,
    responses((status = 200, body = View), (status = 403, body = Problem)))]
pub(crate) async fn view_as(
    State(app): State<App>,
    Extension(request): Extension<RequestId>,
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
    record(&app, by, request, "view-as".to_owned()).await?;
    let explanation = explained.map(|label| app.policy.explain(&supposed.claims, &label));
    Ok(Json(View { labels, explanation }))
}
