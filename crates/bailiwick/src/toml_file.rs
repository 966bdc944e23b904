//! Reads TOML, and says where it is wrong and what was probably meant.

use std::path::Path;

use anyhow::{Result, anyhow};
use serde::de::DeserializeOwned;

/// Reads the text of a file. The error names the file, the line, and the key or the table; never a
/// value, which may be a secret in the wrong place.
pub(crate) fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T> {
    toml::from_str(text).map_err(|error| {
        let place = error.span().map_or_else(String::new, |span| place(text, span.start));
        let problem = match nearest(error.message()) {
            Some((unknown, meant)) => format!("`{unknown}` is unknown; did you mean `{meant}`?"),
            None => error.message().to_owned(),
        };
        anyhow!("{}{place}: {problem}", path.display())
    })
}

fn place(text: &str, start: usize) -> String {
    let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count();
    let written = text.lines().nth(line).unwrap_or_default().trim();
    let name = match written.split_once('=') {
        Some((key, _)) if !written.starts_with('[') => key.trim_end(),
        _ if written.starts_with('[') => written,
        _ => "",
    };
    let comma = if name.is_empty() { "" } else { ", " };
    format!(", line {}{comma}{name}", line + 1)
}

/// Out of serde's message, the name that is unknown, and the known one that is most like it.
fn nearest(message: &str) -> Option<(&str, &str)> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let is_name = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let unknown = quoted.next().filter(|_| is_name)?;
    let ranked = quoted.map(|known| (strsim::damerau_levenshtein(unknown, known), known));
    let (distance, known) = ranked.min()?;
    (distance <= 1 + unknown.len() / 2).then_some((unknown, known))
}
