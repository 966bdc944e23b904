//! The way in, from outside: files, vault, server, intake.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod files;
mod intake;
mod loopback;
mod names;
mod samples;
mod vault;

use std::sync::Arc;

use bailiwick_policy::Schema;
use serde_json::{Map, Value, json};

/// Department (required), clearance by level (required, also called `clearance`), project.
fn schema() -> Arc<Schema> {
    let configured = json!([
        {"name": "department", "type": "keyword", "optional": true},
        {
            "name": "clearance_level", "type": "level", "from": ["clearance", "confidentiality_level"],
            "levels": ["Public", "Internal", "Restricted", "Secret", "TopSecret"],
        },
        {"name": "project_id", "type": "keyword", "optional": true},
    ]);
    let configured: Vec<bailiwick_policy::AttributeConfig> =
        serde_json::from_value(configured).unwrap();
    Arc::new(Schema::new(&configured).unwrap())
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}
