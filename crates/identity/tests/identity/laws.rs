//! What holds for every token.

use std::cell::Cell;
use std::sync::LazyLock;

use bailiwick_identity::jws::{self, KeySet, Profile};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use crate::signer::Signer;
use crate::world::{AUDIENCE, claims};

const ISSUER: &str = "https://idp.example";
const NOW: i64 = 1_800_000_000;

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::ed25519("k1"));
static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    KeySet::from_jwks(json!({"keys": [SIGNER.jwk()]}).to_string().as_bytes()).unwrap().0
});
static TOKEN: LazyLock<String> = LazyLock::new(|| SIGNER.token(&right_claims()));

fn right_claims() -> Value {
    let mut claims = claims(ISSUER);
    (claims["exp"], claims["iat"], claims["nbf"]) = (json!(NOW + 600), json!(NOW), json!(NOW));
    claims
}

fn verify(token: &str) -> Option<Map<String, Value>> {
    let profile = Profile::access_token(ISSUER, vec![AUDIENCE.to_owned()]);
    jws::verify(token, &profile, &KEYS, NOW).ok()
}

#[test]
fn a_token_with_any_other_byte_never_verifies() {
    assert!(verify(&TOKEN).is_some());
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ {";
    for position in 0..TOKEN.len() {
        for byte in alphabet.iter().filter(|byte| **byte != TOKEN.as_bytes()[position]) {
            let mut mutated = TOKEN.clone().into_bytes();
            mutated[position] = *byte;
            let mutated = String::from_utf8(mutated).unwrap();
            assert_eq!(verify(&mutated), None, "byte {position} changed to {}", *byte as char);
        }
    }
}

proptest! {
    #[test]
    fn a_token_with_a_piece_cut_out_doubled_or_put_in_never_verifies(
        at: Index, length in 1_usize..8, piece in "[A-Za-z0-9_.-]{1,8}",
    ) {
        let at = at.index(TOKEN.len());
        let end = (at + length).min(TOKEN.len());
        let (head, cut, tail) = (&TOKEN[..at], &TOKEN[at..end], &TOKEN[end..]);
        prop_assert_eq!(verify(&format!("{head}{tail}")), None);
        prop_assert_eq!(verify(&format!("{head}{cut}{cut}{tail}")), None);
        prop_assert_eq!(verify(&format!("{head}{piece}{cut}{tail}")), None);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}", json in "[\\[\\]{}\",:0-9a-z\\\\]{0,100}") {
        prop_assert_eq!(verify(&text), None);
        prop_assert_eq!(verify(&SIGNER.sign(&json, &text)), None);
        prop_assert_eq!(verify(&SIGNER.sign(SIGNER.header().to_string(), &json)), None);
    }
}

/// Mostly a right value, sometimes one of the wrong ones, sometimes none.
fn member(right: Vec<Value>, wrong: Vec<Value>) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        20 => select(right).prop_map(Some),
        2 => select(wrong).prop_map(Some),
        1 => Just(None),
    ]
}

fn times() -> Vec<Value> {
    let near = [-86_500, -700, -31, -30, -29, 0, 29, 30, 31, 600, 86_400, 86_401];
    let mut times: Vec<Value> = near.iter().map(|offset| json!(NOW + offset)).collect();
    times.extend([
        json!(0),
        json!(-1),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1.5),
        json!("1"),
        json!(null),
    ]);
    times
}

fn object(members: Vec<(&str, Option<Value>)>) -> Value {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn any_header() -> impl Strategy<Value = Value> {
    (
        member(vec![json!("EdDSA")], vec![json!("ES256"), json!("none"), json!(null)]),
        member(vec![json!("at+jwt"), json!("application/AT+jwt")], vec![json!("JWT"), json!(1)]),
        member(vec![json!("k1")], vec![json!("k2"), json!(1)]),
        prop_oneof![
            9 => Just(None),
            1 => select(vec!["crit", "jku", "jwk", "x5u", "x5c", "b64", "zip", "cty", "x5t"]).prop_map(Some),
        ],
    )
        .prop_map(|(algorithm, kind, key_id, extra)| {
            let mut header = object(vec![("alg", algorithm), ("typ", kind), ("kid", key_id)]);
            if let Some(extra) = extra {
                header[extra] = json!("x");
            }
            header
        })
}

fn any_claims() -> impl Strategy<Value = Value> {
    let near = || vec![json!(NOW - 20), json!(NOW), json!(NOW + 20)];
    (
        member(
            vec![json!(ISSUER)],
            vec![json!([ISSUER]), json!("https://idp.example/"), json!(null)],
        ),
        member(
            vec![json!(AUDIENCE), json!([AUDIENCE, "b"])],
            vec![json!([AUDIENCE, 1]), json!([]), json!("b")],
        ),
        member(vec![json!("alice")], vec![json!(""), json!(7)]),
        member(vec![json!(NOW + 600), json!(NOW - 29)], times()),
        member(near(), times()),
        member(near(), times()),
        prop_oneof![
            9 => Just(None),
            1 => select(vec!["nonce", "cnf", "events", "at_hash", "department"]).prop_map(Some),
        ],
    )
        .prop_map(|(issuer, audience, subject, expires, issued, not_before, extra)| {
            let mut claims = object(vec![
                ("iss", issuer),
                ("aud", audience),
                ("sub", subject),
                ("exp", expires),
                ("iat", issued),
                ("nbf", not_before),
            ]);
            if let Some(extra) = extra {
                claims[extra] = json!("x");
            }
            claims
        })
}

/// The conditions under which a token may be accepted, told apart from the code that checks them.
fn may_be_accepted(header: &Value, claims: &Value) -> bool {
    let absent =
        |object: &Value, names: &[&str]| names.iter().all(|name| object.get(name).is_none());
    let time = |name: &str| claims[name].as_i64();
    let names_us = match &claims["aud"] {
        Value::Array(list) => list.contains(&json!(AUDIENCE)) && list.iter().all(Value::is_string),
        one => one == AUDIENCE,
    };
    header["alg"] == "EdDSA"
        && header["kid"] == "k1"
        && header["typ"].as_str().is_some_and(|kind| kind.to_lowercase().ends_with("at+jwt"))
        && absent(header, &["crit", "jku", "jwk", "x5u", "x5c", "b64", "zip", "cty"])
        && absent(claims, &["nonce", "cnf", "events", "at_hash"])
        && claims["iss"] == ISSUER
        && names_us
        && claims["sub"] == "alice"
        && time("exp").zip(time("iat")).is_some_and(|(expires, issued)| {
            NOW < expires.saturating_add(30)
                && issued <= NOW + 30
                && i128::from(expires) - i128::from(issued) <= 86_400
        })
        && (claims.get("nbf").is_none() || time("nbf").is_some_and(|at| at <= NOW + 30))
}

#[test]
fn exactly_the_tokens_that_meet_every_condition_are_accepted() {
    let (accepted, refused) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config { cases: 4000, ..Config::default() });
    let law = |(header, claims): (Value, Value)| {
        let payload = verify(&SIGNER.sign(header.to_string(), claims.to_string()));
        let counter = if payload.is_some() { &accepted } else { &refused };
        counter.set(counter.get() + 1);
        prop_assert_eq!(
            payload.is_some(),
            may_be_accepted(&header, &claims),
            "{} {}",
            header,
            claims
        );
        prop_assert!(payload.is_none_or(|payload| Value::Object(payload) == claims));
        Ok(())
    };
    runner.run(&(any_header(), any_claims()), law).unwrap();
    assert!(accepted.get() > 100 && refused.get() > 100, "{accepted:?} {refused:?}");
}
