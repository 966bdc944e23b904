//! What rules mean, and the laws that hold for all of them.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{AttributeConfig, Label, Narrowing};

/// Runs what is asynchronous only for the sake of engines besides the rules.
fn now<T>(decided: impl Future<Output = Result<T, Unavailable>>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(decided).unwrap()
}

const DEPARTMENTS: [&str; 4] = ["engineering", "sales", "hr", "eng"];
const LEVELS: [&str; 3] = ["Public", "Internal", "Secret"];

fn schema() -> Arc<Schema> {
    let attributes: Vec<AttributeConfig> = serde_json::from_value(json!([
        {"name": "department", "type": "keyword"},
        {"name": "clearance", "type": "level", "levels": LEVELS},
        {"name": "project", "type": "keyword", "optional": true},
        {"name": "groups", "type": "keyword", "optional": true, "multiple": true},
        {"name": "year", "type": "integer", "optional": true},
    ]))
    .unwrap();
    Arc::new(Schema::new(&attributes).unwrap())
}

fn policy(rules: Json) -> Policy {
    Policy::new(&serde_json::from_value(rules).unwrap(), schema()).unwrap()
}

fn label(document: Json) -> Label {
    schema().label(document.as_object().unwrap()).unwrap()
}

fn allows(policy: &Policy, claims: Json, document: Json) -> bool {
    now(policy.explain(claims.as_object().unwrap(), &label(document))).allowed
}

fn one_rule(op: &str, attribute: &str) -> Policy {
    policy(json!({"rule": [{"attribute": attribute, "op": op, "claim": "c"}]}))
}

/// Each row: operator, attribute, claim, document's value, allowed.
#[test]
fn operators_mean_what_the_readme_says() {
    let rows = [
        ("in", "department", json!(["sales", "hr"]), json!("hr"), true),
        ("in", "department", json!("hr"), json!("hr"), true),
        ("in", "department", json!("HR"), json!("hr"), false),
        ("in", "department", json!("*"), json!("hr"), false),
        ("eq", "department", json!("hr"), json!("hr"), true),
        ("eq", "groups", json!(["b", "a"]), json!(["a", "b"]), true),
        ("eq", "groups", json!(["a"]), json!(["a", "b"]), false),
        ("any", "groups", json!(["a", "x"]), json!(["a", "b"]), true),
        ("any", "groups", json!(["x"]), json!(["a", "b"]), false),
        ("all", "groups", json!(["a", "b", "c"]), json!(["a", "b"]), true),
        ("all", "groups", json!(["a"]), json!(["a", "b"]), false),
        ("lte", "clearance", json!("Internal"), json!("Internal"), true),
        ("lte", "clearance", json!("Internal"), json!("Secret"), false),
        ("lte", "clearance", json!(2), json!("1"), true),
        ("lte", "clearance", json!("2"), json!("Secret"), false),
        ("lte", "clearance", json!(["Public", 3]), json!("Secret"), true),
        ("gte", "year", json!(2020), json!(2026), true),
        ("gte", "year", json!("2020"), json!(9), false),
        ("prefix", "department", json!("eng"), json!("engineering"), true),
        ("prefix", "department", json!("engineering"), json!("eng"), false),
    ];
    for (op, attribute, claim, held, expected) in rows {
        let mut document = json!({"department": "eng", "clearance": "Public"});
        document[attribute] = held.clone();
        let allowed = allows(&one_rule(op, attribute), json!({"c": claim}), document);
        assert_eq!(allowed, expected, "{attribute} {op}: document {held}, claim {claim}");
    }
}

#[test]
fn unusable_claims_satisfy_neither_a_rule_nor_its_negation() {
    let unusable = [
        json!({}),
        json!({"c": null}),
        json!({"c": ""}),
        json!({"c": []}),
        json!({"c": {}}),
        json!({"c": true}),
        json!({"c": 3.5}),
        json!({"c": -1}),
        json!({"c": 4}),
        json!({"c": " 3"}),
        json!({"c": "03"}),
        json!({"c": "0x3"}),
        json!({"c": "３"}),
        json!({"c": [1, "Nonsense"]}),
        json!({"c": ["Secret", ["Public"]]}),
        json!({"c": vec!["Secret"; 300]}),
        json!({"c": "Secret", "_claim_names": {"c": "src1"}}),
    ];
    for claims in unusable {
        for not in [false, true] {
            let rule = json!({"attribute": "clearance", "op": "lte", "claim": "c", "not": not});
            let policy = policy(json!({"rule": [rule]}));
            let document = json!({"department": "hr", "clearance": "Public"});
            assert!(!allows(&policy, claims.clone(), document), "not = {not}: {claims}");
        }
    }
}

