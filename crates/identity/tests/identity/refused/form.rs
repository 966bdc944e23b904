//! F: tokens that are not three segments of canonical base64url.

use serde_json::json;

use super::{LONG, assert_refused};
use crate::accepted::changed;
use crate::world::World;

const SEGMENTS: &str = "token does not have exactly three segments";
const HEADER: &str = "header is not canonical base64url";
const PAYLOAD: &str = "payload is not canonical base64url";
const SIGNATURE: &str = "signature is not canonical base64url";

#[tokio::test]
async fn f_malformed_tokens() {
    let world = World::start().await;
    let good = world.token();
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = [parts[0], parts[1], parts[2]];
    let joined =
        |header: &str, payload: &str, signature: &str| format!("{header}.{payload}.{signature}");
    let standard = |text: &str| text.replace('-', "+").replace('_', "/");
    let inserted = |byte: char| joined(header, &format!("{byte}{payload}"), signature);
    let requests = world.provider.requests();
    let flattened = json!({"protected": header, "payload": payload, "signature": signature});
    let general =
        json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]});
    let attacks = vec![
        ("F1", String::new(), SEGMENTS),
        ("F2", "..".into(), "signature is empty"),
        ("F3 one segment", header.into(), SEGMENTS),
        ("F3 two segments", format!("{header}.{payload}"), SEGMENTS),
        ("F3 four segments", format!("{good}.{signature}"), SEGMENTS),
        ("F3 trailing dot", format!("{good}."), SEGMENTS),
        ("F3, F10 five segments", format!("{header}.{payload}.{signature}.AA.AA"), SEGMENTS),
        ("F4", ".".repeat(8 << 20), LONG),
        ("F5", format!("{good}="), SIGNATURE),
        ("F5", joined(&format!("{header}=="), payload, signature), HEADER),
        ("F6", joined("+/+/", payload, signature), HEADER),
        ("F6", joined(header, payload, &format!("+/{}", standard(&signature[2..]))), SIGNATURE),
        ("F7 space", inserted(' '), PAYLOAD),
        ("F7 tab", inserted('\t'), PAYLOAD),
        ("F7 line", inserted('\n'), PAYLOAD),
        ("F7 NUL", inserted('\0'), PAYLOAD),
        ("F7 around", format!(" {good}"), HEADER),
        ("F7 around", format!("{good}\n"), SIGNATURE),
        ("8725-3 braces", joined(header, &format!("{{{payload}"), signature), PAYLOAD),
        ("8725-3 quotes", format!("\"{good}\""), HEADER),
        ("F8", non_canonical(&good), SIGNATURE),
        ("F9 flattened", flattened.to_string(), "token does not have exactly three segments"),
        ("F9 general", general.to_string(), SEGMENTS),
        ("F11", joined(header, payload, ""), "signature is empty"),
        (
            "F12",
            world.signer.token(&changed(world.claims(), json!({"x": "x".repeat(20_000)}))),
            LONG,
        ),
    ];
    assert_refused(&world, attacks).await;
    assert_eq!(world.provider.requests(), requests, "a malformed token causes no request");
}

/// The same token with other bits after the last byte of its signature.
fn non_canonical(token: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = ALPHABET.find(token.chars().last().unwrap()).unwrap();
    format!("{}{}", &token[..token.len() - 1], &ALPHABET[last + 1..last + 2])
}
