//! H: headers that choose the algorithm, bring the key, or name another kind of token.

use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Attack, FORGED, LONG, assert_refused};
use crate::accepted::changed;
use crate::signer::{Signer, base64url};
use crate::world::World;

const MEMBER: &str = "header has one of crit, jku, jwk, x5u, x5c, b64, zip, cty";
const ALGORITHM: &str = "alg is not one of the allowed algorithms";
const TYPE: &str = "typ is not one of the allowed types";
const KEY_ID: &str = "kid is not a short printable string";
const UNKNOWN: &str = "kid names no key that is known";

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
    let unsigned =
        format!("{}.{}.", base64url(r#"{"alg":"none","kid":"k1"}"#), base64url(&payload));
    attacks.push(("H1 unsigned", unsigned, "signature is empty"));

    let pem = signer.pem();
    let stripped = pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
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
    for id in ["../../dev/null", "__proto__", "constructor", "K1", "k", "k1?x=y&kid=k1"] {
        attacks.push(("H8", with(json!({"kid": id})), UNKNOWN));
    }
    attacks.push(("H8 100 KB", with(json!({"kid": "k".repeat(100_000)})), LONG));
    attacks.push(("H9", without("kid"), "kid is missing"));

    for critical in [json!(["unknown"]), json!([]), json!(["alg"]), json!("alg"), json!(null)] {
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
    for header in ["\u{feff}{\"alg\":\"RS256\"}", "{\"alg\":\"RS256\"}x", "{\"alg\":\"RS256\"", ""]
    {
        attacks.push(("H13", text(header), "header is not JSON"));
    }
    for header in ["[\"RS256\"]", "null", "\"RS256\"", "1"] {
        attacks.push(("H13", text(header), "header is not a JSON object"));
    }
    let deep = format!(r#"{{"alg":"RS256","x":{}1{}}}"#, "[".repeat(50), "]".repeat(50));
    attacks.push(("C10 in the header", text(&deep), "header is nested too deeply"));
    let many = (0..50).map(|n| format!(r#""m{n}":0"#)).collect::<Vec<_>>().join(",");
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
    assert_eq!(world.provider.key_requests(), 2, "K13: all unknown kids together cause one fetch");
    let wrong = |target: &String| target.contains("kid") || target.contains("dev/null");
    assert!(!world.provider.requests().iter().any(wrong), "no text of a token is in a URL");
}

fn hmac_token(secret: &[u8], payload: &str) -> String {
    let header = r#"{"alg":"HS256","typ":"at+jwt","kid":"k1"}"#;
    let signed = format!("{}.{}", base64url(header), base64url(payload));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    format!("{signed}.{}", base64url(hmac::sign(&key, signed.as_bytes())))
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
    let attacks =
        [vec![0; 64], [ORDER, ORDER].concat(), [[0; 32], ORDER].concat(), vec![0; 63], vec![1]]
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
            assert_eq!(world.verify(&token).await.unwrap_err().cause(), MEMBER, "{name}");
        }
    }
    let visit = tokio::time::timeout(Duration::from_millis(200), bait.accept()).await;
    assert!(visit.is_err(), "someone followed the URL");
}
