//! Metadata that stands beside a file: folder-wide in `.bailiwick.toml`, and in sidecars.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use bailiwick_policy::Schema;
use serde_json::{Map, Value};

use super::{Problem, bytes, text};
use crate::intake::MAX_METADATA_BYTES;
use crate::record::Record;

/// The file that describes every document in its folder and beneath.
const FOLDER_WIDE: &str = ".bailiwick.toml";

const SIDECARS: [&str; 2] = ["meta.json", "meta.toml"];

/// What the folders from the root down to the file's own say, the nearest strongest.
pub(super) fn of_folders(
    root: &Path,
    file: &Path,
    schema: &Schema,
) -> Result<Map<String, Value>, Problem> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let outward = folder.ancestors().take_while(|folder| folder.starts_with(root));
    let inward: Vec<PathBuf> = outward.map(|folder| folder.join(FOLDER_WIDE)).collect();
    let mut metadata = Map::new();
    for described in inward.iter().rev() {
        if described.symlink_metadata().is_ok() {
            let nearer = from_toml(described).map_err(|cause| within(described, &cause))?;
            schema.overlay(&mut metadata, nearer);
        }
    }
    Ok(metadata)
}

/// What the file's sidecar says, if it has one.
pub(super) fn of_sidecar(file: &Path) -> Result<Map<String, Value>, Problem> {
    let [json, toml] = SIDECARS.map(|ending| beside(file, ending));
    match (json.symlink_metadata().is_ok(), toml.symlink_metadata().is_ok()) {
        (true, true) => Err(Problem::broken("it has two sidecars; remove one")),
        (true, false) => from_json(&json).map_err(|cause| within(&json, &cause)),
        (false, true) => from_toml(&toml).map_err(|cause| within(&toml, &cause)),
        (false, false) => Ok(Map::new()),
    }
}

/// Whether this is a sidecar whose file is there, and therefore no document.
pub(super) fn is_sidecar_of_something(path: &Path) -> bool {
    described_by(path).is_some_and(|file| file.symlink_metadata().is_ok())
}

/// The file that this path describes, if it is named like a sidecar.
pub(super) fn described_by(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let described = SIDECARS.iter().find_map(|ending| name.strip_suffix(ending)?.strip_suffix('.'));
    Some(path.with_file_name(described.filter(|name| !name.is_empty())?))
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = file.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    file.with_file_name(name)
}

fn from_json(path: &Path) -> Result<Map<String, Value>, Problem> {
    let described: Record =
        bailiwick_json::read(short(path)?.as_bytes()).map_err(Problem::broken)?;
    Ok(described.into_map())
}

fn from_toml(path: &Path) -> Result<Map<String, Value>, Problem> {
    let table: toml::Table =
        toml::from_str(&short(path)?).map_err(|e| Problem::broken(e.message()))?;
    Ok(table.into_iter().map(|(name, value)| (name, json(value))).collect())
}

/// TOML as JSON; a date becomes its text.
fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::Datetime(date) => Value::String(date.to_string()),
        toml::Value::Array(values) => values.into_iter().map(json).collect(),
        toml::Value::Table(table) => {
            table.into_iter().map(|(name, value)| (name, json(value))).collect()
        }
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
    }
}

fn short(path: &Path) -> Result<String, Problem> {
    let text = text(bytes(path)?)?;
    if text.len() > MAX_METADATA_BYTES {
        return Err(Problem::TooLarge(MAX_METADATA_BYTES as u64));
    }
    Ok(text)
}

fn within(path: &Path, cause: &Problem) -> Problem {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Problem::broken(format!("`{name}`, which describes it, {cause}"))
}
