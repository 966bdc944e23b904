//! Engines behind HTTP, as far as no real one is needed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::{opened, policy, table};

const JSON: &str = "application/json";

/// A server that answers each request with what `answer` makes of its body: status, content type
/// and body.
fn server(mut answer: impl FnMut(Value) -> (u16, &'static str, String) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            respond(connection, &mut answer);
        }
    });
    url
}

fn respond(
    mut connection: TcpStream,
    answer: &mut impl FnMut(Value) -> (u16, &'static str, String),
) -> Option<()> {
    let mut request = Vec::new();
    let body = loop {
        let mut piece = [0; 4096];
        let length = connection.read(&mut piece).ok().filter(|length| *length > 0)?;
        request.extend_from_slice(&piece[..length]);
        let head = request.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let body = head.and_then(|head| serde_json::from_slice(&request[head + 4..]).ok());
        if let Some(body) = body {
            break body;
        }
    };
    let (status, kind, body) = answer(body);
    let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\n{kind}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    connection.write_all((head + &body).as_bytes()).ok()
}

/// The labels that one answer of an engine opens, of two; none when nobody decides.
async fn opens(engine: &str, kind: &'static str, body: &str) -> Option<Vec<u32>> {
    let body = body.to_owned();
    let url = server(move |_| (200, kind, body.clone()));
    let policy = policy(json!({"engine": engine, engine: {"url": url}})).unwrap();
    let labels = table(&[
        json!({"department": "hr", "clearance": "Public"}),
        json!({"department": "eng", "clearance": "Public"}),
    ]);
    opened(&policy, &json!({"sub": "ann"}), &labels).await.ok()
}

#[tokio::test]
async fn who_is_refused_takes_nobody_elses_decision_away() {
    let url = server(|request| match request.to_string().contains("mallory") {
        true => (403, "", String::new()),
        false => (200, JSON, r#"{"result": [0]}"#.to_owned()),
    });
    let policy = policy(json!({"engine": "opa", "opa": {"url": url}})).unwrap();
    let labels = table(&[json!({"department": "hr", "clearance": "Public"})]);
    for _ in 0..10 {
        assert!(opened(&policy, &json!({"sub": "mallory"}), &labels).await.is_err());
    }
    assert_eq!(opened(&policy, &json!({"sub": "ann"}), &labels).await.unwrap(), [0]);
}

#[tokio::test]
async fn what_opa_says_beside_a_decision_counts() {
    for body in [
        r#"{"result": [0]}"#,
        r#"{"result": [0], "decision_id": "1", "metrics": {"timer_rego_query_eval_ns": 9}}"#,
        r#"{"result": [0], "errors": [], "error": null}"#,
        r#"{"result": [0], "warning": {"code": "api_usage_warning", "message": "…"}}"#,
    ] {
        assert_eq!(opens("opa", JSON, body).await, Some(vec![0]), "{body}");
        let kind = "application/json; charset=utf-8";
        assert_eq!(opens("opa", kind, body).await, Some(vec![0]), "{body}");
    }
    for body in [
        r#"{"result": [0], "errors": [{"code": "eval_conflict_error"}]}"#,
        r#"{"result": [0], "errors": {"message": "failed"}}"#,
        r#"{"result": [0], "error": "failed"}"#,
        r#"{"result": [0], "error": true}"#,
        r#"{"result": [0], "Errors": ["failed"]}"#,
        r#"{"result": [0], "code": "internal_error", "message": "failed"}"#,
        r#"{"result": [0], "context": {"error": {"status": 500}}}"#,
        r#"{"result": [0], "provenance": {"bundles": [{"errors": ["failed"]}]}}"#,
        r#"{"result": [0], "result": [0, 1]}"#,
        r#"{"result": [0, 7]}"#,
        r#"{"result": {"0": true}}"#,
        r#"{"result": ["0"]}"#,
        r#"{"result": [0.0]}"#,
        r#"{"result": [-1]}"#,
        r#"{"result": true}"#,
        r#"{"result": null}"#,
        r#"{}"#,
        r#"[[0]]"#,
        r#"[[0], null, null]"#,
        r#"{"result": [0]} {}"#,
        "\u{feff}{\"result\": [0]}",
        "",
    ] {
        assert_eq!(opens("opa", JSON, body).await, None, "{body}");
    }
}

#[tokio::test]
async fn what_authzen_says_beside_a_decision_counts() {
    let both = |first: &str| format!(r#"{{"evaluations": [{first}, {{"decision": true}}]}}"#);
    for first in [
        r#"{"decision": true}"#,
        r#"{"decision": true, "context": {"reason_admin": {"200": "fine"}, "errors": []}}"#,
    ] {
        assert_eq!(opens("authzen", JSON, &both(first)).await, Some(vec![0, 1]), "{first}");
    }
    // The label is closed, and the other one, with which nothing is wrong, is decided.
    for first in [
        r#"{"decision": false}"#,
        r#"{"decision": true, "context": {"error": {"status": 404, "message": "no such label"}}}"#,
        r#"{"decision": true, "context": {"diagnostics": {"errors": ["failed"]}}}"#,
        r#"{"decision": true, "context": [{"error": "failed"}]}"#,
        r#"{"decision": true, "error": "failed"}"#,
        r#"{"decision": true, "errors": {"a": 1}}"#,
    ] {
        assert_eq!(opens("authzen", JSON, &both(first)).await, Some(vec![1]), "{first}");
    }
    for body in [
        both(r#"{"decision": "true"}"#),
        both(r#"{"decision": 1}"#),
        both(r#"{"decision": null}"#),
        both(r#"{"decision": true, "decision": true}"#),
        both(r#"{"context": {}}"#),
        both("[true]"),
        both("true"),
        both("null"),
        r#"{"evaluations": [{"decision": true}]}"#.to_owned(),
        r#"{"evaluations": [{"decision": true}, {"decision": true}, {"decision": true}]}"#.into(),
        r#"{"evaluations": {"0": {"decision": true}, "1": {"decision": true}}}"#.to_owned(),
        r#"[[{"decision": true}, {"decision": true}]]"#.to_owned(),
        r#"{"decision": true}"#.to_owned(),
        r#"{"evaluations": [{"decision": true}, {"decision": true}], "context": {"error": 1}}"#
            .to_owned(),
        r#"{"evaluations": [{"decision": true}, {"decision": true}], "errors": ["x"]}"#.to_owned(),
        r#"{"evaluations": [{"decision": true}, {"decision": true}], "message": "x"}"#.to_owned(),
    ] {
        assert_eq!(opens("authzen", JSON, &body).await, None, "{body}");
    }
}

#[tokio::test]
async fn a_decision_is_json_and_says_so() {
    let body = r#"{"result": [0]}"#;
    for kind in ["", "text/html", "text/plain", "text/json", "application/problem+json"] {
        assert_eq!(opens("opa", kind, body).await, None, "{kind}");
    }
}
