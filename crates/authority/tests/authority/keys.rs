//! Signing keys: rotation with overlap, the JWK Set, damaged files.

use bailiwick_authority::AuthorityError;
use bailiwick_identity::Algorithm;
use bailiwick_identity::jws::{self, KeySet, Profile};

use super::{CLI, House, ISSUER, header, issue, now, open};

#[tokio::test]
async fn a_rotation_takes_over_at_once_and_old_tokens_live_on() {
    let house = House::new();
    let (other, _audit) = open(house.path());
    let agent = house.agent("reader", &["read:records"]).await;
    let old = house.token(&agent).await;
    let kid = other.rotate_keys(&CLI).await.unwrap();

    let new = house.token(&agent).await;
    assert_eq!(header(&new)["kid"], kid);
    assert_ne!(header(&old)["kid"], kid);
    for token in [&old, &new] {
        assert!(house.authority.authenticate(token, None).await.is_ok());
    }
    let jwks = house.authority.jwks().await.unwrap();
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 2);
    assert_eq!(house.last_event()["kind"], "token_issued");
    assert!(house.events().iter().any(|e| e["kind"] == "key_rotated" && e["detail"] == kid));
}

#[tokio::test]
async fn a_retired_key_is_forgotten_when_its_last_token_is_over() {
    let house = House::new();
    let agent = house.agent("reader", &["read:records"]).await;
    let old = house.token(&agent).await;
    house.authority.rotate_keys(&CLI).await.unwrap();
    // As if the rotation had been an hour ago.
    rusqlite::Connection::open(house.path().join("authority.db"))
        .unwrap()
        .execute("UPDATE signing_keys SET retired_at = retired_at - 3600 WHERE retired_at > 0", [])
        .unwrap();
    let jwks = house.authority.jwks().await.unwrap();
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 1);
    assert!(house.authority.authenticate(&old, None).await.is_err());

    house.authority.rotate_keys(&CLI).await.unwrap();
    let retired = header(&old)["kid"].as_str().unwrap().to_owned();
    assert!(!house.path().join(format!("keys/{retired}.pk8")).exists());
    assert_eq!(std::fs::read_dir(house.path().join("keys")).unwrap().count(), 2);
}

#[tokio::test]
async fn strangers_verify_our_tokens_with_the_published_keys() {
    let house = House::new();
    let token = house.token(&house.agent("reader", &["read:records"]).await).await;
    let jwks = house.authority.jwks().await.unwrap();
    let key = &jwks["keys"][0];
    assert_eq!(
        (key["kty"].as_str(), key["alg"].as_str(), key["use"].as_str()),
        (Some("RSA"), Some("RS256"), Some("sig"))
    );
    assert!(["d", "p", "q", "dp", "dq", "qi"].iter().all(|member| key.get(member).is_none()));

    let (keys, ignored) = KeySet::from_jwks(jwks.to_string().as_bytes()).unwrap();
    assert!(ignored.is_empty());
    let profile = Profile {
        algorithms: vec![Algorithm::RS256],
        ..Profile::access_token(ISSUER, vec![ISSUER.into()])
    };
    jws::verify(&token, &profile, &keys, now()).unwrap();

    // RFC 7638, computed by a library of its own.
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(key.clone()).unwrap();
    let thumbprint = jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap();
    assert_eq!(key["kid"], thumbprint);
}

#[tokio::test]
async fn a_key_file_that_is_gone_or_another_one_is_named() {
    let house = House::new();
    let stranger = House::new();
    let agent = house.agent("reader", &["read:records"]).await;
    let file = |house: &House| {
        std::fs::read_dir(house.path().join("keys")).unwrap().next().unwrap().unwrap().path()
    };
    std::fs::copy(file(&stranger), file(&house)).unwrap();
    let refused = issue(&house.authority, &agent, None).await.unwrap_err();
    assert_eq!(refused.status(), 503);
    let cause = std::error::Error::source(&refused).unwrap();
    assert!(matches!(
        cause.downcast_ref::<AuthorityError>(),
        Some(AuthorityError::SigningKey(text)) if text.contains("another key")
    ));
    std::fs::remove_file(file(&house)).unwrap();
    assert_eq!(issue(&house.authority, &agent, None).await.unwrap_err().status(), 503);
}

#[test]
fn two_processes_that_start_together_share_one_key() {
    let directory = tempfile::tempdir().unwrap();
    let kids: Vec<String> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let (authority, _audit) = open(directory.path());
                    let runtime = tokio::runtime::Runtime::new().unwrap();
                    let jwks = runtime.block_on(authority.jwks()).unwrap();
                    assert_eq!(jwks["keys"].as_array().unwrap().len(), 1);
                    jwks["keys"][0]["kid"].as_str().unwrap().to_owned()
                })
            })
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert!(kids.windows(2).all(|pair| pair[0] == pair[1]), "{kids:?}");
}
