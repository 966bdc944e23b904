//! `bailiwick config check`.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use bailiwick_authority::{Audit, Vault};
use bailiwick_identity::Verifier;

use crate::assemble;
use crate::config::Config;
use crate::print;

pub(crate) fn run(config: &Config, path: &Path) -> Result<()> {
    assemble::policy(config)?;
    // Started and dropped at once: starting is what checks the table.
    drop(Verifier::start(config.identity.clone())?);
    config.authority.validate()?;
    let scratch = tempfile::tempdir()?;
    Vault::new(config.vault.collections.clone(), Arc::new(Audit::open(scratch.path())?))?;
    bailiwick_models::embedder(&config.embedding)?;
    bailiwick_answer::answerer(&config.answer)?;
    print::line(format!("{} is right", path.display()))
}
