//! `bailiwick config check`.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use bailiwick_authority::{Audit, Vault};
use bailiwick_identity::Verifier;
use bailiwick_models::Embedders;

use crate::assemble;
use crate::config::Config;
use crate::print;

pub(crate) fn run(config: &Config, path: &Path) -> Result<()> {
    let policy = assemble::policy(config)?;
    // Started and dropped at once: starting is what checks the table.
    drop(Verifier::start(config.identity.clone())?);
    config.authority.validate()?;
    let scratch = tempfile::tempdir()?;
    Vault::new(config.vault.collections.clone(), Arc::new(Audit::open(scratch.path())?))?;
    for file in config.vault.collections.iter().filter_map(|collection| collection.file.as_ref()) {
        File::open(file)
            .with_context(|| format!("vault.collection: cannot read {}", file.display()))?;
    }
    Embedders::configured(&config.embedding, &config.data_dir)?;
    bailiwick_models::reranker(&config.rerank)?;
    bailiwick_answer::answerer(&config.answer)?;
    for (rule, attribute) in policy.open_by_absence() {
        print::warning(&format!(
            "{rule}: with `absent = \"allow\"`, a document without `{attribute}` passes this rule, \
             and one whose author forgets `{attribute}` does too; to be safe, make the attribute \
             required, with a value for documents that everybody may read"
        ));
    }
    print::line(format!("{} is right", path.display()))
}
