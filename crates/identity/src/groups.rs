//! Claims that a token does not carry, such as the groups of somebody who is in many.
//!
//! Until the source has answered, such a claim is missing, and a missing claim opens nothing. What
//! the token says of where to look (`_claim_sources`) is never followed.

mod source;

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use moka::Expiry;
use moka::future::Cache;
use serde_json::{Map, Value};

pub use self::source::GroupsConfig;
use self::source::Person;
pub(crate) use self::source::Source;
use crate::Rejection;
use crate::jws;
use crate::provider::Provider;

/// What all remembered answers may take, in bytes.
const MEMORY: u64 = 64 * 1024 * 1024;
/// How long a source that failed is left alone, for each person.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Looks claims up, once for all who wait, and remembers what it learned.
#[derive(Debug)]
pub(crate) struct Groups {
    claims: Vec<String>,
    source: Source,
    required: bool,
    answers: Cache<[u8; 32], Answer>,
}

/// What a source said of a person; none when it could not be asked.
type Answer = Option<Arc<Map<String, Value>>>;

impl Groups {
    pub(crate) fn new(config: &GroupsConfig, source: Source) -> Groups {
        let kept = Keep { answers: Duration::from_secs(config.cache_seconds) };
        let answers = Cache::builder()
            .max_capacity(MEMORY)
            .weigher(|_, answer: &Answer| weight(answer))
            .expire_after(kept)
            .build();
        Groups { claims: config.claims.clone(), source, required: config.required, answers }
    }

    /// Adds what the payload of a verified token lacks, if the source knows it.
    pub(crate) async fn complete(
        &self,
        provider: &Provider,
        token: &str,
        mut payload: Map<String, Value>,
    ) -> Result<Map<String, Value>, Rejection> {
        if !self.claims.iter().any(|name| is_lacking(&payload, name)) {
            return Ok(payload);
        }
        let text = |name| payload.get(name).and_then(Value::as_str).unwrap_or_default();
        let person = Person { token, issuer: text("iss"), subject: text("sub") };
        let asked = async {
            let answer = self.source.ask(provider, person, &self.claims).await;
            answer.map(Arc::new).inspect_err(|cause| tracing::warn!(%cause, "no groups")).ok()
        };
        let answer = self.answers.get_with(self.key(person), asked).await;
        match answer {
            Some(found) => self.claims.iter().for_each(|name| add(&mut payload, name, &found)),
            None if self.required => {
                return Err(Rejection::unavailable("required claims cannot be looked up"));
            }
            None => {}
        }
        Ok(payload)
    }

    /// Answers belong to the token that a source is asked with, or else to the person. The token's
    /// signature does not count: its bearer can change one of ECDSA into another that holds.
    fn key(&self, person: Person<'_>) -> [u8; 32] {
        let of = if self.source.asks_with_the_token() {
            jws::signing_input(person.token)
        } else {
            person.subject
        };
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, of.as_bytes()).as_ref());
        key
    }
}

/// Whether the token lacks a claim, or only refers to it (OpenID Connect Core 1.0 section 5.6.2;
/// Entra's `hasgroups` for those who are in too many).
fn is_lacking(payload: &Map<String, Value>, name: &str) -> bool {
    let named = payload.get("_claim_names").and_then(Value::as_object);
    let referred = named.is_some_and(|named| named.contains_key(name));
    let overage = name == "groups" && payload.contains_key("hasgroups");
    referred || overage || payload.get(name).is_none_or(Value::is_null)
}

/// Puts a claim in its place. One that the source does not know either stays lacking.
fn add(payload: &mut Map<String, Value>, name: &str, found: &Map<String, Value>) {
    let Some(value) = found.get(name).filter(|value| !value.is_null()) else { return };
    if !is_lacking(payload, name) {
        return;
    }
    payload.insert(name.to_owned(), value.clone());
    if let Some(named) = payload.get_mut("_claim_names").and_then(Value::as_object_mut) {
        named.remove(name);
    }
    if name == "groups" {
        payload.remove("hasgroups");
    }
}

fn weight(answer: &Answer) -> u32 {
    let bytes = answer
        .as_ref()
        .map_or(0, |found| found.values().map(|value| value.to_string().len()).sum::<usize>());
    u32::try_from(bytes + 256).unwrap_or(u32::MAX)
}

/// How long an answer counts, and how long a failure.
#[derive(Debug)]
struct Keep {
    answers: Duration,
}

impl Expiry<[u8; 32], Answer> for Keep {
    fn expire_after_create(&self, _: &[u8; 32], answer: &Answer, _: Instant) -> Option<Duration> {
        Some(if answer.is_some() { self.answers } else { AFTER_FAILURE })
    }
}
