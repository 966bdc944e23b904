//! Labels and how much stands under each, and what given claims would open.

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_index::DocumentId;
use bailiwick_policy::{Explanation, Label, LabelId, Oversight};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::record;
use crate::app::App;
use crate::ask;
use crate::caller::{Admin, undecided};
use crate::input::Body;
use crate::problem::Problem;
use crate::request_id::RequestId;

/// How many documents a sample names.
const SAMPLE: usize = 10;

/// A label, and how much stands under it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LabelExtent {
    /// The attribute values; null for quarantine.
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>)]
    attributes: Value,
    documents: u64,
    chunks: u64,
}

/// Labels, and how much stands under all of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Labels {
    /// Those that a document has now.
    labels: Vec<LabelExtent>,
    documents: u64,
    chunks: u64,
}

impl Labels {
    /// Counts under the labels for which `keep` holds.
    async fn count(
        app: &App,
        oversight: Oversight,
        keep: impl Fn(LabelId) -> bool,
    ) -> Result<Self, Problem> {
        let schema = app.policy.schema();
        let sizes = app.index.label_sizes(oversight).await.map_err(ask::unavailable)?;
        let labels = sizes.into_iter().filter_map(|size| {
            let label = app.index.labels().label(size.label)?;
            keep(size.label).then(|| LabelExtent {
                attributes: schema.describe(&label),
                documents: size.documents,
                chunks: size.chunks,
            })
        });
        let labels: Vec<LabelExtent> = labels.collect();
        let documents = labels.iter().map(|label| label.documents).sum();
        let chunks = labels.iter().map(|label| label.chunks).sum();
        Ok(Self { labels, documents, chunks })
    }
}

/// Every label that a document has now.
#[utoipa::path(get, path = "/api/admin/labels", tag = "administrators",
    responses((status = 200, body = Labels), (status = 403, body = Problem)))]
pub(crate) async fn labels(
    State(app): State<App>,
    Extension(request): Extension<RequestId>,
    Admin(by, oversight): Admin,
) -> Result<Json<Labels>, Problem> {
    record(&app, by, request, "labels".to_owned()).await?;
    Labels::count(&app, oversight, |_| true).await.map(Json)
}

/// Claims that nobody vouches for, and perhaps a document.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Supposed {
    /// The claims of a token.
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
    claims: Map<String, Value>,
    /// The metadata of a document, to explain the decision on it.
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>)]
    document: Option<Map<String, Value>>,
    /// In its place the id of a stored document.
    document_id: Option<String>,
}

/// A document, stored or not.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Described {
    /// Its metadata.
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>)]
    document: Option<Map<String, Value>>,
    /// In its place the id of a stored document.
    document_id: Option<String>,
}

/// What the claims would open.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct View {
    /// The labels that they would open, of those that a document has now.
    #[serde(flatten)]
    opened: Labels,
    /// Some of the documents under them.
    sample: Vec<String>,
    /// Why, or why not, the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
}

/// What would these claims see? Labels, counts and names of documents: no text can be read this way.
#[utoipa::path(post, path = "/api/admin/view-as", tag = "administrators", request_body = Supposed,
    responses((status = 200, body = View), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn view_as(
    State(app): State<App>,
    Extension(request): Extension<RequestId>,
    Admin(by, oversight): Admin,
    Body(supposed): Body<Supposed>,
) -> Result<Json<View>, Problem> {
    let Supposed { claims, document, document_id } = supposed;
    let described = Described { document, document_id };
    record(&app, by, request, format!("view-as{}", described.in_words())).await?;
    let label = described.label(&app, oversight).await?;
    let opened = app.policy.suppose(&claims, app.index.labels()).await;
    let opened = opened.map_err(undecided)?;
    let sample = app.index.sample(&opened, SAMPLE, oversight).await.map_err(ask::unavailable)?;
    let explanation = match &label {
        Some(label) => Some(app.policy.explain(&claims, label).await.map_err(undecided)?),
        None => None,
    };
    Ok(Json(View {
        opened: Labels::count(&app, oversight, |label| opened.contains(&label)).await?,
        sample: sample.iter().map(ToString::to_string).collect(),
        explanation,
    }))
}

impl Described {
    /// What the trail says of it.
    pub(super) fn in_words(&self) -> String {
        self.document_id.as_ref().map_or_else(String::new, |id| format!(" document={id:?}"))
    }

    /// The label of the document that is named or described, if one is.
    pub(super) async fn label(
        &self,
        app: &App,
        oversight: Oversight,
    ) -> Result<Option<Label>, Problem> {
        match (&self.document, &self.document_id) {
            (Some(_), Some(_)) => {
                Err(Problem::bad_request("document_id: give it, or document, but not both"))
            }
            (Some(metadata), None) => {
                let label = app.policy.schema().label_of_new(metadata);
                let wrong = |error| Problem::bad_request(format!("document: {error}"));
                label.map(Some).map_err(wrong)
            }
            (None, Some(id)) => {
                let id = DocumentId::new(id)
                    .map_err(|error| Problem::bad_request(format!("document_id: {error}")))?;
                let number = app.index.label_of(&id, oversight).await.map_err(ask::unavailable)?;
                let number = number.ok_or_else(|| {
                    Problem::with_status(404, format!("No document is called {:?}.", id.as_str()))
                })?;
                Ok(app.index.labels().label(number))
            }
            (None, None) => Ok(None),
        }
    }
}
