//! The thread that appends: many callers, one commit.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, OptionalExtension, TransactionBehavior, params};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::chain::{beginning, link, number};
use super::{AuditError, Event, claims};
use crate::database::DatabaseError;

/// The most records that share a commit.
const BATCH: usize = 1024;

/// Pages of write-ahead log between checkpoints: each costs two flushes of the disk.
const CHECKPOINT_PAGES: i64 = 8192;

/// An event, and whom to tell that it is written.
pub(super) struct Job {
    pub(super) event: Event,
    pub(super) done: Done,
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

/// Starts the thread; it ends when every sender of `jobs` is gone.
pub(super) fn start(
    path: PathBuf,
    connection: Connection,
    jobs: mpsc::Receiver<Job>,
) -> Result<(), DatabaseError> {
    connection
        .pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)
        .map_err(|e| DatabaseError::sqlite(&path, e))?;
    let file = path.clone();
    std::thread::Builder::new()
        .name("audit".into())
        .spawn(move || run(&path, connection, jobs))
        .map_err(|e| DatabaseError::file(&file, e))?;
    Ok(())
}

/// Whatever arrives while one commit runs shares the next.
fn run(path: &Path, mut connection: Connection, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::new();
    while jobs.blocking_recv_many(&mut batch, BATCH) > 0 {
        let result = append(&mut connection, &mut batch).map_err(|e| {
            let e = DatabaseError::sqlite(path, e);
            tracing::error!(cause = %e, records = batch.len(), "the audit trail was not written");
            AuditError::Database(Arc::new(e))
        });
        for job in batch.drain(..) {
            job.done.tell(result.clone());
        }
    }
}

fn append(connection: &mut Connection, batch: &mut [Job]) -> rusqlite::Result<()> {
    let full = batch.iter().any(|job| job.event.kind.must_reach_the_disk());
    connection.pragma_update(None, "synchronous", if full { "FULL" } else { "NORMAL" })?;
    // Other processes append as well, so the chain's head is read inside the write lock.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut chain = Chain::of(&transaction)?;
        for job in batch {
            if let Some(seen) = claims::unknown(&transaction, &mut job.event)? {
                chain.append(&seen)?;
            }
            job.event.clip();
            chain.append(&job.event)?;
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
