//! The AuthSec contract: who gets a token, who does not, and what is in it.

use std::collections::BTreeSet;
use std::time::Duration;

use bailiwick_authority::{Authentication, DelegationRequest, DelegationTokenRequest, TokenError};
use serde_json::{Value, json};

use super::{CLI, House, allow, claims, header, issue, now};

#[tokio::test]
async fn the_answer_is_what_the_authsec_clients_read() {
    let house = House::new();
    let agent = house.agent("reader", &["read:records", "read:metrics"]).await;
    let issued = issue(&house.authority, &agent, None).await.unwrap();
    let body: Value = serde_json::to_value(&issued).unwrap();

    let token = body["token"].as_str().unwrap();
    assert_eq!(body["access_token"], token);
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["spiffe_id"], "spiffe://acme.example/agent/reader");
    assert_eq!(body["permissions"], json!(["read:records", "read:metrics"]));
    assert_eq!(body["audience"], json!([super::ISSUER]));
    assert_eq!((&body["expires_in"], &body["ttl_seconds"]), (&json!(1800), &json!(1800)));
    assert_eq!(body["client_id"], agent.client_id.to_string());
    assert_eq!(body["workspace_id"], body["tenant_id"]);
    assert_eq!(body["status"], "active");
    // "2026-11-21T20:00:00Z": any other form is read wrongly by one client or the other.
    let expires = body["expires_at"].as_str().unwrap();
    assert_eq!((expires.len(), expires.ends_with('Z')), (20, true), "{expires}");
}

#[tokio::test]
async fn the_token_is_an_rfc_9068_access_token() {
    let house = House::new();
    let agent = house.agent("reader", &["read:records"]).await;
    let token = house.token(&agent).await;

    let header = header(&token);
    let kid = house.authority.jwks().await.unwrap()["keys"][0]["kid"].clone();
    assert_eq!(header, json!({ "alg": "RS256", "typ": "at+jwt", "kid": kid }));

    let claims = claims(&token);
    let names: BTreeSet<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "permissions"];
    assert_eq!(names, expected.into_iter().collect());
    assert_eq!(claims["sub"], agent.spiffe_id);
    assert_eq!(claims["scope"], "read:records");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 1800);
}

#[tokio::test]
async fn malformed_client_ids_are_bad_requests() {
    let id = "7f1d1f4e-8f61-4d8b-9c57-0d4c5e6f7a8b";
    let other = "00000000-0000-4000-8000-000000000000";
    let twice = format!("client_id={id}&client_id={id}");
    let huge = format!("client_id={}", "a".repeat(1_000_000));
    let good = format!("client_id={id}");
    let cases: Vec<(&str, Vec<&str>, &str)> = vec![
        ("", vec![], "client_id is required (query param or X-Client-ID header)"),
        ("client_id=", vec![], "client_id is required (query param or X-Client-ID header)"),
        ("client_id=nobody", vec![], "Invalid client_id format"),
        (
            "client_id=%7B7f1d1f4e-8f61-4d8b-9c57-0d4c5e6f7a8b%7D",
            vec![],
            "Invalid client_id format",
        ),
        ("client_id=7f1d1f4e8f614d8b9c570d4c5e6f7a8b", vec![], "Invalid client_id format"),
        (&huge, vec![], "Invalid client_id format"),
        (&twice, vec![], "invalid_request"),
        (&good, vec![other], "invalid_request"),
        (&good, vec![id, id], "invalid_request"),
        (&good, vec!["x"], "Invalid client_id format"),
    ];
    for (query, headers, error) in cases {
        let refused = DelegationTokenRequest::from_http(Some(query), &headers, None).unwrap_err();
        assert_eq!(refused.status(), 400);
        assert_eq!(refused.body()["error"], error);
        assert!(refused.body()["error_description"].is_string());
    }
    for (query, headers) in [(Some(good.as_str()), vec![id]), (None, vec![id])] {
        DelegationTokenRequest::from_http(query, &headers, None).unwrap();
    }
}

#[tokio::test]
async fn each_refusal_has_its_status_and_is_recorded() {
    let house = House::new();
    let authority = &house.authority;

    let bare = authority.create_agent("bare", Authentication::ClientId, &CLI).await.unwrap();
    let mut unknown = bare.clone();
    unknown.client_id = "00000000-0000-4000-8000-000000000000".parse().unwrap();
    let empty = house.agent("empty", &[]).await;
    let gone = house.agent("gone", &["read:records"]).await;
    authority.revoke_agent("gone", &CLI).await.unwrap();
    let brief = house.agent("brief", &["read:records"]).await;
    let second = DelegationRequest { lifetime_seconds: Some(1), ..allow(&["read:records"]) };
    authority.delegate("brief", second, &CLI).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2100)).await;

    let cases = [
        (&bare, 404, "No active delegation token found"),
        (&unknown, 404, "No active delegation token found"),
        (&empty, 403, "access_denied"),
        (&gone, 401, "invalid_client"),
        (&brief, 410, "Delegation token has expired"),
    ];
    for (agent, status, error) in cases {
        let refused = issue(authority, agent, None).await.unwrap_err();
        assert_eq!((refused.status(), refused.body()["error"].as_str()), (status, Some(error)));
        assert_eq!(refused.challenge().is_some(), status == 401);
        assert_eq!(refused.body()["expired_at"].is_string(), status == 410);
        let event = house.last_event();
        assert_eq!(
            (event["kind"].as_str(), event["outcome"].as_str()),
            (Some("token_refused"), Some("refused"))
        );
        assert_eq!(event["client_id"], agent.client_id.to_string());
    }
}

