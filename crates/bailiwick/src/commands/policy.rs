//! `bailiwick policy`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use bailiwick_policy::Cases;
use serde_json::{Map, Value};

use crate::assemble;
use crate::cli::Policy;
use crate::config::Config;
use crate::{print, toml_file};

pub(crate) fn run(command: Policy, config: &Config, as_json: bool) -> Result<()> {
    let policy = assemble::policy(config)?;
    match command {
        Policy::Test { file } => test(&policy, &file, as_json),
        Policy::Explain { claims, document } => {
            let claims = object(&claims).context("--claims")?;
            let document = object(&document).context("--document")?;
            let label =
                policy.schema().label(&document).context("the document would be refused")?;
            let explanation = policy.explain(&claims, &label);
            if as_json { print::json(&explanation) } else { print::line(explanation) }
        }
    }
}

fn test(policy: &bailiwick_policy::Policy, file: &Path, as_json: bool) -> Result<()> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let cases: Cases = if file.extension().is_some_and(|kind| kind == "json") {
        serde_json::from_str(&text).with_context(|| file.display().to_string())?
    } else {
        toml_file::parse(&text, file)?
    };
    let results = cases.run(policy);
    let failed = results.iter().filter(|result| !result.passed).count();
    if as_json {
        print::json(&results)?;
    }
    for result in results.iter().filter(|result| !result.passed && !as_json) {
        print::line(format!("FAILED  {}", result.name))?;
        if let Some(explanation) = &result.explanation {
            print::line(explanation)?;
        }
        if let Some(refused) = &result.refused {
            print::line(format!("  the document has no label: {refused}"))?;
        }
    }
    if failed > 0 {
        bail!("{failed} of {} cases failed", results.len());
    }
    if as_json { Ok(()) } else { print::line(format!("{} cases hold", results.len())) }
}

/// A JSON object, or `@` and the name of a file that holds one.
fn object(text: &str) -> Result<Map<String, Value>> {
    let text = match text.strip_prefix('@') {
        Some(file) => {
            std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?
        }
        None => text.to_owned(),
    };
    serde_json::from_str(&text).context("write a JSON object, or @ and the name of a file")
}
