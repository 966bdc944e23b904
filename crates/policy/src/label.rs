//! Labels, and the table in which each has its number.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use serde::Serialize;

use crate::value::Held;

/// One distinct combination of attribute values; what it takes to read a document.
///
/// [`Schema::label`](crate::Schema::label) makes one of a document's metadata.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Label(Inner);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Inner {
    /// One place for each attribute of the schema, empty where the document lacks it.
    Attributes(Arc<[Option<Held>]>),
    Quarantined,
}

impl Label {
    /// The reserved label that no policy can open.
    pub fn quarantine() -> Self {
        Self(Inner::Quarantined)
    }

    /// Whether this is the reserved label.
    pub fn is_quarantine(&self) -> bool {
        matches!(self.0, Inner::Quarantined)
    }

    pub(crate) fn of(values: Vec<Option<Held>>) -> Self {
        Self(Inner::Attributes(values.into()))
    }

    pub(crate) fn values(&self) -> Option<&[Option<Held>]> {
        match &self.0 {
            Inner::Attributes(values) => Some(values),
            Inner::Quarantined => None,
        }
    }
}

/// A label's number: its place in the [`LabelTable`], from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct LabelId(u32);

impl LabelId {
    /// The label with this number in a store that keeps them; its meaning is the table's.
    pub fn from_u32(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    pub fn as_u32(self) -> u32 {
        self.0
    }

    /// The numbers of the labels from this place on.
    pub(crate) fn onward(place: usize) -> impl Iterator<Item = Self> {
        (u32::try_from(place).unwrap_or(u32::MAX)..=u32::MAX).map(Self)
    }

    pub(crate) fn place(self) -> usize {
        self.0 as usize
    }
}

/// Every label that any document ever had, each with its number. It only grows.
#[derive(Debug)]
pub struct LabelTable {
    id: TableId,
    rows: RwLock<Rows>,
}

/// Tells tables apart: a label's number means nothing in another table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TableId(u64);

impl Default for LabelTable {
    fn default() -> Self {
        static TABLES: AtomicU64 = AtomicU64::new(0);
        let id = TableId(TABLES.fetch_add(1, Ordering::Relaxed));
        Self { id, rows: RwLock::default() }
    }
}

/// The labels by number, and for each attribute a column of codes, so that a rule is evaluated
/// once for each distinct value instead of once for each label.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) labels: Vec<Label>,
    numbers: HashMap<Label, LabelId>,
    pub(crate) columns: Vec<Column>,
}

/// One attribute over all labels.
#[derive(Debug, Default)]
pub(crate) struct Column {
    /// The distinct values, in order of appearance; `None` is "the document lacks it".
    pub(crate) distinct: Vec<Option<Held>>,
    codes_of: HashMap<Option<Held>, u32>,
    /// For each label the place of its value in `distinct`.
    pub(crate) codes: Vec<u32>,
}

impl LabelTable {
    pub(crate) fn id(&self) -> TableId {
        self.id
    }

    /// The number of this label, given out now if it is new.
    pub fn intern(&self, label: &Label) -> LabelId {
        if let Some(number) = self.find(label) {
            return number;
        }
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        rows.intern(label)
    }

    /// The number of this label, if it has one.
    pub fn find(&self, label: &Label) -> Option<LabelId> {
        self.read().numbers.get(label).copied()
    }

    /// The label with this number.
    pub fn label(&self, id: LabelId) -> Option<Label> {
        self.read().labels.get(id.place()).cloned()
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.read().labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Rows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn intern(&mut self, label: &Label) -> LabelId {
        if let Some(number) = self.numbers.get(label) {
            return *number;
        }
        let number = LabelId(u32::try_from(self.labels.len()).unwrap_or(u32::MAX));
        let values = label.values().unwrap_or_default();
        if self.columns.len() < values.len() {
            self.columns.resize_with(values.len(), Column::default);
        }
        for (place, column) in self.columns.iter_mut().enumerate() {
            // A quarantined label lacks everything; the policy closes it by its number.
            column.resize(self.labels.len());
            column.push(values.get(place).unwrap_or(&None));
        }
        self.labels.push(label.clone());
        self.numbers.insert(label.clone(), number);
        number
    }
}

impl Column {
    fn push(&mut self, held: &Option<Held>) {
        let code = match self.codes_of.get(held) {
            Some(code) => *code,
            None => {
                let code = u32::try_from(self.distinct.len()).unwrap_or(u32::MAX);
                self.distinct.push(held.clone());
                self.codes_of.insert(held.clone(), code);
                code
            }
        };
        self.codes.push(code);
    }

    fn resize(&mut self, labels: usize) {
        while self.codes.len() < labels {
            self.push(&None);
        }
    }
}
