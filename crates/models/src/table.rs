//! The static embedder: a table of word pieces, summed.

use std::sync::{Arc, LazyLock};

use ahash::AHashMap;
use async_trait::async_trait;
use bytes::{Buf, Bytes};

use crate::word_pieces::{MAX_BYTES, WordPieces, readable};
use crate::{Embedder, ModelError};

static BUILT_IN: &[u8] = include_bytes!("../../../models/static/static-en-256.bin");
const MAGIC: &[u8] = b"SEM1";
const DENSE_WEIGHT: f32 = 0.4;
const MAX_TOKENS: usize = 512;

/// Below this, handing the work to other threads costs more than it saves.
const BYTES_WORTH_A_THREAD: usize = 16 * 1024;

/// Why bytes are not a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The first four bytes are not `SEM1`.
    #[error("it does not start with SEM1; use a table of this format")]
    Magic,
    /// The file is shorter or longer than its header says.
    #[error("it has {found} bytes where its header announces {announced}; copy the file again")]
    Length {
        /// What the header adds up to.
        announced: u64,
        /// What there is.
        found: u64,
    },
    /// No rows or no dimensions.
    #[error("it is empty; use a table with at least one row and one dimension")]
    Empty,
    /// The vocabulary is not one distinct UTF-8 line for each row.
    #[error("its vocabulary does not name each row once; build the table again")]
    Vocabulary,
    /// A scale is infinite or not a number.
    #[error("a scale is not a finite number; build the table again")]
    Scale,
}

/// Adds up one row of a compiled-in table for each word piece of a text: no download, no other
/// process, tens of thousands of passages a second.
///
/// Deterministic: the same text gives the same bits, alone or in a batch, on every thread.
/// A text without a known word piece gives the first unit vector, so that no vector is ever of
/// length zero.
#[derive(Clone, Debug)]
pub struct StaticEmbedder {
    id: String,
    dense_weight: f32,
    table: Arc<Table>,
}

struct Table {
    word_pieces: WordPieces,
    dimensions: usize,
    scales: Vec<f32>,
    rows: Bytes,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table")
            .field("rows", &self.scales.len())
            .field("dimensions", &self.dimensions)
            .finish_non_exhaustive()
    }
}

impl StaticEmbedder {
    /// The table that is compiled in; it is read once for the whole process.
    ///
    /// # Errors
    /// [`ModelError::Table`] when the file was damaged before it was compiled in.
    pub fn built_in() -> Result<Self, ModelError> {
        static EMBEDDER: LazyLock<Result<StaticEmbedder, TableError>> =
            LazyLock::new(|| StaticEmbedder::from_table(Bytes::from_static(BUILT_IN)));
        Ok(EMBEDDER.clone()?)
    }

    /// Reads a table of the format in `models/static/README.md`.
    ///
    /// # Errors
    /// [`TableError`] says what is wrong with the bytes.
    pub fn from_table(table: Bytes) -> Result<Self, TableError> {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &table);
        let table = Table::read(table)?;
        let digest: String =
            digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let id = format!("static-sem1-{}-{digest}", table.dimensions);
        Ok(Self { id, dense_weight: DENSE_WEIGHT, table: Arc::new(table) })
    }

    /// The same table with another share in hybrid rankings, 0 to 1.
    #[must_use]
    pub fn with_dense_weight(self, dense_weight: f32) -> Self {
        Self { dense_weight, ..self }
    }

    /// The vector of one text, of unit length.
    #[must_use]
    pub fn vector(&self, text: &str) -> Vec<f32> {
        self.table.vector(text)
    }

    /// How much a word says, by the table alone: about 0 for "the", several times more for a
    /// name.
    ///
    /// It stands in for an inverse document frequency that no document can move.
    #[must_use]
    pub fn salience(&self, word: &str) -> f32 {
        length(&self.table.sum(word))
    }
}

#[async_trait]
impl Embedder for StaticEmbedder {
    fn id(&self) -> &str {
        &self.id
    }

    fn dimensions(&self) -> usize {
        self.table.dimensions
    }

