//! What of `input` a policy reads, as far as its text tells.
//!
//! Invariant: an evaluation reads nothing that is not named here. What the text leaves open, such
//! as `input.label[name]`, counts as everything.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{
    AssignOp, Expr, Literal, LiteralStmt, Module, Query, Ref, Rule, RuleAssign, RuleHead,
};

use crate::engine::Reads;

/// The path below a name; what is computed is `None`.
type Path = Vec<Option<String>>;

/// A name and the path below it, such as `input.label.department`.
#[derive(Clone, Debug)]
pub(super) struct Mention {
    pub(super) root: String,
    path: Path,
    /// Whether it names the function of a call, which no variable can.
    pub(super) is_function: bool,
}

/// The names in a piece of a policy.
#[derive(Clone, Debug, Default)]
pub(super) struct Mentions {
    pub(super) names: Vec<Mention>,
    /// Those that are variables, whatever else has the name.
    pub(super) declared: BTreeSet<String>,
}

/// One rule as it is written.
pub(super) struct Definition {
    /// Where it is in `data`, up to what is computed.
    pub(super) path: Vec<String>,
    /// Whether nothing of its path is computed.
    pub(super) is_exact: bool,
    pub(super) module: usize,
    pub(super) rule: Ref<Rule>,
    mentions: Mentions,
}

/// All modules of a policy, and what their names mean.
pub(super) struct Modules {
    pub(super) packages: Vec<Vec<String>>,
    /// For each module what its imports call what.
    pub(super) imports: Vec<BTreeMap<String, Mention>>,
    pub(super) definitions: Vec<Definition>,
}

impl Modules {
    pub(super) fn new(modules: &[Ref<Module>]) -> Self {
        let mut all = Self { packages: Vec::new(), imports: Vec::new(), definitions: Vec::new() };
        for (number, module) in modules.iter().enumerate() {
            let package = literal(&module.package.refr).0;
            for rule in &module.policy {
                let (Rule::Spec { head: RuleHead::Compr { refr, .. }, .. }
                | Rule::Spec { head: RuleHead::Set { refr, .. }, .. }
                | Rule::Spec { head: RuleHead::Func { refr, .. }, .. }
                | Rule::Default { refr, .. }) = &**rule;
                let (below, is_exact) = literal(refr);
                all.definitions.push(Definition {
                    path: package.iter().cloned().chain(below).collect(),
                    is_exact,
                    module: number,
                    rule: rule.clone(),
                    mentions: Mentions::of_rule(rule),
                });
            }
            all.imports.push(
                module
                    .imports
                    .iter()
                    .filter_map(|import| {
                        let (root, path) = chain(&import.refr, &mut |_| {})?;
                        let last = path.last().cloned().flatten().unwrap_or_else(|| root.clone());
                        let name = import.r#as.as_ref().map_or(last, |name| name.text().to_owned());
                        Some((name, Mention { root, path, is_function: false }))
                    })
                    .collect(),
            );
            all.packages.push(package);
        }
        all
    }

    /// What the evaluation of a rule reads.
    pub(super) fn reads_of(&self, rule: &[&str]) -> Reads {
        let path = rule.iter().map(|&name| Some(name.to_owned())).collect();
        let mut mentions = Mentions::default();
        mentions.name("data".to_owned(), path);
        self.reads(0, &mentions)
    }