#[test]
fn groups_overage_is_never_no_groups() {
    let policy = policy(json!({"rule": [
        {"attribute": "groups", "op": "any", "claim": "groups", "absent": "deny"},
    ]}));
    let document = json!({"department": "hr", "clearance": 1, "groups": ["a"]});
    assert!(allows(&policy, json!({"groups": ["a"]}), document.clone()));
    assert!(!allows(&policy, json!({"groups": ["a"], "hasgroups": true}), document));
}

#[test]
fn a_name_is_taken_letter_by_letter_and_only_a_pointer_is_followed() {
    let document = json!({"department": "hr", "clearance": 1, "groups": ["a"]});
    let nested = json!({"x": {"y": ["a"]}, "https:": {"": {"x": ["a"]}}});
    let rows = [
        ("x.y", json!({"x.y": ["a"]}), true),
        ("x.y", nested.clone(), false),
        ("https://x", json!({"https://x": ["a"]}), true),
        ("https://x", nested.clone(), false),
        ("/x/y", nested, true),
        ("/x/y", json!({"/x/y": ["a"], "x/y": ["a"], "x.y": ["a"]}), false),
    ];
    for (claim, claims, expected) in rows {
        let rule = json!({"attribute": "groups", "op": "any", "claim": claim});
        let policy = policy(json!({"rule": [rule]}));
        assert_eq!(
            allows(&policy, claims.clone(), document.clone()),
            expected,
            "{claim}: {claims}"
        );
    }
}

#[test]
fn what_stands_inside_a_claim_that_is_referred_to_opens_nothing() {
    let rule = json!({"attribute": "groups", "op": "any", "claim": "/realm~1access/roles"});
    let policy = policy(json!({"rule": [rule]}));
    let document = json!({"department": "hr", "clearance": 1, "groups": ["a"]});
    let claims = json!({"realm/access": {"roles": ["a"]}});
    assert!(allows(&policy, claims.clone(), document.clone()));
    let mut referred = claims;
    referred["_claim_names"] = json!({"realm/access": "src1"});
    assert!(!allows(&policy, referred, document));
}

#[test]
fn absence_opens_nothing_unless_the_rule_says_so() {
    let document = json!({"department": "hr", "clearance": "Public"});
    let claims = json!({"c": ["x"]});
    let rule = |extra: Json| {
        let mut rule = json!({"attribute": "project", "op": "in", "claim": "c"});
        rule.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        policy(json!({"rule": [rule]}))
    };
    assert!(!allows(&rule(json!({})), claims.clone(), document.clone()));
    assert!(!allows(&rule(json!({"not": true})), claims.clone(), document.clone()));
    assert!(allows(&rule(json!({"absent": "allow"})), claims.clone(), document.clone()));
    let exists = policy(json!({"rule": [{"attribute": "project", "op": "exists", "not": true}]}));
    assert!(!allows(&exists, claims, document));
}

#[test]
fn empty_groups_and_an_empty_policy_allow_nobody() {
    let document = json!({"department": "hr", "clearance": "Public"});
    for rules in [
        json!({}),
        json!({"any": [{}]}),
        json!({"all": [{}]}),
        json!({"any": [{"not": true}]}),
        json!({"rule": [{"attribute": "department", "op": "exists"}], "any": [{}]}),
    ] {
        assert!(!allows(&policy(rules.clone()), json!({}), document.clone()), "{rules}");
    }
}

#[test]
fn both_ways_of_writing_a_group_mean_the_same() {
    let sales = json!({"attribute": "department", "op": "in", "claim": "d"});
    let mine = json!({"attribute": "project", "op": "eq", "claim": "/nested/owner"});
    let bare = policy(json!({"any": [sales, mine]}));
    let grouped = policy(json!({"any": [{"rule": [sales, mine]}]}));
    for (claims, expected) in [
        (json!({"d": "sales"}), true),
        (json!({"nested": {"owner": "ann"}}), true),
        (json!({"d": "hr", "nested": {"owner": "bob"}}), false),
    ] {
        let document = json!({"department": "sales", "clearance": 1, "project": "ann"});
        assert_eq!(allows(&bare, claims.clone(), document.clone()), expected);
        assert_eq!(allows(&grouped, claims, document), expected);
    }
    let mixed = serde_json::from_value(json!({"any": [sales, {"rule": [mine]}]})).unwrap();
    assert!(Policy::new(&mixed, schema()).is_err());
}

