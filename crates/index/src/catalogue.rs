//! The truth: documents, chunks and labels in SQLite. Everything else is derived from it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bailiwick_policy::{Label, LabelId, LabelTable, Schema};
use bailiwick_sqlite::OpenFiles;
use half::f16;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Params, Transaction, params};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::IndexError;
use crate::change::{contributors, held, ownership};
use crate::types::{ChunkId, Document, DocumentId, NewDocument};

/// The layout of the tables; another number is another program's file.
const LAYOUT: i64 = 2;
/// Under this name is whose vectors there are.
pub(crate) const EMBEDDER: &str = "embedder";
/// The file of the truth in the index's folder, and the folder of the segments beside it.
pub(crate) const DATABASE: &str = "index.db";
pub(crate) const DERIVED: &str = "segments";

const BUSY: Duration = Duration::from_secs(10);
/// Pages of the write-ahead log before it is copied into the database, 64 MiB of them: a batch of
/// documents is a few, and copying after each would write everything twice at once.
const LOG_PAGES: i64 = 16_384;
/// Memory for pages that writes touch again and again, in KiB: the places of ids and of chunks.
const WRITER_CACHE: i64 = 65_536;

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
        source TEXT
    ) STRICT;
    CREATE INDEX documents_by_label ON documents (label);
    CREATE TABLE chunks (
        row INTEGER PRIMARY KEY,
        document INTEGER NOT NULL REFERENCES documents (row) ON DELETE CASCADE,
        n INTEGER NOT NULL,
        text TEXT NOT NULL,
        UNIQUE (document, n)
    ) STRICT;
    CREATE TABLE vectors (
        chunk INTEGER PRIMARY KEY REFERENCES chunks (row) ON DELETE CASCADE ON UPDATE CASCADE,
        vector BLOB NOT NULL
    ) STRICT;
    CREATE TABLE segments (file INTEGER PRIMARY KEY, checksum INTEGER NOT NULL) STRICT;
    CREATE TABLE gone (chunk INTEGER PRIMARY KEY, label INTEGER NOT NULL) STRICT;
";

/// Where the label of a document is found without the text that stands before it in its row. Made
/// when it is missing, because an index may be older than it is.
const LABEL_BY_ID: &str = "CREATE INDEX IF NOT EXISTS label_by_id ON documents (id, label)";

/// The database, with one connection that writes and several that read.
#[derive(Debug)]
pub(crate) struct Catalogue {
    path: PathBuf,
    files: Arc<OpenFiles>,
    readers: Mutex<Vec<Connection>>,
}

/// The connection that writes. There is one in a process, and one process.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) connection: Connection,
    /// Files that the connection was opened on, to be checked after each commit.
    pub(crate) files: Arc<OpenFiles>,
}

/// A chunk as it is stored, with what its document says of it.
///
/// A row is never given to another chunk, and a chunk whose label changes gets another row: what
/// is derived of a row stays true for ever, or the row is gone.
#[derive(Debug)]
pub(crate) struct StoredChunk {
    pub(crate) row: i64,
    pub(crate) label: LabelId,
    pub(crate) id: ChunkId,
    pub(crate) text: String,
    pub(crate) vector: Vec<f16>,
}

