//! Files and folders → documents.

mod attributes;
mod docx;
mod extraction;
mod html;
mod json;
mod markdown;
mod pdf;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_policy::Schema;
use bailiwick_redact::without_values;
use ignore::WalkBuilder;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::document::{CONTENT_TYPE, SourceDocument};
use crate::intake::MAX_TEXT_BYTES;

pub use self::extraction::{Extraction, Format, serve_extraction};

/// The most bytes of one file.
const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// How files are read.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// The attributes that documents have, so that they are found in the records of JSON files and
    /// kept out of the text.
    pub schema: Arc<Schema>,
    /// Metadata for every document that does not say otherwise itself, such as attributes from the
    /// command line.
    pub metadata: Map<String, Value>,
    /// Where the readers of HTML, PDF and DOCX run.
    pub extraction: Extraction,
    /// A folder that is passed over, such as the data directory.
    pub passed_over: Option<PathBuf>,
}

/// What a path holds.
#[derive(Debug, Default)]
pub struct Found {
    /// Its files, in a stable order.
    pub files: Vec<FileSource>,
    /// What of it cannot be read.
    pub left_out: Vec<LeftOut>,
}

/// A file or folder that is left out.
#[derive(Debug)]
pub struct LeftOut {
    /// Id of the file, or of the folder beneath which files may still be. Empty: that is
    /// everything. None: it cannot have given documents.
    pub id: Option<String>,
    /// The cause.
    pub error: FileError,
}

/// A file that was found, to be read when its turn comes.
#[derive(Clone, Debug)]
pub struct FileSource {
    id: String,
    path: PathBuf,
    root: PathBuf,
    options: FileOptions,
}

/// A file, and why it gives no document.
#[derive(Debug, Error)]
#[error("`{file}` {problem}")]
pub struct FileError {
    /// The path, as far as it is known.
    pub file: String,
    /// What is wrong, and what to do.
    pub problem: Problem,
}

/// Why a file gives no document.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Problem {
    /// It cannot be opened or read.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// A folder cannot be walked.
    #[error("cannot be searched: {0}")]
    Walk(#[from] ignore::Error),
    /// Its name ends in nothing that is known.
    #[error(
        "is of a kind that is not read; convert it to Markdown, text, HTML, PDF, DOCX, JSON or JSONL"
    )]
    Unsupported,
    /// It is a symbolic link, or something else that is no file.
    #[error("is not a regular file; links are not followed, name their target instead")]
    NotAFile,
    /// It is not text.
    #[error("is not UTF-8; convert it")]
    Encoding,
    /// It holds no text, like a scanned page.
    #[error("holds no text")]
    Empty,
    /// It, or what it unpacks to, is too much.
    #[error("holds more than {0} bytes; split it")]
    TooLarge(u64),
    /// It is a sidecar, and what it describes is not there.
    #[error("describes a file that is not there; remove it or give it that file's name")]
    Orphan,
    /// Two files would be one document.
    #[error("has the same id as `{0}`; name the folder that holds both")]
    SameId(String),
    /// Its path is not text, so that it gives no id.
    #[error("has a name that is not UTF-8; rename it")]
    Name,
    /// It is the folder that is passed over, or in it.
    #[error("is in the data directory; name what is outside of it")]
    PassedOver,
    /// Its content is not what its name says.
    #[error("is broken: {0}")]
    Broken(String),
}

impl Problem {
    /// What a parser says of a file, without what the file says.
    pub(crate) fn broken(why: impl std::fmt::Display) -> Self {
        Self::Broken(crate::http::printable(&without_values(why)))
    }

    /// The error of this file.
    #[must_use]
    pub fn of(self, file: &Path) -> FileError {
        FileError { file: shown(file), problem: self }
    }
}

