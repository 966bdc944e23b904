//! What is refused, where, and what the error says.

use std::collections::BTreeMap;

use bailiwick_json::{Fault, Limits, from_value, is_json, read, read_within};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Outer {
    name: String,
    inner: Option<Inner>,
    many: Vec<Inner>,
    named: BTreeMap<String, Inner>,
    pair: Option<(u8, u8)>,
    kind: Option<Kind>,
    vector: Vec<f32>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Inner {
    allowed: bool,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Plain,
    Special { allowed: bool },
}

/// The fault and the message; none of a text that is read.
fn refusal(text: &str) -> Option<(Fault, String)> {
    read::<Outer>(text.as_bytes()).err().map(|error| (error.fault(), error.to_string()))
}

#[test]
fn what_is_right_is_read() {
    let text = r#"{"name": "a\n", "inner": {"allowed": true}, "many": [{"allowed": false}],
        "named": {"x": {"allowed": true}}, "pair": [1, 2], "kind": "plain", "vector": [0.1, 1],
        "unknown": [[], {"a": null}]}"#;
    let outer: Outer = read(text.as_bytes()).unwrap();
    assert_eq!(outer.inner, Some(Inner { allowed: true }));
    assert_eq!((outer.kind, outer.pair), (Some(Kind::Plain), Some((1, 2))));
    assert_eq!(outer.vector, [0.1, 1.0]);
}

#[test]
fn an_array_is_no_object_at_any_depth() {
    assert!(serde_json::from_str::<Inner>("[true]").is_ok(), "serde reads structs from arrays");
    for text in [
        r#"["a"]"#,
        r#"{"inner": [true]}"#,
        r#"{"many": [[true]]}"#,
        r#"{"many": [{"allowed": true}, [true]]}"#,
        r#"{"named": {"x": [true]}}"#,
        r#"{"kind": {"special": [true]}}"#,
        r#"{"kind": {"special": {"allowed": true}}}"#,
    ] {
        assert_eq!(refusal(text).unwrap().0, Fault::Shape, "{text}");
        assert!(from_value::<Outer>(serde_json::from_str(text).unwrap()).is_err(), "{text}");
    }
    let (_, message) = refusal(r#"{"many": [{"allowed": true}, [true]]}"#).unwrap();
    assert!(message.starts_with("many[1]: invalid type: sequence"), "{message}");
}

#[test]
fn a_name_stands_once_in_an_object_read_or_not() {
    for text in [
        r#"{"name": "a", "name": "b"}"#,
        r#"{"x": 1, "x": 1}"#,
        r#"{"x": [{"y": {"z": 1, "\u007a": 2}}]}"#,
        r#"{"named": {"x": {"allowed": true}, "x": {"allowed": true}}}"#,
    ] {
        assert_eq!(refusal(text).unwrap().0, Fault::Duplicate, "{text}");
    }
    let (_, message) = refusal(r#"{"x": 1, "x": 1}"#).unwrap();
    assert!(message.contains("the name stands twice in its object"), "{message}");
    assert!(read::<Value>(br#"{"a": {"b": 1, "b": 1}}"#).is_err());
    assert!(read::<Value>(br#"{"a": {"b": 1}, "b": 1}"#).is_ok());
}

#[test]
fn nothing_stands_before_or_behind_a_document() {
    for text in ["", "{} {}", "{}x", "\u{feff}{}", "{", "{}\0"] {
        assert_eq!(refusal(text).unwrap().0, Fault::Syntax, "{text:?}");
    }
    assert!(read::<Outer>(b" {} \n").is_ok());
}

#[test]
fn limits_hold_for_what_nobody_reads_too() {
    let limits = Limits { depth: 3, members: 4 };
    let fault = |text: &str| read_within::<Outer>(text.as_bytes(), limits).unwrap_err().fault();
    assert_eq!(fault(r#"{"x": [[[]]]}"#), Fault::TooDeep);
    assert_eq!(fault(r#"{"a": 1, "b": {"c": 1, "d": 1, "e": 1}}"#), Fault::TooManyMembers);
    assert!(read_within::<Outer>(br#"{"a": [[1]], "b": 1, "c": 1, "d": 1}"#, limits).is_ok());
    let deep = format!("{{\"x\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read::<Outer>(deep.as_bytes()).is_err());
}

#[test]
fn an_error_names_the_member_and_not_its_value() {
    let (_, message) = refusal(r#"{"inner": {"allowed": "sk-secret"}}"#).unwrap();
    assert!(message.starts_with("inner.allowed: invalid type: string, expected"), "{message}");
}

#[test]
fn content_types() {
    for json in ["application/json", "Application/JSON; charset=utf-8", " application/json ;a=b"] {
        assert!(is_json(json), "{json}");
    }
    for other in ["", "text/html", "text/json", "application/problem+json"] {
        assert!(!is_json(other), "{other}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inside| {
        prop_oneof![
            prop::collection::vec(inside.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".*", inside, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_unambiguous_reads_as_serde_json_reads_it(value in any_json()) {
        let text = json!(value).to_string();
        prop_assert_eq!(read::<Value>(text.as_bytes()).unwrap(), value.clone());
        prop_assert_eq!(from_value::<Value>(value.clone()).unwrap(), value);
    }
}