/// Chunks that were stored until a write changed them.
#[derive(Debug)]
pub(crate) struct Former {
    document: i64,
    pub(crate) label: LabelId,
    pub(crate) chunks: Vec<i64>,
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
        exists(path, derived)?;
        let may_be_new = !derived.exists();
        bailiwick_sqlite::create(path)?;
        let mut connection =
            Connection::open(path).map_err(|error| unusable(path, &error.to_string()))?;
        prepare(&connection, may_be_new).map_err(|error| {
            let advice = "restore it from a backup; nothing was changed";
            unusable(path, &format!("{error}; {advice}"))
        })?;
        let layout: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if layout != LAYOUT {
            let problem = format!("its layout is {layout}, this program knows {LAYOUT}");
            return Err(unusable(path, &problem));
        }
        connection.execute_batch(held::TABLES)?;
        contributors::prepare(&mut connection)?;
        connection.execute_batch(LABEL_BY_ID)?;
        ownership::add_column(&connection)?;
        let files = Arc::new(OpenFiles::note(path)?);
        let catalogue = Self { path: path.to_owned(), files, readers: Mutex::new(Vec::new()) };
        let writer = Writer { connection, files: Arc::clone(&catalogue.files) };
        Ok((catalogue, writer))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn files(&self) -> &OpenFiles {
        &self.files
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
        // One state for all that is read, locked once and not for each statement.
        let result = match connection.unchecked_transaction() {
            Ok(state) => work(&state),
            Err(error) => Err(error.into()),
        };
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        self.files.check()?;
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
    // Otherwise a statement is planned anew for each value that is bound, which takes ten times as
    // long as to read a passage.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

pub(crate) fn unusable(path: &Path, problem: &str) -> IndexError {
    IndexError::Unusable { path: path.display().to_string(), problem: problem.to_owned() }
}

fn prepare(connection: &Connection, may_be_new: bool) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // An acknowledged write must survive a loss of power, not only of the process.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE)?;
    if may_be_new && is_empty(connection)? {
        connection
            .execute_batch(&format!("BEGIN; {TABLES} PRAGMA user_version = {LAYOUT}; COMMIT"))?;
    }
    Ok(())
}

/// Whether there are no tables: of a new database, and of one whose first start was cut off.
fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(tables == 0)
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

/// Makes what this transaction leaves a state of its own, which nobody takes for the one before.
pub(crate) fn raise_revision(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    set_meta(transaction, "revision", &(revision(transaction)? + 1).to_string())
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

/// The document's chunks as they are now, if there is such a document.
pub(crate) fn find(connection: &Connection, id: &DocumentId) -> Result<Option<Former>, IndexError> {
    let found: Option<(i64, u32)> = connection
        .prepare_cached("SELECT row, label FROM documents WHERE id = ?")?
        .query_row([id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((document, label)) = found else { return Ok(None) };
    let mut statement =
        connection.prepare_cached("SELECT row FROM chunks WHERE document = ? ORDER BY n")?;
    let chunks = statement.query_map([document], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(Some(Former { document, label: LabelId::from_u32(label), chunks }))
}

/// Deletes a document.
pub(crate) fn delete(transaction: &Transaction<'_>, former: &Former) -> Result<(), IndexError> {
    let mut statement = transaction.prepare_cached("DELETE FROM documents WHERE row = ?")?;
    statement.execute([former.document])?;
    forget(transaction, former)
}

/// Remembers for the segments that these rows are gone.
fn forget(transaction: &Transaction<'_>, former: &Former) -> Result<(), IndexError> {
    let mut statement = transaction.prepare_cached("INSERT INTO gone VALUES (?, ?)")?;
    for chunk in &former.chunks {
        statement.execute(params![chunk, former.label.as_u32()])?;
    }
    Ok(())
}

/// The next row of a chunk. Rows only grow, also when the last ones are deleted.
pub(crate) fn next_row(connection: &Connection) -> rusqlite::Result<i64> {
    Ok(meta(connection, "next_chunk")?.and_then(|text| text.parse().ok()).unwrap_or(1))
}

pub(crate) fn set_next_row(connection: &Connection, row: i64) -> rusqlite::Result<()> {
    set_meta(connection, "next_chunk", &row.to_string())
}

/// Inserts a document whose id is free. Its chunks, whose vectors are `vectors`, get the rows from
/// `first` on.
pub(crate) fn insert<'a>(
    transaction: &Transaction<'_>,
    document: &NewDocument,
    label: LabelId,
    first: i64,
    vectors: impl Iterator<Item = &'a [f16]>,
) -> Result<(), IndexError> {
    let metadata = Value::Object(document.metadata.clone()).to_string();
    transaction
        .prepare_cached(
            "INSERT INTO documents (id, text, metadata, label, content_hash, source)
             VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            document.id.as_str(),
            document.text,
            metadata,
            label.as_u32(),
            document.content_hash.as_slice(),
            document.origin.source.as_str(),
        ])?;
    let row = transaction.last_insert_rowid();
    let mut chunk_statement = transaction
        .prepare_cached("INSERT INTO chunks (row, document, n, text) VALUES (?, ?, ?, ?)")?;
    let mut vector_statement = transaction.prepare_cached("INSERT INTO vectors VALUES (?, ?)")?;
    for (((chunk, vector), n), at) in document.chunks.iter().zip(vectors).zip(0_u32..).zip(first..)
    {
        chunk_statement.execute(params![at, row, n, chunk.text])?;
        vector_statement.execute(params![at, bytes(vector)])?;
    }
    Ok(())
}

/// Numbers as they are stored: little-endian.
pub(crate) fn bytes(vector: &[f16]) -> Vec<u8> {
    vector.iter().flat_map(|half| half.to_le_bytes()).collect()
}

/// Gives a document new metadata and a new label, and its chunks new rows, from `first` on.
pub(crate) fn relabel(
    transaction: &Transaction<'_>,
    former: &Former,
    metadata: &Map<String, Value>,
    label: LabelId,
    first: i64,
) -> Result<(), IndexError> {
    let metadata = Value::Object(metadata.clone()).to_string();
    transaction
        .prepare_cached(
            "UPDATE documents SET metadata = ?, label = ?, content_hash = x'' WHERE row = ?",
        )?
        .execute(params![metadata, label.as_u32(), former.document])?;
    forget(transaction, former)?;
    let mut statement = transaction.prepare_cached("UPDATE chunks SET row = ? WHERE row = ?")?;
    for (new, chunk) in (first..).zip(&former.chunks) {
        statement.execute([new, *chunk])?;
    }
    Ok(())
}

/// The first `most` chunks whose row is greater than `row`, in order.
pub(crate) fn chunks_after(
    connection: &Connection,
    row: i64,
    dimensions: usize,
    most: usize,
) -> Result<Vec<StoredChunk>, IndexError> {
    let mut statement = connection.prepare_cached(
        "SELECT c.row, d.id, c.n, d.label, c.text, v.vector
         FROM chunks c JOIN documents d ON d.row = c.document JOIN vectors v ON v.chunk = c.row
         WHERE c.row > ? ORDER BY c.row LIMIT ?",
    )?;
    let mut rows = statement.query(params![row, most as i64])?;
    let mut chunks: Vec<StoredChunk> = Vec::new();
    while let Some(row) = rows.next()? {
        let id: &str = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        // Chunks of one document follow one another and share its id.
        let last = chunks.last().map(|chunk| &chunk.id.document);
        let document = match last.filter(|last| last.as_str() == id) {
            Some(same) => same.clone(),
            None => DocumentId::new(id).map_err(IndexError::Damaged)?,
        };
        let bytes = row.get_ref(5)?.as_blob().map_err(rusqlite::Error::from)?;
        let (halves, _) = bytes.as_chunks::<2>();
        if halves.len() != dimensions {
            return Err(IndexError::Dimensions { expected: dimensions, found: halves.len() });
        }
        chunks.push(StoredChunk {
            row: row.get(0)?,
            label: LabelId::from_u32(row.get(3)?),
            id: ChunkId { document, n: row.get(2)? },
            text: row.get(4)?,
            vector: halves.iter().map(|half| f16::from_le_bytes(*half)).collect(),
        });
    }
    Ok(chunks)
}

/// The passage in this row.
pub(crate) fn passage(connection: &Connection, chunk: i64) -> Result<Option<Passage>, IndexError> {
    let sql = "SELECT c.text, d.metadata, d.label
               FROM chunks c JOIN documents d ON d.row = c.document WHERE c.row = ?";
    read_passage(connection, sql, [chunk])
}

/// The passage that a document has at this place now.
pub(crate) fn passage_of(
    connection: &Connection,
    chunk: &ChunkId,
) -> Result<Option<Passage>, IndexError> {
    let sql = "SELECT c.text, d.metadata, d.label
               FROM documents d JOIN chunks c ON c.document = d.row WHERE d.id = ? AND c.n = ?";
    read_passage(connection, sql, params![chunk.document.as_str(), chunk.n])
}

fn read_passage(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
) -> Result<Option<Passage>, IndexError> {
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement
        .query_row(parameters, |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, LabelId::from_u32(row.get(2)?)))
        })
        .optional()?;
    let Some((text, metadata, label)) = found else {
        return Ok(None);
    };
    Ok(Some(Passage { text, metadata: parsed(&metadata)?, label }))
}

