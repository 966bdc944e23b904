//! A server of the Open Policy Agent: `data.bailiwick.permitted` for a batch of labels.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::remote::{Remote, RemoteConfig};
use super::{Engine, Question, Said, Unavailable};
use crate::label::LabelId;
use crate::policy::PolicyError;

/// The engine `opa`.
#[derive(Debug)]
pub(crate) struct Opa(Remote);

/// What the server answers (OPA's Data API).
#[derive(Deserialize)]
struct Answer {
    /// Missing when the server has no such rule, or the rule is undefined.
    result: Option<Vec<u32>>,
    decision_id: Option<String>,
    /// What the server advises, such as to send an input; it decided all the same.
    warning: Option<Warning>,
}

#[derive(Deserialize)]
struct Warning {
    code: Option<String>,
}

impl Opa {
    pub(crate) fn open(config: &RemoteConfig) -> Result<Self, PolicyError> {
        Remote::new("opa", config, "/v1/data/bailiwick/permitted").map(Self)
    }
}

#[async_trait]
impl Engine for Opa {
    fn name(&self) -> &'static str {
        "policy.opa"
    }

    fn source(&self) -> &'static str {
        ""
    }

    fn max_age(&self) -> Option<Duration> {
        Some(self.0.max_age())
    }

    async fn allowed(&self, question: Question) -> Result<HashSet<LabelId>, Unavailable> {
        let deadline = self.0.deadline();
        let mut allowed = HashSet::new();
        for labels in question.asked.labels.chunks(self.0.config.max_labels) {
            let attributes = |label| question.schema.describe(label);
            let labels: Json = labels
                .iter()
                .map(|(id, label)| json!({ "id": id, "attributes": attributes(label) }))
                .collect();
            let input = json!({ "input": { "claims": *question.claims, "labels": labels } });
            let answer: Answer = self.0.call(&input, deadline).await?;
            let decision_id = answer.decision_id.as_deref();
            tracing::info!(decision_id, "OPA decided");
            if let Some(Warning { code }) = answer.warning {
                tracing::warn!(decision_id, code, "OPA decided with a warning; its log says why");
            }
            let permitted = answer.result.ok_or_else(|| {
                Unavailable::because("OPA has no data.bailiwick.permitted for this input")
            })?;
            allowed.extend(permitted.into_iter().map(LabelId::from_u32));
        }
        Ok(allowed)
    }

    async fn because(&self, _: Question, allowed: bool) -> Result<Vec<Said>, Unavailable> {
        let verb = if allowed { "names" } else { "does not name" };
        let because = format!("the server {verb} the label; its decision log says why");
        Ok(Said::decided(self.0.url(), allowed, because))
    }
}
