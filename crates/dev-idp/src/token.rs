//! The token endpoint and the revocation endpoint.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::{Form, Json};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::key::{ACCESS_TOKEN, ID_TOKEN};
use crate::memory::{Grant, Memory, Scope};
use crate::provider::{Provider, fields, now};
use crate::refusal::Refusal;

pub(crate) const TOKEN: &str = "/token";
pub(crate) const REVOKE: &str = "/revoke";

#[derive(Deserialize)]
pub(crate) struct TokenForm {
    grant_type: Option<String>,
    client_id: Option<String>,
    code: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    refresh_token: Option<String>,
    scope: Option<String>,
}

/// RFC 6749 sections 4.1.3 and 6, RFC 7636 section 4.5.
pub(crate) async fn token(
    State(provider): State<Arc<Provider>>,
    form: Result<Form<TokenForm>, FormRejection>,
) -> Result<Json<Value>, Refusal> {
    let Form(form) = form.map_err(|_| unreadable())?;
    check_client(&provider, form.client_id.as_deref())?;
    let tokens = match form.grant_type.as_deref() {
        Some("authorization_code") => redeem_code(&provider, &form),
        Some("refresh_token") => refresh(&provider, &form),
        Some(_) => Err(Refusal::new(
            "unsupported_grant_type",
            "grant_type must be authorization_code or refresh_token",
        )),
        None => Err(Refusal::new("invalid_request", "grant_type is missing")),
    };
    tokens.map(|tokens| Json(Value::Object(tokens)))
}

fn unreadable() -> Refusal {
    Refusal::new("invalid_request", "the body must be a form that names each parameter once")
}

fn check_client(provider: &Provider, client_id: Option<&str>) -> Result<(), Refusal> {
    if client_id == Some(provider.client_id.as_str()) {
        return Ok(());
    }
    Err(Refusal::new("invalid_client", "client_id is missing or not known"))
}

fn redeem_code(provider: &Provider, form: &TokenForm) -> Result<Map<String, Value>, Refusal> {
    let mut memory = provider.memory();
    let code = form.code.as_deref().unwrap_or_default();
    let spent = memory.codes.get(code).ok_or(Refusal::grant("the code is wrong or expired"))?;
    let grant = spend(spent);
    if grant.spent {
        withdraw(&mut memory, &grant);
        return Err(Refusal::grant("the code was used already"));
    }
    if form.redirect_uri.as_ref() != Some(&grant.asked.answer_to.written) {
        return Err(Refusal::grant("redirect_uri is not the one that the code was sent to"));
    }
    if !answers(form.code_verifier.as_deref().unwrap_or_default(), &grant.asked.challenge) {
        return Err(Refusal::grant("code_verifier does not match code_challenge"));
    }
    let nonce = grant.asked.nonce.clone();
    let scope = grant.asked.scope.clone();
    give(provider, &mut memory, grant, &scope, nonce)
}

/// Each use spends a refresh token and gives the next one (RFC 9700 section 4.14.2).
fn refresh(provider: &Provider, form: &TokenForm) -> Result<Map<String, Value>, Refusal> {
    let mut memory = provider.memory();
    let handle = form.refresh_token.as_deref().unwrap_or_default();
    let kept = memory.refresh_tokens.get(handle);
    let kept = kept.ok_or(Refusal::grant("the refresh token is wrong, expired or revoked"))?;
    let scope = match &form.scope {
        None => kept.asked.scope.clone(),
        Some(narrower) => Scope::granted(narrower),
    };
    if !scope.within(&kept.asked.scope) || !scope.has("openid") {
        return Err(Refusal::new(
            "invalid_scope",
            "scope must be what was granted, or a part of it",
        ));
    }
    let grant = spend(kept);
    if grant.spent {
        withdraw(&mut memory, &grant);
        return Err(Refusal::grant("the refresh token was used already; sign in again"));
    }
    give(provider, &mut memory, grant, &scope, None)
}

/// The grant as it was, which is spent from now on.
fn spend(kept: &mut Grant) -> Grant {
    let was = kept.clone();
    kept.spent = true;
    was
}

/// A handle that comes twice was stolen at least once: none of its family serves any longer.
fn withdraw(memory: &mut Memory, grant: &Grant) {
    memory.refresh_tokens.retain(|other| other.family != grant.family);
}

fn answers(verifier: &str, challenge: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let well_formed = (43..=128).contains(&verifier.len()) && verifier.bytes().all(letter);
    let made = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    well_formed && verify_slices_are_equal(made.as_bytes(), challenge.as_bytes()).is_ok()
}

fn give(
    provider: &Provider,
    memory: &mut Memory,
    grant: Grant,
    scope: &Scope,
    nonce: Option<String>,
) -> Result<Map<String, Value>, Refusal> {
    let person = &grant.session.person;
    let mut access = person.claims.clone();
    access.extend(provider.registered(&person.id));
    access.insert("scope".to_owned(), scope.text().into());
    let now = now();
    let mut id = fields(json!({
        "iss": provider.issuer,
        "sub": person.id,
        "aud": provider.client_id,
        "iat": now,
        "exp": now + provider.lifetime_seconds(),
        "auth_time": grant.session.since,
    }));
    id.extend(nonce.map(|nonce| ("nonce".to_owned(), nonce.into())));
    id.extend(person.describe(scope));
    let mut tokens = fields(json!({
        "access_token": provider.key.sign(ACCESS_TOKEN, &access)?,
        "token_type": "Bearer",
        "expires_in": provider.lifetime_seconds(),
        "scope": scope.text(),
        "id_token": provider.key.sign(ID_TOKEN, &id)?,
    }));
    if grant.asked.scope.has("offline_access") {
        let next = memory.refresh_tokens.put(grant);
        tokens.insert("refresh_token".to_owned(), next.into());
    }
    Ok(tokens)
}

#[derive(Deserialize)]
pub(crate) struct RevokeForm {
    client_id: Option<String>,
    token: Option<String>,
}

/// RFC 7009. A token that is not known is revoked already.
pub(crate) async fn revoke(
    State(provider): State<Arc<Provider>>,
    form: Result<Form<RevokeForm>, FormRejection>,
) -> Result<StatusCode, Refusal> {
    let Form(form) = form.map_err(|_| unreadable())?;
    check_client(&provider, form.client_id.as_deref())?;
    let token = form.token.ok_or(Refusal::new("invalid_request", "token is missing"))?;
    let access = provider.key.read(&token, &provider.issuer, &provider.audience);
    let mut memory = provider.memory();
    if let Some(grant) = memory.refresh_tokens.get(&token).cloned() {
        withdraw(&mut memory, &grant);
    } else if let Some(jti) = access.as_ref().and_then(|claims| claims.get("jti")?.as_str()) {
        memory.revoked.put_under(jti.to_owned(), ());
    }
    Ok(StatusCode::OK)
}
