//! The OAuth endpoints: client assertions, token exchange, revocation, introspection, metadata.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use bailiwick_authority::{Agent, Authentication, AuthorityError, Form, OAuthError};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{CLI, House, ISSUER, allow, claims, now};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const JWT_SPIFFE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A P-256 key pair.
struct Pair {
    private: EncodingKey,
    pem: String,
    point: Vec<u8>,
}

impl Pair {
    fn new() -> Self {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref()).unwrap();
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(der.as_ref())
        );
        let point = pair.public_key().as_ref().to_vec();
        Self {
            private: EncodingKey::from_ec_der(pkcs8.as_ref()),
            pem,
            point,
        }
    }

    fn jwk(&self, kid: &str) -> Value {
        json!({
            "kty": "EC", "crv": "P-256", "kid": kid,
            "x": URL_SAFE_NO_PAD.encode(&self.point[1..33]),
            "y": URL_SAFE_NO_PAD.encode(&self.point[33..]),
        })
    }
}

/// An agent that signs its assertions.
pub(crate) struct Client {
    pub(crate) id: String,
    agent: Agent,
    pair: Pair,
}

impl Client {
    pub(crate) async fn new(house: &House, name: &str) -> Self {
        let pair = Pair::new();
        let auth = Authentication::private_key_jwt(&pair.pem).unwrap();
        let agent = house
            .agent_with(name, auth, &["read:records", "read:metrics"])
            .await;
        Self {
            id: agent.client_id.to_string(),
            agent,
            pair,
        }
    }

    fn good(&self) -> Value {
        let jti = uuid::Uuid::new_v4().to_string();
        json!({ "iss": self.id, "sub": self.id, "aud": format!("{ISSUER}/oauth/token"),
                "iat": now(), "exp": now() + 60, "jti": jti })
    }

    fn sign(&self, claims: &Value) -> String {
        jsonwebtoken::encode(&Header::new(Algorithm::ES256), claims, &self.pair.private).unwrap()
    }

    fn form(&self, fields: &[(&str, &str)]) -> Form {
        signed_form(JWT_BEARER, &self.sign(&self.good()), fields)
    }

    async fn token(&self, house: &House, scope: Option<&str>) -> Result<Value, OAuthError> {
        let mut fields = vec![("grant_type", "client_credentials")];
        fields.extend(scope.map(|scope| ("scope", scope)));
        answer(house, self.form(&fields)).await
    }

    pub(crate) async fn exchange(
        &self,
        house: &House,
        subject: &str,
        scope: Option<&str>,
    ) -> Result<Value, OAuthError> {
        let mut fields = vec![
            ("grant_type", EXCHANGE),
            ("subject_token", subject),
            ("subject_token_type", ACCESS_TOKEN),
        ];
        fields.extend(scope.map(|scope| ("scope", scope)));
        answer(house, self.form(&fields)).await
    }

    async fn introspect(&self, house: &House, token: &str) -> Value {
        house
            .authority
            .introspect(self.form(&[("token", token)]), None)
            .await
            .unwrap()
    }
}

fn form(fields: &[(&str, &str)]) -> Form {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    Form::parse(body.extend_pairs(fields).finish().as_bytes()).unwrap()
}

fn signed_form(kind: &str, assertion: &str, fields: &[(&str, &str)]) -> Form {
    let proof = [
        ("client_assertion_type", kind),
        ("client_assertion", assertion),
    ];
    form(&[&proof[..], fields].concat())
}

async fn answer(house: &House, form: Form) -> Result<Value, OAuthError> {
    let response = house
        .authority
        .token_endpoint(form, Some("request"))
        .await?;
    Ok(serde_json::to_value(response).unwrap())
}

fn code(error: &OAuthError) -> (u16, String) {
    (
        error.status(),
        error.body()["error"].as_str().unwrap().to_owned(),
    )
}

fn says(status: u16, error: &str) -> (u16, String) {
    (status, error.to_owned())
}

