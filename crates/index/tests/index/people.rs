//! Bailiwicks, made the only way that there is: from a token of a real provider.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_dev_idp::{DevProvider, Settings};
use bailiwick_identity::{Claims, IdentityConfig, Verifier};
use bailiwick_index::Index;
use bailiwick_policy::{Bailiwick, Policy};
use serde_json::json;

/// People who may read what their claim `teams` names.
pub(crate) struct People {
    provider: DevProvider,
    verifier: Arc<Verifier>,
    policy: Policy,
}

impl People {
    pub(crate) async fn new() -> Self {
        let provider = DevProvider::start(Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            people: Vec::new(),
            audience: "bailiwick".into(),
            client_id: "tests".into(),
            redirect_origins: vec!["http://127.0.0.1:1".into()],
            token_lifetime: Duration::from_secs(600),
        })
        .await
        .unwrap();
        let identity = json!({ "issuer": provider.issuer(), "audience": "bailiwick" });
        let identity: IdentityConfig = serde_json::from_value(identity).unwrap();
        let verifier = Verifier::start(identity).unwrap();
        let rules = json!({ "rule": [{ "attribute": "team", "op": "in", "claim": "teams" }] });
        let rules = serde_json::from_value(rules).unwrap();
        Self { provider, verifier, policy: Policy::new(&rules, crate::corpus::schema()).unwrap() }
    }

    pub(crate) async fn claims(&self, teams: &[&str]) -> Claims {
        let claims = json!({ "teams": teams }).as_object().unwrap().clone();
        let token = self.provider.sign(claims).unwrap();
        for _ in 0..100 {
            if self.verifier.readiness().is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.verifier.verify(&token).await.unwrap()
    }

    /// What a member of these teams may read in this index now.
    pub(crate) async fn member(&self, teams: &[&str], index: &dyn Index) -> Arc<Bailiwick> {
        self.policy.decide(&self.claims(teams).await, index.labels()).await.unwrap()
    }
}
