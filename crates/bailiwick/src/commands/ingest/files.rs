//! Files and folders → documents, and the removal of those whose files are gone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use bailiwick_index::SourceName;
use bailiwick_ingest::files::{FileOptions, FileSource, Found, Problem, discover, shown};
use bailiwick_ingest::{SourceDocument, batches};
use bailiwick_policy::Schema;
use indicatif::{ProgressBar, ProgressStyle};

use super::destination::Destination;
use super::{Report, file_options, given_metadata};
use crate::cli::Ingest;
use crate::config::Config;
use crate::manifest::{self, Manifest, Stored};

/// Files that are stored or sent together.
const FILES_AT_ONCE: usize = 64;

/// One path of the command line.
struct Root<'a> {
    path: &'a Path,
    source: SourceName,
    manifest: Manifest,
    files: Vec<FileSource>,
    /// No file was found, as in a folder on which no disk is mounted.
    is_empty: bool,
    stored: BTreeMap<String, Stored>,
    /// Ids of files and folders that were not read, or not all of what they hold was stored.
    unread: BTreeSet<String>,
}

/// One run over all paths.
struct Run<'a> {
    destination: Destination,
    report: &'a mut Report,
    /// The file of each document of this run, so that no document takes another's place.
    seen: HashMap<String, PathBuf>,
    replace: bool,
    bar: ProgressBar,
}

pub(super) async fn ingest(
    options: &Ingest,
    config: &Config,
    schema: Arc<Schema>,
    report: &mut Report,
) -> Result<()> {
    let file_options = FileOptions {
        passed_over: Some(config.data_dir.clone()),
        ..file_options(Arc::clone(&schema), given_metadata(options))
    };
    let mut roots = Vec::new();
    let mut named = BTreeSet::new();
    for path in &options.paths {
        if !named.insert(manifest::absolute(path)?) {
            continue;
        }
        let found = discover(path, &file_options);
        roots.push(Root::open(path, found, options, config, report)?);
    }
    let destination = Destination::open(options, config, schema)?;
    let bar = progress(roots.iter().map(|root| root.files.len()).sum());
    let (seen, replace) = (HashMap::new(), options.replace);
    let mut run = Run { destination, report, seen, replace, bar };
    let mut outcome = Ok(());
    for root in &mut roots {
        outcome = run.store(root).await;
        if outcome.is_err() {
            break;
        }
    }
    run.bar.finish_and_clear();
    let former: BTreeSet<PathBuf> =
        roots.iter().filter_map(|root| root.manifest.former()).collect();
    let there: BTreeSet<String> =
        roots.iter().flat_map(|root| root.stored.keys().cloned()).collect();
    let is_whole = roots.iter().all(|root| root.unread.is_empty());
    for root in roots {
        let mut removed = BTreeSet::new();
        if options.prune && outcome.is_ok() {
            // Of a document that does not say its file, any file may be it.
            let unread = |file: Option<&str>| file.map_or(!is_whole, |file| root.is_unread(file));
            let gone = root.manifest.gone(|id| there.contains(id), unread);
            outcome = run.prune(&root, gone, options.allow_empty, &mut removed).await;
        }
        // What was stored is remembered whatever failed: else no run would ever remove it.
        root.manifest.save(root.path, root.stored, &removed)?;
    }
    for file in former {
        fs::remove_file(file)?;
    }
    outcome
}

impl<'a> Root<'a> {
    fn open(
        path: &'a Path,
        found: Found,
        options: &Ingest,
        config: &Config,
        report: &mut Report,
    ) -> Result<Self> {
        let manifest = Manifest::open(&config.data_dir, path, &options.paths)?;
        let source = match &options.source {
            Some(source) => source.clone(),
            None => manifest::source(path)?,
        };
        let mut unread = BTreeSet::new();
        for left_out in found.left_out {
            let is_gone = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
            let is_gone = matches!(&left_out.error.problem, Problem::Io(error) if is_gone(error));
            if !(is_gone && options.allow_empty) {
                report.left_out.push(left_out.error.to_string());
                unread.extend(left_out.id);
            }
        }
        let (is_empty, files) = (found.files.is_empty(), found.files);
        Ok(Self { path, source, manifest, files, is_empty, stored: BTreeMap::new(), unread })
    }