#[tokio::test]
async fn an_assertion_gets_a_token_that_works() {
    let house = House::new();
    let client = Client::new(&house, "pipeline").await;
    let answer = client.token(&house, Some("read:records")).await.unwrap();
    assert_eq!(
        (&answer["token_type"], &answer["scope"]),
        (&json!("Bearer"), &json!("read:records"))
    );
    assert_eq!(answer["expires_in"], 1800);
    let grant = house
        .authority
        .authenticate(answer["access_token"].as_str().unwrap(), None)
        .await
        .unwrap();
    assert_eq!(
        (grant.agent(), grant.client_id()),
        ("pipeline", client.id.as_str())
    );
    let event = house.last_event();
    assert_eq!(
        (&event["kind"], &event["request_id"]),
        (&json!("token_issued"), &json!("request"))
    );

    let mut assertion = client.good();
    assertion["aud"] = ISSUER.into();
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", &client.id),
    ];
    self::answer(
        &house,
        signed_form(JWT_BEARER, &client.sign(&assertion), &fields),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn bad_assertions_all_look_the_same() {
    let house = House::new();
    let client = Client::new(&house, "pipeline").await;
    let other = Client::new(&house, "other").await;
    let gone = Client::new(&house, "gone").await;
    house.authority.revoke_agent("gone", &CLI).await.unwrap();
    let bare = house.agent("bare", &["read:records"]).await;

    let change = |name: &str, value: Value| {
        let mut claims = client.good();
        claims[name] = value;
        client.sign(&claims)
    };
    let with_key = |key: &EncodingKey, alg| {
        jsonwebtoken::encode(&Header::new(alg), &client.good(), key).unwrap()
    };
    let public_as_secret = EncodingKey::from_secret(client.pair.pem.as_bytes());
    let mut named_bare = client.good();
    named_bare["iss"] = bare.client_id.to_string().into();
    named_bare["sub"] = bare.client_id.to_string().into();
    let used = client.sign(&client.good());
    let grant = [("grant_type", "client_credentials")];
    answer(&house, signed_form(JWT_BEARER, &used, &grant))
        .await
        .unwrap();

    let bad = [
        ("replayed", used),
        (
            "another endpoint's",
            change("aud", json!("https://elsewhere.example/oauth/token")),
        ),
        ("iss is not sub", change("sub", other.id.clone().into())),
        ("a day long", change("exp", json!(now() + 86_400))),
        ("expired", change("exp", json!(now() - 120))),
        ("without jti", change("jti", Value::Null)),
        (
            "of an unknown client",
            change("iss", json!("00000000-0000-4000-8000-000000000000")),
        ),
        ("of no client", change("iss", json!("nobody"))),
        (
            "with a foreign key",
            with_key(&other.pair.private, Algorithm::ES256),
        ),
        (
            "HS256 with the public key",
            with_key(&public_as_secret, Algorithm::HS256),
        ),
        ("of a revoked agent", gone.sign(&gone.good())),
        ("of an agent without key", client.sign(&named_bare)),
        ("empty", String::new()),
        ("garbage", "a.b.c".into()),
        ("our own access token", house.token(&bare).await),
    ];
    let mut bodies = Vec::new();
    for (what, assertion) in &bad {
        let refused = answer(&house, signed_form(JWT_BEARER, assertion, &grant))
            .await
            .unwrap_err();
        assert_eq!(code(&refused), says(401, "invalid_client"), "{what}");
        assert!(refused.challenge().is_some());
        bodies.push(refused.body());
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));

    let bare_id = bare.client_id.to_string();
    for fields in [
        vec![
            ("grant_type", "client_credentials"),
            ("client_id", bare_id.as_str()),
        ],
        vec![
            ("grant_type", "client_credentials"),
            ("client_id", &client.id),
            ("client_secret", "x"),
        ],
    ] {
        assert_eq!(
            code(&answer(&house, form(&fields)).await.unwrap_err()),
            says(401, "invalid_client")
        );
    }
    let wrong_id = [
        ("grant_type", "client_credentials"),
        ("client_id", other.id.as_str()),
    ];
    let refused = answer(&house, client.form(&wrong_id)).await.unwrap_err();
    assert_eq!(code(&refused), says(401, "invalid_client"));
}

