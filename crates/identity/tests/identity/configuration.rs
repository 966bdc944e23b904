//! Configuration errors name the field and the way out.

use bailiwick_identity::{Algorithm, IdentityConfig, IdentityConfigError, Verifier};
use serde_json::{Value, json};

use crate::accepted::changed;

fn right() -> Value {
    json!({"issuer": "https://idp.example/realms/acme", "audience": "bailiwick"})
}

#[test]
fn defaults_are_what_the_documentation_says() {
    let config: IdentityConfig = serde_json::from_value(right()).unwrap();
    assert_eq!(config.audience, ["bailiwick"]);
    assert_eq!(config.jwks_uri, None);
    assert_eq!(
        config.algorithms,
        [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::PS256]
    );
    assert_eq!(config.token_types, ["at+jwt", "JWT"]);
    assert_eq!((config.clock_skew_seconds, config.max_token_lifetime_seconds), (30, 86_400));
    assert_eq!((config.unknown_kid_cooldown_seconds, config.max_stale_seconds), (60, 86_400));
    assert!(config.danger_allowed_hosts.is_empty());
}

#[test]
fn what_is_not_a_configuration_does_not_parse() {
    for change in [
        json!({"issuers": []}),
        json!({"algorithms": ["none"]}),
        json!({"algorithms": ["HS256"]}),
        json!({"algorithms": ["rs256"]}),
        json!({"audience": 1}),
        json!({"audience": [1]}),
        json!({"clock_skew_seconds": -1}),
        json!({"issuer": null}),
    ] {
        let parsed = serde_json::from_value::<IdentityConfig>(changed(right(), change.clone()));
        assert!(parsed.is_err(), "{change}");
    }
}

#[tokio::test]
async fn a_wrong_value_is_named() {
    let cases = [
        ("issuer", json!({"issuer": ""})),
        ("issuer", json!({"issuer": "idp.example"})),
        ("issuer", json!({"issuer": "http://idp.example"})),
        ("issuer", json!({"issuer": "ftp://idp.example"})),
        ("issuer", json!({"issuer": "https://idp.example?realm=a"})),
        ("issuer", json!({"issuer": "https://idp.example#a"})),
        ("issuer", json!({"issuer": "https://user@idp.example"})),
        ("issuer", json!({"issuer": "https://idp.example "})),
        ("issuer", json!({"issuer": "https://169.254.169.254"})),
        ("issuer", json!({"issuer": "http://127.0.0.1.evil.example"})),
        ("jwks_uri", json!({"jwks_uri": "/keys"})),
        ("jwks_uri", json!({"jwks_uri": "http://idp.example/keys"})),
        ("jwks_uri", json!({"jwks_uri": "http://127.0.0.1/keys"})),
        ("jwks_uri", json!({"jwks_uri": "https://127.0.0.1/keys"})),
        ("jwks_uri", json!({"jwks_uri": "file:///keys"})),
        ("audience", json!({"audience": []})),
        ("audience", json!({"audience": ""})),
        ("algorithms", json!({"algorithms": []})),
        ("clock_skew_seconds", json!({"clock_skew_seconds": 61})),
        ("token_types", json!({"token_types": []})),
        ("token_types", json!({"token_types": ["at+jwt", "Application/Logout+JWT"]})),
        ("token_types", json!({"token_types": ["dpop+jwt"]})),
        ("max_token_lifetime_seconds", json!({"max_token_lifetime_seconds": 0})),
        ("unknown_kid_cooldown_seconds", json!({"unknown_kid_cooldown_seconds": 0})),
        ("max_stale_seconds", json!({"max_stale_seconds": 0})),
        ("danger_allowed_hosts", json!({"danger_allowed_hosts": ["https://idp.internal"]})),
    ];
    for (name, change) in cases {
        let config = serde_json::from_value(changed(right(), change.clone())).unwrap();
        match Verifier::start(config) {
            Err(IdentityConfigError::Field { field, problem }) => {
                assert_eq!(field, name, "{change}");
                assert!(problem.len() > 20, "{change}: `{problem}` does not tell what to do");
            }
            other => panic!("{change} gave {other:?}"),
        }
    }
    let listed =
        json!({"jwks_uri": "https://127.0.0.1/keys", "danger_allowed_hosts": ["127.0.0.1"]});
    assert!(Verifier::start(serde_json::from_value(changed(right(), listed)).unwrap()).is_ok());
}

#[test]
fn outside_a_runtime_there_is_an_error_and_no_panic() {
    let started = Verifier::start(serde_json::from_value(right()).unwrap());
    assert!(matches!(started, Err(IdentityConfigError::NoRuntime)));
}
