//! What a policy in Rego is made of: files, and the digest that names their contents.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value as Json;
use utoipa::ToSchema;

use super::RegoConfig;
use crate::policy::PolicyError;
use crate::revision::hexadecimal;

/// A policy in Rego by its texts, where no files are.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegoTexts {
    /// Texts of Rego v1, each under the name that explanations and errors call it by.
    pub files: BTreeMap<String, String>,
    /// Documents that are merged into `data`. Default: none.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub data: Vec<Json>,
}

impl RegoTexts {
    pub(super) fn sources(&self) -> Sources {
        let files = self.files.iter().map(|(name, text)| (name.clone(), text.clone()));
        let data = self.data.iter().map(|document| ("data".to_owned(), document.to_string()));
        Sources { files: files.collect(), data: data.collect() }
    }
}

/// The text of every file, in the order of the configuration.
pub(super) struct Sources {
    pub(super) files: Vec<(String, String)>,
    pub(super) data: Vec<(String, String)>,
}

impl Sources {
    pub(super) fn read(config: &RegoConfig) -> Result<Self, PolicyError> {
        let mut files = Vec::new();
        for path in &config.files {
            let found = if path.is_dir() { in_folder(path)? } else { vec![path.clone()] };
            for path in found {
                files.push(text(&path)?);
            }
        }
        if files.is_empty() {
            let problem = "`files` names no *.rego file; without one nobody is allowed anything";
            return Err(PolicyError::engine("rego", problem));
        }
        let data = config.data.iter().map(|path| text(path)).collect::<Result<_, _>>()?;
        Ok(Self { files, data })
    }

    /// 64 hexadecimal digits.
    pub(super) fn digest(&self) -> String {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        for (path, text) in self.files.iter().chain(&self.data) {
            // The lengths keep what ends one file apart from what begins the next.
            for part in [path, text] {
                context.update(&(part.len() as u64).to_le_bytes());
                context.update(part.as_bytes());
            }
        }
        hexadecimal(context.finish().as_ref())
    }
}

fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, PolicyError> {
    let failed = |error| unreadable(folder, &error);
    let mut found = Vec::new();
    for entry in folder.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|kind| kind == "rego") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn text(path: &Path) -> Result<(String, String), PolicyError> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    Ok((path.display().to_string(), text))
}

fn unreadable(path: &Path, error: &std::io::Error) -> PolicyError {
    PolicyError::engine("rego", format!("{} cannot be read: {error}", path.display()))
}