#[tokio::test]
async fn a_replay_is_noticed_by_another_process() {
    let house = House::new();
    let (other, _audit) = super::open(house.path());
    let client = Client::new(&house, "pipeline").await;
    let assertion = client.sign(&client.good());
    let grant = [("grant_type", "client_credentials")];
    other
        .token_endpoint(signed_form(JWT_BEARER, &assertion, &grant), None)
        .await
        .unwrap();
    let refused = answer(&house, signed_form(JWT_BEARER, &assertion, &grant))
        .await
        .unwrap_err();
    assert_eq!(code(&refused), says(401, "invalid_client"));
}

#[tokio::test]
async fn malformed_requests_say_what_is_wrong() {
    let house = House::new();
    let client = Client::new(&house, "pipeline").await;
    let empty = Client::new(&house, "empty").await;
    house
        .authority
        .delegate("empty", allow(&[]), &CLI)
        .await
        .unwrap();
    let lost = Client::new(&house, "lost").await;
    house
        .authority
        .revoke_delegation("lost", &CLI)
        .await
        .unwrap();
    let credentials = ("grant_type", "client_credentials");
    let subject = house
        .token(&house.agent("origin", &["read:records"]).await)
        .await;

    let cases: Vec<(Form, u16, &str)> = vec![
        (client.form(&[]), 400, "invalid_request"),
        (
            client.form(&[credentials, credentials]),
            400,
            "invalid_request",
        ),
        (
            client.form(&[("grant_type", "password")]),
            400,
            "unsupported_grant_type",
        ),
        (
            client.form(&[credentials, ("scope", "read:everything")]),
            400,
            "invalid_scope",
        ),
        (
            client.form(&[credentials, ("scope", "")]),
            400,
            "invalid_scope",
        ),
        (
            client.form(&[credentials, ("audience", "*")]),
            400,
            "invalid_target",
        ),
        (
            client.form(&[credentials, ("resource", "https://other.example")]),
            400,
            "invalid_target",
        ),
        (empty.form(&[credentials]), 403, "access_denied"),
        (lost.form(&[credentials]), 400, "unauthorized_client"),
        (
            client.form(&[("grant_type", EXCHANGE)]),
            400,
            "invalid_request",
        ),
        (
            client.form(&[("grant_type", EXCHANGE), ("subject_token", &subject)]),
            400,
            "invalid_request",
        ),
        (
            client.form(&[
                ("grant_type", EXCHANGE),
                ("subject_token", &subject),
                (
                    "subject_token_type",
                    "urn:ietf:params:oauth:token-type:id_token",
                ),
            ]),
            400,
            "invalid_request",
        ),
        (
            client.form(&[
                ("grant_type", EXCHANGE),
                ("subject_token", &subject),
                ("subject_token_type", ACCESS_TOKEN),
                ("actor_token", &subject),
            ]),
            400,
            "invalid_request",
        ),
    ];
    for (form, status, error) in cases {
        let shown = format!("{form:?}");
        let refused = answer(&house, form).await.unwrap_err();
        assert_eq!(code(&refused), says(status, error), "{shown}: {refused}");
        assert!(!shown.contains("eyJ"), "a form shows its names only");
    }
    assert!(Form::parse(&vec![b'a'; 70_000]).is_err());
    assert!(Form::parse("a&".repeat(70).as_bytes()).is_err());
}

#[tokio::test]
async fn private_and_unusable_keys_are_refused_at_registration() {
    let pair = Pair::new();
    let mut private = pair.jwk("k");
    private["d"] = "AAAA".into();
    let bad = [
        String::new(),
        "not a key".into(),
        "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----".into(),
        private.to_string(),
        json!({ "keys": [] }).to_string(),
        json!({ "kty": "oct", "kid": "k", "k": "c2VjcmV0" }).to_string(),
        json!({ "keys": [pair.jwk("k"), private] }).to_string(),
    ];
    for keys in bad {
        let refused = Authentication::private_key_jwt(&keys);
        assert!(matches!(refused, Err(AuthorityError::Key(_))), "{keys}");
    }
    for bundle in ["", "{}", "{\"keys\":[]}"] {
        assert!(
            matches!(
                Authentication::jwt_svid(bundle),
                Err(AuthorityError::Key(_))
            ),
            "{bundle}"
        );
    }
    Authentication::private_key_jwt(&pair.jwk("k").to_string()).unwrap();
}

