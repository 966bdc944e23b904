//! Which labels a policy in Rego allows: each part of `allow` once for each combination of the
//! values that it reads, and `allow` itself where parts cannot tell.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use regorus::rvm::program::Program;
use regorus::rvm::vm::RegoVM;
use regorus::{MemoryBudgetConfig, Value};
use serde_json::Value as Json;

use super::compile::{Compiled, Ready, place};
use super::parts::{Node, Plan};
use super::{ALLOW, Limits};
use crate::engine::{Question, Reads, Unavailable};
use crate::label::{Label, LabelId};
use crate::schema::Schema;
use crate::value::{Held, Scalar};

/// Evaluation recurses with the depth of a policy, which its author chooses.
const STACK_BYTES: usize = 16 << 20;
/// Fewer evaluations are not worth another thread.
const PER_THREAD: usize = 1024;

/// The most numbers in a table of all pairs of a class and a value.
const SMALL_TABLE: usize = 1 << 16;

/// What an evaluation says; an error allows nothing, and says nothing of its negation either.
pub(super) type Verdict = Result<bool, String>;

pub(super) fn allowed(
    compiled: &Compiled,
    limits: Limits,
    question: &Question,
) -> Result<HashSet<LabelId>, Unavailable> {
    let run = Run::new(question, limits);
    let mut verdicts: Vec<Option<bool>> = vec![None; question.asked.labels.len()];
    if let Some((plan, ready)) = &compiled.apart {
        run.by_parts(plan, ready, &mut verdicts)?;
    }
    run.whole(compiled, &mut verdicts)?;
    let allowed = question.asked.labels.iter().zip(verdicts);
    Ok(allowed.filter(|(_, verdict)| *verdict == Some(true)).map(|((id, _), _)| *id).collect())
}

/// What each part says of the first label.
pub(super) fn of_parts(
    plan: &Plan,
    ready: &Ready,
    limits: Limits,
    question: &Question,
) -> Result<Vec<Verdict>, Unavailable> {
    let tasks: Vec<Task<'_>> = plan.parts.iter().map(|part| (part.path.as_str(), 0)).collect();
    Run::new(question, limits).evaluate(ready, &tasks, Evaluator::agree)
}

/// One decision.
struct Run<'a> {
    question: &'a Question,
    inputs: Inputs<'a>,
    limits: Limits,
    deadline: Instant,
}

/// A rule, and the label that it is evaluated for, by its place.
type Task<'a> = (&'a str, usize);

/// One way of evaluating a rule.
type How = fn(&mut Evaluator, &str, Value) -> Verdict;

impl<'a> Run<'a> {
    fn new(question: &'a Question, limits: Limits) -> Self {
        let claims = Value::from(Json::Object((*question.claims).clone()));
        let inputs = Inputs::new(&question.schema, &claims);
        Self { question, inputs, limits, deadline: Instant::now() + limits.time }
    }

    /// Decides by parts, except about labels for which one fails.
    fn by_parts(
        &self,
        plan: &Plan,
        ready: &Ready,
        verdicts: &mut [Option<bool>],
    ) -> Result<(), Unavailable> {
        let classes: Vec<_> = plan.parts.iter().map(|part| self.classes(&part.reads)).collect();
        let tasks: Vec<Task<'_>> = plan
            .parts
            .iter()
            .zip(&classes)
            .flat_map(|(part, classes)| {
                classes.first.iter().map(|label| (part.path.as_str(), *label))
            })
            .collect();
        if tasks.len() >= verdicts.len() {
            return Ok(());
        }
        let mut said = self.evaluate(ready, &tasks, Evaluator::agree)?.into_iter();
        let said = classes.iter().map(|classes| said.by_ref().take(classes.first.len()).collect());
        let said: Vec<Vec<Verdict>> = said.collect();
        let mut columns: Vec<Vec<bool>> = Vec::new();
        for node in &plan.nodes {
            columns.push(column(node, &columns, &said, &classes));
        }
        let fails = said.iter().flatten().any(Result::is_err);
        for (place, allowed) in columns.pop().unwrap_or_default().into_iter().enumerate() {
            let failed = |(said, classes): (&Vec<Verdict>, &Classes)| {
                matches!(said.get(classes.class(place)), None | Some(Err(_)))
            };
            let is_left = fails && said.iter().zip(&classes).any(failed);
            if let Some(verdict) = verdicts.get_mut(place).filter(|_| !is_left) {
                *verdict = Some(allowed);
            }
        }
        Ok(())
    }

