//! People for whom agents ask: one token is one node, however its signature is written.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair,
};
use bailiwick_authority::{DelegationRequest, OAuthError};
use bailiwick_identity::Verifier;
use bailiwick_identity::jws::KeySet;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::oauth::{Client, code, says};
use super::{CLI, House, now};

const PROVIDER: &str = "https://idp.example";

/// A curve with what it is called in a JWK, and its order.
pub(crate) struct Curve {
    algorithm: &'static EcdsaSigningAlgorithm,
    alg: &'static str,
    crv: &'static str,
    order: &'static str,
}

pub(crate) const P256: Curve = Curve {
    algorithm: &ECDSA_P256_SHA256_FIXED_SIGNING,
    alg: "ES256",
    crv: "P-256",
    order: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
};
const P384: Curve = Curve {
    algorithm: &ECDSA_P384_SHA384_FIXED_SIGNING,
    alg: "ES384",
    crv: "P-384",
    order: "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf\
            581a0db248b0a77aecec196accc52973",
};

/// An identity provider that signs with ECDSA.
pub(crate) struct Provider {
    curve: Curve,
    pair: EcdsaKeyPair,
}

impl Provider {
    pub(crate) fn new(curve: Curve) -> Self {
        let pair = EcdsaKeyPair::generate(curve.algorithm).unwrap();
        Self { curve, pair }
    }

    fn verifier(&self) -> Arc<Verifier> {
        let point = &self.pair.public_key().as_ref()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        let jwks = json!({ "keys": [{
            "kty": "EC", "crv": self.curve.crv, "alg": self.curve.alg, "kid": "1", "use": "sig",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        }] });
        let (keys, ignored) = KeySet::from_jwks(jwks.to_string().as_bytes()).unwrap();
        assert!(ignored.is_empty());
        let config = json!({
            "issuer": PROVIDER, "audience": "bailiwick", "algorithms": [self.curve.alg],
        });
        Verifier::with_keys(serde_json::from_value(config).unwrap(), keys).unwrap()
    }

    pub(crate) fn token(&self) -> String {
        let header = json!({ "alg": self.curve.alg, "typ": "at+jwt", "kid": "1" });
        let payload = json!({
            "iss": PROVIDER, "sub": "alice", "aud": "bailiwick", "iat": now(), "exp": now() + 600,
            "jti": uuid::Uuid::new_v4().to_string(),
        });
        let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(header), part(payload));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The same token with s replaced by n - s.
    fn twin(&self, token: &str) -> String {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let (r, s) = signature.split_at(signature.len() / 2);
        let order = (0..s.len()).map(|i| {
            u8::from_str_radix(self.curve.order.get(2 * i..2 * i + 2).unwrap(), 16).unwrap()
        });
        let mut borrow = 0;
        let mut difference: Vec<u8> = Vec::new();
        for (n, s) in order.collect::<Vec<_>>().into_iter().zip(s).rev() {
            let digit = i32::from(n) - i32::from(*s) - borrow;
            borrow = i32::from(digit < 0);
            difference.push(u8::try_from(digit.rem_euclid(256)).unwrap());
        }
        difference.reverse();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode([r, &difference].concat()))
    }
}

/// An authority with a provider's people, and an agent that may read for them.
pub(crate) async fn house_with_people(provider: &Provider) -> (House, Client) {
    let mut house = House::new();
    house.authority = house.authority.clone().with_people(provider.verifier());
    let client = Client::new(&house, "assistant").await;
    let request = DelegationRequest {
        permissions: vec!["read:documents".into()],
        read: Some(serde_json::from_value(json!({ "department": "engineering" })).unwrap()),
        ..DelegationRequest::default()
    };
    house.authority.delegate("assistant", request, &CLI).await.unwrap();
    (house, client)
}

pub(crate) async fn exchange(
    house: &House,
    client: &Client,
    token: &str,
) -> Result<String, OAuthError> {
    let answer = client.exchange(house, token, None).await?;
    Ok(answer["access_token"].as_str().unwrap().to_owned())
}

pub(crate) async fn revoke(house: &House, client: &Client, token: &str) {
    house.authority.revoke(client.form(&[("token", token)]), None).await.unwrap();
}

#[tokio::test]
async fn a_revoked_persons_token_is_not_exchanged_again_under_another_signature() {
    for curve in [P256, P384] {
        let provider = Provider::new(curve);
        let (house, client) = house_with_people(&provider).await;
        let token = provider.token();
        let twin = provider.twin(&token);
        assert_ne!(token, twin);
        provider.verifier().verify(&twin).await.unwrap();

        let first = exchange(&house, &client, &token).await.unwrap();
        let second = exchange(&house, &client, &twin).await.unwrap();
        revoke(&house, &client, &twin).await;
        for acting in [&first, &second] {
            assert!(house.authority.acting(acting, None).await.is_err());
        }
        for token in [&token, &twin] {
            let error = exchange(&house, &client, token).await.unwrap_err();
            assert_eq!(code(&error), says(400, "invalid_grant"));
        }
        exchange(&house, &client, &provider.token()).await.unwrap();
    }
}

/// What a release that named people by the whole token left in `authority.db`.
fn as_older_releases_did(house: &House, statement: &str, token: &str) {
    let name: String =
        digest(&SHA256, token.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let database = rusqlite::Connection::open(house.path().join("authority.db")).unwrap();
    database.execute(statement, rusqlite::params![format!("person.{name}"), now() + 600]).unwrap();
}

#[tokio::test]
async fn a_revocation_under_the_name_of_an_older_release_counts() {
    for curve in [P256, P384] {
        let provider = Provider::new(curve);
        let (house, client) = house_with_people(&provider).await;
        let token = provider.token();
        let statement = "INSERT INTO revoked_tokens (jti, expires_at) VALUES (?1, ?2)";
        as_older_releases_did(&house, statement, &token);
        for token in [&token, &provider.twin(&token)] {
            let error = exchange(&house, &client, token).await.unwrap_err();
            assert_eq!(code(&error), says(400, "invalid_grant"));
        }
    }
}

#[tokio::test]
async fn a_person_under_the_name_of_an_older_release_can_be_revoked() {
    let provider = Provider::new(P256);
    let (house, client) = house_with_people(&provider).await;
    let token = provider.token();
    let statement = "INSERT INTO people (id, claims, expires_at) VALUES (?1, '{}', ?2)";
    as_older_releases_did(&house, statement, &token);
    revoke(&house, &client, &provider.twin(&token)).await;
    let error = exchange(&house, &client, &token).await.unwrap_err();
    assert_eq!(code(&error), says(400, "invalid_grant"));
}
