//! What of a token an engine is told: typed, and nothing that changes from token to token.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::claim::{ClaimPath, ClaimProblem};
use crate::policy::PolicyError;
use crate::schema::Schema;
use crate::value::{Kind, MAX_VALUES};

/// Members of a payload that tell a token from the next one, or claims that are elsewhere, and
/// say nothing of the person. A decision outlives a token, so it must not depend on them.
const NOT_OF_THE_PERSON: [&str; 17] = [
    "exp",
    "iat",
    "nbf",
    "jti",
    "auth_time",
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    "sid",
    "session_state",
    "uti",
    "aio",
    "rh",
    "hasgroups",
    "_claim_names",
    "_claim_sources",
];

/// Which claims an engine is told, and what type they must have.
#[derive(Clone, Debug)]
pub(crate) struct Disclosure {
    typed: Vec<(ClaimPath, Kind)>,
    /// Whether claims that nothing is known of are told too.
    open: bool,
}

impl Disclosure {
    /// `listed` is `policy.claims`: claim → the attribute, or the type, whose values it has.
    /// Without it an engine is told all claims, and one that is named as an attribute is read as
    /// that attribute.
    pub(crate) fn new(
        listed: Option<&BTreeMap<String, String>>,
        schema: &Schema,
    ) -> Result<Self, PolicyError> {
        let Some(listed) = listed else {
            let named = schema.attributes().iter();
            let typed = named.map(|one| (ClaimPath::new(one.name()), one.kind.clone())).collect();
            return Ok(Self { typed, open: true });
        };
        let typed = listed.iter().map(|(claim, kind)| {
            let kind = match (schema.find(kind), kind.as_str()) {
                (Some((_, attribute)), _) => attribute.kind.clone(),
                (None, "keyword") => Kind::Keyword,
                (None, "integer") => Kind::Integer,
                (None, other) => {
                    let problem = format!("`{other}` is no attribute, and not keyword or integer");
                    return Err(PolicyError::Claim { claim: claim.clone(), problem });
                }
            };
            Ok((ClaimPath::new(claim), kind))
        });
        Ok(Self { typed: typed.collect::<Result<_, _>>()?, open: false })
    }

    /// The claims by the names under which they are configured, or stand in the token. A claim
    /// that is missing, empty, over-long, only referred to or of the wrong type is not there.
    pub(crate) fn of(&self, claims: &Map<String, Json>) -> Map<String, Json> {
        let mut told = Map::new();
        if self.open {
            let usable = claims.iter().filter(|(name, claim)| {
                let path = ClaimPath::member(name);
                !NOT_OF_THE_PERSON.contains(&name.as_str())
                    && !path.is_referred(claims)
                    && is_usable(claim)
            });
            told.extend(usable.map(|(name, claim)| (name.clone(), claim.clone())));
        }
        for (path, kind) in &self.typed {
            let name = path.to_string();
            match path.values(claims, kind) {
                Ok(values) => {
                    let mut values: Vec<Json> = values.iter().map(|one| kind.json(one)).collect();
                    let many = path.find(claims).is_some_and(Json::is_array);
                    let one = if many { None } else { values.pop() };
                    told.insert(name, one.unwrap_or(Json::Array(values)));
                }
                Err(_) => drop(told.remove(&name)),
            }
        }
        told
    }

    /// The listed claims, and whether each can be used.
    pub(crate) fn listed<'a>(
        &'a self,
        claims: &'a Map<String, Json>,
    ) -> impl Iterator<Item = (&'a ClaimPath, Result<(), ClaimProblem>)> {
        let listed = self.typed.iter().filter(|_| !self.open);
        listed.map(|(path, kind)| (path, path.values(claims, kind).map(drop)))
    }

    /// The names of the listed claims.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.typed.iter().filter(|_| !self.open).map(|(path, _)| path.to_string())
    }
}

/// Whether a claim of unknown type says something: lists are of one type, and nothing is empty.
fn is_usable(claim: &Json) -> bool {
    match claim {
        Json::Null => false,
        Json::Bool(_) | Json::Number(_) => true,
        Json::String(text) => !text.is_empty(),
        Json::Array(values) => {
            let alike = values.windows(2).all(|pair| match pair {
                [left, right] => std::mem::discriminant(left) == std::mem::discriminant(right),
                _ => true,
            });
            (1..=MAX_VALUES).contains(&values.len()) && alike && values.iter().all(is_usable)
        }
        Json::Object(members) => !members.is_empty() && members.values().all(is_usable),
    }
}
