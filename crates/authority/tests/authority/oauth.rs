//! The token endpoint: client assertions, malformed requests; the metadata.

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
pub(crate) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(crate) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

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
        Self { private: EncodingKey::from_ec_der(pkcs8.as_ref()), pem, point }
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
    pub(crate) agent: Agent,
    pair: Pair,
}

impl Client {
    pub(crate) async fn new(house: &House, name: &str) -> Self {
        let pair = Pair::new();
        let auth = Authentication::private_key_jwt(&pair.pem).unwrap();
        let agent = house.agent_with(name, auth, &["read:records", "read:metrics"]).await;
        Self { id: agent.client_id.to_string(), agent, pair }
    }

    fn good(&self) -> Value {
        self.good_at(now())
    }

    fn good_at(&self, now: i64) -> Value {
        let jti = uuid::Uuid::new_v4().to_string();
        json!({ "iss": self.id, "sub": self.id, "aud": format!("{ISSUER}/oauth/token"),
                "iat": now, "exp": now + 60, "jti": jti })
    }

    fn sign(&self, claims: &Value) -> String {
        jsonwebtoken::encode(&Header::new(Algorithm::ES256), claims, &self.pair.private).unwrap()
    }

    pub(crate) fn form(&self, fields: &[(&str, &str)]) -> Form {
        self.form_with(&self.assertion_at(now()), fields)
    }

    /// A client assertion that is made at this second.
    pub(crate) fn assertion_at(&self, now: i64) -> String {
        self.sign(&self.good_at(now))
    }

    pub(crate) fn form_with(&self, assertion: &str, fields: &[(&str, &str)]) -> Form {
        signed_form(JWT_BEARER, assertion, fields)
    }

    pub(crate) async fn token(
        &self,
        house: &House,
        scope: Option<&str>,
    ) -> Result<Value, OAuthError> {
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

    pub(crate) async fn introspect(&self, house: &House, token: &str) -> Value {
        house.authority.introspect(self.form(&[("token", token)]), None).await.unwrap()
    }
}

pub(crate) fn form(fields: &[(&str, &str)]) -> Form {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    Form::parse(body.extend_pairs(fields).finish().as_bytes()).unwrap()
}

fn signed_form(kind: &str, assertion: &str, fields: &[(&str, &str)]) -> Form {
    let proof = [("client_assertion_type", kind), ("client_assertion", assertion)];
    form(&[&proof[..], fields].concat())
}

pub(crate) async fn answer(house: &House, form: Form) -> Result<Value, OAuthError> {
    let response = house.authority.token_endpoint(form, Some("request")).await?;
    Ok(serde_json::to_value(response).unwrap())
}

pub(crate) fn code(error: &OAuthError) -> (u16, String) {
    (error.status(), error.body()["error"].as_str().unwrap().to_owned())
}

pub(crate) fn says(status: u16, error: &str) -> (u16, String) {
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
    let grant =
        house.authority.authenticate(answer["access_token"].as_str().unwrap(), None).await.unwrap();
    assert_eq!((grant.agent(), grant.client_id()), ("pipeline", client.id.as_str()));
    let event = house.last_event();
    assert_eq!((&event["kind"], &event["request_id"]), (&json!("token_issued"), &json!("request")));

    let mut assertion = client.good();
    assertion["aud"] = ISSUER.into();
    let fields = [("grant_type", "client_credentials"), ("client_id", &client.id)];
    self::answer(&house, signed_form(JWT_BEARER, &client.sign(&assertion), &fields)).await.unwrap();
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
    answer(&house, signed_form(JWT_BEARER, &used, &grant)).await.unwrap();

    let bad = [
        ("replayed", used),
        ("another endpoint's", change("aud", json!("https://elsewhere.example/oauth/token"))),
        ("iss is not sub", change("sub", other.id.clone().into())),
        ("a day long", change("exp", json!(now() + 86_400))),
        ("expired", change("exp", json!(now() - 120))),
        ("without jti", change("jti", Value::Null)),
        ("of an unknown client", change("iss", json!("00000000-0000-4000-8000-000000000000"))),
        ("of no client", change("iss", json!("nobody"))),
        ("with a foreign key", with_key(&other.pair.private, Algorithm::ES256)),
        ("HS256 with the public key", with_key(&public_as_secret, Algorithm::HS256)),
        ("of a revoked agent", gone.sign(&gone.good())),
        ("of an agent without key", client.sign(&named_bare)),
        ("empty", String::new()),
        ("garbage", "a.b.c".into()),
        ("our own access token", house.token(&bare).await),
    ];
    let mut bodies = Vec::new();
    for (what, assertion) in &bad {
        let refused = answer(&house, signed_form(JWT_BEARER, assertion, &grant)).await.unwrap_err();
        assert_eq!(code(&refused), says(401, "invalid_client"), "{what}");
        assert!(refused.challenge().is_some());
        bodies.push(refused.body());
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));

