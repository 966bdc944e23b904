//! Tables of (claims, document, expected) that a policy is tested with.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::engine::Unavailable;
use crate::explain::Explanation;
use crate::policy::Policy;

/// A table: `{"case": [{"name", "claims", "document", "expect"}]}`, in whatever format.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    /// Its rows.
    pub case: Vec<Case>,
}

/// One row of the table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The claims of a token.
    #[serde(default)]
    pub claims: Map<String, Json>,
    /// The metadata of a document.
    #[serde(default)]
    pub document: Map<String, Json>,
    /// What must come out.
    pub expect: Expected,
}

/// What a case expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// The person may read the document.
    Allow,
    /// She may not, or the document would be refused at ingestion.
    Deny,
}

/// What came out of a case.
#[derive(Clone, Debug, Serialize)]
pub struct CaseResult {
    /// The case's name.
    pub name: String,
    /// Whether what was expected came out.
    pub passed: bool,
    /// What was expected.
    pub expected: Expected,
    /// Why the other thing came out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
    /// Why the document has no label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl Cases {
    /// Decides every case.
    ///
    /// # Errors
    /// When an engine that has to decide cannot.
    pub async fn run(&self, policy: &Policy) -> Result<Vec<CaseResult>, Unavailable> {
        let mut results = Vec::new();
        for case in &self.case {
            results.push(run(policy, case).await?);
        }
        Ok(results)
    }
}

async fn run(policy: &Policy, case: &Case) -> Result<CaseResult, Unavailable> {
    let (allowed, explanation, refused) = match policy.schema().label_of_new(&case.document) {
        Ok(label) => {
            let explanation = policy.explain(&case.claims, &label).await?;
            (explanation.allowed, Some(explanation), None)
        }
        Err(error) => (false, None, Some(error.to_string())),
    };
    let passed = allowed == (case.expect == Expected::Allow);
    Ok(CaseResult {
        name: case.name.clone(),
        passed,
        expected: case.expect,
        explanation: explanation.filter(|_| !passed),
        refused,
    })
}
