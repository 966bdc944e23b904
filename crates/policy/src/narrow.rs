//! What a caller asks for on top of what she may read: `where` only narrows.

use serde_json::{Map, Value as Json};
use thiserror::Error;

use crate::bailiwick::Bailiwick;
use crate::condition::Operator;
use crate::label::{Column, LabelTable};
use crate::schema::{Attribute, Schema};
use crate::value::{Held, MAX_VALUES, Scalar};

/// Conditions on attributes, all of which must hold. A document that lacks the attribute never
/// matches.
///
/// ```
/// # use bailiwick_policy::{AttributeConfig, Narrowing, Schema};
/// # let attribute = serde_json::json!({"name": "clearance_level", "type": "level", "levels": ["Low", "High"]});
/// # let attribute: AttributeConfig = serde_json::from_value(attribute)?;
/// # let schema = Schema::new(&[attribute])?;
/// let conditions = serde_json::json!({"clearance_level": {"lte": "Low"}});
/// assert!(Narrowing::new(&schema, &conditions).is_ok());
/// assert!(Narrowing::new(&schema, &serde_json::json!({"colour": "red"})).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Narrowing {
    conditions: Vec<Condition>,
}

/// One comparison of an attribute with values.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    attribute: usize,
    operator: Operator,
    values: Box<[Scalar]>,
}

/// Why a `where` is refused. Unknown names and types are errors, never "matches everything".
#[derive(Debug, Error)]
#[error("where{path}: {problem}")]
pub struct NarrowingError {
    path: String,
    problem: String,
}

impl Narrowing {
    /// Reads `{"attribute": value | [values] | {"op": value}}`, where `op` is an operator of the
    /// rule language.
    ///
    /// # Errors
    /// When an attribute or an operator is unknown, or a value has the wrong type.
    pub fn new(schema: &Schema, json: &Json) -> Result<Self, NarrowingError> {
        let members = json
            .as_object()
            .filter(|members| !members.is_empty())
            .ok_or_else(|| error("", "must be an object that names at least one attribute"))?;
        let mut conditions = Vec::new();
        for (name, wanted) in members {
            let path = format!(".{name}");
            let (place, attribute) =
                schema.find(name).ok_or_else(|| error(&path, "is no attribute of the schema"))?;
            Condition::read(attribute, place, wanted, Operator::Any, &mut conditions)
                .map_err(|problem| NarrowingError { path, problem })?;
        }
        Ok(Self { conditions })
    }
}

fn scalars(attribute: &Attribute, json: &Json) -> Result<Box<[Scalar]>, String> {
    let values = json.as_array().map_or(std::slice::from_ref(json), Vec::as_slice);
    if values.is_empty() || values.len() > MAX_VALUES {
        return Err(format!("takes 1 to {MAX_VALUES} values"));
    }
    let typed = values.iter().map(|value| {
        attribute.kind.scalar(value).ok_or_else(|| format!("{value} is no value of this attribute"))
    });
    typed.collect()
}

impl Bailiwick {
    /// The part of this bailiwick that matches: never more, whatever is asked.
    #[must_use]
    pub fn narrow(&self, narrowing: &Narrowing, labels: &LabelTable) -> Self {
        self.matching(&narrowing.conditions, labels)
    }

    /// The part of this bailiwick for which all conditions hold.
    pub(crate) fn matching(&self, conditions: &[Condition], labels: &LabelTable) -> Self {
        let rows = labels.read();
        // Once for each distinct value and not for each label, because a caller chooses how many
        // values are compared.
        let matching: Vec<Vec<bool>> = conditions
            .iter()
            .map(|condition| condition.matching(rows.columns.get(condition.attribute)))
            .collect();
        self.filtered(|label| {
            matching.iter().all(|labels| labels.get(label.place()) == Some(&true))
        })
    }
}

impl Condition {
    /// Reads what is wanted of one attribute: `value | [values] | {"op": value}`, where bare values
    /// mean `bare`.
    pub(crate) fn read(
        attribute: &Attribute,
        place: usize,
        wanted: &Json,
        bare: Operator,
        conditions: &mut Vec<Self>,
    ) -> Result<(), String> {
        let shorthand;
        let operators: &Map<String, Json> = match wanted {
            Json::Object(operators) if operators.is_empty() => {
                return Err("names no operator".into());
            }
            Json::Object(operators) => operators,
            value => {
                shorthand = Map::from_iter([(bare.name().to_owned(), value.clone())]);
                &shorthand
            }
        };
        for (name, value) in operators {
            let operator = Operator::parse(name)?;
            operator.check(attribute)?;
            let values = if operator == Operator::Exists {
                if *value != Json::Bool(true) {
                    return Err("`exists` takes only true".into());
                }
                Box::default()
            } else {
                scalars(attribute, value)?
            };
            conditions.push(Self { attribute: place, operator, values });
        }
        Ok(())
    }

    /// Whether it holds for a label with these values.
    pub(crate) fn holds(&self, values: &[Option<Held>]) -> bool {
        let held = values.get(self.attribute).and_then(Option::as_ref);
        held.is_some_and(|held| self.operator.holds(held, &self.values))
    }

    /// Whether it holds, for each label; for none when no label has the attribute.
    fn matching(&self, column: Option<&Column>) -> Vec<bool> {
        let Some(column) = column else { return Vec::new() };
        let holds = |held: &Held| self.operator.holds(held, &self.values);
        let of_value: Vec<bool> =
            column.distinct.iter().map(|held| held.as_ref().is_some_and(holds)).collect();
        let of_label = |code: &u32| of_value.get(*code as usize) == Some(&true);
        column.codes.iter().map(of_label).collect()
    }
}

fn error(path: &str, problem: &str) -> NarrowingError {
    NarrowingError { path: path.to_owned(), problem: problem.to_owned() }
}
