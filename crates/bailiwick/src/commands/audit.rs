//! `bailiwick audit`.

use std::io::{self, BufWriter, ErrorKind};
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use bailiwick_authority::audit::{Seal, Verified};
use bailiwick_authority::{Administrator, Audit as Trail, AuditError};
use serde_json::{Value, json};

use crate::assemble;
use crate::cli::Audit;
use crate::config::Config;
use crate::print;

pub(crate) async fn run(command: Audit, config: &Config, as_json: bool) -> Result<()> {
    match command {
        Audit::Tail { n } => {
            let records = Trail::open(&config.data_dir)?.tail(n)?;
            if as_json {
                return print::json(&records);
            }
            records.iter().try_for_each(|record| print::line(in_words(record)))
        }
        Audit::Verify { checkpoints } => verify(&checkpoints, config, as_json),
        Audit::Checkpoint => {
            let (authority, _audit) = assemble::authority(config)?;
            // It is kept elsewhere and read again, so this is data with and without --json.
            print::json(&authority.checkpoint().await?)
        }
        Audit::Export => export(&Trail::open(&config.data_dir)?),
        Audit::Prune => {
            let days = config.audit.keep_days.context(
                "audit.keep_days is not configured, so records are kept for ever; set it first",
            )?;
            let (authority, _audit) = assemble::authority(config)?;
            let removed = authority.prune(days, &Administrator::CommandLine).await?;
            if as_json {
                return print::json(&json!({ "removed": removed }));
            }
            print::line(format!("{removed} records were older than {days} days, and are removed"))
        }
    }
}

fn verify(checkpoints: &[impl AsRef<Path>], config: &Config, as_json: bool) -> Result<()> {
    let kept = checkpoints.iter().map(|file| read(file.as_ref())).collect::<Result<Vec<_>>>()?;
    let Verified { records, head, sealed } = Trail::open(&config.data_dir)?.verify_with(&kept)?;
    if as_json {
        return print::json(&json!({ "records": records, "head": head, "sealed": sealed }));
    }
    print::line(format!("{records} records, none altered, missing or moved"))?;
    match sealed {
        Some(seq) => print::line(format!("a signed checkpoint vouches for those up to {seq}")),
        None => print::line("no checkpoint was signed yet, so the last ones could be missing"),
    }
}

fn read(file: &Path) -> Result<Seal> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    bailiwick_json::read(text.as_bytes())
        .map_err(|error| anyhow!("{name} holds no checkpoint: {error}"))
}

/// A closed pipe ends it quietly, as with `head`.
fn export(trail: &Trail) -> Result<()> {
    match trail.export(&mut BufWriter::new(io::stdout().lock())) {
        Err(AuditError::Export(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        exported => Ok(exported?),
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
