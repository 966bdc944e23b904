//! What is derived from the catalogue follows it: labels, words, vectors.

use std::collections::BTreeSet;

use bailiwick_policy::{Label, Schema};
use rusqlite::Connection;
use serde_json::Map;

use crate::IndexError;
use crate::catalogue::{self, Labelled};
use crate::dense::Blocks;
use crate::lexical::Lexical;

/// Labels every document anew when the schema is not the one that the stored labels were made by.
pub(crate) fn schema(connection: &mut Connection, schema: &Schema) -> Result<(), IndexError> {
    let wanted = format!("{schema:?}");
    let stored = catalogue::meta(connection, "schema")?;
    if stored.as_ref() == Some(&wanted) {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    if stored.is_some() {
        let revision = catalogue::revision(&transaction)? + 1;
        let documents = catalogue::labelled(&transaction)?;
        transaction.execute_batch("PRAGMA defer_foreign_keys = ON; DELETE FROM labels")?;
        let (mut quarantined, mut released) = (0_usize, 0_usize);
        let known: BTreeSet<&str> =
            schema.attributes().iter().flat_map(|attribute| attribute.sources()).collect();
        let mut forgotten = BTreeSet::new();
        for Labelled { row, metadata, label: former } in documents {
            let label = schema.label_again(&metadata, &former);
            quarantined += usize::from(label.is_err() && !former.is_null());
            released += usize::from(label.is_ok() && former.is_null());
            let names = former.as_object().into_iter().flat_map(Map::keys);
            forgotten.extend(names.filter(|name| !known.contains(name.as_str())).cloned());
            let label = label.unwrap_or_else(|_| Label::quarantine());
            let id = catalogue::label_id(&transaction, schema, &label)?;
            catalogue::relabel(&transaction, row, &metadata, id, revision)?;
        }
        catalogue::set_meta(&transaction, "revision", &revision.to_string())?;
        tracing::warn!(
            quarantined,
            released,
            ?forgotten,
            "the schema changed; every document has its label anew, without forgotten attributes"
        );
    }
    catalogue::set_meta(&transaction, "schema", &wanted)?;
    transaction.commit()?;
    Ok(())
}

/// Adds to the lexical index what the catalogue learned after the lexical index's last commit.
pub(crate) fn words(
    lexical: &mut Lexical,
    connection: &Connection,
    dimensions: usize,
) -> Result<(), IndexError> {
    let stored = catalogue::revision(connection)?;
    let mut reflected = lexical.revision()?;
    if reflected == stored {
        return Ok(());
    }
    tracing::info!(reflected, stored, "bringing the lexical index up to date");
    if reflected > stored {
        // The database is an older backup, so the words may be of documents that it never had.
        lexical.clear()?;
        reflected = 0;
    }
    for document in catalogue::stale_since(connection, reflected)? {
        lexical.remove(document);
    }
    catalogue::chunks_since(connection, reflected, dimensions, |chunk| {
        lexical.add(&chunk.words())?;
        Ok(())
    })?;
    lexical.commit(stored)?;
    Ok(())
}

/// The vectors of all stored chunks, by label.
pub(crate) fn vectors(connection: &Connection, dimensions: usize) -> Result<Blocks, IndexError> {
    let mut blocks = Blocks::new(dimensions);
    catalogue::chunks_since(connection, 0, dimensions, |chunk| {
        blocks.insert(chunk.label, chunk.entry);
        Ok(())
    })?;
    Ok(blocks)
}
