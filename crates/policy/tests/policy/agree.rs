//! Rules, the same rules written in Rego, and the same Rego in a server of OPA agree.

use std::fmt::Write as _;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use bailiwick_policy::{LabelTable, Policy, PolicyConfig, Schema, wait};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

const LEVELS: [&str; 3] = ["Low", "Middle", "High"];
const WORDS: [&str; 5] = ["a", "b", "ab", "abc", "c"];

/// Everything that is drawn for one case.
#[derive(Clone, Debug)]
struct Case {
    attributes: Vec<Value>,
    rules: Value,
    claims: Vec<Value>,
    documents: Vec<Value>,
}

fn attribute(n: usize) -> impl Strategy<Value = Value> {
    (select(vec!["keyword", "integer", "level"]), any::<bool>(), any::<bool>()).prop_map(
        move |(kind, optional, multiple)| {
            let levels: &[&str] = if kind == "level" { &LEVELS } else { &[] };
            json!({"name": format!("a{n}"), "type": kind, "levels": levels, "optional": optional,
                   "multiple": multiple})
        },
    )
}

/// One value of this type; a level or an integer in one of its spellings.
fn value(kind: &str) -> BoxedStrategy<Value> {
    match kind {
        "keyword" => select(WORDS.to_vec()).prop_map(|word| json!(word)).boxed(),
        "integer" => select(vec![json!(0), json!(9), json!(10), json!("9"), json!(-3)]).boxed(),
        _ => select(vec![json!("Low"), json!("High"), json!(2), json!("3")]).boxed(),
    }
}

/// What a claim says: mostly values, now and then what no policy may use.
fn claim(kind: &str) -> BoxedStrategy<Value> {
    prop_oneof![
        3 => value(kind),
        3 => prop::collection::vec(value(kind), 0..4).prop_map(|values| json!(values)),
        1 => select(vec![json!(null), json!(""), json!(true), json!({"x": 1}), json!([1, "High"])]),
    ]
    .boxed()
}

fn held(attribute: &Value) -> BoxedStrategy<Value> {
    let kind = attribute["type"].as_str().unwrap();
    let some = match attribute["multiple"] == true {
        true => prop::collection::vec(value(kind), 1..4).prop_map(|values| json!(values)).boxed(),
        false => value(kind),
    };
    match attribute["optional"] == true {
        true => prop_oneof![1 => Just(Value::Null), 3 => some].boxed(),
        false => some,
    }
}

/// The operators that mean something for an attribute.
fn operators(attribute: &Value) -> Vec<&'static str> {
    let mut operators = vec!["eq", "any", "all", "exists"];
    if attribute["multiple"] == false {
        operators.push("in");
        operators.extend(match attribute["type"] == "keyword" {
            true => ["prefix"].as_slice(),
            false => ["lte", "gte"].as_slice(),
        });
    }
    operators
}

fn rule(attributes: Vec<Value>) -> impl Strategy<Value = Value> {
    let drawn = (any::<Index>(), any::<Index>(), any::<bool>(), any::<bool>());
    drawn.prop_map(move |(attribute, operator, not, allow)| {
        let attribute = attribute.get(&attributes);
        let operator = *operator.get(&operators(attribute));
        let absent = if allow { "allow" } else { "deny" };
        let mut rule =
            json!({"attribute": attribute["name"], "op": operator, "not": not, "absent": absent});
        if operator != "exists" {
            rule["claim"] = json!(format!("c{}", attribute["name"].as_str().unwrap()));
        }
        rule
    })
}

fn rules(attributes: Vec<Value>) -> impl Strategy<Value = Value> {
    let some = move || prop::collection::vec(rule(attributes.clone()), 0..3);
    let leaf = (some(), any::<bool>()).prop_map(|(rule, not)| json!({"rule": rule, "not": not}));
    let group = leaf.prop_recursive(2, 8, 2, move |inner| {
        let groups = || prop::collection::vec(inner.clone(), 0..3);
        (some(), groups(), groups(), any::<bool>()).prop_map(
            |(rule, any, all, not)| json!({"rule": rule, "any": any, "all": all, "not": not}),
        )
    });
    group.prop_map(|mut group| {
        group.as_object_mut().unwrap().remove("not");
        group
    })
}

