//! Search in the audit trail.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_authority::Timestamp;
use bailiwick_authority::audit::{Kind, Page, Search};
use serde::Deserialize;
use utoipa::IntoParams;

use super::record;
use crate::app::App;
use crate::caller::Admin;
use crate::input::Parameters;
use crate::problem::Problem;
use crate::request_id::RequestId;

/// What is looked for; whatever is given must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// The `sub` of a person, or the SPIFFE ID of an agent.
    person: Option<String>,
    /// A document's id.
    document: Option<String>,
    /// An agent's name.
    agent: Option<String>,
    /// What happened.
    #[param(inline)]
    event: Option<Kind>,
    /// From this second on: RFC 3339.
    from: Option<String>,
    /// Before this second: RFC 3339.
    to: Option<String>,
    /// Records before this one: `next` of the page before.
    before: Option<u64>,
    /// The most records, 1 to 1,000.
    #[serde(default = "hundred")]
    #[param(default = 100, minimum = 1, maximum = 1000)]
    limit: usize,
}

fn hundred() -> usize {
    100
}

impl Wanted {
    fn search(self) -> Result<Search, Problem> {
        let time = |name: &str, text: Option<String>| {
            let parsed = text.map(|text| Timestamp::parse(&text)).transpose();
            parsed.map_err(|error| Problem::bad_request(format!("{name}: {error}")))
        };
        if !(1..=1000).contains(&self.limit) {
            return Err(Problem::bad_request("limit: write 1 to 1000"));
        }
        Ok(Search {
            from: time("from", self.from)?,
            to: time("to", self.to)?,
            person: self.person,
            document: self.document,
            agent: self.agent,
            event: self.event,
            before: self.before,
            limit: self.limit,
        })
    }
}

/// Finds records of the audit trail, newest first. The search is on record too.
#[utoipa::path(get, path = "/api/admin/audit", tag = "administrators", params(Wanted),
    responses((status = 200, body = Page), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn search(
    State(app): State<App>,
    Extension(request): Extension<RequestId>,
    Admin(by, _): Admin,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Json<Page>, Problem> {
    let search = wanted.search()?;
    record(&app, by, request, in_words(&search)).await?;
    let audit = Arc::clone(&app.audit);
    let found = tokio::task::spawn_blocking(move || audit.search(&search)).await;
    found.map_err(|_| Problem::internal())?.map(Json).map_err(|error| {
        tracing::error!(%error, "the audit trail cannot be read");
        Problem::unavailable("The audit trail cannot be read; the log says why.")
    })
}

/// What the trail says of a search in it.
fn in_words(search: &Search) -> String {
    let named = [
        ("person", search.person.clone()),
        ("document", search.document.clone()),
        ("agent", search.agent.clone()),
        ("event", search.event.map(|kind| kind.name().to_owned())),
        ("from", search.from.map(|time| time.to_string())),
        ("to", search.to.map(|time| time.to_string())),
        ("before", search.before.map(|seq| seq.to_string())),
    ];
    let mut words = String::from("audit");
    for (name, value) in named {
        if let Some(value) = value {
            words.push_str(&format!(" {name}={value:?}"));
        }
    }
    words
}
