//! The index in this process: SQLite holds the truth, segments hold what searches read.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bailiwick_policy::{Bailiwick, Ceiling, Label, LabelId, LabelTable, Oversight, Schema};
use rusqlite::Connection;
use serde_json::{Map, Value};

use crate::analyst::Analyst;
use crate::catalogue::{self, Catalogue, DATABASE, DERIVED, EMBEDDER};
use crate::change::{Change, contributors, held};
use crate::columns::{Columns, Matcher};
use crate::filter::Filter;
use crate::rank::Ranked;
use crate::snapshot::Snapshot;
use crate::space::Space;
use crate::state::{Compaction, State};
use crate::types::{
    ChunkId, Document, DocumentId, Hits, LabelSize, Metric, NewDocument, Order, Origin, Query,
    Receipt, Size, SourceName,
};
use crate::{Index, IndexError, follow, generation, manifest, memory, search};

/// Chunks that [`Options::new`] lets be in memory only.
const FLUSH: usize = 16_384;

/// How an embedded index is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of its files; made when missing.
    pub folder: PathBuf,
    /// What labels are made of.
    pub schema: Arc<Schema>,
    /// Names the space of the vectors; an index holds vectors of one embedder only.
    pub embedder: String,
    /// How long each vector is, 1 to 65,535.
    pub dimensions: usize,
    /// The embedder and the dimensions of vectors that may be there in place of the wanted ones,
    /// until [`EmbeddedIndex::next_generation`] has replaced them.
    pub former: Option<(String, usize)>,
    /// What makes vectors near to each other.
    pub metric: Metric,
    /// The most memory that what searches read may take, in bytes; by default all there is.
    pub memory: Option<u64>,
    /// So many chunks in memory are moved to a file. After a crash they are read from the database
    /// at the start, so they should not be many.
    pub flush: usize,
}

impl Options {
    /// Options with everything else as it is by default.
    pub fn new(folder: PathBuf, schema: Arc<Schema>, embedder: String, dimensions: usize) -> Self {
        let (former, metric, memory) = (None, Metric::default(), None);
        Self { folder, schema, embedder, dimensions, former, metric, memory, flush: FLUSH }
    }
}

/// The index in this process. It holds a lock on its folder as long as it lives.
#[derive(Clone, Debug)]
pub struct EmbeddedIndex(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) memory: Option<u64>,
    pub(crate) catalogue: Catalogue,
    columns: Columns,
    /// Ended before the lock is given up: the order of the fields is that of their ends.
    _compaction: Compaction,
    pub(crate) state: Arc<State>,
    obeyed: AtomicU64,
    _lock: File,
}

impl EmbeddedIndex {
    /// Opens the index of a folder, and brings what is derived up to date with what is stored.
    ///
    /// # Errors
    /// When another process has it open, when the database is damaged or missing, when it holds
    /// the vectors of another embedder, or when the machine's memory cannot hold it.
    pub fn open(options: Options) -> Result<Self, IndexError> {
        let Options { folder, schema, embedder, dimensions, former, metric, memory, flush } =
            options;
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let lock = lock(&folder)?;
        let segments = folder.join(DERIVED);
        let (catalogue, mut writer) = Catalogue::open(&folder.join(DATABASE), &segments)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&segments)?;
        let wanted = Space::new(&embedder, dimensions, metric);
        let former = former.map(|(embedder, dimensions)| wanted.of(&embedder, dimensions));
        let space = claim_vectors(&writer.connection, wanted, former, catalogue.path())?;
        follow::schema(&mut writer.connection, &schema)?;
        follow::names(&mut writer.connection, &schema)?;
        let obeyed = AtomicU64::new(held::obeyed(&writer.connection)?);

