//! Claims that a token does not carry: where they come from, and when they stay missing.

use std::time::Duration;

use bailiwick_identity::{Claims, IdentityConfig, Rejection, Verifier};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::provider::{DISCOVERY, Provider, Reply};
use crate::signer::Signer;
use crate::world::{World, config, until_ready};

const USERINFO: &str = "/userinfo";

/// A world whose provider has a userinfo endpoint that answers `reply`.
async fn world(groups: Value, reply: Reply) -> World {
    let signer = Signer::rsa("k1");
    let provider = Provider::start().await;
    provider.publish(&[signer.jwk()]);
    let mut document = provider.document();
    document["userinfo_endpoint"] = json!(format!("{}{USERINFO}", provider.issuer));
    provider.reply(DISCOVERY, Reply::json(document));
    provider.reply(USERINFO, reply);
    let verifier = Verifier::start(config(&provider.issuer, json!({ "groups": groups }))).unwrap();
    until_ready(&verifier).await;
    World { provider, signer, verifier }
}

fn userinfo() -> Value {
    json!({"source": "userinfo"})
}

fn knows(groups: Value) -> Reply {
    Reply::json(json!({"sub": "alice", "groups": groups, "department": "forged", "aud": "x"}))
}

/// A right token with more claims.
fn token(world: &World, more: Value) -> String {
    let mut claims = world.claims();
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    world.signer.token(&claims)
}

fn asked(world: &World) -> usize {
    world.provider.requests().iter().filter(|target| target.starts_with(USERINFO)).count()
}

fn claim<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    claims.as_map().get(name)
}

#[tokio::test]
async fn what_a_token_lacks_or_only_refers_to_is_looked_up() {
    let world = world(userinfo(), knows(json!(["a", "b"]))).await;
    let overage = json!({"_claim_names": {"groups": "src1", "roles": "src1"},
        "_claim_sources": {"src1": {"endpoint": "http://127.0.0.1:9/graph"}}});
    for more in [json!({}), json!({"groups": null}), json!({"hasgroups": true}), overage.clone()] {
        let claims = world.verify(&token(&world, more.clone())).await.unwrap();
        assert_eq!(claim(&claims, "groups"), Some(&json!(["a", "b"])), "{more}");
        assert_eq!(claim(&claims, "hasgroups"), None, "{more}");
        assert_eq!(
            claim(&claims, "department"),
            Some(&json!(["engineering"])),
            "only what is asked for"
        );
        assert_eq!(claim(&claims, "aud"), Some(&json!("bailiwick")));
    }
    let claims = world.verify(&token(&world, overage)).await.unwrap();
    assert_eq!(
        claim(&claims, "_claim_names"),
        Some(&json!({"roles": "src1"})),
        "others stay referred"
    );
    let asked_elsewhere = world.provider.requests().iter().any(|target| target.contains("graph"));
    assert!(!asked_elsewhere, "where the token points is never followed");
}

#[tokio::test]
async fn what_a_token_carries_is_not_looked_up() {
    let world = world(userinfo(), knows(json!(["other"]))).await;
    for carried in [json!(["mine"]), json!([]), json!("mine"), json!({"odd": true})] {
        let claims = world.verify(&token(&world, json!({"groups": carried}))).await.unwrap();
        assert_eq!(claim(&claims, "groups"), Some(&carried));
    }
    assert_eq!(asked(&world), 0);
}

