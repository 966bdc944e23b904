//! What is looked for, and what is found.

use std::sync::Arc;

use bailiwick_index as index;
use bailiwick_index::{Filter, Mode, Query};
use bailiwick_policy::Schema;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::convert;
use crate::errors::{InvalidFilter, InvalidQuery};

/// More hits than this nobody reads.
const MOST: usize = 1 << 20;

/// The keyword arguments of a search but for `filters`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    text: Option<String>,
    mode: Option<Mode>,
    exact: bool,
    dense_weight: f32,
    diversity: f32,
}

impl Default for Options {
    fn default() -> Self {
        Self { text: None, mode: None, exact: false, dense_weight: 0.5, diversity: 0.0 }
    }
}

/// Reads the words or the vector that are looked for, and the keyword arguments of a search.
pub(crate) fn query(
    looked_for: &Bound<'_, PyAny>,
    k: usize,
    options: Option<&Bound<'_, PyDict>>,
    space: Arc<str>,
    schema: &Schema,
) -> PyResult<Query> {
    let (vector, words) = match looked_for.extract::<String>() {
        Ok(words) => (Vec::new(), Some(words)),
        Err(_) => (vector(looked_for)?, None),
    };
    let plain = Query::new("", space, vector, k.min(MOST), Mode::Dense);
    let (options, filter) = read(options, schema)?;
    complete(plain, Options { text: words.or(options.text), ..options }, filter)
}

/// As [`query`], for many vectors.
pub(crate) fn queries(
    vectors: &Bound<'_, PyAny>,
    k: usize,
    options: Option<&Bound<'_, PyDict>>,
    space: &Arc<str>,
    schema: &Schema,
) -> PyResult<Vec<Query>> {
    let vectors = convert::vectors(vectors, 2)
        .map_err(|problem| InvalidQuery::new_err(format!("vectors are no rows: {problem}")))?;
    let (options, filter) = read(options, schema)?;
    let queries = vectors.into_iter().map(|vector| {
        let plain = Query::new("", Arc::clone(space), vector, k.min(MOST), Mode::Dense);
        complete(plain, options.clone(), filter.clone())
    });
    queries.collect()
}

fn read(
    options: Option<&Bound<'_, PyDict>>,
    schema: &Schema,
) -> PyResult<(Options, Option<Arc<Filter>>)> {
    let Some(options) = options else { return Ok((Options::default(), None)) };
    let options = options.copy()?;
    let filters = options.get_item("filters")?.filter(|filters| !filters.is_none());
    let filter = filters.map(|filters| filter(&filters, schema)).transpose()?.map(Arc::new);
    if options.contains("filters")? {
        options.del_item("filters")?;
    }
    let options = convert::from_python(options.as_any());
    Ok((options.map_err(InvalidQuery::new_err)?, filter))
}

fn complete(plain: Query, options: Options, filter: Option<Arc<Filter>>) -> PyResult<Query> {
    let Options { text, mode, exact, dense_weight, diversity } = options;
    let mode = mode.unwrap_or(match (plain.vector.is_empty(), &text) {
        (true, _) => Mode::Lexical,
        (false, Some(_)) => Mode::Hybrid,
        (false, None) => Mode::Dense,
    });
    let problem = if text.is_none() && mode != Mode::Dense {
        "this mode searches words; give them as `text`"
    } else if plain.vector.is_empty() && mode != Mode::Lexical {
        "this mode compares vectors; give one"
    } else if !(0.0..=1.0).contains(&dense_weight) || !(0.0..=1.0).contains(&diversity) {
        "dense_weight and diversity are numbers between 0 and 1"
    } else {
        let vector = if mode == Mode::Lexical { Vec::new() } else { plain.vector };
        let text = text.unwrap_or_default();
        return Ok(Query { text, vector, mode, exact, dense_weight, diversity, filter, ..plain });
    };
    Err(InvalidQuery::new_err(problem))
}

fn vector(object: &Bound<'_, PyAny>) -> PyResult<Vec<f32>> {
    let mut vectors = convert::vectors(object, 1)
        .map_err(|problem| InvalidQuery::new_err(format!("the query is no vector: {problem}")))?;
    Ok(vectors.pop().unwrap_or_default())
}

/// A filter in the JSON form of LlamaIndex's `MetadataFilters`.
pub(crate) fn filter(filters: &Bound<'_, PyAny>, schema: &Schema) -> PyResult<Filter> {
    let json: Value = convert::from_python(filters)
        .map_err(|problem| InvalidFilter::new_err(format!("filters: {problem}")))?;
    Filter::new(&json, schema).map_err(|error| InvalidFilter::new_err(error.to_string()))
}

/// See `_native.pyi`.
#[pyclass(frozen, module = "bailiwick")]
pub(crate) struct Hit {
    #[pyo3(get)]
    id: String,
    #[pyo3(get)]
    text: String,
    metadata: Map<String, Value>,
    #[pyo3(get)]
    score: Option<f32>,
}

#[pymethods]
impl Hit {
    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        convert::dict(py, &self.metadata)
    }

    fn __repr__(&self) -> String {
        match self.score {
            Some(score) => format!("<Hit {} with {score:.4}>", self.id),
            None => format!("<Hit {}>", self.id),
        }
    }
}

impl From<index::Hit> for Hit {
    fn from(hit: index::Hit) -> Self {
        let index::Hit { id, text, metadata, score, .. } = hit;
        Self { id: id.document.to_string(), text, metadata, score: Some(score) }
    }
}

impl From<index::Document> for Hit {
    fn from(document: index::Document) -> Self {
        let index::Document { id, text, metadata } = document;
        Self { id: id.to_string(), text, metadata, score: None }
    }
}
