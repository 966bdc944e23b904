//! Claims and labels in, a bailiwick out.

use std::sync::Arc;

use bailiwick_identity::Claims;
use moka::sync::Cache;
use serde_json::{Map, Value as Json};
use thiserror::Error;

use crate::bailiwick::Bailiwick;
use crate::claim::ClaimValues;
use crate::condition::Truth;
use crate::label::{Column, LabelTable, Rows, TableId};
use crate::revision::Revision;
use crate::rules::{Absent, Expression, PolicyConfig, Rule, Rules, RulesError};
use crate::schema::Schema;
use crate::value::Held;

/// How many decisions are remembered; one is 1.25 kB at 10,000 labels.
const REMEMBERED: u64 = 10_000;

/// Decides which labels a person may read. The default is deny.
#[derive(Debug)]
pub struct Policy {
    schema: Arc<Schema>,
    config: PolicyConfig,
    pub(crate) rules: Rules,
    revision: Arc<Revision>,
    /// By the claims that the rules read, so that people with equal rights share one decision.
    decisions: Cache<(TableId, Vec<ClaimValues>), Arc<Bailiwick>>,
}

/// Why there is no policy.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The engine is not part of this version.
    #[error("policy.engine: `{0}` is not built into this version; the engine is `rules`")]
    UnknownEngine(String),
    /// A rule is wrong.
    #[error(transparent)]
    Rules(#[from] RulesError),
}

impl Policy {
    /// Makes the policy of a configuration. A policy without rules allows nobody.
    ///
    /// # Errors
    /// When the engine is unknown, or a rule names what the schema does not have.
    pub fn new(config: &PolicyConfig, schema: Arc<Schema>) -> Result<Self, PolicyError> {
        if config.engine != "rules" {
            return Err(PolicyError::UnknownEngine(config.engine.clone()));
        }
        let rules = Rules::compile(config, &schema)?;
        let revision = Arc::new(Revision::new(config, &schema));
        Ok(Self {
            schema,
            config: config.clone(),
            rules,
            revision,
            decisions: Cache::new(REMEMBERED),
        })
    }

    /// What labels are made of.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// What it was made of.
    pub fn config(&self) -> &PolicyConfig {
        &self.config
    }

    /// The claims that the rules read, each once, in the order of the rules.
    pub fn claims(&self) -> Vec<String> {
        let mut claims = Vec::new();
        for (path, _) in &self.rules.claims {
            let path = path.to_string();
            if !claims.contains(&path) {
                claims.push(path);
            }
        }
        claims
    }

    /// Names what this policy was made of: 16 hexadecimal digits.
    pub fn revision(&self) -> &str {
        self.revision.as_str()
    }

    /// The labels that a person with these claims may read, of those in the table now.
    ///
    /// A remembered decision is extended by the labels that appeared since.
    pub fn decide(&self, claims: &Claims, labels: &LabelTable) -> Arc<Bailiwick> {
        self.decide_raw(claims.as_map(), labels)
    }

    fn decide_raw(&self, claims: &Map<String, Json>, labels: &LabelTable) -> Arc<Bailiwick> {
        let key = (labels.id(), self.values(claims));
        let remembered = self.decisions.get(&key);
        let rows = labels.read();
        if let Some(bailiwick) = &remembered
            && bailiwick.decided() == rows.labels.len()
        {
            return Arc::clone(bailiwick);
        }
        let start = match remembered {
            Some(known) => (*known).clone(),
            None => Bailiwick::empty(labels.id(), Arc::clone(&self.revision)),
        };
        let bailiwick = Arc::new(self.extend(start, &key.1, &rows));
        drop(rows);
        self.decisions.insert(key, Arc::clone(&bailiwick));
        bailiwick
    }

    fn extend(&self, mut known: Bailiwick, values: &[ClaimValues], rows: &Rows) -> Bailiwick {
        let new = known.decided()..rows.labels.len();
        let verdicts = self.column(&self.rules.expression, values, rows, new.clone());
        for (place, verdict) in new.zip(verdicts) {
            let closed = rows.labels.get(place).is_none_or(crate::Label::is_quarantine);
            known.decide_next(verdict == Truth::True && !closed);
        }
        known
    }

    /// The claims that the rules read, in the order of the rules.
    pub(crate) fn values(&self, claims: &Map<String, Json>) -> Vec<ClaimValues> {
        let attributes = self.schema.attributes();
        let read = self.rules.claims.iter().filter_map(|(path, attribute)| {
            attributes.get(*attribute).map(|attribute| path.values(claims, &attribute.kind))
        });
        read.collect()
    }

