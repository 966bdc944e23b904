//! The provider, met as browsers and clients meet it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod app;
mod hostile;
mod people;

use std::time::Duration;

use app::{App, CALLBACK, CLIENT, VERIFIER, provider, settings};
use bailiwick_dev_idp::{DevProvider, DevProviderError, SignInError, sign_in};
use bailiwick_identity::{IdentityConfig, Verifier};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

/// Verifies as any client would, with the keys that the provider publishes.
async fn verified(issuer: &str, token: &str, audience: &str) -> Map<String, Value> {
    let keys = reqwest::get(format!("{issuer}/jwks.json")).await.unwrap();
    let keys: JwkSet = keys.json().await.unwrap();
    let kid = decode_header(token).unwrap().kid.unwrap();
    let key = DecodingKey::from_jwk(keys.find(&kid).unwrap()).unwrap();
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_issuer(&[issuer]);
    rules.set_audience(&[audience]);
    decode(token, &key, &rules).unwrap().claims
}

async fn verifier(issuer: &str) -> std::sync::Arc<Verifier> {
    let config: IdentityConfig =
        serde_json::from_value(json!({ "issuer": issuer, "audience": "bailiwick" })).unwrap();
    let verifier = Verifier::start(config).unwrap();
    for _ in 0..100 {
        if verifier.readiness().is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    verifier
}

#[tokio::test]
async fn a_sign_in_ends_with_tokens_that_say_who_it_is() {
    let provider = provider().await;
    let issuer = provider.issuer();
    let tokens = sign_in(issuer, CLIENT, CALLBACK, "alice").await.unwrap();
    assert_eq!(tokens.expires_in, 600);

    let access = tokens.access_token.expose_secret();
    assert_eq!(decode_header(access).unwrap().typ.as_deref(), Some("at+jwt"));
    let claims = verified(issuer, access, "bailiwick").await;
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["client_id"], CLIENT);
    assert_eq!(claims["scope"], "openid profile email");
    assert_eq!(claims["projects"], json!(["phoenix", "atlas"]));
    assert!(claims["jti"].is_string());
    assert!(!claims.contains_key("name") && !claims.contains_key("email"));

    let id = tokens.id_token.expose_secret();
    assert_eq!(decode_header(id).unwrap().typ.as_deref(), Some("JWT"));
    let claims = verified(issuer, id, CLIENT).await;
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["name"], "Alice Vance");
    assert_eq!(claims["email"], "alice@acme.example");
    assert!(!claims.contains_key("projects"));
    assert!(!format!("{tokens:?}").contains(access));
}

#[tokio::test]
async fn the_server_accepts_the_access_token_and_refuses_the_id_token() {
    let provider = provider().await;
    let tokens = sign_in(provider.issuer(), CLIENT, CALLBACK, "carol").await.unwrap();
    let verifier = verifier(provider.issuer()).await;
    let claims = verifier.verify(tokens.access_token.expose_secret()).await.unwrap();
    assert_eq!((claims.issuer(), claims.subject()), (provider.issuer(), "carol"));
    assert_eq!(claims.as_map()["department"], json!(["finance", "sales"]));
    assert!(verifier.verify(tokens.id_token.expose_secret()).await.is_err());
}

#[tokio::test]
async fn signing_for_tests_fills_what_is_missing_and_keeps_what_is_given() {
    let provider = provider().await;
    let verifier = verifier(provider.issuer()).await;
    let sign = |claims: Value| provider.sign(claims.as_object().unwrap().clone()).unwrap();
    let claims = verifier.verify(&sign(json!({ "department": "hr" }))).await.unwrap();
    assert_eq!(claims.subject(), "someone");
    assert_eq!(claims.as_map()["department"], "hr");
    assert!(verifier.verify(&sign(json!({ "aud": "other" }))).await.is_err());
    assert!(verifier.verify(&sign(json!({ "exp": 1 }))).await.is_err());
}

#[tokio::test]
async fn the_state_the_nonce_and_the_issuer_come_back() {
    let provider = provider().await;
    let mut app = App::of(&provider);
    let answer = app.pick("bob", &[("nonce", "n-1"), ("state", "a b&c=<\"")]).await;
    assert_eq!(answer["state"], "a b&c=<\"");
    assert_eq!(answer["iss"], provider.issuer());
    let tokens = app.redeem(&answer["code"], VERIFIER).await.unwrap();
    let id = verified(provider.issuer(), tokens["id_token"].as_str().unwrap(), CLIENT).await;
    assert_eq!(id["nonce"], "n-1");
    assert!(tokens.get("refresh_token").is_none(), "not asked for offline_access");
}

#[tokio::test]
async fn a_code_serves_once_and_a_second_use_ends_what_it_gave() {
    let provider = provider().await;
    let mut app = App::of(&provider);
    let code = app.pick("bob", &[("scope", "openid offline_access")]).await["code"].clone();
    let tokens = app.redeem(&code, VERIFIER).await.unwrap();
    assert_eq!(app.redeem(&code, VERIFIER).await.unwrap_err(), "invalid_grant");
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    assert_eq!(app.refresh(refresh_token).await.unwrap_err(), "invalid_grant");
}

