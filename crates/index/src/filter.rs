//! What a caller asks of documents' metadata, on top of what she may read.
//!
//! The shape is that of LlamaIndex's `MetadataFilters`, and so is the meaning, except where that
//! lets through what nobody asked for: what cannot be understood is an error when the filter is
//! made, and two values that cannot be compared do not match.

use std::cmp::Ordering;

use bailiwick_policy::{Attribute, Schema};
use serde_json::{Map, Value as Json};
use thiserror::Error;

/// How deep groups may be in each other.
const MAX_DEPTH: usize = 32;
/// The most conditions of one filter.
const MAX_TESTS: usize = 1_000;

/// Conditions on metadata.
///
/// ```
/// # use bailiwick_index::Filter;
/// # use bailiwick_policy::{AttributeConfig, Schema};
/// # let attribute = serde_json::json!({"name": "team", "type": "keyword"});
/// # let schema = Schema::new(&[serde_json::from_value(attribute)?])?;
/// let recent = serde_json::json!({
///     "condition": "and",
///     "filters": [{ "key": "year", "operator": ">=", "value": 2025 }],
/// });
/// let filter = Filter::new(&recent, &schema)?;
/// assert!(filter.matches(serde_json::json!({ "year": 2026 }).as_object().ok_or("no object")?));
/// assert!(Filter::new(&serde_json::json!({ "filters": [] }), &schema).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Filter {
    pub(crate) root: Node,
    pub(crate) tests: Vec<Test>,
}

/// A filter that means nothing. It never means "everything".
#[derive(Debug, Error)]
#[error("filters{place}: {problem}")]
pub struct FilterError {
    place: String,
    problem: String,
}

/// A group, or the place of a condition among the filter's tests.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Test(usize),
    All(Vec<Node>),
    Any(Vec<Node>),
    /// Holds when no member does.
    None(Vec<Node>),
}

/// One condition on what stands under one key.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) key: String,
    comparison: Comparison,
}

#[derive(Clone, Debug)]
enum Comparison {
    Equal(Json),
    Unequal(Json),
    Ordered(Order, Rank),
    In(Vec<Json>),
    NotIn(Vec<Json>),
    Any(Vec<Json>),
    All(Vec<Json>),
    Contains(Json),
    Text(String),
    TextInAnyCase(String),
    Empty,
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Less,
    AtMost,
    More,
    AtLeast,
}

/// What a value is compared with by order: a number, or a place among declared levels.
#[derive(Clone, Debug)]
enum Rank {
    Number(Json),
    Level(Attribute, u16),
}

impl Filter {
    /// Reads `{"filters": [{"key", "operator", "value"} or a group], "condition"}`, where the
    /// condition is `and` (the default), `or`, or `not`, which holds when no member does.
    ///
    /// # Errors
    /// When a group or a list is empty, an operator is unknown, a value has the wrong type or
    /// mixes types, or texts are compared by order although the schema declares none for the key.
    pub fn new(json: &Json, schema: &Schema) -> Result<Self, FilterError> {
        let mut reader = Reader { schema, tests: Vec::new() };
        let root = reader.group(json, "", 0)?;
        Ok(Self { root, tests: reader.tests })
    }

    /// Whether a document with this metadata matches.
    pub fn matches(&self, metadata: &Map<String, Json>) -> bool {
        self.root.holds(&mut |at| {
            self.tests.get(at).is_some_and(|test| test.holds(metadata.get(&test.key)))
        })
    }
}

impl Node {
    pub(crate) fn holds(&self, test: &mut impl FnMut(usize) -> bool) -> bool {
        match self {
            Self::Test(at) => test(*at),
            Self::All(members) => members.iter().all(|member| member.holds(test)),
            Self::Any(members) => members.iter().any(|member| member.holds(test)),
            Self::None(members) => !members.iter().any(|member| member.holds(test)),
        }
    }
}

struct Reader<'a> {
    schema: &'a Schema,
    tests: Vec<Test>,
}

