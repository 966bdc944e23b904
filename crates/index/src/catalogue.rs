//! The truth: documents, chunks and labels in SQLite. Everything else is derived from it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bailiwick_policy::{Label, LabelId, LabelTable, Schema};
use half::f16;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::IndexError;
use crate::dense::Entry;
use crate::lexical::Words;
use crate::types::{ChunkId, Document, DocumentId, NewDocument};

/// The layout of the tables; another number is another program's file.
const LAYOUT: i64 = 1;
/// The file of the truth in the index's folder, and the folder of the words beside it.
pub(crate) const DATABASE: &str = "index.db";
pub(crate) const DERIVED: &str = "lexical";

const BUSY: Duration = Duration::from_secs(10);

const TABLES: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE labels (id INTEGER PRIMARY KEY, label TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE documents (
        row INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        text TEXT NOT NULL,
        metadata TEXT NOT NULL,
        label INTEGER NOT NULL REFERENCES labels (id),
        content_hash BLOB NOT NULL,
        revision INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX documents_by_revision ON documents (revision);
    CREATE TABLE chunks (
        row INTEGER PRIMARY KEY AUTOINCREMENT,
        document INTEGER NOT NULL REFERENCES documents (row) ON DELETE CASCADE,
        n INTEGER NOT NULL,
        text TEXT NOT NULL,
        vector BLOB NOT NULL,
        words INTEGER NOT NULL,
        UNIQUE (document, n)
    ) STRICT;
    CREATE TABLE removed (document INTEGER PRIMARY KEY, revision INTEGER NOT NULL) STRICT;
";

/// The database, with one connection that writes and several that read.
#[derive(Debug)]
pub(crate) struct Catalogue {
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
}

/// The connection that writes. There is one in a process, and one process.
#[derive(Debug)]
pub(crate) struct Writer(pub(crate) Connection);

/// A chunk as it is stored, with what its document says of it.
#[derive(Debug)]
pub(crate) struct StoredChunk {
    pub(crate) document: i64,
    pub(crate) label: LabelId,
    pub(crate) entry: Entry,
    pub(crate) text: String,
}

impl StoredChunk {
    /// The chunk as the lexical index takes it.
    pub(crate) fn words(&self) -> Words<'_> {
        Words {
            chunk: self.entry.row,
            document: self.document,
            label: self.label,
            text: &self.text,
        }
    }
}

/// A document's row and label before a write changed it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Former {
    pub(crate) row: i64,
    pub(crate) label: LabelId,
}

/// A passage and what goes with it, for a hit.
#[derive(Debug)]
pub(crate) struct Passage {
    pub(crate) text: String,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) label: LabelId,
}

impl Catalogue {
    /// Opens the database, making it when neither it nor `derived` exists.
    pub(crate) fn open(path: &Path, derived: &Path) -> Result<(Self, Writer), IndexError> {
        let is_new = !exists(path, derived)?;
        let connection =
            Connection::open(path).map_err(|error| unusable(path, &error.to_string()))?;
        prepare(&connection, is_new).map_err(|error| {
            let advice = "restore it from a backup; nothing was changed";
            unusable(path, &format!("{error}; {advice}"))
        })?;
        let layout: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if layout != LAYOUT {
            let problem = format!("its layout is {layout}, this program knows {LAYOUT}");
            return Err(unusable(path, &problem));
        }
        let catalogue = Self { path: path.to_owned(), readers: Mutex::new(Vec::new()) };
        Ok((catalogue, Writer(connection)))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads with a connection of its own.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, IndexError>,
    ) -> Result<T, IndexError> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => reader(&self.path)?,
        };
        let result = work(&connection);
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        result
    }
}

/// Whether there is a database, which there must be when `derived` exists.
pub(crate) fn exists(path: &Path, derived: &Path) -> Result<bool, IndexError> {
    let there = path.exists();
    if !there && derived.exists() {
        let problem = "the file is missing, although the index was here; restore it from a \
                       backup, or empty the folder to start anew";
        return Err(unusable(path, problem));
    }
    Ok(there)
}

/// A connection that cannot write.
pub(crate) fn reader(path: &Path) -> Result<Connection, IndexError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "mmap_size", 1_i64 << 30)?;
    Ok(connection)
}

pub(crate) fn unusable(path: &Path, problem: &str) -> IndexError {
    IndexError::Unusable { path: path.display().to_string(), problem: problem.to_owned() }
}

fn prepare(connection: &Connection, is_new: bool) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // An acknowledged write must survive a loss of power, not only of the process.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    if is_new {
        connection
            .execute_batch(&format!("BEGIN; {TABLES} PRAGMA user_version = {LAYOUT}; COMMIT"))?;
    }
    Ok(())
}

pub(crate) fn meta(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE name = ?")?;
    statement.query_row([name], |row| row.get(0)).optional()
}

pub(crate) fn set_meta(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value";
    connection.prepare_cached(sql)?.execute([name, value]).map(drop)
}

