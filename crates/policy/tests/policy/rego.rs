//! `engine = "rego"`.

use std::path::Path;

use bailiwick_policy::{Label, Policy};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{opened, policy, schema, table, write};

const POLICY: &str = r#"package bailiwick

default allow := false

allow if {
	input.label.department in input.claims.department
	data.rank[input.label.clearance] <= data.rank[input.claims.clearance]
	projects
}

projects if not input.label.projects
projects if {
	some project in input.label.projects
	project in input.claims.projects
}
"#;

const RANK: &str = r#"{"rank": {"Public": 1, "Internal": 2, "Secret": 3}}"#;

fn configured(folder: &Path, text: &str) -> Value {
    let file = write(folder, "policy.rego", text);
    let data = write(folder, "rank.json", RANK);
    json!({"engine": "rego", "rego": {"files": [file], "data": [data]}})
}

/// A policy of this text, and the folder that it is in.
fn rego(text: &str) -> (Policy, TempDir) {
    let folder = TempDir::new().unwrap();
    (policy(configured(folder.path(), text)).unwrap(), folder)
}

fn refusal(text: &str) -> String {
    let folder = TempDir::new().unwrap();
    let refused = policy(configured(folder.path(), text)).unwrap_err().to_string();
    refused.replace(&folder.path().display().to_string(), "FOLDER")
}

fn documents() -> [Value; 4] {
    [
        json!({"department": "hr", "clearance": "Public"}),
        json!({"department": "hr", "clearance": "Secret"}),
        json!({"department": "sales", "clearance": "Public", "projects": ["atlas", "phoenix"]}),
        json!({"department": "hr", "clearance": "Internal", "projects": ["phoenix"]}),
    ]
}

fn ann() -> Value {
    json!({"department": ["hr", "sales"], "clearance": "Internal", "projects": ["atlas"]})
}

#[tokio::test]
async fn it_decides_with_claims_labels_and_data() {
    let (policy, _folder) = rego(POLICY);
    assert_eq!(opened(&policy, &ann(), &table(&documents())).await.unwrap(), [0, 2]);
    assert!(opened(&policy, &json!({}), &table(&documents())).await.unwrap().is_empty());
}

/// What is not the boolean `true`, given without an error, opens nothing.
#[tokio::test]
async fn only_true_allows() {
    for body in [
        "allow := 1",
        "allow := \"true\"",
        "allow := [true]",
        "allow := null",
        "allow contains true",
        "allow if { input.label.nothing == 1 }",
        "unlisted(x) if not is_array(x)\nallow if unlisted(input.claims.nothing)",
        "allow if { to_number(\"x\") == 1 }",
        "allow if { input.label.department < 1 / 0 }",
        "allow := true if { true }\nallow := false if { true }",
        "allow if { count([y | some x in numbers.range(1, 1000); some y in numbers.range(1, 1000); x == y]) == 1000 }",
        "allow if { count(numbers.range(1, 2000000)) > 0 }",
    ] {
        let (policy, _folder) = rego(&format!("package bailiwick\n{body}\n"));
        let opened = opened(&policy, &ann(), &table(&documents())).await;
        assert_eq!(opened.unwrap(), [0; 0], "{body}");
    }
}

/// A label whose evaluation goes wrong is closed, and the others are decided.
#[tokio::test]
async fn an_error_closes_the_label_that_it_is_about() {
    let (policy, _folder) = rego(
        "package bailiwick\nallow if { input.label.department == \"sales\" }\n\
         allow if { input.label.department == \"hr\"; count(numbers.range(1, 2000000)) > 0 }\n",
    );
    assert_eq!(opened(&policy, &ann(), &table(&documents())).await.unwrap(), [2]);
}