impl Reader<'_> {
    fn group(&mut self, json: &Json, place: &str, depth: usize) -> Result<Node, FilterError> {
        if depth == MAX_DEPTH {
            return fail(place, format!("groups are nested deeper than {MAX_DEPTH} levels"));
        }
        let Some(members) = json.get("filters").and_then(Json::as_array) else {
            return fail(place, "must be a group with a list of `filters`");
        };
        if members.is_empty() {
            return fail(place, "an empty group selects nothing and everything; leave it out");
        }
        let members = members.iter().enumerate().map(|(at, member)| {
            let place = format!("{place}[{at}]");
            if member.get("filters").is_some() {
                return self.group(member, &place, depth + 1);
            }
            let test = self
                .test(member)
                .map_err(|problem| FilterError { place: place.clone(), problem })?;
            if self.tests.len() == MAX_TESTS {
                return fail(&place, format!("there are more than {MAX_TESTS} conditions"));
            }
            self.tests.push(test);
            Ok(Node::Test(self.tests.len() - 1))
        });
        let members = members.collect::<Result<Vec<_>, _>>()?;
        match json.get("condition").unwrap_or(&Json::Null) {
            Json::Null => Ok(Node::All(members)),
            Json::String(name) if name == "and" => Ok(Node::All(members)),
            Json::String(name) if name == "or" => Ok(Node::Any(members)),
            Json::String(name) if name == "not" => Ok(Node::None(members)),
            other => fail(place, format!("condition {other} is not one of and, or, not")),
        }
    }

    fn test(&self, json: &Json) -> Result<Test, String> {
        let key = json.get("key").and_then(Json::as_str).ok_or("names no `key`")?;
        let value = json.get("value").unwrap_or(&Json::Null);
        let operator = match json.get("operator") {
            None => "==",
            Some(operator) => operator.as_str().ok_or("`operator` is not a text")?,
        };
        let comparison = match operator {
            "==" => Comparison::Equal(scalar(value)?),
            "!=" => Comparison::Unequal(scalar(value)?),
            ">" => Comparison::Ordered(Order::More, self.rank(key, value)?),
            ">=" => Comparison::Ordered(Order::AtLeast, self.rank(key, value)?),
            "<" => Comparison::Ordered(Order::Less, self.rank(key, value)?),
            "<=" => Comparison::Ordered(Order::AtMost, self.rank(key, value)?),
            "in" => Comparison::In(list(value)?),
            "nin" => Comparison::NotIn(list(value)?),
            "any" => Comparison::Any(list(value)?),
            "all" => Comparison::All(list(value)?),
            "contains" => Comparison::Contains(scalar(value)?),
            "text_match" => Comparison::Text(text(value)?),
            "text_match_insensitive" => Comparison::TextInAnyCase(text(value)?.to_lowercase()),
            "is_empty" => Comparison::Empty,
            other => return Err(format!("operator `{other}` is unknown")),
        };
        Ok(Test { key: key.to_owned(), comparison })
    }

    fn rank(&self, key: &str, value: &Json) -> Result<Rank, String> {
        let declared = self.schema.attributes().iter().find(|attribute| {
            attribute.kind() == "level" && attribute.sources().any(|source| source == key)
        });
        if let Some(attribute) = declared {
            let levels = || attribute.levels().join(", ");
            let rank = attribute.rank(value);
            let rank = rank.ok_or_else(|| format!("{value} is not one of {}", levels()))?;
            return Ok(Rank::Level(attribute.clone(), rank));
        }
        match value {
            Json::Number(_) => Ok(Rank::Number(value.clone())),
            _ => Err(format!(
                "only numbers and declared levels have an order, and {value} is neither"
            )),
        }
    }
}

fn fail<T>(place: &str, problem: impl Into<String>) -> Result<T, FilterError> {
    Err(FilterError { place: place.to_owned(), problem: problem.into() })
}

fn scalar(value: &Json) -> Result<Json, String> {
    match value {
        Json::String(_) | Json::Number(_) => Ok(value.clone()),
        _ => Err(format!("{value} is neither a text nor a number; for absence use is_empty")),
    }
}

fn list(value: &Json) -> Result<Vec<Json>, String> {
    let values = value.as_array().filter(|values| !values.is_empty());
    let values = values.ok_or_else(|| format!("{value} is not a list with at least one value"))?;
    let of_one_type = values.iter().all(Json::is_string) || values.iter().all(Json::is_number);
    if of_one_type { Ok(values.clone()) } else { Err(format!("{value} mixes types")) }
}