    /// What is read where this is mentioned, rules and functions that it leads to included.
    pub(super) fn reads(&self, module: usize, mentions: &Mentions) -> Reads {
        let mut reads = Reads::default();
        let mut seen = BTreeSet::new();
        let mut left = vec![(module, mentions)];
        while let Some((module, mentions)) = left.pop() {
            for path in mentions.names.iter().flat_map(|mention| self.meanings(module, mention)) {
                match path.split_first() {
                    Some((Some(root), path)) if root == "input" => input(&mut reads, path),
                    Some((Some(root), path)) if root == "data" => {
                        for (place, rule) in self.definitions.iter().enumerate() {
                            let reach = rule.reach(path);
                            reads.everything |= reach == Reach::Above;
                            if reach != Reach::None && seen.insert(place) {
                                left.push((rule.module, &rule.mentions));
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        reads
    }

    /// The documents that a name may stand for: a rule of the package, and an import.
    fn meanings(&self, module: usize, mention: &Mention) -> Vec<Path> {
        let join = |root: &str, between: &[Option<String>]| {
            let root = std::iter::once(Some(root.to_owned()));
            root.chain(between.iter().cloned()).chain(mention.path.iter().cloned()).collect()
        };
        if matches!(mention.root.as_str(), "input" | "data") {
            return vec![join(&mention.root, &[])];
        }
        let package = self.packages.get(module).into_iter().flatten();
        let rule: Path = package.chain([&mention.root]).cloned().map(Some).collect();
        let import = self.imports.get(module).and_then(|imports| imports.get(&mention.root));
        let import = import.map(|import| join(&import.root, &import.path));
        std::iter::once(join("data", &rule)).chain(import).collect()
    }
}

/// How a path in `data` and a rule meet.
#[derive(Clone, Copy, PartialEq)]
enum Reach {
    None,
    /// The path leads to the rule, or into its value.
    Rule,
    /// The path leads to a document that the rule is only a part of.
    Above,
}

/// A path below `input`.
fn input(reads: &mut Reads, path: &[Option<String>]) {
    let mut path = path.iter().map(Option::as_deref);
    match (path.next().flatten(), path.next().flatten()) {
        (Some("label"), Some(name)) => drop(reads.attributes.insert(name.to_owned())),
        (Some("claims"), Some(name)) => drop(reads.claims.insert(name.to_owned())),
        // All claims are the same for every label.
        (Some("claims"), None) => {}
        (Some("label") | None, _) => reads.everything = true,
        (Some(_), _) => {}
    }
}

impl Definition {
    fn reach(&self, path: &[Option<String>]) -> Reach {
        let mut known = path.iter().map_while(Option::as_ref);
        for part in &self.path {
            match known.next() {
                Some(name) if name == part => {}
                Some(_) => return Reach::None,
                None => return Reach::Above,
            }
        }
        Reach::Rule
    }
}

impl Mentions {
    pub(super) fn of_statement(statement: &LiteralStmt) -> Self {
        let mut mentions = Self::default();
        mentions.statement(statement);
        mentions
    }

    fn of_rule(rule: &Rule) -> Self {
        let mut mentions = Self::default();
        match rule {
            Rule::Default { value, .. } => mentions.expression(value),
            Rule::Spec { head, bodies, .. } => {
                mentions.head(head);
                for body in bodies {
                    mentions.assigned(body.assign.as_ref());
                    mentions.query(&body.query);
                }
            }
        }
        mentions
    }

    fn head(&mut self, head: &RuleHead) {
        match head {
            RuleHead::Compr { refr, assign, .. } => {
                self.expression(refr);
                self.assigned(assign.as_ref());
            }
            RuleHead::Set { refr, key, .. } => {
                self.expression(refr);
                self.expressions(key);
            }
            RuleHead::Func { refr, args, assign, .. } => {
                self.expression(refr);
                self.expressions(args);
                self.assigned(assign.as_ref());
            }
        }
    }

    fn assigned(&mut self, assign: Option<&RuleAssign>) {
        self.expressions(assign.map(|assign| &assign.value));
    }

    fn query(&mut self, query: &Query) {
        query.stmts.iter().for_each(|statement| self.statement(statement));
    }

    fn statement(&mut self, statement: &LiteralStmt) {
        match &statement.literal {
            Literal::SomeVars { vars, .. } => self.declare(vars.iter().map(|name| name.text())),
            Literal::SomeIn { key, value, collection, .. } => {
                self.expressions([collection]);
                self.variables(key.iter().chain([value]));
            }
            Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => self.expression(expr),
            Literal::Every { key, value, domain, query, .. } => {
                self.declare(key.iter().chain([value]).map(|name| name.text()));
                self.expression(domain);
                self.query(query);
            }
        }
        for with in &statement.with_mods {
            self.expressions([&with.refr, &with.r#as]);
        }
    }

    fn declare<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        for name in names {
            self.declared.insert(name.to_owned());
            self.name(name.to_owned(), Vec::new());
        }
    }

    /// What stands where variables are declared: a name, or a pattern of them.
    fn variables<'a>(&mut self, patterns: impl IntoIterator<Item = &'a Ref<Expr>>) {
        let before = self.names.len();
        self.expressions(patterns);
        let declared = self.names.iter().skip(before).map(|mention| mention.root.clone());
        self.declared.extend(declared);
    }

    fn name(&mut self, root: String, path: Path) {
        self.names.push(Mention { root, path, is_function: false });
    }

    fn expressions<'a>(&mut self, expressions: impl IntoIterator<Item = &'a Ref<Expr>>) {
        expressions.into_iter().for_each(|expression| self.expression(expression));
    }

    fn expression(&mut self, expression: &Expr) {
        match expression {
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. } => {}
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                if let Some((root, path)) = chain(expression, &mut |inner| self.expression(inner)) {
                    self.name(root, path);
                }
            }
            Expr::Array { items, .. } | Expr::Set { items, .. } => self.expressions(items),
            Expr::Object { fields, .. } => {
                fields.iter().for_each(|(_, key, value)| self.expressions([key, value]));
            }
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                self.expression(term);
                self.query(query);
            }
            Expr::ObjectCompr { key, value, query, .. } => {
                self.expressions([key, value]);
                self.query(query);
            }
            Expr::Call { fcn, params, .. } => {
                if let Some((root, path)) = chain(fcn, &mut |inner| self.expression(inner)) {
                    self.names.push(Mention { root, path, is_function: true });
                }
                self.expressions(params);
            }
            Expr::UnaryExpr { expr, .. } => self.expression(expr),
            Expr::AssignExpr { op: AssignOp::ColEq, lhs, rhs, .. } => {
                self.variables([lhs]);
                self.expression(rhs);
            }
            Expr::BinExpr { lhs, rhs, .. }
            | Expr::BoolExpr { lhs, rhs, .. }
            | Expr::ArithExpr { lhs, rhs, .. }
            | Expr::AssignExpr { lhs, rhs, .. } => self.expressions([lhs, rhs]),
            Expr::Membership { key, value, collection, .. } => {
                self.expressions(key.iter().chain([value, collection]));
            }
        }
    }
}

/// The name at the root of a reference and the path below it; `visit` sees every expression that
/// a part of the path is computed from, and the root if that is no name.
fn chain(expression: &Expr, visit: &mut dyn FnMut(&Expr)) -> Option<(String, Path)> {
    let mut path = Vec::new();
    let mut at = expression;
    let root = loop {
        match at {
            Expr::Var { span, .. } => break Some(span.text().to_owned()),
            Expr::RefDot { refr, field: (name, _), .. } => {
                path.push(Some(name.text().to_owned()));
                at = refr;
            }
            Expr::RefBrack { refr, index, .. } => {
                let name = match &**index {
                    Expr::String { value, .. } | Expr::RawString { value, .. } => {
                        value.as_string().ok().map(|name| name.to_string())
                    }
                    computed => {
                        visit(computed);
                        None
                    }
                };
                path.push(name);
                at = refr;
            }
            other => {
                visit(other);
                break None;
            }
        }
    };
    path.reverse();
    Some((root?, path))
}

/// A reference as a path, up to what is computed, and whether that is all of it.
fn literal(reference: &Expr) -> (Vec<String>, bool) {
    let Some((root, path)) = chain(reference, &mut |_| {}) else { return (Vec::new(), false) };
    let known: Vec<_> = path.iter().map_while(Clone::clone).collect();
    let is_exact = known.len() == path.len();
    (std::iter::once(root).chain(known).collect(), is_exact)
}
