//! The index in this process: SQLite holds the truth, memory holds the vectors, Tantivy the words.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bailiwick_policy::{Bailiwick, Label, LabelTable, Schema};
use rusqlite::Connection;
use serde_json::{Map, Value};

use crate::bm25::View;
use crate::catalogue::{self, Catalogue, DATABASE, DERIVED, Writer};
use crate::change::{Change, Committed};
use crate::dense::Blocks;
use crate::lexical::Lexical;
use crate::rank::Ranked;
use crate::types::{Document, DocumentId, Hit, Hits, Mode, NewDocument, Query, Receipt, Size};
use crate::{Index, IndexError, follow, hybrid};

/// How often a search starts again because a write changed its hits under it.
const ATTEMPTS: usize = 3;

/// How an embedded index is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of its files; made when missing.
    pub folder: PathBuf,
    /// What labels are made of.
    pub schema: Arc<Schema>,
    /// Names the space of the vectors; an index holds vectors of one embedder only.
    pub embedder: String,
    /// How long each vector is.
    pub dimensions: usize,
}

/// The index in this process. It holds a lock on its folder as long as it lives.
#[derive(Clone, Debug)]
pub struct EmbeddedIndex(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    schema: Arc<Schema>,
    dimensions: usize,
    labels: LabelTable,
    catalogue: Catalogue,
    /// What searches see; replaced as a whole by each write.
    snapshot: ArcSwap<Snapshot>,
    writing: Mutex<Writing>,
    _lock: File,
}

/// What only one write at a time may touch.
#[derive(Debug)]
struct Writing {
    catalogue: Writer,
    lexical: Lexical,
}

/// One state of the index: vectors and words of the same revision.
#[derive(Debug)]
struct Snapshot {
    revision: u64,
    blocks: Blocks,
    words: View,
}

impl EmbeddedIndex {
    /// Opens the index of a folder, and brings what is derived up to date with what is stored.
    ///
    /// # Errors
    /// When another process has it open, when the database is damaged or missing, or when it holds
    /// the vectors of another embedder.
    pub fn open(options: Options) -> Result<Self, IndexError> {
        DirBuilder::new().recursive(true).mode(0o700).create(&options.folder)?;
        let lock = lock(&options.folder)?;
        let derived = options.folder.join(DERIVED);
        let (catalogue, mut writer) = Catalogue::open(&options.folder.join(DATABASE), &derived)?;
        claim_vectors(&writer.0, &options, catalogue.path())?;
        follow::schema(&mut writer.0, &options.schema)?;

        let labels = LabelTable::default();
        catalogue::load_labels(&writer.0, &options.schema, &labels)?;
        let mut lexical = Lexical::open(&derived)?;
        follow::words(&mut lexical, &writer.0, options.dimensions)?;
        let blocks = follow::vectors(&writer.0, options.dimensions)?;
        let revision = catalogue::revision(&writer.0)?;
        let snapshot = Snapshot { revision, blocks, words: lexical.view()? };
        Ok(Self(Arc::new(Inner {
            schema: options.schema,
            dimensions: options.dimensions,
            labels,
            catalogue,
            snapshot: ArcSwap::from_pointee(snapshot),
            writing: Mutex::new(Writing { catalogue: writer, lexical }),
            _lock: lock,
        })))
    }

    /// Runs blocking work away from the threads that serve requests.
    async fn blocking<T: Send + 'static>(
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

/// An index holds the vectors of one embedder: nobody searches a mixture.
fn claim_vectors(
    connection: &Connection,
    options: &Options,
    path: &Path,
) -> Result<(), IndexError> {
    let wanted = format!("{} ({} dimensions)", options.embedder, options.dimensions);
    match catalogue::meta(connection, "embedder")? {
        Some(stored) if stored != wanted => Err(IndexError::Unusable {
            path: path.display().to_string(),
            problem: format!(
                "its vectors were made by `{stored}`, and the configuration says `{wanted}`; \
                 set `[embedding]` back, or ingest into another data_dir"
            ),
        }),
        Some(_) => Ok(()),
        None => Ok(catalogue::set_meta(connection, "embedder", &wanted)?),
    }
}

impl Inner {
    fn check_bailiwick(&self, within: &Bailiwick) -> Result<(), IndexError> {
        if within.is_of(&self.labels) { Ok(()) } else { Err(IndexError::ForeignBailiwick) }
    }

