//! Who would gain and lose what with another policy, and whose claims open a document.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_policy::{
    Class, Difference, LabelId, Oversight, Policy, PolicyConfig, RegoTexts, Unavailable,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use utoipa::ToSchema;

use super::labels::Described;
use super::record;
use crate::app::App;
use crate::ask;
use crate::caller::{Admin, undecided};
use crate::input::Body;
use crate::problem::Problem;
use crate::request_id::RequestId;

/// A policy that might take the place of today's.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proposed {
    /// As in the configuration. Its engine is `rules`, or `rego` with texts, because others read
    /// files and addresses of this machine.
    policy: PolicyConfig,
    /// The texts of `rego`.
    #[serde(default)]
    rego: Option<RegoTexts>,
    /// More claims to compare for, besides those that people came with.
    #[serde(default)]
    #[schema(value_type = Vec<std::collections::BTreeMap<String, Value>>)]
    claims: Vec<Map<String, Value>>,
}

/// Who would gain and lose what with another policy?
#[utoipa::path(post, path = "/api/admin/policy/diff", tag = "administrators", request_body = Proposed,
    responses((status = 200, body = Difference), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn diff(
    State(app): State<App>,
    Extension(request): Extension<RequestId>,
    Admin(by, oversight): Admin,
    Body(proposed): Body<Proposed>,
) -> Result<Json<Difference>, Problem> {
    let schema = Arc::clone(app.policy.schema());
    let after = match (proposed.policy.engine.as_str(), &proposed.rego) {
        ("rules", None) => Policy::new(&proposed.policy, schema),
        ("rego", Some(texts)) => Policy::of_texts(&proposed.policy, texts, schema).await,
        _ => {
            let detail = "policy.engine: `rules`, or `rego` with its texts in `rego`, is compared \
                          here; others on the command line";
            return Err(Problem::bad_request(detail));
        }
    };
    let after = after.map_err(|error| Problem::bad_request(error.to_string()))?;
    let names = format!("policy diff {} {}", app.policy.revision(), after.revision());
    record(&app, by, request, names).await?;
    let mut classes = known(&app).await?;
    let more = (1..).zip(proposed.claims);
    classes.extend(more.map(|(n, claims)| Class::new(format!("claims {n}"), claims)));
    let documents = documents(&app, oversight).await?;
    // It takes a second of a core where there is much to compare.
    let compared = tokio::task::spawn_blocking(move || {
        let labels = app.index.labels();
        let compared = Difference::between(&app.policy, &after, &classes, labels, &documents);
        Handle::current().block_on(compared)
    });
    compared.await.map_err(|_| Problem::internal())?.map(Json).map_err(not_compared)
}

fn not_compared(error: Unavailable) -> Problem {
    if !error.is_beyond_limits() {
        return undecided(error);
    }
    let cause = error.cause();
    tracing::info!(cause, "a proposed policy was not compared");
    let detail = format!("The proposed policy cannot be evaluated within the limits: {cause}.");
    Problem::with_status(422, detail)
}

/// Known claims that open a document.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Who {
    /// The document's attribute values; null for quarantine.
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>)]
    label: Value,
    /// How many classes of claims are known.
    known: usize,
    /// Those that open it, by their digest in the audit trail.
    classes: Vec<Class>,
}

/// Which of the claims that people came with open a document? People are not named.
#[utoipa::path(post, path = "/api/admin/policy/who", tag = "administrators", request_body = Described,
    responses((status = 200, body = Who), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn who(
    State(app): State<App>,
    Extension(request): Extension<RequestId>,
    Admin(by, oversight): Admin,
    Body(described): Body<Described>,
) -> Result<Json<Who>, Problem> {
    record(&app, by, request, format!("policy who{}", described.in_words())).await?;
    let label = described.label(&app, oversight).await?;
    let label = label.ok_or_else(|| {
        Problem::bad_request("document_id: name a document, or give the metadata of one")
    })?;
    let classes = known(&app).await?;
    let may = app.policy.who(&label, &classes).await.map_err(undecided)?;
    let may = may.into_iter().filter_map(|place| classes.get(place).cloned());
    Ok(Json(Who {
        label: app.policy.schema().describe(&label),
        known: classes.len(),
        classes: may.collect(),
    }))
}

/// The claims that people came with, as far as the trail goes back.
async fn known(app: &App) -> Result<Vec<Class>, Problem> {
    let audit = Arc::clone(&app.audit);
    let known = tokio::task::spawn_blocking(move || audit.known_claims()).await;
    let known = known.map_err(|_| Problem::internal())?.map_err(|error| {
        tracing::error!(%error, "the audit trail cannot be read");
        Problem::unavailable("The audit trail cannot be read; the log says why.")
    })?;
    let class = |known: bailiwick_authority::audit::KnownClaims| {
        Class::from_read(known.digest, &known.claims.said, &known.claims.missing)
    };
    Ok(known.into_iter().map(class).collect())
}

async fn documents(app: &App, oversight: Oversight) -> Result<BTreeMap<LabelId, u64>, Problem> {
    let sizes = app.index.label_sizes(oversight).await.map_err(ask::unavailable)?;
    Ok(sizes.into_iter().map(|size| (size.label, size.documents)).collect())
}
