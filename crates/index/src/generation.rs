//! The next generation of vectors: another embedder's, made beside those that are searched, and put
//! in their place when every chunk has one.

use std::sync::Arc;

use half::f16;
use rusqlite::{Connection, params};

use crate::catalogue::{self, EMBEDDER};
use crate::embedded::Inner;
use crate::space::Space;
use crate::{EmbeddedIndex, IndexError, manifest, memory};

/// The embedder of the next generation, described as [`EMBEDDER`] is.
const NEXT_EMBEDDER: &str = "next_embedder";

/// There is such a table as long as there is such a generation. It follows the chunks as the table
/// of the searched vectors does.
const TABLE: &str = "
    CREATE TABLE next_vectors (
        chunk INTEGER PRIMARY KEY REFERENCES chunks (row) ON DELETE CASCADE ON UPDATE CASCADE,
        vector BLOB NOT NULL
    ) STRICT";

/// Gives up what is there of a next generation.
const GIVE_UP: &str = "
    DROP TABLE IF EXISTS next_vectors;
    DELETE FROM meta WHERE name = 'next_embedder'";

/// The vectors of another embedder, as far as they are made.
///
/// Searches and writes go on with the present ones. What is stored here outlives the process, and
/// the next one goes on from there. Texts leave the index only to be embedded.
///
/// ```text
/// while let Some(texts) = generation.next(256).await? {
///     generation.store(embedder.embed(&texts).await?).await?;
/// }
/// ```
#[derive(Debug)]
pub struct Generation {
    index: EmbeddedIndex,
    space: Arc<Space>,
    /// All chunks up to here have a vector, or are gone.
    last: i64,
    /// The chunks whose texts were given last.
    given: Vec<i64>,
    done: u64,
}

impl EmbeddedIndex {
    /// Begins to replace the vectors by those of another embedder, or goes on with it; none when
    /// they are that embedder's already. What was made of a third one's is given up.
    ///
    /// # Errors
    /// When the database fails, or the machine's memory cannot hold the new vectors.
    pub async fn next_generation(
        &self,
        embedder: &str,
        dimensions: usize,
    ) -> Result<Option<Generation>, IndexError> {
        let embedder = embedder.to_owned();
        let begin = move |inner: &Inner| {
            memory::check_change(&inner.state.snapshot.load(), dimensions, inner.memory)?;
            inner.state.begin(&embedder, dimensions)
        };
        let begun = self.blocking(begin).await?;
        let Some((space, done)) = begun else { return Ok(None) };
        Ok(Some(Generation { index: self.clone(), space, last: 0, given: Vec::new(), done }))
    }
}

impl Generation {
    /// The texts of at most `most` chunks that have no vector yet. None: every chunk has one, and
    /// the index has changed to them.
    ///
    /// # Errors
    /// When the database fails, or another generation was begun. The change can be tried again.
    pub async fn next(&mut self, most: usize) -> Result<Option<Vec<String>>, IndexError> {
        loop {
            let (space, last) = (Arc::clone(&self.space), self.last);
            let step = move |inner: &Inner| {
                let found = inner.catalogue.read(|connection| missing(connection, last, most))?;
                Ok((found.is_empty() && inner.state.change_space(&space, last)?, found))
            };
            let (changed, found) = self.index.blocking(step).await?;
            if changed {
                return Ok(None);
            }
            // A write may have brought chunks since this looked for them.
            if !found.is_empty() {
                let (given, texts) = found.into_iter().unzip();
                self.given = given;
                return Ok(Some(texts));
            }
        }
    }

    /// Stores the vectors of the texts that [`Generation::next`] gave last, in their order.
    ///
    /// # Errors
    /// When a vector is not one of this space, when the database fails, or when another generation
    /// was begun.
    pub async fn store(&mut self, vectors: Vec<Vec<f32>>) -> Result<(), IndexError> {
        let (space, given) = (Arc::clone(&self.space), std::mem::take(&mut self.given));
        let Some(last) = given.iter().take(vectors.len()).next_back().copied() else {
            return Ok(());
        };
        self.done += vectors.len() as u64;
        let step = move |inner: &Inner| {
            let vectors = vectors.iter().map(|vector| space.stored(&space.embedder, vector));
            let vectors = vectors.collect::<Result<Vec<_>, _>>()?;
            inner.state.store_next(&space, &given, &vectors)
        };
        self.index.blocking(step).await?;
        self.last = last;
        Ok(())
    }

    /// How many chunks have a vector.
    pub fn done(&self) -> u64 {
        self.done.min(self.total())
    }

    /// How many chunks there are now.
    pub fn total(&self) -> u64 {
        self.index.0.state.snapshot.load().len()
    }
}

/// Begins a generation or goes on with it, and counts the vectors that it has.
pub(crate) fn begin(connection: &mut Connection, space: &Space) -> Result<u64, IndexError> {
    let description = space.to_string();
    let transaction = connection.transaction()?;
    if catalogue::meta(&transaction, NEXT_EMBEDDER)?.as_ref() != Some(&description) {
        transaction.execute_batch(GIVE_UP)?;
        transaction.execute_batch(TABLE)?;
        catalogue::set_meta(&transaction, NEXT_EMBEDDER, &description)?;
    }
    transaction.commit()?;
    let sql = "SELECT count(*) FROM next_vectors";
    Ok(connection.query_row(sql, [], |row| row.get::<_, u32>(0))?.into())
}

pub(crate) fn give_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(GIVE_UP)
}

/// The first `most` chunks after the row `last` that have no vector yet. Chunks that are new, or
/// moved to another label, have later rows than all others, so going through them once is enough.
pub(crate) fn missing(
    connection: &Connection,
    last: i64,
    most: usize,
) -> Result<Vec<(i64, String)>, IndexError> {
    let mut statement = connection.prepare_cached(
        "SELECT row, text FROM chunks WHERE row > ?
         AND NOT EXISTS (SELECT 1 FROM next_vectors WHERE chunk = row)
         ORDER BY row LIMIT ?",
    )?;
    let found =
        statement.query_map(params![last, most as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Stores vectors of chunks, but for chunks that are gone or moved.
pub(crate) fn store(
    connection: &mut Connection,
    chunks: &[i64],
    vectors: &[Vec<f16>],
) -> Result<(), IndexError> {
    let transaction = connection.transaction()?;
    {
        let mut statement = transaction.prepare_cached(
            "INSERT OR REPLACE INTO next_vectors SELECT row, ? FROM chunks WHERE row = ?",
        )?;
        for (chunk, vector) in chunks.iter().zip(vectors) {
            statement.execute(params![catalogue::bytes(vector), chunk])?;
        }
    }
    Ok(transaction.commit()?)
}

/// Puts the next generation in the place of the present one. What is derived has to be made anew.
pub(crate) fn replace(connection: &mut Connection, space: &Space) -> Result<(), IndexError> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(
        "DROP TABLE vectors; ALTER TABLE next_vectors RENAME TO vectors;
         DELETE FROM meta WHERE name = 'next_embedder'",
    )?;
    catalogue::set_meta(&transaction, EMBEDDER, &space.to_string())?;
    manifest::clear(&transaction)?;
    catalogue::raise_revision(&transaction)?;
    failpoint!("generation-before-commit");
    transaction.commit()?;
    failpoint!("generation-after-commit");
    Ok(())
}