/// A document's label, which takes the same time for any document and for none.
pub(crate) fn label_of(
    connection: &Connection,
    id: &DocumentId,
) -> Result<Option<LabelId>, IndexError> {
    // SQLite alone would take the unique index of ids, which leads to the row.
    let sql = "SELECT label FROM documents INDEXED BY label_by_id WHERE id = ?";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row([id.as_str()], |row| row.get(0)).optional()?;
    Ok(found.map(LabelId::from_u32))
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

/// Passes on every chunk after `row`, in order, with its document's metadata.
pub(crate) fn metadata_after(
    connection: &Connection,
    row: i64,
    mut pass_on: impl FnMut(i64, &Map<String, Value>),
) -> Result<(), IndexError> {
    let mut statement = connection.prepare_cached(
        "SELECT c.row, d.row, d.metadata
         FROM chunks c JOIN documents d ON d.row = c.document WHERE c.row > ? ORDER BY c.row",
    )?;
    let mut rows = statement.query([row])?;
    // Chunks of one document mostly follow one another; its metadata are parsed once then.
    let mut last: Option<(i64, Map<String, Value>)> = None;
    while let Some(row) = rows.next()? {
        let (chunk, document): (i64, i64) = (row.get(0)?, row.get(1)?);
        if last.as_ref().is_none_or(|(last, _)| *last != document) {
            let metadata = row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
            last = Some((document, parsed(metadata)?));
        }
        if let Some((_, metadata)) = &last {
            pass_on(chunk, metadata);
        }
    }
    Ok(())
}

/// How many documents each label has; labels without any are left out.
pub(crate) fn documents_by_label(
    connection: &Connection,
) -> Result<Vec<(LabelId, u64)>, IndexError> {
    let sql = "SELECT label, count(*) FROM documents GROUP BY label ORDER BY label";
    let mut statement = connection.prepare_cached(sql)?;
    let counted = statement
        .query_map([], |row| Ok((LabelId::from_u32(row.get(0)?), row.get::<_, u32>(1)?.into())))?;
    counted.collect::<Result<_, _>>().map_err(Into::into)
}

/// Some documents under these labels, a few of each, at most `limit`.
pub(crate) fn sample(
    connection: &Connection,
    labels: &BTreeSet<LabelId>,
    limit: usize,
) -> Result<Vec<DocumentId>, IndexError> {
    let counted = documents_by_label(connection)?;
    let held = counted.into_iter().filter(|(label, _)| labels.contains(label));
    let held: Vec<LabelId> = held.map(|(label, _)| label).take(limit).collect();
    let sql = "SELECT id FROM documents WHERE label = ?1 ORDER BY row LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut found = Vec::new();
    for label in held {
        let mut rows = statement.query(params![label.as_u32(), most])?;
        let mut rank = 0_usize;
        while let Some(row) = rows.next()? {
            let id: String = row.get(0)?;
            let id = DocumentId::new(&id).map_err(IndexError::Damaged)?;
            found.push((rank, id));
            rank += 1;
        }
    }
    // The first of each label, then the second of each.
    found.sort_by_key(|(rank, _)| *rank);
    Ok(found.into_iter().map(|(_, id)| id).take(limit).collect())
}

/// What is stored of a document with a content hash: its source, none if it is unclaimed. None if
/// there is no such document or it has another hash.
pub(crate) fn source_if_same(
    connection: &Connection,
    id: &DocumentId,
    content_hash: &[u8; 32],
) -> Result<Option<Option<String>>, IndexError> {
    let sql = "SELECT source FROM documents WHERE id = ? AND content_hash = ?";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row(params![id.as_str(), content_hash], |row| row.get(0));
    Ok(found.optional()?)
}

/// Each metadata key of the stored documents, with their number.
pub(crate) fn metadata_keys(connection: &Connection) -> rusqlite::Result<Vec<(String, i64)>> {
    let mut statement = connection.prepare(
        "SELECT member.key, count(*) FROM documents, json_each(documents.metadata) member
         GROUP BY member.key ORDER BY member.key",
    )?;
    let keys = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    keys.collect()
}

/// What a document's label is made from, for a schema that changed.
#[derive(Debug)]
pub(crate) struct Labelled {
    pub(crate) row: i64,
    pub(crate) metadata: Map<String, Value>,
    /// The description of the label that it has, or, when it is held, that it will be released with.
    pub(crate) label: Value,
    pub(crate) held: bool,
}

/// Every document, in the order of the rows.
pub(crate) fn labelled(connection: &Connection) -> Result<Vec<Labelled>, IndexError> {
    let mut statement = connection.prepare(
        "SELECT d.row, d.metadata, coalesce(h.label, l.label), h.label IS NOT NULL
         FROM documents d JOIN labels l ON l.id = d.label LEFT JOIN held h ON h.document = d.row
         ORDER BY d.row",
    )?;
    let rows = statement.query_map([], |row| {
        Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get(3)?))
    })?;
    let documents = rows.map(|row| {
        let (row, metadata, label, held) = row?;
        Ok(Labelled { row, metadata: parsed(&metadata)?, label: parsed(&label)?, held })
    });
    documents.collect()
}

/// Gives a document another label, although its chunks keep their rows: the segments have to be
/// made anew.
pub(crate) fn set_label(
    transaction: &Transaction<'_>,
    document: &Labelled,
    label: LabelId,
) -> Result<(), IndexError> {
    let sql = "UPDATE documents SET label = ?, content_hash = x'' WHERE row = ?";
    transaction.prepare_cached(sql)?.execute(params![label.as_u32(), document.row])?;
    Ok(())
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, IndexError> {
    serde_json::from_str(text).map_err(|error| IndexError::Damaged(error.to_string()))
}
