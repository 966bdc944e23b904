//! `bailiwick.toml`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use bailiwick_answer::AnswerConfig;
use bailiwick_authority::{AuthorityConfig, CollectionConfig};
use bailiwick_identity::IdentityConfig;
use bailiwick_models::EmbeddingConfig;
use bailiwick_policy::{AttributeConfig, PolicyConfig};
use serde::Deserialize;

/// The whole configuration. Unknown keys are errors; paths are relative to the current directory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where the server listens. Default: `127.0.0.1:8321`.
    #[serde(default = "default_listen")]
    pub(crate) listen: std::net::SocketAddr,
    /// Where people reach it. Default: `http://` and `listen`.
    pub(crate) public_url: Option<String>,
    /// Where everything is kept. Default: `./data`.
    #[serde(default = "default_data_dir")]
    pub(crate) data_dir: PathBuf,
    /// Who may ask.
    pub(crate) identity: IdentityConfig,
    /// What a label is made of.
    #[serde(default, rename = "attribute")]
    pub(crate) attributes: Vec<AttributeConfig>,
    /// Who may read what. Default: nobody anything.
    #[serde(default = "default_policy")]
    pub(crate) policy: PolicyConfig,
    /// Text → vectors. Default: the built-in static table.
    #[serde(default)]
    pub(crate) embedding: EmbeddingConfig,
    /// Hits → answer. Default: quoted sentences.
    #[serde(default)]
    pub(crate) answer: AnswerConfig,
    /// Who issues delegation tokens.
    pub(crate) authority: AuthorityConfig,
    /// What the vault protects.
    #[serde(default)]
    pub(crate) vault: VaultTable,
    /// Who administers. Default: nobody.
    pub(crate) admin: Option<AdminTable>,
    /// What the web app tells the identity provider.
    #[serde(default)]
    pub(crate) app: AppTable,
    /// What a request may ask for.
    #[serde(default)]
    pub(crate) limits: LimitsTable,
}

/// `[vault]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VaultTable {
    #[serde(default, rename = "collection")]
    pub(crate) collections: Vec<CollectionConfig>,
}

/// `[admin]`: the claim that makes an administrator.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdminTable {
    pub(crate) claim: String,
    pub(crate) value: String,
}

/// `[app]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AppTable {
    /// Default: `bailiwick-app`.
    pub(crate) client_id: String,
    /// Default: `openid`, `profile`.
    pub(crate) scopes: Vec<String>,
}

impl Default for AppTable {
    fn default() -> Self {
        Self { client_id: "bailiwick-app".into(), scopes: vec!["openid".into(), "profile".into()] }
    }
}

/// `[limits]`. Defaults: those of [`bailiwick_server::Limits`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsTable {
    /// The longest question, in bytes.
    pub(crate) query_bytes: Option<usize>,
    /// The most sources that a question may ask for.
    pub(crate) top_k: Option<usize>,
    /// The largest batch of documents, in bytes.
    pub(crate) documents_bytes: Option<usize>,
    /// Requests under way at once.
    pub(crate) concurrency: Option<usize>,
}

fn default_listen() -> std::net::SocketAddr {
    std::net::SocketAddr::from(([127, 0, 0, 1], 8321))
}

fn default_data_dir() -> PathBuf {
    "./data".into()
}

fn default_policy() -> PolicyConfig {
    PolicyConfig { engine: "rules".into(), rule: vec![], any: vec![], all: vec![] }
}

impl Config {
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("no configuration at {}; name one with --config", path.display())
        })?;
        Self::parse(&text, path)
    }

    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self> {
        toml::from_str(text).map_err(|error| {
            let line = error
                .span()
                .map(|span| text.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1);
            let place = line.map_or_else(String::new, |line| format!(", line {line}"));
            let hint = nearest(error.message())
                .map_or_else(String::new, |key| format!("; did you mean `{key}`?"));
            anyhow!("{}{place}: {}{hint}", path.display(), error.message())
        })
    }

    /// Where people reach the server, without a slash at the end.
    pub(crate) fn public_url(&self) -> String {
        match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", self.listen),
        }
    }
}

/// The expected key that is most like the unknown one, out of serde's message.
fn nearest(message: &str) -> Option<&str> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next().filter(|_| message.starts_with("unknown field"))?;
    let ranked = quoted.map(|key| (strsim::damerau_levenshtein(unknown, key), key));
    ranked.min().filter(|(distance, _)| *distance <= 1 + unknown.len() / 2).map(|(_, key)| key)
}
