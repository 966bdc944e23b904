//! What chunks' metadata say under the keys that filters name.
//!
//! Like a label's, a value is compared once, whatever number of chunks have it. A column is made
//! when a filter first names its key, and extended by the chunks that came since: a row of the
//! catalogue never changes its metadata.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use moka::sync::Cache;
use serde_json::Value;

use crate::IndexError;
use crate::catalogue::{self, Catalogue};
use crate::filter::{Filter, Test};

/// How many keys have a column: callers choose the keys.
const KEYS: u64 = 64;

/// The columns of one index.
#[derive(Debug)]
pub(crate) struct Columns(Cache<String, Arc<RwLock<Column>>>);

impl Default for Columns {
    fn default() -> Self {
        Self(Cache::new(KEYS))
    }
}

/// One key, over all chunks.
#[derive(Debug, Default)]
pub(crate) struct Column {
    /// For each row of the catalogue 1 + the place of its value; 0 for a row that was gone already.
    codes: Vec<u32>,
    /// The distinct values; `None` is "the document lacks it".
    values: Vec<Option<Value>>,
    code_of: HashMap<String, u32>,
    /// All rows of this revision are here.
    revision: u64,
}

impl Columns {
    /// The columns that a filter reads, with all rows of a revision that searches see.
    pub(crate) fn of(
        &self,
        filter: &Filter,
        revision: u64,
        catalogue: &Catalogue,
    ) -> Result<Vec<Arc<RwLock<Column>>>, IndexError> {
        let columns = filter.tests.iter().map(|test| {
            let column = self.0.get_with_by_ref(&test.key, Arc::default);
            if read(&column).revision < revision {
                let mut column = column.write().unwrap_or_else(PoisonError::into_inner);
                column.extend(&test.key, revision, catalogue)?;
            }
            Ok(column)
        });
        columns.collect()
    }
}

fn read(column: &RwLock<Column>) -> RwLockReadGuard<'_, Column> {
    column.read().unwrap_or_else(PoisonError::into_inner)
}

impl Column {
    fn extend(
        &mut self,
        key: &str,
        revision: u64,
        catalogue: &Catalogue,
    ) -> Result<(), IndexError> {
        let after = i64::try_from(self.codes.len()).unwrap_or(i64::MAX) - 1;
        catalogue.read(|connection| {
            catalogue::metadata_after(connection, after, |row, metadata| {
                let code = self.code(metadata.get(key).filter(|value| !value.is_null()));
                self.codes.resize(usize::try_from(row).unwrap_or_default(), 0);
                self.codes.push(code);
            })
        })?;
        self.revision = self.revision.max(revision);
        Ok(())
    }

    fn code(&mut self, value: Option<&Value>) -> u32 {
        let text = value.map(Value::to_string).unwrap_or_default();
        if let Some(code) = self.code_of.get(&text) {
            return *code;
        }
        self.values.push(value.cloned());
        let code = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.code_of.insert(text, code);
        code
    }
}

/// A filter with its columns at hand.
pub(crate) struct Matcher<'a> {
    filter: &'a Filter,
    tested: Vec<Tested<'a>>,
    missed: bool,
}

struct Tested<'a> {
    test: &'a Test,
    column: Rc<RwLockReadGuard<'a, Column>>,
    /// For each code the verdict, once a chunk that is looked at has it.
    verdicts: Vec<Option<bool>>,
}

impl<'a> Matcher<'a> {
    pub(crate) fn new(filter: &'a Filter, columns: &'a [Arc<RwLock<Column>>]) -> Self {
        // Each column is locked once, and all of them in one order: whoever waits for one that
        // somebody wants to extend has none that this somebody waits for.
        let in_order: BTreeMap<_, _> =
            columns.iter().map(|column| (Arc::as_ptr(column), column)).collect();
        let locked: BTreeMap<_, _> =
            in_order.into_iter().map(|(at, column)| (at, Rc::new(read(column)))).collect();
        let tested = filter.tests.iter().zip(columns).filter_map(|(test, column)| {
            let column = Rc::clone(locked.get(&Arc::as_ptr(column))?);
            let verdicts = vec![None; column.values.len() + 1];
            Some(Tested { test, column, verdicts })
        });
        Self { filter, tested: tested.collect(), missed: false }
    }

    /// Whether the chunk in this row matches. One that was deleted meanwhile does not, whatever
    /// the filter says.
    pub(crate) fn matches(&mut self, row: i64) -> bool {
        let place = usize::try_from(row).unwrap_or(usize::MAX);
        let Self { filter, tested, missed } = self;
        if tested.iter().any(|tested| tested.code(place) == 0) {
            *missed = true;
            return false;
        }
        filter.root.holds(&mut |at| tested.get_mut(at).is_some_and(|t| t.holds(place)))
    }

    /// Whether a chunk that was asked about had been deleted meanwhile.
    pub(crate) fn missed(&self) -> bool {
        self.missed
    }
}

impl Tested<'_> {
    fn code(&self, place: usize) -> usize {
        self.column.codes.get(place).copied().unwrap_or_default() as usize
    }

    fn holds(&mut self, place: usize) -> bool {
        let code = self.code(place);
        let Some(verdict) = self.verdicts.get_mut(code) else { return false };
        *verdict.get_or_insert_with(|| {
            let value = code.checked_sub(1).and_then(|place| self.column.values.get(place));
            value.is_some_and(|value| self.test.holds(value.as_ref()))
        })
    }
}
