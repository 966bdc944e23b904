//! Engines behind HTTP, as far as no real one is needed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::json;

use crate::{opened, policy, table};

/// A server of OPA that will not hear of Mallory, and lets everybody else read the first label.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().flatten().for_each(answer));
    url
}

fn answer(mut connection: TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"]}}") {
        let mut piece = [0; 4096];
        let length = connection.read(&mut piece).unwrap();
        if length == 0 {
            return;
        }
        request.extend_from_slice(&piece[..length]);
    }
    let (status, body) = match String::from_utf8_lossy(&request).contains("mallory") {
        true => ("403 Forbidden", ""),
        false => ("200 OK", r#"{"result": [0]}"#),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    connection.write_all((head + body).as_bytes()).unwrap();
}

#[tokio::test]
async fn who_is_refused_takes_nobody_elses_decision_away() {
    let policy = policy(json!({"engine": "opa", "opa": {"url": server()}})).unwrap();
    let labels = table(&[json!({"department": "hr", "clearance": "Public"})]);
    for _ in 0..10 {
        assert!(opened(&policy, &json!({"sub": "mallory"}), &labels).await.is_err());
    }
    assert_eq!(opened(&policy, &json!({"sub": "ann"}), &labels).await.unwrap(), [0]);
}
