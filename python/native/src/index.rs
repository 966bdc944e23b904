//! `Index`.
//!
//! Python's document is one passage: it is stored as a document with one chunk.

use std::collections::HashSet;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;

use bailiwick_index as index;
use bailiwick_index::{
    ChunkId, DocumentId, EmbeddedIndex, Index as _, IndexError, Metric, NewChunk, NewDocument,
    Origin, Query, SourceName,
};
use bailiwick_policy::{Ceiling, Schema};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::errors::{self, BailiwickError, RefusedDocument};
use crate::policy::{self, Bailiwick};
use crate::query::{self, Hit};
use crate::{convert, runtime};

/// The greatest number that can be stored in 16 bits.
const GREATEST: f32 = 65_504.0;

/// Ids and scores, best first.
type Ranking<'py> = (Vec<String>, Bound<'py, PyAny>);

/// See `_native.pyi`.
#[pyclass(frozen, module = "bailiwick")]
pub(crate) struct Index {
    /// None once it is closed.
    open: RwLock<Option<Open>>,
    schema: Arc<Schema>,
    attributes: Value,
    #[pyo3(get)]
    dims: usize,
}

#[derive(Clone)]
struct Open {
    index: EmbeddedIndex,
    /// Of an index without a path, removed at the end.
    _folder: Option<Arc<TempDir>>,
}

#[pymethods]
impl Index {
    #[staticmethod]
    #[pyo3(signature = (path=None, *, dims, attributes, embedder="python", metric="cosine"))]
    fn open(
        py: Python<'_>,
        path: Option<PathBuf>,
        dims: usize,
        attributes: &Bound<'_, PyAny>,
        embedder: &str,
        metric: &str,
    ) -> PyResult<Self> {
        if !(1..=65_535).contains(&dims) {
            return Err(BailiwickError::new_err("dims is between 1 and 65,535"));
        }
        let attributes: Value = convert::from_python(attributes)
            .map_err(|problem| BailiwickError::new_err(format!("attributes: {problem}")))?;
        let schema = policy::schema(attributes.clone())?;
        let metric: Metric = serde_json::from_value(Value::from(metric)).map_err(|_| {
            BailiwickError::new_err(format!("metric `{metric}` is not cosine or inner-product"))
        })?;
        let temporary = if path.is_none() {
            let made = TempDir::with_prefix("bailiwick-").map_err(IndexError::from);
            Some(made.map_err(errors::of_index)?)
        } else {
            None
        };
        let folder = temporary.as_ref().map(|folder| folder.path().to_owned());
        let folder = path.or(folder).unwrap_or_default();
        let plain = index::Options::new(folder, Arc::clone(&schema), embedder.to_owned(), dims);
        let options = index::Options { metric, ..plain };
        let index = py.detach(|| EmbeddedIndex::open(options));
        let index = index.map_err(errors::of_index)?;
        let open = Open { index, _folder: temporary.map(Arc::new) };
        Ok(Self { open: RwLock::new(Some(open)), schema, attributes, dims })
    }

