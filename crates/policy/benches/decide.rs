//! How long it takes from verified claims to a bailiwick: `cargo bench -p bailiwick-policy`.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use bailiwick_dev_idp::{DevProvider, Settings};
use bailiwick_identity::{Claims, IdentityConfig, Verifier};
use bailiwick_policy::{AttributeConfig, LabelTable, Policy, PolicyConfig, Schema};
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

/// The same policy for each engine.
fn policy(engine: &str) -> Policy {
    let config = match engine {
        "rules" => json!({ "rule": [
            { "attribute": "department", "op": "in", "claim": "department" },
            { "attribute": "clearance", "op": "lte", "claim": "clearance" },
            { "attribute": "project", "op": "in", "claim": "projects", "absent": "allow" },
        ] }),
        _ => json!({ "engine": engine, engine: { "files": ["benches/policy.rego"] } }),
    };
    Policy::new(&serde_json::from_value::<PolicyConfig>(config).unwrap(), schema()).unwrap()
}

/// Departments × clearances × projects, until there are this many.
fn labels(wanted: usize) -> LabelTable {
    let table = LabelTable::default();
    for n in 0..wanted {
        let document = json!({
            "department": format!("department-{}", n % 40),
            "clearance": n / 40 % 5 + 1,
            "project": format!("project-{}", n / 200),
        });
        let Value::Object(document) = document else { continue };
        table.intern(&schema().label(&document).unwrap());
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
        let said = json!({
            "department": ["department-1", "department-2"],
            "clearance": "Secret",
            "projects": ["project-1", "project-2", "project-3"],
        });
        let token = provider.sign(said.as_object().unwrap().clone()).unwrap();
        verifier.verify(&token).await.unwrap()
    })
}

/// The decision is remembered, and no label is new.
#[divan::bench(args = ["rules", "rego"])]
fn warm(bencher: Bencher<'_, '_>, engine: &str) {
    let (runtime, policy, table, claims) = (runtime(), policy(engine), labels(10_000), claims());
    let decide = || runtime.block_on(policy.decide(black_box(&claims), &table)).unwrap();
    decide();
    bencher.bench_local(decide);
}

/// Nobody with these claims has asked yet.
#[divan::bench(args = ["rules", "rego"])]
fn cold(bencher: Bencher<'_, '_>, engine: &str) {
    let (runtime, table, claims) = (runtime(), labels(10_000), claims());
    let decide =
        |policy: &mut Policy| runtime.block_on(policy.decide(black_box(&claims), &table)).unwrap();
    bencher.with_inputs(|| policy(engine)).bench_local_refs(decide);
}

/// The decision is remembered, and one label is new.
#[divan::bench(args = ["rules", "rego"])]
fn one_new_label(bencher: Bencher<'_, '_>, engine: &str) {
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