    fn dense_weight(&self) -> f32 {
        self.dense_weight
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, ModelError> {
        let bytes: usize = texts.iter().map(|text| text.len().min(MAX_BYTES)).sum();
        if bytes < BYTES_WORTH_A_THREAD {
            return Ok(texts.iter().map(|text| self.table.vector(text)).collect());
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let parts: Vec<_> = texts
            .chunks(texts.len().div_ceil(threads))
            .map(|part| {
                let part: Vec<String> = part.iter().map(|text| readable(text).into()).collect();
                let table = Arc::clone(&self.table);
                tokio::task::spawn_blocking(move || {
                    part.iter().map(|text| table.vector(text)).collect::<Vec<_>>()
                })
            })
            .collect();
        let mut vectors = Vec::with_capacity(texts.len());
        for part in parts {
            vectors.extend(part.await.map_err(|_| ModelError::Interrupted)?);
        }
        Ok(vectors)
    }
}

impl Table {
    fn read(mut file: Bytes) -> Result<Self, TableError> {
        if !file.starts_with(MAGIC) {
            return Err(TableError::Magic);
        }
        let found = file.len() as u64;
        file.advance(MAGIC.len());
        let mut header =
            || file.try_get_u32_le().map_err(|_| TableError::Length { announced: 16, found });
        let (rows, dimensions, vocabulary) = (header()?, header()?, header()?);
        if rows == 0 || dimensions == 0 {
            return Err(TableError::Empty);
        }
        // At most 2^32 × (2^32 + 4) + 2^32 + 16, which saturates instead of wrapping.
        let announced = u64::from(rows)
            .saturating_mul(u64::from(dimensions) + 4)
            .saturating_add(u64::from(vocabulary) + 16);
        if announced != found {
            return Err(TableError::Length { announced, found });
        }
        let word_pieces = word_pieces(&file.split_to(vocabulary as usize), rows)?;
        let scales: Vec<f32> =
            std::iter::from_fn(|| file.try_get_f32_le().ok()).take(rows as usize).collect();
        if !scales.iter().all(|scale| scale.is_finite()) {
            return Err(TableError::Scale);
        }
        Ok(Self { word_pieces, dimensions: dimensions as usize, scales, rows: file })
    }

    fn vector(&self, text: &str) -> Vec<f32> {
        unit(self.sum(text))
    }

    fn sum(&self, text: &str) -> Vec<f32> {
        let mut sum = vec![0.0; self.dimensions];
        for id in self.word_pieces.ids(text, MAX_TOKENS) {
            let start = id as usize * self.dimensions;
            let row = self.rows.get(start..start + self.dimensions);
            if let (Some(row), Some(scale)) = (row, self.scales.get(id as usize)) {
                for (total, value) in sum.iter_mut().zip(row) {
                    *total += scale * f32::from(value.cast_signed());
                }
            }
        }
        sum
    }
}

fn word_pieces(vocabulary: &[u8], rows: u32) -> Result<WordPieces, TableError> {
    let entries = std::str::from_utf8(vocabulary).map_err(|_| TableError::Vocabulary)?;
    let ids: AHashMap<String, u32> = entries.split('\n').map(str::to_owned).zip(0..).collect();
    if ids.len() != rows as usize || entries.split('\n').count() != rows as usize {
        return Err(TableError::Vocabulary);
    }
    WordPieces::new(ids).ok_or(TableError::Vocabulary)
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|value| value * value).sum::<f32>().sqrt()
}

/// The vector at unit length; the first unit vector when it has no direction.
pub(crate) fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    if !normalise(&mut vector) {
        vector.fill(0.0);
        if let Some(first) = vector.first_mut() {
            *first = 1.0;
        }
    }
    vector
}

/// Scales to unit length; false, and nothing changed, when there is no direction to keep.
pub(crate) fn normalise(vector: &mut [f32]) -> bool {
    let length = length(vector);
    if !length.is_normal() {
        return false;
    }
    for value in vector {
        *value /= length;
    }
    true
}
