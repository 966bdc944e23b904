//! `allow` taken apart: conditions that have nothing to do with each other, each with the
//! attributes that it reads, so that one is evaluated once for each value and not for each label.
//!
//! A body is a conjunction of statements, a rule that is true or nothing is a disjunction of its
//! bodies. Statements that share a variable stay together. Whatever is written in another way is
//! not taken apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use regorus::Value;
use regorus::unstable::{Expr, Literal, LiteralStmt, Query, Rule, RuleBody, RuleHead};

use super::reads::{Mentions, Modules};
use crate::engine::Reads;

/// More would not be quicker than to evaluate `allow` itself.
const MAX_PARTS: usize = 64;

/// What the rules are called that parts become.
const PART: &str = "bailiwick_part_";

/// How `allow` is made of its parts.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) parts: Vec<Part>,
    /// Each after those that it joins; the last one is `allow`.
    pub(super) nodes: Vec<Node>,
}

/// One condition, written as a rule of its own.
#[derive(Debug)]
pub(super) struct Part {
    /// The path of that rule.
    pub(super) path: String,
    /// The file that it is taken from, and the first of its lines.
    pub(super) file: String,
    pub(super) line: u32,
    /// The statements, as they are written.
    pub(super) text: String,
    pub(super) reads: Reads,
}

/// A condition by its place among the parts, or some nodes joined.
#[derive(Debug)]
pub(super) enum Node {
    Part(usize),
    All(Vec<usize>),
    Any(Vec<usize>),
    Not(usize),
}

impl Plan {
    /// None when there is nothing to take apart.
    pub(super) fn new(modules: &Modules, rule: &[&str]) -> Option<Self> {
        let is_part = |path: &[String]| path.iter().any(|name| name.starts_with(PART));
        if modules.definitions.iter().any(|definition| is_part(&definition.path)) {
            return None;
        }
        let path: Vec<_> = rule.iter().map(|&name| name.to_owned()).collect();
        let mut planner = Planner { modules, plan: Self::default(), known: BTreeMap::new() };
        planner.rule(&path)?;
        let plan = planner.plan;
        ((1..=MAX_PARTS).contains(&plan.parts.len())).then_some(plan)
    }

    /// A file with the parts that are taken from it at its end, where its imports hold.
    pub(super) fn append(&self, file: &str, text: &str) -> String {
        let mut text = text.to_owned();
        for part in self.parts.iter().filter(|part| part.file == file) {
            let name = part.path.rsplit('.').next().unwrap_or_default();
            let _ = write!(text, "\n{name} if {{\n{}\n}}\n", part.text);
        }
        text
    }
}

struct Planner<'a> {
    modules: &'a Modules,
    plan: Plan,
    /// The rules that are taken apart already, by their paths.
    known: BTreeMap<Vec<String>, usize>,
}

