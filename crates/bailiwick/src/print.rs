//! What people and programs read on the terminal.

use std::io::Write;

use anyhow::Result;
use serde::Serialize;

/// A failure with its causes, as a line for people.
pub(crate) fn failure(error: &anyhow::Error) -> String {
    format!("error: {}\n", visible(&format!("{error:#}")))
}

/// Prints what an operator should know although the command did its work.
pub(crate) fn warning(text: &str) {
    let _ = writeln!(std::io::stderr(), "warning: {}", visible(text));
}

/// Prints text for people.
pub(crate) fn line(text: impl std::fmt::Display) -> Result<()> {
    write(&visible(&text.to_string()))
}

/// Documents and servers are strangers, and must neither steer the terminal nor turn the direction
/// of reading (CVE-2021-42574).
fn visible(text: &str) -> String {
    let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.replace(|c| steers(c) || turns(c), "\u{fffd}")
}

/// A closed pipe ends the program's work quietly, as with `head`.
fn write(text: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Prints data as JSON.
pub(crate) fn json(data: &impl Serialize) -> Result<()> {
    write(&serde_json::to_string_pretty(data)?)
}
