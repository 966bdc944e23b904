//! One comparison between an attribute and some values, in three-valued logic.

use crate::schema::Attribute;
use crate::value::{Held, Kind, Scalar};

/// Whether a condition holds (Kleene's strong logic).
///
/// `Unknown` is a missing attribute or an unusable claim. Negation leaves it unknown, so that no
/// negative condition opens anything by something's absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Truth {
    False,
    Unknown,
    True,
}

impl Truth {
    pub(crate) fn of(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

impl std::ops::Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
            Self::True => Self::False,
        }
    }
}

/// How an attribute is compared with values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Eq,
    In,
    Any,
    All,
    Lte,
    Gte,
    Prefix,
    Exists,
}

impl Operator {
    const ALL: [Self; 8] = [
        Self::Eq,
        Self::In,
        Self::Any,
        Self::All,
        Self::Lte,
        Self::Gte,
        Self::Prefix,
        Self::Exists,
    ];

    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|operator| operator.name() == name);
        let known = Self::ALL.map(Self::name).join(", ");
        named.ok_or_else(|| format!("write one of {known}"))
    }

    /// Refuses an operator that means nothing for this attribute.
    pub(crate) fn check(self, attribute: &Attribute) -> Result<(), String> {
        let name = attribute.name();
        match self {
            Self::Lte | Self::Gte if !attribute.kind.is_ordered() => {
                Err(format!("`{name}` is a keyword, and keywords have no order"))
            }
            Self::Prefix if attribute.kind != Kind::Keyword => {
                Err(format!("`prefix` compares text, and `{name}` is none"))
            }
            Self::In | Self::Lte | Self::Gte | Self::Prefix if attribute.multiple => {
                Err(format!("`{name}` holds a list; use `any` or `all`"))
            }
            _ => Ok(()),
        }
    }

    /// Whether what a document holds stands in this relation to any of `values`.
    pub(crate) fn holds(self, held: &Held, values: &[Scalar]) -> bool {
        let held = held.as_slice();
        match self {
            Self::Exists => true,
            Self::In | Self::Any => held.iter().any(|value| values.contains(value)),
            Self::All => held.iter().all(|value| values.contains(value)),
            Self::Eq if held.len() == 1 => held.iter().all(|value| values.contains(value)),
            Self::Eq => {
                held.iter().all(|value| values.contains(value))
                    && values.iter().all(|value| held.contains(value))
            }
            Self::Lte => held.iter().all(|value| values.iter().any(|bound| value <= bound)),
            Self::Gte => held.iter().all(|value| values.iter().any(|bound| value >= bound)),
            Self::Prefix => {
                held.iter().all(|value| values.iter().any(|folder| starts(value, folder)))
            }
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::In => "in",
            Self::Any => "any",
            Self::All => "all",
            Self::Lte => "lte",
            Self::Gte => "gte",
            Self::Prefix => "prefix",
            Self::Exists => "exists",
        }
    }
}

fn starts(value: &Scalar, folder: &Scalar) -> bool {
    match (value, folder) {
        (Scalar::Keyword(value), Scalar::Keyword(folder)) => value.starts_with(&**folder),
        _ => false,
    }
}
