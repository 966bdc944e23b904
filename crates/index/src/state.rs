//! The state of an index, who changes it, and the thread that tidies it.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use bailiwick_policy::{LabelTable, Schema};
use half::f16;

use crate::analyst::Analyst;
use crate::catalogue::{self, EMBEDDER, Writer};
use crate::change::{Change, Committed};
use crate::compaction::{self, Made};
use crate::snapshot::{Part, Snapshot};
use crate::space::Space;
use crate::{IndexError, follow, generation, manifest};

/// Writers wait when so many times the chunks of a flush wait for a file.
const BACKLOG: usize = 8;
/// An index that nobody wrote to for so long is idle.
const IDLE: Duration = Duration::from_secs(5);
/// How long to wait before trying again to write a file that could not be written.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// What searches see, and what writes go through.
pub(crate) struct State {
    schema: Arc<Schema>,
    pub(crate) labels: LabelTable,
    pub(crate) analyst: Analyst,
    segments: PathBuf,
    flush: usize,
    /// Replaced as a whole by each write.
    pub(crate) snapshot: ArcSwap<Snapshot>,
    writing: Mutex<Writing>,
    /// Woken after writes, after merges, and at the end.
    changed: Condvar,
}

/// What only one thread at a time may touch.
struct Writing {
    catalogue: Writer,
    /// The space of the next generation of vectors, if one is being made.
    next_space: Option<Arc<Space>>,
    /// Segments are being merged.
    merging: bool,
    /// Segments in memory are being moved to a file, and must not be merged meanwhile.
    flushing: bool,
    failed: bool,
    stopping: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn new(
        schema: Arc<Schema>,
        labels: LabelTable,
        analyst: Analyst,
        segments: PathBuf,
        flush: usize,
        catalogue: Writer,
        snapshot: Snapshot,
    ) -> Self {
        let writing = Writing {
            catalogue,
            next_space: None,
            merging: false,
            flushing: false,
            failed: false,
            stopping: false,
        };
        Self {
            schema,
            labels,
            analyst,
            segments,
            flush,
            snapshot: ArcSwap::from_pointee(snapshot),
            writing: Mutex::new(writing),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        writing: MutexGuard<'a, Writing>,
        most: Duration,
    ) -> (MutexGuard<'a, Writing>, bool) {
        let woken = self.changed.wait_timeout(writing, most);
        let (writing, outcome) = woken.unwrap_or_else(PoisonError::into_inner);
        (writing, outcome.timed_out())
    }

    /// Works when a write that is under way has ended, and before the next: between writes, the
    /// catalogue and what searches see are the same state.
    pub(crate) fn between_writes<T>(&self, work: impl FnOnce() -> T) -> T {
        let _writers_wait = self.lock();
        work()
    }

    /// Runs one write. It is durable and visible when this returns.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&mut Change<'_>) -> Result<T, IndexError>,
    ) -> Result<(T, u64), IndexError> {
        let mut writing = self.lock();
        while unfiled(&self.snapshot.load()) > BACKLOG * self.flush && !writing.failed {
            writing = self.wait(writing, IDLE).0;
        }
        let flushing = writing.flushing;
        let before = self.up_to_date(&mut writing)?;
        let Writer { connection, files } = &mut writing.catalogue;
        let mut change = Change::begin(connection, &self.schema, before)?;
        let done = work(&mut change)?;
        let tidy = |next: &mut Snapshot| {
            if !flushing {
                compaction::merge_small(next, self.flush);
            }
        };
        let Committed { labels, snapshot } = change.commit(tidy)?;
        files.check()?;
        for label in &labels {
            self.labels.intern(label);
        }
        let revision = snapshot.revision;
        self.snapshot.store(Arc::new(snapshot));
        self.changed.notify_all();
        Ok((done, revision))
    }

