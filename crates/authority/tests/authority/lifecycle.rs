//! What becomes of a token: exchange, revocation, introspection.

use bailiwick_authority::{DelegationRequest, Form};
use serde_json::json;

use super::oauth::{ACCESS_TOKEN, Client, code, form, says};
use super::{CLI, House, ISSUER, allow, claims};

#[tokio::test]
async fn an_exchange_names_who_acts_for_whom() {
    let house = House::new();
    let origin = house.agent("origin", &["read:records", "write:documents"]).await;
    let actor = Client::new(&house, "actor").await;
    let subject = house.token(&origin).await;
    let answer = actor.exchange(&house, &subject, None).await.unwrap();
    assert_eq!(answer["issued_token_type"], ACCESS_TOKEN);
    assert_eq!(answer["scope"], "read:records", "what both may do");

    let token = answer["access_token"].as_str().unwrap();
    let claims = claims(token);
    assert_eq!(claims["sub"], origin.spiffe_id);
    assert_eq!(claims["client_id"], actor.id);
    assert_eq!(claims["act"], json!({ "sub": actor.agent.spiffe_id, "client_id": actor.id }));
    let grant = house.authority.authenticate(token, None).await.unwrap();
    assert_eq!(grant.spiffe_id(), origin.spiffe_id);
    assert_eq!((grant.agent(), grant.actor()), ("actor", Some(actor.agent.spiffe_id.as_str())));

    let wider = actor.exchange(&house, &subject, Some("write:documents")).await.unwrap_err();
    assert_eq!(code(&wider), says(400, "invalid_scope"));
    let own = actor.token(&house, None).await.unwrap();
    let selfish = actor.exchange(&house, own["access_token"].as_str().unwrap(), None).await;
    assert_eq!(code(&selfish.unwrap_err()), says(400, "invalid_grant"));
}

#[tokio::test]
async fn an_exchanged_token_dies_with_what_it_came_from() {
    let house = House::new();
    let origin = Client::new(&house, "origin").await;
    let actor = Client::new(&house, "actor").await;
    let subject = origin.token(&house, None).await.unwrap()["access_token"].clone();
    let subject = subject.as_str().unwrap();
    let exchanged = actor.exchange(&house, subject, None).await.unwrap()["access_token"].clone();
    let exchanged = exchanged.as_str().unwrap();
    assert!(house.authority.authenticate(exchanged, None).await.is_ok());

    house.authority.revoke(origin.form(&[("token", subject)]), None).await.unwrap();
    assert!(house.authority.authenticate(exchanged, None).await.is_err());
    let refused = actor.exchange(&house, subject, None).await.unwrap_err();
    assert_eq!(code(&refused), says(400, "invalid_grant"));
    for garbage in ["x", "a.b.c", &format!("{subject}x")] {
        let refused = actor.exchange(&house, garbage, None).await.unwrap_err();
        assert_eq!(code(&refused), says(400, "invalid_grant"));
    }
}

#[tokio::test]
async fn the_chain_of_actors_is_short() {
    let house = House::new();
    let mut token = house.token(&house.agent("origin", &["read:records"]).await).await;
    for n in 1..=5 {
        let actor = Client::new(&house, &format!("actor-{n}")).await;
        match actor.exchange(&house, &token, None).await {
            Ok(answer) if n <= 4 => token = answer["access_token"].as_str().unwrap().to_owned(),
            Err(refused) if n == 5 => assert_eq!(code(&refused), says(400, "invalid_grant")),
            other => panic!("{n}: {other:?}"),
        }
        assert!(house.authority.authenticate(&token, None).await.is_ok(), "{n}");
    }
    assert_eq!(
        claims(&token)["act"]["act"]["act"]["act"]["sub"],
        "spiffe://acme.example/agent/actor-1"
    );
}

#[tokio::test]
async fn revocation_is_for_owners_and_tells_nothing() {
    let house = House::new();
    let owner = Client::new(&house, "owner").await;
    let other = Client::new(&house, "other").await;
    let token = owner.token(&house, None).await.unwrap()["access_token"].clone();
    let token = token.as_str().unwrap();
    let revoke = async |form: Form| house.authority.revoke(form, None).await;

    revoke(other.form(&[("token", token)])).await.unwrap();
    assert!(house.authority.authenticate(token, None).await.is_ok());
    let event = house.events().into_iter().rfind(|e| e["kind"] == "token_revoked").unwrap();
    assert_eq!((&event["outcome"], &event["agent"]), (&json!("refused"), &json!("other")));

    revoke(owner.form(&[("token", "garbage")])).await.unwrap();
    let stranger = revoke(form(&[("token", token)])).await.unwrap_err();
    assert_eq!(code(&stranger), says(401, "invalid_client"));
    let missing = revoke(owner.form(&[])).await.unwrap_err();
    assert_eq!(code(&missing), says(400, "invalid_request"));

    revoke(owner.form(&[("token", token), ("token_type_hint", "refresh_token")])).await.unwrap();
    assert!(house.authority.authenticate(token, None).await.is_err());
    revoke(owner.form(&[("token", token)])).await.unwrap();
    let (again, _audit) = super::open(house.path());
    assert!(again.authenticate(token, None).await.is_err(), "after a restart too");
}

#[tokio::test]
async fn introspection_shows_a_token_to_those_whom_it_concerns() {
    let house = House::new();
    let owner = Client::new(&house, "owner").await;
    let resource = Client::new(&house, "resource").await;
    let stranger = Client::new(&house, "stranger").await;
    let audience = vec![ISSUER.to_owned(), resource.id.clone()];
    let request = DelegationRequest { audience, ..allow(&["read:records"]) };
    house.authority.delegate("owner", request, &CLI).await.unwrap();
    let token = owner.token(&house, None).await.unwrap()["access_token"].clone();
    let token = token.as_str().unwrap();

    let seen = owner.introspect(&house, token).await;
    let claims = claims(token);
    assert_eq!((&seen["active"], &seen["token_type"]), (&json!(true), &json!("Bearer")));
    for claim in ["scope", "client_id", "sub", "aud", "iss", "exp", "iat", "jti"] {
        assert_eq!(seen[claim], claims[claim], "{claim}");
    }
    assert_eq!(resource.introspect(&house, token).await, seen);
    let inactive = json!({ "active": false });
    assert_eq!(stranger.introspect(&house, token).await, inactive);
    assert_eq!(owner.introspect(&house, "garbage").await, inactive);
    let unproved = house.authority.introspect(form(&[("token", token)]), None).await.unwrap_err();
    assert_eq!(code(&unproved), says(401, "invalid_client"));

    house.authority.revoke(owner.form(&[("token", token)]), None).await.unwrap();
    assert_eq!(owner.introspect(&house, token).await, inactive);
}
