//! The client for rerankers that speak as Text Embeddings Inference does.

use futures::future::try_join_all;
use serde::Deserialize;
use serde_json::json;

use crate::ModelError;
use crate::endpoint::{Endpoint, read};

/// What Text Embeddings Inference takes in one request unless it is told otherwise.
const TEXTS_IN_A_REQUEST: usize = 32;
/// One rank takes about 50 bytes of JSON; some servers repeat more.
const MAX_BYTES_PER_RANK: usize = 1024;
const MAX_ENVELOPE_BYTES: usize = 64 * 1024;

/// Says how well each of a few texts answers a question: slower than a search and better, because
/// it reads both together.
#[derive(Clone, Debug)]
pub struct Reranker {
    endpoint: Endpoint,
    candidates: usize,
}

#[derive(Deserialize)]
struct Rank {
    index: usize,
    score: f32,
}

impl Reranker {
    pub(crate) fn new(endpoint: Endpoint, candidates: usize) -> Self {
        Self { endpoint, candidates }
    }

    /// How many texts are worth its while.
    #[must_use]
    pub fn candidates(&self) -> usize {
        self.candidates
    }

    /// A finite score for each text, in order; higher is better.
    ///
    /// # Errors
    /// [`ModelError`] when the reranker is out of reach or answers nonsense; never a partial
    /// result.
    pub async fn scores(&self, question: &str, texts: &[&str]) -> Result<Vec<f32>, ModelError> {
        let requests = texts.chunks(TEXTS_IN_A_REQUEST).map(|texts| self.ask(question, texts));
        Ok(try_join_all(requests).await?.concat())
    }

    async fn ask(&self, question: &str, texts: &[&str]) -> Result<Vec<f32>, ModelError> {
        let body =
            json!({ "query": question, "texts": texts, "truncate": true, "return_text": false });
        let response = self.endpoint.post("", &body).await?;
        let body = read(response, texts.len() * MAX_BYTES_PER_RANK + MAX_ENVELOPE_BYTES).await?;
        let unreadable = |cause: &str| {
            tracing::warn!(cause, "a reranker sent an unreadable response");
            ModelError::Unreadable
        };
        let ranks: Vec<Rank> =
            bailiwick_json::read(&body).map_err(|_| unreadable("not a list of ranks"))?;
        let mut scores = vec![None; texts.len()];
        for Rank { index, score } in ranks {
            match scores.get_mut(index) {
                Some(place) if place.is_none() && score.is_finite() => *place = Some(score),
                _ => return Err(unreadable("an index twice or out of range, or no finite score")),
            }
        }
        scores.into_iter().collect::<Option<_>>().ok_or_else(|| unreadable("too few scores"))
    }
}