pub(crate) fn revision(connection: &Connection) -> rusqlite::Result<u64> {
    Ok(meta(connection, "revision")?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Fills the table with the stored labels, each under its number.
pub(crate) fn load_labels(
    connection: &Connection,
    schema: &Schema,
    table: &LabelTable,
) -> Result<(), IndexError> {
    let mut statement = connection.prepare("SELECT id, label FROM labels ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, text): (u32, String) = (row.get(0)?, row.get(1)?);
        let label = match parsed(&text)? {
            Value::Object(described) => schema
                .label(&described)
                .map_err(|error| IndexError::Damaged(format!("label {id}: {error}")))?,
            _ => Label::quarantine(),
        };
        if table.intern(&label).as_u32() != id {
            return Err(IndexError::Damaged(format!("label {id} is not in its place")));
        }
    }
    Ok(())
}

/// The number of a label, given out in this transaction if it is new.
pub(crate) fn label_id(
    transaction: &Transaction<'_>,
    schema: &Schema,
    label: &Label,
) -> Result<LabelId, IndexError> {
    let text = schema.describe(label).to_string();
    let known: Option<u32> = transaction
        .prepare_cached("SELECT id FROM labels WHERE label = ?")?
        .query_row([&text], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(LabelId::from_u32(id));
    }
    let next: u32 = transaction
        .prepare_cached("SELECT coalesce(max(id) + 1, 0) FROM labels")?
        .query_row([], |row| row.get(0))?;
    transaction.prepare_cached("INSERT INTO labels VALUES (?, ?)")?.execute(params![next, text])?;
    Ok(LabelId::from_u32(next))
}

/// Deletes a document, if it is there, and remembers the deletion for the lexical index.
pub(crate) fn delete(
    transaction: &Transaction<'_>,
    id: &DocumentId,
    revision: u64,
) -> Result<Option<(Former, Vec<i64>)>, IndexError> {
    let Some(former) = find(transaction, id)? else {
        return Ok(None);
    };
    let chunks = chunk_rows(transaction, former.row)?;
    transaction.prepare_cached("DELETE FROM documents WHERE row = ?")?.execute([former.row])?;
    transaction
        .prepare_cached("INSERT INTO removed VALUES (?, ?)")?
        .execute(params![former.row, to_sql(revision)])?;
    Ok(Some((former, chunks)))
}

pub(crate) fn find(connection: &Connection, id: &DocumentId) -> Result<Option<Former>, IndexError> {
    let mut statement =
        connection.prepare_cached("SELECT row, label FROM documents WHERE id = ?")?;
    let former = statement.query_row([id.as_str()], |row| {
        Ok(Former { row: row.get(0)?, label: LabelId::from_u32(row.get(1)?) })
    });
    Ok(former.optional()?)
}

pub(crate) fn chunk_rows(connection: &Connection, document: i64) -> Result<Vec<i64>, IndexError> {
    let mut statement =
        connection.prepare_cached("SELECT row FROM chunks WHERE document = ? ORDER BY n")?;
    let rows = statement.query_map([document], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Inserts a document whose id is free.
pub(crate) fn insert(
    transaction: &Transaction<'_>,
    document: &NewDocument,
    label: LabelId,
    revision: u64,
    count_words: impl Fn(&str) -> u32,
) -> Result<Vec<StoredChunk>, IndexError> {
    let metadata = Value::Object(document.metadata.clone()).to_string();
    transaction
        .prepare_cached(
            "INSERT INTO documents (id, text, metadata, label, content_hash, revision)
             VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            document.id.as_str(),
            document.text,
            metadata,
            label.as_u32(),
            document.content_hash.as_slice(),
            to_sql(revision)
        ])?;
    let row = transaction.last_insert_rowid();
    let mut statement = transaction.prepare_cached(
        "INSERT INTO chunks (document, n, text, vector, words) VALUES (?, ?, ?, ?, ?)",
    )?;
    let chunks = document.chunks.iter().zip(0_u32..).map(|(chunk, n)| {
        let halves: Vec<f16> = chunk.vector.iter().copied().map(f16::from_f32).collect();
        let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
        let tokens = count_words(&chunk.text);
        statement.execute(params![row, n, chunk.text, bytes, tokens])?;
        Ok(StoredChunk {
            document: row,
            label,
            entry: Entry {
                row: transaction.last_insert_rowid(),
                id: ChunkId { document: document.id.clone(), n },
                vector: halves.into_iter().map(f16::to_f32).collect(),
                tokens,
            },
            text: chunk.text.clone(),
        })
    });
    chunks.collect()
}

/// Gives a document new metadata and a new label.
pub(crate) fn relabel(
    transaction: &Transaction<'_>,
    document: i64,
    metadata: &Map<String, Value>,
    label: LabelId,
    revision: u64,
) -> Result<(), IndexError> {
    let metadata = Value::Object(metadata.clone()).to_string();
    let sql = "UPDATE documents SET metadata = ?, label = ?, content_hash = x'', revision = ?
               WHERE row = ?";
    let values = params![metadata, label.as_u32(), to_sql(revision), document];
    transaction.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Calls `each` with every chunk of the documents that changed after `revision`.
pub(crate) fn chunks_since(
    connection: &Connection,
    revision: u64,
    dimensions: usize,
    mut each: impl FnMut(StoredChunk) -> Result<(), IndexError>,
) -> Result<(), IndexError> {
    let mut statement = connection.prepare_cached(
        "SELECT d.row, d.id, d.label, c.row, c.n, c.vector, c.words, c.text
         FROM documents d JOIN chunks c ON c.document = d.row
         WHERE d.revision > ? ORDER BY c.row",
    )?;
    let mut rows = statement.query([to_sql(revision)])?;
    let mut last: Option<DocumentId> = None;
    while let Some(row) = rows.next()? {
        let id: &str = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        // Chunks of one document follow one another and share its id.
        let id = match last.take().filter(|last| last.as_str() == id) {
            Some(same) => same,
            None => DocumentId::new(id).map_err(IndexError::Damaged)?,
        };
        last = Some(id.clone());
        let bytes = row.get_ref(5)?.as_blob().map_err(rusqlite::Error::from)?;
        let (halves, _) = bytes.as_chunks::<2>();
        if halves.len() != dimensions {
            return Err(IndexError::Dimensions { expected: dimensions, found: halves.len() });
        }
        each(StoredChunk {
            document: row.get(0)?,
            label: LabelId::from_u32(row.get(2)?),
            entry: Entry {
                row: row.get(3)?,
                id: ChunkId { document: id, n: row.get(4)? },
                vector: halves.iter().map(|half| f16::from_le_bytes(*half).to_f32()).collect(),
                tokens: row.get(6)?,
            },
            text: row.get(7)?,
        })?;
    }
    Ok(())
}

/// The rows of documents that were removed, or replaced, or changed, after `revision`.
pub(crate) fn stale_since(connection: &Connection, revision: u64) -> Result<Vec<i64>, IndexError> {
    let mut statement = connection.prepare(
        "SELECT document FROM removed WHERE revision > ?1
         UNION SELECT row FROM documents WHERE revision > ?1",
    )?;
    let rows = statement.query_map([to_sql(revision)], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn passage(connection: &Connection, chunk: i64) -> Result<Option<Passage>, IndexError> {
    let mut statement = connection.prepare_cached(
        "SELECT c.text, d.metadata, d.label
         FROM chunks c JOIN documents d ON d.row = c.document WHERE c.row = ?",
    )?;
    let found = statement
        .query_row([chunk], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, LabelId::from_u32(row.get(2)?)))
        })
        .optional()?;
    let Some((text, metadata, label)) = found else {
        return Ok(None);
    };
    Ok(Some(Passage { text, metadata: parsed(&metadata)?, label }))
}

pub(crate) fn document(
    connection: &Connection,
    id: &DocumentId,
) -> Result<Option<(Document, LabelId)>, IndexError> {
    let mut statement =
        connection.prepare_cached("SELECT text, metadata, label FROM documents WHERE id = ?")?;
    let found = statement
        .query_row([id.as_str()], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, LabelId::from_u32(row.get(2)?)))
        })
        .optional()?;
    let Some((text, metadata, label)) = found else {
        return Ok(None);
    };
    Ok(Some((Document { id: id.clone(), text, metadata: parsed(&metadata)? }, label)))
}

