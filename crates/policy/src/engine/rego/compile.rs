//! Sources → a program, or the file, the line and the column where they are wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::sync::Arc;

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::instructions::Instruction;
use regorus::rvm::program::Program;
use regorus::{CompiledPolicy, Value};
use serde_json::Value as Json;

use super::evaluate::{self, Inputs};
use super::parts::Plan;
use super::reads::Modules;
use super::source::Sources;
use super::{ALLOW, Limits};
use crate::engine::{Question, Reads, Said, Unavailable};
use crate::policy::PolicyError;

/// Functions whose answer is another one the next time, while a decision is remembered.
const CHANGEABLE: [&str; 1] = ["rand.intn"];

/// A policy that may be evaluated.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) whole: Ready,
    /// What `allow` reads of a label.
    pub(super) reads: Reads,
    /// The same policy with the parts of `allow` as rules, where it could be taken apart.
    pub(super) apart: Option<(Plan, Ready)>,
    /// The paths of the rules that are tests, such as `data.bailiwick_test.test_hr`.
    pub(super) tests: Vec<String>,
}

/// Files that may be evaluated, for the same rules in two ways.
pub(super) struct Ready {
    pub(super) program: Arc<Program>,
    pub(super) data: Value,
    /// regorus's interpreter, which knows lines and `with`, and is slower.
    pub(super) interpreter: regorus::Engine,
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").finish_non_exhaustive()
    }
}

impl Ready {
    fn new(sources: &Sources, rules: &[&str]) -> Result<(Self, CompiledPolicy), PolicyError> {
        let mut interpreter = regorus::Engine::new();
        // What a policy prints may be claims, which belong in no log.
        interpreter.set_gather_prints(true);
        for (path, text) in &sources.files {
            interpreter.add_policy(path.clone(), text.clone()).map_err(|error| wrong(&error))?;
        }
        for (path, text) in &sources.data {
            let refused =
                |error: &dyn fmt::Display| PolicyError::engine("rego", format!("{path}: {error}"));
            let json: Json =
                bailiwick_json::read(text.as_bytes()).map_err(|error| refused(&error))?;
            interpreter.add_data(Value::from(json)).map_err(|error| refused(&error))?;
        }
        let compiled = interpreter.compile_with_entrypoint(&ALLOW.into());
        let compiled = compiled.map_err(|error| match error.to_string().as_str() {
            "not a valid rule path" => {
                let problem = "no file has a rule `allow` in `package bailiwick`";
                PolicyError::engine("rego", problem)
            }
            _ => wrong(&error),
        })?;
        let program = Compiler::compile_from_policy(&compiled, rules);
        let program = program.map_err(|error| wrong(&error))?;
        let data = interpreter.get_data();
        let conflicts = program.check_rule_data_conflicts(&data);
        conflicts.map_err(|error| PolicyError::engine("rego", error.to_string()))?;
        Ok((Self { program, data, interpreter }, compiled))
    }
}

impl Compiled {
    pub(super) fn new(sources: &Sources) -> Result<Self, PolicyError> {
        let (whole, compiled) = Ready::new(sources, &[ALLOW])?;
        refuse_recursion(&whole.program)?;
        refuse_chance(&whole.program)?;
        let modules = Modules::new(compiled.get_modules());
        let allow: Vec<_> = ALLOW.split('.').skip(1).collect();
        let reads = modules.reads_of(&allow);
        let plan = if reads.everything { None } else { Plan::new(&modules, &allow) };
        let apart = plan.and_then(|plan| taken_apart(sources, plan));
        Ok(Self { whole, reads, apart, tests: tests(&compiled) })
    }

    /// What was evaluated for the one label, and what each part of `allow` says of it.
    pub(super) fn because(
        &self,
        limits: Limits,
        question: &Question,
    ) -> Result<Vec<Said>, Unavailable> {
        let (holds, because) = self.lines(limits, question)?;
        let text = ALLOW.to_owned();
        let mut said = vec![Said { text, reads: self.reads.clone(), holds: Some(holds), because }];
        if let Some((plan, ready)) = &self.apart {
            let verdicts = evaluate::of_parts(plan, ready, limits, question)?;
            for (part, verdict) in plan.parts.iter().zip(verdicts) {
                let words: Vec<_> = part.text.split_whitespace().collect();
                said.push(Said {
                    text: format!("{}:{}: {}", part.file, part.line, words.join(" ")),
                    reads: part.reads.clone(),
                    holds: verdict.as_ref().ok().copied(),
                    because: verdict.err().unwrap_or_default(),
                });
            }
        }
        Ok(said)
    }

