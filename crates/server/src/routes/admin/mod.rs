//! `/api/admin`: for people with the administrator's claim.

pub(crate) mod agents;
pub(crate) mod audit;
pub(crate) mod labels;
pub(crate) mod policy;
pub(crate) mod questions;

use bailiwick_authority::Administrator;
use bailiwick_authority::audit::{Event, Kind, Outcome};

use crate::app::App;
use crate::problem::Problem;
use crate::request_id::RequestId;

/// Nothing is shown to an administrator that is not on record.
async fn record(
    app: &App,
    by: Administrator,
    request: RequestId,
    detail: String,
) -> Result<(), Problem> {
    let mut event = Event::new(Kind::Admin, Outcome::Ok)
        .with_detail(detail)
        .with_request(Some(&request.to_string()));
    if let Administrator::Person { issuer, subject } = by {
        (event.issuer, event.subject) = (Some(issuer), Some(subject));
    }
    app.audit.record(event).await.map_err(|error| {
        tracing::error!(%error, "an administrator's request was not recorded, so it is not answered");
        Problem::unavailable("The audit trail cannot be written, so nothing is answered.")
    })
}
