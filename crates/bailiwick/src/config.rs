//! `bailiwick.toml`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use bailiwick_answer::AnswerConfig;
use bailiwick_authority::audit::AuditConfig;
use bailiwick_authority::{AuthorityConfig, CollectionConfig};
use bailiwick_identity::IdentityConfig;
use bailiwick_models::{EmbeddingConfig, RerankConfig};
use bailiwick_policy::{AttributeConfig, PolicyConfig};
use bailiwick_server::Limits;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use url::Url;

use crate::toml_file;

/// The whole configuration. Unknown keys are errors; paths are relative to the current directory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where the server listens. Default: `127.0.0.1:8321`.
    #[serde(default = "default_listen", deserialize_with = "address")]
    pub(crate) listen: SocketAddr,
    /// Origin at which people reach it, without a path. Default: `http://` and `listen`.
    #[serde(default, deserialize_with = "origin")]
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
    #[serde(default)]
    pub(crate) policy: PolicyConfig,
    /// Text → vectors. Default: the built-in static table.
    #[serde(default)]
    pub(crate) embedding: EmbeddingConfig,
    /// Hits → better order. Default: none.
    #[serde(default)]
    pub(crate) rerank: RerankConfig,
    /// Hits → answer. Default: quoted sentences.
    #[serde(default)]
    pub(crate) answer: AnswerConfig,
    /// Who issues delegation tokens.
    pub(crate) authority: AuthorityConfig,
    /// What the audit trail keeps, and for how long. Default: no question, and for ever.
    #[serde(default)]
    pub(crate) audit: AuditConfig,
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
    pub(crate) limits: Limits,
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
    /// Questions that the app offers to begin with. Default: none.
    pub(crate) suggestions: Vec<String>,
    /// Where the provider answers besides the issuer's origin, such as
    /// `https://oauth2.googleapis.com`. Default: none.
    pub(crate) provider_origins: Vec<String>,
    /// The web app is served from this folder and not as it is built in. Default: none.
    pub(crate) folder: Option<PathBuf>,
}

impl Default for AppTable {
    fn default() -> Self {
        Self {
            client_id: "bailiwick-app".into(),
            scopes: vec!["openid".into(), "profile".into()],
            suggestions: Vec::new(),
            provider_origins: Vec::new(),
            folder: None,
        }
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8321))
}

fn address<'de, D: Deserializer<'de>>(text: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(text)?;
    let advice = "write an IP address and a port, such as \"127.0.0.1:8321\"";
    text.parse().map_err(|_| D::Error::custom(advice))
}

/// Scheme, host and port. A value with more would pass, and give a page that loads none of its files.
fn origin<'de, D: Deserializer<'de>>(text: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(text)?;
    let refused = |advice| Err(D::Error::custom(advice));
    let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(url) = url else {
        return refused("write a URL such as \"https://bailiwick.example.com\"");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return refused("a URL that everybody reads holds no credentials; remove them");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refused("remove the query and the fragment; write scheme, host and port only");
    }
    if url.path() != "/" {
        return refused(
            "paths are not supported yet; give the server a host name of its own, and write \
             scheme, host and port only",
        );
    }
    Ok(Some(url.origin().ascii_serialization()))
}

fn default_data_dir() -> PathBuf {
    "./data".into()
}

impl Config {
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!(
                "no configuration at {}; name one with --config, or begin with a copy of \
                 examples/acme/bailiwick.toml",
                path.display()
            )
        })?;
        let config: Self = toml_file::parse(&text, path)?;
        let wrong = |problem: String| anyhow!("{}: {problem}", path.display());
        config.audit.validate().map_err(wrong)?;
        config.check_issuers().map_err(wrong)?;
        Ok(config)
    }

    /// Checks that people's provider and the authority have different names. A token is judged by
    /// the name of its issuer: with one name for both, an agent's token would be judged as a
    /// person's.
    fn check_issuers(&self) -> Result<(), String> {
        let people = normalized_issuer(&self.identity.issuer);
        if people.is_none() || people != normalized_issuer(&self.authority.issuer) {
            return Ok(());
        }
        Err("authority.issuer and identity.issuer are the same; the first is this server's own \
             name, such as its public_url, the second is the provider that signs people in"
            .to_owned())
    }

    /// Where people reach the server, without a slash at the end.
    pub(crate) fn public_url(&self) -> String {
        self.public_url.clone().unwrap_or_else(|| format!("http://{}", self.listen))
    }
}

/// Origin and path of an issuer, spelled in one way: host in lower case, no default port, no slash
/// at the end.
fn normalized_issuer(url: &str) -> Option<(String, String)> {
    let mut url = Url::parse(url).ok()?;
    let host = url.host_str()?.trim_end_matches('.').to_owned();
    url.set_host(Some(&host)).ok()?;
    let origin = url.origin().ascii_serialization();
    Some((origin, url.path().trim_end_matches('/').to_owned()))
}
