//! Why a person may, or may not, read a document.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::claim::ClaimValues;
use crate::condition::Truth;
use crate::label::Label;
use crate::policy::Policy;
use crate::rules::{Expression, Rule};
use crate::value::Held;

/// The decision on one label, with every rule that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// Whether documents with the label may be read.
    pub allowed: bool,
    /// One step a rule, in the order of the configuration.
    pub steps: Vec<Step>,
    /// The policy that decided.
    pub policy_revision: String,
}

/// What one rule said.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Where the rule is written, such as `policy.rule[0]`.
    pub rule: String,
    /// The rule in words, such as `department in claim department`.
    pub text: String,
    /// Whether it holds; absent when an attribute or a claim is missing, which holds for neither
    /// the rule nor its negation.
    pub holds: Option<bool>,
    /// What was compared.
    pub because: String,
}

impl Policy {
    /// Explains the decision on a label for claims that nobody vouches for.
    ///
    /// It gives no [`Bailiwick`](crate::Bailiwick), so nothing can be read with it.
    pub fn explain(&self, claims: &Map<String, Json>, label: &Label) -> Explanation {
        let values = self.values(claims);
        let mut steps = Vec::new();
        let verdict = match label.values() {
            Some(held) => self.walk(&self.rules.expression, &values, held, &mut steps),
            None => {
                steps.push(Step {
                    rule: "quarantine".into(),
                    text: "no policy opens a document in quarantine".into(),
                    holds: Some(false),
                    because: "an administrator has not given it a label yet".into(),
                });
                Truth::False
            }
        };
        Explanation {
            allowed: verdict == Truth::True,
            steps,
            policy_revision: self.revision().to_owned(),
        }
    }

    fn walk(
        &self,
        expression: &Expression,
        values: &[ClaimValues],
        held: &[Option<Held>],
        steps: &mut Vec<Step>,
    ) -> Truth {
        let mut join = |members: &[Expression], pick: fn(Truth, Truth) -> Truth| {
            let verdicts: Vec<Truth> =
                members.iter().map(|member| self.walk(member, values, held, steps)).collect();
            verdicts.into_iter().reduce(pick).unwrap_or(Truth::Unknown)
        };
        match expression {
            Expression::Any(members) => join(members, Truth::max),
            Expression::All(members) => join(members, Truth::min),
            Expression::Not(member) => !self.walk(member, values, held, steps),
            Expression::Rule(rule) => {
                let held = held.get(rule.attribute).and_then(Option::as_ref);
                let verdict = rule.verdict(held, values);
                steps.push(self.step(rule, values, held, verdict));
                verdict
            }
        }
    }

    fn step(
        &self,
        rule: &Rule,
        values: &[ClaimValues],
        held: Option<&Held>,
        verdict: Truth,
    ) -> Step {
        let claim = self.rules.claim(rule);
        let attribute = self.schema().attributes().get(rule.attribute);
        let name = attribute.map_or("", |attribute| attribute.name());
        let operator = rule.operator.name();
        let text = match claim {
            Some(claim) => format!("{name} {operator} claim {claim}"),
            None => format!("{name} {operator}"),
        };
        let has = match (attribute, held) {
            (Some(attribute), Some(held)) => {
                format!("the document has {}", attribute.json(held))
            }
            _ => "the document lacks the attribute".to_owned(),
        };
        let says = match (claim, rule.claim.and_then(|claim| values.get(claim)), attribute) {
            (Some(_), Some(Ok(values)), Some(attribute)) => {
                let values: Json = values.iter().map(|value| attribute.kind.json(value)).collect();
                format!(", the claim says {values}")
            }
            (Some(_), Some(Err(problem)), _) => format!(", the claim {problem}"),
            _ => String::new(),
        };
        Step {
            rule: rule.place.clone(),
            text,
            holds: (verdict != Truth::Unknown).then_some(verdict == Truth::True),
            because: has + &says,
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.allowed { "allowed" } else { "denied" };
        write!(f, "{verdict} by policy {}", self.policy_revision)?;
        for step in &self.steps {
            let outcome = match step.holds {
                Some(true) => "holds",
                Some(false) => "fails",
                None => "cannot hold",
            };
            write!(f, "\n  {}: {} {outcome}: {}", step.rule, step.text, step.because)?;
        }
        Ok(())
    }
}
