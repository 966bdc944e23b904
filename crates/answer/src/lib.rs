#![doc = include_str!("../README.md")]

mod citations;
mod config;
mod extractive;
mod generated;
mod score;
mod sentences;
mod words;

use std::fmt::Debug;

use async_trait::async_trait;
use bailiwick_index::Hits;
use bailiwick_models::ModelError;
use futures::stream::BoxStream;

pub use config::{AnswerConfig, AnswerProvider, answerer};
pub use extractive::{Extractive, Quote};

/// The whole answer when no permitted source answers the question.
pub const NOTHING_ANSWERS: &str = "Nothing that you may read answers this.";

/// Answers a question from the hits that it is given, and from nothing else.
#[async_trait]
pub trait Answerer: Send + Sync + Debug {
    /// The answer in pieces of text, which make the answer when they are joined.
    ///
    /// `[n]` in it cites the n-th hit, counted from 1.
    ///
    /// # Errors
    /// [`AnswerError`] when no answer can be begun; a failure on the way is the stream's last
    /// item.
    async fn answer(
        &self,
        question: &str,
        hits: &Hits,
    ) -> Result<BoxStream<'static, Result<String, AnswerError>>, AnswerError>;
}

/// Why there is no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The configuration cannot work. For the operator.
    #[error("{0}")]
    Configuration(String),
    /// The language model or the embedder gave nothing.
    #[error(transparent)]
    Model(#[from] ModelError),
}
