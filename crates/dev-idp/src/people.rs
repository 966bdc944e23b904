//! Whom one can sign in as.

use std::collections::HashSet;

use bailiwick_redact::without_values;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Someone whom one can sign in as.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The `sub` of this person's tokens: ASCII letters, digits and `- _ . @`, at most 64.
    pub id: String,
    /// The name to show. In the ID token, with the scope `profile`.
    pub name: String,
    /// The address. In the ID token, with the scope `email`.
    pub email: String,
    /// One line that tells visitors of the picking page whom they pick.
    pub about: String,
    /// What the access token says besides the registered claims, as it stands.
    #[serde(default)]
    pub claims: Map<String, Value>,
}

impl Person {
    /// Whether a `login_hint` means this person: by id or by address.
    pub(crate) fn is_called(&self, hint: &str) -> bool {
        self.id == hint || self.email == hint
    }
}

/// What is wrong with a list of people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeopleError {
    /// The text is not TOML, or not of this form.
    #[error("the list of people cannot be read: {0}")]
    Form(String),
    /// An id that could be mistaken for something else in a page or a log.
    #[error("the id {0:?} is not usable; write 1 to 64 ASCII letters, digits or - _ . @")]
    Id(String),
    /// Two people with one id.
    #[error("two people have the id {0:?}; give each her own")]
    Twice(String),
    /// A claim that only the provider may set.
    #[error("{person} has the claim {claim:?}, which the provider sets; remove it")]
    ReservedClaim {
        /// The person's id.
        person: String,
        /// The claim's name.
        claim: String,
    },
}

/// Reads a list of `[[person]]` tables.
///
/// # Errors
/// The text is no such list, or [`PeopleError`] says which entry cannot be used.
pub fn parse_people(toml: &str) -> Result<Vec<Person>, PeopleError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct List {
        #[serde(default)]
        person: Vec<Person>,
    }
    let list: List = toml::from_str(toml).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = 1 + toml.bytes().take(start).filter(|byte| *byte == b'\n').count();
        PeopleError::Form(format!("line {line}: {}", without_values(error.message())))
    })?;
    check(&list.person)?;
    Ok(list.person)
}

/// What RFC 9068 and OpenID Connect say with these names must come from the provider alone.
const RESERVED: [&str; 13] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "client_id",
    "scope",
    "nonce",
    "at_hash",
    "c_hash",
    "auth_time",
];

pub(crate) fn check(people: &[Person]) -> Result<(), PeopleError> {
    let mut ids = HashSet::new();
    for person in people {
        if !usable(&person.id) {
            return Err(PeopleError::Id(person.id.clone()));
        }
        if !ids.insert(&person.id) {
            return Err(PeopleError::Twice(person.id.clone()));
        }
        if let Some(claim) = RESERVED.iter().find(|name| person.claims.contains_key(**name)) {
            return Err(PeopleError::ReservedClaim {
                person: person.id.clone(),
                claim: (*claim).to_owned(),
            });
        }
    }
    Ok(())
}

fn usable(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    (1..=64).contains(&id.len()) && id.bytes().all(plain)
}