pub(crate) fn content_hash(
    connection: &Connection,
    id: &DocumentId,
) -> Result<Option<Vec<u8>>, IndexError> {
    let mut statement =
        connection.prepare_cached("SELECT content_hash FROM documents WHERE id = ?")?;
    Ok(statement.query_row([id.as_str()], |row| row.get(0)).optional()?)
}

/// What a document's label is made from, for a schema that changed.
#[derive(Debug)]
pub(crate) struct Labelled {
    pub(crate) row: i64,
    pub(crate) metadata: Map<String, Value>,
    /// The description of the label that it has.
    pub(crate) label: Value,
}

/// Every document, in the order of the rows.
pub(crate) fn labelled(connection: &Connection) -> Result<Vec<Labelled>, IndexError> {
    let mut statement = connection.prepare(
        "SELECT d.row, d.metadata, l.label
         FROM documents d JOIN labels l ON l.id = d.label ORDER BY d.row",
    )?;
    let rows = statement.query_map([], |row| {
        Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
    })?;
    let documents = rows.map(|row| {
        let (row, metadata, label) = row?;
        Ok(Labelled { row, metadata: parsed(&metadata)?, label: parsed(&label)? })
    });
    documents.collect()
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, IndexError> {
    serde_json::from_str(text).map_err(|error| IndexError::Damaged(error.to_string()))
}

/// SQLite's integers are signed.
pub(crate) fn to_sql(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}
