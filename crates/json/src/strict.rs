//! An adapter of serde that stands between a deserializer and a type, at every depth.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};

use crate::{Fault, Limits};

/// What is counted and found in one document.
pub(crate) struct State {
    limits: Limits,
    members: Cell<usize>,
    fault: Cell<Option<Fault>>,
}

impl State {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, members: Cell::new(0), fault: Cell::new(None) }
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault.get()
    }

    fn refuse<E: Error>(&self, fault: Fault, problem: impl fmt::Display) -> E {
        self.fault.set(Some(fault));
        E::custom(problem)
    }
}

/// A deserializer, visitor, seed or access `T` that hands on nothing ambiguous.
pub(crate) struct Strict<'s, T> {
    inner: T,
    state: &'s State,
    depth: usize,
}

impl<'s, T> Strict<'s, T> {
    pub(crate) fn new(inner: T, state: &'s State) -> Self {
        Self { inner, state, depth: 0 }
    }

    /// Splits into `T` and what makes another one strict at the same depth.
    fn split<U>(self) -> (T, impl FnOnce(U) -> Strict<'s, U>) {
        let Self { inner, state, depth } = self;
        (inner, move |other| Strict { inner: other, state, depth })
    }

    /// Like [`split`](Self::split), one level further inside.
    fn deeper<U, E: Error>(self) -> Result<(T, impl FnOnce(U) -> Strict<'s, U>), E> {
        let Self { inner, state, depth } = self;
        if depth >= state.limits.depth {
            return Err(state.refuse(Fault::TooDeep, "it is nested too deeply"));
        }
        Ok((inner, move |other| Strict { inner: other, state, depth: depth + 1 }))
    }
}

/// Asks the inner deserializer for the same, with a strict visitor.
macro_rules! pass_on {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            let (inner, strict) = self.split();
            inner.$method($($argument,)* strict(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<'_, D> {
    type Error = D::Error;

    pass_on! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(length: usize);
        deserialize_tuple_struct(name: &'static str, length: usize);
        deserialize_map();
        deserialize_identifier();
    }

    /// A struct is a map: serde_json would take an array too.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.deserialize_map(visitor)
    }

    /// Only variants without contents, whose structs nobody would look at.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        visitor.visit_enum(String::deserialize(self.inner)?.into_deserializer())
    }

    /// What is ignored must be unambiguous too.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.deserialize_any(visitor)
    }
}

/// Hands a scalar on as it is.
macro_rules! scalars {
    ($($method:ident: $type:ty;)*) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Strict<'_, V> {
    type Value = V::Value;

    scalars! {
        visit_bool: bool;
        visit_i64: i64;
        visit_i128: i128;
        visit_u64: u64;
        visit_u128: u128;
        visit_f64: f64;
        visit_str: &str;
        visit_borrowed_str: &'de str;
        visit_string: String;
        visit_bytes: &[u8];
        visit_borrowed_bytes: &'de [u8];
        visit_byte_buf: Vec<u8>;
    }

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(formatter)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, some: D) -> Result<V::Value, D::Error> {
        let (inner, strict) = self.split();
        inner.visit_some(strict(some))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inside: D) -> Result<V::Value, D::Error> {
        let (inner, strict) = self.split();
        inner.visit_newtype_struct(strict(inside))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<V::Value, A::Error> {
        let (inner, strict) = self.deeper()?;
        inner.visit_seq(strict(sequence))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        let (inner, strict) = self.deeper()?;
        inner.visit_map(strict(Members { map, names: HashSet::new() }))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let (inner, strict) = self.split();
        inner.deserialize(strict(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Strict<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let seed = Strict { inner: seed, state: self.state, depth: self.depth };
        self.inner.next_element_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

/// The members of one object, and the names that were seen.
struct Members<A> {
    map: A,
    names: HashSet<String>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Strict<'_, Members<A>> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let Some(name) = self.inner.map.next_key::<String>()? else { return Ok(None) };
        let members = self.state.members.get() + 1;
        self.state.members.set(members);
        if members > self.state.limits.members {
            return Err(self.state.refuse(Fault::TooManyMembers, "it has too many members"));
        }
        if !self.inner.names.insert(name.clone()) {
            return Err(self.state.refuse(Fault::Duplicate, "the name stands twice in its object"));
        }
        seed.deserialize(name.into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let seed = Strict { inner: seed, state: self.state, depth: self.depth };
        self.inner.map.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.map.size_hint()
    }
}