    fn search(&self, query: &Query, within: &Bailiwick) -> Result<Hits, IndexError> {
        self.check(&query.vector, query.mode == Mode::Lexical)?;
        for _ in 1..ATTEMPTS {
            let snapshot = self.snapshot.load();
            let (hits, lost) = self.attempt(&snapshot, query, within)?;
            if !lost || self.snapshot.load().revision == snapshot.revision {
                return Ok(hits);
            }
        }
        Ok(self.attempt(&self.snapshot.load(), query, within)?.0)
    }

    /// Searches one state; says whether a hit was lost to a later write.
    fn attempt(
        &self,
        snapshot: &Snapshot,
        query: &Query,
        within: &Bailiwick,
    ) -> Result<(Hits, bool), IndexError> {
        let ranked = snapshot.rank(query, within)?;
        let wanted = ranked.len();
        let hits = self.catalogue.read(|connection| {
            let found = ranked.iter().map(|ranked| hit(connection, ranked, within));
            found.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()
        })?;
        let lost = hits.len() < wanted;
        Ok((Hits { hits, revision: snapshot.revision }, lost))
    }

    fn check(&self, vector: &[f32], may_be_empty: bool) -> Result<(), IndexError> {
        if vector.len() != self.dimensions && !(may_be_empty && vector.is_empty()) {
            return Err(IndexError::Dimensions { expected: self.dimensions, found: vector.len() });
        }
        let greatest = half::f16::MAX.to_f32();
        if vector.iter().all(|number| number.abs() <= greatest) {
            Ok(())
        } else {
            Err(IndexError::NotFinite)
        }
    }

    /// Runs one write: the catalogue first, then what is derived from it, then what searches see.
    fn write<T>(
        &self,
        work: impl FnOnce(&mut Change<'_>) -> Result<T, IndexError>,
    ) -> Result<(T, u64), IndexError> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Writing { catalogue: Writer(connection), lexical } = &mut *writing;
        // A write that failed half-way may have left what is derived behind the catalogue.
        lexical.roll_back()?;
        follow::words(lexical, connection, self.dimensions)?;
        let blocks = self.vectors(connection)?;

        let mut change = Change::begin(connection, &self.schema, lexical, blocks)?;
        let done = work(&mut change)?;
        let Committed { labels, blocks, revision } = change.commit()?;
        for label in &labels {
            self.labels.intern(label);
        }
        lexical.commit(revision)?;
        self.snapshot.store(Arc::new(Snapshot { revision, blocks, words: lexical.view()? }));
        Ok((done, revision))
    }

    /// The vectors as the catalogue has them now: what searches see, unless a write got into the
    /// catalogue and no further. Then everybody's labels and vectors are read anew, because a
    /// chunk in its former label's block would count for people who may not read it.
    fn vectors(&self, connection: &Connection) -> Result<Blocks, IndexError> {
        let snapshot = self.snapshot.load();
        if snapshot.revision == catalogue::revision(connection)? {
            return Ok(snapshot.blocks.clone());
        }
        catalogue::load_labels(connection, &self.schema, &self.labels)?;
        follow::vectors(connection, self.dimensions)
    }
}

impl Snapshot {
    fn rank<'a>(
        &'a self,
        query: &Query,
        within: &'a Bailiwick,
    ) -> Result<Vec<Ranked<'a>>, IndexError> {
        let blocks = &self.blocks;
        if query.mode == Mode::Dense {
            return Ok(blocks.nearest(&query.vector, within, query.top_k));
        }
        let scored = self.words.score(&query.text, within, blocks.totals(within))?;
        Ok(match query.mode {
            Mode::Lexical => scored.best(blocks, query.top_k),
            Mode::Hybrid | Mode::Dense => hybrid::combine(query, blocks, &scored, within),
        })
    }
}

