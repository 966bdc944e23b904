//! The source that a document's id belongs to.
//!
//! A write names its source. It may store under an id that is free, its own, or unclaimed, and
//! under another source's only if it says that it replaces. The decision is made inside the write
//! transaction, so that two sources that write at once cannot both find an id free.

use rusqlite::{Connection, OptionalExtension, params};

use super::Change;
use crate::IndexError;
use crate::types::{DocumentId, Origin, SourceName};

/// Adds the column to an index of a release that kept no sources. Its documents are unclaimed:
/// until a source stores them again they belong to the agent that they are stamped with, whatever
/// source that agent names, or without a stamp to whoever stores them first.
pub(crate) fn add_column(connection: &Connection) -> rusqlite::Result<()> {
    let sql = "SELECT count(*) FROM pragma_table_info('documents') WHERE name = 'source'";
    let columns: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    if columns == 0 {
        connection.execute_batch("ALTER TABLE documents ADD COLUMN source TEXT")?;
    }
    Ok(())
}

/// Returns the name of the source or agent that a stored document belongs to, if that is not the
/// source of `origin`. What the agent of a text brought that is in quarantine belongs to no source,
/// so that its ids can be given to good documents.
fn other_owner(
    connection: &Connection,
    id: &DocumentId,
    origin: &Origin,
) -> Result<Option<SourceName>, IndexError> {
    let sql = "SELECT source, agent FROM (
                   SELECT row, source, CAST(coalesce(metadata ->> '$.text_ingested_by',
                                                     metadata ->> '$.ingested_by')
                                            AS TEXT) AS agent
                   FROM documents WHERE id = ?) brought
               WHERE NOT EXISTS (SELECT 1 FROM held
                                 WHERE held.document = brought.row AND held.agent = brought.agent)";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row([id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)));
    let (source, agent): (Option<String>, Option<String>) = found.optional()?.unwrap_or_default();
    let (owner, asking) = match source {
        Some(source) => (source, Some(origin.source.as_str())),
        None => match agent {
            Some(agent) => (agent, origin.agent.as_deref()),
            None => return Ok(None),
        },
    };
    if asking == Some(owner.as_str()) {
        return Ok(None);
    }
    // A library's documents may bear any text for a stamp.
    Ok(SourceName::new(&owner).ok())
}

impl Change<'_> {
    /// Refuses the write if an id belongs to another source than the one that it comes from.
    pub(crate) fn check_sources<'a>(
        &self,
        documents: impl IntoIterator<Item = (&'a DocumentId, &'a Origin)>,
    ) -> Result<(), IndexError> {
        let mut others = Vec::new();
        for (id, origin) in documents {
            if !origin.replace
                && let Some(owner) = other_owner(&self.transaction, id, origin)?
            {
                others.push((id.clone(), owner));
            }
        }
        if others.is_empty() { Ok(()) } else { Err(IndexError::OtherSource(others)) }
    }

    /// Returns whether a document belongs to the source of `origin`, or there is none.
    pub(crate) fn is_of(&self, id: &DocumentId, origin: &Origin) -> Result<bool, IndexError> {
        Ok(other_owner(&self.transaction, id, origin)?.is_none())
    }

    /// Gives unclaimed documents to a source that has just sent them unchanged.
    pub(crate) fn claim(&self, ids: &[DocumentId], source: &SourceName) -> Result<(), IndexError> {
        let sql = "UPDATE documents SET source = ? WHERE id = ? AND source IS NULL";
        let mut statement = self.transaction.prepare_cached(sql)?;
        for id in ids {
            statement.execute(params![source.as_str(), id.as_str()])?;
        }
        Ok(())
    }
}
