//! The authorization endpoint, and the answer to the page where one picks a person.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::HeaderMap;
use axum::http::header::SET_COOKIE;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use serde::Deserialize;
use uuid::Uuid;

use crate::memory::{AnswerTo, Asked, Grant, Scope, Session};
use crate::page;
use crate::provider::{Provider, now};

pub(crate) const AUTHORIZE: &str = "/authorize";
pub(crate) const PICK: &str = "/pick";

/// OpenID Connect Core 3.1.2.1, RFC 7636 section 4.3. A parameter that comes twice is an error.
#[derive(Deserialize)]
pub(crate) struct AuthorizeForm {
    client_id: Option<String>,
    redirect_uri: Option<String>,
    state: Option<String>,
    response_type: Option<String>,
    response_mode: Option<String>,
    scope: Option<String>,
    nonce: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    prompt: Option<String>,
    max_age: Option<String>,
    login_hint: Option<String>,
    request: Option<String>,
    request_uri: Option<String>,
}

/// What the client did wrong, and is told (RFC 6749 section 4.1.2.1).
pub(crate) struct Wrong(&'static str, &'static str);

/// Tells the application only at a permitted address; everything else the person reads here.
pub(crate) async fn authorize(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    form: Result<Form<AuthorizeForm>, FormRejection>,
) -> Response {
    let Ok(Form(form)) = form else {
        return page::problem("The request cannot be read; a parameter may stand there twice.");
    };
    let answer_to = match answer_to(&provider, &form) {
        Ok(answer_to) => answer_to,
        Err(says) => return page::problem(says),
    };
    match answer(&provider, &headers, form, &answer_to) {
        Ok(response) => response,
        Err(Wrong(error, says)) => {
            answer_to.send(&provider, &[("error", error), ("error_description", says)])
        }
    }
}

fn answer_to(provider: &Provider, form: &AuthorizeForm) -> Result<AnswerTo, &'static str> {
    if form.client_id.as_ref() != Some(&provider.client_id) {
        return Err("The application is not known here: its client_id is wrong.");
    }
    let written = form
        .redirect_uri
        .clone()
        .ok_or("The application did not say where to return to: redirect_uri is missing.")?;
    let url = provider.permitted(&written).ok_or(
        "The application asks to return to an address that is not permitted: its redirect_uri \
         starts with none of the permitted origins.",
    )?;
    Ok(AnswerTo { url, written, state: form.state.clone() })
}

/// What `prompt` asks for (OpenID Connect Core 3.1.2.1).
#[derive(PartialEq, Eq)]
enum Prompt {
    IfNeeded,
    Never,
    Always,
}

impl Prompt {
    fn read(text: &str) -> Option<Self> {
        let mut words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        words.dedup();
        match words.as_slice() {
            [] => Some(Self::IfNeeded),
            ["none"] => Some(Self::Never),
            words => words
                .iter()
                .all(|word| ["login", "select_account", "consent"].contains(word))
                .then_some(Self::Always),
        }
    }
}

fn invalid(says: &'static str) -> Wrong {
    Wrong("invalid_request", says)
}

fn answer(
    provider: &Provider,
    headers: &HeaderMap,
    form: AuthorizeForm,
    answer_to: &AnswerTo,
) -> Result<Response, Wrong> {
    let prompt = Prompt::read(form.prompt.as_deref().unwrap_or_default())
        .ok_or_else(|| invalid("prompt must be none, or login or select_account"))?;
    let max_age = match form.max_age.as_deref().map(str::parse::<u32>) {
        None => None,
        Some(Ok(seconds)) => Some(i64::from(seconds)),
        Some(Err(_)) => return Err(invalid("max_age must be a number of seconds")),
    };
    let hint = form.login_hint.clone();
    let asked = check(form, answer_to)?;

    let session = provider
        .session(headers)
        .filter(|session| hint.as_ref().is_none_or(|hint| session.person.is_called(hint)))
        .filter(|session| max_age.is_none_or(|seconds| now() - session.since < seconds));
    match session {
        Some(session) if prompt != Prompt::Always => Ok(give_code(provider, session, asked)),
        None if prompt == Prompt::Never => Err(Wrong("login_required", "nobody is signed in")),
        _ => {
            let handle = provider.memory().pending.put(asked);
            Ok(page::pick(provider, &handle, hint.as_deref()))
        }
    }
}

