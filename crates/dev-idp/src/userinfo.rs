//! The userinfo endpoint.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use serde_json::{Map, Value};

use crate::memory::Scope;
use crate::people::Person;
use crate::provider::Provider;
use crate::refusal::Refusal;

pub(crate) const USERINFO: &str = "/userinfo";

/// OpenID Connect Core 5.3.
pub(crate) async fn userinfo(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
) -> Result<Json<Map<String, Value>>, Refusal> {
    described(&provider, &headers).map(Json).ok_or_else(Refusal::bearer)
}

fn described(provider: &Provider, headers: &HeaderMap) -> Option<Map<String, Value>> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let claims = provider.key.read(token, &provider.issuer, &provider.audience)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if provider.memory().revoked.get(text("jti")?).is_some() {
        return None;
    }
    let person = provider.person(text("sub")?)?;
    let mut says = person.describe(&Scope::granted(text("scope")?));
    says.insert("sub".to_owned(), person.id.clone().into());
    Some(says)
}

impl Person {
    /// What the granted scopes let the client know of this person (OpenID Connect Core 5.4).
    pub(crate) fn describe(&self, scope: &Scope) -> Map<String, Value> {
        [("profile", "name", &self.name), ("email", "email", &self.email)]
            .into_iter()
            .filter(|(needed, ..)| scope.has(needed))
            .map(|(_, claim, value)| (claim.to_owned(), value.clone().into()))
            .collect()
    }
}
