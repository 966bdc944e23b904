//! The web app, and the page that stands in for it when it was not built.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::response::{Html, IntoResponse, Response};

use crate::app::App;
use crate::problem::Problem;
use crate::web::{OPENER_POLICY, confine};

const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";
const STYLESHEET: &str = "/page.css";

/// The web app's page, or what is missing for it.
pub(crate) async fn index(State(app): State<App>, asked: HeaderMap) -> Response {
    app.web().index(&asked).unwrap_or_else(missing)
}

/// The same page, for the provider's answer to a sign-in. A sign-in beside the page comes back in
/// a window that must know the page that opened it, so this answer does not cut that tie.
pub(crate) async fn callback(app: State<App>, asked: HeaderMap) -> Response {
    let mut page = index(app, asked).await;
    page.headers_mut().remove(OPENER_POLICY);
    page
}

/// The web app's other files; everything else is not here.
pub(crate) async fn file(
    State(app): State<App>,
    method: Method,
    address: Uri,
    asked: HeaderMap,
) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return Problem::not_found().into_response();
    }
    if address.path() == STYLESHEET {
        return stylesheet();
    }
    let path = address.path().trim_start_matches('/');
    app.web().file(path, &asked).unwrap_or_else(|| Problem::not_found().into_response())
}

fn missing() -> Response {
    let policy = (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    let fresh = (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let page = Html(include_str!("../page/index.html"));
    let mut response = ([policy, fresh], page).into_response();
    confine(response.headers_mut());
    response
}

fn stylesheet() -> Response {
    let kind = HeaderValue::from_static("text/css; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], include_str!("../page/page.css")).into_response()
}
