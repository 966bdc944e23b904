//! The end-session endpoint.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::HeaderMap;
use axum::http::header::SET_COOKIE;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::page;
use crate::provider::Provider;

pub(crate) const END_SESSION: &str = "/end_session";

#[derive(Deserialize)]
pub(crate) struct EndForm {
    post_logout_redirect_uri: Option<String>,
    state: Option<String>,
}

/// OpenID Connect RP-Initiated Logout 1.0, without the question whether one really wants to:
/// in a demo, a sign-out that somebody else started costs one click.
pub(crate) async fn end(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    form: Result<Form<EndForm>, FormRejection>,
) -> Response {
    if let Some(handle) = provider.session_handle(&headers) {
        provider.memory().sessions.take(handle);
    }
    let gone = format!("{}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0", provider.cookie);
    (AppendHeaders([(SET_COOKIE, gone)]), onward(&provider, form)).into_response()
}

fn onward(provider: &Provider, form: Result<Form<EndForm>, FormRejection>) -> Response {
    let Ok(Form(form)) = form else {
        return page::problem("You are signed out, but the request cannot be read.");
    };
    let Some(written) = form.post_logout_redirect_uri else {
        return page::signed_out();
    };
    let Some(mut url) = provider.permitted(&written) else {
        return page::problem(
            "You are signed out. The application asks to return to an address that is not \
             permitted: its post_logout_redirect_uri starts with none of the permitted origins.",
        );
    };
    if let Some(state) = &form.state {
        url.query_pairs_mut().append_pair("state", state);
    }
    Redirect::to(url.as_str()).into_response()
}