#[tokio::test]
async fn a_scope_narrows_and_never_widens() {
    let house = House::new();
    let agent = house.agent("reader", &["read:records", "read:metrics", "write:documents"]).await;

    let narrowed =
        issue(&house.authority, &agent, Some("read:metrics read:records read:metrics")).await;
    let token = narrowed.unwrap().token().to_owned();
    assert_eq!(claims(&token)["scope"], "read:records read:metrics");

    let hostile = [
        "",
        " ",
        "*",
        "admin",
        "read:*",
        "read:record",
        "READ:RECORDS",
        "read:records ",
        "read:records  read:metrics",
        "read:records\r\nread:metrics",
        "read:records\tread:metrics",
        "read:records read:everything",
        &"read:records ".repeat(10_000),
    ];
    for scope in hostile {
        let refused = issue(&house.authority, &agent, Some(scope)).await.unwrap_err();
        assert_eq!(
            (refused.status(), refused.body()["error"].as_str()),
            (400, Some("invalid_scope"))
        );
    }
}

#[tokio::test]
async fn a_token_never_outlives_its_delegation() {
    let house = House::new();
    let agent = house.agent("reader", &[]).await;
    let request = DelegationRequest { lifetime_seconds: Some(120), ..allow(&["read:records"]) };
    let delegation = house.authority.delegate("reader", request, &CLI).await.unwrap();
    let token = house.token(&agent).await;
    assert!(claims(&token)["exp"].as_i64().unwrap() <= delegation.expires_at.unix());
}

#[tokio::test]
async fn a_token_expires_and_says_so() {
    let house = House::new();
    let agent = house.agent("reader", &[]).await;
    let request = DelegationRequest { ttl_seconds: Some(1), ..allow(&["read:records"]) };
    house.authority.delegate("reader", request, &CLI).await.unwrap();
    let token = house.token(&agent).await;
    while now() < claims(&token)["exp"].as_i64().unwrap() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let refused = house.authority.authenticate(&token, None).await.unwrap_err();
    assert!(matches!(refused, TokenError::Expired));
    assert_eq!(refused.to_string(), "Token has expired");
}

#[tokio::test]
async fn a_token_opens_what_it_says_and_nothing_else() {
    let house = House::new();
    let agent = house.agent("reader", &["read:records"]).await;
    let token = house.token(&agent).await;
    let grant = house.authority.authenticate(&token, None).await.unwrap();

    assert_eq!(grant.agent(), "reader");
    assert_eq!(grant.client_id(), agent.client_id.to_string());
    assert_eq!(grant.spiffe_id(), agent.spiffe_id);
    assert_eq!(grant.token_id(), claims(&token)["jti"]);
    assert!(grant.require("read:records").is_ok());
    for scope in ["read:metrics", "read:*", "*", "", "read:record"] {
        assert_eq!(grant.require(scope).unwrap_err().required, scope);
    }
}

#[tokio::test]
async fn damaged_and_foreign_tokens_are_invalid() {
    let house = House::new();
    let stranger = House::new();
    let agent = house.agent("reader", &["read:records"]).await;
    let token = house.token(&agent).await;
    let theirs = stranger.token(&stranger.agent("reader", &["read:records"]).await).await;

    let (body, signature) = token.rsplit_once('.').unwrap();
    let (_, other_signature) = theirs.rsplit_once('.').unwrap();
    let (their_body, _) = theirs.rsplit_once('.').unwrap();
    let hostile = [
        String::new(),
        "..".into(),
        ".".repeat(8_000_000),
        body.to_owned(),
        format!("{body}."),
        format!("{body}.{other_signature}"),
        format!("{their_body}.{signature}"),
        format!("{token}="),
        format!("{token} "),
        format!("Bearer {token}"),
        theirs.clone(),
    ];
    for token in hostile {
        let refused = house.authority.authenticate(&token, None).await.unwrap_err();
        assert_eq!(refused.to_string(), "Invalid token");
        assert_eq!(refused.status(), 401);
    }
    assert_eq!(house.last_event()["kind"], "token_refused");
}

#[tokio::test]
async fn a_token_for_somebody_else_is_not_for_us() {
    let house = House::new();
    let agent = house.agent("reader", &[]).await;
    let request = DelegationRequest {
        audience: vec!["https://other.example".into()],
        ..allow(&["read:records"])
    };
    house.authority.delegate("reader", request, &CLI).await.unwrap();
    let token = house.token(&agent).await;
    assert_eq!(claims(&token)["aud"], json!(["https://other.example"]));
    let refused = house.authority.authenticate(&token, None).await.unwrap_err();
    assert!(matches!(refused, TokenError::Invalid));
}