/// Also where many labels are decided by the conditions that `allow` is made of.
#[tokio::test]
async fn an_error_opens_nothing_by_its_negation() {
    let (policy, _folder) = rego(
        "package bailiwick\nallow if { input.label.year < 20; not odd }\n\
         odd if to_number(input.label.department) == 1\n",
    );
    let labels = |department| {
        let years = 0..40;
        let label = |year| json!({"department": department, "clearance": "Public", "year": year});
        table(&years.map(label).collect::<Vec<_>>())
    };
    assert_eq!(opened(&policy, &ann(), &labels("hr")).await.unwrap(), [0; 0]);
    assert_eq!(opened(&policy, &ann(), &labels("2")).await.unwrap().len(), 20);
}

#[tokio::test]
async fn who_takes_too_long_decides_nothing() {
    let folder = TempDir::new().unwrap();
    let slow = "package bailiwick\nallow if { every x in numbers.range(1, 9000) { x > 0 } }\n";
    let mut config = configured(folder.path(), slow);
    config["rego"]["timeout_ms"] = json!(1);
    let documents: Vec<_> = (0..500)
        .map(|year| json!({"department": "hr", "clearance": "Public", "year": year}))
        .collect();
    let late = opened(&policy(config).unwrap(), &ann(), &table(&documents)).await.unwrap_err();
    assert!(late.cause().contains("longer than 1ms"), "{}", late.cause());
}

#[test]
fn mistakes_are_told_with_file_line_and_column() {
    for (text, expected) in [
        (
            "package bailiwick\nallow if {\n  x = \n}\n",
            "policy.rego: FOLDER/policy.rego, line 3, column 5: expecting",
        ),
        (
            "package bailiwick\nallow if {\n  x == 1\n}\n",
            "policy.rego: FOLDER/policy.rego, line 3, column 3: use of undefined variable",
        ),
        (
            "package bailiwick\nallow if time.now_ns() > 0\n",
            "line 2, column 21: Unknown function: 'time.now_ns'",
        ),
        (
            "package bailiwick\nallow if http.send({\"url\": \"http://x\"}).ok\n",
            "Unknown function: 'http.send'",
        ),
        (
            "package bailiwick\nallow if rand.intn(\"x\", 2) == 1\n",
            "rand.intn gives another answer",
        ),
        ("package bailiwick\nallow if a\na if b\nb if a\n", "data.bailiwick.a needs itself"),
        ("package bailiwick\nf(x) := f(x)\nallow if f(1)\n", "needs itself"),
        ("package other\nallow := true\n", "no file has a rule `allow` in `package bailiwick`"),
    ] {
        let told = refusal(text);
        assert!(told.contains(expected), "{text}\n{told}");
    }
}

#[test]
fn a_table_that_does_not_fit_the_engine_is_refused() {
    let folder = TempDir::new().unwrap();
    let right = configured(folder.path(), POLICY);
    let with = |change: fn(&mut Value)| {
        let mut config = right.clone();
        change(&mut config);
        policy(config).unwrap_err().to_string()
    };
    assert!(with(|config| config["engine"] = json!("rules")).contains("does not use it"));
    assert!(with(|config| config["engine"] = json!("cedar")).contains("rules, rego, opa, authzen"));
    assert!(
        with(|config| drop(config.as_object_mut().unwrap().remove("rego"))).contains("missing")
    );
    assert!(with(|config| config["rego"]["files"] = json!([])).contains("names no *.rego file"));
    assert!(
        with(|config| config["rego"]["files"] = json!(["/no.rego"])).contains("cannot be read")
    );
    assert!(with(|config| config["rego"]["max_memory_mib"] = json!(0)).contains("limit of 0"));
    assert!(with(|config| config["claims"] = json!({"c": "colour"})).contains("`colour`"));
}

#[tokio::test]
async fn rules_beside_it_must_allow_too() {
    let folder = TempDir::new().unwrap();
    let mut config = configured(folder.path(), POLICY);
    config["rule"] = json!([{"attribute": "department", "op": "in", "claim": "team"}]);
    let both = policy(config).unwrap();
    let table = table(&documents());
    for (team, expected) in
        [(json!("hr"), vec![0]), (json!("sales"), vec![2]), (json!(null), vec![])]
    {
        let mut claims = ann();
        claims["team"] = team;
        assert_eq!(opened(&both, &claims, &table).await.unwrap(), expected, "{claims}");
    }
}

