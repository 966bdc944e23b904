//! Hostile tokens, each with the reason that must have stopped it.

use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use bailiwick_identity::Rejection;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::accepted::changed;
use crate::provider::Provider;
use crate::signer::{Signer, base64url};
use crate::world::{AUDIENCE, World, claims, config, now, until_ready};

/// An attack: its id, the token, the cause that the log must show.
type Attack = (&'static str, String, &'static str);

const SEGMENTS: &str = "token does not have exactly three segments";
const LONG: &str = "token is longer than allowed";
const HEADER: &str = "header is not canonical base64url";
const PAYLOAD: &str = "payload is not canonical base64url";
const SIGNATURE: &str = "signature is not canonical base64url";
const MEMBER: &str = "header has one of crit, jku, jwk, x5u, x5c, b64, zip, cty";
const ALGORITHM: &str = "alg is not one of the allowed algorithms";
const TYPE: &str = "typ is not one of the allowed types";
const KEY_ID: &str = "kid is not a short printable string";
const UNKNOWN: &str = "kid names no key that is known";
const FORGED: &str = "signature does not hold";
const FOREIGN: &str = "an ID token, logout token or event is no access token";
const NO_ACCESS: &str = "token_use or typ says that this is no access token";
const DATE: &str = "exp, nbf or iat is not an integer";
const ISSUER: &str = "iss is another issuer";
const ISSUER_TYPE: &str = "iss is missing or not a string";
const AUDIENCE_TYPE: &str = "aud is missing or not made of strings";
const NOT_US: &str = "aud does not name us";
const SUBJECT: &str = "sub is missing or not a string of 1 to 255 bytes";
const TOKEN_ID: &str = "jti is not a string of 1 to 255 bytes";
const LIFETIME: &str = "lifetime is longer than allowed";
const PAST: &str = "exp is past";
const NOT_JSON: &str = "payload is not JSON";
const NO_OBJECT: &str = "payload is not a JSON object";
const DUPLICATE: &str = "payload has a duplicate member";
const DEEP: &str = "payload is nested too deeply";

async fn assert_refused(world: &World, attacks: Vec<Attack>) {
    for (id, token, cause) in attacks {
        let since = Instant::now();
        let rejection = world.verify(&token).await.expect_err(id);
        assert_eq!(rejection.cause(), cause, "{id}");
        let text = if cause == PAST {
            "Token has expired"
        } else {
            "Invalid token"
        };
        assert_eq!(
            rejection.to_string(),
            text,
            "{id}: the caller learns no more than that"
        );
        assert!(
            since.elapsed() < Duration::from_millis(500),
            "{id} took {:?}",
            since.elapsed()
        );
    }
    assert!(
        world.verify(&world.token()).await.is_ok(),
        "the right token still verifies"
    );
}

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
        (
            "F3, F10 five segments",
            format!("{header}.{payload}.{signature}.AA.AA"),
            SEGMENTS,
        ),
        ("F4", ".".repeat(8 << 20), LONG),
        ("F5", format!("{good}="), SIGNATURE),
        (
            "F5",
            joined(&format!("{header}=="), payload, signature),
            HEADER,
        ),
        ("F6", joined("+/+/", payload, signature), HEADER),
        (
            "F6",
            joined(header, payload, &format!("+/{}", standard(&signature[2..]))),
            SIGNATURE,
        ),
        ("F7 space", inserted(' '), PAYLOAD),
        ("F7 tab", inserted('\t'), PAYLOAD),
        ("F7 line", inserted('\n'), PAYLOAD),
        ("F7 NUL", inserted('\0'), PAYLOAD),
        ("F7 around", format!(" {good}"), HEADER),
        ("F7 around", format!("{good}\n"), SIGNATURE),
        (
            "8725-3 braces",
            joined(header, &format!("{{{payload}"), signature),
            PAYLOAD,
        ),
        ("8725-3 quotes", format!("\"{good}\""), HEADER),
        ("F8", non_canonical(&good), SIGNATURE),
        (
            "F9 flattened",
            flattened.to_string(),
            "token does not have exactly three segments",
        ),
        ("F9 general", general.to_string(), SEGMENTS),
        ("F11", joined(header, payload, ""), "signature is empty"),
        (
            "F12",
            world
                .signer
                .token(&changed(world.claims(), json!({"x": "x".repeat(20_000)}))),
            LONG,
        ),
    ];
    assert_refused(&world, attacks).await;
    assert_eq!(
        world.provider.requests(),
        requests,
        "a malformed token causes no request"
    );
}

