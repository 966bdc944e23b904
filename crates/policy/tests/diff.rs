//! The laws of comparing policies, on random policies, claims and labels.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bailiwick_policy::{
    AttributeConfig, Change, Class, Difference, LabelId, LabelTable, Policy, Schema,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const DEPARTMENTS: [&str; 3] = ["engineering", "sales", "hr"];
const LEVELS: [&str; 3] = ["Public", "Internal", "Secret"];

fn schema() -> Arc<Schema> {
    let attributes: Vec<AttributeConfig> = serde_json::from_value(json!([
        {"name": "department", "type": "keyword"},
        {"name": "clearance", "type": "level", "levels": LEVELS},
        {"name": "project", "type": "keyword", "optional": true},
    ]))
    .unwrap();
    Arc::new(Schema::new(&attributes).unwrap())
}

fn policy(rules: &[Value], any: bool) -> Policy {
    let table = if any { json!({ "any": rules }) } else { json!({ "rule": rules }) };
    Policy::new(&serde_json::from_value(table).unwrap(), schema()).unwrap()
}

/// Every label that there is.
fn labels() -> LabelTable {
    let table = LabelTable::default();
    for department in DEPARTMENTS {
        for level in LEVELS {
            for project in [json!("phoenix"), json!("atlas"), Value::Null] {
                let mut document = json!({ "department": department, "clearance": level });
                if !project.is_null() {
                    document["project"] = project;
                }
                table.intern(&schema().label(document.as_object().unwrap()).unwrap());
            }
        }
    }
    table
}

fn rule() -> impl Strategy<Value = Value> {
    let rule = prop_oneof![
        Just(json!({"attribute": "department", "op": "in", "claim": "/work/department"})),
        Just(json!({"attribute": "department", "op": "prefix", "claim": "prefix"})),
        Just(json!({"attribute": "clearance", "op": "lte", "claim": "clearance"})),
        Just(json!({"attribute": "clearance", "op": "gte", "claim": "clearance"})),
        Just(json!({"attribute": "project", "op": "in", "claim": "projects", "absent": "allow"})),
        Just(json!({"attribute": "project", "op": "exists"})),
    ];
    (rule, any::<bool>()).prop_map(|(mut rule, not)| {
        rule["not"] = not.into();
        rule
    })
}

fn policies() -> impl Strategy<Value = (Vec<Value>, bool)> {
    (prop::collection::vec(rule(), 0..4), any::<bool>())
}

fn claims() -> impl Strategy<Value = Map<String, Value>> {
    let optional = |values: Vec<Value>| prop::option::of(prop::sample::select(values));
    let department = optional(vec![json!("sales"), json!(["hr", "sales"]), json!([]), json!(5)]);
    let clearance = optional(vec![json!("Internal"), json!(3), json!("Cosmic")]);
    let projects = optional(vec![json!(["phoenix"]), json!("atlas"), Value::Null]);
    let prefix = optional(vec![json!("eng"), json!("s")]);
    (department, clearance, projects, prefix).prop_map(
        |(department, clearance, projects, prefix)| {
            let work = department.map(|department| json!({ "department": department }));
            let named = [
                ("work", work),
                ("clearance", clearance),
                ("projects", projects),
                ("prefix", prefix),
            ];
            let said =
                named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
            said.collect()
        },
    )
}

fn classes() -> impl Strategy<Value = Vec<Class>> {
    let named = |claims: Vec<_>| (0..).zip(claims).map(|(n, c)| Class::new(format!("{n}"), c));
    prop::collection::vec(claims(), 1..6).prop_map(move |claims| named(claims).collect())
}

/// Rules alone never wait.
fn now<T>(asked: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(asked)
}

fn diff(before: &Policy, after: &Policy, classes: &[Class], labels: &LabelTable) -> Vec<Change> {
    now(before.diff(after, classes, labels)).unwrap()
}

fn suppose(policy: &Policy, claims: &Map<String, Value>, labels: &LabelTable) -> BTreeSet<LabelId> {
    now(policy.suppose(claims, labels)).unwrap()
}

fn inverse(changes: Vec<Change>) -> Vec<Change> {
    let turn = |Change { class, gained, lost }| Change { class, gained: lost, lost: gained };
    changes.into_iter().map(turn).collect()
}

