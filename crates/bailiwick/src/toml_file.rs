//! Reads TOML, and says where it is wrong and what was probably meant.

use std::path::Path;

use anyhow::{Result, anyhow};
use bailiwick_redact::without_values;
use serde::de::DeserializeOwned;

/// Reads the text of a file. The error names the file, the line, and the key or the table; never a
/// value, which may be a secret in the wrong place.
pub(crate) fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T> {
    toml::from_str(text).map_err(|error| {
        let place = error.span().map_or_else(String::new, |span| place(text, span.start));
        let problem = meant(error.message()).unwrap_or_else(|| without_values(error.message()));
        anyhow!("{}{place}: {problem}", path.display())
    })
}

fn place(text: &str, start: usize) -> String {
    let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count();
    // What is no TOML may have anything before a `=`.
    let is_toml = text.parse::<toml::Table>().is_ok();
    let written = text.lines().nth(line).filter(|_| is_toml).and_then(name);
    let name = written.map(|name| format!(", {name}")).unwrap_or_default();
    format!(", line {}{name}", line + 1)
}

/// The key or the table's header with which a line begins.
fn name(line: &str) -> Option<&str> {
    let line = line.trim();
    let is_name = |name: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        !name.is_empty() && name.chars().all(plain)
    };
    if line.starts_with('[') {
        let (header, _) = line.split_once('#').unwrap_or((line, ""));
        let header = header.trim_end();
        return is_name(header.trim_matches(['[', ']'])).then_some(header);
    }
    let (key, _) = line.split_once('=')?;
    is_name(key.trim_end()).then_some(key.trim_end())
}

/// Out of serde's message about an unknown name, the known one that is most like it. An unknown
/// key is named; an unknown value is not.
fn meant(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let is_key = message.starts_with("unknown field");
    let unknown = quoted.next().filter(|_| is_key || message.starts_with("unknown variant"))?;
    let ranked = quoted.map(|known| (strsim::damerau_levenshtein(unknown, known), known));
    let (distance, known) = ranked.min()?;
    let unknown_is = if is_key { format!("`{unknown}` is") } else { "this value is".into() };
    (distance <= 1 + unknown.len() / 2)
        .then(|| format!("{unknown_is} unknown; did you mean `{known}`?"))
}
