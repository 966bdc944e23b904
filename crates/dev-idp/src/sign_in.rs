//! The client side: signs in by the same pages as a browser.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::LOCATION;
use reqwest::{Client, Response};
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::authorize::PICK;
use crate::memory::unguessable;
use crate::page::{HANDLE_FIELD, PERSON_FIELD};
use crate::published::DISCOVERY;

/// What a sign-in ends with.
#[derive(Debug, Deserialize)]
pub struct Tokens {
    /// Goes into the `Authorization` header.
    pub access_token: SecretString,
    /// How long the access token is valid, in seconds.
    pub expires_in: u64,
    /// Tells the client who signed in; no server accepts it.
    pub id_token: SecretString,
}

/// Why a sign-in did not end with tokens.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The provider does not answer, or not with what was asked for.
    #[error("the identity provider does not answer; start it, as `bailiwick demo` does")]
    Unreachable(#[source] reqwest::Error),
    /// The picking page does not list that person.
    #[error("nobody called {person:?} can sign in; pick one of: {known}")]
    UnknownPerson {
        /// Who was asked for.
        person: String,
        /// The ids on the page.
        known: String,
    },
    /// The provider refuses, and says why.
    #[error("the identity provider refuses: {error}: {description}")]
    Refused {
        /// The OAuth error code.
        error: String,
        /// The provider's explanation.
        description: String,
    },
    /// An answer is not what a development identity provider answers.
    #[error("the answer of the identity provider is not usable: {0}")]
    Answer(&'static str),
}

impl From<reqwest::Error> for SignInError {
    fn from(error: reqwest::Error) -> Self {
        // The address may hold a code.
        Self::Unreachable(error.without_url())
    }
}

/// Signs in as a person at a [`DevProvider`](crate::DevProvider), by the pages that a browser
/// would see, with PKCE.
///
/// `redirect_uri` is not visited; it only has to be a permitted one.
///
/// # Errors
/// The provider cannot be reached, does not know the person, refuses, or answers with a foreign
/// `state` or `iss`.
pub async fn sign_in(
    issuer: &str,
    client_id: &str,
    redirect_uri: &str,
    person: &str,
) -> Result<Tokens, SignInError> {
    let client = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()?;
    let endpoints = discover(&client, issuer).await?;
    let (state, verifier) = (unguessable(), unguessable());
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    let asked = client.get(endpoints.authorization_endpoint).query(&[
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", redirect_uri),
        ("scope", "openid profile email"),
        ("state", &state),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("login_hint", person),
    ]);
    let page = asked.send().await?;
    if page.status().is_redirection() {
        return Err(refused(&page));
    }
    let page = page.text().await?;
    let handle = handle(&page, person)?;
    let picked = client
        .post(format!("{issuer}{PICK}"))
        .form(&[("handle", handle), ("person", person)])
        .send()
        .await?;
    let code = code(&picked, issuer, &state)?;
    let exchanged = client.post(endpoints.token_endpoint).form(&[
        ("grant_type", "authorization_code"),
        ("client_id", client_id),
        ("redirect_uri", redirect_uri),
        ("code", &code),
        ("code_verifier", &verifier),
    ]);
    read(exchanged.send().await?).await
}

#[derive(Deserialize)]
struct Endpoints {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
}

async fn discover(client: &Client, issuer: &str) -> Result<Endpoints, SignInError> {
    let found: Endpoints = read(client.get(format!("{issuer}{DISCOVERY}")).send().await?).await?;
    let own = |endpoint: &str| endpoint.starts_with(&format!("{issuer}/"));
    if found.issuer != issuer {
        return Err(SignInError::Answer("it calls itself by another issuer"));
    }
    if !own(&found.authorization_endpoint) || !own(&found.token_endpoint) {
        return Err(SignInError::Answer("its endpoints are elsewhere"));
    }
    Ok(found)
}

/// The handle of the picking page, if the page lists the person.
fn handle<'page>(page: &'page str, person: &str) -> Result<&'page str, SignInError> {
    fn values<'page>(page: &'page str, field: &str) -> Vec<&'page str> {
        let after = page.split(field).skip(1);
        after.filter_map(|rest| Some(rest.split_once('"')?.0)).collect()
    }
    let handles = values(page, HANDLE_FIELD);
    let [handle] = handles.as_slice() else {
        return Err(SignInError::Answer(
            "its page has no form to pick a person; check client_id and redirect_uri",
        ));
    };
    let people = values(page, PERSON_FIELD);
    if !people.contains(&person) {
        return Err(SignInError::UnknownPerson {
            person: person.to_owned(),
            known: people.join(", "),
        });
    }
    Ok(handle)
}

/// A parameter of the address that a redirect leads to.
fn parameter(response: &Response, name: &str) -> Option<String> {
    let location = Url::parse(response.headers().get(LOCATION)?.to_str().ok()?).ok()?;
    let pair = location.query_pairs().find(|(key, _)| key == name);
    pair.map(|(_, value)| value.into_owned())
}

fn refused(response: &Response) -> SignInError {
    match parameter(response, "error") {
        Some(error) => SignInError::Refused {
            error,
            description: parameter(response, "error_description").unwrap_or_default(),
        },
        None => SignInError::Answer("it neither sent a code nor said why not"),
    }
}

fn code(response: &Response, issuer: &str, state: &str) -> Result<String, SignInError> {
    if parameter(response, "state").as_deref() != Some(state) {
        return Err(SignInError::Answer("it belongs to another sign-in: the state differs"));
    }
    if parameter(response, "iss").as_deref() != Some(issuer) {
        return Err(SignInError::Answer("it comes from another provider: the iss differs"));
    }
    parameter(response, "code").ok_or_else(|| refused(response))
}

/// The JSON of a good answer, or the OAuth error of a bad one.
async fn read<T: DeserializeOwned>(response: Response) -> Result<T, SignInError> {
    #[derive(Deserialize)]
    struct Problem {
        error: String,
        #[serde(default)]
        error_description: String,
    }
    let is_success = response.status().is_success();
    let body = response.bytes().await?;
    if is_success {
        let wrong = |_| SignInError::Answer("it is not the JSON object that was expected");
        return bailiwick_json::read(&body).map_err(wrong);
    }
    match bailiwick_json::read::<Problem>(&body) {
        Ok(problem) => Err(SignInError::Refused {
            error: problem.error,
            description: problem.error_description,
        }),
        Err(_) => Err(SignInError::Answer("it is an error without an explanation")),
    }
}
