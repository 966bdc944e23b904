//! Why a person may, or may not, read a document.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value as Json};
use utoipa::ToSchema;

use crate::claim::ClaimValues;
use crate::condition::Truth;
use crate::engine::{self, Engine, Question, Said, Unavailable};
use crate::label::Label;
use crate::policy::Policy;
use crate::rules::{Expression, Rule, Rules};
use crate::schema::{Attribute, Schema};
use crate::value::{Held, Scalar};

/// The decision on one label, with every rule that was looked at.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Explanation {
    /// Whether documents with the label may be read.
    pub allowed: bool,
    /// One step a rule, in the order of the configuration, then one for an engine besides them and
    /// one for each condition that its policy is made of, as far as it tells.
    pub steps: Vec<Step>,
    /// The policy that decided.
    pub policy_revision: String,
}

/// What one rule said. Under a `not` it is the opposite of the rule that is written, so that
/// what holds always speaks for reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Step {
    /// Where the rule is written, such as `policy.rule[0]`, or the engine's table, such as
    /// `policy.rego`.
    pub rule: String,
    /// The rule in words, such as `department in claim department`, or a condition of Rego with its
    /// file and line.
    pub text: String,
    /// The attribute that it looks at, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// How it compares: `eq`, `in`, `any`, `all`, `lte`, `gte`, `prefix` or `exists`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub operator: Option<&'static str>,
    /// The claim that it reads, where it is one; `exists` reads none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// What the document has of the attribute; empty when it lacks it.
    pub document: Vec<String>,
    /// What the claim says; empty when it says nothing usable.
    pub claimed: Vec<String>,
    /// Those of the claim's values that the document's stand in the relation to.
    pub matched: Vec<String>,
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
    ///
    /// # Errors
    /// When an engine that has to decide cannot.
    pub async fn explain(
        &self,
        claims: &Map<String, Json>,
        label: &Label,
    ) -> Result<Explanation, Unavailable> {
        let in_force = self.in_force();
        let policy_revision = in_force.revision.as_str().to_owned();
        let Some(held) = label.values() else {
            return Ok(Explanation { allowed: false, steps: vec![quarantined()], policy_revision });
        };
        let mut steps = Vec::new();
        let mut allowed = true;
        if let Some(rules) = &self.rules {
            let walk = Walk {
                schema: self.schema(),
                rules,
                values: rules.values(claims, self.schema()),
                held,
            };
            allowed = walk.verdict(&rules.expression, false, &mut steps) == Truth::True;
        }
        if let Some(engine) = &in_force.engine {
            let question = self.question(claims, label);
            let holds = !engine::ask(&**engine, question.clone()).await?.is_empty();
            for said in engine.because(question.clone(), holds).await? {
                steps.push(Step::of_engine(&**engine, said, &question, label));
            }
            allowed &= holds;
        }
        Ok(Explanation { allowed, steps, policy_revision })
    }
}

impl Explanation {
    /// What a reader is told: what holds, without the words of an engine, which may be addresses,
    /// files and other people's names.
    #[must_use]
    pub fn for_reader(mut self) -> Self {
        self.steps.retain(|step| step.holds == Some(true));
        for step in self.steps.iter_mut().filter(|step| step.operator.is_none()) {
            step.text = format!("decided by {}", step.rule);
            step.because.clear();
        }
        self.steps.dedup();
        self
    }
}

/// The rules, step by step, for one person and one label.
struct Walk<'a> {
    schema: &'a Schema,
    rules: &'a Rules,
    values: Vec<ClaimValues>,
    held: &'a [Option<Held>],
}

