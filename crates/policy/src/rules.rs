//! The rule language: what is written, and the expression that it means.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use thiserror::Error;
use utoipa::ToSchema;

use crate::claim::{ClaimPath, ClaimValues};
use crate::condition::Operator;
use crate::engine::rego::RegoConfig;
use crate::engine::remote::RemoteConfig;
use crate::schema::Schema;

/// The deepest nesting of groups.
const MAX_DEPTH: usize = 32;

/// `[policy]` of the configuration. The default has no rules, and allows nobody anything.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// Which engine decides: `rules`, `rego`, `opa` or `authzen`. Default: `rules`. Rules beside
    /// another engine mean that both must allow.
    pub engine: String,
    /// The claims that an engine besides the rules is told, each with the attribute whose values
    /// it has, or `keyword` or `integer`. Default: all claims of the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<BTreeMap<String, String>>,
    /// The engine `rego`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rego: Option<RegoConfig>,
    /// The engine `opa`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opa: Option<RemoteConfig>,
    /// The engine `authzen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authzen: Option<RemoteConfig>,
    /// Rules that must all hold.
    pub rule: Vec<RuleConfig>,
    /// Groups of which at least one member must hold.
    pub any: Vec<MemberConfig>,
    /// Groups of which every member must hold.
    pub all: Vec<MemberConfig>,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self {
            engine: "rules".into(),
            claims: None,
            rego: None,
            opa: None,
            authzen: None,
            rule: vec![],
            any: vec![],
            all: vec![],
        }
    }
}

impl PolicyConfig {
    /// Whether rules have a say: an engine besides them may decide alone.
    pub(crate) fn has_rules(&self) -> bool {
        let written = !(self.rule.is_empty() && self.any.is_empty() && self.all.is_empty());
        written || self.engine == "rules"
    }
}

/// One rule: attribute, operator, claim.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// The attribute's name.
    pub attribute: String,
    /// `eq`, `in`, `any`, `all`, `lte`, `gte`, `prefix` or `exists`.
    pub op: String,
    /// The claim: a member of the token, or a JSON Pointer when it starts with `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// What becomes of a document without the attribute: `allow` or `deny`. Default: `deny`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<Absent>,
    /// Turns the rule round. A missing attribute or claim stays a refusal.
    #[serde(default, skip_serializing_if = "is_false")]
    pub not: bool,
}

/// A group of rules and groups.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupConfig {
    /// Rules of the group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rule: Vec<RuleConfig>,
    /// Groups within it of which at least one member must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    pub any: Vec<MemberConfig>,
    /// Groups within it of which every member must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    pub all: Vec<MemberConfig>,
    /// Turns the group round.
    #[serde(default, skip_serializing_if = "is_false")]
    pub not: bool,
}

/// One table under `any` or `all`: a rule of the group, or a group with tables of its own.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum MemberConfig {
    /// All the rules that stand directly under one `any` or `all` make one group together.
    Rule(RuleConfig),
    /// A group by itself.
    Group(GroupConfig),
}

impl<'de> Deserialize<'de> for MemberConfig {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        // An untagged enum would hide which key is wrong, so the shape is told by `attribute`.
        let members = serde_json::Map::deserialize(deserializer)?;
        let is_rule = members.contains_key("attribute");
        let value = serde_json::Value::Object(members);
        if is_rule {
            bailiwick_json::from_value(value).map(Self::Rule).map_err(D::Error::custom)
        } else {
            bailiwick_json::from_value(value).map(Self::Group).map_err(D::Error::custom)
        }
    }
}

/// What becomes of a document that lacks the attribute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Absent {
    /// The rule holds.
    Allow,
    /// The rule does not hold, and its negation does not either.
    #[default]
    Deny,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Why the rules mean nothing.
#[derive(Debug, Error)]
#[error("{place}: {problem}")]
pub struct RulesError {
    place: String,
    problem: String,
}

/// What a policy means.
#[derive(Clone, Debug)]
pub(crate) enum Expression {
    Rule(Rule),
    Any(Vec<Expression>),
    All(Vec<Expression>),
    Not(Box<Expression>),
}

/// A rule whose names are resolved.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// Where it is written, such as `policy.any[0].rule[1]`.
    pub(crate) place: String,
    pub(crate) attribute: usize,
    pub(crate) operator: Operator,
    /// Index into [`Rules::claims`]; none for `exists`.
    pub(crate) claim: Option<usize>,
    pub(crate) absent: Absent,
}

/// A policy ready to be evaluated.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) expression: Expression,
    /// Each claim that some rule reads, with the attribute whose type it is read as.
    pub(crate) claims: Vec<(ClaimPath, usize)>,
}

impl Rules {
    pub(crate) fn compile(config: &PolicyConfig, schema: &Schema) -> Result<Self, RulesError> {
        let mut compiler = Compiler { schema, claims: Vec::new() };
        let group = GroupConfig {
            rule: config.rule.clone(),
            any: config.any.clone(),
            all: config.all.clone(),
            not: false,
        };
        let members = compiler.members(&group, "policy", 0)?;
        Ok(Self { expression: Expression::All(members), claims: compiler.claims })
    }