proptest! {
    #[test]
    fn a_difference_obeys_the_laws_of_sets(
        (a, any_a) in policies(), (b, any_b) in policies(), (c, any_c) in policies(),
        classes in classes(),
    ) {
        let (a, b, c) = (policy(&a, any_a), policy(&b, any_b), policy(&c, any_c));
        let labels = labels();
        prop_assert_eq!(diff(&a, &a, &classes, &labels), vec![]);
        let there = diff(&a, &b, &classes, &labels);
        prop_assert_eq!(&there, &inverse(diff(&b, &a, &classes, &labels)));
        let (on, whole) = (diff(&b, &c, &classes, &labels), diff(&a, &c, &classes, &labels));
        for (place, class) in classes.iter().enumerate() {
            let opens = |policy: &Policy| suppose(policy, &class.claims, &labels);
            let (before, after) = (opens(&a), opens(&b));
            let (gained, lost) = of(&there, place);
            prop_assert!(gained.is_disjoint(&lost));
            let kept: BTreeSet<_> = before.difference(&lost).copied().collect();
            prop_assert_eq!(&kept | &gained, after, "before, less what is lost, and what is gained");
            prop_assert!(gained.is_disjoint(&before) && lost.is_subset(&before));
            // One step after the other is the whole way.
            let (gained_on, lost_on) = of(&on, place);
            let both = &(&(&before - &lost) | &gained) - &lost_on;
            let (gained_in_all, lost_in_all) = of(&whole, place);
            prop_assert_eq!(&both | &gained_on, &(&before - &lost_in_all) | &gained_in_all);
        }
    }

    #[test]
    fn whoever_may_read_a_label_is_who_would_be_shown_it(
        (rules, any) in policies(), classes in classes(), label in 0..27_u32,
    ) {
        let (policy, labels) = (policy(&rules, any), labels());
        let label = LabelId::from_u32(label);
        let opens = |class: &Class| suppose(&policy, &class.claims, &labels).contains(&label);
        let expected: Vec<usize> =
            (0..classes.len()).filter(|place| opens(&classes[*place])).collect();
        let who = now(policy.who(&labels.label(label).unwrap(), &classes)).unwrap();
        prop_assert_eq!(who, expected);
    }

    /// What a policy reads of a token says all that it decides by, pointers included.
    #[test]
    fn claims_as_they_were_read_decide_as_the_token_did(
        (rules, any) in policies(), token in claims(),
    ) {
        let (policy, labels) = (policy(&rules, any), labels());
        let mut said = Map::new();
        for path in policy.claims() {
            let found = bailiwick_policy::ClaimPath::new(&path).find(&token).cloned();
            said.extend(found.map(|claim| (path, claim)));
        }
        let read = Class::from_read("read".into(), &said, &[]);
        prop_assert_eq!(
            suppose(&policy, &read.claims, &labels), suppose(&policy, &token, &labels)
        );
    }
}

fn of(changes: &[Change], class: usize) -> (BTreeSet<LabelId>, BTreeSet<LabelId>) {
    let found = changes.iter().find(|change| change.class == class);
    let sets = |change: &Change| {
        (change.gained.iter().copied().collect(), change.lost.iter().copied().collect())
    };
    found.map(sets).unwrap_or_default()
}

#[test]
fn a_difference_counts_documents_and_says_which_claims_nobody_has_read_yet() {
    let own = json!({"attribute": "department", "op": "in", "claim": "department"});
    let up_to = json!({"attribute": "clearance", "op": "lte", "claim": "clearance"});
    let (before, after) = (policy(std::slice::from_ref(&own), false), policy(&[own, up_to], false));
    let said = json!({ "department": "sales" });
    let known = [Class::from_read("a digest".into(), said.as_object().unwrap(), &[])];
    let labels = labels();
    let documents: BTreeMap<LabelId, u64> =
        (0..27).map(|n| (LabelId::from_u32(n), u64::from(n))).collect();
    let difference = Difference::between(&before, &after, &known, &labels, &documents);
    let difference = now(difference).unwrap();
    let change = &difference.changed[0];
    assert_eq!((change.gained.labels, change.lost.labels), (0, 9));
    assert_eq!(change.lost.documents, (9..18).sum::<u64>());
    assert_eq!(change.lost.listed[0].documents, 17, "the largest first");
    assert_eq!(change.unsaid, ["clearance"]);
    assert!(difference.to_string().contains("its claim clearance is not known yet"));
}