/// The policy sees nothing of a token that may change without the person, and nothing unusable.
#[tokio::test]
async fn it_is_told_claims_of_the_right_type_only() {
    let (policy, _folder) =
        rego("package bailiwick\nallow if input.claims[input.label.department]\n");
    let names =
        ["jti", "exp", "hasgroups", "groups", "empty", "mixed", "null", "clearance", "good"];
    let documents = names.map(|name| json!({"department": name, "clearance": 1}));
    let claims = json!({
        "jti": true, "exp": true, "hasgroups": true, "groups": true, "empty": [], "null": null,
        "mixed": ["a", 1], "clearance": true, "good": true,
    });
    assert_eq!(opened(&policy, &claims, &table(&documents)).await.unwrap(), [8]);
}

#[tokio::test]
async fn listed_claims_bound_what_it_is_told_and_have_one_spelling() {
    let folder = TempDir::new().unwrap();
    let text = "package bailiwick\nallow if { input.claims == {\"level\": \"Secret\", \"/realm/roles\": [\"a\"]} }\n";
    let mut config = configured(folder.path(), text);
    config["claims"] = json!({"level": "clearance", "/realm/roles": "keyword", "age": "integer"});
    let policy = policy(config).unwrap();
    let table = table(&documents());
    for level in [json!("Secret"), json!(3), json!("3")] {
        let claims = json!({"level": level, "realm": {"roles": ["a"]}, "age": "old", "sub": "ann"});
        assert_eq!(opened(&policy, &claims, &table).await.unwrap().len(), 4, "{claims}");
    }
    let claims = json!({"level": 9, "realm": {"roles": ["a"]}});
    assert!(opened(&policy, &claims, &table).await.unwrap().is_empty());
    assert_eq!(policy.claims(), ["/realm/roles", "age", "level"]);
}

#[tokio::test]
async fn changed_files_are_in_force_once_they_are_right() {
    let (policy, folder) = rego("package bailiwick\nallow := true\n");
    let table = table(&documents());
    let first = policy.revision();
    assert!(!policy.reload().unwrap());

    write(folder.path(), "policy.rego", "package bailiwick\nallow if {\n");
    assert!(policy.reload().is_err() && policy.refused().unwrap().contains("line 3"));
    assert_eq!(policy.revision(), first);
    assert_eq!(opened(&policy, &ann(), &table).await.unwrap().len(), 4);

    write(folder.path(), "policy.rego", "package bailiwick\nallow := false\n");
    assert!(policy.reload().unwrap() && policy.refused().is_none());
    assert_ne!(policy.revision(), first);
    assert!(opened(&policy, &ann(), &table).await.unwrap().is_empty());

    write(folder.path(), "rank.json", "{}");
    assert!(policy.reload().unwrap());
}

/// Its own lines are named, with what they read, and the verdict is that of the decision.
#[tokio::test]
async fn an_explanation_names_lines_attributes_and_claims() {
    let (policy, folder) = rego(POLICY);
    let claims = ann();
    let claims = claims.as_object().unwrap();
    let label = |document: &Value| schema().label(document.as_object().unwrap()).unwrap();
    let [open, shut, ..] = documents();
    let open = policy.explain(claims, &label(&open)).await.unwrap();
    assert!(
        open.allowed
            && open
                .to_string()
                .contains("evaluated lines 3, 6, 7, 8, 11, 13, did not reach line 14"),
        "{open}"
    );
    let shut = policy.explain(claims, &label(&shut)).await.unwrap();
    assert!(
        !shut.allowed && shut.to_string().contains("did not reach lines 8, 11, 13, 14"),
        "{shut}"
    );
    let [whole, department, clearance, absent, among] = &*shut.steps else { panic!("{shut}") };
    assert_eq!((whole.holds, whole.text.as_str()), (Some(false), "data.bailiwick.allow"));
    assert_eq!(department.holds, Some(true));
    let file = folder.path().join("policy.rego").display().to_string();
    assert!(clearance.text.starts_with(&format!("{file}:7: data.rank[")), "{}", clearance.text);
    assert_eq!(clearance.holds, Some(false));
    let named = (clearance.attribute.as_deref(), clearance.claim.as_deref());
    assert_eq!(named, (Some("clearance"), Some("clearance")));
    assert_eq!(
        (&*clearance.document, &*clearance.claimed),
        (&["Secret".into()][..], &["Internal".into()][..])
    );
    assert_eq!((absent.holds, among.holds), (Some(true), Some(false)));
    assert!(among.because.contains("the document lacks projects, the claim projects says"));
    assert!(!policy.explain(claims, &Label::quarantine()).await.unwrap().allowed);
}

