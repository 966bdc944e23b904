//! Rotation, withdrawal, floods and outages.

use std::time::{Duration, Instant};

use bailiwick_identity::Verifier;
use futures::future::join_all;
use serde_json::json;

use crate::provider::{DISCOVERY, KEYS, Provider, Reply};
use crate::signer::Signer;
use crate::world::{World, claims, config, first_failure, until_ready};

const UNKNOWN: &str = "kid names no key that is known";

#[tokio::test]
async fn k14_a_rotated_key_works_after_one_fetch_and_a_withdrawn_one_no_more() {
    let world = World::start().await;
    let old = world.token();
    let new = Signer::p256("k2");
    let token = new.token(&world.claims());
    world.provider.publish(&[new.jwk()]);
    assert!(world.verify(&old).await.is_ok(), "known keys cause no fetch");
    assert!(world.verify(&token).await.is_ok(), "K14, OIDC-3");
    assert_eq!(world.provider.key_requests(), 2, "K14: the first fetch and one more");
    assert_eq!(world.verify(&old).await.unwrap_err().cause(), UNKNOWN, "K14: withdrawn");
}

#[tokio::test]
async fn k14_the_background_refresh_drops_a_withdrawn_key() {
    let world = World::with(json!({"max_stale_seconds": 2})).await;
    let old = world.token();
    world.provider.publish(&[Signer::p256("k2").jwk()]);
    let since = Instant::now();
    while world.verify(&old).await.is_ok() {
        assert!(since.elapsed() < Duration::from_secs(5), "a withdrawn key lives on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.verify(&old).await.unwrap_err().cause(), UNKNOWN, "not stale but withdrawn");
}

#[tokio::test(flavor = "multi_thread")]
async fn k13_a_flood_of_unknown_keys_causes_one_fetch_and_delays_nobody() {
    let world = World::start().await;
    let new = Signer::p256("new");
    let published = Reply::json(json!({"keys": [world.signer.jwk(), new.jwk()]}));
    world.provider.reply(KEYS, published.late(Duration::from_secs(2)));

    let unknown: Vec<String> = (0..1000)
        .map(|n| Signer { key_id: format!("unknown-{n}"), ..new.clone() }.token(&world.claims()))
        .collect();
    let token = new.token(&world.claims());
    let good = world.token();
    let flood = join_all(unknown.iter().map(|token| world.verify(token)));
    let waiting = join_all((0..50).map(|_| world.verify(&token)));
    let meanwhile = async {
        // By now the flood waits for the slow fetch.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let since = Instant::now();
        assert!(world.verify(&good).await.is_ok());
        since.elapsed()
    };
    let (flood, waiting, delay) = tokio::join!(flood, waiting, meanwhile);
    assert!(flood.iter().all(|outcome| outcome.as_ref().unwrap_err().cause() == UNKNOWN), "K13");
    assert!(waiting.iter().all(Result::is_ok), "those who wait share the outcome");
    assert!(delay < Duration::from_secs(1), "K13: a known key waited {delay:?}");
    assert_eq!(world.provider.key_requests(), 2, "K13: single flight");

    for token in &unknown {
        assert!(world.verify(token).await.is_err());
    }
    assert_eq!(world.provider.key_requests(), 2, "K13: cool-down");
}

#[tokio::test]
async fn after_the_cooldown_an_unknown_key_may_cause_a_fetch_again() {
    let world = World::with(json!({"unknown_kid_cooldown_seconds": 1})).await;
    let token = Signer::p256("unknown").token(&world.claims());
    for fetches in [2, 2, 3] {
        if fetches == 3 {
            tokio::time::sleep(Duration::from_millis(1_100)).await;
        }
        assert!(world.verify(&token).await.is_err());
        assert_eq!(world.provider.key_requests(), fetches, "OIDC-3");
    }
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_cancel_the_fetch() {
    let world = World::start().await;
    let new = Signer::p256("new");
    let published = Reply::json(json!({"keys": [new.jwk()]}));
    world.provider.reply(KEYS, published.late(Duration::from_millis(200)));
    let token = new.token(&world.claims());
    let impatient = tokio::time::timeout(Duration::from_millis(50), world.verify(&token)).await;
    assert!(impatient.is_err(), "the fetch should still be under way");
    assert!(world.verify(&token).await.is_ok(), "the cool-down was not used up for nothing");
    assert_eq!(world.provider.key_requests(), 2);
}

#[tokio::test]
async fn k1_a_provider_that_is_down_at_the_start_is_tried_until_it_works() {
    let provider = Provider::start().await;
    let signer = Signer::rsa("k1");
    provider.publish(&[signer.jwk()]);
    provider.reply(DISCOVERY, Reply::Hangup);
    let verifier = Verifier::start(config(&provider.issuer, json!({}))).unwrap();
    let token = signer.token(&claims(&provider.issuer));
    let reason = first_failure(&verifier).await;
    assert!(reason.contains(&provider.issuer) && reason.contains("trying again"), "K1: {reason}");
    assert_eq!(verifier.verify(&token).await.unwrap_err().to_string(), "Invalid token", "K1");

    provider.reply(DISCOVERY, Reply::json(provider.document()));
    until_ready(&verifier).await;
    assert!(verifier.verify(&token).await.is_ok(), "K1: recovered by itself");
}

#[tokio::test]
async fn k2_keys_survive_an_outage_until_they_are_too_old() {
    let world = World::with(json!({"max_stale_seconds": 3})).await;
    for path in [DISCOVERY, KEYS] {
        world.provider.reply(path, Reply::Hangup);
    }
    let fetched = Instant::now();
    tokio::time::sleep(Duration::from_millis(1_800)).await;
    assert!(world.verify(&world.token()).await.is_ok(), "K2: KEEP");
    assert_eq!(world.verifier.readiness(), Ok(()), "K2: KEEP");
    assert!(world.provider.requests().len() > 2, "K2: a refresh was tried meanwhile");

    tokio::time::sleep(Duration::from_millis(3_200).saturating_sub(fetched.elapsed())).await;
    let rejection = world.verify(&world.token()).await.unwrap_err();
    assert_eq!(rejection.cause(), "the provider's keys are older than max_stale_seconds", "K2");
    assert!(world.verifier.readiness().unwrap_err().contains("too old"), "K2");

    world.provider.reply(DISCOVERY, Reply::json(world.provider.document()));
    world.provider.publish(&[world.signer.jwk()]);
    until_ready(&world.verifier).await;
    assert!(world.verify(&world.token()).await.is_ok(), "K2: back again");
}

#[tokio::test]
async fn a_dropped_verifier_asks_no_more() {
    let provider = Provider::start().await;
    provider.reply(DISCOVERY, Reply::Hangup);
    let verifier = Verifier::start(config(&provider.issuer, json!({}))).unwrap();
    first_failure(&verifier).await;
    drop(verifier);
    let before = provider.requests().len();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(provider.requests().len(), before);
}
