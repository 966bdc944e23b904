//! What a provider's discovery document and key endpoint may do to us.

use std::time::Duration;

use bailiwick_identity::Verifier;
use serde_json::{Value, json};

use crate::accepted::changed;
use crate::provider::{DISCOVERY, KEYS, Provider, Reply};
use crate::signer::Signer;
use crate::world::{World, claims, config, first_failure, until_ready};

/// Starts a verifier against a provider that answers discovery like this; says why it is not ready.
async fn refused(id: &str, reply: impl Fn(&Provider) -> Reply) -> String {
    let provider = Provider::start().await;
    let signer = Signer::rsa("k1");
    provider.publish(&[signer.jwk()]);
    provider.reply(DISCOVERY, reply(&provider));
    let verifier = Verifier::start(config(&provider.issuer, json!({}))).unwrap();
    let reason = first_failure(&verifier).await;
    assert_eq!(provider.key_requests(), 0, "{id}: no key of it is fetched");
    let token = signer.token(&claims(&provider.issuer));
    let rejection = verifier.verify(&token).await.expect_err(id);
    assert_eq!(rejection.cause(), "no key of the provider is known yet", "{id}");
    reason
}

async fn refused_document(id: &str, change: Value) -> String {
    refused(id, |provider| Reply::json(changed(provider.document(), change.clone()))).await
}

#[tokio::test]
async fn d1_the_issuer_must_be_the_configured_one() {
    let provider = Provider::start().await;
    for issuer in [
        json!(format!("{}/", provider.issuer)),
        json!("https://evil.example"),
        json!(""),
        json!(null),
        json!([provider.issuer]),
        json!(provider.issuer.replace("127.0.0.1", "localhost")),
    ] {
        let reason = refused_document("D1, OIDC-1", json!({"issuer": issuer})).await;
        assert!(reason.contains("byte for byte"), "D1: {reason}");
        assert!(!reason.contains("evil"), "D1: the document's text is not repeated");
    }
}

#[tokio::test]
async fn d2_keys_elsewhere_need_the_operators_word() {
    let elsewhere = Provider::start().await;
    let signer = Signer::rsa("k1");
    elsewhere.publish(&[signer.jwk()]);
    let uri = format!("{}{KEYS}", elsewhere.issuer);
    let reason = refused_document("D2", json!({"jwks_uri": uri})).await;
    assert!(reason.contains("identity.jwks_uri"), "D2 tells the way out: {reason}");
    assert_eq!(elsewhere.requests().len(), 0, "D2");

    let provider = Provider::start().await;
    provider.reply(DISCOVERY, Reply::json(changed(provider.document(), json!({"jwks_uri": uri}))));
    for word in [json!({"jwks_uri": uri}), json!({"danger_allowed_hosts": ["127.0.0.1"]})] {
        let verifier = Verifier::start(config(&provider.issuer, word)).unwrap();
        until_ready(&verifier).await;
        assert!(verifier.verify(&signer.token(&claims(&provider.issuer))).await.is_ok());
    }
}

#[tokio::test]
async fn d3_k12_the_jwks_uri_must_be_a_web_address_that_may_be_reached() {
    for uri in [json!(null), json!(["https://a.example"]), json!(7)] {
        let reason = refused_document("D3", json!({"jwks_uri": uri})).await;
        assert!(reason.contains("it has no jwks_uri"), "D3 {uri}: {reason}");
    }
    for uri in [
        "",
        "/keys",
        "keys",
        "//127.0.0.1/keys",
        "file:///etc/passwd",
        "ftp://127.0.0.1/keys",
        "data:application/json,{}",
        "http://idp.example/keys",
        "https://user@idp.example/keys",
        "https://user:word@idp.example/keys",
        "https://169.254.169.254/latest",
        "https://[fd00::1]/keys",
        "https://[::ffff:10.0.0.1]/keys",
        "https://2852039166/",
        "https://0xa9fea9fe/",
        "http://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/keys",
        "https://idp.example/keys",
        "https://1.1.1.1/keys",
        "https://idp.example/keys#k",
        "https://idp.example\\@127.0.0.1/",
        " https://idp.example/keys",
        "https://idp.example/\r\nHost: x",
    ] {
        let reason = refused_document("K12, D2, D3, 8725-8", json!({"jwks_uri": uri})).await;
        assert!(reason.contains("document is not usable"), "K12 {uri}: {reason}");
    }
}

