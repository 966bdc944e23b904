//! Claims as a policy sees them: typed, or a named reason why they never satisfy a rule.

use std::fmt;

use serde_json::{Map, Value as Json};

use crate::value::{Kind, MAX_VALUES, Scalar};

/// Where a claim stands in a token: the name of a member, or a JSON Pointer (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimPath {
    written: Box<str>,
    /// The member of the payload.
    member: Box<str>,
    /// A pointer into that member; empty for all of it.
    rest: Box<str>,
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
        f.write_str(&self.written)
    }
}

impl ClaimPath {
    /// Reads a path: a pointer when it starts with `/`, and otherwise a name, whatever characters
    /// it has.
    pub fn new(path: &str) -> Self {
        let (member, rest) = match path.strip_prefix('/') {
            Some(pointer) => {
                let end = pointer.find('/').unwrap_or(pointer.len());
                let (member, rest) = pointer.split_at_checked(end).unwrap_or((pointer, ""));
                (member.replace("~1", "/").replace("~0", "~"), rest)
            }
            None => (path.to_owned(), ""),
        };
        Self { written: path.into(), member: member.into(), rest: rest.into() }
    }

    /// The path of a member by its name, also when that starts with `/`.
    pub(crate) fn member(name: &str) -> Self {
        Self { written: name.into(), member: name.into(), rest: "".into() }
    }

    /// The claim as it stands in the token, if it is there.
    pub fn find<'a>(&self, claims: &'a Map<String, Json>) -> Option<&'a Json> {
        claims.get(&*self.member)?.pointer(&self.rest)
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

    pub(crate) fn is_referred(&self, claims: &Map<String, Json>) -> bool {
        let name = &*self.member;
        let named = claims.get("_claim_names").and_then(Json::as_object);
        let overage = claims.get("hasgroups").is_some_and(|flag| *flag != Json::Bool(false));
        named.is_some_and(|named| named.contains_key(name)) || (overage && name == "groups")
    }
}
