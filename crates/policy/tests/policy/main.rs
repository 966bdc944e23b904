//! Policies as they are configured: rules, Rego, and engines behind HTTP.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::path::Path;
use std::sync::Arc;

use bailiwick_policy::{LabelTable, Policy, PolicyConfig, PolicyError, Schema, Unavailable};
use serde_json::{Value, json};

mod agree;
mod apart;
mod rego;
mod remote;

/// Departments, levels and a list of projects, which a document may lack.
fn schema() -> Arc<Schema> {
    let attributes = json!([
        {"name": "department", "type": "keyword"},
        {"name": "clearance", "type": "level", "levels": ["Public", "Internal", "Secret"]},
        {"name": "projects", "type": "keyword", "optional": true, "multiple": true},
        {"name": "year", "type": "integer", "optional": true},
    ]);
    Arc::new(Schema::new(&serde_json::from_value::<Vec<_>>(attributes).unwrap()).unwrap())
}

fn policy(config: Value) -> Result<Policy, PolicyError> {
    Policy::new(&serde_json::from_value::<PolicyConfig>(config).unwrap(), schema())
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// A table with one label for each document.
fn table(documents: &[Value]) -> LabelTable {
    let table = LabelTable::default();
    for document in documents {
        table.intern(&schema().label(document.as_object().unwrap()).unwrap());
    }
    table
}

/// Which of the labels, by number, these claims open.
async fn opened(
    policy: &Policy,
    claims: &Value,
    table: &LabelTable,
) -> Result<Vec<u32>, Unavailable> {
    let opened = policy.suppose(claims.as_object().unwrap(), table).await?;
    Ok(opened.into_iter().map(|id| id.as_u32()).collect())
}
