//! C: payloads that are well signed, and wrong.

use bailiwick_identity::Rejection;
use serde_json::{Value, json};

use super::{Attack, FORGED, LONG, PAST, assert_refused};
use crate::accepted::changed;
use crate::provider::Provider;
use crate::signer::Signer;
use crate::world::{AUDIENCE, World, claims, config, now, until_ready};

const FOREIGN: &str = "an ID token, logout token or event is no access token";
const NO_ACCESS: &str = "a claim says that this is no access token";
const DATE: &str = "exp, nbf or iat is not an integer";
const ISSUER: &str = "iss is another issuer";
const ISSUER_TYPE: &str = "iss is missing or not a string";
const AUDIENCE_TYPE: &str = "aud is missing or not made of strings";
const NOT_US: &str = "aud does not name us";
const SUBJECT: &str = "sub is missing or not a string of 1 to 255 bytes";
const TOKEN_ID: &str = "jti is not a string of 1 to 255 bytes";
const LIFETIME: &str = "lifetime is longer than allowed";
const NOT_JSON: &str = "payload is not JSON";
const NO_OBJECT: &str = "payload is not a JSON object";
const DUPLICATE: &str = "payload has a duplicate member";
const DEEP: &str = "payload is nested too deeply";

#[tokio::test]
async fn c_hostile_claims() {
    let world = World::start().await;
    let signer = &world.signer;
    let issuer = world.provider.issuer.as_str();
    let with = |change: Value| signer.token(&changed(world.claims(), change));
    let without = |name: &str| {
        let mut claims = world.claims();
        claims.as_object_mut().unwrap().remove(name);
        signer.token(&claims)
    };
    let text = |payload: &str| signer.sign(signer.header().to_string(), payload);
    // The right payload with something written before its end, which `Value` could not hold.
    let raw = |more: &str| {
        let claims = world.claims().to_string();
        text(&format!("{},{more}}}", claims.strip_suffix('}').unwrap()))
    };
    let replaced = |name: &str, value: &str| {
        let claims = changed(world.claims(), json!({name: "@"})).to_string();
        text(&claims.replace("\"@\"", value))
    };
    let mut attacks: Vec<Attack> = vec![
        ("C1 missing", without("exp"), "exp is missing"),
        ("C1 zero", replaced("exp", "0"), PAST),
        ("C1 negative", replaced("exp", "-1"), PAST),
        ("C1 past", with(json!({"iat": now() - 700, "exp": now() - 100})), PAST),
        ("C17", with(json!({"iat": now() - 700, "exp": now() - 31})), PAST),
        ("C2 number of no type", replaced("exp", "1e999"), NOT_JSON),
        ("C2", replaced("exp", "9223372036854775807"), LIFETIME),
        ("C2", with(json!({"exp": now() + 86_402})), LIFETIME),
        ("C2 old iat", with(json!({"iat": 0})), LIFETIME),
        ("C2 old iat", replaced("iat", "-9223372036854775808"), LIFETIME),
        ("C3 future", with(json!({"nbf": now() + 100})), "nbf is in the future"),
        ("C4 future", with(json!({"iat": now() + 100})), "iat is in the future"),
        ("C4 missing", without("iat"), "a required claim is missing"),
        ("C5 missing", without("iss"), ISSUER_TYPE),
        ("C6 missing", without("aud"), AUDIENCE_TYPE),
        ("C7 missing", without("sub"), SUBJECT),
        ("C7 256 bytes", with(json!({"sub": "s".repeat(256)})), SUBJECT),
    ];
    for value in [
        "\"1\"",
        "null",
        "true",
        "[1]",
        "{}",
        "1.5",
        "1e300",
        "1e9",
        "18446744073709551616",
        "18446744073709551615",
        "1999999999.0",
    ] {
        attacks.push(("C1, C2", replaced("exp", value), DATE));
        attacks.push(("C3", replaced("nbf", value), DATE));
        attacks.push(("C4", replaced("iat", value), DATE));
    }
    for other in [
        format!("{issuer}/"),
        issuer.to_uppercase(),
        issuer[..issuer.len() - 1].into(),
        format!("{issuer}.evil.example"),
        format!(" {issuer}"),
        String::new(),
    ] {
        attacks.push(("C5", with(json!({"iss": other})), ISSUER));
    }
    for value in [json!(1), json!(null), json!([issuer]), json!({"iss": issuer}), json!(true)] {
        attacks.push(("C5", with(json!({"iss": value})), ISSUER_TYPE));
    }
    for other in [
        json!("other"),
        json!("baili"),
        json!("Bailiwick"),
        json!("bailiwick "),
        json!(""),
        json!([]),
        json!(["other"]),
        json!("vault bailiwick"),
    ] {
        attacks.push(("C6, C13", with(json!({"aud": other})), NOT_US));
    }
    for value in
        [json!(1), json!({"bailiwick": 1}), json!([AUDIENCE, 1]), json!([[AUDIENCE]]), json!(null)]
    {
        attacks.push(("C6", with(json!({"aud": value})), AUDIENCE_TYPE));
    }
    for value in [json!(""), json!(1), json!(["alice"]), json!(null), json!({"a": 1})] {
        attacks.push(("C7", with(json!({"sub": value})), SUBJECT));
        attacks.push(("jti", with(json!({"jti": value})), TOKEN_ID));
    }

    for more in [
        r#""exp":1"#,
        r#""iss":"x""#,
        r#""aud":"x""#,
        r#""sub":"bob""#,
        r#""jti":"t2""#,
        r#""department":["sales"]"#,
        r#""dep\u0061rtment":["sales"]"#,
        r#""\u0073ub":"bob""#,
        r#""a":{"b":[{"c":1,"c":2}]}"#,
    ] {
        attacks.push(("C8", raw(more), DUPLICATE));
    }
    for payload in ["[]", "\"x\"", "null", "7"] {
        attacks.push(("C9", text(payload), NO_OBJECT));
    }
    let claims_text = world.claims().to_string();
    for payload in [
        format!("\u{feff}{claims_text}"),
        format!("{claims_text}x"),
        format!("{claims_text}{claims_text}"),
        String::new(),
        "{".into(),
        "\0".into(),
    ] {
        attacks.push(("C9", text(&payload), NOT_JSON));
    }
    attacks.push(("C9 lone surrogate", raw(r#""x":"\ud800""#), NOT_JSON));
    let header = signer.header().to_string();
    let invalid_utf8 = claims_text.replace("alice", "\u{1}").into_bytes();
    let invalid_utf8: Vec<u8> =
        invalid_utf8.into_iter().map(|byte| if byte == 1 { 0xff } else { byte }).collect();
    attacks.push(("C9 UTF-8", signer.sign(&header, invalid_utf8), NOT_JSON));
    let utf16: Vec<u8> = claims_text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    attacks.push(("C9 UTF-16", signer.sign(&header, utf16), NOT_JSON));

    let nested =
        |levels: usize| raw(&format!(r#""x":{}{}"#, "[".repeat(levels), "]".repeat(levels)));
    attacks.push(("C10", nested(16), DEEP));
    attacks.push(("C10", nested(1_000), DEEP));
    attacks.push(("C10", nested(100_000), LONG));
    let objects = format!(r#""x":{}1{}"#, r#"{"x":"#.repeat(1_000), "}".repeat(1_000));
    attacks.push(("C10 objects", raw(&objects), DEEP));
    let members = |count: usize| (0..count).map(|n| format!(r#""{n}":0"#)).collect::<Vec<_>>();
    attacks.push(("C11", raw(&members(1_100).join(",")), "payload has too many members"));
    attacks.push(("C11", raw(&members(100_000).join(",")), LONG));
    attacks.push(("C11", raw(&format!(r#""x":"{}""#, "x".repeat(2 << 20))), LONG));

    for name in ["nonce", "at_hash", "c_hash", "events"] {
        attacks.push(("OIDC-2, 8725-7", with(json!({name: "x"})), FOREIGN));
        attacks.push(("OIDC-2 null", with(json!({name: null})), FOREIGN));
    }
    for (name, value) in [
        ("token_use", json!("id")),
        ("token_use", json!(["id"])),
        ("typ", json!("ID")),
        ("typ", json!("Refresh")),
        ("typ", json!("Logout")),
        ("typ", json!(1)),
    ] {
        attacks.push(("OIDC-2", with(json!({name: value})), NO_ACCESS));
    }
    for method in [
        json!({"jkt": "x"}),
        json!({"x5t#S256": "x"}),
        json!({"unknown": 1}),
        json!({}),
        json!(null),
    ] {
        let cause = "cnf binds the token to a key that is not checked here";
        attacks.push(("C16, CNF-1, 9449-2", with(json!({"cnf": method})), cause));
    }
    assert_refused(&world, attacks).await;
    assert_eq!(world.provider.key_requests(), 1, "no claim causes a request");
}

#[tokio::test]
async fn c17_expiry_counts_with_the_skew() {
    let world = World::start().await;
    let expired = |ago: i64| {
        world
            .signer
            .token(&changed(world.claims(), json!({"iat": now() - 700, "exp": now() - ago})))
    };
    assert!(world.verify(&expired(4)).await.is_ok());
    let rejection = world.verify(&expired(31)).await.unwrap_err();
    assert!(matches!(rejection, Rejection::Expired(_)));
    let strict = World::with(json!({"clock_skew_seconds": 0})).await;
    let claims = changed(strict.claims(), json!({"iat": now() - 700, "exp": now() - 1}));
    assert!(strict.verify(&strict.signer.token(&claims)).await.is_err());
}

#[tokio::test]
async fn an_expired_token_that_is_forged_is_only_invalid() {
    let world = World::start().await;
    let claims = changed(world.claims(), json!({"iat": now() - 700, "exp": now() - 100}));
    let rejection = world.verify(&Signer::attacker("k1").token(&claims)).await.unwrap_err();
    assert!(matches!(rejection, Rejection::Invalid(_)), "expiry is told of good tokens only");
}

#[tokio::test]
async fn c12_issuers_do_not_vouch_for_each_other() {
    let ours = World::start().await;
    let other = Provider::start().await;
    let signer = Signer::attacker("k1");
    other.publish(&[signer.jwk()]);
    let trusts_other =
        bailiwick_identity::Verifier::start(config(&other.issuer, json!({}))).unwrap();
    until_ready(&trusts_other).await;

    assert!(trusts_other.verify(&signer.token(&claims(&other.issuer))).await.is_ok());
    let crossed = signer.token(&ours.claims());
    assert_eq!(ours.verify(&crossed).await.unwrap_err().cause(), FORGED, "8725-5");
    assert_eq!(trusts_other.verify(&crossed).await.unwrap_err().cause(), ISSUER, "8725-5");
}