    /// The claims that the rules read, typed, in the order of the rules.
    pub(crate) fn values(&self, claims: &Map<String, Json>, schema: &Schema) -> Vec<ClaimValues> {
        let read = self.claims.iter().filter_map(|(path, attribute)| {
            let attribute = schema.attributes().get(*attribute)?;
            Some(path.values(claims, &attribute.kind))
        });
        read.collect()
    }

    /// Whether some label could be allowed to claims like these.
    pub(crate) fn could_open(&self, values: &[ClaimValues]) -> bool {
        could_hold(&self.expression, false, values)
    }

    /// The rules that hold for a document without their attribute.
    pub(crate) fn open_by_absence(&self) -> Vec<&Rule> {
        let mut found = Vec::new();
        open_by_absence(&self.expression, false, &mut found);
        found
    }

    /// The claim that a rule reads; none for `exists`.
    pub(crate) fn claim(&self, rule: &Rule) -> Option<&ClaimPath> {
        self.claims.get(rule.claim?).map(|(path, _)| path)
    }
}

struct Compiler<'a> {
    schema: &'a Schema,
    claims: Vec<(ClaimPath, usize)>,
}

impl Compiler<'_> {
    /// The rules and groups that stand in one table.
    fn members(
        &mut self,
        group: &GroupConfig,
        place: &str,
        depth: usize,
    ) -> Result<Vec<Expression>, RulesError> {
        if depth > MAX_DEPTH {
            return Err(error(place, format!("groups nest deeper than {MAX_DEPTH}")));
        }
        let mut members = Vec::new();
        for (n, rule) in group.rule.iter().enumerate() {
            members.push(self.rule(rule, format!("{place}.rule[{n}]"))?);
        }
        let any = self.groups(&group.any, &format!("{place}.any"), depth, Expression::Any)?;
        let all = self.groups(&group.all, &format!("{place}.all"), depth, Expression::All)?;
        members.extend(any);
        members.extend(all);
        Ok(members)
    }

    /// The tables under one `any` or `all`: bare rules make one group, groups stand for themselves.
    fn groups(
        &mut self,
        configured: &[MemberConfig],
        place: &str,
        depth: usize,
        join: fn(Vec<Expression>) -> Expression,
    ) -> Result<Vec<Expression>, RulesError> {
        let mut bare = Vec::new();
        let mut groups = Vec::new();
        for (n, member) in configured.iter().enumerate() {
            let place = format!("{place}[{n}]");
            match member {
                MemberConfig::Rule(rule) => bare.push(self.rule(rule, place)?),
                MemberConfig::Group(group) => {
                    let joined = join(self.members(group, &place, depth + 1)?);
                    groups.push(negated(joined, group.not));
                }
            }
        }
        match (bare.is_empty(), groups.is_empty()) {
            (false, false) => Err(error(
                place,
                "holds rules and groups side by side; write the rules as `rule` of a group".into(),
            )),
            (false, true) => Ok(vec![join(bare)]),
            (true, _) => Ok(groups),
        }
    }

    fn rule(&mut self, config: &RuleConfig, place: String) -> Result<Expression, RulesError> {
        let (attribute, described) = self.schema.find(&config.attribute).ok_or_else(|| {
            let names: Vec<_> = self.schema.attributes().iter().map(|a| a.name()).collect();
            let known = names.join(", ");
            error(&place, format!("attribute `{}` is not one of {known}", config.attribute))
        })?;
        let operator = Operator::parse(&config.op)
            .and_then(|operator| operator.check(described).map(|()| operator))
            .map_err(|problem| error(&place, format!("op: {problem}")))?;
        let claim = match (&config.claim, operator) {
            (None, Operator::Exists) => None,
            (Some(path), operator) if operator != Operator::Exists && !path.is_empty() => {
                Some(self.claim(ClaimPath::new(path), attribute))
            }
            (Some(_), Operator::Exists) => {
                return Err(error(&place, "`exists` reads no claim; leave it out".into()));
            }
            _ => return Err(error(&place, "a `claim` is missing".into())),
        };
        let absent = config.absent.unwrap_or_default();
        let rule = Rule { place, attribute, operator, claim, absent };
        Ok(negated(Expression::Rule(rule), config.not))
    }

    fn claim(&mut self, path: ClaimPath, attribute: usize) -> usize {
        let read = (path, attribute);
        if let Some(known) = self.claims.iter().position(|claim| *claim == read) {
            return known;
        }
        self.claims.push(read);
        self.claims.len() - 1
    }
}

fn negated(expression: Expression, not: bool) -> Expression {
    if not { Expression::Not(Box::new(expression)) } else { expression }
}

fn error(place: &str, problem: String) -> RulesError {
    RulesError { place: place.to_owned(), problem }
}

/// Collects the rules with `absent = "allow"`. Under a negation it opens nothing.
fn open_by_absence<'a>(expression: &'a Expression, negated: bool, found: &mut Vec<&'a Rule>) {
    match expression {
        Expression::Any(members) | Expression::All(members) => {
            members.iter().for_each(|member| open_by_absence(member, negated, found));
        }
        Expression::Not(member) => open_by_absence(member, !negated, found),
        Expression::Rule(rule) if rule.absent == Absent::Allow && !negated => found.push(rule),
        Expression::Rule(_) => {}
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
