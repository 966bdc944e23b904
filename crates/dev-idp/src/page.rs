//! The pages that a browser shows.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Response};

use crate::authorize::PICK;
use crate::people::Person;
use crate::provider::Provider;

pub(crate) const STYLE: &str = "/style.css";

/// How the picking page names its fields; the client side looks for them.
pub(crate) const HANDLE_FIELD: &str = r#"name="handle" value=""#;
pub(crate) const PERSON_FIELD: &str = r#"name="person" value=""#;

/// The page where one picks a person.
pub(crate) fn pick(provider: &Provider, handle: &str, hint: Option<&str>) -> Response {
    let people: String = provider.people.iter().map(|person| card(person, hint)).collect();
    let body = format!(
        r#"<h1>Who are you today?</h1>
<p>Pick a person. No password is needed to sign in to <b>{client}</b>.</p>
<form method="post" action="{PICK}">
<input type="hidden" {HANDLE_FIELD}{handle}">
<ul>
{people}</ul>
</form>
<footer>This development identity provider answers on this machine only.</footer>"#,
        client = escape(&provider.client_id),
    );
    page("Sign in", &body).into_response()
}

fn card(person: &Person, hint: Option<&str>) -> String {
    let hinted = hint.is_some_and(|hint| person.is_called(hint));
    let (autofocus, note) =
        if hinted { (" autofocus", r#"<span class="note">Suggested</span>"#) } else { ("", "") };
    format!(
        r#"<li><button {PERSON_FIELD}{id}"{autofocus}><span class="badge" aria-hidden="true">{initials}</span><span class="who"><span class="name">{name}</span>{note}<span class="about">{about}</span></span></button></li>
"#,
        id = escape(&person.id),
        initials = escape(&initials(&person.name)),
        name = escape(&person.name),
        about = escape(&person.about),
    )
}

fn initials(name: &str) -> String {
    name.split_whitespace().filter_map(|word| word.chars().next()).take(2).collect()
}

/// A page for what cannot be told to the application.
pub(crate) fn problem(says: &str) -> Response {
    let body = format!(
        "<h1>This does not work</h1>\n<p role=\"alert\">{}</p>\n<p>Go back to the application and \
         start again from there.</p>",
        escape(says)
    );
    (StatusCode::BAD_REQUEST, page("Cannot sign in", &body)).into_response()
}

pub(crate) fn signed_out() -> Response {
    page("Signed out", "<h1>You are signed out</h1>\n<p>You may close this page.</p>")
        .into_response()
}

pub(crate) async fn style() -> Response {
    let sheet = include_str!("style.css");
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], sheet).into_response()
}

/// A whole page around a body whose texts are escaped already.
fn page(title: &str, body: &str) -> Html<String> {
    Html(format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · Bailiwick demo</title>
<link rel="stylesheet" href="{STYLE}">
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"#
    ))
}

/// Text that stays text in an element and in a quoted attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