/// Returns a path as text that does not steer a terminal: bytes that are not UTF-8 and characters
/// that are not visible are escaped.
pub fn shown(path: &Path) -> String {
    let mut text = String::new();
    for piece in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        for c in piece.valid().chars() {
            if crate::http::is_hidden(c) {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        text.push_str(&piece.invalid().escape_ascii().to_string());
    }
    text
}

/// Finds the files of a file or folder.
///
/// Hidden files and what a `.gitignore` or `.ignore` inside a folder names are passed over, sidecars
/// belong to their files, and everything else is returned, so that what cannot be read is reported.
pub fn discover(path: &Path, options: &FileOptions) -> Found {
    let mut found = Found::default();
    match is_folder(path, options) {
        Ok(is_folder) => walk(path, is_folder, options, &mut found),
        Err(problem) => {
            found.left_out.push(LeftOut { id: Some(String::new()), error: problem.of(path) });
        }
    }
    found
}

fn is_folder(path: &Path, options: &FileOptions) -> Result<bool, Problem> {
    let is_folder = path.metadata()?.is_dir();
    if let Some(folder) = options.passed_over.as_ref().and_then(|folder| folder.canonicalize().ok())
        && path.canonicalize()?.starts_with(folder)
    {
        return Err(Problem::PassedOver);
    }
    Ok(is_folder)
}

fn walk(path: &Path, is_folder: bool, options: &FileOptions, found: &mut Found) {
    // A file stands in its folder, so that it is called and described as when the folder is read.
    let root = if is_folder { path } else { path.parent().unwrap_or(Path::new("")) };
    let mut walk = WalkBuilder::new(path);
    // What stands outside the folder does not decide what is in it.
    walk.parents(false).git_global(false).git_exclude(false).require_git(false);
    walk.sort_by_file_path(Path::cmp);
    let identity = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    let passed_over = options.passed_over.as_deref().and_then(identity);
    walk.filter_entry(move |entry| {
        let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
        !is_folder || passed_over.is_none() || identity(entry.path()) != passed_over
    });
    for entry in walk.build() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(cause) => {
                let at = failed_at(&cause).unwrap_or(path).to_owned();
                let id = Some(id_below(root, &at).unwrap_or_default());
                found.left_out.push(LeftOut { id, error: Problem::from(cause).of(&at) });
                continue;
            }
        };
        let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
        let file = entry.path();
        if is_folder
            || (entry.depth() == 0 && root == path)
            || attributes::is_sidecar_of_something(file)
        {
            continue;
        }
        match id_below(root, file) {
            Some(id) => {
                let (path, root, options) = (entry.into_path(), root.to_owned(), options.clone());
                found.files.push(FileSource { id, path, root, options });
            }
            None => found.left_out.push(LeftOut { id: None, error: Problem::Name.of(file) }),
        }
    }
}

/// The folder or file that a walk could not enter.
fn failed_at(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            failed_at(err)
        }
        ignore::Error::Loop { child, .. } => Some(child),
        _ => None,
    }
}

/// The path below the root, with forward slashes on every system. None if it is not UTF-8.
fn id_below(root: &Path, file: &Path) -> Option<String> {
    let below = file.strip_prefix(root).unwrap_or(file);
    let parts = below.components().map(|part| part.as_os_str().to_str());
    Some(parts.collect::<Option<Vec<&str>>>()?.join("/"))
}

impl FileSource {
    /// The id of its document, or what the ids of its records start with.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its documents. The metadata of each is joined from, the strongest last: the options, the
    /// `.bailiwick.toml` of every folder from the root down, the file's sidecar
    /// (`<file>.meta.json` or `<file>.meta.toml`), and its own front matter or fields.
    ///
    /// # Errors
    /// [`FileError`] with the file's name and what is wrong with it, or with one of its records.
    pub fn read(&self) -> Result<Vec<SourceDocument>, FileError> {
        self.records().into_iter().collect()
    }

    /// Like [`FileSource::read`], and one record that is wrong does not take the others with it. A
    /// file that cannot be read at all is one error.
    pub fn records(&self) -> Vec<Result<SourceDocument, FileError>> {
        let records = self.documents().unwrap_or_else(|problem| vec![Err(problem)]);
        let named = records.into_iter().map(|record| record.map_err(|cause| cause.of(&self.path)));
        named.collect()
    }

