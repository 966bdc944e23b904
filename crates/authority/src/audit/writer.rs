//! The thread that appends: many callers, one commit.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::{AuditError, Event, GENESIS, link};
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
    let (mut seq, mut head) = transaction
        .prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))
        .optional()?
        .unwrap_or((0, GENESIS.to_vec()));
    {
        let mut insert = transaction
            .prepare_cached("INSERT INTO audit (seq, event, hash) VALUES (?1, ?2, ?3)")?;
        for job in batch {
            seq = seq.saturating_add(1);
            job.event.clip();
            let text = serde_json::to_string(&Numbered { seq, event: &job.event })
                .map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
            head = link(&head, &text);
            insert.execute(params![seq, text, head])?;
        }
    }
    transaction.commit()
}

/// An event with its place in the trail, so that the hash covers both.
#[derive(Serialize)]
struct Numbered<'a> {
    seq: i64,
    #[serde(flatten)]
    event: &'a Event,
}
