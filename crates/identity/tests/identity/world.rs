//! A provider, its key, and a verifier that trusts it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bailiwick_identity::{Claims, IdentityConfig, Rejection, Verifier};
use serde_json::{Value, json};

use crate::provider::Provider;
use crate::signer::Signer;

pub(crate) const AUDIENCE: &str = "bailiwick";

pub(crate) struct World {
    pub(crate) provider: Provider,
    pub(crate) signer: Signer,
    pub(crate) verifier: Arc<Verifier>,
}

impl World {
    /// Everything in order and ready.
    pub(crate) async fn start() -> World {
        World::with(json!({})).await
    }

    /// The same, with more configuration.
    pub(crate) async fn with(more: Value) -> World {
        let signer = Signer::rsa("k1");
        let provider = Provider::start().await;
        provider.publish(&[signer.jwk()]);
        let verifier = Verifier::start(config(&provider.issuer, more)).unwrap();
        until_ready(&verifier).await;
        World { provider, signer, verifier }
    }

    pub(crate) async fn verify(&self, token: &str) -> Result<Claims, Rejection> {
        self.verifier.verify(token).await
    }

    /// Claims that are right in every way.
    pub(crate) fn claims(&self) -> Value {
        claims(&self.provider.issuer)
    }

    /// A right token.
    pub(crate) fn token(&self) -> String {
        self.signer.token(&self.claims())
    }
}

pub(crate) fn claims(issuer: &str) -> Value {
    json!({
        "iss": issuer, "aud": AUDIENCE, "sub": "alice", "jti": "t1",
        "exp": now() + 600, "iat": now(), "nbf": now(),
        "department": ["engineering"],
    })
}

pub(crate) fn config(issuer: &str, more: Value) -> IdentityConfig {
    let mut config = json!({"issuer": issuer, "audience": AUDIENCE});
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    serde_json::from_value(config).unwrap()
}

pub(crate) async fn until_ready(verifier: &Verifier) {
    let since = Instant::now();
    while let Err(reason) = verifier.readiness() {
        assert!(since.elapsed() < Duration::from_secs(10), "never ready: {reason}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Why a verifier is not ready, once it has tried to be.
pub(crate) async fn first_failure(verifier: &Verifier) -> String {
    loop {
        let reason = verifier.readiness().expect_err("must not become ready");
        if !reason.contains("first fetch") {
            return reason;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}
