//! The append-only, hash-chained record of who did what.
//!
//! Invariant: no record can be altered, removed or moved without [`Audit::verify`] noticing.
//! Invariant: [`Audit::record`] returns `Ok` only once the record is durable.

mod chain;
mod claims;
mod event;
mod export;
mod question;
mod retention;
mod seal;
mod search;
mod writer;
mod writers;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde_json::{Map, Value};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

pub use self::chain::{Fault, Verified};
use self::chain::{Record, hex};
pub use self::claims::{ClaimsRead, KnownClaims};
pub use self::event::{Event, Kind, Outcome, Recorded};
pub use self::question::{Questions, QuestionsKept};
pub use self::retention::AuditConfig;
pub use self::seal::{Seal, SealKind};
pub use self::search::{Page, Search};
use self::writer::{Done, Job, TrailHealth};
pub use self::writers::Writers;
use crate::database::{self, DatabaseError, Shape};

/// How many records may wait for the writer.
const QUEUE: usize = 4096;

const SHAPE: Shape = Shape(&[
    "
        CREATE TABLE audit (
            seq   INTEGER PRIMARY KEY AUTOINCREMENT,
            event TEXT NOT NULL,
            hash  BLOB NOT NULL
        ) STRICT;
        CREATE TRIGGER audit_is_never_altered BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
        CREATE TRIGGER audit_is_never_shortened BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
    ",
    search::TERMS,
    search::CLASSES_AND_RETENTION,
]);

/// Why the audit trail cannot be written, read or trusted.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The file cannot be used.
    #[error(transparent)]
    Database(Arc<DatabaseError>),
    /// The writer has stopped; nothing can be recorded, so nothing may be done.
    #[error("the audit trail cannot be written; restart the server")]
    Stopped,
    /// A record is not the one that was written.
    #[error("audit record {seq} {fault}")]
    Broken {
        /// The first record that is wrong.
        seq: u64,
        /// What is wrong with it.
        fault: Fault,
    },
    /// A checkpoint proves nothing.
    #[error("the checkpoint cannot be trusted: {0}")]
    Seal(String),
    /// The trail cannot be written out.
    #[error("the trail cannot be written out: {0}")]
    Export(Arc<std::io::Error>),
}

impl From<DatabaseError> for AuditError {
    fn from(e: DatabaseError) -> Self {
        Self::Database(Arc::new(e))
    }
}

/// The audit trail: `audit.db` in the data directory, shared by every process that opens it.
pub struct Audit {
    path: PathBuf,
    queue: mpsc::Sender<Job>,
    health: Arc<TrailHealth>,
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Audit {
    /// Opens the trail in `data_dir`, makes it when there is no authority yet, starts the writer.
    ///
    /// # Errors
    /// The file is corrupt, of a newer release, unusable, or gone although an authority is there.
    pub fn open(data_dir: &Path) -> Result<Self, AuditError> {
        database::private_directory(data_dir)?;
        let path = file(data_dir)?;
        let connection = database::open(&path, &SHAPE)?;
        let second = database::open(&path, &SHAPE)?;
        let files = database::open_files(&path)?;
        let health = Arc::new(TrailHealth { files, failed: AtomicBool::new(false) });
        let (queue, jobs) = mpsc::channel(QUEUE);
        writer::start(path.clone(), connection, second, Arc::clone(&health), jobs)?;
        Ok(Self { path, queue, health })
    }

    /// Appends `event`. It is durable when this returns: issues, revocations and administration
    /// survive a power loss, reads and retrievals the death of the process.
    ///
    /// # Errors
    /// The record could not be written; whatever it records must then not happen.
    pub async fn record(&self, event: Event) -> Result<(), AuditError> {
        self.submit(Some(event)).await
    }

    /// Checks that the trail can be written: that its files are in place, and, when the last
    /// commit failed, that another one succeeds now.
    ///
    /// # Errors
    /// The cause, for an operator.
    pub async fn readiness(&self) -> Result<(), AuditError> {
        self.health.files.check().map_err(DatabaseError::from)?;
        if self.health.failed.load(Ordering::Relaxed) { self.submit(None).await } else { Ok(()) }
    }

    /// Waits until the writer has committed; without an event, it commits no record.
    async fn submit(&self, event: Option<Event>) -> Result<(), AuditError> {
        let (done, answer) = oneshot::channel();
        let job = Job { event, done: Done::Task(done) };
        self.queue.send(job).await.map_err(|_| AuditError::Stopped)?;
        answer.await.map_err(|_| AuditError::Stopped)?
    }

    /// [`record`](Self::record) for a thread that may block, inside a runtime or not.
    pub(crate) fn record_blocking(&self, event: Event) -> Result<(), AuditError> {
        let (done, answer) = std::sync::mpsc::channel();
        let mut job = Job { event: Some(event), done: Done::Thread(done) };
        while let Err(refused) = self.queue.try_send(job) {
            job = match refused {
                TrySendError::Full(job) => job,
                TrySendError::Closed(_) => return Err(AuditError::Stopped),
            };
            std::thread::sleep(Duration::from_millis(1));
        }
        answer.recv().map_err(|_| AuditError::Stopped)?
    }

    /// Records a refusal. It is refused in any case, so a trail that cannot be written only warns.
    pub(crate) async fn record_refusal(&self, event: Event) {
        if let Err(e) = self.record(event).await {
            tracing::error!(cause = %e, "a refusal was not recorded");
        }
    }

    /// The last `n` records, newest last: each the event with its `seq` and `hash`.
    ///
    /// # Errors
    /// The file is corrupt or unusable, or one of these records is no JSON object.
    pub fn tail(&self, n: usize) -> Result<Vec<Value>, AuditError> {
        let wrong = |e| DatabaseError::sqlite(&self.path, e);
        let connection = self.reader()?;
        let mut statement = connection
            .prepare("SELECT seq, event, hash FROM audit ORDER BY seq DESC LIMIT ?1")
            .map_err(wrong)?;
        let mut rows = statement.query([i64::try_from(n).unwrap_or(i64::MAX)]).map_err(wrong)?;
        let mut records = Vec::new();
        while let Some(row) = rows.next().map_err(wrong)? {
            let record = Record::read(row).map_err(wrong)?;
            let mut shown: Map<String, Value> = serde_json::from_str(&record.event)
                .map_err(|_| AuditError::Broken { seq: record.seq, fault: Fault::Altered })?;
            shown.insert("hash".into(), hex(&record.hash).into());
            records.push(Value::Object(shown));
        }
        records.reverse();
        Ok(records)
    }

    fn reader(&self) -> Result<Connection, AuditError> {
        let wrong = |e| DatabaseError::sqlite(&self.path, e);
        // A plain read-only handle could not join the write-ahead log of a trail nobody has open.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(wrong)?;
        connection.pragma_update(None, "query_only", true).map_err(wrong)?;
        Ok(connection)
    }
}

/// The trail of `data_dir`, which must be there when there is an authority.
pub(crate) fn file(data_dir: &Path) -> Result<PathBuf, DatabaseError> {
    let path = data_dir.join("audit.db");
    let witness = data_dir.join("authority.db");
    if database::has_content(&witness) && !database::has_content(&path) {
        return Err(DatabaseError::Missing { path, witness });
    }
    Ok(path)
}
