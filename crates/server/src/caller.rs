//! Who calls: a person with a bailiwick, an agent with a grant, or an administrator.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts as Request;
use axum::http::{HeaderMap, header};
use bailiwick_authority::{ActingFor, Administrator, Grant, TokenError};
use bailiwick_identity::{Claims, Rejection};
use bailiwick_policy::{Bailiwick, Bounds, Oversight, Unavailable};

use crate::app::App;
use crate::orders;
use crate::problem::Problem;
use crate::request_id::RequestId;

/// A person whose token was verified, and what she may read. When agents ask for her, what all of
/// them may read.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) claims: Claims,
    pub(crate) bailiwick: Arc<Bailiwick>,
    /// The agents that ask for her; none when she asks herself.
    pub(crate) through: Option<ActingFor>,
}

/// A person who may administer, and what she may therefore see.
#[derive(Debug)]
pub(crate) struct Admin(pub(crate) Administrator, pub(crate) Oversight);

/// An agent whose token was verified.
#[derive(Debug)]
pub(crate) struct Agent(pub(crate) Grant);

/// The protected resources that a challenge can point to (RFC 9728).
#[derive(Clone, Copy, Debug)]
enum Resource {
    People,
    Agents,
}

impl FromRequestParts<App> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Request, app: &App) -> Result<Self, Problem> {
        let token = bearer(&parts.headers, app, Resource::People)?;
        if !app.authority.may_have_issued(&token) {
            let claims = verified(&token, app).await?;
            orders::obey(app).await?;
            let bailiwick =
                app.policy.decide(&claims, app.index.labels()).await.map_err(undecided)?;
            return Ok(Self { claims, bailiwick, through: None });
        }
        let request_id = RequestId::of(&parts.extensions);
        let acting = app.authority.acting(&token, Some(&request_id)).await;
        let acting = acting.map_err(|error| refused(&error, app, Resource::People))?;
        let claims = acting.claims().clone();
        orders::obey(app).await?;
        let mut bailiwick =
            app.policy.decide(&claims, app.index.labels()).await.map_err(undecided)?;
        for read in acting.reads() {
            let bounds = Bounds::new(app.policy.schema(), read).map_err(|error| {
                tracing::warn!(%error, agent = acting.agent(), "read bounds do not fit the schema");
                let detail = "An agent's read bounds do not fit the schema; delegate to it anew.";
                Problem::forbidden(detail)
            })?;
            bailiwick = Arc::new(bailiwick.within(&bounds, app.index.labels()));
        }
        Ok(Self { claims, bailiwick, through: Some(acting) })
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Request, app: &App) -> Result<Self, Problem> {
        // Nobody administers through an agent: its tokens are not looked at here.
        let token = bearer(&parts.headers, app, Resource::People)?;
        let claims = verified(&token, app).await?;
        let (issuer, subject) = (claims.issuer().to_owned(), claims.subject().to_owned());
        let Some(rule) = &app.settings.admin else {
            return Err(Problem::forbidden("No administrators are configured here."));
        };
        let Some(oversight) = rule.oversight(&claims) else {
            tracing::info!(%issuer, %subject, "a person without the administrator's claim was refused");
            return Err(Problem::forbidden("Only an administrator may do this."));
        };
        orders::obey(app).await?;
        Ok(Self(Administrator::Person { issuer, subject }, oversight))
    }
}

impl FromRequestParts<App> for Agent {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Request, app: &App) -> Result<Self, Problem> {
        let token = bearer(&parts.headers, app, Resource::Agents)?;
        let request_id = RequestId::of(&parts.extensions);
        let granted = app.authority.authenticate(&token, Some(&request_id)).await;
        granted.map(Self).map_err(|error| refused(&error, app, Resource::Agents))
    }
}

fn refused(error: &TokenError, app: &App, resource: Resource) -> Problem {
    match error {
        TokenError::Expired | TokenError::Invalid => rejected(&error.to_string(), app, resource),
        _ => Problem::unavailable(format!("{error}; try again later")),
    }
}

/// 403, and which scope would do (RFC 6750 section 3.1).
pub(crate) fn insufficient_scope(scope: &str, app: &App) -> Problem {
    let metadata = resource_metadata(app, Resource::Agents);
    let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\", {metadata}");
    Problem::insufficient_scope(scope, challenge)
}

/// 503: who may read what is not known now, so nobody reads.
#[expect(clippy::needless_pass_by_value, reason = "this is what map_err calls")]
pub(crate) fn undecided(error: Unavailable) -> Problem {
    tracing::error!(cause = error.cause(), "the policy was not evaluated");
    Problem::unavailable(
        "The policy cannot be evaluated now, so nothing is answered; try again later.",
    )
}

async fn verified(token: &str, app: &App) -> Result<Claims, Problem> {
    app.verifier.verify(token).await.map_err(|rejection| {
        tracing::info!(cause = rejection.cause(), "a person's token was refused");
        match rejection {
            Rejection::Unavailable(_) => Problem::unavailable(rejection.to_string()),
            _ => rejected(&rejection.to_string(), app, Resource::People),
        }
    })
}

/// The one bearer token of a request. A token anywhere but in the header is not looked for.
fn bearer(headers: &HeaderMap, app: &App, resource: Resource) -> Result<String, Problem> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(only) = given.next() else {
        return Err(anonymous(app, resource));
    };
    if given.next().is_some() {
        return Err(Problem::bad_request("Send one Authorization header, not several."));
    }
    let text = only.to_str().map_err(|_| {
        Problem::bad_request("The Authorization header holds forbidden characters.")
    })?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(anonymous(app, resource));
    }
    if token.contains([' ', ',']) {
        return Err(Problem::bad_request("The Authorization header holds more than one token."));
    }
    Ok(token.to_owned())
}

/// No credentials were sent, so the challenge names no error (RFC 6750 section 3.1).
fn anonymous(app: &App, resource: Resource) -> Problem {
    let detail = "Sign in, and send the access token as Authorization: Bearer.";
    Problem::unauthorized(detail, format!("Bearer {}", resource_metadata(app, resource)))
}

fn rejected(detail: &str, app: &App, resource: Resource) -> Problem {
    let metadata = resource_metadata(app, resource);
    let challenge =
        format!("Bearer error=\"invalid_token\", error_description=\"{detail}\", {metadata}");
    Problem::unauthorized(detail, challenge)
}

fn resource_metadata(app: &App, resource: Resource) -> String {
    let path = match resource {
        Resource::People => "/api",
        Resource::Agents => "",
    };
    let public_url = &app.settings.public_url;
    format!("resource_metadata=\"{public_url}/.well-known/oauth-protected-resource{path}\"")
}
