//! The agents that had a hand in a stored document: all through whose hands its text came, and all
//! through whose hands its label came. Orders about an agent's documents look here.
//!
//! The stamps in the metadata name those of the last write only, and older releases kept no more.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde_json::{Map, Value};

use super::Change;
use crate::IndexError;
use crate::analyst::Analyst;
use crate::catalogue;
use crate::types::{CONTRIBUTOR_STAMPS, DocumentId, NewDocument, TEXT_CONTRIBUTOR_STAMP};

/// Metadata key: set while contributors of documents from an older release are read off their
/// stamps only, and the audit trail was not asked yet.
const FROM_STAMPS: &str = "contributors_from_stamps";

/// Made when they are missing, because an index may be older than they are.
const TABLES: &str = "
    CREATE TABLE contributors (
        document INTEGER NOT NULL REFERENCES documents (row) ON DELETE CASCADE,
        agent TEXT NOT NULL,
        text INTEGER NOT NULL,
        label INTEGER NOT NULL,
        PRIMARY KEY (document, agent)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX contributors_by_agent ON contributors (agent);
    CREATE TABLE incomplete_contributors (
        document INTEGER PRIMARY KEY REFERENCES documents (row) ON DELETE CASCADE
    ) STRICT;
";

/// Creates the tables in an index that lacks them, and fills them from the documents' stamps and
/// from what is held.
pub(crate) fn prepare(connection: &mut Connection) -> Result<(), IndexError> {
    if are_kept(connection)? {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    for stamp in CONTRIBUTOR_STAMPS {
        // Whoever gave the label brought the text too, unless another stamp says who did.
        transaction.execute_batch(&format!(
            "INSERT INTO contributors
             SELECT row, metadata ->> '$.{stamp}',
                    metadata ->> '$.{TEXT_CONTRIBUTOR_STAMP}' IS NULL, 1
             FROM documents WHERE metadata ->> '$.{stamp}' IS NOT NULL
             ON CONFLICT DO NOTHING"
        ))?;
    }
    transaction.execute_batch(&format!(
        "INSERT INTO contributors
         SELECT row, metadata ->> '$.{TEXT_CONTRIBUTOR_STAMP}', 1, 0
         FROM documents WHERE metadata ->> '$.{TEXT_CONTRIBUTOR_STAMP}' IS NOT NULL
         ON CONFLICT DO UPDATE SET text = 1"
    ))?;
    // A hold may remember an agent whose stamp a relabel has overwritten since.
    transaction.execute_batch(
        "INSERT INTO contributors SELECT document, agent, 1, 1 FROM held WHERE true
         ON CONFLICT DO NOTHING",
    )?;
    let documents: i64 =
        transaction.query_row("SELECT count(*) FROM documents", [], |row| row.get(0))?;
    if documents > 0 {
        catalogue::set_meta(&transaction, FROM_STAMPS, "1")?;
    }
    Ok(transaction.commit()?)
}

/// Whether the index has the tables; one that no newer release has opened has not.
pub(crate) fn are_kept(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'contributors'";
    connection.query_row(sql, [], |row| Ok(row.get::<_, i64>(0)? > 0))
}

/// Whether the contributors of some documents were read off their stamps only.
pub(crate) fn are_from_stamps(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(catalogue::meta(connection, FROM_STAMPS)?.is_some())
}

/// Number of documents whose contributors may be incomplete, and the ids of the first `limit`.
pub(crate) fn incomplete(
    connection: &Connection,
    limit: usize,
) -> Result<(u64, Vec<DocumentId>), IndexError> {
    let count = "SELECT count(*) FROM incomplete_contributors";
    let count: i64 = connection.query_row(count, [], |row| row.get(0))?;
    let sql = "SELECT d.id FROM incomplete_contributors i JOIN documents d ON d.row = i.document
               ORDER BY d.id LIMIT ?";
    let mut statement = connection.prepare(sql)?;
    let ids = statement.query_map([limit as i64], |row| row.get::<_, String>(0))?;
    let ids = ids.map(|id| DocumentId::new(&id?).map_err(IndexError::Damaged));
    Ok((count.unsigned_abs(), ids.collect::<Result<_, _>>()?))
}

/// The agents of one write: those that its stamps name, and the others. Some may come twice.
fn agents<'a>(
    metadata: &'a Map<String, Value>,
    others: &'a [String],
) -> impl Iterator<Item = &'a str> {
    let stamped = CONTRIBUTOR_STAMPS.iter().filter_map(|stamp| metadata.get(*stamp)?.as_str());
    stamped.chain(others.iter().map(String::as_str))
}

impl Change<'_> {
    /// Notes who brought a document that was just stored.
    pub(super) fn note_contributors(&self, document: &NewDocument) -> Result<(), IndexError> {
        let sql = "INSERT OR IGNORE INTO contributors
                   SELECT row, ?2, 1, 1 FROM documents WHERE id = ?1";
        let mut statement = self.transaction.prepare_cached(sql)?;
        for agent in agents(&document.metadata, &document.origin.contributors) {
            statement.execute([document.id.as_str(), agent])?;
        }
        Ok(())
    }

    /// Notes who gave a document the label that it gets now; who brought its text stays known.
    pub(super) fn note_label_contributors(
        &self,
        id: &DocumentId,
        metadata: &Map<String, Value>,
        others: &[String],
    ) -> Result<(), IndexError> {
        let sql = "UPDATE contributors SET label = 0
                   WHERE document = (SELECT row FROM documents WHERE id = ?)";
        self.transaction.prepare_cached(sql)?.execute([id.as_str()])?;
        let sql = "INSERT INTO contributors SELECT row, ?2, 0, 1 FROM documents WHERE id = ?1
                   ON CONFLICT DO UPDATE SET label = 1";
        let mut statement = self.transaction.prepare_cached(sql)?;
        for agent in agents(metadata, others) {
            statement.execute([id.as_str(), agent])?;
        }
        let sql = "DELETE FROM contributors
                   WHERE document = (SELECT row FROM documents WHERE id = ?)
                         AND text = 0 AND label = 0";
        self.transaction.prepare_cached(sql)?.execute([id.as_str()])?;
        Ok(())
    }

    /// Adds contributors that only the audit trail knows, as pairs of an agent and a document, and
    /// quarantines the documents of quarantined agents among them. Without the `whole` trail, every
    /// document may have more.
    pub(crate) fn complete_contributors(
        &mut self,
        known: &BTreeSet<(String, String)>,
        whole: bool,
        analyst: &Analyst,
    ) -> Result<usize, IndexError> {
        let sql = "INSERT INTO contributors SELECT row, ?2, 1, 1 FROM documents WHERE id = ?1
                   ON CONFLICT DO NOTHING";
        let mut added = 0;
        for (agent, document) in known {
            added += self.transaction.prepare_cached(sql)?.execute([document, agent])?;
        }
        if !whole {
            let sql = "INSERT OR IGNORE INTO incomplete_contributors SELECT row FROM documents";
            self.transaction.execute(sql, [])?;
        }
        self.transaction.execute("DELETE FROM meta WHERE name = ?", [FROM_STAMPS])?;
        for agent in self.quarantined_agents()? {
            self.quarantine_documents_of(&agent, analyst)?;
        }
        Ok(added)
    }
}
