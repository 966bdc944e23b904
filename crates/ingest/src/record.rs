//! One JSON object of an API or a file, with its fields in the order in which they came.

use std::fmt;

use bailiwick_policy::Schema;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::document::is_reserved;

/// The fields that hold a record's own text, the best first.
const MAIN_TEXT: [&str; 3] = ["text", "body", "content"];

/// The fields that name a record with a main text, the best first.
const HEADLINE: [&str; 2] = ["title", "name"];

/// The fields that identify a record, the best first.
const ID: [&str; 2] = ["id", "_id"];

/// The fields of the AuthSec reader's records, and what its text calls them.
const AUTHSEC: [(&str, &str); 3] =
    [("id", "Record ID"), ("name", "Subject"), ("clearance", "Clearance level")];

/// One record. A field that appears twice is an error, because readers disagree which one counts.
#[derive(Clone, Debug)]
pub(crate) struct Record(Vec<(String, Value)>);

/// What an API or a file holds.
#[derive(serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum Records {
    Many(Vec<Record>),
    One(Record),
}

impl Record {
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    pub(crate) fn into_map(self) -> Map<String, Value> {
        self.0.into_iter().collect()
    }

    /// Without the fields that would pass for a stamp of the reader or the intake. What looks like
    /// an attribute stays, for the intake to refuse.
    pub(crate) fn without_reserved_names(mut self, schema: &Schema) -> Self {
        self.0.retain(|(field, _)| {
            ID.contains(&field.as_str()) || !is_reserved(field) || schema.meant_by(field).is_some()
        });
        self
    }

    /// What the record calls itself, if that is a text or a number.
    pub(crate) fn id(&self) -> Option<String> {
        ID.iter().find_map(|name| match self.get(name)? {
            Value::String(id) if !id.is_empty() => Some(id.clone()),
            Value::Number(id) => Some(id.to_string()),
            _ => None,
        })
    }

    fn main_text(&self) -> Option<(&'static str, &str)> {
        MAIN_TEXT.iter().find_map(|name| Some((*name, self.get(name)?.as_str()?)))
    }

    /// The record as text: its main text under its title; or, if it has none, a line for each
    /// field. Attributes stay out, but for the clearance line that AuthSec's readers expect.
    pub(crate) fn text(&self, schema: &Schema) -> String {
        if let Some((_, main)) = self.main_text() {
            let headline = HEADLINE.iter().find_map(|name| self.get(name)?.as_str());
            return headline.map_or_else(|| main.to_owned(), |line| format!("{line}\n\n{main}"));
        }
        let authsec = AUTHSEC.iter().filter_map(|(name, caption)| {
            Some(format!("{caption}: {}", in_words(self.get(name)?)?))
        });
        let further = self.0.iter().filter(|(name, _)| {
            AUTHSEC.iter().all(|(authsec, _)| authsec != name) && !is_attribute(schema, name)
        });
        let further = further
            .filter_map(|(name, value)| Some(format!("{}: {}", caption(name), in_words(value)?)));
        authsec.chain(further).collect::<Vec<_>>().join("\n")
    }

    /// The record's attributes, each under the attribute's own name. Those of its `metadata` count
    /// where the record's own fields say nothing, and fields that look like an attribute are among
    /// them, for the intake to refuse.
    pub(crate) fn attributes(&self, schema: &Schema) -> Map<String, Value> {
        let within = self.get("metadata").and_then(Value::as_object);
        let found = schema.attributes().iter().filter_map(|attribute| {
            let own = attribute.sources().filter_map(|source| self.get(source));
            let inner = attribute.sources().filter_map(|source| within?.get(source));
            let value = own.chain(inner).find(|value| !value.is_null())?;
            Some((attribute.name().to_owned(), value.clone()))
        });
        let own = self.0.iter().map(|(name, value)| (name, value));
        let slips = own
            .chain(within.into_iter().flatten())
            .filter(|(name, _)| schema.meant_by(name).is_some())
            .map(|(name, value)| (name.clone(), value.clone()));
        found.chain(slips).collect()
    }

    /// What a record with a main text says beside it. The members of its `metadata` come first,
    /// so that the record's own fields overwrite them.
    pub(crate) fn details(&self, schema: &Schema) -> Map<String, Value> {
        let Some((main, _)) = self.main_text() else {
            return Map::new();
        };
        let mut details =
            self.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
        for (name, value) in &self.0 {
            let told = name == main || name == "metadata" || ID.contains(&name.as_str());
            if !told && !value.is_null() && !is_attribute(schema, name) {
                details.insert(name.clone(), value.clone());
            }
        }
        details
    }
}

fn is_attribute(schema: &Schema, name: &str) -> bool {
    schema.has_name(name)
}

/// `due_date` reads `Due date`.
fn caption(field: &str) -> String {
    let words = field.replace(['_', '-'], " ");
    let mut letters = words.trim().chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A value as one would say it; `None` when there is nothing to say.
fn in_words(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(values) if values.iter().all(|v| !v.is_array() && !v.is_object()) => {
            Some(values.iter().filter_map(in_words).collect::<Vec<_>>().join(", "))
        }
        other => Some(other.to_string()),
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
        let mut fields: Vec<(String, Value)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if !seen.insert(name.clone()) {
                return Err(de::Error::custom("a field appears twice in one record"));
            }
            fields.push((name, value));
        }
        Ok(Record(fields))
    }
}
