//! What is derived from the catalogue follows it: labels and segments.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bailiwick_policy::{Label, Schema};
use rusqlite::Connection;
use serde_json::Map;

use crate::analyst::Analyst;
use crate::catalogue::{self, Labelled};
use crate::change::held;
use crate::segment::{Fresh, FreshRow, write};
use crate::snapshot::{Part, Snapshot};
use crate::{IndexError, compaction, manifest};

/// Chunks that are read from the catalogue at a time.
const BATCH: usize = 4_096;

/// Keys that one start warns of.
const MOST_NAMED: usize = 20;

/// Labels every document anew when the schema is not the one that the stored labels were made by.
pub(crate) fn schema(connection: &mut Connection, schema: &Schema) -> Result<(), IndexError> {
    let wanted = format!("{schema:?}");
    let stored = catalogue::meta(connection, "schema")?;
    if stored.as_ref() == Some(&wanted) {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    if stored.is_some() {
        let documents = catalogue::labelled(&transaction)?;
        transaction.execute_batch("PRAGMA defer_foreign_keys = ON; DELETE FROM labels")?;
        let (mut quarantined, mut released) = (0_usize, 0_usize);
        let known: BTreeSet<&str> =
            schema.attributes().iter().flat_map(|attribute| attribute.sources()).collect();
        let mut forgotten = BTreeSet::new();
        for document in documents {
            let Labelled { metadata, label: former, .. } = &document;
            let label = schema.label_again(metadata, former);
            quarantined += usize::from(label.is_err() && !former.is_null());
            released += usize::from(label.is_ok() && former.is_null());
            let names = former.as_object().into_iter().flat_map(Map::keys);
            forgotten.extend(names.filter(|name| !known.contains(name.as_str())).cloned());
            let mut label = label.unwrap_or_else(|_| Label::quarantine());
            if document.held {
                held::set_former_label(&transaction, &document, &schema.describe(&label))?;
                label = Label::quarantine();
            }
            let id = catalogue::label_id(&transaction, schema, &label)?;
            catalogue::set_label(&transaction, &document, id)?;
        }
        manifest::clear(&transaction)?;
        catalogue::raise_revision(&transaction)?;
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

/// Warns of metadata keys of stored documents that look like an attribute's name. They came in
/// before the attribute was configured, or before such keys were refused, and restrict nobody.
pub(crate) fn names(connection: &mut Connection, schema: &Schema) -> Result<(), IndexError> {
    let wanted = schema.names();
    if catalogue::meta(connection, "names")?.as_ref() == Some(&wanted) {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    let keys = catalogue::metadata_keys(&transaction)?;
    let slips = keys.iter().filter_map(|(key, count)| Some((key, count, schema.meant_by(key)?)));
    let mut is_clean = true;
    for (key, documents, meant) in slips.take(MOST_NAMED) {
        is_clean = false;
        tracing::warn!(
            documents,
            ?key,
            attribute = meant,
            "stored documents have a metadata key that looks like an attribute and labels nothing; \
             ingest them again with the right key, or list it in the attribute's `distinct_from`"
        );
    }
    // As long as there are some, every start says so.
    if is_clean {
        catalogue::set_meta(&transaction, "names", &wanted)?;
    }
    Ok(transaction.commit()?)
}

/// Adds to `snapshot` the chunks that are in no segment's file, and moves them to files when they
/// are many.
pub(crate) fn chunks(
    connection: &mut Connection,
    folder: &Path,
    flush: usize,
    analyst: &Analyst,
    mut snapshot: Snapshot,
) -> Result<Snapshot, IndexError> {
    let space = Arc::clone(&snapshot.space);
    let mut last = manifest::flushed(connection)?;
    loop {
        let stored = catalogue::chunks_after(connection, last, space.dimensions, BATCH)?;
        let Some(end) = stored.last() else { return Ok(snapshot) };
        last = end.row;
        let contents = stored.iter().map(|chunk| (chunk.text.as_str(), chunk.vector.clone()));
        let analysed = analyst.analyse(contents.collect(), &space.coder);
        let fresh = stored.into_iter().zip(analysed).map(|(chunk, analysed)| FreshRow {
            row: chunk.row,
            label: chunk.label,
            id: chunk.id,
            analysed,
        });
        let segment = write(&[&Fresh::new(fresh.collect())], space.dimensions);
        snapshot.add(Part::new(segment, None));
        if let Some(parts) = compaction::plan(&snapshot, flush, false) {
            tracing::info!(row = last, "bringing the segments up to date");
            let file = manifest::next_file(connection)?;
            let path = manifest::path(folder, file);
            let made = compaction::make(parts, &path, file, space.dimensions, &|| false)?;
            let (next, unused) = made.install(connection, folder, &snapshot)?;
            snapshot = next;
            manifest::delete(&unused);
        }
    }
}
