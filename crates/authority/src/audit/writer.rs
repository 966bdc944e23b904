//! The thread that appends: many callers, one commit. Another keeps the log behind it short.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use bailiwick_sqlite::OpenFiles;
use rusqlite::{CachedStatement, Connection, OptionalExtension, TransactionBehavior, params};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::chain::{beginning, link, number};
use super::{AuditError, Event, claims};
use crate::database::{self, DatabaseError};

/// The most records that share a commit.
const BATCH: usize = 1024;

/// Pages of write-ahead log, from which on each commit tries to begin the log anew.
const LOG_PAGES: i64 = 8192;
/// How long the disk is left alone between two looks at the log. Whoever begins it anew waits for
/// what the disk does not have by then.
const PAUSE: Duration = Duration::from_millis(25);

/// Event to append, and the caller that waits for it.
pub(super) struct Job {
    /// Without an event, the job only proves that the trail can be written.
    pub(super) event: Option<Event>,
    pub(super) done: Done,
}

impl Job {
    fn must_reach_the_disk(&self) -> bool {
        self.event.as_ref().is_none_or(|event| event.kind.must_reach_the_disk())
    }
}

/// State of the trail that the writer shares with those who ask whether it can be written.
#[derive(Debug)]
pub(super) struct TrailHealth {
    pub(super) files: OpenFiles,
    /// Whether the last commit failed.
    pub(super) failed: AtomicBool,
}

/// A waiting task, or a waiting thread that may not touch the runtime.
pub(super) enum Done {
    Task(oneshot::Sender<Result<(), AuditError>>),
    Thread(std::sync::mpsc::Sender<Result<(), AuditError>>),
}

impl Done {
    /// A caller that is gone needs no answer; its record is written all the same.
    fn tell(self, result: Result<(), AuditError>) {
        match self {
            Self::Task(sender) => drop(sender.send(result)),
            Self::Thread(sender) => drop(sender.send(result)),
        }
    }
}

/// Starts both threads; they end when every sender of `jobs` is gone.
pub(super) fn start(
    path: PathBuf,
    connection: Connection,
    second: Connection,
    health: Arc<TrailHealth>,
    jobs: mpsc::Receiver<Job>,
) -> Result<(), DatabaseError> {
    connection
        .pragma_update(None, "wal_autocheckpoint", LOG_PAGES)
        .map_err(|e| DatabaseError::sqlite(&path, e))?;
    let file = path.clone();
    let thread = |name: &str| std::thread::Builder::new().name(name.into());
    let unstarted = |e| DatabaseError::file(&file, e);
    let (written, writes) = sync_channel(1);
    thread("audit-log").spawn(move || checkpoint(&second, &writes)).map_err(unstarted)?;
    thread("audit")
        .spawn(move || run(&path, connection, jobs, &written, &health))
        .map_err(unstarted)?;
    Ok(())
}

/// Moves what the log says to its place in the database, while others write on.
///
/// A commit that finds the log long does the rest of this itself, and everybody whose record comes
/// next waits for the disk meanwhile. Where commits do not wait for it one by one, that is much:
/// with this, little is left.
fn checkpoint(connection: &Connection, writes: &Receiver<()>) {
    while writes.recv().is_ok() {
        let moved = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(cause) = moved {
            tracing::warn!(%cause, "the log of the audit trail is kept short by those who write");
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Whatever arrives while one commit runs shares the next.
fn run(
    path: &Path,
    mut connection: Connection,
    mut jobs: mpsc::Receiver<Job>,
    written: &SyncSender<()>,
    health: &TrailHealth,
) {
    let mut batch = Vec::new();
    while jobs.blocking_recv_many(&mut batch, BATCH) > 0 {
        let full = batch.iter().any(Job::must_reach_the_disk);
        let written_here = append(&mut connection, &mut batch, full)
            .map_err(|e| DatabaseError::sqlite(path, e))
            .and_then(|()| Ok(health.files.check()?));
        let result = written_here.map_err(|e| {
            tracing::error!(cause = %e, records = batch.len(), "the audit trail was not written");
            AuditError::from(e)
        });
        health.failed.store(result.is_err(), Ordering::Relaxed);
        for job in batch.drain(..) {
            job.done.tell(result.clone());
        }
        if !full {
            // Once is enough, and the writer needs nobody to listen.
            let _ = written.try_send(());
        }
    }
}

fn append(connection: &mut Connection, batch: &mut [Job], full: bool) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", if full { "FULL" } else { "NORMAL" })?;
    // Other processes append as well, so the chain's head is read inside the write lock.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut chain = Chain::of(&transaction)?;
        for job in batch {
            let Some(event) = &mut job.event else {
                // SQLite writes the page even though the value stays the same.
                let version = database::version(&transaction)?;
                transaction.pragma_update(None, "user_version", version)?;
                continue;
            };
            if let Some(seen) = claims::unknown(&transaction, event)? {
                chain.append(&seen)?;
            }
            event.clip();
            chain.append(event)?;
        }
    }
    transaction.commit()
}

/// The end of the chain, inside the write lock.
struct Chain<'a> {
    seq: u64,
    head: Vec<u8>,
    insert: CachedStatement<'a>,
}

impl<'a> Chain<'a> {
    fn of(connection: &'a Connection) -> rusqlite::Result<Self> {
        let last = connection
            .prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?
            .query_row([], |row| Ok((number(row)?, row.get(1)?)))
            .optional()?;
        let (seq, head) = match last {
            Some(last) => last,
            None => beginning(connection)?,
        };
        let insert = connection
            .prepare_cached("INSERT INTO audit (seq, event, hash) VALUES (?1, ?2, ?3)")?;
        Ok(Self { seq, head, insert })
    }

    fn append(&mut self, event: &Event) -> rusqlite::Result<()> {
        self.seq = self.seq.saturating_add(1);
        let text = serde_json::to_string(&Numbered { seq: self.seq, event })
            .map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
        self.head = link(&self.head, &text);
        let seq = i64::try_from(self.seq).unwrap_or(i64::MAX);
        self.insert.execute(params![seq, text, self.head])?;
        Ok(())
    }
}

/// An event with its place in the trail, so that the hash covers both.
#[derive(Serialize)]
struct Numbered<'a> {
    seq: u64,
    #[serde(flatten)]
    event: &'a Event,
}
