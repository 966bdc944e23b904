//! Who administers, and may count what she may not read.

use bailiwick_identity::Claims;
use serde_json::Value;

use crate::claim::ClaimPath;

/// Which claim makes an administrator.
#[derive(Clone, Debug)]
pub struct AdminRule {
    claim: ClaimPath,
    value: String,
}

/// Sight of the labels of all documents and how many there are, and of no text. Only
/// [`AdminRule::oversight`] makes one.
#[derive(Clone, Copy, Debug)]
pub struct Oversight(());

impl AdminRule {
    /// A person is an administrator if this claim is `value`, or a list that holds it.
    pub fn new(claim: &str, value: &str) -> Self {
        Self { claim: ClaimPath::new(claim), value: value.to_owned() }
    }

    /// What an administrator oversees; none for everybody else.
    pub fn oversight(&self, claims: &Claims) -> Option<Oversight> {
        let holds = match self.claim.find(claims.as_map()) {
            Some(Value::Array(values)) => values.iter().any(|one| *one == self.value),
            Some(only) => *only == self.value,
            None => false,
        };
        holds.then_some(Oversight(()))
    }
}