fn cases() -> impl Strategy<Value = Case> {
    let attributes = (attribute(0), attribute(1), attribute(2));
    attributes.prop_flat_map(|(a, b, c)| {
        let attributes = vec![a, b, c];
        let kinds: Vec<_> =
            attributes.iter().map(|one| one["type"].as_str().unwrap().to_owned()).collect();
        let person: Vec<_> = kinds.iter().map(|kind| prop::option::of(claim(kind))).collect();
        let document: Vec<_> = attributes.iter().map(held).collect();
        let named = |prefix: &'static str| {
            move |values: Vec<Option<Value>>| {
                let named = values.into_iter().enumerate();
                let named = named.filter_map(|(n, value)| Some((format!("{prefix}{n}"), value?)));
                Value::Object(named.collect::<Map<_, _>>())
            }
        };
        let documents = document.prop_map(|held| held.into_iter().map(Some).collect());
        (
            rules(attributes.clone()),
            prop::collection::vec(person.prop_map(named("ca")), 1..4),
            prop::collection::vec(documents.prop_map(named("a")), 1..60),
        )
            .prop_map(move |(rules, claims, documents)| Case {
                attributes: attributes.clone(),
                rules,
                claims,
                documents,
            })
    })
}

/// Writes rules in Rego: for each of them `tN`, that it holds, and `fN`, that its negation does.
/// What is unknown is neither.
struct Writer<'a> {
    attributes: &'a [Value],
    text: String,
    written: usize,
}

impl Writer<'_> {
    fn number(&mut self) -> usize {
        self.written += 1;
        self.written
    }

    fn line(&mut self, head: char, number: usize, body: &str) {
        writeln!(self.text, "{head}{number} if {{ {body} }}").unwrap();
    }

    fn rule(&mut self, rule: &Value) -> usize {
        let number = self.number();
        let name = rule["attribute"].as_str().unwrap();
        let attribute = self.attributes.iter().find(|one| one["name"] == name).unwrap();
        let multiple = attribute["multiple"] == true;
        let relation = match rule["op"].as_str().unwrap() {
            "exists" => "true",
            "in" | "any" => "some x in held; x in said",
            "eq" if multiple => "same(held, said)",
            "eq" => "some x in held; x in said",
            "all" => "every x in held { x in said }",
            "lte" => "some x in held; some y in said; rank(x) <= rank(y)",
            "gte" => "some x in held; some y in said; rank(x) >= rank(y)",
            _ => "some x in held; some y in said; startswith(x, y)",
        };
        let said = match rule["claim"].as_str() {
            Some(claim) => format!("said := list(input.claims.{claim})"),
            None => "said := []".to_owned(),
        };
        let known = format!("held := list(input.label.{name}); {said}");
        writeln!(self.text, "r{number}(held, said) if {{ {relation} }}").unwrap();
        self.line('t', number, &format!("{known}; r{number}(held, said)"));
        self.line('f', number, &format!("{known}; not r{number}(held, said)"));
        if rule["absent"] == "allow" {
            self.line('t', number, &format!("not input.label.{name}"));
        }
        self.negated(number, rule)
    }

    fn negated(&mut self, number: usize, member: &Value) -> usize {
        if member["not"] != true {
            return number;
        }
        let not = self.number();
        self.line('t', not, &format!("f{number}"));
        self.line('f', not, &format!("t{number}"));
        not
    }

    fn members(&mut self, group: &Value) -> Vec<usize> {
        let list = |name: &str| group[name].as_array().cloned().unwrap_or_default();
        let mut members: Vec<_> = list("rule").iter().map(|rule| self.rule(rule)).collect();
        members.extend(list("any").iter().map(|group| self.group(group, 't', 'f')));
        members.extend(list("all").iter().map(|group| self.group(group, 'f', 't')));
        members
    }

    /// `one` is the side that one member decides, and `every` the one that takes all.
    fn group(&mut self, group: &Value, one: char, every: char) -> usize {
        let members = self.members(group);
        let number = self.join(&members, one, every);
        self.negated(number, group)
    }

    fn join(&mut self, members: &[usize], one: char, every: char) -> usize {
        let number = self.number();
        for member in members {
            self.line(one, number, &format!("{one}{member}"));
        }
        let all: Vec<_> = members.iter().map(|member| format!("{every}{member}")).collect();
        let all = if all.is_empty() { "false".to_owned() } else { all.join("; ") };
        self.line(every, number, &all);
        if members.is_empty() {
            self.line(one, number, "false");
        }
        number
    }
}

