//! The authority, its audit trail and its vault, through the public surface.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod administration;
mod audit_proof;
mod audit_search;
mod audit_trail;
mod clock;
mod issue;
mod keys;
mod laws;
mod lifecycle;
mod oauth;
mod people;
mod vault_gateway;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bailiwick_authority::{
    Administrator, Agent, Audit, Authentication, Authority, AuthorityConfig, Clock,
    DelegationRequest, DelegationTokenRequest, IssueError, IssuedToken, Timestamp,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tempfile::TempDir;

const ISSUER: &str = "http://127.0.0.1:8321";
const CLI: Administrator = Administrator::CommandLine;

/// An authority in a directory of its own.
struct House {
    directory: TempDir,
    authority: Authority,
    audit: Arc<Audit>,
    /// Seconds by which its clock is ahead.
    ahead: Arc<AtomicI64>,
}

impl House {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let audit = Arc::new(Audit::open(directory.path()).unwrap());
        let ahead = Arc::new(AtomicI64::new(0));
        let seconds = Arc::clone(&ahead);
        let clock =
            Clock::new(move || Timestamp::from_unix(now() + seconds.load(Ordering::Relaxed)));
        let authority =
            Authority::open_with_clock(directory.path(), config(), Arc::clone(&audit), clock);
        Self { directory, authority: authority.unwrap(), audit, ahead }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    async fn agent(&self, name: &str, permissions: &[&str]) -> Agent {
        self.agent_with(name, Authentication::ClientId, permissions).await
    }

    async fn agent_with(&self, name: &str, auth: Authentication, permissions: &[&str]) -> Agent {
        let agent = self.authority.create_agent(name, auth, &CLI).await.unwrap();
        self.authority.delegate(name, allow(permissions), &CLI).await.unwrap();
        agent
    }

    async fn token(&self, agent: &Agent) -> String {
        issue(&self.authority, agent, None).await.unwrap().token().to_owned()
    }

    fn events(&self) -> Vec<Value> {
        self.audit.tail(10_000).unwrap()
    }

    fn last_event(&self) -> Value {
        self.audit.tail(1).unwrap().remove(0)
    }
}

fn config() -> AuthorityConfig {
    AuthorityConfig {
        issuer: ISSUER.into(),
        trust_domain: "acme.example".into(),
        token_ttl_seconds: 1800,
        audience: None,
    }
}

fn open(directory: &Path) -> (Authority, Arc<Audit>) {
    let audit = Arc::new(Audit::open(directory).unwrap());
    (Authority::open(directory, config(), Arc::clone(&audit)).unwrap(), audit)
}

fn allow(permissions: &[&str]) -> DelegationRequest {
    DelegationRequest {
        permissions: permissions.iter().map(|&p| p.to_owned()).collect(),
        ..DelegationRequest::default()
    }
}

async fn issue(
    authority: &Authority,
    agent: &Agent,
    scope: Option<&str>,
) -> Result<IssuedToken, IssueError> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("client_id", &agent.client_id.to_string());
    if let Some(scope) = scope {
        query.append_pair("scope", scope);
    }
    let request = DelegationTokenRequest::from_http(Some(&query.finish()), &[], None)?;
    authority.issue_delegation_token(request).await
}

fn part(token: &str, n: usize) -> Value {
    let part = token.split('.').nth(n).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn header(token: &str) -> Value {
    part(token, 0)
}

fn claims(token: &str) -> Value {
    part(token, 1)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}