    #[getter]
    fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::to_python(py, &self.attributes)
    }

    fn close(&self, py: Python<'_>) {
        let closed = self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        // It waits for the thread that merges segments.
        py.detach(|| drop(closed));
    }

    fn danger_everything(&self) -> Bailiwick {
        Bailiwick::danger_everything()
    }

    #[pyo3(signature = (ids, vectors, texts=None, metadata=None, *, source="python", replace=false))]
    #[expect(clippy::too_many_arguments, reason = "they are Python's keyword arguments")]
    fn add(
        &self,
        py: Python<'_>,
        ids: Vec<String>,
        vectors: &Bound<'_, PyAny>,
        texts: Option<Vec<String>>,
        metadata: Option<&Bound<'_, PyAny>>,
        source: &str,
        replace: bool,
    ) -> PyResult<usize> {
        let origin = Arc::new(Origin { replace, ..origin(source)? });
        let refuse =
            |problem: String| RefusedDocument::new_err(format!("nothing is stored: {problem}"));
        let open = self.opened()?;
        if ids.is_empty() {
            return Ok(0);
        }
        let vectors = convert::vectors(vectors, 2)
            .map_err(|problem| refuse(format!("vectors are not rows of numbers: {problem}")))?;
        let metadata: Vec<Map<String, Value>> = match metadata {
            Some(metadata) => convert::from_python(metadata)
                .map_err(|problem| refuse(format!("metadata is not a list of dicts: {problem}")))?,
            None => vec![Map::new(); ids.len()],
        };
        let texts = texts.unwrap_or_else(|| vec![String::new(); ids.len()]);
        let space = open.index.space();
        let documents = py.detach(|| self.prepared(ids, vectors, texts, metadata, &space, &origin));
        let documents = documents.map_err(refuse)?;
        Ok(written(py, open.index.upsert(documents, &Ceiling::none()))?.documents)
    }

    #[pyo3(signature = (ids, *, source=None))]
    fn delete(&self, py: Python<'_>, ids: Vec<String>, source: Option<&str>) -> PyResult<usize> {
        let ids: Vec<DocumentId> = ids.iter().filter_map(|id| DocumentId::new(id).ok()).collect();
        let (index, none) = (self.opened()?.index, Ceiling::none());
        let removed = match source.map(origin).transpose()? {
            Some(origin) => written(py, index.remove_from(&ids, &origin, &none)),
            None => written(py, index.remove(&ids, &none)),
        };
        Ok(removed?.documents)
    }

    #[pyo3(signature = (filters=None, *, source=None))]
    fn delete_matching(
        &self,
        py: Python<'_>,
        filters: Option<&Bound<'_, PyAny>>,
        source: Option<&str>,
    ) -> PyResult<usize> {
        let filter = filters.map(|filters| query::filter(filters, &self.schema)).transpose()?;
        let index = self.opened()?.index;
        let removed = match source.map(origin).transpose()? {
            Some(origin) => written(py, index.remove_matching_from(filter, &origin)),
            None => written(py, index.remove_matching(filter, &Ceiling::none())),
        };
        Ok(removed?.documents)
    }

    fn relabel(&self, py: Python<'_>, id: &str, metadata: &Bound<'_, PyAny>) -> PyResult<bool> {
        let refuse =
            |problem: String| RefusedDocument::new_err(format!("`{id}` is as it was: {problem}"));
        let metadata: Map<String, Value> = convert::from_python(metadata).map_err(refuse)?;
        let label =
            self.schema.label_of_new(&metadata).map_err(|error| refuse(error.to_string()))?;
        let Ok(id) = DocumentId::new(id) else { return Ok(false) };
        let open = self.opened()?;
        Ok(written(py, open.index.relabel(&id, metadata, label, &[], &Ceiling::none()))?.is_some())
    }

    #[pyo3(signature = (query, bailiwick, k=10, **options))]
    fn search<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, PyAny>,
        bailiwick: &Bound<'py, Bailiwick>,
        k: usize,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Ranking<'py>> {
        let index = self.opened()?.index;
        let within = bailiwick.get().of(py, &index, &self.schema)?;
        let query = query::query(query, k, options, index.space(), &self.schema)?;
        let ranked = py.detach(|| index.rank_blocking(&query, &within));
        ranking(py, ranked.map_err(errors::of_index)?)
    }

    #[pyo3(signature = (vectors, bailiwick, k=10, **options))]
    fn search_batch<'py>(
        &self,
        py: Python<'py>,
        vectors: &Bound<'py, PyAny>,
        bailiwick: &Bound<'py, Bailiwick>,
        k: usize,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Vec<Ranking<'py>>> {
        let index = self.opened()?.index;
        let within = bailiwick.get().of(py, &index, &self.schema)?;
        let queries = query::queries(vectors, k, options, &index.space(), &self.schema)?;
        let rank = |query: &Query| index.rank_blocking(query, &within);
        let ranked = py.detach(|| on_all_cores(&queries, rank));
        let ranked = ranked.map_err(errors::of_index)?;
        ranked.into_iter().map(|ranked| ranking(py, ranked)).collect()
    }

    #[pyo3(signature = (query, bailiwick, k=10, **options))]
    fn retrieve<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, PyAny>,
        bailiwick: &Bound<'py, Bailiwick>,
        k: usize,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Vec<Hit>> {
        let index = self.opened()?.index;
        let within = bailiwick.get().of(py, &index, &self.schema)?;
        let query = query::query(query, k, options, index.space(), &self.schema)?;
        let found = py.detach(|| index.search_blocking(&query, &within));
        let found = found.map_err(errors::of_index)?;
        Ok(found.hits.into_iter().map(Hit::from).collect())
    }

    #[pyo3(signature = (bailiwick, filters=None))]
    fn documents(
        &self,
        py: Python<'_>,
        bailiwick: &Bound<'_, Bailiwick>,
        filters: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Vec<Hit>> {
        let index = self.opened()?.index;
        let within = bailiwick.get().of(py, &index, &self.schema)?;
        let filter = filters.map(|filters| query::filter(filters, &self.schema)).transpose()?;
        let found = py.detach(|| index.documents_blocking(filter.as_ref(), &within));
        let found = found.map_err(errors::of_index)?;
        Ok(found.into_iter().map(Hit::from).collect())
    }

    /// Labels that hold something, and passages.
    fn size(&self, py: Python<'_>, bailiwick: &Bound<'_, Bailiwick>) -> PyResult<(usize, u64)> {
        let index = self.opened()?.index;
        let within = bailiwick.get().of(py, &index, &self.schema)?;
        let runtime = runtime()?;
        let size = py.detach(|| runtime.block_on(index.size(&within)));
        let size = size.map_err(errors::of_index)?;
        Ok((size.labels, size.chunks))
    }
}

