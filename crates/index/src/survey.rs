//! The labels of an index and what stands under them, for whoever may read its files anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use bailiwick_policy::{LabelId, LabelTable, Schema};
use rusqlite::Connection;

use crate::IndexError;
use crate::catalogue::{self, DATABASE, DERIVED};
use crate::change::contributors;
use crate::types::DocumentId;

/// A look at an index that another process may have open. It holds labels and counts and no text.
pub struct Survey {
    labels: LabelTable,
    documents: BTreeMap<LabelId, u64>,
    connection: Option<Connection>,
}

impl fmt::Debug for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Survey").field("documents", &self.documents).finish_non_exhaustive()
    }
}

impl Survey {
    /// Looks into the index in `folder`. A folder without one holds no documents.
    ///
    /// # Errors
    /// When the database is damaged, missing, or its labels are not of this schema.
    pub fn open(folder: &Path, schema: &Schema) -> Result<Self, IndexError> {
        let database = folder.join(DATABASE);
        let labels = LabelTable::default();
        if !catalogue::exists(&database, &folder.join(DERIVED))? {
            return Ok(Self { labels, documents: BTreeMap::new(), connection: None });
        }
        let connection = catalogue::reader(&database)?;
        catalogue::load_labels(&connection, schema, &labels)?;
        let documents = catalogue::documents_by_label(&connection)?.into_iter().collect();
        Ok(Self { labels, documents, connection: Some(connection) })
    }

    /// The labels that documents have or had, each under its number.
    pub fn labels(&self) -> &LabelTable {
        &self.labels
    }

    /// How many documents there are under each label that has any.
    pub fn documents(&self) -> &BTreeMap<LabelId, u64> {
        &self.documents
    }

    /// The label of a document, if there is such a document.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn label_of(&self, id: &DocumentId) -> Result<Option<LabelId>, IndexError> {
        let Some(connection) = &self.connection else { return Ok(None) };
        Ok(catalogue::find(connection, id)?.map(|document| document.label))
    }

    /// Some documents under these labels, a few of each, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn sample(
        &self,
        labels: &BTreeSet<LabelId>,
        limit: usize,
    ) -> Result<Vec<DocumentId>, IndexError> {
        let Some(connection) = &self.connection else { return Ok(Vec::new()) };
        catalogue::sample(connection, labels, limit)
    }
}

/// Number of documents of which the index does not know all contributors, because an older release
/// stored them and the audit trail was pruned since, and the ids of the first `limit`. None: an
/// older release stored documents, and this one has not opened the index yet.
///
/// # Errors
/// When the database is damaged, missing or cannot be read.
pub fn incomplete_contributors(
    folder: &Path,
    limit: usize,
) -> Result<Option<(u64, Vec<DocumentId>)>, IndexError> {
    let database = folder.join(DATABASE);
    if !catalogue::exists(&database, &folder.join(DERIVED))? {
        return Ok(Some((0, Vec::new())));
    }
    let connection = catalogue::reader(&database)?;
    if contributors::are_kept(&connection)? && !contributors::are_from_stamps(&connection)? {
        return contributors::incomplete(&connection, limit).map(Some);
    }
    let is_empty = "SELECT NOT EXISTS (SELECT 1 FROM documents)";
    let is_empty: bool = connection.query_row(is_empty, [], |row| row.get(0))?;
    Ok(is_empty.then(|| (0, Vec::new())))
}