    /// Decides by `allow` about the labels that are left, each combination of what it reads once.
    fn whole(&self, compiled: &Compiled, verdicts: &mut [Option<bool>]) -> Result<(), Unavailable> {
        if verdicts.iter().all(Option::is_some) {
            return Ok(());
        }
        let classes = self.classes(&compiled.reads);
        let tasks: Vec<Task<'_>> = classes.first.iter().map(|label| (ALLOW, *label)).collect();
        let said = self.evaluate(&compiled.whole, &tasks, Evaluator::allows)?;
        let mut failed = (0_usize, None);
        let left = verdicts.iter_mut().enumerate().filter(|(_, verdict)| verdict.is_none());
        for (label, verdict) in left {
            match said.get(classes.class(label)) {
                Some(Ok(allowed)) => *verdict = Some(*allowed),
                // A label whose evaluation fails is closed, and the others are decided.
                Some(Err(error)) => failed = (failed.0 + 1, Some(error)),
                None => {}
            }
        }
        if let (labels, Some(error)) = failed {
            tracing::warn!(labels, %error, "Rego failed on labels, which are therefore closed");
        }
        Ok(())
    }

    fn classes(&self, reads: &Reads) -> Classes {
        let attributes =
            self.question.schema.attributes().iter().zip(&*self.question.asked.columns);
        let read = attributes.filter(|(attribute, _)| {
            reads.everything || reads.attributes.contains(attribute.name())
        });
        Classes::new(self.question.asked.labels.len(), read.map(|(_, column)| &**column))
    }

    /// Shares the tasks among the cores; one that is late fails all.
    fn evaluate(
        &self,
        ready: &Ready,
        tasks: &[Task<'_>],
        how: How,
    ) -> Result<Vec<Verdict>, Unavailable> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let share = tasks.len().div_ceil(cores).max(PER_THREAD);
        let broken = |_| Unavailable::because("Rego broke off");
        std::thread::scope(|scope| {
            let threads: Vec<_> = tasks
                .chunks(share)
                .map(|tasks| {
                    let evaluate = || self.one_after_another(ready, tasks, how);
                    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
                    thread.spawn_scoped(scope, evaluate)
                })
                .collect();
            let mut said = Vec::with_capacity(tasks.len());
            for thread in threads {
                let thread = thread.map_err(|error| Unavailable::because(error.to_string()))?;
                said.extend(thread.join().map_err(broken)??);
            }
            Ok(said)
        })
    }

    fn one_after_another(
        &self,
        ready: &Ready,
        tasks: &[Task<'_>],
        how: How,
    ) -> Result<Vec<Verdict>, Unavailable> {
        let mut evaluator = Evaluator::new(ready, self.limits)?;
        let mut said = Vec::with_capacity(tasks.len());
        for (rule, label) in tasks {
            let label = self.question.asked.labels.get(*label);
            let input = label.map_or(Value::Undefined, |(_, label)| self.inputs.of(label));
            said.push(how(&mut evaluator, rule, input));
            if Instant::now() > self.deadline {
                let limit = self.limits.time;
                return Err(Unavailable::because(format!("Rego took longer than {limit:?}")));
            }
        }
        Ok(said)
    }
}

/// What a node of a plan says of each label, after what the nodes before it say.
fn column(
    node: &Node,
    columns: &[Vec<bool>],
    said: &[Vec<Verdict>],
    classes: &[Classes],
) -> Vec<bool> {
    let known = |node: &usize| columns.get(*node).cloned().unwrap_or_default();
    let joined = |members: &[usize], pick: fn(bool, bool) -> bool| {
        let joined = members.iter().map(known).reduce(|mut left, right| {
            left.iter_mut().zip(right).for_each(|(left, right)| *left = pick(*left, right));
            left
        });
        joined.unwrap_or_default()
    };
    match node {
        Node::Part(part) => match (said.get(*part), classes.get(*part)) {
            (Some(said), Some(classes)) => {
                let verdict = |class: &u32| matches!(said.get(*class as usize), Some(Ok(true)));
                classes.of.iter().map(verdict).collect()
            }
            _ => Vec::new(),
        },
        Node::All(members) => joined(members, |left, right| left && right),
        Node::Any(members) => joined(members, |left, right| left || right),
        Node::Not(member) => known(member).into_iter().map(|verdict| !verdict).collect(),
    }
}

/// Labels that are alike in some attributes.
struct Classes {
    /// The class of each label.
    of: Vec<u32>,
    /// For each class the place of its first label.
    first: Vec<usize>,
}

impl Classes {
    /// A column says for each label which value of an attribute it has.
    fn new<'a>(labels: usize, columns: impl Iterator<Item = &'a [u32]>) -> Self {
        let mut of = vec![0_u32; labels];
        let mut first: Vec<usize> = (0..labels.min(1)).collect();
        for column in columns {
            let width = column.iter().max().map_or(0, |value| *value as usize + 1);
            // A table of all pairs is quick, but most of it may be empty.
            let is_small = first.len().saturating_mul(width) <= SMALL_TABLE;
            let mut table = vec![u32::MAX; if is_small { first.len() * width } else { 0 }];
            let mut pairs = HashMap::new();
            first.clear();
            for (label, (class, value)) in of.iter_mut().zip(column).enumerate() {
                let number = match table.get_mut(*class as usize * width + *value as usize) {
                    Some(number) => number,
                    None => pairs.entry((*class, *value)).or_insert(u32::MAX),
                };
                if *number == u32::MAX {
                    *number = u32::try_from(first.len()).unwrap_or(u32::MAX);
                    first.push(label);
                }
                *class = *number;
            }
        }
        Self { of, first }
    }

