//! A policy decision point that speaks the OpenID Authorization API 1.0 (AuthZEN).

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::remote::{Remote, RemoteConfig, error_in};
use super::{Engine, Question, Said, Unavailable};
use crate::label::LabelId;
use crate::policy::PolicyError;

/// The engine `authzen`.
#[derive(Debug)]
pub(crate) struct Authzen(Remote);

/// What the server answers: one decision for each resource, in their order (section 7.2).
#[derive(Deserialize)]
struct Answer {
    evaluations: Vec<Decision>,
}

#[derive(Deserialize)]
struct Decision {
    decision: bool,
    /// What else the server says of this decision (section 5.5).
    #[serde(flatten)]
    beside: Map<String, Json>,
}

impl Authzen {
    pub(crate) fn open(config: &RemoteConfig) -> Result<Self, PolicyError> {
        Remote::new("authzen", config, "/access/v1/evaluations").map(Self)
    }
}

#[async_trait]
impl Engine for Authzen {
    fn name(&self) -> &'static str {
        "policy.authzen"
    }

    fn source(&self) -> &'static str {
        ""
    }

    fn max_age(&self) -> Option<Duration> {
        Some(self.0.max_age())
    }

    async fn allowed(&self, question: Question) -> Result<HashSet<LabelId>, Unavailable> {
        let deadline = self.0.deadline();
        // A subject must have an id, also where `policy.claims` tells none.
        let person = question.claims.get("sub").and_then(Json::as_str).unwrap_or("person");
        let mut allowed = HashSet::new();
        for labels in question.asked.labels.chunks(self.0.config.max_labels) {
            let resource = |(id, label): &(LabelId, _)| {
                let (id, properties) = (id.as_u32().to_string(), question.schema.describe(label));
                json!({ "resource": { "type": "label", "id": id, "properties": properties } })
            };
            let asked = json!({
                "subject": { "type": "person", "id": person, "properties": *question.claims },
                "action": { "name": "read" },
                "evaluations": labels.iter().map(resource).collect::<Json>(),
                "options": { "evaluations_semantic": "execute_all" },
            });
            let answer: Answer = self.0.call(&asked, deadline).await?;
            if answer.evaluations.len() != labels.len() {
                let cause = "the server does not give one decision for each label";
                return Err(Unavailable::because(cause));
            }
            let mut failed = (0_usize, None);
            for ((id, _), Decision { decision, beside }) in labels.iter().zip(answer.evaluations) {
                // A label whose evaluation fails is closed, and the others are decided.
                match error_in(&beside) {
                    Some(place) => failed = (failed.0 + 1, Some(place)),
                    None if decision => drop(allowed.insert(*id)),
                    None => {}
                }
            }
            if let (labels, Some(place)) = failed {
                let url = self.0.url();
                tracing::warn!(labels, %url, member = %place,
                    "decisions carry an error, so that their labels are closed");
            }
        }
        Ok(allowed)
    }

    async fn because(&self, _: Question, allowed: bool) -> Result<Vec<Said>, Unavailable> {
        let because = format!("the server decides {allowed}; its own log says why");
        Ok(Said::decided(self.0.url(), allowed, because))
    }
}
