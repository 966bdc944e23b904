//! The state of an index, who changes it, and the thread that tidies it.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use bailiwick_policy::{LabelTable, Schema};
use half::f16;
use rusqlite::Connection;

use crate::analyst::Analyst;
use crate::catalogue::{self, Writer};
use crate::change::{Change, Committed};
use crate::compaction::{self, Made};
use crate::segment::Analysed;
use crate::snapshot::{Part, Snapshot};
use crate::{IndexError, follow, manifest};

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
        let writing = Writing { catalogue, flushing: false, failed: false, stopping: false };
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

    /// What is derived of chunks that are to be stored.
    pub(crate) fn analyse(&self, chunks: Vec<(&str, Vec<f16>)>) -> Vec<Analysed> {
        self.analyst.analyse(chunks, &self.snapshot.load().space.coder)
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
        let Writer(connection) = &mut writing.catalogue;
        let before = self.up_to_date(connection)?;
        let mut change = Change::begin(connection, &self.schema, before)?;
        let done = work(&mut change)?;
        let Committed { labels, mut snapshot } = change.commit()?;
        for label in &labels {
            self.labels.intern(label);
        }
        if !flushing {
            compaction::merge_small(&mut snapshot, self.flush);
        }
        let revision = snapshot.revision;
        self.snapshot.store(Arc::new(snapshot));
        self.changed.notify_all();
        Ok((done, revision))
    }

    /// The state that the catalogue has now: what searches see, unless a commit was reported as
    /// failed and was none the less made. Then labels and chunks are read anew.
    fn up_to_date(&self, connection: &mut Connection) -> Result<Snapshot, IndexError> {
        let snapshot = self.snapshot.load();
        if snapshot.revision == catalogue::revision(connection)? {
            return Ok(Snapshot::clone(&snapshot));
        }
        catalogue::load_labels(connection, &self.schema, &self.labels)?;
        let space = Arc::clone(&snapshot.space);
        let filed = manifest::open(connection, &self.segments, space)?;
        follow::chunks(connection, &self.segments, self.flush, &self.analyst, filed)
    }

    /// Reads every file to its end, and makes all anew if the bytes of one have changed. That takes
    /// as long as the disk takes, so searches do not wait for it.
    fn verify(&self) -> Result<(), IndexError> {
        let snapshot = self.snapshot.load_full();
        let mut files = snapshot.parts.iter().filter(|part| part.file.is_some());
        if self.is_stopping() || files.all(|part| self.is_stopping() || part.segment.is_sound()) {
            return Ok(());
        }
        tracing::error!("a segment's bytes have changed on the disk; all are made anew");
        let mut writing = self.lock();
        let Writer(connection) = &mut writing.catalogue;
        manifest::clear(connection)?;
        let filed = manifest::open(connection, &self.segments, Arc::clone(&snapshot.space))?;
        let made = follow::chunks(connection, &self.segments, self.flush, &self.analyst, filed)?;
        self.snapshot.store(Arc::new(made));
        Ok(())
    }

    /// Waits for something to merge, or for the end, which gives none.
    fn next_merge(&self) -> Option<Merge> {
        let mut writing = self.lock();
        let mut idle = false;
        while !writing.stopping {
            if let Some(parts) = compaction::plan(&self.snapshot.load(), self.flush, idle) {
                let file = match manifest::next_file(&writing.catalogue.0) {
                    Ok(file) => file,
                    Err(error) => {
                        tracing::error!(%error, "segments cannot be merged");
                        return None;
                    }
                };
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
        let Writer(connection) = &mut writing.catalogue;
        let now = self.up_to_date(connection)?;
        let (next, unused) = made.install(connection, &self.segments, &now)?;
        self.snapshot.store(Arc::new(next));
        manifest::delete(&unused);
        Ok(())
    }

    fn finish(&self, failed: bool) {
        let mut writing = self.lock();
        writing.flushing = false;
        writing.failed = failed;
        self.changed.notify_all();
        if failed && !writing.stopping {
            drop(self.wait(writing, AFTER_FAILURE));
        }
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
            if let Err(error) = of_thread.verify() {
                tracing::error!(%error, "damaged segments could not be made anew");
            }
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
