//! How far an agent may go: which labels it may write, or read for a person.

use serde_json::{Map, Value as Json};
use thiserror::Error;

use crate::bailiwick::Bailiwick;
use crate::condition::Operator;
use crate::label::{Label, LabelTable};
use crate::narrow::Condition;
use crate::schema::Schema;

/// Conditions on a label, all of which must hold; a label that lacks an attribute is beyond them.
///
/// They open nothing by themselves: a ceiling refuses writes, and [`Bailiwick::within`] narrows
/// what a person may read.
///
/// ```
/// # use bailiwick_policy::{AttributeConfig, Bounds, Schema};
/// # let attribute = serde_json::json!({"name": "department", "type": "keyword"});
/// # let attribute: AttributeConfig = serde_json::from_value(attribute)?;
/// # let schema = Schema::new(&[attribute])?;
/// let bounds = Bounds::new(&schema, &Bounds::written(&["department=hr"])?)?;
/// let label = |department| schema.label(serde_json::json!({"department": department}).as_object()?).ok();
/// assert!(bounds.hold(&label("hr").ok_or("no label")?));
/// assert!(!bounds.hold(&label("sales").ok_or("no label")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Bounds {
    conditions: Vec<Condition>,
}

/// Why conditions bound nothing.
#[derive(Debug, Error)]
#[error("bound on `{attribute}`: {problem}")]
pub struct BoundsError {
    attribute: String,
    problem: String,
}

impl BoundsError {
    fn new(attribute: &str, problem: impl Into<String>) -> Self {
        Self { attribute: attribute.to_owned(), problem: problem.into() }
    }
}

impl Bounds {
    /// Reads `{"attribute": value | [values] | {"operator": value}}`, with the operators of the
    /// rule language. Bare values mean `all`: of a list, every value must be among them.
    ///
    /// # Errors
    /// When there is no condition, an attribute or an operator is unknown, or a value has the
    /// wrong type.
    pub fn new(schema: &Schema, bounds: &Map<String, Json>) -> Result<Self, BoundsError> {
        if bounds.is_empty() {
            return Err(BoundsError::new(
                "",
                "name at least one attribute, or leave the bounds out",
            ));
        }
        let mut conditions = Vec::new();
        for (name, wanted) in bounds {
            let (place, attribute) = schema
                .find(name)
                .ok_or_else(|| BoundsError::new(name, "is no attribute of the schema"))?;
            Condition::read(attribute, place, wanted, Operator::All, &mut conditions)
                .map_err(|problem| BoundsError::new(name, problem))?;
        }
        Ok(Self { conditions })
    }

    /// What conditions mean that are written `department=hr`, `clearance_level<=Restricted` or
    /// `year>=2020`, in the form that [`Bounds::new`] reads. `=` may stand several times for one
    /// attribute, and allows each of the values.
    ///
    /// # Errors
    /// When one is written otherwise, or two contradict each other.
    pub fn written<S: AsRef<str>>(conditions: &[S]) -> Result<Map<String, Json>, BoundsError> {
        let mut bounds: Map<String, Json> = Map::new();
        for text in conditions.iter().map(AsRef::as_ref) {
            let (name, operator, value) = split(text).ok_or_else(|| {
                BoundsError::new(
                    text,
                    "write ATTRIBUTE=VALUE, ATTRIBUTE<=VALUE or ATTRIBUTE>=VALUE",
                )
            })?;
            let bound = bounds.entry(name).or_insert_with(|| match operator {
                None => Json::Array(Vec::new()),
                Some(_) => Json::Object(Map::new()),
            });
            match (bound, operator) {
                (Json::Array(values), None) => values.push(value.into()),
                (Json::Object(operators), Some(operator)) if !operators.contains_key(operator) => {
                    operators.insert(operator.to_owned(), value.into());
                }
                _ => return Err(BoundsError::new(name, "is bounded twice; write one bound")),
            }
        }
        Ok(bounds)
    }

    /// Whether this label is within them. The quarantine label never is.
    pub fn hold(&self, label: &Label) -> bool {
        label
            .values()
            .is_some_and(|values| self.conditions.iter().all(|condition| condition.holds(values)))
    }
}

/// The labels that a writer may give and take: those within every one of some bounds.
#[derive(Clone, Debug, Default)]
pub struct Ceiling(Vec<Bounds>);

impl Ceiling {
    /// The ceiling of somebody who may write any label.
    pub fn none() -> Self {
        Self::default()
    }

    /// A label must be within all of these.
    pub fn new(bounds: Vec<Bounds>) -> Self {
        Self(bounds)
    }

    /// Whether documents with this label may be written, changed or removed.
    pub fn permits(&self, label: &Label) -> bool {
        self.0.iter().all(|bounds| bounds.hold(label))
    }
}

fn split(text: &str) -> Option<(&str, Option<&'static str>, &str)> {
    let (name, value) = text.split_once('=')?;
    let (name, operator) = match (name.strip_suffix('<'), name.strip_suffix('>')) {
        (Some(name), _) => (name, Some("lte")),
        (_, Some(name)) => (name, Some("gte")),
        _ => (name, None),
    };
    let (name, value) = (name.trim(), value.trim());
    (!name.is_empty() && !value.is_empty()).then_some((name, operator, value))
}

impl Bailiwick {
    /// The intersection of this bailiwick with the labels within these bounds: what a person and an
    /// agent may both read. Never more than this bailiwick, whatever the bounds are.
    #[must_use]
    pub fn within(&self, bounds: &Bounds, labels: &LabelTable) -> Self {
        self.matching(&bounds.conditions, labels)
    }
}

#[cfg(test)]
mod tests;