/// What begins or ends with a text is a condition of its own, as everything else.
#[tokio::test]
async fn an_explanation_quotes_texts() {
    let (policy, folder) = rego(
        "package bailiwick\n\
         allow if {\n\
         input.label.department == \"hr\"\n\
         \"hr\" in input.claims.department; `hr` == input.label.department\n\
         input.label.clearance != `Secret`\n\
         }\n",
    );
    let claims = json!({"department": ["hr"]});
    let [open, ..] = documents();
    let label = schema().label(open.as_object().unwrap()).unwrap();
    let explained = policy.explain(claims.as_object().unwrap(), &label).await.unwrap();
    let file = folder.path().join("policy.rego").display().to_string();
    let said = explained.steps.iter().skip(1).map(|step| step.text.trim_start_matches(&*file));
    assert_eq!(
        said.collect::<Vec<_>>(),
        [
            ":3: input.label.department == \"hr\"",
            ":4: \"hr\" in input.claims.department",
            ":4: `hr` == input.label.department",
            ":5: input.label.clearance != `Secret`",
        ],
        "{explained}"
    );
}

#[tokio::test]
async fn a_reader_is_told_what_opens_but_no_file_and_nobody_elses_name() {
    let (policy, folder) = rego(
        "package bailiwick\n\
         allow if {\n\
         input.label.department in input.claims.department\n\
         not input.claims.sub in {\"mallory\", \"eve\"}\n\
         }\n",
    );
    let claims = json!({"sub": "ann", "department": ["hr"]});
    let [open, ..] = documents();
    let label = schema().label(open.as_object().unwrap()).unwrap();
    let told = policy.explain(claims.as_object().unwrap(), &label).await.unwrap().for_reader();
    let [whole, department, person] = &*told.steps else { panic!("{told}") };
    assert_eq!((&whole.claim, person.claim.as_deref()), (&None, Some("sub")));
    assert_eq!(
        (&*department.document, &*department.claimed),
        (&["hr".into()][..], &["hr".into()][..])
    );
    let told = serde_json::to_string(&told).unwrap();
    for hidden in ["mallory", "input.", folder.path().to_str().unwrap()] {
        assert!(!told.contains(hidden), "{told}");
    }
}

#[test]
fn its_own_tests_are_run() {
    let folder = TempDir::new().unwrap();
    let tests = "package bailiwick_test\nimport data.bailiwick\n\
        doc := {\"department\": \"hr\", \"clearance\": \"Public\"}\n\
        test_open if bailiwick.allow with input as {\"label\": doc, \"claims\": {\"department\": [\"hr\"], \"clearance\": \"Secret\"}}\n\
        test_shut if not bailiwick.allow with input as {}\n\
        test_wrong if bailiwick.allow with input as {}\n";
    write(folder.path(), "policy.rego", POLICY);
    write(folder.path(), "policy_test.rego", tests);
    let data = write(folder.path(), "rank.json", RANK);
    let config = json!({"files": [folder.path()], "data": [data]});
    let config: bailiwick_policy::RegoConfig = serde_json::from_value(config).unwrap();
    let told: Vec<_> =
        config.test().unwrap().into_iter().map(|test| (test.name, test.passed)).collect();
    let name = |test| format!("data.bailiwick_test.test_{test}");
    assert_eq!(told, [(name("open"), true), (name("shut"), true), (name("wrong"), false)]);
}
