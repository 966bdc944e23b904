//! What people and programs read on the terminal.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;

/// Prints a failure with its causes, and gives the exit code for it.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    // Nothing is left to do when even standard error is closed.
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    ExitCode::FAILURE
}

/// Prints a line. A closed pipe ends the program's work quietly, as with `head`.
pub(crate) fn line(text: impl std::fmt::Display) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Prints data as JSON.
pub(crate) fn json(data: &impl Serialize) -> Result<()> {
    line(serde_json::to_string_pretty(data)?)
}
