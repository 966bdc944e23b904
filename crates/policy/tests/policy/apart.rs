//! A policy in Rego that is taken apart decides on many labels as on each of them alone.

use bailiwick_policy::{LabelTable, wait};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{policy, schema, write};

/// What the bodies may call, or mistake for a variable.
const RULES: &str = r#"
own if input.label.department in input.claims.department
shared if not input.label.projects
shared if { some one in input.label.projects; one in input.claims.projects }
closed if { input.label.year < 2000; not own }
closed := true if input.label.clearance == "Secret"
default closed := false
either if { own; up_to } else := false if { shared }
up_to if data.rank[input.label.clearance] <= data.rank[input.claims.clearance]
several := 1 if input.label.department == "hr"
several := 2 if input.label.clearance == "Public"
old(year) if year < 2000
hr(label) if label.department == "hr"
named[input.label.department] := input.label.year
p := "phoenix"
"#;

const LIBRARY: &str = r#"package lib
recent if input.label.year >= 2010
among(x, list) if { some one in list; one == x }
"#;

/// Statements, alone or with others that they share a variable with.
const STATEMENTS: [&str; 37] = [
    "own",
    "not own",
    "shared",
    "not shared",
    "closed",
    "not closed",
    "either",
    "up_to",
    "data.bailiwick.own",
    "lib.recent",
    "not lib.recent",
    "lib.among(input.label.department, input.claims.department)",
    "several == 1",
    "not several",
    "hr(input.label)",
    "old(input.label.year)",
    "not old(input.label.year)",
    "input.label.department in input.claims.department",
    "input.label[\"clearance\"] != \"Secret\"",
    "not input.label.projects",
    "not input.label.year",
    "paper.department == \"sales\"",
    "d == \"hr\"",
    "p == \"phoenix\"",
    "p in input.label.projects",
    "some p in input.label.projects; p in input.claims.projects",
    "some p in input.label.projects; count(p) > 5; p == \"phoenix\"",
    "y := input.label.year; y > 2000",
    "name := \"department\"; input.label[name] == \"sales\"",
    "label := input.label; label.clearance == \"Public\"",
    "closed := input.label.year; closed > 2000",
    "every one in input.label.projects { one in input.claims.projects }",
    "count([x | x := input.label.projects[_]]) == 1",
    "input.label.year / (input.label.year - 1999) > 0",
    "to_number(input.label.department) == 1",
    "named[input.label.department] == 2020",
    "count(data.bailiwick.named) == 1",
];

fn policies() -> impl Strategy<Value = String> {
    let body = subsequence(STATEMENTS.to_vec(), 1..5).prop_shuffle();
    let body = body.prop_map(|body| format!("allow if {{\n  {}\n}}\n", body.join("\n  ")));
    let bodies = prop::collection::vec(body, 1..4);
    let default = select(vec!["", "default allow := false\n", "default allow := true\n"]);
    (default, bodies).prop_map(|(default, bodies)| {
        let imports =
            "import data.lib\nimport input.label as paper\nimport input.label.department as d\n";
        format!("package bailiwick\n{imports}{default}{}{RULES}", bodies.concat())
    })
}

/// Every label that there is.
fn documents() -> Vec<Value> {
    let mut documents = Vec::new();
    for department in ["hr", "sales"] {
        for clearance in ["Public", "Internal", "Secret"] {
            for projects in [json!(null), json!(["atlas"]), json!(["phoenix", "atlas"])] {
                for year in [json!(null), json!(1999), json!(2020)] {
                    documents.push(json!({"department": department, "clearance": clearance,
                        "projects": projects, "year": year}));
                }
            }
        }
    }
    documents
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn many_labels_are_decided_as_each_alone(text in policies()) {
        let folder = TempDir::new().unwrap();
        let rank = r#"{"rank": {"Public": 1, "Internal": 2, "Secret": 3}}"#;
        let files = [
            write(folder.path(), "policy.rego", &text),
            write(folder.path(), "lib.rego", LIBRARY),
        ];
        let data = [write(folder.path(), "rank.json", rank)];
        let config = json!({"engine": "rego",
            "rego": {"files": files, "data": data, "timeout_ms": 60_000}});
        let policy = policy(config);
        // Variables of two statements may have one name, which Rego refuses.
        let policy = match policy {
            Err(refused) if refused.to_string().contains("used before definition") => {
                return Err(TestCaseError::reject("a name is used twice"));
            }
            policy => policy.map_err(|refused| TestCaseError::fail(format!("{refused}\n{text}")))?,
        };
        for claims in [
            json!({"department": ["hr"], "clearance": "Internal", "projects": ["phoenix"]}),
            json!({"department": ["sales", "hr"], "clearance": "Secret"}),
        ] {
            let claims = claims.as_object().unwrap();
            let all = LabelTable::default();
            let mut alone = Vec::new();
            for document in documents() {
                let label = schema().label(document.as_object().unwrap()).unwrap();
                let id = all.intern(&label);
                let one = LabelTable::default();
                one.intern(&label);
                if !wait(policy.suppose(claims, &one)).unwrap().is_empty() {
                    alone.push(id);
                }
            }
            let together: Vec<_> =
                wait(policy.suppose(claims, &all)).unwrap().into_iter().collect();
            prop_assert_eq!(together, alone, "{:?}\n{}", claims, text);
        }
    }
}