impl Index {
    fn opened(&self) -> PyResult<Open> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner).clone();
        open.ok_or_else(|| BailiwickError::new_err("the index is closed; open it again"))
    }

    /// The documents of a batch, or what is wrong with the first that is.
    fn prepared(
        &self,
        ids: Vec<String>,
        vectors: Vec<Vec<f32>>,
        texts: Vec<String>,
        metadata: Vec<Map<String, Value>>,
        space: &Arc<str>,
        origin: &Arc<Origin>,
    ) -> Result<Vec<NewDocument>, String> {
        let counts = [ids.len(), vectors.len(), texts.len(), metadata.len()];
        if counts.iter().any(|count| *count != ids.len()) {
            let [ids, vectors, texts, metadata] = counts;
            return Err(format!(
                "there are {ids} ids, {vectors} vectors, {texts} texts and {metadata} metadata"
            ));
        }
        let mut seen = HashSet::new();
        let rows = ids.into_iter().zip(vectors).zip(texts).zip(metadata).enumerate();
        let documents = rows.map(|(place, (((id, vector), text), metadata))| {
            let problem = |problem: String| format!("document {place}, `{id}`: {problem}");
            let document = DocumentId::new(&id).map_err(problem)?;
            if !seen.insert(document.clone()) {
                return Err(problem("another one of the batch has this id".to_owned()));
            }
            if vector.len() != self.dims {
                let (found, wanted) = (vector.len(), self.dims);
                let told = format!("its vector has {found} dimensions, the index {wanted}");
                return Err(problem(told));
            }
            if !vector.iter().all(|number| number.abs() <= GREATEST) {
                let told =
                    format!("its vector holds a number that is not finite, or beyond {GREATEST}");
                return Err(problem(told));
            }
            let label =
                self.schema.label_of_new(&metadata).map_err(|error| problem(error.to_string()))?;
            Ok(NewDocument {
                id: document,
                text: text.clone(),
                metadata,
                label,
                // Nobody asks whether a document is unchanged: its vector is here already.
                content_hash: [0; 32],
                origin: Arc::clone(origin),
                space: Arc::clone(space),
                chunks: vec![NewChunk { text, vector }],
            })
        });
        documents.collect()
    }
}

fn origin(source: &str) -> PyResult<Origin> {
    SourceName::new(source).map(Origin::of).map_err(BailiwickError::new_err)
}

/// Waits for a write.
fn written<T: Send>(
    py: Python<'_>,
    write: impl Future<Output = Result<T, IndexError>> + Send,
) -> PyResult<T> {
    let runtime = runtime()?;
    let written = py.detach(|| runtime.block_on(write));
    written.map_err(errors::of_index)
}

fn ranking(py: Python<'_>, ranked: Vec<(ChunkId, f32)>) -> PyResult<Ranking<'_>> {
    let scores: Vec<f32> = ranked.iter().map(|(_, score)| *score).collect();
    let ids = ranked.into_iter().map(|(id, _)| id.document.to_string()).collect();
    Ok((ids, convert::array(py, &scores)?))
}

/// Does `work` for each item, on as many threads as there are cores, and keeps the order.
fn on_all_cores<I: Sync, T: Send, E: Send>(
    items: &[I],
    work: impl Fn(&I) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let work = &work;
    thread::scope(|scope| {
        let share = items.len().div_ceil(cores).max(1);
        let threads: Vec<_> = items
            .chunks(share)
            .map(|items| scope.spawn(move || items.iter().map(work).collect::<Result<Vec<_>, E>>()))
            .collect();
        let mut done = Vec::with_capacity(items.len());
        for thread in threads {
            match thread.join() {
                Ok(results) => done.extend(results?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(done)
    })
}