#[tokio::test]
async fn refresh_tokens_rotate_and_a_second_use_ends_the_family() {
    let provider = provider().await;
    let mut app = App::of(&provider);
    let code = app.pick("bob", &[("scope", "openid offline_access")]).await["code"].clone();
    let first = app.redeem(&code, VERIFIER).await.unwrap();
    let first = first["refresh_token"].as_str().unwrap();
    let second = app.refresh(first).await.unwrap();
    let claims = verified(provider.issuer(), second["access_token"].as_str().unwrap(), "bailiwick");
    assert_eq!(claims.await["department"], "sales");
    let second = second["refresh_token"].as_str().unwrap();
    let third = app.refresh(second).await.unwrap();
    assert_eq!(app.refresh(first).await.unwrap_err(), "invalid_grant");
    let third = third["refresh_token"].as_str().unwrap();
    assert_eq!(app.refresh(third).await.unwrap_err(), "invalid_grant");
}

#[tokio::test]
async fn silent_sign_in_needs_a_session_of_that_person() {
    let provider = provider().await;
    let mut app = App::of(&provider);
    let silent = [("prompt", "none"), ("state", "s")];
    let answer = app.asks(&silent).await;
    assert_eq!(answer["error"], "login_required");
    assert_eq!((&*answer["state"], &*answer["iss"]), ("s", provider.issuer()));

    app.pick("alice", &[]).await;
    assert!(app.asks(&silent).await.contains_key("code"));
    assert!(app.asks(&[]).await.contains_key("code"), "signed in already");
    for other in [("login_hint", "bob"), ("max_age", "0")] {
        let answer = app.asks(&[("prompt", "none"), other]).await;
        assert_eq!(answer["error"], "login_required", "{other:?}");
    }
    assert!(app.page(&[("prompt", "select_account")]).await.contains("Alice Vance"));

    let goodbye =
        app.get("/end_session", &[("post_logout_redirect_uri", CALLBACK), ("state", "s")]);
    let goodbye = goodbye.await;
    assert_eq!(goodbye.headers()["location"], format!("{CALLBACK}?state=s"));
    assert!(goodbye.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    // The browser would forget the cookie; keeping it must not help.
    assert_eq!(app.asks(&silent).await["error"], "login_required");
}

#[tokio::test]
async fn the_hinted_person_is_suggested() {
    let provider = provider().await;
    let page = App::of(&provider).page(&[("login_hint", "bob@acme.example")]).await;
    let suggested = page.split("<li>").find(|card| card.contains("autofocus")).unwrap();
    assert!(suggested.contains("Bob Miller") && suggested.contains("Suggested"));
    assert_eq!(page.matches("autofocus").count(), 1);
}

#[tokio::test]
async fn userinfo_says_what_the_scopes_allow_until_the_token_is_revoked() {
    let provider = provider().await;
    let mut app = App::of(&provider);
    let code = app.pick("bob", &[("scope", "openid email")]).await["code"].clone();
    let tokens = app.redeem(&code, VERIFIER).await.unwrap();
    let access = tokens["access_token"].as_str().unwrap();
    let says = app.userinfo(access).await;
    assert_eq!(says.status(), 200);
    let says: Value = says.json().await.unwrap();
    assert_eq!(says, json!({ "sub": "bob", "email": "bob@acme.example" }));

    let id_token = tokens["id_token"].as_str().unwrap();
    let refused = app.userinfo(id_token).await;
    assert_eq!(refused.status(), 401);
    assert!(refused.headers().contains_key("www-authenticate"));
    assert_eq!(
        app.post("/revoke", &[("client_id", CLIENT), ("token", access)]).await.status(),
        200
    );
    assert_eq!(app.userinfo(access).await.status(), 401);
}

#[tokio::test]
async fn a_revoked_refresh_token_does_not_serve() {
    let provider = provider().await;
    let mut app = App::of(&provider);
    let code = app.pick("bob", &[("scope", "openid offline_access")]).await["code"].clone();
    let tokens = app.redeem(&code, VERIFIER).await.unwrap();
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    let revoked = [("client_id", CLIENT), ("token", refresh_token)];
    let revoked = app.post("/revoke", &revoked).await;
    assert_eq!(revoked.status(), 200);
    assert_eq!(app.refresh(refresh_token).await.unwrap_err(), "invalid_grant");
}

#[tokio::test]
async fn it_refuses_to_listen_where_others_can_reach_it() {
    for address in ["0.0.0.0:0", "192.0.2.7:0", "[::]:0", "[2001:db8::1]:0", "[::ffff:0.0.0.0]:0"] {
        let refused =
            DevProvider::start(app::Settings { listen: address.parse().unwrap(), ..settings() });
        let error = refused.await.expect_err(address);
        assert!(matches!(error, DevProviderError::NotLoopback(_)), "{error}");
        assert!(error.to_string().contains("127.0.0.1"));
    }
}

#[tokio::test]
async fn it_stops_when_it_is_dropped() {
    let provider = provider().await;
    let keys = format!("{}/jwks.json", provider.issuer());
    assert_eq!(reqwest::get(&keys).await.unwrap().status(), 200);
    drop(provider);
    for _ in 0..100 {
        if reqwest::get(&keys).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(reqwest::get(&keys).await.is_err(), "still serving after two seconds");
}

#[tokio::test]
async fn a_person_who_is_not_there_is_answered_with_those_who_are() {
    let provider = provider().await;
    let error = sign_in(provider.issuer(), CLIENT, CALLBACK, "mallory").await.unwrap_err();
    assert!(matches!(error, SignInError::UnknownPerson { .. }));
    assert!(error.to_string().contains("alice, bob, carol, dave, admin"), "{error}");
}