    /// The state that the catalogue has now: what searches see, unless the vectors were replaced, or
    /// a commit was reported as failed and was none the less made. Then all is read anew.
    fn up_to_date(&self, writing: &mut Writing) -> Result<Snapshot, IndexError> {
        let Writing { catalogue: Writer { connection, .. }, next_space, .. } = writing;
        let snapshot = self.snapshot.load();
        if snapshot.revision == catalogue::revision(connection)? {
            return Ok(Snapshot::clone(&snapshot));
        }
        catalogue::load_labels(connection, &self.schema, &self.labels)?;
        let stored = catalogue::meta(connection, EMBEDDER)?.unwrap_or_default();
        let mut spaces = std::iter::once(&snapshot.space).chain(&*next_space);
        let space = spaces.find(|space| space.to_string() == stored);
        let space = space.ok_or_else(|| IndexError::Damaged(format!("vectors of `{stored}`")))?;
        let filed = manifest::open(connection, &self.segments, Arc::clone(space))?;
        follow::chunks(connection, &self.segments, self.flush, &self.analyst, filed)
    }

    /// Begins to make vectors of another space, or goes on with it, and counts those that are there;
    /// none when the index is in that space.
    pub(crate) fn begin(
        &self,
        embedder: &str,
        dimensions: usize,
    ) -> Result<Option<(Arc<Space>, u64)>, IndexError> {
        let mut writing = self.lock();
        let now = self.up_to_date(&mut writing)?;
        let next = Arc::new(now.space.of(embedder, dimensions));
        let is_there = next.to_string() == now.space.to_string();
        self.snapshot.store(Arc::new(now));
        if is_there {
            return Ok(None);
        }
        let done = generation::begin(&mut writing.catalogue.connection, &next)?;
        writing.next_space = Some(Arc::clone(&next));
        Ok(Some((next, done)))
    }

    /// Stores vectors of the next generation.
    pub(crate) fn store_next(
        &self,
        space: &Arc<Space>,
        chunks: &[i64],
        vectors: &[Vec<f16>],
    ) -> Result<(), IndexError> {
        let mut writing = self.lock();
        writing.check_next(space)?;
        generation::store(&mut writing.catalogue.connection, chunks, vectors)
    }

    /// Replaces the vectors by those of the next generation, unless a chunk after the row `last`
    /// has none yet. Writers wait; searches go on with what they have until all is made anew.
    pub(crate) fn change_space(&self, space: &Arc<Space>, last: i64) -> Result<bool, IndexError> {
        let mut writing = self.lock();
        // A merge that is under way would write a file of the former space among the new ones.
        while writing.merging {
            writing = self.wait(writing, IDLE).0;
        }
        writing.check_next(space)?;
        let Writer { connection, .. } = &mut writing.catalogue;
        if !generation::missing(connection, last, 1)?.is_empty() {
            return Ok(false);
        }
        let replaced = generation::replace(connection, space);
        // Also if the commit was reported as failed: the catalogue knows whether it was made.
        let now = self.up_to_date(&mut writing)?;
        self.snapshot.store(Arc::new(now));
        self.changed.notify_all();
        replaced.map(|()| true)
    }

    /// Reads every file to its end, and makes all anew if the bytes of one have changed. That takes
    /// as long as the disk takes, so searches do not wait for it. Does nothing once the end has come.
    fn verify(&self) -> Result<(), IndexError> {
        let snapshot = self.snapshot.load_full();
        let mut files = snapshot.parts.iter().filter(|part| part.file.is_some());
        if self.is_stopping() || files.all(|part| self.is_stopping() || part.segment.is_sound()) {
            return Ok(());
        }
        tracing::error!("a segment's bytes have changed on the disk; all are made anew");
        let mut writing = self.lock();
        manifest::start_anew(&mut writing.catalogue.connection)?;
        let now = self.up_to_date(&mut writing)?;
        self.snapshot.store(Arc::new(now));
        Ok(())
    }

