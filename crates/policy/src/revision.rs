//! Which policy decided.

use crate::rules::PolicyConfig;
use crate::schema::Schema;

/// Names what a policy was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revision(String);

impl Revision {
    pub(crate) fn new(config: &PolicyConfig, schema: &Schema) -> Self {
        // The compiled schema has no serial form of its own; its Debug form is total and stable
        // within a build, which is all that a cache key and an audit record need.
        let source = format!("{}\n{schema:?}", serde_json::json!(config));
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, source.as_bytes());
        Self(digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
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