fn text(value: &Json) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("{value} is not a text"))
}

impl Test {
    /// Whether it holds for what a document has under the key; `None` when it has nothing.
    pub(crate) fn holds(&self, found: Option<&Json>) -> bool {
        let Some(found) = found.filter(|found| !found.is_null()) else {
            use Comparison::{Empty, NotIn, Unequal};
            return matches!(self.comparison, Unequal(_) | NotIn(_) | Empty);
        };
        match &self.comparison {
            Comparison::Equal(value) => equal(found, value),
            Comparison::Unequal(value) => !equal(found, value),
            Comparison::Ordered(order, rank) => {
                rank.compared(found).is_some_and(|than| order.allows(than))
            }
            Comparison::In(values) => values.iter().any(|value| equal(found, value)),
            Comparison::NotIn(values) => !values.iter().any(|value| equal(found, value)),
            Comparison::Any(values) => values.iter().any(|value| contains(found, value)),
            Comparison::All(values) => values.iter().all(|value| contains(found, value)),
            Comparison::Contains(value) => contains(found, value),
            Comparison::Text(text) => found.as_str().is_some_and(|found| found.contains(text)),
            Comparison::TextInAnyCase(text) => {
                found.as_str().is_some_and(|found| found.to_lowercase().contains(text))
            }
            Comparison::Empty => {
                found.as_str().is_some_and(str::is_empty)
                    || found.as_array().is_some_and(Vec::is_empty)
            }
        }
    }
}

impl Order {
    fn allows(self, than: Ordering) -> bool {
        match self {
            Self::Less => than.is_lt(),
            Self::AtMost => than.is_le(),
            Self::More => than.is_gt(),
            Self::AtLeast => than.is_ge(),
        }
    }
}

impl Rank {
    /// How what was found compares with this, if it does.
    fn compared(&self, found: &Json) -> Option<Ordering> {
        match self {
            Self::Number(number) => compared(found, number),
            Self::Level(attribute, rank) => attribute.rank(found).map(|found| found.cmp(rank)),
        }
    }
}

/// Equality as Python has it: by value among numbers, and true is 1.
fn equal(left: &Json, right: &Json) -> bool {
    match compared(left, right) {
        Some(order) => order.is_eq(),
        None => left == right,
    }
}

/// Whether a list has a member, an object a key, or a text a part.
fn contains(found: &Json, value: &Json) -> bool {
    match (found, value) {
        (Json::Array(found), value) => found.iter().any(|found| equal(found, value)),
        (Json::String(found), Json::String(part)) => found.contains(part),
        (Json::Object(found), Json::String(key)) => found.contains_key(key),
        _ => false,
    }
}

/// How two numbers compare, without rounding either; none if one is no number.
fn compared(left: &Json, right: &Json) -> Option<Ordering> {
    match (integer(left), integer(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        (Some(left), None) => real(right)?.partial_cmp_to(left).map(Ordering::reverse),
        (None, Some(right)) => real(left)?.partial_cmp_to(right),
        (None, None) => real(left)?.0.partial_cmp(&real(right)?.0),
    }
}

fn integer(json: &Json) -> Option<i128> {
    match json {
        Json::Bool(truth) => Some(i128::from(*truth)),
        Json::Number(number) => number.as_i128(),
        _ => None,
    }
}

fn real(json: &Json) -> Option<Real> {
    json.as_f64().map(Real)
}

/// A number that is no integer type.
#[derive(Clone, Copy)]
struct Real(f64);

impl Real {
    /// Compares whole parts as integers, and only then what follows the point.
    fn partial_cmp_to(self, integer: i128) -> Option<Ordering> {
        let whole = self.0.trunc();
        // Beyond 2^127 the cast saturates, which no integer of JSON reaches.
        let by_whole = (whole as i128).cmp(&integer);
        (!self.0.is_nan()).then(|| by_whole.then(self.0.total_cmp(&whole)))
    }
}

#[cfg(test)]
mod tests;
