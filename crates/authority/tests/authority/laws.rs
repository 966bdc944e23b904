//! Laws: a token never holds more than was asked for and delegated.

use std::collections::BTreeSet;

use bailiwick_authority::DelegationRequest;
use proptest::prelude::*;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::oauth::Client;
use super::{CLI, House, allow, claims, issue};

const SCOPES: [&str; 5] =
    ["read:records", "read:metrics", "write:documents", "read:records/eu", "a:*"];
const AUDIENCES: [&str; 3] = [super::ISSUER, "https://one.example", "https://two.example"];

/// Scopes, audiences, seconds.
type Delegated = (Vec<&'static str>, Vec<&'static str>, u64);

fn some_of<const N: usize>(all: [&'static str; N]) -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(all.to_vec(), 0..=N).prop_shuffle()
}

fn set(claim: &Value) -> BTreeSet<String> {
    match claim {
        Value::String(words) => words.split(' ').map(str::to_owned).collect(),
        Value::Array(items) => items.iter().map(|i| i.as_str().unwrap().to_owned()).collect(),
        other => panic!("{other}"),
    }
}

fn owned(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[test]
fn issued_scope_is_within_asked_and_delegated() {
    let runtime = Runtime::new().unwrap();
    let house = House::new();
    let agent = runtime.block_on(house.agent("reader", &[]));
    let law = |(delegated, asked): (Vec<&str>, Option<Vec<&str>>)| {
        let issued = runtime.block_on(async {
            house.authority.delegate("reader", allow(&delegated), &CLI).await.unwrap();
            let scope = asked.as_ref().map(|words| words.join(" "));
            issue(&house.authority, &agent, scope.as_deref()).await
        });
        let held = owned(&delegated);
        let wanted = asked.map_or_else(|| held.clone(), |words| owned(&words));
        match issued {
            Ok(issued) => {
                let claims = claims(issued.token());
                prop_assert_eq!(set(&claims["scope"]), wanted.clone());
                prop_assert_eq!(set(&claims["permissions"]), wanted.clone());
                prop_assert!(wanted.is_subset(&held));
            }
            // Refused only when something else than what is delegated was asked for.
            Err(_) => prop_assert!(wanted.is_empty() || !wanted.is_subset(&held)),
        }
        Ok(())
    };
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(64));
    let strategy = (some_of(SCOPES), proptest::option::of(some_of(SCOPES)));
    runner.run(&strategy, law).unwrap();
}

#[test]
fn an_exchange_never_widens() {
    let runtime = Runtime::new().unwrap();
    let house = House::new();
    let origin = runtime.block_on(house.agent("origin", &[]));
    let client = runtime.block_on(Client::new(&house, "actor"));
    let request = |scopes: &[&str], audience: &[&str], ttl| DelegationRequest {
        audience: audience.iter().map(|&a| a.to_owned()).collect(),
        ttl_seconds: Some(ttl),
        ..allow(scopes)
    };
    let law = |((mine, my_audience, my_ttl), (theirs, their_audience, their_ttl), asked): (
        Delegated,
        Delegated,
        Option<Vec<&str>>,
    )| {
        let exchanged = runtime.block_on(async {
            let authority = &house.authority;
            authority.delegate("origin", request(&mine, &my_audience, my_ttl), &CLI).await.unwrap();
            authority
                .delegate("actor", request(&theirs, &their_audience, their_ttl), &CLI)
                .await
                .unwrap();
            let subject = issue(authority, &origin, None).await.ok()?;
            let scope = asked.as_ref().map(|words| words.join(" "));
            let answer = client.exchange(&house, subject.token(), scope.as_deref()).await.ok()?;
            Some((claims(subject.token()), claims(answer["access_token"].as_str().unwrap())))
        });
        if let Some((before, after)) = exchanged {
            prop_assert!(set(&after["scope"]).is_subset(&set(&before["scope"])));
            prop_assert!(set(&after["scope"]).is_subset(&owned(&theirs)));
            prop_assert!(set(&after["aud"]).is_subset(&set(&before["aud"])));
            prop_assert!(after["exp"].as_i64() <= before["exp"].as_i64());
            prop_assert_eq!(&after["sub"], &before["sub"]);
            prop_assert_eq!(&after["act"]["client_id"], &client.id);
            if let Some(words) = &asked {
                prop_assert_eq!(set(&after["scope"]), owned(words));
            }
        } else {
            let both: Vec<_> = mine.iter().filter(|scope| theirs.contains(scope)).collect();
            let possible = both.iter().any(|&&s| asked.as_ref().is_none_or(|a| a.contains(&s)));
            let everything =
                asked.as_ref().is_none_or(|a| !a.is_empty() && a.iter().all(|s| both.contains(&s)));
            let default = [super::ISSUER];
            let ours = if my_audience.is_empty() { &default[..] } else { &my_audience };
            let others = if their_audience.is_empty() { &default[..] } else { &their_audience };
            let target = ours.iter().any(|a| others.contains(a));
            prop_assert!(!(possible && everything && target), "refused without need");
        }
        Ok(())
    };
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(64));
    let delegated = || (some_of(SCOPES), some_of(AUDIENCES), 1_u64..=1800);
    let strategy = (delegated(), delegated(), proptest::option::of(some_of(SCOPES)));
    runner.run(&strategy, law).unwrap();
}
