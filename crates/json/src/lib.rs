#![doc = include_str!("../README.md")]

mod strict;

use bailiwick_redact::without_values;
use serde::Deserializer;
use serde::de::DeserializeOwned;
use serde_json::Value;
use strict::{State, Strict};

/// How large a document may be in ways that its length in bytes does not say.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Levels of nesting; the outermost object is the first.
    pub depth: usize,
    /// Members of all objects together.
    pub members: usize,
}

/// The limits of [`read`]: only so that no document exhausts the stack.
const WIDE: Limits = Limits { depth: 127, members: usize::MAX };

/// Kind of a [`JsonError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The bytes are not one JSON document.
    Syntax,
    /// The document is not of the expected shape, such as an array in the place of an object.
    Shape,
    /// A name stands twice in one object.
    Duplicate,
    /// The document is nested deeper than allowed.
    TooDeep,
    /// The document has more members than allowed.
    TooManyMembers,
}

/// Reason why a document was refused. It holds names of members and no values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JsonError {
    fault: Fault,
    message: String,
}

impl JsonError {
    /// Kind of the error.
    pub fn fault(&self) -> Fault {
        self.fault
    }
}

/// Reads one JSON document that fills all of `bytes`.
///
/// # Errors
/// [`JsonError`] for everything that two readers could understand differently, and for what is
/// not a `T`.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    read_within(bytes, WIDE)
}

/// Reads one JSON document that fills all of `bytes`, within limits.
///
/// # Errors
/// As [`read`], and for a document beyond the limits.
pub fn read_within<T: DeserializeOwned>(bytes: &[u8], limits: Limits) -> Result<T, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = strictly(&mut reader, limits)?;
    reader.end().map_err(|error| JsonError::new(Fault::Syntax, without_values(error)))?;
    Ok(value)
}

/// Reads a value that was parsed already. Names that stood twice are gone by then.
///
/// # Errors
/// [`JsonError`] when it is not a `T`.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, JsonError> {
    strictly(value, WIDE)
}

/// Whether a `Content-Type` is `application/json`, with any parameters.
///
/// Others that end in `+json` are not: `application/problem+json` says that something failed.
pub fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn strictly<'de, T: DeserializeOwned>(
    reader: impl Deserializer<'de, Error = serde_json::Error>,
    limits: Limits,
) -> Result<T, JsonError> {
    let state = State::new(limits);
    serde_path_to_error::deserialize(Strict::new(reader, &state)).map_err(|error| {
        let by_category = if error.inner().is_data() { Fault::Shape } else { Fault::Syntax };
        let problem = without_values(error.inner());
        let message = match error.path().to_string().as_str() {
            "." => problem,
            path => format!("{path}: {problem}"),
        };
        JsonError::new(state.fault().unwrap_or(by_category), message)
    })
}

impl JsonError {
    fn new(fault: Fault, message: String) -> Self {
        Self { fault, message }
    }
}