#[test]
fn mistakes_in_rules_are_errors_that_name_their_place() {
    let mistakes = [
        (json!({"attribute": "colour", "op": "in", "claim": "c"}), "colour"),
        (json!({"attribute": "department", "op": "like", "claim": "c"}), "write one of eq, in"),
        (json!({"attribute": "department", "op": "lte", "claim": "c"}), "order"),
        (json!({"attribute": "groups", "op": "in", "claim": "c"}), "list"),
        (json!({"attribute": "department", "op": "in"}), "claim"),
        (json!({"attribute": "department", "op": "exists", "claim": "c"}), "exists"),
    ];
    for (rule, word) in mistakes {
        let config = serde_json::from_value(json!({"rule": [rule]})).unwrap();
        let error = Policy::new(&config, schema()).unwrap_err().to_string();
        assert!(error.contains("policy.rule[0]") && error.contains(word), "{error}");
    }
}

#[test]
fn documents_without_a_right_label_are_refused() {
    for document in [
        json!({"clearance": "Public"}),
        json!({"department": "hr"}),
        json!({"department": "hr", "clearance": "public"}),
        json!({"department": "hr", "clearance": "Cosmic"}),
        json!({"department": "hr", "clearance": ["Public"]}),
        json!({"department": ["hr", "sales"], "clearance": "Public"}),
        json!({"department": "", "clearance": "Public"}),
        json!({"department": 7, "clearance": "Public"}),
        json!({"department": "hr", "clearance": "Public", "year": "soon"}),
        json!({"department": "hr", "clearance": "Public", "groups": ["a", 1]}),
        json!({"department": "hr", "clearance": "Public", "groups": []}),
    ] {
        assert!(schema().label(document.as_object().unwrap()).is_err(), "{document}");
    }
}

#[test]
fn an_empty_name_does_not_hide_what_another_name_says() {
    let attributes = json!([
        {"name": "project", "type": "keyword", "optional": true, "from": ["program"]},
    ]);
    let attributes: Vec<AttributeConfig> = serde_json::from_value(attributes).unwrap();
    let schema = Schema::new(&attributes).unwrap();
    let document = json!({"project": null, "program": "phoenix"});
    let label = schema.label(document.as_object().unwrap()).unwrap();
    assert_eq!(schema.describe(&label), json!({"project": "phoenix"}));
}

/// What becomes of a document that says `said` when the levels are others than before.
#[test]
fn a_rank_keeps_its_meaning_when_the_levels_change() {
    let schema = |attribute: Json| {
        let attributes: Vec<AttributeConfig> = serde_json::from_value(json!([attribute])).unwrap();
        Schema::new(&attributes).unwrap()
    };
    let levels =
        |names: &[&str]| schema(json!({"name": "level", "type": "level", "levels": names}));
    let renamed = schema(json!({
        "name": "tier", "type": "level", "levels": ["Open", "Public", "Secret"], "from": ["level"],
    }));
    let before = levels(&["Public", "Internal", "Secret"]);
    let rows = [
        (levels(&["Open", "Public", "Internal", "Secret"]), json!(3), Some("Secret")),
        (levels(&["Secret", "Internal", "Public"]), json!("3"), Some("Secret")),
        (levels(&["Public", "Internal", "Private"]), json!(3), None),
        (levels(&["Public", "Internal", "Private"]), json!("Internal"), Some("Internal")),
        (renamed, json!(3), Some("Secret")),
    ];
    for (after, said, expected) in rows {
        let document = json!({"level": said});
        let document = document.as_object().unwrap();
        let former = before.describe(&before.label(document).unwrap());
        let label = after.label_again(document, &former).ok();
        let found = label.map(|label| after.describe(&label));
        let found = found.as_ref().and_then(Json::as_object).and_then(|l| l.values().next());
        assert_eq!(found.and_then(Json::as_str), expected, "{said} in {after:?}");
        // In quarantine nobody said what a number means; a name speaks for itself.
        let released = after.label_again(document, &Json::Null).is_ok();
        assert_eq!(released, said == "Internal", "{said} in {after:?}");
    }
}

