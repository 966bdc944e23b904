//! Typed values of attributes and claims, so that `"1"` and `9` are never compared as text.

use serde_json::Value as Json;

/// The most values that one claim or one attribute may carry.
///
/// Providers cap group claims near 200 (Entra); a longer list is an attack or a mistake, and half
/// of it must not count.
pub(crate) const MAX_VALUES: usize = 256;

/// One value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Scalar {
    /// Compared byte for byte.
    Keyword(Box<str>),
    /// Compared as a number.
    Integer(i64),
    /// A place in the attribute's order, 1 for the lowest.
    Level(u16),
}

/// What an attribute holds in one label: one value, or several in order and without repeats.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Held {
    /// An attribute with one value.
    One(Scalar),
    /// An attribute with `multiple = true`; never empty.
    Many(Box<[Scalar]>),
}

impl Held {
    pub(crate) fn as_slice(&self) -> &[Scalar] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

/// What the values of an attribute are, and how they compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Keyword,
    Integer,
    /// Names from low to high, and other spellings of them.
    Level {
        names: Vec<Box<str>>,
        aliases: Vec<(Box<str>, u16)>,
    },
}

impl Kind {
    /// Reads one JSON value as this kind; `None` when it is not one.
    pub(crate) fn scalar(&self, json: &Json) -> Option<Scalar> {
        match self {
            Self::Keyword => match json {
                Json::String(text) if !text.is_empty() => {
                    Some(Scalar::Keyword(text.as_str().into()))
                }
                _ => None,
            },
            Self::Integer => integer(json).map(Scalar::Integer),
            Self::Level { names, aliases } => rank(names, aliases, json).map(Scalar::Level),
        }
    }

    /// The value as its owner would write it.
    pub(crate) fn json(&self, scalar: &Scalar) -> Json {
        match (self, scalar) {
            (Self::Level { names, .. }, Scalar::Level(rank)) => {
                let name = names.get(usize::from(rank.saturating_sub(1)));
                name.map_or(Json::Null, |name| Json::from(name.as_ref()))
            }
            (_, Scalar::Keyword(text)) => Json::from(text.as_ref()),
            (_, Scalar::Integer(number)) => Json::from(*number),
            (_, Scalar::Level(rank)) => Json::from(*rank),
        }
    }

    /// Whether values of this kind have an order that a policy may use.
    pub(crate) fn is_ordered(&self) -> bool {
        !matches!(self, Self::Keyword)
    }
}

fn rank(names: &[Box<str>], aliases: &[(Box<str>, u16)], json: &Json) -> Option<u16> {
    if let Json::String(text) = json {
        let named = names.iter().position(|name| **name == **text);
        if let Some(place) = named {
            return u16::try_from(place + 1).ok();
        }
        if let Some((_, rank)) = aliases.iter().find(|(alias, _)| **alias == **text) {
            return Some(*rank);
        }
    }
    let number = integer(json)?;
    let rank = u16::try_from(number).ok()?;
    (1..=names.len()).contains(&usize::from(rank)).then_some(rank)
}

/// An integer, or the text that this integer prints as: `3` and `"3"`, not `3.0`, `"03"` or `" 3"`.
fn integer(json: &Json) -> Option<i64> {
    match json {
        Json::Number(number) => number.as_i64(),
        Json::String(text) => {
            let number: i64 = text.parse().ok()?;
            (number.to_string() == *text).then_some(number)
        }
        _ => None,
    }
}