        let labels = LabelTable::default();
        catalogue::load_labels(&writer.connection, &schema, &labels)?;
        let analyst = Analyst::default();
        let snapshot = manifest::open(&mut writer.connection, &segments, Arc::new(space))?;
        memory::check(&snapshot, memory)?;
        let snapshot =
            follow::chunks(&mut writer.connection, &segments, flush, &analyst, snapshot)?;
        let state =
            Arc::new(State::new(schema, labels, analyst, segments, flush, writer, snapshot));
        let compaction = Compaction::start(Arc::clone(&state))?;
        let columns = Columns::default();
        let inner = Inner {
            memory,
            catalogue,
            columns,
            _compaction: compaction,
            state,
            obeyed,
            _lock: lock,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// [`Index::search`] on the calling thread.
    ///
    /// # Errors
    /// Those of [`Index::search`].
    pub fn search_blocking(&self, query: &Query, within: &Bailiwick) -> Result<Hits, IndexError> {
        self.0.search(query, within)
    }

    /// The ids and scores of [`Index::search`], without texts, on the calling thread.
    ///
    /// # Errors
    /// Those of [`Index::search`].
    pub fn rank_blocking(
        &self,
        query: &Query,
        within: &Bailiwick,
    ) -> Result<Vec<(ChunkId, f32)>, IndexError> {
        self.0.check_bailiwick(within)?;
        self.0.whole(|snapshot| {
            let (snapshot, missed) = self.0.searched(snapshot, query, within)?;
            let query = search::prepared(query, &snapshot.space)?;
            let ranked = search::rank(&snapshot, &query, within, &self.0.state.analyst);
            let named = ranked.into_iter().map(|Ranked { id, score, .. }| {
                Ok((id.to_id().map_err(IndexError::Damaged)?, score))
            });
            Ok((named.collect::<Result<_, IndexError>>()?, missed))
        })
    }

    /// The documents within a bailiwick that match, by id, on the calling thread.
    ///
    /// # Errors
    /// When the catalogue fails, or the bailiwick is another index's.
    pub fn documents_blocking(
        &self,
        filter: Option<&Filter>,
        within: &Bailiwick,
    ) -> Result<Vec<Document>, IndexError> {
        self.0.check_bailiwick(within)?;
        let ids = self.0.documents(filter, |label| within.contains(label))?;
        self.0.catalogue.read(|connection| {
            let found = ids.iter().map(|id| catalogue::document(connection, id));
            // Whether each may be read and matches is asked again, of what is stored now.
            let found = found.filter_map(|found| match found {
                Ok(Some((document, label))) => (within.contains(label)
                    && filter.is_none_or(|filter| filter.matches(&document.metadata)))
                .then_some(Ok(document)),
                Ok(None) => None,
                Err(error) => Some(Err(error)),
            });
            found.collect()
        })
    }

    /// Whether the index is of an older release, which did not keep all contributors of its
    /// documents: [`complete_contributors`](Self::complete_contributors) is due.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn lacks_contributors(&self) -> Result<bool, IndexError> {
        self.0.catalogue.read(|connection| Ok(contributors::are_from_stamps(connection)?))
    }

    /// Adds contributors that the audit trail knows and the documents' stamps do not name, as pairs
    /// of an agent and a document, and quarantines the documents of quarantined agents among them.
    /// Returns the number of contributors that were added.
    ///
    /// `whole`: nothing was pruned from the trail. Otherwise every document may have contributors
    /// that are not known any more; [`incomplete_contributors`](crate::incomplete_contributors)
    /// names them.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub fn complete_contributors(
        &self,
        known: &BTreeSet<(String, String)>,
        whole: bool,
    ) -> Result<usize, IndexError> {
        let state = &self.0.state;
        let (added, _) =
            state.write(|change| change.complete_contributors(known, whole, &state.analyst))?;
        Ok(added)
    }

    /// [`Index::remove`] of every document that matches, whoever may read it; of all without a
    /// filter.
    ///
    /// # Errors
    /// When the catalogue fails, or the ceiling forbids one.
    pub async fn remove_matching(
        &self,
        filter: Option<Filter>,
        ceiling: &Ceiling,
    ) -> Result<Receipt, IndexError> {
        let ids = self.blocking(move |inner| inner.documents(filter.as_ref(), |_| true)).await?;
        self.remove(&ids, ceiling).await
    }

    /// [`EmbeddedIndex::remove_matching`] that leaves documents of other sources as they are.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub async fn remove_matching_from(
        &self,
        filter: Option<Filter>,
        origin: &Origin,
    ) -> Result<Receipt, IndexError> {
        let origin = origin.clone();
        self.blocking(move |inner| {
            let ids = inner.documents(filter.as_ref(), |_| true)?;
            inner.remove(|change| {
                let mut ours = Vec::new();
                for id in ids {
                    if change.is_of(&id, &origin)? {
                        ours.push(id);
                    }
                }
                Ok(ours)
            })
        })
        .await
    }

    /// Runs blocking work away from the threads that serve requests.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, IndexError> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .map_err(|error| IndexError::Stopped(error.to_string()))?
    }
}