    /// Whether this file, or a folder that it is in, was not read.
    fn is_unread(&self, file: &str) -> bool {
        let within = |unread: &String| {
            let below = file.strip_prefix(unread.as_str());
            below.is_some_and(|below| {
                unread.is_empty() || below.is_empty() || below.starts_with('/')
            })
        };
        self.unread.iter().any(within)
    }
}

impl Run<'_> {
    /// Stores what the files of a path hold.
    async fn store(&mut self, root: &mut Root<'_>) -> Result<()> {
        for group in std::mem::take(&mut root.files).chunks(FILES_AT_ONCE) {
            let mut documents = Vec::new();
            for file in group {
                documents.extend(self.read(file, root));
                self.bar.inc(1);
            }
            let files: HashMap<&str, &FileSource> =
                group.iter().map(|file| (file.id(), file)).collect();
            let origin: HashMap<String, &FileSource> = documents
                .iter()
                .filter_map(|(file, document)| {
                    Some((document.id.clone(), *files.get(file.as_str())?))
                })
                .collect();
            let documents = documents.into_iter().map(|(_, document)| document).collect();
            for batch in batches(documents) {
                let stored = self.destination.store(batch, Some(&root.source)).await;
                self.report.receipt += stored.receipt;
                for id in stored.ids {
                    let file = origin.get(&id).map(|file| file.id().to_owned());
                    let source = Some(root.source.to_string());
                    root.stored.insert(id, Stored { file, source });
                }
                for (id, reason) in stored.refused {
                    if let Some(file) = origin.get(&id) {
                        self.leave_out(file, Some(&id), &reason, root);
                    }
                }
                if let Some(failure) = stored.failure {
                    return Err(failure);
                }
            }
        }
        Ok(())
    }

    /// The documents of a file, without those that cannot be read or are another's.
    fn read(&mut self, file: &FileSource, root: &mut Root<'_>) -> Vec<(String, SourceDocument)> {
        let mut documents = Vec::new();
        for record in file.records() {
            let document = match record {
                Ok(document) => document,
                Err(error) => {
                    self.report.left_out.push(error.to_string());
                    // A file of a kind that is not read never gave a document.
                    if !matches!(error.problem, Problem::Unsupported) {
                        root.unread.insert(file.id().to_owned());
                    }
                    continue;
                }
            };
            if let Some(other) = self.seen.get(&document.id) {
                let reason = Problem::SameId(shown(other)).to_string();
                self.leave_out(file, Some(&document.id), &reason, root);
            } else if !self.replace && root.manifest.is_of_another_path(&document.id) {
                let reason = "an earlier run over other paths stored the id; ingest those paths as \
                              they were named then, or take the id over with --replace";
                self.leave_out(file, Some(&document.id), reason, root);
            } else {
                self.seen.insert(document.id.clone(), file.path().to_owned());
                documents.push((file.id().to_owned(), document));
            }
        }
        documents
    }

    fn leave_out(
        &mut self,
        file: &FileSource,
        id: Option<&str>,
        reason: &str,
        root: &mut Root<'_>,
    ) {
        let name = shown(file.path());
        let record = id.filter(|id| *id != file.id());
        let record = record.map_or_else(String::new, |id| format!(", `{}`", shown(Path::new(id))));
        self.report.left_out.push(format!("`{name}`{record}: {reason}"));
        root.unread.insert(file.id().to_owned());
    }

    /// Removes the documents of a path that earlier runs brought and that are gone.
    async fn prune(
        &mut self,
        root: &Root<'_>,
        gone: BTreeMap<String, Stored>,
        allow_empty: bool,
        removed: &mut BTreeSet<String>,
    ) -> Result<()> {
        if root.is_empty && !gone.is_empty() && !allow_empty {
            self.report.left_out.push(format!(
                "`{}` holds no file, and {} documents of it are stored: nothing is pruned; to \
                 remove them, pass --allow-empty",
                shown(root.path),
                gone.len()
            ));
            return Ok(());
        }
        for (id, Stored { source, .. }) in gone {
            let named = source.as_deref().and_then(|source| SourceName::new(source).ok());
            let source = named.as_ref().unwrap_or(&root.source);
            self.report.receipt += self.destination.remove(&id, source).await?;
            removed.insert(id);
        }
        Ok(())
    }
}

/// A progress bar, which is silent when nobody watches.
fn progress(files: usize) -> ProgressBar {
    let bar = ProgressBar::new(files as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} files  {eta} left") {
        bar.set_style(style);
    }
    bar
}
