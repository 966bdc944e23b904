//! Real people: each has a signed token, and the policy decides what its claims permit.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bailiwick_dev_idp::{DevProvider, Settings};
use bailiwick_identity::{Claims, IdentityConfig, Verifier};
use bailiwick_index::{EmbeddedIndex, Index as _, Options};
use bailiwick_policy::{AttributeConfig, Bailiwick, Label, Policy, Schema, wait};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::Place;
use crate::corpus::{Set, World};

/// Each label names its readers; `part` tells labels with the same readers apart.
pub(crate) fn schema() -> anyhow::Result<Arc<Schema>> {
    let attributes: Vec<AttributeConfig> = serde_json::from_value(json!([
        { "name": "readers", "type": "keyword", "multiple": true },
        { "name": "part", "type": "keyword" },
    ]))?;
    Ok(Arc::new(Schema::new(&attributes)?))
}

/// The rule that every reader of a label may read it. `part` is a rule that changes nothing, so
/// that two policies can differ.
pub(crate) fn policy(schema: &Arc<Schema>, part: bool) -> anyhow::Result<Policy> {
    let mut rules = vec![json!({ "attribute": "readers", "op": "any", "claim": "person" })];
    if part {
        rules.push(json!({ "attribute": "part", "op": "exists" }));
    }
    let config = serde_json::from_value(json!({ "rule": rules }))?;
    Ok(Policy::new(&config, Arc::clone(schema))?)
}

/// All labels of a world, by number.
pub(crate) fn labels(world: &World, schema: &Schema) -> anyhow::Result<Vec<Label>> {
    let mut readers = vec![Vec::new(); world.labels];
    for (person, holds) in world.people.iter().enumerate() {
        for &label in &holds.labels {
            readers.get_mut(label).context("a person holds an unknown label")?.push(name(person));
        }
    }
    let label = |(part, readers): (usize, Vec<String>)| {
        // A list must not be empty, and nobody is called like this.
        let readers = if readers.is_empty() { vec!["nobody".into()] } else { readers };
        let metadata = json!({ "readers": readers, "part": part.to_string() });
        let metadata = metadata.as_object().context("an object")?;
        schema.label(metadata).map_err(|problem| anyhow!("{problem}"))
    };
    readers.into_iter().enumerate().map(label).collect()
}

pub(crate) fn open(
    place: &Place,
    set: &Set,
    schema: &Arc<Schema>,
) -> anyhow::Result<EmbeddedIndex> {
    let (folder, embedder) = (place.index.clone(), set.embedder.clone());
    Ok(EmbeddedIndex::open(Options::new(folder, Arc::clone(schema), embedder, set.dimensions))?)
}

/// The verified claims of each person of a world.
pub(crate) fn claims(runtime: &Runtime, people: usize) -> anyhow::Result<Vec<Claims>> {
    runtime.block_on(async {
        let provider = DevProvider::start(Settings {
            listen: "127.0.0.1:0".parse()?,
            people: Vec::new(),
            audience: "bailiwick".into(),
            client_id: "bench".into(),
            redirect_origins: vec!["http://127.0.0.1:1".into()],
            token_lifetime: Duration::from_secs(3600),
        })
        .await?;
        let identity: IdentityConfig = serde_json::from_value(
            json!({ "issuer": provider.issuer(), "audience": "bailiwick" }),
        )?;
        let verifier = Verifier::start(identity)?;
        while verifier.readiness().is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let mut verified = Vec::new();
        for person in 0..people {
            let claims = json!({ "person": name(person) });
            let token = provider.sign(claims.as_object().context("an object")?.clone())?;
            let claims = verifier.verify(&token).await;
            verified.push(claims.map_err(|rejection| anyhow!("{rejection:?}"))?);
        }
        Ok(verified)
    })
}

/// What each person may read, decided by the policy.
pub(crate) fn decide(
    policy: &Policy,
    claims: &[Claims],
    index: &EmbeddedIndex,
) -> anyhow::Result<Vec<Arc<Bailiwick>>> {
    let decided = claims.iter().map(|claims| wait(policy.decide(claims, index.labels())));
    Ok(decided.collect::<Result<_, _>>()?)
}

fn name(person: usize) -> String {
    format!("p{person}")
}