    fn documents(&self) -> Result<Vec<Result<SourceDocument, Problem>>, Problem> {
        regular(&self.path)?;
        let kind = Kind::of(&self.path)?;
        let schema = &self.options.schema;
        let mut inherited = self.options.metadata.clone();
        schema.overlay(&mut inherited, attributes::of_folders(&self.root, &self.path, schema)?);
        schema.overlay(&mut inherited, attributes::of_sidecar(&self.path)?);
        let bytes = bytes(&self.path)?;
        let extraction = self.options.extraction;
        let drafts = match kind {
            Kind::Markdown => vec![Ok(markdown::read(&text(bytes)?)?)],
            Kind::Text => vec![Ok(Draft::plain(text(bytes)?))],
            Kind::Html => vec![Ok(Draft::markdown(extraction.text(Format::Html, bytes)?))],
            Kind::Pdf => vec![Ok(Draft::plain(extraction.text(Format::Pdf, bytes)?))],
            Kind::Docx => vec![Ok(Draft::markdown(extraction.text(Format::Docx, bytes)?))],
            Kind::Json => json::read(&text(bytes)?, schema)?.into_iter().map(Ok).collect(),
            Kind::JsonLines => json::read_lines(&text(bytes)?, schema),
        };
        if drafts.is_empty() {
            return Err(Problem::Empty);
        }
        let finished = drafts.into_iter().map(|draft: Result<Draft, Problem>| {
            draft?.finish(&self.id, inherited.clone(), schema)
        });
        Ok(finished.collect())
    }
}

/// A document that does not know yet where it came from.
#[derive(Debug)]
struct Draft {
    id: DraftId,
    text: String,
    content_type: &'static str,
    metadata: Map<String, Value>,
}

#[derive(Debug)]
enum DraftId {
    /// The file's.
    File,
    /// The file's, then `#` and this.
    Record(String),
    /// This one.
    Own(String),
}

impl Draft {
    fn plain(text: String) -> Self {
        let (id, metadata) = (DraftId::File, Map::new());
        Self { id, text, content_type: "text/plain", metadata }
    }

    fn markdown(text: String) -> Self {
        Self { content_type: "text/markdown", ..Self::plain(text) }
    }

    fn finish(
        self,
        file: &str,
        mut metadata: Map<String, Value>,
        schema: &Schema,
    ) -> Result<SourceDocument, Problem> {
        if self.text.trim().is_empty() {
            return Err(match self.id {
                DraftId::Record(id) => Problem::broken(format!("record `{id}` holds no text")),
                _ => Problem::Empty,
            });
        }
        if self.text.len() > MAX_TEXT_BYTES {
            return Err(Problem::TooLarge(MAX_TEXT_BYTES as u64));
        }
        schema.overlay(&mut metadata, self.metadata);
        metadata.insert(CONTENT_TYPE.into(), self.content_type.into());
        let id = match self.id {
            DraftId::File => file.to_owned(),
            DraftId::Record(record) => format!("{file}#{record}"),
            DraftId::Own(id) => id,
        };
        Ok(SourceDocument { id, text: self.text, metadata })
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Markdown,
    Text,
    Html,
    Pdf,
    Docx,
    Json,
    JsonLines,
}

impl Kind {
    fn of(path: &Path) -> Result<Self, Problem> {
        if attributes::described_by(path).is_some() {
            return Err(Problem::Orphan);
        }
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match ending.as_str() {
            "md" | "markdown" => Ok(Self::Markdown),
            "txt" | "text" => Ok(Self::Text),
            "html" | "htm" | "xhtml" => Ok(Self::Html),
            "pdf" => Ok(Self::Pdf),
            "docx" => Ok(Self::Docx),
            "json" => Ok(Self::Json),
            "jsonl" | "ndjson" => Ok(Self::JsonLines),
            _ => Err(Problem::Unsupported),
        }
    }
}

fn regular(path: &Path) -> Result<(), Problem> {
    if path.symlink_metadata()?.is_file() { Ok(()) } else { Err(Problem::NotAFile) }
}

/// The bytes of a regular file. A link is refused even when it replaced the file since it was found.
fn bytes(path: &Path) -> Result<Vec<u8>, Problem> {
    regular(path)?;
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(Problem::TooLarge(FILE_BYTES));
    }
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> Result<String, Problem> {
    let text = String::from_utf8(bytes).map_err(|_| Problem::Encoding)?;
    if text.contains('\0') {
        return Err(Problem::Encoding);
    }
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