fn in_rego(case: &Case) -> String {
    let mut writer = Writer { attributes: &case.attributes, text: String::new(), written: 0 };
    let members = writer.members(&case.rules);
    let all = writer.join(&members, 'f', 't');
    let rules = writer.text;
    format!(
        r#"package bailiwick
default allow := false
allow if t{all}
levels := {{"Low": 1, "Middle": 2, "High": 3}}
rank(x) := levels[x] if is_string(x)
rank(x) := x if is_number(x)
list(x) := x if is_array(x)
list(x) := [x] if not is_array(x)
same(held, said) if {{ count(held) == 1; held[0] in said }}
same(held, said) if {{ every x in held {{ x in said }}; every y in said {{ y in held }} }}
{rules}permitted contains label.id if {{
	some label in input.labels
	allow with input as {{"claims": input.claims, "label": label.attributes}}
}}
"#
    )
}

impl Case {
    fn schema(&self) -> Arc<Schema> {
        let attributes: Vec<_> = serde_json::from_value(json!(self.attributes)).unwrap();
        Arc::new(Schema::new(&attributes).unwrap())
    }

    fn policy(&self, mut config: Value) -> Policy {
        let names = ["a0", "a1", "a2"];
        let claims: Map<_, _> =
            names.iter().map(|name| (format!("c{name}"), json!(name))).collect();
        config["claims"] = claims.into();
        let config: PolicyConfig = serde_json::from_value(config).unwrap();
        Policy::new(&config, self.schema()).unwrap()
    }

    /// Whether this policy opens the same labels as the rules do, to everybody.
    fn agrees(&self, other: &Policy) -> Result<(), TestCaseError> {
        let rules = self.policy(self.rules.clone());
        let table = LabelTable::default();
        for document in &self.documents {
            table.intern(&self.schema().label(document.as_object().unwrap()).unwrap());
        }
        for claims in &self.claims {
            let claims = claims.as_object().unwrap();
            let expected = wait(rules.suppose(claims, &table)).unwrap();
            let found = wait(other.suppose(claims, &table)).unwrap();
            prop_assert_eq!(found, expected, "{:?}\n{}", claims, in_rego(self));
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn rego_agrees_with_rules(case in cases()) {
        let folder = TempDir::new().unwrap();
        let file = crate::write(folder.path(), "policy.rego", &in_rego(&case));
        case.agrees(&case.policy(json!({"engine": "rego", "rego": {"files": [file]}})))?;
    }
}

/// Ends with the test, however that ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Path of OPA, which the script builds if it is missing.
fn opa() -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/opa");
    let built = Command::new(script).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    String::from_utf8(built.stdout).unwrap().trim().to_owned()
}

#[test]
#[ignore = "needs OPA; tests/rust builds it and runs this"]
fn opa_agrees_with_rules() {
    let binary = opa();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let mut command = Command::new(binary);
    command.args(["run", "--server", "--skip-version-check", "--log-level", "error", "--addr"]);
    let _server = Server(command.arg(&address).spawn().unwrap());
    let url = format!("http://{address}");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let put = |text: String| {
        let url = format!("{url}/v1/policies/case");
        runtime.block_on(async {
            for _ in 0..200 {
                if let Ok(answer) = client.put(&url).body(text.clone()).send().await {
                    assert!(
                        answer.status().is_success(),
                        "{}\n{text}",
                        answer.text().await.unwrap()
                    );
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            panic!("OPA does not start");
        });
    };
    let mut runner = TestRunner::new(ProptestConfig { cases: 48, ..ProptestConfig::default() });
    let agreed = runner.run(&cases(), |case| {
        put(in_rego(&case));
        case.agrees(&case.policy(json!({"engine": "opa", "opa": {"url": url}})))
    });
    agreed.unwrap();
}