#[test]
fn the_quarantine_label_stays_shut() {
    let everything = policy(json!({"rule": [
        {"attribute": "project", "op": "in", "claim": "c", "absent": "allow"},
    ]}));
    let table = LabelTable::default();
    let open = table.intern(&label(json!({"department": "hr", "clearance": 1})));
    let shut = table.intern(&Label::quarantine());
    let bailiwick = now(everything.decide_raw(&Map::new(), &table));
    assert!(bailiwick.contains(open) && !bailiwick.contains(shut));
    assert!(!now(everything.explain(&Map::new(), &Label::quarantine())).allowed);
}

#[test]
fn an_explanation_names_both_sides_and_what_of_them_matched() {
    let policy = policy(json!({
        "rule": [
            {"attribute": "department", "op": "in", "claim": "c"},
            {"attribute": "clearance", "op": "lte", "claim": "level"},
        ],
        "any": [
            {"attribute": "groups", "op": "any", "claim": "groups"},
            {"attribute": "project", "op": "eq", "claim": "p", "not": true},
        ],
    }));
    let claims = json!({"c": ["hr", "sales"], "level": 2, "groups": ["a", "b", "z"], "p": "x"});
    let document = json!({"department": "hr", "clearance": "Public", "groups": ["b", "z", "y"], "project": "x"});
    let explained = now(policy.explain(claims.as_object().unwrap(), &label(document)));
    assert!(explained.allowed);
    let told: Vec<_> = explained
        .steps
        .iter()
        .map(|step| {
            (step.text.as_str(), step.holds, step.document.join(" "), step.matched.join(" "))
        })
        .collect();
    let row = |text, holds, document: &str, matched: &str| {
        (text, Some(holds), document.to_owned(), matched.to_owned())
    };
    let expected = [
        row("department in claim c", true, "hr", "hr"),
        row("clearance lte claim level", true, "Public", "Internal"),
        row("groups any claim groups", true, "b y z", "b z"),
        row("not project eq claim p", false, "x", "x"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_holds_in_an_explanation_speaks_for_reading_under_a_negation_too() {
    let policy = policy(json!({"any": [{"not": true, "any": [
        {"attribute": "department", "op": "eq", "claim": "c"},
        {"attribute": "project", "op": "eq", "claim": "c"},
    ]}]}));
    let claims = json!({"c": "sales"});
    let explain = |document| now(policy.explain(claims.as_object().unwrap(), &label(document)));
    let holds =
        |document| explain(document).steps.iter().map(|step| step.holds).collect::<Vec<_>>();
    let hr = json!({"department": "hr", "clearance": 1, "project": "x"});
    assert_eq!(holds(hr), [Some(true), Some(true)]);
    let lacking = json!({"department": "hr", "clearance": 1});
    assert_eq!(holds(lacking.clone()), [Some(true), None]);
    assert!(!explain(lacking).allowed);
}

#[test]
fn a_decision_on_one_table_is_not_used_for_another() {
    let policy = one_rule("in", "department");
    let claims = json!({"c": "hr"});
    let claims = claims.as_object().unwrap();
    let (here, there) = (LabelTable::default(), LabelTable::default());
    let sales = label(json!({"department": "sales", "clearance": 1}));
    let hr = label(json!({"department": "hr", "clearance": 1}));
    let (hr_here, _) = (here.intern(&hr), here.intern(&sales));
    let (sales_there, hr_there) = (there.intern(&sales), there.intern(&hr));
    assert!(now(policy.decide_raw(claims, &here)).contains(hr_here));
    let bailiwick = now(policy.decide_raw(claims, &there));
    assert!(bailiwick.contains(hr_there) && !bailiwick.contains(sales_there));
    assert!(bailiwick.is_of(&there) && !bailiwick.is_of(&here));
}

#[test]
fn a_least_upper_bound_is_the_highest_level_and_all_keywords() {
    let labels = [
        label(json!({"department": "sales", "clearance": "Secret"})),
        label(json!({"department": "hr", "clearance": "Public", "groups": ["b", "a"]})),
    ];
    assert_eq!(
        schema().least_upper_bound(&labels),
        json!({"department": ["hr", "sales"], "clearance": "Secret", "groups": ["a", "b"]})
    );
}

fn documents() -> impl Strategy<Value = Json> {
    let optional = |values: &'static [&'static str]| prop::option::of(prop::sample::select(values));
    (
        prop::sample::select(&DEPARTMENTS[..]),
        prop::sample::select(&LEVELS[..]),
        optional(&["phoenix", "atlas"]),
        prop::option::of(prop::sample::subsequence(vec!["a", "b", "c"], 1..=3)),
    )
        .prop_map(|(department, clearance, project, groups)| {
            json!({"department": department, "clearance": clearance, "project": project,
                   "groups": groups})
        })
}

fn claims() -> impl Strategy<Value = Json> {
    let value = prop_oneof![
        prop::sample::select(vec![
            json!("hr"),
            json!("sales"),
            json!("Secret"),
            json!(2),
            json!("a")
        ]),
        prop::collection::vec(prop::sample::select(vec!["hr", "eng", "phoenix", "a", "b"]), 0..3)
            .prop_map(|values| json!(values)),
        Just(Json::Null),
    ];
    prop::collection::hash_map("[cde]", value, 0..3).prop_map(|claims| json!(claims))
}

fn groups() -> impl Strategy<Value = Json> {
    let rule = (
        prop::sample::select(vec![
            ("in", "department"),
            ("prefix", "department"),
            ("lte", "clearance"),
            ("gte", "clearance"),
            ("in", "project"),
            ("any", "groups"),
            ("all", "groups"),
        ]),
        "[cde]",
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|((op, attribute), claim, not, allow)| {
            let absent = if allow { "allow" } else { "deny" };
            json!({"attribute": attribute, "op": op, "claim": claim, "not": not, "absent": absent})
        });
    let rules = prop::collection::vec(rule, 0..3);
    let leaf = rules.clone().prop_map(|rules| json!({"rule": rules}));
    leaf.prop_recursive(3, 12, 3, move |inner| {
        (
            rules.clone(),
            prop::collection::vec(inner.clone(), 0..2),
            prop::collection::vec(inner, 0..2),
            any::<bool>(),
        )
            .prop_map(
                |(rule, any, all, not)| json!({"rule": rule, "any": any, "all": all, "not": not}),
            )
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    groups().prop_map(|mut group| {
        group.as_object_mut().unwrap().remove("not");
        policy(group)
    })
}

proptest! {
    /// The columns that decide quickly and the walk that explains are two implementations of one
    /// meaning.
    #[test]
    fn deciding_and_explaining_agree(
        policy in policies(),
        claims in claims(),
        documents in prop::collection::vec(documents(), 1..40),
        early in 0_usize..40,
    ) {
        let claims = claims.as_object().unwrap();
        let table = LabelTable::default();
        for document in documents.iter().take(early) {
            table.intern(&label(document.clone()));
        }
        now(policy.decide_raw(claims, &table));
        for document in &documents {
            table.intern(&label(document.clone()));
        }
        let bailiwick = now(policy.decide_raw(claims, &table));
        for document in &documents {
            let label = label(document.clone());
            let id = table.find(&label).unwrap();
            prop_assert_eq!(bailiwick.contains(id), now(policy.explain(claims, &label)).allowed);
        }
        prop_assert_eq!(bailiwick.iter().count(), bailiwick.label_count());
        prop_assert!(bailiwick.iter().all(|id| bailiwick.contains(id)));
    }

    #[test]
    fn narrowing_only_narrows(
        policy in policies(),
        claims in claims(),
        documents in prop::collection::vec(documents(), 1..20),
        departments in prop::sample::subsequence(&DEPARTMENTS[..], 1..=4),
        highest in prop::sample::select(&LEVELS[..]),
    ) {
        let table = LabelTable::default();
        for document in &documents {
            table.intern(&label(document.clone()));
        }
        let wanted = json!({"department": departments, "clearance": {"lte": highest}});
        let wanted = Narrowing::new(&schema(), &wanted).unwrap();
        let whole = now(policy.decide_raw(claims.as_object().unwrap(), &table));
        let part = whole.narrow(&wanted, &table);
        prop_assert!(part.iter().all(|id| whole.contains(id)));
        for id in part.iter() {
            let described = schema().describe(&table.label(id).unwrap());
            prop_assert!(departments.iter().any(|department| described["department"] == *department));
        }
    }

    /// What a document is stored as reads back as the same label.
    #[test]
    fn labels_survive_their_description(document in documents()) {
        let label = label(document);
        let described = schema().describe(&label);
        prop_assert_eq!(schema().label(described.as_object().unwrap()), Ok(label));
    }
}