    let bare_id = bare.client_id.to_string();
    for fields in [
        vec![("grant_type", "client_credentials"), ("client_id", bare_id.as_str())],
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
    let wrong_id = [("grant_type", "client_credentials"), ("client_id", other.id.as_str())];
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
    other.token_endpoint(signed_form(JWT_BEARER, &assertion, &grant), None).await.unwrap();
    let refused = answer(&house, signed_form(JWT_BEARER, &assertion, &grant)).await.unwrap_err();
    assert_eq!(code(&refused), says(401, "invalid_client"));
}

#[tokio::test]
async fn malformed_requests_say_what_is_wrong() {
    let house = House::new();
    let client = Client::new(&house, "pipeline").await;
    let empty = Client::new(&house, "empty").await;
    house.authority.delegate("empty", allow(&[]), &CLI).await.unwrap();
    let lost = Client::new(&house, "lost").await;
    house.authority.revoke_delegation("lost", &CLI).await.unwrap();
    let credentials = ("grant_type", "client_credentials");
    let subject = house.token(&house.agent("origin", &["read:records"]).await).await;

    let cases: Vec<(Form, u16, &str)> = vec![
        (client.form(&[]), 400, "invalid_request"),
        (client.form(&[credentials, credentials]), 400, "invalid_request"),
        (client.form(&[("grant_type", "password")]), 400, "unsupported_grant_type"),
        (client.form(&[credentials, ("scope", "read:everything")]), 400, "invalid_scope"),
        (client.form(&[credentials, ("scope", "")]), 400, "invalid_scope"),
        (client.form(&[credentials, ("audience", "*")]), 400, "invalid_target"),
        (client.form(&[credentials, ("resource", "https://other.example")]), 400, "invalid_target"),
        (empty.form(&[credentials]), 403, "access_denied"),
        (lost.form(&[credentials]), 400, "unauthorized_client"),
        (client.form(&[("grant_type", EXCHANGE)]), 400, "invalid_request"),
        (
            client.form(&[("grant_type", EXCHANGE), ("subject_token", &subject)]),
            400,
            "invalid_request",
        ),
        (
            client.form(&[
                ("grant_type", EXCHANGE),
                ("subject_token", &subject),
                ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
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
            matches!(Authentication::jwt_svid(bundle), Err(AuthorityError::Key(_))),
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
        let token = answer(&house, signed_form(JWT_SPIFFE, &good, &grant)).await.unwrap();
        assert_eq!(claims(token["access_token"].as_str().unwrap())["sub"], id);
    }
    let bad = [
        svid(id, "https://elsewhere.example", soon, &pair, Some("JWT")),
        svid(id, ISSUER, now() - 5, &pair, Some("JWT")),
        svid(id, ISSUER, soon, &stranger, Some("JWT")),
        svid(id, ISSUER, soon, &pair, Some("at+jwt")),
        svid("spiffe://acme.example/agent/other", ISSUER, soon, &pair, Some("JWT")),
        svid("spiffe://evil.example/agent/workload", ISSUER, soon, &pair, Some("JWT")),
    ];
    for assertion in &bad {
        let refused = answer(&house, signed_form(JWT_SPIFFE, assertion, &grant)).await.unwrap_err();
        assert_eq!(code(&refused), says(401, "invalid_client"));
    }
    let refused = answer(&house, signed_form(JWT_BEARER, &good, &grant)).await.unwrap_err();
    assert_eq!(code(&refused), says(401, "invalid_client"));
}

#[tokio::test]
async fn the_metadata_point_where_the_endpoints_are() {
    let house = House::new();
    let metadata = house.authority.metadata();
    assert_eq!(metadata["issuer"], ISSUER);
    for name in ["token_endpoint", "jwks_uri", "revocation_endpoint", "introspection_endpoint"] {
        assert!(metadata[name].as_str().unwrap().starts_with(ISSUER), "{name}");
    }
    assert_eq!(metadata["grant_types_supported"], json!(["client_credentials", EXCHANGE]));
    let resource = house.authority.resource_metadata(&["read:records".into()]);
    assert_eq!(resource["resource"], ISSUER);
    assert_eq!(resource["bearer_methods_supported"], json!(["header"]));
}
