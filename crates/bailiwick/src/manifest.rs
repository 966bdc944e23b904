//! Which documents came from which files and folders, so that those that are gone can be removed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use aws_lc_rs::digest::{SHA256, digest};

/// Where the manifests are in the data directory.
pub(crate) const FOLDER: &str = "ingested";
/// The extension of a manifest that is being written.
pub(crate) const UNFINISHED: &str = "new";

/// The ids that the last run over the same paths brought.
#[derive(Debug)]
pub(crate) struct Manifest {
    file: PathBuf,
    ids: BTreeSet<String>,
}

impl Manifest {
    /// Reads what the last run wrote; nothing when there was none.
    pub(crate) fn open(data_dir: &Path, paths: &[PathBuf]) -> Result<Self> {
        let mut named = paths
            .iter()
            .map(|path| fs::canonicalize(path).map(|path| path.display().to_string()))
            .collect::<Result<Vec<_>, _>>()?;
        named.sort();
        let name = digest(&SHA256, named.join("\n").as_bytes());
        let name: String =
            name.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let file = data_dir.join(FOLDER).join(format!("{name}.json"));
        let ids = match fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|_| anyhow!("{} is damaged; remove it", file.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => return Err(error).with_context(|| file.display().to_string()),
        };
        Ok(Self { file, ids })
    }

    /// What the last run brought and this one did not.
    pub(crate) fn gone(&self, ids: &BTreeSet<String>) -> Vec<String> {
        self.ids.difference(ids).cloned().collect()
    }

    /// Remembers what is there now; with `keep`, also what was there before.
    pub(crate) fn save(self, mut ids: BTreeSet<String>, keep: bool) -> Result<()> {
        if keep {
            ids.extend(self.ids);
        }
        let folder = self.file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let unfinished = self.file.with_extension(UNFINISHED);
        fs::write(&unfinished, serde_json::to_vec(&ids)?)?;
        Ok(fs::rename(unfinished, &self.file)?)
    }
}
