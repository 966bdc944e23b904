//! The ingest state: which documents came from which files, so that those that are gone can be
//! removed.
//!
//! A state belongs to a path as it is named on the command line, not to where a link leads today.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use aws_lc_rs::digest::{SHA256, digest};
use bailiwick_index::SourceName;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Where the manifests are in the data directory.
pub(crate) const FOLDER: &str = "ingested";
/// The extension of a manifest that is being written.
pub(crate) const UNFINISHED: &str = "new";

/// The documents that earlier runs brought from one path.
#[derive(Debug)]
pub(crate) struct Manifest {
    file: PathBuf,
    documents: BTreeMap<String, Stored>,
    /// The state of a release that kept one for all paths of a run, replaced when this one is saved.
    former: Option<PathBuf>,
    /// Ids in other states of such releases, which do not say their paths.
    others: BTreeSet<String>,
}

/// Where a stored document came from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// The file below the path. A state of a former release does not say it.
    pub(crate) file: Option<String>,
    /// The source that it was stored for.
    pub(crate) source: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Contents<'a> {
    path: String,
    documents: std::borrow::Cow<'a, BTreeMap<String, Stored>>,
}

impl Manifest {
    /// Reads what earlier runs wrote for `path`, or for `paths` together.
    pub(crate) fn open(data_dir: &Path, path: &Path, paths: &[PathBuf]) -> Result<Self> {
        let folder = data_dir.join(FOLDER);
        // The prefix tells its name from that of a former release's state.
        let named = [b"path ".as_slice(), absolute(path)?.as_os_str().as_encoded_bytes()].concat();
        let file = folder.join(name_of(&named));
        let contents: Option<Contents<'_>> = read(&file)?;
        let former =
            [&[path.to_owned()], paths].into_iter().find_map(|paths| former(&folder, paths));
        let documents = match (contents, &former) {
            (Some(contents), _) => contents.documents.into_owned(),
            (None, Some(former)) => {
                let ids: BTreeSet<String> = read(former)?.unwrap_or_default();
                ids.into_iter().map(|id| (id, Stored::default())).collect()
            }
            (None, None) => BTreeMap::new(),
        };
        let others = ids_of_former(&folder, former.as_deref());
        Ok(Self { file, documents, former, others })
    }

    /// Whether a run of a former release over other paths brought this document, and none over this
    /// path did.
    pub(crate) fn is_of_another_path(&self, id: &str) -> bool {
        self.others.contains(id) && !self.documents.contains_key(id)
    }

    /// The documents that are not among those `there` and whose file is not `unread`.
    pub(crate) fn gone(
        &self,
        there: impl Fn(&str) -> bool,
        unread: impl Fn(Option<&str>) -> bool,
    ) -> BTreeMap<String, Stored> {
        let gone = self.documents.iter().filter(|(id, _)| !there(id));
        let gone = gone.filter(|(_, stored)| !unread(stored.file.as_deref()));
        gone.map(|(id, stored)| (id.clone(), stored.clone())).collect()
    }

    /// Remembers what was stored and what was removed.
    pub(crate) fn save(
        mut self,
        path: &Path,
        stored: BTreeMap<String, Stored>,
        removed: &BTreeSet<String>,
    ) -> Result<()> {
        self.documents.retain(|id, _| !removed.contains(id));
        self.documents.extend(stored);
        let folder = self.file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let unfinished = self.file.with_extension(UNFINISHED);
        let documents = std::borrow::Cow::Borrowed(&self.documents);
        let contents = Contents { path: absolute(path)?.display().to_string(), documents };
        fs::write(&unfinished, serde_json::to_vec(&contents)?)?;
        fs::rename(unfinished, &self.file)?;
        Ok(())
    }

    /// The state of a former release that this one takes the place of.
    pub(crate) fn former(&self) -> Option<PathBuf> {
        self.former.clone()
    }
}

/// The source that documents below a path belong to unless another is named: the folder's path, in
/// which bytes that no name may hold are escaped.
pub(crate) fn source(path: &Path) -> Result<SourceName> {
    let path = absolute(path)?;
    let folder = if path.is_file() { path.parent().unwrap_or(&path) } else { &path };
    let text = folder.to_str().filter(|text| !text.chars().any(char::is_control));
    let escaped = || folder.as_os_str().as_encoded_bytes().escape_ascii().to_string();
    let name = text.map_or_else(escaped, str::to_owned);
    SourceName::new(&name).map_err(|problem| anyhow::anyhow!("{problem}; name it with --source"))
}

/// The absolute path, in which `.` and `..` are resolved by their letters and links are not.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    let whole = std::path::absolute(path).with_context(|| path.display().to_string())?;
    let mut normal = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::ParentDir => drop(normal.pop()),
            part => normal.push(part),
        }
    }
    Ok(normal)
}

/// The state that a former release kept for these paths, if there is one.
fn former(folder: &Path, paths: &[PathBuf]) -> Option<PathBuf> {
    let named = paths.iter().map(|path| Some(fs::canonicalize(path).ok()?.display().to_string()));
    let mut named: Vec<String> = named.collect::<Option<_>>()?;
    named.sort();
    let file = folder.join(name_of(named.join("\n").as_bytes()));
    let ids: Option<BTreeSet<String>> = read(&file).ok()?;
    ids.is_some().then_some(file)
}

fn ids_of_former(folder: &Path, ours: Option<&Path>) -> BTreeSet<String> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let others = files.filter(|file| Some(file.as_path()) != ours);
    // What is no list is a state of this release, which needs no guess, or damaged.
    others.filter_map(|file| read::<BTreeSet<String>>(&file).ok().flatten()).flatten().collect()
}

fn name_of(text: &[u8]) -> String {
    let name = digest(&SHA256, text);
    let name: String = name.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{name}.json")
}

/// Nothing when there is no such file.
fn read<T: DeserializeOwned>(file: &Path) -> Result<Option<T>> {
    match fs::read(file) {
        Ok(text) => bailiwick_json::read(&text)
            .map(Some)
            .map_err(|_| anyhow!("{} is damaged; remove it", file.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| file.display().to_string()),
    }
}
