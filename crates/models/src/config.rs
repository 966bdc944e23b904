//! What an operator may choose.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::endpoint::{Endpoint, required};
use crate::minilm::{self, MiniLm};
use crate::openai::{OpenAiChat, OpenAiEmbedder};
use crate::{ChatModel, Embedder, ModelError, Reranker, StaticEmbedder};

/// The `[embedding]` section: what turns text into vectors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddingConfig {
    /// Which embedder; default `static`.
    pub provider: EmbeddingProvider,
    /// Of an OpenAI-compatible endpoint, up to and without `/embeddings`.
    pub base_url: Option<String>,
    /// The model's name at the endpoint.
    pub model: Option<String>,
    /// The environment variable that holds the endpoint's key; default: no key is sent.
    pub api_key_env: Option<String>,
    /// The file that holds the endpoint's key; default: no key is sent.
    pub api_key_file: Option<PathBuf>,
    /// The length of the model's vectors.
    pub dimensions: Option<usize>,
    /// The share of the dense score in hybrid rankings, 0 to 1; default 0.4 for `static`, else 0.5.
    pub dense_weight: Option<f32>,
    /// Seconds for one request, from the first byte to the last; default 30, at most 600.
    pub timeout_seconds: Option<u64>,
    /// Texts in one request; default 64, at most 2,048.
    pub batch_size: Option<usize>,
    /// The section as it was when the stored vectors were made, until they are made anew.
    pub former: Option<Box<EmbeddingConfig>>,
}

/// The embedders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmbeddingProvider {
    /// The compiled-in table.
    #[default]
    Static,
    /// all-MiniLM-L6-v2 in this process, once its weights are fetched.
    MiniLm,
    /// An OpenAI-compatible endpoint.
    OpenAi,
}

/// An OpenAI-compatible chat endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChatConfig {
    /// The endpoint, up to and without `/chat/completions`.
    pub base_url: Option<String>,
    /// The model's name at the endpoint.
    pub model: Option<String>,
    /// The environment variable that holds the endpoint's key; default: no key is sent.
    pub api_key_env: Option<String>,
    /// The file that holds the endpoint's key; default: no key is sent.
    pub api_key_file: Option<PathBuf>,
    /// Seconds for one answer, from the first byte to the last; default 120, at most 600.
    pub timeout_seconds: Option<u64>,
    /// The most tokens that the model may write; default: what the endpoint does without it.
    pub max_tokens: Option<u32>,
    /// The model's temperature; default: what the endpoint does without it.
    pub temperature: Option<f32>,
}

/// The `[rerank]` section: what reads the best passages again and puts them in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RerankConfig {
    /// Which reranker; default `none`.
    pub provider: RerankProvider,
    /// The whole address, as `http://127.0.0.1:8080/rerank`.
    pub url: Option<String>,
    /// The environment variable that holds the reranker's key; default: no key is sent.
    pub api_key_env: Option<String>,
    /// The file that holds the reranker's key; default: no key is sent.
    pub api_key_file: Option<PathBuf>,
    /// The passages that are read again; default 50, at most 200.
    pub candidates: Option<usize>,
    /// Seconds for one request, from the first byte to the last; default 10, at most 600.
    pub timeout_seconds: Option<u64>,
}

/// The rerankers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RerankProvider {
    /// The search has the last word.
    #[default]
    None,
    /// A server that speaks as Text Embeddings Inference does.
    Http,
}

/// Makes the embedder that is configured. Nothing is asked over the network yet; weights are read
/// from `data_dir`.
///
/// # Errors
/// [`ModelError::Configuration`] names the key to change, or the command that fetches weights.
pub fn embedder(
    config: &EmbeddingConfig,
    data_dir: &Path,
) -> Result<Arc<dyn Embedder>, ModelError> {
    if config.dense_weight.is_some_and(|weight| !(0.0..=1.0).contains(&weight)) {
        return Err(refusal("embedding.dense_weight must lie between 0 and 1"));
    }
    match config.provider {
        EmbeddingProvider::Static => {
            config.refuse_keys_of_an_endpoint("static")?;
            let table = StaticEmbedder::built_in()?;
            let weight = config.dense_weight.unwrap_or_else(|| table.dense_weight());
            Ok(Arc::new(table.with_dense_weight(weight)))
        }
        EmbeddingProvider::MiniLm => {
            config.refuse_keys_of_an_endpoint("minilm")?;
            let weight = config.dense_weight.unwrap_or(minilm::DENSE_WEIGHT);
            Ok(Arc::new(MiniLm::open(data_dir, weight)?))
        }
        EmbeddingProvider::OpenAi => {
            let endpoint = Endpoint::new("embedding", &Access::from(config), 30)?;
            let model = required("embedding.model", config.model.as_deref())?.to_owned();
            let dimensions = bounded("embedding.dimensions", config.dimensions, 1, 65_536)?
                .ok_or_else(|| refusal("embedding.dimensions is missing; set it to the length of the model's vectors"))?;
            let batch_size =
                bounded("embedding.batch_size", config.batch_size, 1, 2048)?.unwrap_or(64);
            let weight = config.dense_weight.unwrap_or(0.5);
            Ok(Arc::new(OpenAiEmbedder::new(endpoint, model, dimensions, batch_size, weight)))
        }
    }
}

