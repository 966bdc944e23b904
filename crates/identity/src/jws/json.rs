//! JSON without room for interpretation: no duplicate member at any depth, bounded depth and size.
//!
//! Two parsers that disagree on a duplicate member see two different tokens, so a document that
//! has one is refused before anything is read from it.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// How large a document may be in ways that its length in bytes does not say.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Levels of nesting; the outermost object is the first.
    pub(crate) depth: usize,
    /// Members of all objects together.
    pub(crate) members: usize,
}

/// Why a document was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Syntax,
    NotAnObject,
    Duplicate,
    TooDeep,
    TooManyMembers,
}

/// Reads one JSON object that fills all of `bytes`.
pub(crate) fn object(bytes: &[u8], limits: Limits) -> Result<Map<String, Value>, Fault> {
    let state = State { limits, members: Cell::new(0), fault: Cell::new(None) };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Strict { state: &state, depth: 0 }
        .deserialize(&mut reader)
        .and_then(|()| reader.end())
        .map_err(|_| state.fault.get().unwrap_or(Fault::Syntax))?;
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Fault::NotAnObject),
        Err(_) => Err(Fault::Syntax),
    }
}

struct State {
    limits: Limits,
    members: Cell<usize>,
    fault: Cell<Option<Fault>>,
}

impl State {
    fn refuse<E: Error>(&self, fault: Fault) -> E {
        self.fault.set(Some(fault));
        E::custom("refused")
    }
}

/// Walks a document without building it.
#[derive(Clone, Copy)]
struct Strict<'s> {
    state: &'s State,
    depth: usize,
}

impl Strict<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > self.state.limits.depth {
            return Err(self.state.refuse(Fault::TooDeep));
        }
        Ok(Strict { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let inside = self.deeper()?;
        while sequence.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inside = self.deeper()?;
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            let members = self.state.members.get() + 1;
            self.state.members.set(members);
            if members > self.state.limits.members {
                return Err(self.state.refuse(Fault::TooManyMembers));
            }
            if !names.insert(name) {
                return Err(self.state.refuse(Fault::Duplicate));
            }
            map.next_value_seed(inside)?;
        }
        Ok(())
    }
}