fn lock(folder: &Path) -> Result<File, IndexError> {
    let path = folder.join("lock");
    let file = File::options().create(true).write(true).truncate(false).open(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(IndexError::Unusable {
            path: folder.display().to_string(),
            problem: "another process has it open; stop it, or send documents through its server"
                .into(),
        }),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// An index holds the vectors of one embedder, for one metric: nobody searches a mixture. Says
/// whose they are, the wanted one's or the former one's.
fn claim_vectors(
    connection: &Connection,
    wanted: Space,
    former: Option<Space>,
    path: &Path,
) -> Result<Space, IndexError> {
    let Some(stored) = catalogue::meta(connection, EMBEDDER)? else {
        catalogue::set_meta(connection, EMBEDDER, &wanted.to_string())?;
        return Ok(wanted);
    };
    if stored == wanted.to_string() {
        generation::give_up(connection)?;
        return Ok(wanted);
    }
    former.filter(|former| stored == former.to_string()).ok_or_else(|| IndexError::Unusable {
        path: path.display().to_string(),
        problem: format!(
            "its vectors were made by `{stored}`, and the configuration says `{wanted}`; to have \
             them made anew, write under `[embedding.former]` what `[embedding]` said before, or \
             else set it back"
        ),
    })
}

impl Inner {
    fn check_bailiwick(&self, within: &Bailiwick) -> Result<(), IndexError> {
        if within.is_of(&self.state.labels) { Ok(()) } else { Err(IndexError::ForeignBailiwick) }
    }

    /// Refuses a write that touches documents beyond the writer's ceiling, within the write, so
    /// that no label changes between the check and it.
    fn check_ceiling<'a>(
        &self,
        change: &Change<'_>,
        ids: impl IntoIterator<Item = &'a DocumentId>,
        ceiling: &Ceiling,
    ) -> Result<(), IndexError> {
        let mut beyond = Vec::new();
        for id in ids {
            if let Some(label) = change.label_of(id)? {
                let label = self.state.labels.label(label);
                if !label.is_some_and(|label| ceiling.permits(&label)) {
                    beyond.push(id.clone());
                }
            }
        }
        if beyond.is_empty() { Ok(()) } else { Err(IndexError::Beyond(beyond)) }
    }

    /// Removes the documents that `choose` returns, decided inside the write.
    fn remove(
        &self,
        choose: impl FnOnce(&Change<'_>) -> Result<Vec<DocumentId>, IndexError>,
    ) -> Result<Receipt, IndexError> {
        let (receipt, revision) = self.state.write(|change| {
            let mut receipt = Receipt::default();
            for id in choose(change)? {
                if let Some(chunks) = change.remove(&id)? {
                    receipt.documents += 1;
                    receipt.chunks += chunks;
                }
            }
            Ok(receipt)
        })?;
        Ok(Receipt { revision, ..receipt })
    }

    /// Reads a state; `read` says whether it lost something to a write that the catalogue has
    /// already. Then it reads once more, between two writes.
    fn whole<T>(
        &self,
        read: impl Fn(&Arc<Snapshot>) -> Result<(T, bool), IndexError>,
    ) -> Result<T, IndexError> {
        let (found, lost) = read(&self.state.snapshot.load_full())?;
        if !lost {
            return Ok(found);
        }
        Ok(self.state.between_writes(|| read(&self.state.snapshot.load_full()))?.0)
    }

    /// What a query searches: a snapshot without what its filter excludes; and whether something
    /// of it was deleted meanwhile.
    fn searched(
        &self,
        snapshot: &Arc<Snapshot>,
        query: &Query,
        within: &Bailiwick,
    ) -> Result<(Arc<Snapshot>, bool), IndexError> {
        let Some(filter) = &query.filter else { return Ok((Arc::clone(snapshot), false)) };
        let columns = self.columns.of(filter, snapshot.revision, &self.catalogue)?;
        let mut matcher = Matcher::new(filter, &columns);
        let matching = snapshot.matching(within, |row| matcher.matches(row));
        Ok((Arc::new(matching), matcher.missed()))
    }

    /// The ids of the documents under these labels that match.
    fn documents(
        &self,
        filter: Option<&Filter>,
        of: impl Fn(LabelId) -> bool,
    ) -> Result<Vec<DocumentId>, IndexError> {
        self.whole(|snapshot| {
            let (ids, missed) = match filter {
                None => (snapshot.documents(&of, |_| true), false),
                Some(filter) => {
                    let columns = self.columns.of(filter, snapshot.revision, &self.catalogue)?;
                    let mut matcher = Matcher::new(filter, &columns);
                    let ids = snapshot.documents(&of, |row| matcher.matches(row));
                    (ids, matcher.missed())
                }
            };
            let ids = ids.into_iter().map(|id| DocumentId::new(id).map_err(IndexError::Damaged));
            Ok((ids.collect::<Result<_, _>>()?, missed))
        })
    }

    fn search(&self, query: &Query, within: &Bailiwick) -> Result<Hits, IndexError> {
        self.check_bailiwick(within)?;
        self.whole(|snapshot| self.attempt(snapshot, query, within))
    }

    /// Searches one state; says whether something was lost to a later write.
    fn attempt(
        &self,
        snapshot: &Arc<Snapshot>,
        query: &Query,
        within: &Bailiwick,
    ) -> Result<(Hits, bool), IndexError> {
        let (snapshot, missed) = self.searched(snapshot, query, within)?;
        let query = search::prepared(query, &snapshot.space)?;
        let ranked = search::rank(&snapshot, &query, within, &self.state.analyst);
        let hits = self.catalogue.read(|connection| {
            let found = ranked.iter().map(|ranked| search::hit(connection, ranked, within));
            found.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()
        })?;
        let lost = missed || hits.len() < ranked.len();
        Ok((Hits { hits, revision: snapshot.revision }, lost))
    }
}

#[async_trait]
impl Index for EmbeddedIndex {
    fn readiness(&self) -> Result<(), IndexError> {
        Ok(self.0.catalogue.files().check()?)
    }

    fn labels(&self) -> &LabelTable {
        &self.0.state.labels
    }

    fn revision(&self) -> u64 {
        self.0.state.snapshot.load().revision
    }

    fn space(&self) -> Arc<str> {
        Arc::clone(&self.0.state.snapshot.load().space.embedder)
    }

    async fn search(&self, query: &Query, within: &Bailiwick) -> Result<Hits, IndexError> {
        let (query, within) = (query.clone(), within.clone());
        self.blocking(move |inner| inner.search(&query, &within)).await
    }

    async fn reread(&self, hits: Hits, within: &Bailiwick) -> Result<Hits, IndexError> {
        self.0.check_bailiwick(within)?;
        // An acknowledged write has raised the revision already.
        if hits.revision == self.revision() {
            return Ok(hits);
        }
        let within = within.clone();
        self.blocking(move |inner| {
            inner.catalogue.read(|connection| {
                let revision = catalogue::revision(connection)?;
                let hits =
                    hits.hits.into_iter().map(|hit| search::reread(connection, hit, &within));
                let hits = hits.filter_map(Result::transpose).collect::<Result<_, _>>()?;
                Ok(Hits { hits, revision })
            })
        })
        .await
    }

    async fn document(
        &self,
        id: &DocumentId,
        within: &Bailiwick,
    ) -> Result<Option<Document>, IndexError> {
        self.0.check_bailiwick(within)?;
        let (id, within) = (id.clone(), within.clone());
        self.blocking(move |inner| {
            // The text of what is forbidden is not even read: how long that takes would tell that
            // it is there, and how long it is.
            let found = inner.catalogue.read(|connection| {
                let label = catalogue::label_of(connection, &id)?;
                if label.is_none_or(|label| !within.contains(label)) {
                    return Ok(None);
                }
                catalogue::document(connection, &id)
            })?;
            Ok(found.map(|(document, _)| document))
        })
        .await
    }

    async fn size(&self, within: &Bailiwick) -> Result<Size, IndexError> {
        self.0.check_bailiwick(within)?;
        Ok(self.0.state.snapshot.load().size(within))
    }

    async fn label_sizes(&self, _: Oversight) -> Result<Vec<LabelSize>, IndexError> {
        self.blocking(move |inner| {
            let counted = inner.catalogue.read(catalogue::documents_by_label)?;
            let snapshot = inner.state.snapshot.load();
            let sizes = counted.into_iter().map(|(label, documents)| LabelSize {
                label,
                documents,
                chunks: snapshot.chunks(label),
            });
            Ok(sizes.collect())
        })
        .await
    }

    async fn sample(
        &self,
        labels: &BTreeSet<LabelId>,
        limit: usize,
        _: Oversight,
    ) -> Result<Vec<DocumentId>, IndexError> {
        let labels = labels.clone();
        self.blocking(move |inner| {
            inner.catalogue.read(|connection| catalogue::sample(connection, &labels, limit))
        })
        .await
    }

    async fn label_of(&self, id: &DocumentId, _: Oversight) -> Result<Option<LabelId>, IndexError> {
        let id = id.clone();
        self.blocking(move |inner| {
            inner.catalogue.read(|connection| catalogue::label_of(connection, &id))
        })
        .await
    }

    async fn upsert(
        &self,
        documents: Vec<NewDocument>,
        ceiling: &Ceiling,
    ) -> Result<Receipt, IndexError> {
        let ceiling = ceiling.clone();
        self.blocking(move |inner| {
            let space = Arc::clone(&inner.state.snapshot.load().space);
            let chunks = documents
                .iter()
                .flat_map(|document| document.chunks.iter().map(|chunk| (chunk, &*document.space)));
            let chunks = chunks.map(|(chunk, embedder)| {
                Ok((chunk.text.as_str(), space.stored(embedder, &chunk.vector)?))
            });
            let chunks = chunks.collect::<Result<Vec<_>, IndexError>>()?;
            let count = chunks.len();
            let mut analysed = inner.state.analyst.analyse(chunks, &space.coder).into_iter();
            let ((), revision) = inner.state.write(|change| {
                let ids = documents.iter().map(|document| &document.id);
                inner.check_ceiling(change, ids, &ceiling)?;
                change.check_sources(
                    documents.iter().map(|document| (&document.id, &*document.origin)),
                )?;
                for document in &documents {
                    change.remove(&document.id)?;
                    let chunks = analysed.by_ref().take(document.chunks.len()).collect();
                    change.insert(document, chunks)?;
                    change.hold_if_quarantined(&document.id, &inner.state.analyst)?;
                }
                Ok(())
            })?;
            Ok(Receipt { documents: documents.len(), chunks: count, revision })
        })
        .await
    }

    async fn remove(&self, ids: &[DocumentId], ceiling: &Ceiling) -> Result<Receipt, IndexError> {
        let (ids, ceiling) = (ids.to_vec(), ceiling.clone());
        self.blocking(move |inner| {
            inner.remove(|change| {
                inner.check_ceiling(change, &ids, &ceiling)?;
                Ok(ids)
            })
        })
        .await
    }

    async fn remove_from(
        &self,
        ids: &[DocumentId],
        origin: &Origin,
        ceiling: &Ceiling,
    ) -> Result<Receipt, IndexError> {
        let (ids, origin, ceiling) = (ids.to_vec(), origin.clone(), ceiling.clone());
        self.blocking(move |inner| {
            inner.remove(|change| {
                inner.check_ceiling(change, &ids, &ceiling)?;
                change.check_sources(ids.iter().map(|id| (id, &origin)))?;
                Ok(ids)
            })
        })
        .await
    }

    async fn relabel(
        &self,
        id: &DocumentId,
        metadata: Map<String, Value>,
        label: Label,
        contributors: &[String],
        ceiling: &Ceiling,
    ) -> Result<Option<Receipt>, IndexError> {
        let (id, contributors, ceiling) = (id.clone(), contributors.to_vec(), ceiling.clone());
        self.blocking(move |inner| {
            let (chunks, revision) = inner.state.write(|change| {
                inner.check_ceiling(change, [&id], &ceiling)?;
                change.relabel(&id, metadata, &label, &contributors, &inner.state.analyst)
            })?;
            Ok(chunks.map(|chunks| Receipt { documents: 1, chunks, revision }))
        })
        .await
    }

    async fn obey(&self, order: Order) -> Result<Receipt, IndexError> {
        self.blocking(move |inner| {
            let (receipt, revision) =
                inner.state.write(|change| change.obey(&order, &inner.state.analyst))?;
            inner.obeyed.fetch_max(order.number, Ordering::Release);
            Ok(Receipt { revision, ..receipt })
        })
        .await
    }

    fn obeyed(&self) -> u64 {
        self.0.obeyed.load(Ordering::Acquire)
    }

    async fn unchanged(
        &self,
        ids: &[(DocumentId, [u8; 32])],
        source: &SourceName,
    ) -> Result<Vec<bool>, IndexError> {
        let (ids, source) = (ids.to_vec(), source.clone());
        self.blocking(move |inner| {
            let stored = inner.catalogue.read(|connection| {
                let same =
                    ids.iter().map(|(id, hash)| catalogue::source_if_same(connection, id, hash));
                same.collect::<Result<Vec<_>, _>>()
            })?;
            let unclaimed = ids.iter().zip(&stored).filter(|(_, stored)| **stored == Some(None));
            let unclaimed: Vec<DocumentId> = unclaimed.map(|((id, _), _)| id.clone()).collect();
            if !unclaimed.is_empty() {
                inner.state.write(|change| change.claim(&unclaimed, &source))?;
            }
            let is_same = |stored: Option<Option<String>>| {
                stored.is_some_and(|owner| owner.is_none_or(|owner| owner == source.as_str()))
            };
            Ok(stored.into_iter().map(is_same).collect())
        })
        .await
    }
}
