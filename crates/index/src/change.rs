//! One write: what it does to the catalogue, and to what searches see.

pub(crate) mod contributors;
pub(crate) mod held;
pub(crate) mod ownership;

use std::thread;

use bailiwick_policy::{Label, LabelId, Schema};
use rusqlite::{Connection, Transaction};
use serde_json::{Map, Value};

use crate::IndexError;
use crate::analyst::Analyst;
use crate::catalogue::{self, Former};
use crate::segment::{Analysed, Fresh, FreshRow, write};
use crate::snapshot::{Part, Snapshot};
use crate::space::Space;
use crate::types::{CONTRIBUTOR_STAMPS, ChunkId, DocumentId, NewDocument, TEXT_CONTRIBUTOR_STAMP};

/// A write that is neither durable nor visible yet. Dropped, it leaves everything as it was.
pub(crate) struct Change<'a> {
    schema: &'a Schema,
    transaction: Transaction<'a>,
    labels: Vec<Label>,
    fresh: Vec<FreshRow>,
    /// The first row that this write gives, and the next.
    first_row: i64,
    next_row: i64,
    /// The state before, without what this write removes.
    next: Snapshot,
}

/// What a write leaves to be done once the catalogue has it.
pub(crate) struct Committed {
    /// New or known, in the order in which they got their numbers.
    pub(crate) labels: Vec<Label>,
    pub(crate) snapshot: Snapshot,
}

impl<'a> Change<'a> {
    /// Begins a write on the state `before`.
    pub(crate) fn begin(
        connection: &'a mut Connection,
        schema: &'a Schema,
        before: Snapshot,
    ) -> Result<Self, IndexError> {
        let transaction = connection.transaction()?;
        let first_row = catalogue::next_row(&transaction)?;
        Ok(Self {
            schema,
            transaction,
            labels: Vec::new(),
            fresh: Vec::new(),
            first_row,
            next_row: first_row,
            next: before,
        })
    }

    /// Makes the write durable. What is searched next is made, and tidied by `tidy`, while the disk
    /// confirms.
    pub(crate) fn commit(
        self,
        tidy: impl FnOnce(&mut Snapshot) + Send,
    ) -> Result<Committed, IndexError> {
        let Self { transaction, labels, fresh, next_row, mut next, .. } = self;
        next.revision += 1;
        catalogue::set_next_row(&transaction, next_row)?;
        catalogue::set_meta(&transaction, "revision", &next.revision.to_string())?;
        let snapshot = thread::scope(|scope| {
            let making = scope.spawn(|| {
                if !fresh.is_empty() {
                    let segment = write(&[&Fresh::new(fresh)], next.space.dimensions);
                    next.add(Part::new(segment, None));
                }
                tidy(&mut next);
                next
            });
            failpoint!("write-before-commit");
            transaction.commit()?;
            making.join().map_err(|_| IndexError::Stopped("a write panicked".to_owned()))
        })?;
        Ok(Committed { labels, snapshot })
    }

    /// The label of a stored document, if there is such a document.
    pub(crate) fn label_of(&self, id: &DocumentId) -> Result<Option<LabelId>, IndexError> {
        Ok(catalogue::find(&self.transaction, id)?.map(|former| former.label))
    }

    /// Removes a document, and counts its chunks; none when there is no such document.
    pub(crate) fn remove(&mut self, id: &DocumentId) -> Result<Option<usize>, IndexError> {
        let Some(former) = catalogue::find(&self.transaction, id)? else { return Ok(None) };
        catalogue::delete(&self.transaction, &former)?;
        self.hide(&former);
        Ok(Some(former.chunks.len()))
    }

    fn hide(&mut self, former: &Former) {
        for row in &former.chunks {
            self.next.remove(former.label, *row);
        }
        if former.chunks.last().is_some_and(|row| *row >= self.first_row) {
            self.fresh.retain(|fresh| !former.chunks.contains(&fresh.row));
        }
    }

    /// Inserts a document whose id is free. Its vectors must be of the space that the index is in
    /// now, which may have changed since they were analysed.
    pub(crate) fn insert(
        &mut self,
        document: &NewDocument,
        chunks: Vec<Analysed>,
    ) -> Result<(), IndexError> {
        self.next.space.check(&document.space)?;
        let label = self.label(&document.label)?;
        let vectors = chunks.iter().map(|chunk| chunk.vector.as_slice());
        catalogue::insert(&self.transaction, document, label, self.next_row, vectors)?;
        for (n, analysed) in (0..).zip(chunks) {
            let id = ChunkId { document: document.id.clone(), n };
            self.fresh.push(FreshRow { row: self.next_row, label, id, analysed });
            self.next_row += 1;
        }
        self.note_contributors(document)
    }

    /// Gives a document other metadata and another label, and counts its chunks; none when there
    /// is no such document. It stays known who brought the text.
    pub(crate) fn relabel(
        &mut self,
        id: &DocumentId,
        mut metadata: Map<String, Value>,
        label: &Label,
        contributors: &[String],
        analyst: &Analyst,
    ) -> Result<Option<usize>, IndexError> {
        let former = catalogue::document(&self.transaction, id)?;
        let Some((former, _)) = former else { return Ok(None) };
        let text = [TEXT_CONTRIBUTOR_STAMP].iter().chain(&CONTRIBUTOR_STAMPS);
        let text = text.filter_map(|name| former.metadata.get(*name)).next();
        if let Some(text) = text
            && !CONTRIBUTOR_STAMPS.iter().any(|name| metadata.get(*name) == Some(text))
        {
            metadata.insert(TEXT_CONTRIBUTOR_STAMP.to_owned(), text.clone());
        }
        self.note_label_contributors(id, &metadata, contributors)?;
        match self.quarantined_contributor(id)? {
            Some(agent) => {
                self.keep_label(id, &agent, label)?;
                self.move_to(id, &metadata, &Label::quarantine(), analyst)
            }
            None => {
                // What was held for its label alone has another's label now.
                self.forget_label(id)?;
                self.move_to(id, &metadata, label, analyst)
            }
        }
    }

    /// Moves a document's chunks to another label. They are analysed again, as if they were new.
    fn move_to(
        &mut self,
        id: &DocumentId,
        metadata: &Map<String, Value>,
        label: &Label,
        analyst: &Analyst,
    ) -> Result<Option<usize>, IndexError> {
        let Some(former) = catalogue::find(&self.transaction, id)? else { return Ok(None) };
        let new = self.label(label)?;
        self.hide(&former);
        catalogue::relabel(&self.transaction, &former, metadata, new, self.next_row)?;
        let (before, count) = (self.next_row - 1, former.chunks.len());
        let Space { dimensions, coder, .. } = &*self.next.space;
        let moved = catalogue::chunks_after(&self.transaction, before, *dimensions, count)?;
        let contents = moved.iter().map(|chunk| (chunk.text.as_str(), chunk.vector.clone()));
        let analysed = analyst.analyse(contents.collect(), coder);
        for (chunk, analysed) in moved.iter().zip(analysed) {
            let id = chunk.id.clone();
            self.fresh.push(FreshRow { row: chunk.row, label: new, id, analysed });
        }
        self.next_row += count as i64;
        Ok(Some(count))
    }

    fn label(&mut self, label: &Label) -> Result<LabelId, IndexError> {
        let id = catalogue::label_id(&self.transaction, self.schema, label)?;
        self.labels.push(label.clone());
        Ok(id)
    }
}
