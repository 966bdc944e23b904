//! `bailiwick audit`.

use anyhow::Result;
use bailiwick_authority::Audit as Trail;
use serde_json::{Value, json};

use crate::cli::Audit;
use crate::config::Config;
use crate::print;

pub(crate) async fn run(command: Audit, config: &Config, as_json: bool) -> Result<()> {
    let trail = Trail::open(&config.data_dir)?;
    match command {
        Audit::Tail { n } => {
            let records = trail.tail(n)?;
            if as_json {
                return print::json(&records);
            }
            records.iter().try_for_each(|record| print::line(in_words(record)))
        }
        Audit::Verify => {
            let verified = trail.verify()?;
            if as_json {
                return print::json(&json!({ "records": verified.records, "head": verified.head }));
            }
            print::line(format!("{} records, none altered, missing or moved", verified.records))
        }
    }
}

fn in_words(record: &Value) -> String {
    let field = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
    let documents = record.get("document_ids").and_then(Value::as_array).map_or(0, Vec::len);
    let documents = if documents == 0 { String::new() } else { format!("{documents} documents") };
    let who = if field("agent").is_empty() { field("subject") } else { field("agent") };
    let words = [
        field("time"),
        field("kind"),
        field("outcome"),
        who,
        field("scope"),
        &documents,
        field("detail"),
    ];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    // A record is one line, whatever a name or a detail holds.
    words.join("  ").replace(['\n', '\t'], " ")
}
