//! How long it takes from verified claims to a bailiwick: `cargo bench -p bailiwick-policy`.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use bailiwick_dev_idp::{DevProvider, Settings};
use bailiwick_identity::{Claims, IdentityConfig, Verifier};
use bailiwick_policy::{AttributeConfig, Class, LabelTable, Policy, PolicyConfig, Schema};
use divan::{Bencher, black_box};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

fn schema() -> Arc<Schema> {
    let attributes: Vec<AttributeConfig> = serde_json::from_value(json!([
        { "name": "department", "type": "keyword" },
        { "name": "clearance", "type": "level", "levels": ["Public", "Internal", "Restricted", "Secret", "TopSecret"] },
        { "name": "project", "type": "keyword", "optional": true },
    ]))
    .unwrap();
    Arc::new(Schema::new(&attributes).unwrap())
}

/// The server of OPA with `benches/policy.rego`, which `bench/policy/run` starts.
fn opa() -> Option<String> {
    std::env::var("OPA_URL").ok()
}

fn engines() -> Vec<&'static str> {
    ["rules", "rego"].into_iter().chain(opa().map(|_| "opa")).collect()
}

/// The same policy for each engine.
fn policy(engine: &str) -> Policy {
    let config = match engine {
        "rules" => json!({ "rule": [
            { "attribute": "department", "op": "in", "claim": "department" },
            { "attribute": "clearance", "op": "lte", "claim": "clearance" },
            { "attribute": "project", "op": "in", "claim": "projects", "absent": "allow" },
        ] }),
        "rego" => json!({ "engine": "rego", "rego": { "files": ["benches/policy.rego"] } }),
        _ => {
            json!({ "engine": "opa", "opa": { "url": opa(), "timeout_ms": 60_000, "max_age_seconds": 600 } })
        }
    };
    Policy::new(&serde_json::from_value::<PolicyConfig>(config).unwrap(), schema()).unwrap()
}

const LEVELS: [&str; 5] = ["Public", "Internal", "Restricted", "Secret", "TopSecret"];

fn document(n: usize) -> Value {
    json!({
        "department": format!("department-{}", n % 40),
        "clearance": LEVELS[n / 40 % 5],
        "project": format!("project-{}", n / 200),
    })
}

fn said() -> Value {
    json!({
        "department": ["department-1", "department-2"],
        "clearance": "Secret",
        "projects": ["project-1", "project-2", "project-3"],
    })
}

/// Departments × clearances × projects, until there are this many.
fn labels(wanted: usize) -> LabelTable {
    let table = LabelTable::default();
    for n in 0..wanted {
        table.intern(&schema().label(document(n).as_object().unwrap()).unwrap());
    }
    assert_eq!(table.len(), wanted);
    table
}

fn runtime() -> Runtime {
    Runtime::new().unwrap()
}

fn claims() -> Claims {
    runtime().block_on(async {
        let provider = DevProvider::start(Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            people: Vec::new(),
            audience: "bailiwick".into(),
            client_id: "bench".into(),
            redirect_origins: vec!["http://127.0.0.1:1".into()],
            token_lifetime: Duration::from_secs(600),
        })
        .await
        .unwrap();
        let identity: IdentityConfig =
            serde_json::from_value(json!({ "issuer": provider.issuer(), "audience": "bailiwick" }))
                .unwrap();
        let verifier = Verifier::start(identity).unwrap();
        while verifier.readiness().is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let token = provider.sign(said().as_object().unwrap().clone()).unwrap();
        verifier.verify(&token).await.unwrap()
    })
}

/// The decision is remembered, and no label is new.
#[divan::bench(args = engines())]
fn warm(bencher: Bencher<'_, '_>, engine: &&str) {
    let (runtime, policy, table, claims) = (runtime(), policy(engine), labels(10_000), claims());
    let decide = || runtime.block_on(policy.decide(black_box(&claims), &table)).unwrap();
    decide();
    bencher.bench_local(decide);
}

/// Nobody with these claims has asked yet.
#[divan::bench(args = engines())]
fn cold(bencher: Bencher<'_, '_>, engine: &&str) {
    let (runtime, table, claims) = (runtime(), labels(10_000), claims());
    let decide =
        |policy: &mut Policy| runtime.block_on(policy.decide(black_box(&claims), &table)).unwrap();
    bencher.with_inputs(|| policy(engine)).bench_local_refs(decide);
}

/// Nobody with these claims has asked yet, and they open all labels.
#[divan::bench(args = engines())]
fn cold_with_all_rights(bencher: Bencher<'_, '_>, engine: &&str) {
    let of = |name: &str, count| (0..count).map(|n| format!("{name}-{n}")).collect::<Vec<_>>();
    let all = json!({
        "department": of("department", 40),
        "clearance": "TopSecret",
        "projects": of("project", 50),
    });
    let (runtime, table) = (runtime(), labels(10_000));
    let decide = |policy: &mut Policy| {
        let opened = runtime.block_on(policy.suppose(all.as_object().unwrap(), &table)).unwrap();
        assert_eq!(opened.len(), 10_000);
    };
    bencher.with_inputs(|| policy(engine)).bench_local_refs(decide);
}

/// The decision is remembered, and one label is new.
#[divan::bench(args = engines())]
fn one_new_label(bencher: Bencher<'_, '_>, engine: &&str) {
    let (runtime, policy, table, claims) = (runtime(), policy(engine), labels(10_000), claims());
    let decide = || runtime.block_on(policy.decide(black_box(&claims), &table)).unwrap();
    decide();
    let mut next = 0;
    bencher
        .with_inputs(|| {
            next += 1;
            let document = json!({ "department": format!("new-{next}"), "clearance": 1 });
            table.intern(&schema().label(document.as_object().unwrap()).unwrap());
        })
        .bench_local_values(|()| decide());
}

/// What OPA itself takes for the batch: the same request, and the answer unread.
#[divan::bench(args = engines().into_iter().filter(|engine| *engine == "opa"))]
fn opa_itself(bencher: Bencher<'_, '_>, _: &&str) {
    let (runtime, client) = (runtime(), reqwest::Client::builder().no_proxy().build().unwrap());
    let url = format!("{}/v1/data/bailiwick/permitted", opa().unwrap());
    let labels: Value =
        (0..10_000).map(|n| json!({ "id": n, "attributes": document(n) })).collect();
    let body = json!({ "input": { "claims": said(), "labels": labels } }).to_string();
    bencher.bench_local(|| {
        runtime.block_on(async {
            client.post(&url).body(body.clone()).send().await.unwrap().bytes().await.unwrap()
        })
    });
}

/// Another policy takes the first one's place, for a thousand classes of claims.
#[divan::bench(args = [10_000], sample_count = 10)]
fn diff(bencher: Bencher<'_, '_>, wanted: usize) {
    let (runtime, table) = (runtime(), labels(wanted));
    let classes: Vec<Class> = (0..1000)
        .map(|n| {
            let claims = json!({
                "department": [format!("department-{}", n % 40), format!("department-{}", n % 7)],
                "clearance": n % 5 + 1,
                "projects": [format!("project-{}", n % 50), format!("project-{}", n % 11)],
            });
            Class::new(n.to_string(), claims.as_object().unwrap().clone())
        })
        .collect();
    let stricter = || {
        let mut rules = policy("rules").config().clone();
        rules.rule.pop();
        Policy::new(&rules, schema()).unwrap()
    };
    bencher.with_inputs(|| (policy("rules"), stricter())).bench_local_refs(|(before, after)| {
        runtime.block_on(before.diff(after, black_box(&classes), &table)).unwrap()
    });
}
