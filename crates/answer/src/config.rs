//! What an operator may choose.

use std::path::PathBuf;
use std::sync::Arc;

use bailiwick_models::{ChatConfig, chat_model};
use serde::{Deserialize, Serialize};

use crate::generated::Generated;
use crate::{AnswerError, Answerer, Extractive};

/// The `[answer]` section: what makes an answer of the sources.
///
/// It repeats the keys of [`ChatConfig`], because serde does not check unknown keys of a
/// flattened struct by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnswerConfig {
    /// Which answerer; default `extractive`.
    pub provider: AnswerProvider,
    /// See [`ChatConfig::base_url`].
    pub base_url: Option<String>,
    /// See [`ChatConfig::model`].
    pub model: Option<String>,
    /// See [`ChatConfig::api_key_env`].
    pub api_key_env: Option<String>,
    /// See [`ChatConfig::api_key_file`].
    pub api_key_file: Option<PathBuf>,
    /// See [`ChatConfig::timeout_seconds`].
    pub timeout_seconds: Option<u64>,
    /// See [`ChatConfig::max_tokens`].
    pub max_tokens: Option<u32>,
    /// See [`ChatConfig::temperature`].
    pub temperature: Option<f32>,
}

/// The answerers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerProvider {
    /// Sentences of the sources, quoted; built in.
    #[default]
    Extractive,
    /// A language model at an OpenAI-compatible endpoint.
    OpenAi,
}

impl AnswerConfig {
    fn chat(&self) -> ChatConfig {
        ChatConfig {
            base_url: self.base_url.clone(),
            model: self.model.clone(),
            api_key_env: self.api_key_env.clone(),
            api_key_file: self.api_key_file.clone(),
            timeout_seconds: self.timeout_seconds,
            max_tokens: self.max_tokens,
            temperature: self.temperature,
        }
    }
}

/// Makes the answerer that is configured; nothing is asked over the network yet.
///
/// # Errors
/// The configuration cannot work; the text names the key to change.
pub fn answerer(config: &AnswerConfig) -> Result<Arc<dyn Answerer>, AnswerError> {
    match config.provider {
        AnswerProvider::Extractive if config.chat() != ChatConfig::default() => {
            Err(AnswerError::Configuration(
                "answer.provider \"extractive\" takes no other key of this section; remove them \
                 or set provider = \"openai\""
                    .into(),
            ))
        }
        AnswerProvider::Extractive => Ok(Arc::new(Extractive::new()?)),
        AnswerProvider::OpenAi => Ok(Arc::new(Generated::new(chat_model(&config.chat())?))),
    }
}
