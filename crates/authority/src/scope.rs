//! Permissions, as they are delegated and as a request asks for them.

use serde::{Deserialize, Serialize};

/// The most permissions in one delegation.
const MAX_PERMISSIONS: usize = 256;
/// The longest permission, and the longest `scope` parameter, in bytes.
const MAX_PERMISSION_BYTES: usize = 128;
const MAX_SCOPE_BYTES: usize = 8192;

/// Permissions without duplicates, in the order in which they were delegated.
///
/// Invariant: `narrowed` and `shared_with` only remove.
/// A `*` is a character like any other: it opens nothing but a permission that is spelled with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(Vec<String>);

/// Why text is no permission.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// One is malformed.
    #[error(
        "a permission reads like \"read:records\": lower case, digits, \"_.-\", one colon; \"/\" and \"*\" after it; this one does not: {0:?}"
    )]
    Malformed(String),
    /// There are too many.
    #[error("a delegation has at most {MAX_PERMISSIONS} permissions")]
    TooMany,
}

impl Scopes {
    /// Checks and keeps `permissions`.
    ///
    /// # Errors
    /// One of them is malformed, or there are more than 256.
    pub fn new<S: AsRef<str>>(permissions: &[S]) -> Result<Self, ScopeError> {
        let mut kept: Vec<String> = Vec::new();
        for permission in permissions.iter().map(AsRef::as_ref) {
            if !is_permission(permission) {
                let shown = permission.chars().take(MAX_PERMISSION_BYTES).collect();
                return Err(ScopeError::Malformed(shown));
            }
            if !kept.iter().any(|k| k == permission) {
                kept.push(permission.to_owned());
            }
        }
        if kept.len() > MAX_PERMISSIONS {
            return Err(ScopeError::TooMany);
        }
        Ok(Self(kept))
    }

    /// What `asked` (RFC 6749 section 3.3: words between single spaces) takes from these.
    /// `None` when it asks for anything else, or for nothing.
    pub(crate) fn narrowed(&self, asked: &str) -> Option<Self> {
        if asked.len() > MAX_SCOPE_BYTES {
            return None;
        }
        let asked: Vec<&str> = asked.split(' ').collect();
        let known = asked.iter().all(|word| self.contains(word));
        known.then(|| self.kept(|scope| asked.contains(&scope)))
    }

    /// What `other` holds too.
    pub(crate) fn shared_with(&self, other: &Self) -> Self {
        self.kept(|scope| other.contains(scope))
    }

    fn kept(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|scope| keep(scope)).cloned().collect())
    }

    /// Whether `scope` is among them.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|s| s == scope)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// As the `scope` claim and parameter: words between spaces.
    pub fn joined(&self) -> String {
        self.0.join(" ")
    }
}

fn is_permission(text: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c);
    text.len() <= MAX_PERMISSION_BYTES
        && text.split_once(':').is_some_and(|(action, resource)| {
            !action.is_empty()
                && !resource.is_empty()
                && action.chars().all(word)
                && resource.chars().all(|c| word(c) || c == '*' || c == '/')
        })
}