impl Walk<'_> {
    /// By De Morgan's laws, which three-valued logic keeps, a negated group is the other kind of
    /// group of negated rules.
    fn verdict(&self, expression: &Expression, negated: bool, steps: &mut Vec<Step>) -> Truth {
        let mut join = |members: &[Expression], pick: fn(Truth, Truth) -> Truth| {
            let verdicts: Vec<Truth> =
                members.iter().map(|member| self.verdict(member, negated, steps)).collect();
            verdicts.into_iter().reduce(pick).unwrap_or(Truth::Unknown)
        };
        match (expression, negated) {
            (Expression::Any(members), false) | (Expression::All(members), true) => {
                join(members, Truth::max)
            }
            (Expression::All(members), false) | (Expression::Any(members), true) => {
                join(members, Truth::min)
            }
            (Expression::Not(member), _) => self.verdict(member, !negated, steps),
            (Expression::Rule(rule), _) => {
                let held = self.held.get(rule.attribute).and_then(Option::as_ref);
                let verdict = rule.verdict(held, &self.values);
                let verdict = if negated { !verdict } else { verdict };
                steps.push(self.step(rule, negated, held, verdict));
                verdict
            }
        }
    }

    fn step(&self, rule: &Rule, negated: bool, held: Option<&Held>, verdict: Truth) -> Step {
        let claim = self.rules.claim(rule).map(ToString::to_string);
        let claimed = rule.claim.and_then(|claim| self.values.get(claim));
        let attribute = self.schema.attributes().get(rule.attribute);
        let name = attribute.map_or("", |attribute| attribute.name());
        let operator = rule.operator.name();
        let not = if negated { "not " } else { "" };
        let reads = claim.as_ref().map_or_else(String::new, |claim| format!(" claim {claim}"));
        let because = because(attribute, held, claimed);
        let texts = |values: &mut dyn Iterator<Item = &Scalar>| match attribute {
            Some(attribute) => values.map(|value| attribute.text(value)).collect(),
            None => Vec::new(),
        };
        let held = held.map_or(&[][..], Held::as_slice);
        let claimed = claimed.and_then(|values| values.as_deref().ok()).unwrap_or_default();
        let stands = |value: &&Scalar| {
            let value = std::slice::from_ref(*value);
            held.iter().any(|held| rule.operator.holds(&Held::One(held.clone()), value))
        };
        Step {
            rule: rule.place.clone(),
            text: format!("{not}{name} {operator}{reads}"),
            attribute: Some(name.to_owned()),
            operator: Some(operator),
            claim,
            document: texts(&mut held.iter()),
            claimed: texts(&mut claimed.iter()),
            matched: texts(&mut claimed.iter().filter(stands)),
            holds: (verdict != Truth::Unknown).then_some(verdict == Truth::True),
            because,
        }
    }
}

impl Step {
    /// What an engine besides the rules said, with what it read of the label and the claims.
    fn of_engine(engine: &dyn Engine, said: Said, question: &Question, label: &Label) -> Self {
        let Said { text, reads, holds, because } = said;
        let held = question.schema.describe(label);
        let mut words = Vec::new();
        for name in &reads.attributes {
            words.push(held.get(name).map_or_else(
                || format!("the document lacks {name}"),
                |value| format!("the document has {name} {value}"),
            ));
        }
        for name in &reads.claims {
            words.push(question.claims.get(name).map_or_else(
                || format!("the claim {name} is missing"),
                |value| format!("the claim {name} says {value}"),
            ));
        }
        words.extend(Some(because).filter(|because| !because.is_empty()));
        let (attribute, claim) = (only(reads.attributes), only(reads.claims));
        Self {
            rule: engine.name().to_owned(),
            text,
            document: texts(attribute.as_ref().and_then(|name| held.get(name))),
            claimed: texts(claim.as_ref().and_then(|name| question.claims.get(name))),
            attribute,
            claim,
            holds,
            because: words.join(", "),
            ..quarantined()
        }
    }
}

/// The one name, if it is one.
fn only(names: BTreeSet<String>) -> Option<String> {
    names.first().filter(|_| names.len() == 1).cloned()
}

/// The values of an attribute or a claim, as they are written.
fn texts(value: Option<&Json>) -> Vec<String> {
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    match value {
        Some(Json::Array(values)) => values.iter().map(text).collect(),
        value => value.into_iter().map(text).collect(),
    }
}

/// What was compared, in words.
fn because(
    attribute: Option<&Attribute>,
    held: Option<&Held>,
    claimed: Option<&ClaimValues>,
) -> String {
    let has = match (attribute, held) {
        (Some(attribute), Some(held)) => format!("the document has {}", attribute.json(held)),
        _ => "the document lacks the attribute".to_owned(),
    };
    let says = match (claimed, attribute) {
        (Some(Ok(values)), Some(attribute)) => {
            let values: Json = values.iter().map(|value| attribute.kind.json(value)).collect();
            format!(", the claim says {values}")
        }
        (Some(Err(problem)), _) => format!(", the claim {problem}"),
        _ => String::new(),
    };
    has + &says
}

fn quarantined() -> Step {
    Step {
        rule: "quarantine".into(),
        text: "no policy opens a document in quarantine".into(),
        attribute: None,
        operator: None,
        claim: None,
        document: Vec::new(),
        claimed: Vec::new(),
        matched: Vec::new(),
        holds: Some(false),
        because: "an administrator has not given it a label yet".into(),
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