#[tokio::test]
async fn d4_d5_documents_that_are_not_one_clear_object() {
    let twice = refused("D4", |provider| {
        let text = provider.document().to_string();
        Reply::json(text.replacen('{', r#"{"issuer":"https://evil.example","#, 1))
    });
    assert!(twice.await.contains("unambiguous"), "D4");
    for body in ["", "null", "[]", "{", "\u{feff}{}"] {
        let reason = refused("D3", |_| Reply::json(body)).await;
        assert!(reason.contains("unambiguous"), "D3 {body}: {reason}");
    }
    let page = refused("D5", |provider| {
        let html = "Content-Type: text/html; charset=utf-8\r\n";
        Reply::with("200 OK", html, provider.document())
    });
    assert!(page.await.contains("web page"), "D5");
    for status in
        ["404 Not Found", "500 Internal Server Error", "204 No Content", "206 Partial Content"]
    {
        let reason = refused(status, |provider| Reply::with(status, "", provider.document())).await;
        assert!(reason.contains("has status"), "{status}: {reason}");
    }
}

#[tokio::test]
async fn d6_k11_redirects_are_never_followed() {
    let bait = Provider::start().await;
    for target in [format!("{}/", bait.issuer), "http://169.254.169.254/".into(), DISCOVERY.into()]
    {
        let reason = refused("D6, K11", |_| Reply::redirect(&target)).await;
        assert!(reason.contains("redirect"), "D6 {target}: {reason}");
    }
    assert_eq!(bait.requests().len(), 0, "D6");
}

#[tokio::test]
async fn d8_d9_other_members_change_nothing() {
    let provider = Provider::start().await;
    let signer = Signer::rsa("k1");
    provider.publish(&[signer.jwk()]);
    let more = json!({
        "id_token_signing_alg_values_supported": ["none", "HS256", "RS512"],
        "signed_metadata": "e30.e30.AA",
    });
    provider.reply(DISCOVERY, Reply::json(changed(provider.document(), more)));
    let verifier = Verifier::start(config(&provider.issuer, json!({}))).unwrap();
    until_ready(&verifier).await;
    let token = |signer: &Signer| signer.token(&claims(&provider.issuer));
    assert!(verifier.verify(&token(&signer)).await.is_ok());
    let outcome = verifier.verify(&token(&signer.with_algorithm("RS512"))).await.unwrap_err();
    assert_eq!(outcome.cause(), "alg is not one of the allowed algorithms", "D8");
}

#[tokio::test]
async fn k3_k4_k11_a_bad_key_endpoint_takes_nothing_away() {
    let head = |headers: &str| {
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{headers}\r\n")
    };
    let bait = Provider::start().await;
    let mut replies = vec![
        ("K3 page", Reply::with("200 OK", "Content-Type: text/html\r\n", r#"{"keys":[]}"#)),
        ("K3 compressed", Reply::with("200 OK", "Content-Encoding: gzip\r\n", "\u{1f}")),
        ("K3 100 MB announced", Reply::Raw(head("Content-Length: 100000000\r\n").into_bytes())),
        (
            "K3 endless",
            Reply::Endless {
                head: head("Connection: close\r\n"),
                piece: vec![b' '; 65_536],
                pause: Duration::ZERO,
            },
        ),
        (
            "K3 slow",
            Reply::Endless {
                head: head("Connection: close\r\n"),
                piece: vec![b' '],
                pause: Duration::from_millis(100),
            },
        ),
        ("K3 many", Reply::json(json!({"keys": vec![json!({}); 1000]}))),
        ("K7 private only", Reply::json(json!({"keys": [{"kty": "RSA", "kid": "k2", "d": "AQ"}]}))),
        ("K11", Reply::redirect(&format!("{}/keys", bait.issuer))),
        ("K11", Reply::redirect("http://169.254.169.254/")),
        ("hang-up", Reply::Hangup),
        ("error", Reply::with("503 Service Unavailable", "", "")),
    ];
    for body in
        [r#"{"keys":[]}"#, "{}", "null", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, "<html>", ""]
    {
        replies.push(("K4, K16", Reply::json(body)));
    }
    let unharmed = replies.into_iter().map(async |(id, reply)| {
        let world = World::start().await;
        world.provider.reply(KEYS, reply);
        let token = Signer::attacker("k2").token(&world.claims());
        assert_eq!(
            world.verify(&token).await.unwrap_err().cause(),
            "kid names no key that is known",
            "{id}"
        );
        assert_eq!(world.provider.key_requests(), 2, "{id}: the bad answer was fetched");
        assert!(world.verify(&world.token()).await.is_ok(), "{id}: KEEP");
        assert_eq!(world.verifier.readiness(), Ok(()), "{id}: KEEP");
    });
    futures::future::join_all(unharmed).await;
    assert_eq!(bait.requests().len(), 0, "K11");
}