#[tokio::test]
async fn a_jwt_svid_of_the_agent_is_its_credential() {
    let house = House::new();
    let (pair, stranger) = (Pair::new(), Pair::new());
    let bundle = json!({ "keys": [pair.jwk("spire-1")] }).to_string();
    let auth = Authentication::jwt_svid(&bundle).unwrap();
    let agent = house.agent_with("workload", auth, &["read:records"]).await;

    let svid = |sub: &str, aud: &str, exp: i64, key: &Pair, typ: Option<&str>| {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("spire-1".into());
        header.typ = typ.map(str::to_owned);
        let claims = json!({ "sub": sub, "aud": [aud], "exp": exp, "iat": now() });
        jsonwebtoken::encode(&header, &claims, &key.private).unwrap()
    };
    let (id, soon) = (agent.spiffe_id.as_str(), now() + 60);
    let grant = [("grant_type", "client_credentials")];
    let good = svid(id, ISSUER, soon, &pair, Some("JWT"));
    for _ in 0..2 {
        let token = answer(&house, signed_form(JWT_SPIFFE, &good, &grant))
            .await
            .unwrap();
        assert_eq!(claims(token["access_token"].as_str().unwrap())["sub"], id);
    }
    let bad = [
        svid(id, "https://elsewhere.example", soon, &pair, Some("JWT")),
        svid(id, ISSUER, now() - 5, &pair, Some("JWT")),
        svid(id, ISSUER, soon, &stranger, Some("JWT")),
        svid(id, ISSUER, soon, &pair, Some("at+jwt")),
        svid(
            "spiffe://acme.example/agent/other",
            ISSUER,
            soon,
            &pair,
            Some("JWT"),
        ),
        svid(
            "spiffe://evil.example/agent/workload",
            ISSUER,
            soon,
            &pair,
            Some("JWT"),
        ),
    ];
    for assertion in &bad {
        let refused = answer(&house, signed_form(JWT_SPIFFE, assertion, &grant))
            .await
            .unwrap_err();
        assert_eq!(code(&refused), says(401, "invalid_client"));
    }
    let refused = answer(&house, signed_form(JWT_BEARER, &good, &grant))
        .await
        .unwrap_err();
    assert_eq!(code(&refused), says(401, "invalid_client"));
}

