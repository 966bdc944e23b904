//! What is accepted: a test that only refuses could be passed by refusing everything.

use bailiwick_identity::jws::{self, KeySet, Profile};
use serde_json::{Value, json};

use crate::signer::Signer;
use crate::world::{AUDIENCE, World, claims, now};

#[tokio::test]
async fn a_right_token_becomes_claims() {
    let world = World::start().await;
    let mut expected = world.claims();
    expected["name"] = json!("Alice Example");
    let claims = world.verify(&world.signer.token(&expected)).await.unwrap();

    assert_eq!(claims.issuer(), world.provider.issuer);
    assert_eq!(claims.subject(), "alice");
    assert_eq!(claims.expires_at(), expected["exp"]);
    assert_eq!(claims.token_id(), Some("t1"));
    assert_eq!(Value::Object(claims.as_map().clone()), expected);
    assert!(!format!("{claims:?}").contains("Alice Example"), "Debug must not tell the payload");
}

#[tokio::test]
async fn every_supported_algorithm_verifies() {
    let all = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];
    let world = World::with(json!({"algorithms": all, "unknown_kid_cooldown_seconds": 1})).await;
    let signers: Vec<Signer> = all
        .into_iter()
        .map(|algorithm| match algorithm {
            "ES256" => Signer::p256(algorithm),
            "ES384" => Signer::p384(algorithm),
            "EdDSA" => Signer::ed25519(algorithm),
            rsa => Signer::rsa(rsa).with_algorithm(rsa),
        })
        .collect();
    world.provider.publish(&signers.iter().map(Signer::jwk).collect::<Vec<_>>());
    for signer in signers {
        let outcome = world.verify(&signer.token(&world.claims())).await;
        assert!(outcome.is_ok(), "{}: {outcome:?}", signer.algorithm);
    }
}

#[tokio::test]
async fn harmless_variations_are_accepted() {
    let world = World::start().await;
    let headers = [
        ("H16", json!({"typ": "application/at+jwt"})),
        ("H16", json!({"typ": "AT+JWT"})),
        ("H16", json!({"typ": "Application/AT+JWT"})),
        ("9068-2, configured by default", json!({"typ": "JWT"})),
        ("Entra's thumbprint", json!({"x5t": "AbC", "x5t#S256": "dEf"})),
    ];
    for (id, change) in headers {
        let header = changed(world.signer.header(), change);
        let token = world.signer.sign(header.to_string(), world.claims().to_string());
        assert!(world.verify(&token).await.is_ok(), "{id}: {header}");
    }
    let claims = [
        ("C6", json!({"aud": ["other", AUDIENCE]})),
        ("C17", json!({"exp": now() - 4})),
        ("skew", json!({"iat": now() + 20, "nbf": now() + 20})),
        ("Keycloak", json!({"typ": "Bearer"})),
        ("Cognito", json!({"token_use": "access"})),
        ("a day", json!({"exp": now() + 86_400, "iat": now()})),
        ("255 bytes", json!({"sub": "s".repeat(255)})),
        ("no claim of ours", json!({"groups": {"a": [1.5, null, true, {"b": "\u{1F600}"}]}})),
    ];
    for (id, change) in claims {
        let claims = changed(world.claims(), change);
        let outcome = world.verify(&world.signer.token(&claims)).await;
        assert!(outcome.is_ok(), "{id}: {outcome:?} {claims}");
    }
}

#[test]
fn a_pem_key_verifies_client_assertions_with_any_kid_and_none() {
    for signer in [Signer::rsa("k"), Signer::p256("k"), Signer::p384("k"), Signer::ed25519("k")] {
        let keys = KeySet::from_pem(signer.pem().as_bytes()).unwrap();
        let mut profile = Profile::client_assertion("client-1", vec!["https://as.example".into()]);
        profile.algorithms.push(bailiwick_identity::Algorithm::ES384);
        let assertion = json!({
            "iss": "client-1", "sub": "client-1", "aud": "https://as.example",
            "jti": "j", "exp": now() + 60,
        });
        for header in [
            json!({"alg": signer.algorithm}),
            json!({"alg": signer.algorithm, "kid": "whatever", "typ": "JWT"}),
        ] {
            let token = signer.sign(header.to_string(), assertion.to_string());
            let payload = jws::verify(&token, &profile, &keys, now());
            assert_eq!(payload.map(Value::Object), Ok(assertion.clone()), "{header}");
        }
        let wrong = Signer::attacker("k").with_algorithm(signer.algorithm);
        let forged = match signer.algorithm {
            "RS256" => wrong.sign(r#"{"alg":"RS256"}"#, assertion.to_string()),
            _ => Signer::p256("k").sign(r#"{"alg":"ES256"}"#, assertion.to_string()),
        };
        assert!(jws::verify(&forged, &profile, &keys, now()).is_err(), "{}", signer.algorithm);
    }
}

#[test]
fn a_client_assertion_is_short_lived_and_has_an_id() {
    let signer = Signer::p256("k");
    let (keys, _) =
        KeySet::from_jwks(json!({"keys": [signer.jwk()]}).to_string().as_bytes()).unwrap();
    let profile = Profile::client_assertion("c", vec![AUDIENCE.into()]);
    let right = changed(claims("c"), json!({"exp": now() + 300}));
    let outcome = |claims: &Value| {
        let header = json!({"alg": "ES256", "kid": "k"});
        let token = signer.sign(header.to_string(), claims.to_string());
        jws::verify(&token, &profile, &keys, now()).map_err(|rejection| rejection.cause())
    };
    assert!(outcome(&right).is_ok());
    let mut claims = right.clone();
    claims.as_object_mut().unwrap().remove("jti");
    assert_eq!(outcome(&claims), Err("a required claim is missing"));
    let mut claims = right.clone();
    claims["exp"] = json!(now() + 86_400);
    assert_eq!(outcome(&claims), Err("lifetime is longer than allowed"), "T8");
    claims.as_object_mut().unwrap().remove("iat");
    assert_eq!(outcome(&claims), Err("lifetime is longer than allowed"), "T8 without iat");
}

/// `value` with the members of `change` put over its own.
pub(crate) fn changed(mut value: Value, change: Value) -> Value {
    for (name, new) in change.as_object().unwrap() {
        value[name] = new.clone();
    }
    value
}
