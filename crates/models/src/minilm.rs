//! all-MiniLM-L6-v2, run in this process.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::TryStreamExt;
use futures::stream;
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::bert::Bert;
use crate::table::unit;
use crate::weights::MINILM;
use crate::word_pieces::{WordPieces, readable};
use crate::{Embedder, ModelError};

pub(crate) const DENSE_WEIGHT: f32 = 0.5;
const HEADS: usize = 12;

/// What the model was trained to read, with the two tokens that begin and end a text.
const MAX_PIECES: usize = 256;

/// Runs one text at a time on one core each, on as many cores as there are.
///
/// Texts take turns in the order in which they come, and a batch stands in line with no more
/// texts than there are cores: a question waits for the texts under way, not for the batch.
#[derive(Debug)]
pub(crate) struct MiniLm {
    id: String,
    dense_weight: f32,
    model: Arc<Model>,
    turns: Arc<Semaphore>,
    cores: usize,
}

struct Model {
    word_pieces: WordPieces,
    bert: Bert,
    /// `[CLS]` and `[SEP]`.
    ends: [u32; 2],
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("dimensions", &self.bert.hidden()).finish_non_exhaustive()
    }
}

impl MiniLm {
    /// Reads the weights that [`crate::fetch()`] brought, about 90 MB, and checks every byte.
    pub(crate) fn open(data_dir: &Path, dense_weight: f32) -> Result<Self, ModelError> {
        let weights = MINILM.read(MINILM.weights(), data_dir)?;
        let tokenizer = MINILM.read(MINILM.tokenizer(), data_dir)?;
        let model = Model::read(&weights, &tokenizer)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            id: MINILM.id(),
            dense_weight,
            model: Arc::new(model),
            turns: Arc::new(Semaphore::new(cores)),
            cores,
        })
    }

    async fn embed_one(&self, text: &str) -> Result<Vec<f32>, ModelError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| ModelError::Interrupted)?;
        let (model, text) = (Arc::clone(&self.model), readable(text).to_owned());
        let work = tokio::task::spawn_blocking(move || {
            let vector = model.vector(&text);
            // Here and not outside: whoever hangs up still keeps the core busy until now.
            drop(turn);
            vector
        });
        work.await.map_err(|_| ModelError::Interrupted)
    }
}

#[async_trait]
impl Embedder for MiniLm {
    fn id(&self) -> &str {
        &self.id
    }

    fn dimensions(&self) -> usize {
        self.model.bert.hidden()
    }

    fn dense_weight(&self) -> f32 {
        self.dense_weight
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, ModelError> {
        let vectors: Vec<_> = texts.iter().map(|text| self.embed_one(text)).collect();
        stream::iter(vectors).buffered(self.cores).try_collect().await
    }
}

impl Model {
    /// `tokenizer` is a `tokenizer.json`, of which the vocabulary is read: all else in it is what
    /// [`WordPieces`] does.
    fn read(weights: &[u8], tokenizer: &[u8]) -> Result<Self, ModelError> {
        #[derive(Deserialize)]
        struct TokenizerFile {
            model: WordPiece,
        }
        #[derive(Deserialize)]
        struct WordPiece {
            vocab: HashMap<String, u32>,
        }
        let damaged = |cause: String| ModelError::Weights(cause);
        let file: TokenizerFile =
            serde_json::from_slice(tokenizer).map_err(|error| damaged(error.to_string()))?;
        let bert = Bert::read(weights, HEADS).map_err(|error| damaged(error.to_string()))?;
        let vocabulary = file.model.vocab.into_iter().collect();
        let word_pieces = WordPieces::new(vocabulary);
        let word_pieces = word_pieces.ok_or_else(|| damaged("no [UNK]".into()))?;
        let (Some(start), Some(end)) = (word_pieces.id("[CLS]"), word_pieces.id("[SEP]")) else {
            return Err(damaged("no [CLS] or no [SEP]".into()));
        };
        Ok(Self { word_pieces, bert, ends: [start, end] })
    }

    fn vector(&self, text: &str) -> Vec<f32> {
        let [start, end] = self.ends;
        let mut ids = vec![start];
        ids.extend(self.word_pieces.ids(text, MAX_PIECES - 2));
        ids.push(end);
        unit(self.bert.mean(&ids))
    }
}