impl Planner<'_> {
    fn push(&mut self, node: Node) -> usize {
        self.plan.nodes.push(node);
        self.plan.nodes.len() - 1
    }

    /// A rule whose every definition is true or nothing. No rule leads back to itself: the
    /// program was refused otherwise.
    fn rule(&mut self, path: &[String]) -> Option<usize> {
        if let Some(known) = self.known.get(path) {
            return Some(*known);
        }
        let modules = self.modules;
        let mut bodies = Vec::new();
        for definition in &modules.definitions {
            if !definition.path.iter().zip(path).all(|(left, right)| left == right) {
                continue;
            }
            let is_this = definition.is_exact && definition.path.len() == path.len();
            let plain = plain(&definition.rule).filter(|_| is_this)?;
            bodies.extend(plain.iter().map(|body| (definition.module, &*body.query)));
        }
        if bodies.is_empty() || self.plan.parts.len() > MAX_PARTS {
            return None;
        }
        let any = bodies.into_iter().map(|(module, query)| self.body(module, query)).collect();
        let node = self.push(Node::Any(any));
        self.known.insert(path.to_vec(), node);
        Some(node)
    }

    fn body(&mut self, module: usize, query: &Query) -> usize {
        let mut declared = BTreeSet::new();
        let mut groups: Vec<(Vec<&LiteralStmt>, Mentions)> = Vec::new();
        let said: Vec<_> = query.stmts.iter().map(Mentions::of_statement).collect();
        said.iter().for_each(|mentions| declared.extend(mentions.declared.iter().cloned()));
        for (statement, mut mentions) in query.stmts.iter().zip(said) {
            let mut own = self.variables(module, &mentions, &declared);
            let mut statements = Vec::new();
            // It joins all the statements before it that it shares a variable with.
            let mut apart = Vec::new();
            for (others, theirs) in groups {
                let variables = self.variables(module, &theirs, &declared);
                if own.is_disjoint(&variables) {
                    apart.push((others, theirs));
                } else {
                    own.extend(variables);
                    statements.extend(others);
                    mentions.names.extend(theirs.names);
                }
            }
            groups = apart;
            statements.push(statement);
            groups.push((statements, mentions));
        }
        let all = groups.into_iter().map(|(statements, mentions)| {
            let rule = self.is_rule(module, &statements, &declared);
            rule.unwrap_or_else(|| self.part(module, &statements, &mentions))
        });
        let all = all.collect();
        self.push(Node::All(all))
    }

    /// The names that are variables of the body.
    fn variables(
        &self,
        module: usize,
        mentions: &Mentions,
        declared: &BTreeSet<String>,
    ) -> BTreeSet<String> {
        let names = mentions.names.iter().filter(|name| !name.is_function).map(|name| &name.root);
        let variables = names.filter(|name| {
            !matches!(name.as_str(), "input" | "data" | "_")
                && (declared.contains(*name) || !self.is_global(module, name))
        });
        variables.cloned().collect()
    }

    fn is_global(&self, module: usize, name: &str) -> bool {
        let package = self.modules.packages.get(module).map_or(&[][..], Vec::as_slice);
        let is_rule = |path: &[String]| {
            path.strip_prefix(package)
                .and_then(|below| below.first())
                .is_some_and(|one| one == name)
        };
        self.modules.definitions.iter().any(|definition| is_rule(&definition.path))
            || self.modules.imports.get(module).is_some_and(|imports| imports.contains_key(name))
    }

    /// A statement that is nothing but the name of a rule, or its negation.
    fn is_rule(
        &mut self,
        module: usize,
        statements: &[&LiteralStmt],
        declared: &BTreeSet<String>,
    ) -> Option<usize> {
        let [statement] = statements else { return None };
        let (Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. }) = &statement.literal
        else {
            return None;
        };
        let Expr::Var { span, .. } = &**expr else { return None };
        let imports = self.modules.imports.get(module)?;
        let name = span.text();
        let is_else = !statement.with_mods.is_empty() || imports.contains_key(name);
        if is_else || declared.contains(name) {
            return None;
        }
        let package = self.modules.packages.get(module)?;
        let path: Vec<_> = package.iter().cloned().chain([name.to_owned()]).collect();
        let rule = self.rule(&path)?;
        let is_negated = matches!(statement.literal, Literal::NotExpr { .. });
        Some(if is_negated { self.push(Node::Not(rule)) } else { rule })
    }

    fn part(&mut self, module: usize, statements: &[&LiteralStmt], mentions: &Mentions) -> usize {
        let texts: Vec<_> = statements.iter().map(|statement| written(statement)).collect();
        let first = statements.first().map(|statement| &statement.span);
        let number = self.plan.parts.len();
        let package = self.modules.packages.get(module).map(|package| package.join("."));
        self.plan.parts.push(Part {
            path: format!("data.{}.{PART}{number}", package.unwrap_or_default()),
            file: first.map_or_else(String::new, |span| span.source.file().clone()),
            line: first.map_or(0, |span| span.line),
            text: texts.join("\n"),
            reads: self.modules.reads(module, mentions),
        });
        self.push(Node::Part(number))
    }
}

/// A statement as it is written. A string's span is without its quotes.
fn written(LiteralStmt { span, .. }: &LiteralStmt) -> &str {
    let contents = span.source.contents();
    let (start, end) = (span.start as usize, span.end as usize);
    let is_quote = |at: usize| matches!(contents.as_bytes().get(at), Some(b'"' | b'`'));
    let before = start.checked_sub(1).filter(|at| is_quote(*at)).unwrap_or(start);
    contents.get(before..end + usize::from(is_quote(end))).unwrap_or_default()
}

/// The bodies of a rule that is `true` or nothing; none of one that may be anything else.
fn plain(rule: &Rule) -> Option<&[RuleBody]> {
    let is = |value: &Expr, expected| match value {
        Expr::Bool { value, .. } => *value == Value::Bool(expected),
        _ => false,
    };
    match rule {
        Rule::Default { args, value, .. } => (args.is_empty() && is(value, false)).then_some(&[]),
        Rule::Spec { head: RuleHead::Compr { assign, .. }, bodies, .. } => {
            let is_true = assign.as_ref().is_none_or(|assign| is(&assign.value, true));
            let without_else = bodies.iter().all(|body| !body.is_else && body.assign.is_none());
            (is_true && without_else && !bodies.is_empty()).then_some(bodies)
        }
        Rule::Spec { .. } => None,
    }
}