#[tokio::test]
async fn an_exchange_names_who_acts_for_whom() {
    let house = House::new();
    let origin = house
        .agent("origin", &["read:records", "write:documents"])
        .await;
    let actor = Client::new(&house, "actor").await;
    let subject = house.token(&origin).await;
    let answer = actor.exchange(&house, &subject, None).await.unwrap();
    assert_eq!(answer["issued_token_type"], ACCESS_TOKEN);
    assert_eq!(answer["scope"], "read:records", "what both may do");

    let token = answer["access_token"].as_str().unwrap();
    let claims = claims(token);
    assert_eq!(claims["sub"], origin.spiffe_id);
    assert_eq!(claims["client_id"], actor.id);
    assert_eq!(
        claims["act"],
        json!({ "sub": actor.agent.spiffe_id, "client_id": actor.id })
    );
    let grant = house.authority.authenticate(token, None).await.unwrap();
    assert_eq!(grant.spiffe_id(), origin.spiffe_id);
    assert_eq!(
        (grant.agent(), grant.actor()),
        ("actor", Some(actor.agent.spiffe_id.as_str()))
    );

    let wider = actor
        .exchange(&house, &subject, Some("write:documents"))
        .await
        .unwrap_err();
    assert_eq!(code(&wider), says(400, "invalid_scope"));
    let own = actor.token(&house, None).await.unwrap();
    let selfish = actor
        .exchange(&house, own["access_token"].as_str().unwrap(), None)
        .await;
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

    house
        .authority
        .revoke(origin.form(&[("token", subject)]), None)
        .await
        .unwrap();
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
    let mut token = house
        .token(&house.agent("origin", &["read:records"]).await)
        .await;
    for n in 1..=5 {
        let actor = Client::new(&house, &format!("actor-{n}")).await;
        match actor.exchange(&house, &token, None).await {
            Ok(answer) if n <= 4 => token = answer["access_token"].as_str().unwrap().to_owned(),
            Err(refused) if n == 5 => assert_eq!(code(&refused), says(400, "invalid_grant")),
            other => panic!("{n}: {other:?}"),
        }
        assert!(
            house.authority.authenticate(&token, None).await.is_ok(),
            "{n}"
        );
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
    let event = house
        .events()
        .into_iter()
        .rfind(|e| e["kind"] == "token_revoked")
        .unwrap();
    assert_eq!(
        (&event["outcome"], &event["agent"]),
        (&json!("refused"), &json!("other"))
    );

    revoke(owner.form(&[("token", "garbage")])).await.unwrap();
    let stranger = revoke(form(&[("token", token)])).await.unwrap_err();
    assert_eq!(code(&stranger), says(401, "invalid_client"));
    let missing = revoke(owner.form(&[])).await.unwrap_err();
    assert_eq!(code(&missing), says(400, "invalid_request"));

    revoke(owner.form(&[("token", token), ("token_type_hint", "refresh_token")]))
        .await
        .unwrap();
    assert!(house.authority.authenticate(token, None).await.is_err());
    revoke(owner.form(&[("token", token)])).await.unwrap();
    let (again, _audit) = super::open(house.path());
    assert!(
        again.authenticate(token, None).await.is_err(),
        "after a restart too"
    );
}

#[tokio::test]
async fn introspection_shows_a_token_to_those_whom_it_concerns() {
    let house = House::new();
    let owner = Client::new(&house, "owner").await;
    let resource = Client::new(&house, "resource").await;
    let stranger = Client::new(&house, "stranger").await;
    let audience = vec![ISSUER.to_owned(), resource.id.clone()];
    let request = bailiwick_authority::DelegationRequest {
        audience,
        ..allow(&["read:records"])
    };
    house
        .authority
        .delegate("owner", request, &CLI)
        .await
        .unwrap();
    let token = owner.token(&house, None).await.unwrap()["access_token"].clone();
    let token = token.as_str().unwrap();

    let seen = owner.introspect(&house, token).await;
    let claims = claims(token);
    assert_eq!(
        (&seen["active"], &seen["token_type"]),
        (&json!(true), &json!("Bearer"))
    );
    for claim in [
        "scope",
        "client_id",
        "sub",
        "aud",
        "iss",
        "exp",
        "iat",
        "jti",
    ] {
        assert_eq!(seen[claim], claims[claim], "{claim}");
    }
    assert_eq!(resource.introspect(&house, token).await, seen);
    let inactive = json!({ "active": false });
    assert_eq!(stranger.introspect(&house, token).await, inactive);
    assert_eq!(owner.introspect(&house, "garbage").await, inactive);
    let unproved = house
        .authority
        .introspect(form(&[("token", token)]), None)
        .await
        .unwrap_err();
    assert_eq!(code(&unproved), says(401, "invalid_client"));

    house
        .authority
        .revoke(owner.form(&[("token", token)]), None)
        .await
        .unwrap();
    assert_eq!(owner.introspect(&house, token).await, inactive);
}

#[tokio::test]
async fn the_metadata_point_where_the_endpoints_are() {
    let house = House::new();
    let metadata = house.authority.metadata();
    assert_eq!(metadata["issuer"], ISSUER);
    for name in [
        "token_endpoint",
        "jwks_uri",
        "revocation_endpoint",
        "introspection_endpoint",
    ] {
        assert!(
            metadata[name].as_str().unwrap().starts_with(ISSUER),
            "{name}"
        );
    }
    assert_eq!(
        metadata["grant_types_supported"],
        json!(["client_credentials", EXCHANGE])
    );
    let resource = house.authority.resource_metadata(&["read:records".into()]);
    assert_eq!(resource["resource"], ISSUER);
    assert_eq!(resource["bearer_methods_supported"], json!(["header"]));
}