/// The same token with other bits after the last byte of its signature.
fn non_canonical(token: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = ALPHABET.find(token.chars().last().unwrap()).unwrap();
    format!(
        "{}{}",
        &token[..token.len() - 1],
        &ALPHABET[last + 1..last + 2]
    )
}

#[tokio::test]
async fn h_hostile_headers() {
    let world = World::start().await;
    let signer = &world.signer;
    let attacker = Signer::attacker("k1");
    let payload = world.claims().to_string();
    let text = |header: &str| signer.sign(header, &payload);
    let with = |change: Value| text(&changed(signer.header(), change).to_string());
    let forged =
        |change: Value| attacker.sign(changed(attacker.header(), change).to_string(), &payload);
    let without = |name: &str| {
        let mut header = signer.header();
        header.as_object_mut().unwrap().remove(name);
        text(&header.to_string())
    };
    let mut attacks: Vec<Attack> = Vec::new();

    for algorithm in [
        json!("none"),
        json!("None"),
        json!("nOnE"),
        json!(""),
        json!(null),
        json!(0),
        json!(true),
        json!(["RS256"]),
        json!({"RS256": 1}),
        json!("rs256"),
        json!("RS256 "),
        json!("RS256\0"),
        json!("HS256"),
        json!("RS512"),
        json!("ES512"),
        json!("ES256K"),
        json!("A128KW"),
    ] {
        attacks.push(("H1, 8725-1", with(json!({"alg": algorithm})), ALGORITHM));
    }
    attacks.push(("H1 missing", without("alg"), ALGORITHM));
    let unsigned = format!(
        "{}.{}.",
        base64url(r#"{"alg":"none","kid":"k1"}"#),
        base64url(&payload)
    );
    attacks.push(("H1 unsigned", unsigned, "signature is empty"));

    let pem = signer.pem();
    let stripped = pem
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect::<String>();
    for secret in [
        pem.into_bytes(),
        stripped.into_bytes(),
        signer.der(),
        signer.jwk()["n"].as_str().unwrap().into(),
        signer.jwk().to_string().into_bytes(),
        vec![],
    ] {
        attacks.push(("H2", hmac_token(&secret, &payload), ALGORITHM));
    }
    let mislabelled = signer.header().to_string().replace("RS256", "PS256");
    let other_key = "the key is for another algorithm than alg says";
    attacks.push(("H3", text(&mislabelled), other_key));

    for name in ["jku", "x5u"] {
        let url = "http://127.0.0.1:9/keys";
        attacks.push(("H6", forged(json!({name: url})), MEMBER));
    }
    attacks.push(("H5", forged(json!({"jwk": attacker.jwk()})), MEMBER));
    attacks.push((
        "H5 without kid",
        {
            let header = json!({"alg": "RS256", "typ": "at+jwt", "jwk": attacker.jwk()});
            attacker.sign(header.to_string(), &payload)
        },
        MEMBER,
    ));
    attacks.push(("H7", forged(json!({"x5c": ["MIIB"]})), MEMBER));
    attacks.push(("forged", forged(json!({})), FORGED));

    for id in [
        json!(1),
        json!(null),
        json!(["k1"]),
        json!({"k": 1}),
        json!(""),
        json!("k\r\n1"),
        json!("' OR 1=1"),
        json!("k".repeat(300)),
        json!("k\u{0}"),
        json!("ключ"),
    ] {
        attacks.push(("H8", with(json!({"kid": id})), KEY_ID));
    }
    for id in [
        "../../dev/null",
        "__proto__",
        "constructor",
        "K1",
        "k",
        "k1?x=y&kid=k1",
    ] {
        attacks.push(("H8", with(json!({"kid": id})), UNKNOWN));
    }
    attacks.push(("H8 100 KB", with(json!({"kid": "k".repeat(100_000)})), LONG));
    attacks.push(("H9", without("kid"), "kid is missing"));

    for critical in [
        json!(["unknown"]),
        json!([]),
        json!(["alg"]),
        json!("alg"),
        json!(null),
    ] {
        attacks.push(("H10", with(json!({"crit": critical})), MEMBER));
    }
    attacks.push(("H11", with(json!({"b64": false})), MEMBER));
    attacks.push(("H11", with(json!({"b64": false, "crit": ["b64"]})), MEMBER));
    attacks.push(("F10 zip", with(json!({"zip": "DEF"})), MEMBER));
    attacks.push(("H15", with(json!({"cty": "JWT"})), MEMBER));
    attacks.push(("8725-4 null", with(json!({"jku": null})), MEMBER));

    let twice = "header has a duplicate member";
    for header in [
        r#"{"alg":"none","alg":"RS256","typ":"at+jwt","kid":"k1"}"#,
        r#"{"alg":"RS256","alg":"none","typ":"at+jwt","kid":"k1"}"#,
        r#"{"alg":"RS256","\u0061lg":"RS256","typ":"at+jwt","kid":"k1"}"#,
        r#"{"alg":"RS256","typ":"at+jwt","kid":"k1","x":{"y":1,"y":1}}"#,
    ] {
        attacks.push(("H12", text(header), twice));
    }
    for header in [
        "\u{feff}{\"alg\":\"RS256\"}",
        "{\"alg\":\"RS256\"}x",
        "{\"alg\":\"RS256\"",
        "",
    ] {
        attacks.push(("H13", text(header), "header is not JSON"));
    }
    for header in ["[\"RS256\"]", "null", "\"RS256\"", "1"] {
        attacks.push(("H13", text(header), "header is not a JSON object"));
    }
    let deep = format!(
        r#"{{"alg":"RS256","x":{}1{}}}"#,
        "[".repeat(50),
        "]".repeat(50)
    );
    attacks.push((
        "C10 in the header",
        text(&deep),
        "header is nested too deeply",
    ));
    let many = (0..50)
        .map(|n| format!(r#""m{n}":0"#))
        .collect::<Vec<_>>()
        .join(",");
    attacks.push((
        "C11 in the header",
        text(&format!("{{{many}}}")),
        "header has too many members",
    ));

    for kind in [
        json!("dpop+jwt"),
        json!("logout+jwt"),
        json!("secevent+jwt"),
        json!("id_token+jwt"),
        json!("client-authentication+jwt"),
        json!("JWE"),
        json!("application/application/at+jwt"),
        json!("at+jwt "),
        json!(""),
        json!(null),
        json!(["at+jwt"]),
        json!("xapplication/at+jwt"),
    ] {
        attacks.push(("H14, 9068-2, 8725-7", with(json!({"typ": kind})), TYPE));
    }
    attacks.push(("9068-2 absent", without("typ"), TYPE));

    assert_refused(&world, attacks).await;
    assert_eq!(
        world.provider.key_requests(),
        2,
        "K13: all unknown kids together cause one fetch"
    );
    let wrong = |target: &String| target.contains("kid") || target.contains("dev/null");
    assert!(
        !world.provider.requests().iter().any(wrong),
        "no text of a token is in a URL"
    );
}

fn hmac_token(secret: &[u8], payload: &str) -> String {
    let header = r#"{"alg":"HS256","typ":"at+jwt","kid":"k1"}"#;
    let signed = format!("{}.{}", base64url(header), base64url(payload));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    format!(
        "{signed}.{}",
        base64url(hmac::sign(&key, signed.as_bytes()))
    )
}

#[tokio::test]
async fn h4_psychic_signatures() {
    let world = World::start().await;
    let signer = Signer::p256("ec");
    world.provider.publish(&[world.signer.jwk(), signer.jwk()]);
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let good = signer.token(&world.claims());
    assert!(world.verify(&good).await.is_ok());
    let (signed, _) = good.rsplit_once('.').unwrap();
    let attacks = [
        vec![0; 64],
        [ORDER, ORDER].concat(),
        [[0; 32], ORDER].concat(),
        vec![0; 63],
        vec![1],
    ]
    .map(|signature| ("H4", format!("{signed}.{}", base64url(signature)), FORGED));
    assert_refused(&world, attacks.into()).await;
}

#[tokio::test]
async fn h6_urls_in_headers_are_never_followed() {
    let world = World::start().await;
    let bait = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", bait.local_addr().unwrap());
    let attacker = Signer::attacker("unknown");
    for name in ["jku", "x5u"] {
        for signer in [&attacker, &world.signer] {
            let header = changed(signer.header(), json!({name: url}));
            let token = signer.sign(header.to_string(), world.claims().to_string());
            assert_eq!(
                world.verify(&token).await.unwrap_err().cause(),
                MEMBER,
                "{name}"
            );
        }
    }
    let visit = tokio::time::timeout(Duration::from_millis(200), bait.accept()).await;
    assert!(visit.is_err(), "someone followed the URL");
}

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
        (
            "C1 past",
            with(json!({"iat": now() - 700, "exp": now() - 100})),
            PAST,
        ),
        (
            "C17",
            with(json!({"iat": now() - 700, "exp": now() - 31})),
            PAST,
        ),
        ("C2 number of no type", replaced("exp", "1e999"), NOT_JSON),
        ("C2", replaced("exp", "9223372036854775807"), LIFETIME),
        ("C2", with(json!({"exp": now() + 86_402})), LIFETIME),
        ("C2 old iat", with(json!({"iat": 0})), LIFETIME),
        (
            "C2 old iat",
            replaced("iat", "-9223372036854775808"),
            LIFETIME,
        ),
        (
            "C3 future",
            with(json!({"nbf": now() + 100})),
            "nbf is in the future",
        ),
        (
            "C4 future",
            with(json!({"iat": now() + 100})),
            "iat is in the future",
        ),
        ("C4 missing", without("iat"), "a required claim is missing"),
        ("C5 missing", without("iss"), ISSUER_TYPE),
        ("C6 missing", without("aud"), AUDIENCE_TYPE),
        ("C7 missing", without("sub"), SUBJECT),
        (
            "C7 256 bytes",
            with(json!({"sub": "s".repeat(256)})),
            SUBJECT,
        ),
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
    for value in [
        json!(1),
        json!(null),
        json!([issuer]),
        json!({"iss": issuer}),
        json!(true),
    ] {
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
    for value in [
        json!(1),
        json!({"bailiwick": 1}),
        json!([AUDIENCE, 1]),
        json!([[AUDIENCE]]),
        json!(null),
    ] {
        attacks.push(("C6", with(json!({"aud": value})), AUDIENCE_TYPE));
    }
    for value in [
        json!(""),
        json!(1),
        json!(["alice"]),
        json!(null),
        json!({"a": 1}),
    ] {
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
    let invalid_utf8: Vec<u8> = invalid_utf8
        .into_iter()
        .map(|byte| if byte == 1 { 0xff } else { byte })
        .collect();
    attacks.push(("C9 UTF-8", signer.sign(&header, invalid_utf8), NOT_JSON));
    let utf16: Vec<u8> = claims_text
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    attacks.push(("C9 UTF-16", signer.sign(&header, utf16), NOT_JSON));

    let nested = |levels: usize| {
        raw(&format!(
            r#""x":{}{}"#,
            "[".repeat(levels),
            "]".repeat(levels)
        ))
    };
    attacks.push(("C10", nested(16), DEEP));
    attacks.push(("C10", nested(1_000), DEEP));
    attacks.push(("C10", nested(100_000), LONG));
    let objects = format!(r#""x":{}1{}"#, r#"{"x":"#.repeat(1_000), "}".repeat(1_000));
    attacks.push(("C10 objects", raw(&objects), DEEP));
    let members = |count: usize| {
        (0..count)
            .map(|n| format!(r#""{n}":0"#))
            .collect::<Vec<_>>()
    };
    attacks.push((
        "C11",
        raw(&members(1_100).join(",")),
        "payload has too many members",
    ));
    attacks.push(("C11", raw(&members(100_000).join(",")), LONG));
    attacks.push((
        "C11",
        raw(&format!(r#""x":"{}""#, "x".repeat(2 << 20))),
        LONG,
    ));

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
    assert_eq!(
        world.provider.key_requests(),
        1,
        "no claim causes a request"
    );
}

#[tokio::test]
async fn c17_expiry_counts_with_the_skew() {
    let world = World::start().await;
    let expired = |ago: i64| {
        world.signer.token(&changed(
            world.claims(),
            json!({"iat": now() - 700, "exp": now() - ago}),
        ))
    };
    assert!(world.verify(&expired(4)).await.is_ok());
    let rejection = world.verify(&expired(31)).await.unwrap_err();
    assert!(matches!(rejection, Rejection::Expired(_)));
    let strict = World::with(json!({"clock_skew_seconds": 0})).await;
    let claims = changed(
        strict.claims(),
        json!({"iat": now() - 700, "exp": now() - 1}),
    );
    assert!(strict.verify(&strict.signer.token(&claims)).await.is_err());
}

#[tokio::test]
async fn an_expired_token_that_is_forged_is_only_invalid() {
    let world = World::start().await;
    let claims = changed(
        world.claims(),
        json!({"iat": now() - 700, "exp": now() - 100}),
    );
    let rejection = world
        .verify(&Signer::attacker("k1").token(&claims))
        .await
        .unwrap_err();
    assert!(
        matches!(rejection, Rejection::Invalid(_)),
        "expiry is told of good tokens only"
    );
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

    assert!(
        trusts_other
            .verify(&signer.token(&claims(&other.issuer)))
            .await
            .is_ok()
    );
    let crossed = signer.token(&ours.claims());
    assert_eq!(
        ours.verify(&crossed).await.unwrap_err().cause(),
        FORGED,
        "8725-5"
    );
    assert_eq!(
        trusts_other.verify(&crossed).await.unwrap_err().cause(),
        ISSUER,
        "8725-5"
    );
}
