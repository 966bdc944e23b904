//! ID tokens and access tokens as providers write them: the first are refused, the second are not.

use serde_json::{Value, json};

use crate::accepted::changed;
use crate::world::{World, now};

/// ID tokens, also where the client sent no `nonce` and no hash is written.
fn id_tokens() -> Vec<(&'static str, Value)> {
    vec![
        ("OpenID Connect, implicit flow", json!({"nonce": "n-0S6", "azp": "app"})),
        ("OpenID Connect, code flow", json!({"at_hash": "MTIzNDU2Nzg5MDEyMzQ1Ng"})),
        ("OpenID Connect, hybrid flow", json!({"c_hash": "LDktKdoQak3Pk0cnXxCltA"})),
        ("FAPI", json!({"s_hash": "76sa5dd"})),
        ("CIBA", json!({"urn:openid:params:jwt:claim:auth_req_id": "1c266114"})),
        ("CIBA", json!({"urn:openid:params:jwt:claim:rt_hash": "sHahCuSpXCRg5mkDDvvr4w"})),
        ("Native SSO", json!({"ds_hash": "dJ1"})),
        (
            "ForgeRock without nonce",
            json!({"tokenName": "id_token", "tokenType": "JWTToken", "azp": "app", "acr": "0",
                   "auth_time": now(), "realm": "/alpha", "subname": "alice",
                   "auditTrackingId": "6a8d9c63-29337"}),
        ),
        ("ForgeRock", json!({"org.forgerock.openidconnect.ops": "5-kDQ"})),
        ("in other words", json!({"token_name": "idToken"})),
        ("in other words", json!({"token_type": "ID-Token"})),
        ("in other words", json!({"tokenUse": "ID"})),
        ("Cognito", json!({"token_use": "id", "cognito:username": "alice", "auth_time": now()})),
        ("Keycloak", json!({"typ": "ID", "azp": "app", "auth_time": now(), "sid": "1"})),
        ("Keycloak, refresh", json!({"typ": "Refresh", "azp": "app"})),
        ("Curity", json!({"purpose": "id", "azp": "app", "auth_time": now()})),
        ("Apple", json!({"nonce_supported": true, "auth_time": now()})),
        (
            "Entra, code flow without nonce",
            json!({"ver": "2.0", "tid": "9122040d", "oid": "00000000", "rh": "0.AX", "uti": "x",
                   "name": "Alice", "preferred_username": "alice@acme.example"}),
        ),
        ("Entra, first version", json!({"ver": "1.0", "tid": "b9410318", "upn": "a@acme.example"})),
        ("Azure AD B2C", json!({"ver": "1.0", "tfp": "B2C_1_sign_in", "auth_time": now()})),
    ]
}

/// Access tokens with all that makes them look like ID tokens.
fn access_tokens() -> Vec<(&'static str, Value)> {
    vec![
        (
            "RFC 9068",
            json!({"client_id": "app", "scope": "openid", "auth_time": now(), "acr": "1",
                   "amr": ["pwd"]}),
        ),
        (
            "Keycloak",
            json!({"typ": "Bearer", "azp": "bailiwick", "auth_time": now(), "acr": "1",
                   "sid": "e4c5", "session_state": "e4c5", "scope": "openid profile email",
                   "realm_access": {"roles": ["offline_access"]}, "email_verified": true,
                   "preferred_username": "alice", "allowed-origins": ["https://app.example"]}),
        ),
        (
            "Entra, one registration for page and server",
            json!({"ver": "2.0", "tid": "9122040d", "azp": "bailiwick", "azpacr": "0",
                   "oid": "00000000", "scp": "read", "rh": "0.AX", "uti": "x"}),
        ),
        (
            "Entra, first version",
            json!({"ver": "1.0", "tid": "b9410318", "appid": "app", "appidacr": "0",
                   "scp": "read", "amr": ["pwd"], "unique_name": "a@acme.example"}),
        ),
        ("Azure AD B2C", json!({"ver": "1.0", "tfp": "B2C_1", "azp": "app", "scp": "read"})),
        ("Auth0", json!({"azp": "app", "scope": "openid profile email", "gty": "password"})),
        (
            "Okta",
            json!({"ver": 1, "cid": "app", "uid": "00u1", "scp": ["openid"], "auth_time": now()}),
        ),
        ("Ping", json!({"client_id": "app", "scope": "openid", "pi.sri": "x", "acr": "1"})),
        (
            "ForgeRock",
            json!({"tokenName": "access_token", "token_type": "Bearer", "grant_type":
                   "authorization_code", "cts": "OAUTH2_STATELESS_GRANT", "realm": "/alpha",
                   "auth_level": 0, "auth_time": now(), "expires_in": 3600, "scope": ["openid"],
                   "auditTrackingId": "f20f7132-49100", "authGrantId": "c-I5", "subname": "alice"}),
        ),
        (
            "Cognito",
            json!({"token_use": "access", "client_id": "app", "scope": "openid", "version": 2,
                   "auth_time": now(), "username": "alice", "origin_jti": "1", "event_id": "2"}),
        ),
        ("Curity", json!({"purpose": "access_token", "delegationId": "1", "scope": "openid"})),
        ("Zitadel", json!({"client_id": "app", "urn:zitadel:iam:user:resourceowner:id": "1"})),
        (
            "Authentik",
            json!({"azp": "bailiwick", "uid": "u1", "acr": "goauthentik.io/providers/oauth2/default",
                   "amr": ["pwd"], "auth_time": now(), "sid": "1", "scope": "openid"}),
        ),
        ("a word of the company", json!({"purpose": ["research"], "tid": "t-1", "id": "id"})),
    ]
}

#[tokio::test]
async fn id_tokens_of_all_providers_are_refused() {
    let world = World::start().await;
    for (provider, marks) in id_tokens() {
        let claims = changed(world.claims(), marks);
        let outcome = world.verify(&world.signer.token(&claims)).await;
        assert!(outcome.is_err(), "{provider}: {claims}");
    }
}

#[tokio::test]
async fn access_tokens_of_all_providers_are_accepted() {
    let world = World::start().await;
    for (provider, claims) in access_tokens() {
        let claims = changed(world.claims(), claims);
        let outcome = world.verify(&world.signer.token(&claims)).await;
        assert!(outcome.is_ok(), "{provider}: {outcome:?} {claims}");
    }
}
