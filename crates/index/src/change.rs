//! One write: what it does to the catalogue, the words and the vectors.

use bailiwick_policy::{Label, Schema};
use rusqlite::{Connection, Transaction};
use serde_json::{Map, Value};

use crate::IndexError;
use crate::catalogue;
use crate::dense::Blocks;
use crate::lexical::{Lexical, Words};
use crate::types::{DocumentId, NewDocument};

/// A write that is neither committed nor visible yet. Dropped, it leaves the catalogue as it was.
pub(crate) struct Change<'a> {
    schema: &'a Schema,
    labels: Vec<Label>,
    lexical: &'a mut Lexical,
    transaction: Transaction<'a>,
    blocks: Blocks,
    revision: u64,
}

/// What a write leaves to be done once the catalogue has it.
pub(crate) struct Committed {
    /// New or known, in the order in which they got their numbers.
    pub(crate) labels: Vec<Label>,
    pub(crate) blocks: Blocks,
    pub(crate) revision: u64,
}

impl<'a> Change<'a> {
    /// Begins the next revision; `blocks` are the vectors of the one before.
    pub(crate) fn begin(
        connection: &'a mut Connection,
        schema: &'a Schema,
        lexical: &'a mut Lexical,
        blocks: Blocks,
    ) -> Result<Self, IndexError> {
        let transaction = connection.transaction()?;
        let revision = catalogue::revision(&transaction)? + 1;
        Ok(Self { schema, labels: Vec::new(), lexical, transaction, blocks, revision })
    }

    /// Makes the write durable. The words are not searchable before they are committed too.
    pub(crate) fn commit(self) -> Result<Committed, IndexError> {
        let Self { labels, transaction, blocks, revision, .. } = self;
        catalogue::set_meta(&transaction, "revision", &revision.to_string())?;
        transaction.commit()?;
        Ok(Committed { labels, blocks, revision })
    }

    /// Removes a document, and counts its chunks; none when there is no such document.
    pub(crate) fn remove(&mut self, id: &DocumentId) -> Result<Option<usize>, IndexError> {
        let Some((former, chunks)) = catalogue::delete(&self.transaction, id, self.revision)?
        else {
            return Ok(None);
        };
        self.lexical.remove(former.row);
        for chunk in &chunks {
            self.blocks.remove(former.label, *chunk);
        }
        Ok(Some(chunks.len()))
    }

    /// Inserts a document whose id is free.
    pub(crate) fn insert(&mut self, document: &NewDocument) -> Result<(), IndexError> {
        let label = catalogue::label_id(&self.transaction, self.schema, &document.label)?;
        self.labels.push(document.label.clone());
        let lexical = &*self.lexical;
        let count = |text: &str| lexical.count_words(text);
        let chunks = catalogue::insert(&self.transaction, document, label, self.revision, count)?;
        for chunk in chunks {
            self.lexical.add(&chunk.words())?;
            self.blocks.insert(label, chunk.entry);
        }
        Ok(())
    }

    /// Moves a document to another label, and counts its chunks; none when there is no such document.
    pub(crate) fn relabel(
        &mut self,
        id: &DocumentId,
        metadata: &Map<String, Value>,
        label: &Label,
    ) -> Result<Option<usize>, IndexError> {
        let Some(former) = catalogue::find(&self.transaction, id)? else {
            return Ok(None);
        };
        let new = catalogue::label_id(&self.transaction, self.schema, label)?;
        self.labels.push(label.clone());
        catalogue::relabel(&self.transaction, former.row, metadata, new, self.revision)?;
        let chunks = catalogue::chunk_rows(&self.transaction, former.row)?;
        self.lexical.remove(former.row);
        for chunk in &chunks {
            if let Some(entry) = self.blocks.remove(former.label, *chunk) {
                self.blocks.insert(new, entry);
            }
            let passage = catalogue::passage(&self.transaction, *chunk)?;
            if let Some(passage) = passage {
                self.lexical.add(&Words {
                    chunk: *chunk,
                    document: former.row,
                    label: new,
                    text: &passage.text,
                })?;
            }
        }
        Ok(Some(chunks.len()))
    }
}
