//! `bailiwick policy`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use bailiwick_policy::{CaseResult, Cases, RegoTest, Unavailable};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::assemble;
use crate::cli::Policy;
use crate::commands::questions;
use crate::config::Config;
use crate::{print, toml_file};

pub(crate) async fn run(command: Policy, config: &Config, as_json: bool) -> Result<ExitCode> {
    let policy = assemble::policy(config)?;
    match command {
        Policy::Test { file } => test(&policy, file.as_deref(), as_json).await?,
        Policy::Diff { policies, cases } => {
            return Ok(questions::diff(&policy, &policies, &cases, config, as_json).await);
        }
        Policy::ViewAs { whose } => questions::view_as(&policy, &whose, config, as_json).await?,
        Policy::Who { which, cases } => {
            questions::who(&policy, &which, &cases, config, as_json).await?;
        }
        Policy::Explain { whose, which } => {
            questions::explain(&policy, &whose, &which, config, as_json).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A command's caller reads the cause, because she is who runs the policy.
pub(crate) fn told(error: Unavailable) -> anyhow::Error {
    anyhow!("{error}: {}", error.cause())
}

/// What came out of the tests that the policy brings along, and of a table of cases.
#[derive(Serialize)]
#[serde(untagged)]
enum Outcome {
    Case(Box<CaseResult>),
    Rego(RegoTest),
}

impl Outcome {
    fn passed(&self) -> bool {
        match self {
            Self::Case(case) => case.passed,
            Self::Rego(test) => test.passed,
        }
    }

    /// What went wrong, line by line.
    fn failure(&self) -> Vec<String> {
        match self {
            Self::Case(case) => {
                let refused = case.refused.as_ref();
                let refused = refused.map(|why| format!("  the document has no label: {why}"));
                let explained = case.explanation.as_ref().map(ToString::to_string);
                let name = format!("FAILED  {}", case.name);
                [Some(name), explained, refused].into_iter().flatten().collect()
            }
            Self::Rego(test) => {
                let problem = test.problem.as_deref().unwrap_or("it is not true");
                vec![format!("FAILED  {}", test.name), format!("  {problem}")]
            }
        }
    }
}

async fn test(policy: &bailiwick_policy::Policy, file: Option<&Path>, as_json: bool) -> Result<()> {
    let mut outcomes = Vec::new();
    if let Some(rego) = &policy.config().rego {
        outcomes.extend(rego.test()?.into_iter().map(Outcome::Rego));
    }
    if let Some(file) = file {
        let results = cases(file)?.run(policy).await.map_err(told)?;
        outcomes.extend(results.into_iter().map(|case| Outcome::Case(Box::new(case))));
    }
    if outcomes.is_empty() {
        bail!("there is nothing to test; name a table of cases, or write `test_` rules in Rego");
    }
    if as_json {
        print::json(&outcomes)?;
    }
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.passed()).collect();
    if !as_json {
        failed.iter().flat_map(|outcome| outcome.failure()).try_for_each(print::line)?;
    }
    if !failed.is_empty() {
        bail!("{} of {} cases failed", failed.len(), outcomes.len());
    }
    if as_json { Ok(()) } else { print::line(format!("{} cases hold", outcomes.len())) }
}

/// A table of cases, in TOML or JSON.
pub(crate) fn cases(file: &Path) -> Result<Cases> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    if file.extension().is_some_and(|kind| kind == "json") {
        json(&text).with_context(|| file.display().to_string())
    } else {
        toml_file::parse(&text, file)
    }
}

/// A JSON object, or `@` and the name of a file that holds one.
pub(crate) fn object(text: &str) -> Result<Map<String, Value>> {
    let text = match text.strip_prefix('@') {
        Some(file) => {
            std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?
        }
        None => text.to_owned(),
    };
    json(&text).context("write a JSON object, or @ and the name of a file")
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T> {
    Ok(bailiwick_json::read(text.as_bytes())?)
}
