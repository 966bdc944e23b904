//! The rules over many labels at once: a rule is evaluated once for each distinct value.

use std::ops::Range;

use crate::claim::ClaimValues;
use crate::condition::Truth;
use crate::label::{Column, Rows};
use crate::rules::{Absent, Expression, Rule, Rules};
use crate::value::Held;

impl Rules {
    /// For each label of a range whether the rules allow it.
    pub(crate) fn allow(
        &self,
        values: &[ClaimValues],
        rows: &Rows,
        range: Range<usize>,
    ) -> Vec<bool> {
        let verdicts = column(&self.expression, values, rows, range);
        verdicts.into_iter().map(|verdict| verdict == Truth::True).collect()
    }
}

/// Evaluates an expression over a range of labels, one column at a time.
fn column(
    expression: &Expression,
    values: &[ClaimValues],
    rows: &Rows,
    range: Range<usize>,
) -> Vec<Truth> {
    let joined = |members: &[Expression], pick: fn(Truth, Truth) -> Truth| {
        let columns = members.iter().map(|member| column(member, values, rows, range.clone()));
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
            let mut verdicts = column(member, values, rows, range);
            verdicts.iter_mut().for_each(|verdict| *verdict = !*verdict);
            verdicts
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

    fn column(&self, values: &[ClaimValues], rows: &Rows, range: Range<usize>) -> Vec<Truth> {
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