    fn lines(&self, limits: Limits, question: &Question) -> Result<(bool, String), Unavailable> {
        let failed = |error: &dyn fmt::Display| Unavailable::because(error.to_string());
        let claims = Value::from(Json::Object((*question.claims).clone()));
        let mut interpreter = self.whole.interpreter.clone();
        interpreter.set_execution_timer_config(limits.timer());
        interpreter.set_enable_coverage(true);
        if let [(_, label), ..] = &*question.asked.labels {
            interpreter.set_input(Inputs::new(&question.schema, &claims).of(label));
        }
        let verdict = interpreter.eval_rule(ALLOW.to_owned()).map_err(|error| failed(&error))?;
        let report = interpreter.get_coverage_report().map_err(|error| failed(&error))?;
        let mut because = match &verdict {
            Value::Bool(allowed) => format!("it is {allowed}"),
            Value::Undefined => "it is undefined".to_owned(),
            _ => "it is not a boolean".to_owned(),
        };
        for file in report.files.iter().filter(|file| !file.covered.is_empty()) {
            let _ = write!(because, "; {}: evaluated {}", file.path, lines(&file.covered));
            if !file.not_covered.is_empty() {
                let _ = write!(because, ", did not reach {}", lines(&file.not_covered));
            }
        }
        Ok((verdict == Value::Bool(true), because))
    }
}

/// Without it the policy decides just the same, label by label.
fn taken_apart(sources: &Sources, plan: Plan) -> Option<(Plan, Ready)> {
    let appended = |(file, text): &(String, String)| (file.clone(), plan.append(file, text));
    let files = sources.files.iter().map(appended).collect();
    let rules: Vec<_> = plan.parts.iter().map(|part| part.path.as_str()).collect();
    match Ready::new(&Sources { files, data: sources.data.clone() }, &rules) {
        Ok((ready, _)) => Some((plan, ready)),
        Err(error) => {
            tracing::debug!(%error, "the policy is not taken apart");
            None
        }
    }
}

fn lines(numbers: &BTreeSet<u32>) -> String {
    let written: Vec<_> = numbers.iter().map(ToString::to_string).collect();
    let word = if written.len() == 1 { "line" } else { "lines" };
    format!("{word} {}", written.join(", "))
}

fn tests(compiled: &CompiledPolicy) -> Vec<String> {
    let is_test =
        |path: &&String| path.rsplit('.').next().is_some_and(|name| name.starts_with("test_"));
    let mut tests: Vec<_> = compiled.get_rules().keys().filter(is_test).cloned().collect();
    tests.sort();
    tests
}

/// The compiler leaves recursion to the machine, which would end with its stack.
fn refuse_recursion(program: &Program) -> Result<(), PolicyError> {
    let mut calls: BTreeMap<u16, BTreeSet<u16>> = BTreeMap::new();
    let mut caller = None;
    for instruction in &program.instructions {
        let called = match *instruction {
            Instruction::RuleInit { rule_index, .. } => {
                caller = Some(rule_index);
                None
            }
            Instruction::CallRule { rule_index, .. } => Some(rule_index),
            Instruction::FunctionCall { params_index } => {
                let params = program.instruction_data.get_function_call_params(params_index);
                params.map(|params| params.func_rule_index)
            }
            _ => None,
        };
        if let (Some(caller), Some(called)) = (caller, called) {
            calls.entry(caller).or_default().insert(called);
        }
    }
    // Whoever calls nobody is no part of a circle, and neither is who calls only such rules.
    while let Some(leaf) = leaf(&calls) {
        calls.remove(&leaf);
    }
    let Some(mut rule) = calls.keys().next() else { return Ok(()) };
    // Everyone who is left calls one who is left, so as many steps as there are end in a circle.
    for _ in 0..calls.len() {
        let called =
            calls.get(rule).and_then(|called| called.iter().find(|one| calls.contains_key(one)));
        rule = called.unwrap_or(rule);
    }
    let name = program.rule_infos.get(usize::from(*rule)).map_or("a rule", |rule| &rule.name);
    Err(PolicyError::engine("rego", format!("{name} needs itself; rules must not go in circles")))
}

fn leaf(calls: &BTreeMap<u16, BTreeSet<u16>>) -> Option<u16> {
    let is_leaf = |called: &BTreeSet<u16>| !called.iter().any(|rule| calls.contains_key(rule));
    calls.iter().find(|(_, called)| is_leaf(called)).map(|(rule, _)| *rule)
}

/// A decision is remembered, so it must be the same the next time.
fn refuse_chance(program: &Program) -> Result<(), PolicyError> {
    let mut called = program.builtin_info_table.iter().map(|builtin| builtin.name.as_str());
    match called.find(|name| CHANGEABLE.contains(name)) {
        Some(name) => {
            let problem = format!("{name} gives another answer each time, and a decision must not");
            Err(PolicyError::engine("rego", problem))
        }
        None => Ok(()),
    }
}

/// regorus draws a picture of the place; this takes the place and the message out of it.
fn wrong(error: &dyn fmt::Display) -> PolicyError {
    let told = error.to_string();
    let message = told.lines().find_map(|line| line.strip_prefix("error: "));
    let problem = match (place(&told), message) {
        (Some(place), Some(message)) => format!("{place}: {message}"),
        _ => told.trim().to_owned(),
    };
    PolicyError::engine("rego", problem)
}

/// The place in regorus's picture of it.
pub(super) fn place(told: &str) -> Option<String> {
    let place = told.lines().find_map(|line| line.trim().strip_prefix("--> "))?;
    let (rest, column) = place.rsplit_once(':')?;
    let (path, line) = rest.rsplit_once(':')?;
    Some(format!("{path}, line {line}, column {column}"))
}
