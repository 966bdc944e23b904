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
use crate::types::{Act, DocumentId, Order, Receipt};
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
                self.quarantine_documents_of(agent, analyst)?
            }
            Act::Release => {
                self.transaction.execute("DELETE FROM shunned WHERE agent = ?", [agent])?;
                self.each(self.held_of(agent)?, |change, id| change.release(id, analyst))?
            }
            Act::Purge => self.each(self.held_contributions_of(agent)?, Self::remove)?,
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

    /// Puts out of reach all documents in whose text or label an agent had a hand.
    pub(super) fn quarantine_documents_of(
        &mut self,
        agent: &str,
        analyst: &Analyst,
    ) -> Result<Receipt, IndexError> {
        let sql = "SELECT d.id FROM contributors c JOIN documents d ON d.row = c.document
                   WHERE c.agent = ?1 AND d.row NOT IN (SELECT document FROM held)
                   ORDER BY d.row";
        self.each(self.ids(sql, agent)?, |change, id| change.hold(id, agent, analyst))
    }

    /// The agents whose documents are in quarantine.
    pub(super) fn quarantined_agents(&self) -> Result<Vec<String>, IndexError> {
        let mut statement = self.transaction.prepare("SELECT agent FROM shunned ORDER BY agent")?;
        let agents = statement.query_map([], |row| row.get(0))?;
        Ok(agents.collect::<Result<_, _>>()?)
    }

    /// The documents that are held because of this agent.
    fn held_of(&self, agent: &str) -> Result<Vec<DocumentId>, IndexError> {
        let sql = "SELECT d.id FROM documents d JOIN held h ON h.document = d.row
                   WHERE h.agent = ?1 ORDER BY d.row";
        self.ids(sql, agent)
    }

    /// The held documents in which this agent had a hand, whichever agent they are held because of.
    fn held_contributions_of(&self, agent: &str) -> Result<Vec<DocumentId>, IndexError> {
        let sql = "SELECT d.id FROM documents d JOIN held h ON h.document = d.row
                   JOIN contributors c ON c.document = d.row
                   WHERE c.agent = ?1 ORDER BY d.row";
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
        let sql = "INSERT INTO held SELECT d.row, ?2, l.label
                   FROM documents d JOIN labels l ON l.id = d.label WHERE d.id = ?1";
        self.transaction.prepare_cached(sql)?.execute([id.as_str(), agent])?;
        self.move_to(id, &document.metadata, &Label::quarantine(), analyst)
    }

    /// Notes that a document is held because of an agent, and the label to release it with.
    pub(super) fn keep_label(
        &self,
        id: &DocumentId,
        agent: &str,
        label: &Label,
    ) -> Result<(), IndexError> {
        let sql = "INSERT INTO held SELECT row, ?2, ?3 FROM documents WHERE id = ?1
                   ON CONFLICT DO UPDATE SET agent = excluded.agent, label = excluded.label";
        let described = self.schema.describe(label).to_string();
        self.transaction.prepare_cached(sql)?.execute([id.as_str(), agent, &described])?;
        Ok(())
    }

    /// Notes that a document is not held any more.
    pub(super) fn forget_label(&self, id: &DocumentId) -> Result<(), IndexError> {
        let sql = "DELETE FROM held WHERE document = (SELECT row FROM documents WHERE id = ?)";
        self.transaction.prepare_cached(sql)?.execute([id.as_str()])?;
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
        self.hold_if_quarantined(id, analyst)?;
        Ok(moved)
    }

    /// The first agent that had a hand in a document and whose documents are in quarantine.
    pub(super) fn quarantined_contributor(
        &self,
        id: &DocumentId,
    ) -> Result<Option<String>, IndexError> {
        let sql = "SELECT s.agent FROM documents d JOIN contributors c ON c.document = d.row
                   JOIN shunned s ON s.agent = c.agent WHERE d.id = ? ORDER BY s.agent LIMIT 1";
        let mut statement = self.transaction.prepare_cached(sql)?;
        Ok(statement.query_row([id.as_str()], |row| row.get(0)).optional()?)
    }

    /// Holds a document that was just stored, relabelled or released, if an agent had a hand in it
    /// whose documents are in quarantine.
    pub(crate) fn hold_if_quarantined(
        &mut self,
        id: &DocumentId,
        analyst: &Analyst,
    ) -> Result<(), IndexError> {
        if let Some(agent) = self.quarantined_contributor(id)? {
            self.hold(id, &agent, analyst)?;
        }
        Ok(())
    }
}