    fn class(&self, label: usize) -> usize {
        self.of.get(label).map_or(usize::MAX, |class| *class as usize)
    }
}

/// Evaluates rules for one input after another.
struct Evaluator {
    machine: RegoVM,
    interpreter: regorus::Engine,
}

impl Evaluator {
    fn new(ready: &Ready, limits: Limits) -> Result<Self, Unavailable> {
        let mut machine = RegoVM::new();
        machine.load_program(Arc::<Program>::clone(&ready.program));
        machine
            .set_data(ready.data.clone())
            .map_err(|error| Unavailable::because(error.to_string()))?;
        machine.set_max_instructions(limits.instructions);
        machine.set_memory_budget_config(Some(MemoryBudgetConfig { limit: limits.memory }));
        machine.set_execution_timer_config(Some(limits.timer()));
        let mut interpreter = ready.interpreter.clone();
        interpreter.set_execution_timer_config(limits.timer());
        Ok(Self { machine, interpreter })
    }

    /// Whether a rule is the boolean `true`, for both of regorus's evaluators.
    ///
    /// The machine is quick and within bounds, but lets a call with an undefined argument run, and
    /// takes errors of functions for undefined (regorus 0.14.1). What it would open must be true
    /// for the interpreter too.
    fn allows(&mut self, rule: &str, input: Value) -> Verdict {
        Ok(self.quick(rule, input.clone())? && self.thorough(rule, input)?)
    }

    /// The same for a part, of which "no" may open something as well as "yes".
    fn agree(&mut self, rule: &str, input: Value) -> Verdict {
        let quick = self.quick(rule, input.clone())?;
        if self.thorough(rule, input)? == quick {
            Ok(quick)
        } else {
            Err("only the whole policy can tell".to_owned())
        }
    }

    fn quick(&mut self, rule: &str, input: Value) -> Verdict {
        self.machine.set_input(input);
        let said = self.machine.execute_entry_point_by_name(rule);
        Ok(said.map_err(|error| cause(&error))? == Value::Bool(true))
    }

    fn thorough(&mut self, rule: &str, input: Value) -> Verdict {
        self.interpreter.set_input(input);
        let said = self.interpreter.eval_rule(rule.to_owned());
        Ok(said.map_err(|error| cause(&error))? == Value::Bool(true))
    }
}

/// What of an evaluator's error may be logged. The rest quotes claims and attributes: kept are the
/// place in the policy, and a limit that was reached.
fn cause(error: &impl std::fmt::Display) -> String {
    let told = error.to_string();
    if told.starts_with("Execution ") {
        return told;
    }
    place(&told).unwrap_or_else(|| "an operation does not take what it is given".to_owned())
}

/// `input` for one label after another; what they have in common is made once.
pub(super) struct Inputs<'a> {
    schema: &'a Schema,
    claims_key: Value,
    claims: Value,
    label_key: Value,
    names: Vec<Value>,
}

impl<'a> Inputs<'a> {
    pub(super) fn new(schema: &'a Schema, claims: &Value) -> Self {
        let names = schema.attributes().iter().map(|attribute| attribute.name().into());
        Self {
            schema,
            claims_key: "claims".into(),
            claims: claims.clone(),
            label_key: "label".into(),
            names: names.collect(),
        }
    }

    pub(super) fn of(&self, label: &Label) -> Value {
        let attributes = self.schema.attributes().iter().zip(&self.names);
        let held = attributes.zip(label.values().unwrap_or_default());
        let held = held.filter_map(|((attribute, name), held)| {
            let value = |scalar: &Scalar| match (attribute.kind.json(scalar), scalar) {
                (_, Scalar::Keyword(text)) => Value::from(&**text),
                (json, _) => Value::from(json),
            };
            let value = match held.as_ref()? {
                Held::One(scalar) => value(scalar),
                Held::Many(scalars) => scalars.iter().map(value).collect::<Vec<_>>().into(),
            };
            Some((name.clone(), value))
        });
        let label = Value::from(held.collect::<BTreeMap<_, _>>());
        let input =
            [(self.claims_key.clone(), self.claims.clone()), (self.label_key.clone(), label)];
        Value::from(BTreeMap::from(input))
    }
}