/// Reads a hit's passage, and asks the catalogue once more whether it may be read.
fn hit(
    connection: &Connection,
    ranked: &Ranked<'_>,
    within: &Bailiwick,
) -> Result<Option<Hit>, IndexError> {
    let passage = catalogue::passage(connection, ranked.row)?;
    Ok(passage.filter(|passage| within.contains(passage.label)).map(|passage| Hit {
        id: ranked.id.clone(),
        text: passage.text,
        metadata: passage.metadata,
        label: passage.label,
        score: ranked.score,
    }))
}

#[async_trait]
impl Index for EmbeddedIndex {
    fn labels(&self) -> &LabelTable {
        &self.0.labels
    }

    fn revision(&self) -> u64 {
        self.0.snapshot.load().revision
    }

    async fn search(&self, query: &Query, within: &Bailiwick) -> Result<Hits, IndexError> {
        self.0.check_bailiwick(within)?;
        let (query, within) = (query.clone(), within.clone());
        self.blocking(move |inner| inner.search(&query, &within)).await
    }

    async fn document(
        &self,
        id: &DocumentId,
        within: &Bailiwick,
    ) -> Result<Option<Document>, IndexError> {
        self.0.check_bailiwick(within)?;
        let (id, within) = (id.clone(), within.clone());
        self.blocking(move |inner| {
            let found = inner.catalogue.read(|connection| catalogue::document(connection, &id))?;
            Ok(found.filter(|(_, label)| within.contains(*label)).map(|(document, _)| document))
        })
        .await
    }

    async fn size(&self, within: &Bailiwick) -> Result<Size, IndexError> {
        self.0.check_bailiwick(within)?;
        Ok(self.0.snapshot.load().blocks.size(within))
    }

    async fn upsert(&self, documents: Vec<NewDocument>) -> Result<Receipt, IndexError> {
        self.blocking(move |inner| {
            for chunk in documents.iter().flat_map(|document| &document.chunks) {
                inner.check(&chunk.vector, false)?;
            }
            let ((), revision) = inner.write(|change| {
                for document in &documents {
                    change.remove(&document.id)?;
                    change.insert(document)?;
                }
                Ok(())
            })?;
            let chunks = documents.iter().map(|document| document.chunks.len()).sum();
            Ok(Receipt { documents: documents.len(), chunks, revision })
        })
        .await
    }

    async fn remove(&self, ids: &[DocumentId]) -> Result<Receipt, IndexError> {
        let ids = ids.to_vec();
        self.blocking(move |inner| {
            let (receipt, revision) = inner.write(|change| {
                let mut receipt = Receipt::default();
                for id in &ids {
                    if let Some(chunks) = change.remove(id)? {
                        receipt.documents += 1;
                        receipt.chunks += chunks;
                    }
                }
                Ok(receipt)
            })?;
            Ok(Receipt { revision, ..receipt })
        })
        .await
    }

    async fn relabel(
        &self,
        id: &DocumentId,
        metadata: Map<String, Value>,
        label: Label,
    ) -> Result<Option<Receipt>, IndexError> {
        let id = id.clone();
        self.blocking(move |inner| {
            let (chunks, revision) =
                inner.write(|change| change.relabel(&id, &metadata, &label))?;
            Ok(chunks.map(|chunks| Receipt { documents: 1, chunks, revision }))
        })
        .await
    }

    async fn unchanged(&self, ids: &[(DocumentId, [u8; 32])]) -> Result<Vec<bool>, IndexError> {
        let ids = ids.to_vec();
        self.blocking(move |inner| {
            inner.catalogue.read(|connection| {
                let same = ids.iter().map(|(id, hash)| {
                    let stored = catalogue::content_hash(connection, id)?;
                    Ok(stored.is_some_and(|stored| stored == hash))
                });
                same.collect()
            })
        })
        .await
    }
}
