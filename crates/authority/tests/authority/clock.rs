//! A clock that was ahead, and is put back.

use std::sync::atomic::Ordering;

use bailiwick_authority::{AuthorityError, DelegationRequest, TokenError};

use serde_json::Value;

use super::oauth::{Client, answer, code, says};
use super::people::{P256, Provider, exchange, house_with_people, revoke};
use super::{CLI, House, header, issue, now};

const DAY: i64 = 24 * 3600;
const CREDENTIALS: [(&str, &str); 1] = [("grant_type", "client_credentials")];

async fn token_with(
    house: &House,
    client: &Client,
    assertion: &str,
) -> Result<String, (u16, String)> {
    let answer = answer(house, client.form_with(assertion, &CREDENTIALS)).await;
    let answer = answer.map_err(|error| code(&error))?;
    Ok(answer["access_token"].as_str().unwrap().to_owned())
}

/// Has every clean-up run, three days from now.
async fn clean_up_ahead(house: &House, client: &Client) {
    house.ahead.store(3 * DAY, Ordering::Relaxed);
    let assertion = || client.assertion_at(now() + 3 * DAY);
    let token = token_with(house, client, &assertion()).await.unwrap();
    let form = client.form_with(&assertion(), &[("token", &token)]);
    house.authority.revoke(form, None).await.unwrap();
}

#[tokio::test]
async fn while_the_clock_is_behind_nothing_is_issued_or_accepted() {
    let house = House::new();
    let client = Client::new(&house, "pipeline").await;
    let reader = house.agent("reader", &["read:records"]).await;
    let used = client.assertion_at(now());
    let revoked = token_with(&house, &client, &used).await.unwrap();
    let live = house.token(&reader).await;
    revoke(&house, &client, &revoked).await;
    clean_up_ahead(&house, &client).await;

    house.ahead.store(0, Ordering::Relaxed);
    let behind = house.authority.check_clock().await.unwrap_err();
    assert!(matches!(behind, AuthorityError::ClockBehind { .. }), "{behind}");
    assert!(behind.to_string().contains("bailiwick clock accept"), "{behind}");
    for token in [&revoked, &live] {
        let refused = house.authority.authenticate(token, None).await.unwrap_err();
        assert!(matches!(refused, TokenError::Unavailable), "{refused}");
    }
    assert_eq!(issue(&house.authority, &reader, None).await.unwrap_err().status(), 503);
    let again = token_with(&house, &client, &used).await;
    assert_eq!(again, Err(says(503, "temporarily_unavailable")));
    let delegated = house.authority.delegate("reader", DelegationRequest::default(), &CLI).await;
    assert!(matches!(delegated, Err(AuthorityError::ClockBehind { .. })));
    // Who reads for people asks for the orders first.
    assert!(house.authority.orders_after(0).await.is_err());
    // What shuts somebody out works at any time.
    house.authority.revoke_agent("reader", &CLI).await.unwrap();
}

#[tokio::test]
async fn what_time_servers_correct_is_no_clock_that_is_behind() {
    let house = House::new();
    let reader = house.agent("reader", &["read:records"]).await;
    house.ahead.store(-30, Ordering::Relaxed);
    house.authority.check_clock().await.unwrap();
    let token = house.token(&reader).await;
    house.authority.authenticate(&token, None).await.unwrap();
    let error = house.authority.accept_clock(&CLI).await.unwrap_err();
    assert!(matches!(error, AuthorityError::ClockNotBehind), "{error}");
}

#[tokio::test]
async fn after_a_clock_is_accepted_nothing_of_before_counts() {
    let provider = Provider::new(P256);
    let (house, assistant) = house_with_people(&provider).await;
    let client = Client::new(&house, "pipeline").await;
    let reader = house.agent("reader", &["read:records"]).await;
    let used = client.assertion_at(now());
    let revoked = token_with(&house, &client, &used).await.unwrap();
    revoke(&house, &client, &revoked).await;
    let person = provider.token();
    let acting = exchange(&house, &assistant, &person).await.unwrap();
    revoke(&house, &assistant, &person).await;
    let live = house.token(&reader).await;
    clean_up_ahead(&house, &client).await;
    let of_ahead = house.token(&reader).await;
    let hour = DelegationRequest {
        permissions: vec!["read:records".into()],
        lifetime_seconds: Some(3600),
        ..DelegationRequest::default()
    };
    house.authority.delegate("reader", hour, &CLI).await.unwrap();

    house.ahead.store(0, Ordering::Relaxed);
    let accepted = house.authority.accept_clock(&CLI).await.unwrap();
    house.authority.check_clock().await.unwrap();
    for token in [&revoked, &live, &of_ahead] {
        let refused = house.authority.authenticate(token, None).await.unwrap_err();
        assert!(matches!(refused, TokenError::Invalid), "{refused}");
    }
    assert!(house.authority.acting(&acting, None).await.is_err());
    assert_eq!(token_with(&house, &client, &used).await, Err(says(401, "invalid_client")));
    let fields = [
        ("grant_type", super::oauth::EXCHANGE),
        ("subject_token", person.as_str()),
        ("subject_token_type", super::oauth::ACCESS_TOKEN),
    ];
    // The next second: what was made in the second of the acceptance is refused too.
    let next = |client: &Client| client.assertion_at(now() + 2);
    let exchanged = answer(&house, assistant.form_with(&next(&assistant), &fields)).await;
    assert_eq!(code(&exchanged.unwrap_err()), says(400, "invalid_grant"));
    let delegation = house.authority.delegations("reader").await.unwrap().pop().unwrap();
    assert!(delegation.expires_at.unix() <= now() + 3600, "{}", delegation.expires_at);

    let fresh = token_with(&house, &client, &next(&client)).await.unwrap();
    assert_eq!(header(&fresh)["kid"], accepted.kid);
    house.authority.authenticate(&fresh, None).await.unwrap();
    let is_recorded = |event: &Value| event["detail"].to_string().contains("clock is accepted");
    assert!(house.events().iter().any(is_recorded));
    house.audit.verify().unwrap();
}
