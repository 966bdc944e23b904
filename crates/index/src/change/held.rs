//! Documents that are out of everybody's reach because of who brought them.
//!
//! What an agent brought, relabelled or passed on is held by order of an administrator: it gets
//! the quarantine label, and the one that it had is kept until it is released or purged. An agent
//! whose documents are held is shunned: what it was still writing is held as it comes.

use bailiwick_policy::Label;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value};

use super::Change;
use crate::analyst::Analyst;
use crate::catalogue;
use crate::types::{Act, BROUGHT_BY, DocumentId, Order, Receipt, TEXT_BROUGHT_BY};
use crate::{IndexError, catalogue::Labelled};

/// Under this name is the number of the last order that was obeyed.
const OBEYED: &str = "obeyed";

/// Made when they are missing, because an index may be older than they are.
pub(crate) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS held (
        document INTEGER PRIMARY KEY REFERENCES documents (row) ON DELETE CASCADE,
        agent TEXT NOT NULL,
        label TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS shunned (agent TEXT PRIMARY KEY) STRICT;
";

/// The number of the last order that was obeyed.
pub(crate) fn obeyed(connection: &Connection) -> rusqlite::Result<u64> {
    Ok(catalogue::meta(connection, OBEYED)?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Gives a held document, whose schema changed, another label to be released with.
pub(crate) fn set_former_label(
    connection: &Connection,
    document: &Labelled,
    label: &Value,
) -> Result<(), IndexError> {
    let sql = "UPDATE held SET label = ? WHERE document = ?";
    connection.prepare_cached(sql)?.execute(params![label.to_string(), document.row])?;
    Ok(())
}

impl Change<'_> {
    /// Obeys an order, unless it was obeyed before, and counts the documents that it concerned.
    pub(crate) fn obey(&mut self, order: &Order, analyst: &Analyst) -> Result<Receipt, IndexError> {
        if order.number <= obeyed(&self.transaction)? {
            return Ok(Receipt::default());
        }
        let agent = order.agent.as_str();
        let receipt = match order.act {
            Act::Quarantine => {
                let sql = "INSERT OR IGNORE INTO shunned VALUES (?)";
                self.transaction.prepare_cached(sql)?.execute([agent])?;
                self.each(self.brought_by(agent)?, |change, id| change.hold(id, agent, analyst))?
            }
            Act::Release => {
                self.transaction.execute("DELETE FROM shunned WHERE agent = ?", [agent])?;
                self.each(self.held_of(agent)?, |change, id| change.release(id, analyst))?
            }
            Act::Purge => self.each(self.held_of(agent)?, Self::remove)?,
        };
        catalogue::set_meta(&self.transaction, OBEYED, &order.number.to_string())?;
        Ok(receipt)
    }

    fn each(
        &mut self,
        ids: Vec<DocumentId>,
        mut work: impl FnMut(&mut Self, &DocumentId) -> Result<Option<usize>, IndexError>,
    ) -> Result<Receipt, IndexError> {
        let mut receipt = Receipt::default();
        for id in ids {
            if let Some(chunks) = work(self, &id)? {
                receipt.documents += 1;
                receipt.chunks += chunks;
            }
        }
        Ok(receipt)
    }

    /// The documents whose text or label an agent brought, and that are not held yet.
    fn brought_by(&self, agent: &str) -> Result<Vec<DocumentId>, IndexError> {
        let names = BROUGHT_BY.iter().chain([&TEXT_BROUGHT_BY]);
        let brought: Vec<String> =
            names.map(|name| format!("metadata ->> '$.{name}' = ?1")).collect();
        let sql = format!(
            "SELECT id FROM documents
             WHERE ({}) AND row NOT IN (SELECT document FROM held) ORDER BY row",
            brought.join(" OR ")
        );
        self.ids(&sql, agent)
    }

    fn held_of(&self, agent: &str) -> Result<Vec<DocumentId>, IndexError> {
        let sql = "SELECT d.id FROM documents d JOIN held h ON h.document = d.row
                   WHERE h.agent = ?1 ORDER BY d.row";
        self.ids(sql, agent)
    }

    fn ids(&self, sql: &str, agent: &str) -> Result<Vec<DocumentId>, IndexError> {
        let mut statement = self.transaction.prepare(sql)?;
        let ids = statement.query_map([agent], |row| row.get::<_, String>(0))?;
        ids.map(|id| DocumentId::new(&id?).map_err(IndexError::Damaged)).collect()
    }

    /// Takes a document out of everybody's reach, and keeps the label that it has.
    fn hold(
        &mut self,
        id: &DocumentId,
        agent: &str,
        analyst: &Analyst,
    ) -> Result<Option<usize>, IndexError> {
        let Some((document, _)) = catalogue::document(&self.transaction, id)? else {
            return Ok(None);
        };
        self.keep_label(id, agent)?;
        self.move_to(id, &document.metadata, &Label::quarantine(), analyst)
    }

    fn keep_label(&self, id: &DocumentId, agent: &str) -> Result<(), IndexError> {
        let sql = "INSERT INTO held SELECT d.row, ?2, l.label
                   FROM documents d JOIN labels l ON l.id = d.label WHERE d.id = ?1";
        self.transaction.prepare_cached(sql)?.execute([id.as_str(), agent])?;
        Ok(())
    }

    /// Gives a held document its former label; one that had none stays where it is.
    fn release(&mut self, id: &DocumentId, analyst: &Analyst) -> Result<Option<usize>, IndexError> {
        let sql = "DELETE FROM held WHERE document = (SELECT row FROM documents WHERE id = ?)
                   RETURNING label";
        let label: String =
            self.transaction.prepare_cached(sql)?.query_row([id.as_str()], |row| row.get(0))?;
        let described: Option<Map<String, Value>> =
            serde_json::from_str(&label).map_err(|error| IndexError::Damaged(error.to_string()))?;
        let Some(described) = described else { return Ok(None) };
        let damaged = |error| IndexError::Damaged(format!("the label of `{id}`: {error}"));
        let label = self.schema.label(&described).map_err(damaged)?;
        let document = catalogue::document(&self.transaction, id)?;
        let Some((document, _)) = document else { return Ok(None) };
        let moved = self.move_to(id, &document.metadata, &label, analyst)?;
        // Another agent may have had a hand in it whose documents are held too.
        self.hold_if_shunned(id, &document.metadata, analyst)?;
        Ok(moved)
    }

    /// A held document whose metadata change stays held, and is released with its new label.
    pub(super) fn relabel_held(&self, id: &DocumentId, label: &Label) -> Result<bool, IndexError> {
        let sql = "UPDATE held SET label = ?2
                   WHERE document = (SELECT row FROM documents WHERE id = ?1)";
        let described = self.schema.describe(label).to_string();
        let rows = self.transaction.prepare_cached(sql)?.execute([id.as_str(), &described])?;
        Ok(rows > 0)
    }

    /// The agent, if a document with this metadata was brought by one that is shunned.
    pub(super) fn shunned(
        &self,
        metadata: &Map<String, Value>,
    ) -> Result<Option<String>, IndexError> {
        for name in BROUGHT_BY.into_iter().chain([TEXT_BROUGHT_BY]) {
            let Some(agent) = metadata.get(name).and_then(Value::as_str) else { continue };
            let sql = "SELECT agent FROM shunned WHERE agent = ?";
            let mut statement = self.transaction.prepare_cached(sql)?;
            let found = statement.query_row([agent], |row| row.get(0)).optional()?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Holds what a shunned agent brought: a document that was just stored, or relabelled.
    pub(crate) fn hold_if_shunned(
        &mut self,
        id: &DocumentId,
        metadata: &Map<String, Value>,
        analyst: &Analyst,
    ) -> Result<(), IndexError> {
        if let Some(agent) = self.shunned(metadata)? {
            self.hold(id, &agent, analyst)?;
        }
        Ok(())
    }
}
