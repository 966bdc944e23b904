//! Which policy decided.

use crate::rules::PolicyConfig;
use crate::schema::Schema;

/// Names what a policy was made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Revision(String);

impl Revision {
    /// `source` is what the engine was made of, besides the configuration.
    pub(crate) fn new(config: &PolicyConfig, schema: &Schema, source: Option<&str>) -> Self {
        // The compiled schema has no serial form of its own; its Debug form is total and stable
        // within a build, which is all that a cache key and an audit record need.
        let source = source.unwrap_or_default();
        let text = format!("{}\n{schema:?}\n{source}", serde_json::json!(config));
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        Self(hexadecimal(digest.as_ref().get(..8).unwrap_or_default()))
    }

    /// That of no policy.
    #[cfg(feature = "danger-no-identity")]
    pub(crate) fn none() -> Self {
        Self("no policy".into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