fn check(form: AuthorizeForm, answer_to: &AnswerTo) -> Result<Asked, Wrong> {
    const NO_OBJECTS: &str = "request objects are not supported";
    if form.request.is_some() {
        return Err(Wrong("request_not_supported", NO_OBJECTS));
    }
    if form.request_uri.is_some() {
        return Err(Wrong("request_uri_not_supported", NO_OBJECTS));
    }
    match form.response_type.as_deref() {
        Some("code") => {}
        Some(_) => {
            return Err(Wrong("unsupported_response_type", "response_type must be code"));
        }
        None => return Err(invalid("response_type is missing")),
    }
    if form.response_mode.is_some_and(|mode| mode != "query") {
        return Err(invalid("response_mode must be query"));
    }
    if form.code_challenge_method.as_deref() != Some("S256") {
        return Err(invalid("PKCE is required: code_challenge_method must be S256"));
    }
    let challenge = form
        .code_challenge
        .filter(|text| is_sha256(text))
        .ok_or_else(|| invalid("code_challenge must be 43 characters of base64url"))?;
    let scope = Scope::granted(form.scope.as_deref().unwrap_or_default());
    if !scope.has("openid") {
        return Err(Wrong("invalid_scope", "scope must contain openid"));
    }
    Ok(Asked { answer_to: answer_to.clone(), scope, nonce: form.nonce, challenge })
}

fn is_sha256(challenge: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    challenge.len() == 43 && challenge.bytes().all(letter)
}

#[derive(Deserialize)]
pub(crate) struct PickForm {
    handle: String,
    person: String,
}

/// The answer to the picking page.
pub(crate) async fn pick(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    form: Result<Form<PickForm>, FormRejection>,
) -> Response {
    let Ok(Form(form)) = form else {
        return page::problem("The form cannot be read.");
    };
    let Some(person) = provider.person(&form.person).cloned() else {
        return page::problem("Nobody of that name can sign in here.");
    };
    let Some(asked) = provider.memory().pending.take(&form.handle) else {
        return page::problem("This sign-in is over: it was used already, or ten minutes passed.");
    };
    let session = Session { person, since: now() };
    let mut memory = provider.memory();
    if let Some(former) = provider.session_handle(&headers) {
        memory.sessions.take(former);
    }
    let handle = memory.sessions.put(session.clone());
    drop(memory);
    // No Secure: loopback is reached over plain http.
    let cookie = format!("{}={handle}; Path=/; HttpOnly; SameSite=Lax", provider.cookie);
    let code = give_code(&provider, session, asked);
    (AppendHeaders([(SET_COOKIE, cookie)]), code).into_response()
}

fn give_code(provider: &Provider, session: Session, asked: Asked) -> Response {
    let answer_to = asked.answer_to.clone();
    let code =
        provider.memory().codes.put(Grant { session, asked, family: Uuid::new_v4(), spent: false });
    answer_to.send(provider, &[("code", &code)])
}

impl AnswerTo {
    /// Sends the browser back, with `state` and `iss` (RFC 9207) added.
    fn send(mut self, provider: &Provider, answer: &[(&str, &str)]) -> Response {
        self.url
            .query_pairs_mut()
            .extend_pairs(answer)
            .extend_pairs(self.state.as_ref().map(|state| ("state", state)))
            .append_pair("iss", &provider.issuer);
        Redirect::to(self.url.as_str()).into_response()
    }
}