#[tokio::test]
async fn a_source_that_does_not_answer_rightly_leaves_the_claim_missing() {
    let endless = "x".repeat(600 * 1024);
    for (what, reply) in [
        ("another person", Reply::json(json!({"sub": "mallory", "groups": ["admin"]}))),
        ("nobody", Reply::json(json!({"groups": ["admin"]}))),
        ("an odd person", Reply::json(json!({"sub": ["alice"], "groups": ["admin"]}))),
        ("two persons", Reply::json(r#"{"sub": "mallory", "sub": "alice", "groups": ["admin"]}"#)),
        ("a list", Reply::json(json!([{"sub": "alice", "groups": ["admin"]}]))),
        ("a page", Reply::with("200 OK", "Content-Type: text/html\r\n", "<html>")),
        ("a redirect", Reply::redirect("http://127.0.0.1:9/")),
        ("a refusal", Reply::with("401 Unauthorized", "", "")),
        ("too much", Reply::json(json!({"sub": "alice", "groups": [endless]}))),
        ("a hang-up", Reply::Hangup),
    ] {
        let world = world(userinfo(), reply).await;
        let referred = json!({"_claim_names": {"groups": "src1"}, "hasgroups": true});
        let claims = world.verify(&token(&world, referred)).await.unwrap();
        assert_eq!(claim(&claims, "groups"), None, "{what}");
        assert!(claim(&claims, "_claim_names").is_some(), "{what}: it stays referred, not empty");
        assert_eq!(claim(&claims, "hasgroups"), Some(&json!(true)), "{what}");
    }
}

#[tokio::test]
async fn where_the_claim_is_required_a_source_that_fails_makes_a_503_of_it() {
    let required = json!({"source": "userinfo", "required": true});
    let world = world(required, Reply::with("500 Oops", "", "")).await;
    let rejection = world.verify(&world.token()).await.unwrap_err();
    assert!(matches!(rejection, Rejection::Unavailable(_)), "{rejection:?}");
    let carried = token(&world, json!({"groups": ["mine"]}));
    assert!(world.verify(&carried).await.is_ok(), "nothing is missing there");
    let forged = format!("{}A", world.token());
    let rejection = world.verify(&forged).await.unwrap_err();
    assert!(matches!(rejection, Rejection::Invalid(_)), "a bad token asks nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_wait_cause_one_request_and_its_answer_is_remembered_for_a_while() {
    let late = knows(json!(["a"])).late(Duration::from_millis(300));
    let world = world(json!({"source": "userinfo", "cache_seconds": 1}), late).await;
    let token = world.token();
    for claims in join_all((0..50).map(|_| world.verify(&token))).await {
        assert_eq!(claim(&claims.unwrap(), "groups"), Some(&json!(["a"])));
    }
    assert_eq!(asked(&world), 1);
    world.provider.reply(USERINFO, knows(json!(["b"])));
    let known = world.verify(&token).await.unwrap();
    assert_eq!(claim(&known, "groups"), Some(&json!(["a"])), "remembered");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let fresh = world.verify(&token).await.unwrap();
    assert_eq!(claim(&fresh, "groups"), Some(&json!(["b"])), "and forgotten");
    assert_eq!(asked(&world), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_is_left_alone_for_a_while() {
    let world = world(userinfo(), Reply::with("500 Oops", "", "")).await;
    let token = world.token();
    for claims in join_all((0..50).map(|_| world.verify(&token))).await {
        assert_eq!(claim(&claims.unwrap(), "groups"), None);
    }
    assert_eq!(asked(&world), 1);
}

#[tokio::test]
async fn discovery_cannot_send_a_persons_token_elsewhere() {
    let elsewhere = Provider::start().await;
    elsewhere.reply(USERINFO, knows(json!(["admin"])));
    let world = world(userinfo(), knows(json!(["a"]))).await;
    let mut document = world.provider.document();
    document["userinfo_endpoint"] = json!(format!("{}{USERINFO}", elsewhere.issuer));
    world.provider.reply(DISCOVERY, Reply::json(document));
    let verifier =
        Verifier::start(config(&world.provider.issuer, json!({"groups": userinfo()}))).unwrap();
    until_ready(&verifier).await;
    let claims = verifier.verify(&world.token()).await.unwrap();
    assert_eq!(claim(&claims, "groups"), None);
    assert!(elsewhere.requests().is_empty());

    // Where the operator points, it goes.
    let url = format!("{}{USERINFO}", elsewhere.issuer);
    let groups = json!({"source": "userinfo", "url": url});
    let verifier =
        Verifier::start(config(&world.provider.issuer, json!({"groups": groups}))).unwrap();
    until_ready(&verifier).await;
    let claims = verifier.verify(&world.token()).await.unwrap();
    assert_eq!(claim(&claims, "groups"), Some(&json!(["admin"])));
}

#[tokio::test]
async fn a_server_of_ones_own_is_asked_by_issuer_and_subject() {
    let people = Provider::start().await;
    let provider = Provider::start().await;
    let signer = Signer::rsa("k1");
    provider.publish(&[signer.jwk()]);
    let groups = json!({"source": "http", "url": format!("{}/groups", people.issuer),
        "claims": ["groups", "teams"], "cache_seconds": 300});
    let verifier = Verifier::start(config(&provider.issuer, json!({"groups": groups}))).unwrap();
    until_ready(&verifier).await;
    let world = World { provider, signer, verifier };
    let claims = world.verify(&token(&world, json!({"sub": "nobody"}))).await.unwrap();
    assert_eq!(claim(&claims, "groups"), None, "404: nothing is known of her");

    let issuer: String =
        url::form_urlencoded::byte_serialize(world.provider.issuer.as_bytes()).collect();
    let target = format!("/groups?iss={issuer}&sub=alice");
    people.reply(&target, Reply::json(json!({"sub": "alice", "teams": ["x"], "roles": ["admin"]})));
    let claims = world.verify(&world.token()).await.unwrap();
    assert_eq!(claim(&claims, "teams"), Some(&json!(["x"])), "{:?}", people.requests());
    assert_eq!(claim(&claims, "roles"), None);
    let hostile = token(&world, json!({"sub": "alice&sub=admin#/../x"}));
    assert!(world.verify(&hostile).await.is_ok());
    let last = people.requests().pop().unwrap();
    assert!(last.ends_with("&sub=alice%26sub%3Dadmin%23%2F..%2Fx"), "{last}");
}

#[tokio::test]
async fn a_file_says_who_is_in_what_and_is_read_again_when_it_changed() {
    let directory = std::env::temp_dir().join(format!("bailiwick-groups-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("groups.json");
    std::fs::write(&path, json!({"alice": {"groups": ["a"], "aud": "x"}}).to_string()).unwrap();
    let world = World::with(json!({"groups":
        {"source": "file", "file": path, "cache_seconds": 1}}))
    .await;
    let claims = world.verify(&world.token()).await.unwrap();
    assert_eq!(claim(&claims, "groups"), Some(&json!(["a"])));
    let other = token(&world, json!({"sub": "bob"}));
    assert_eq!(claim(&world.verify(&other).await.unwrap(), "groups"), None);
    std::fs::write(&path, json!({"alice": {"groups": ["a", "b"]}}).to_string()).unwrap();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let claims = world.verify(&world.token()).await.unwrap();
    assert_eq!(claim(&claims, "groups"), Some(&json!(["a", "b"])));
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    for groups in [
        json!({"source": "ldap"}),
        json!({"source": "http"}),
        json!({"source": "file"}),
        json!({"source": "userinfo", "file": "groups.json"}),
        json!({"source": "userinfo", "claims": []}),
        json!({"source": "userinfo", "claims": ["sub"]}),
        json!({"source": "userinfo", "claims": ["aud"]}),
        json!({"source": "userinfo", "cache_seconds": 0}),
        json!({"source": "userinfo", "url": "ftp://idp.example/"}),
        json!({"source": "http", "url": "http://groups.example/"}),
        json!({"source": "http", "url": "https://169.254.169.254/latest"}),
        json!({"source": "http", "url": "https://user:secret@groups.example/"}),
        json!({"source": "http", "url": "https://groups.example/", "token_env": "BAILIWICK_NO_SUCH"}),
    ] {
        let config: IdentityConfig =
            config("https://idp.example", json!({"groups": groups.clone()}));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let error = runtime.block_on(async { Verifier::start(config).unwrap_err().to_string() });
        assert!(error.contains("groups"), "{groups}: {error}");
    }
}