/// Makes the reranker that is configured, if any; nothing is asked over the network yet.
///
/// # Errors
/// [`ModelError::Configuration`] names the key to change.
pub fn reranker(config: &RerankConfig) -> Result<Option<Reranker>, ModelError> {
    match config.provider {
        RerankProvider::None if *config != RerankConfig::default() => Err(refusal(
            "rerank.provider \"none\" takes no other key of this section; remove them or set \
             provider = \"http\"",
        )),
        RerankProvider::None => Ok(None),
        RerankProvider::Http => {
            let endpoint = Endpoint::new("rerank", &Access::from(config), 10)?;
            let candidates = bounded("rerank.candidates", config.candidates, 1, 200)?;
            Ok(Some(Reranker::new(endpoint, candidates.unwrap_or(50))))
        }
    }
}

/// Makes the chat model that is configured; nothing is asked over the network yet.
///
/// # Errors
/// [`ModelError::Configuration`] names the key to change.
pub fn chat_model(config: &ChatConfig) -> Result<Arc<dyn ChatModel>, ModelError> {
    if config.temperature.is_some_and(|value| !(0.0..=2.0).contains(&value)) {
        return Err(refusal("answer.temperature must lie between 0 and 2"));
    }
    if config.max_tokens == Some(0) {
        return Err(refusal("answer.max_tokens must be at least 1"));
    }
    let endpoint = Endpoint::new("answer", &Access::from(config), 120)?;
    let model = required("answer.model", config.model.as_deref())?.to_owned();
    Ok(Arc::new(OpenAiChat::new(endpoint, model, config.max_tokens, config.temperature)))
}

impl EmbeddingConfig {
    /// Refuses the first key that is set though only an endpoint has a use for it.
    fn refuse_keys_of_an_endpoint(&self, provider: &str) -> Result<(), ModelError> {
        let keys = [
            ("base_url", self.base_url.is_some()),
            ("model", self.model.is_some()),
            ("api_key_env", self.api_key_env.is_some()),
            ("api_key_file", self.api_key_file.is_some()),
            ("dimensions", self.dimensions.is_some()),
            ("timeout_seconds", self.timeout_seconds.is_some()),
            ("batch_size", self.batch_size.is_some()),
        ];
        match keys.into_iter().find(|(_, set)| *set) {
            None => Ok(()),
            Some((key, _)) => Err(ModelError::Configuration(format!(
                "embedding.{key} means nothing to provider \"{provider}\"; remove it or set \
                 provider = \"openai\""
            ))),
        }
    }
}

/// What it takes to talk to an endpoint, whatever for.
pub(crate) struct Access<'a> {
    /// The key under which the configuration has the URL.
    pub(crate) url_key: &'static str,
    pub(crate) url: Option<&'a str>,
    pub(crate) api_key_env: Option<&'a str>,
    pub(crate) api_key_file: Option<&'a PathBuf>,
    pub(crate) timeout_seconds: Option<u64>,
}

impl<'a> From<&'a EmbeddingConfig> for Access<'a> {
    fn from(config: &'a EmbeddingConfig) -> Self {
        Self {
            url_key: "base_url",
            url: config.base_url.as_deref(),
            api_key_env: config.api_key_env.as_deref(),
            api_key_file: config.api_key_file.as_ref(),
            timeout_seconds: config.timeout_seconds,
        }
    }
}

impl<'a> From<&'a ChatConfig> for Access<'a> {
    fn from(config: &'a ChatConfig) -> Self {
        Self {
            url_key: "base_url",
            url: config.base_url.as_deref(),
            api_key_env: config.api_key_env.as_deref(),
            api_key_file: config.api_key_file.as_ref(),
            timeout_seconds: config.timeout_seconds,
        }
    }
}

impl<'a> From<&'a RerankConfig> for Access<'a> {
    fn from(config: &'a RerankConfig) -> Self {
        Self {
            url_key: "url",
            url: config.url.as_deref(),
            api_key_env: config.api_key_env.as_deref(),
            api_key_file: config.api_key_file.as_ref(),
            timeout_seconds: config.timeout_seconds,
        }
    }
}

/// A number within its limits, or the sentence that names them.
pub(crate) fn bounded<N: PartialOrd + std::fmt::Display>(
    key: &str,
    value: Option<N>,
    least: N,
    most: N,
) -> Result<Option<N>, ModelError> {
    match value {
        Some(value) if value < least || value > most => {
            Err(ModelError::Configuration(format!("{key} must lie between {least} and {most}")))
        }
        value => Ok(value),
    }
}

pub(crate) fn refusal(text: &str) -> ModelError {
    ModelError::Configuration(text.into())
}