    /// The claims that the policy reads, as they stand in the token, and those that it cannot use.
    pub fn claims_read(&self, claims: &Claims) -> (Map<String, Json>, Vec<String>) {
        let mut read = Map::new();
        let mut missing = Vec::new();
        for ((path, _), values) in self.rules.claims.iter().zip(self.values(claims.as_map())) {
            match (values, path.find(claims.as_map())) {
                (Ok(_), Some(claim)) => drop(read.insert(path.to_string(), claim.clone())),
                _ if missing.contains(&path.to_string()) => {}
                _ => missing.push(path.to_string()),
            }
        }
        (read, missing)
    }

    /// Whether claims like these could open any label. They could not when every way through the
    /// rules needs a claim that is missing or unusable.
    pub fn could_open(&self, claims: &Claims) -> bool {
        could_hold(&self.rules.expression, false, &self.values(claims.as_map()))
    }

    /// Evaluates an expression over a range of labels, one column at a time.
    fn column(
        &self,
        expression: &Expression,
        values: &[ClaimValues],
        rows: &Rows,
        range: std::ops::Range<usize>,
    ) -> Vec<Truth> {
        let joined = |members: &[Expression], pick: fn(Truth, Truth) -> Truth| {
            let columns =
                members.iter().map(|member| self.column(member, values, rows, range.clone()));
            let joined = columns.reduce(|mut left, right| {
                left.iter_mut().zip(right).for_each(|(left, right)| *left = pick(*left, right));
                left
            });
            // An empty group allows nobody, and its negation does not either.
            joined.unwrap_or_else(|| vec![Truth::Unknown; range.len()])
        };
        match expression {
            Expression::Rule(rule) => rule.column(values, rows, range),
            Expression::Any(members) => joined(members, Truth::max),
            Expression::All(members) => joined(members, Truth::min),
            Expression::Not(member) => {
                let mut verdicts = self.column(member, values, rows, range);
                verdicts.iter_mut().for_each(|verdict| *verdict = !*verdict);
                verdicts
            }
        }
    }
}

/// Whether some label makes an expression, or its negation, true. A negated group is the other kind
/// of group of negated rules, by De Morgan's laws.
fn could_hold(expression: &Expression, negated: bool, values: &[ClaimValues]) -> bool {
    let could = |member: &Expression| could_hold(member, negated, values);
    match (expression, negated) {
        (Expression::Any(members), false) | (Expression::All(members), true) => {
            members.iter().any(could)
        }
        (Expression::All(members), false) | (Expression::Any(members), true) => {
            !members.is_empty() && members.iter().all(could)
        }
        (Expression::Not(member), _) => could_hold(member, !negated, values),
        (Expression::Rule(rule), _) => {
            let by_absence = rule.absent == Absent::Allow && !negated;
            by_absence
                || rule.claim.is_none_or(|claim| values.get(claim).is_some_and(Result::is_ok))
        }
    }
}

impl Rule {
    /// The verdict on one label's value of the attribute.
    pub(crate) fn verdict(&self, held: Option<&Held>, values: &[ClaimValues]) -> Truth {
        let Some(held) = held else {
            return if self.absent == Absent::Allow { Truth::True } else { Truth::Unknown };
        };
        match self.claim.map(|claim| values.get(claim)) {
            None => Truth::of(self.operator.holds(held, &[])),
            Some(Some(Ok(claimed))) => Truth::of(self.operator.holds(held, claimed)),
            Some(_) => Truth::Unknown,
        }
    }

    fn column(
        &self,
        values: &[ClaimValues],
        rows: &Rows,
        range: std::ops::Range<usize>,
    ) -> Vec<Truth> {
        let Some(column) = rows.columns.get(self.attribute) else {
            return vec![Truth::Unknown; range.len()];
        };
        let codes = column.codes.get(range).unwrap_or_default();
        let by_value = |code: &u32| self.verdict(column.value(*code), values);
        if codes.len() < column.distinct.len() {
            return codes.iter().map(by_value).collect();
        }
        let verdicts: Vec<Truth> =
            column.distinct.iter().map(|held| self.verdict(held.as_ref(), values)).collect();
        let of_code = |code: &u32| verdicts.get(*code as usize).copied().unwrap_or(Truth::Unknown);
        codes.iter().map(of_code).collect()
    }
}

impl Column {
    fn value(&self, code: u32) -> Option<&Held> {
        self.distinct.get(code as usize).and_then(Option::as_ref)
    }
}

#[cfg(test)]
mod tests;
