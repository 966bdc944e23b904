//! Claims as a policy sees them: typed, or a named reason why they never satisfy a rule.

use std::fmt;

use serde_json::{Map, Value as Json};

use crate::value::{Kind, MAX_VALUES, Scalar};

/// Where a claim stands in a token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ClaimPath {
    /// A member of the payload, whatever characters its name has.
    Member(Box<str>),
    /// A JSON Pointer (RFC 6901).
    Pointer(Box<str>),
}

/// A claim's values, or why it has none.
pub(crate) type ClaimValues = Result<Box<[Scalar]>, ClaimProblem>;

/// Why a claim satisfies nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ClaimProblem {
    Missing,
    Empty,
    /// The token says that the values are elsewhere (OpenID Connect Core 5.6.2, Entra's overage).
    Referred,
    WrongType,
    TooMany,
}

impl fmt::Display for ClaimProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::Empty => "is empty",
            Self::Referred => "is only referred to, its values are not in the token",
            Self::WrongType => "has a value of the wrong type",
            Self::TooMany => "has too many values",
        })
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(path) | Self::Pointer(path) => f.write_str(path),
        }
    }
}

impl ClaimPath {
    pub(crate) fn new(path: &str) -> Self {
        if path.starts_with('/') { Self::Pointer(path.into()) } else { Self::Member(path.into()) }
    }

    /// The raw claim, if it is there.
    pub(crate) fn find<'a>(&self, claims: &'a Map<String, Json>) -> Option<&'a Json> {
        match self {
            Self::Member(name) => claims.get(&**name),
            Self::Pointer(pointer) => pointed(claims, pointer),
        }
    }

    /// The claim's values as `kind`. One bad value spoils the whole claim: half a list of groups
    /// is not what the provider said.
    pub(crate) fn values(&self, claims: &Map<String, Json>, kind: &Kind) -> ClaimValues {
        if self.is_referred(claims) {
            return Err(ClaimProblem::Referred);
        }
        match self.find(claims) {
            None | Some(Json::Null) => Err(ClaimProblem::Missing),
            Some(Json::Array(values)) if values.is_empty() => Err(ClaimProblem::Empty),
            Some(Json::Array(values)) if values.len() > MAX_VALUES => Err(ClaimProblem::TooMany),
            Some(Json::Array(values)) => values
                .iter()
                .map(|value| kind.scalar(value).ok_or(ClaimProblem::WrongType))
                .collect(),
            Some(Json::String(text)) if text.is_empty() => Err(ClaimProblem::Empty),
            Some(value) => Ok([kind.scalar(value).ok_or(ClaimProblem::WrongType)?].into()),
        }
    }

    fn is_referred(&self, claims: &Map<String, Json>) -> bool {
        let name = match self {
            Self::Member(name) => &**name,
            Self::Pointer(pointer) => pointer.get(1..).unwrap_or_default(),
        };
        let named = claims.get("_claim_names").and_then(Json::as_object);
        let overage = claims.get("hasgroups").is_some_and(|flag| *flag != Json::Bool(false));
        named.is_some_and(|named| named.contains_key(name)) || (overage && name == "groups")
    }
}

fn pointed<'a>(claims: &'a Map<String, Json>, pointer: &str) -> Option<&'a Json> {
    let mut tokens =
        pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~"));
    let first = claims.get(&tokens.next()?)?;
    tokens.try_fold(first, |value, token| match value {
        Json::Object(members) => members.get(&token),
        Json::Array(values) => values.get(token.parse::<usize>().ok()?),
        _ => None,
    })
}