    /// Waits for something to merge, or for the end, which gives none.
    fn next_merge(&self) -> Option<Merge> {
        let mut writing = self.lock();
        let mut idle = false;
        while !writing.stopping {
            if let Some(parts) = compaction::plan(&self.snapshot.load(), self.flush, idle) {
                let file = match manifest::next_file(&writing.catalogue.connection) {
                    Ok(file) => file,
                    Err(error) => {
                        tracing::error!(%error, "segments cannot be merged yet");
                        // Writers must not wait for what does not come.
                        writing.failed = true;
                        self.changed.notify_all();
                        writing = self.wait(writing, AFTER_FAILURE).0;
                        continue;
                    }
                };
                writing.merging = true;
                writing.flushing = parts.iter().any(|part| part.file.is_none());
                return Some(Merge { parts, file });
            }
            (writing, idle) = self.wait(writing, IDLE);
        }
        None
    }

    fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Makes and installs one merged segment.
    fn merge(&self, merge: Merge) -> Result<(), IndexError> {
        let dimensions = self.snapshot.load().space.dimensions;
        let path = manifest::path(&self.segments, merge.file);
        let stop = || self.is_stopping();
        let made = compaction::make(merge.parts, &path, merge.file, dimensions, &stop)?;
        self.install(made)
    }

    fn install(&self, made: Made) -> Result<(), IndexError> {
        let mut writing = self.lock();
        let now = self.up_to_date(&mut writing)?;
        let Writer { connection, .. } = &mut writing.catalogue;
        let (next, unused) = made.install(connection, &self.segments, &now)?;
        self.snapshot.store(Arc::new(next));
        manifest::delete(&unused);
        Ok(())
    }

    fn finish(&self, failed: bool) {
        let mut writing = self.lock();
        writing.merging = false;
        writing.flushing = false;
        writing.failed = failed;
        self.changed.notify_all();
        if failed && !writing.stopping {
            drop(self.wait(writing, AFTER_FAILURE));
        }
    }
}

impl Writing {
    /// Refuses vectors of a generation that was given up for another one.
    fn check_next(&self, space: &Arc<Space>) -> Result<(), IndexError> {
        self.next_space.as_ref().map_or(Ok(()), |next| next.check(&space.embedder))
    }
}

/// Chunks that are in memory only.
fn unfiled(snapshot: &Snapshot) -> usize {
    let parts = snapshot.parts.iter().filter(|part| part.file.is_none());
    parts.map(|part| part.segment.len()).sum()
}

struct Merge {
    parts: Vec<Part>,
    file: i64,
}

/// The thread that merges segments. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Compaction {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl Compaction {
    pub(crate) fn start(state: Arc<State>) -> std::io::Result<Self> {
        let of_thread = Arc::clone(&state);
        let thread = thread::Builder::new().name("compaction".into()).spawn(move || {
            let _end = End(&of_thread);
            // A merge of damaged segments would give a file that looks sound.
            while let Err(error) = of_thread.verify() {
                tracing::error!(%error, "damaged segments could not be made anew yet");
                of_thread.finish(true);
            }
            of_thread.finish(false);
            while let Some(merge) = of_thread.next_merge() {
                let merged = of_thread.merge(merge);
                if let Err(error) = &merged
                    && !of_thread.is_stopping()
                {
                    tracing::error!(%error, "segments could not be merged; what is stored is safe");
                }
                of_thread.finish(merged.is_err());
            }
        })?;
        Ok(Self { state, thread: Some(thread) })
    }
}

/// The end of the thread that merges segments, also by a panic: nobody waits for it any more.
struct End<'a>(&'a State);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let mut writing = self.0.lock();
        (writing.merging, writing.flushing, writing.failed) = (false, false, true);
        self.0.changed.notify_all();
    }
}

impl Drop for Compaction {
    fn drop(&mut self) {
        self.state.lock().stopping = true;
        self.state.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that merges segments panicked");
        }
    }
}
