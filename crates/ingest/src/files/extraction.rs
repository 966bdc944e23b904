//! The text of files in formats whose readers a hostile file can crash, stall or make take all
//! memory: extracted by a worker process, one for each file.

use std::io;
use std::thread;
use std::time::Duration;

use bailiwick_worker::{Death, Limits, Worker, confine, serve};
use serde::{Deserialize, Serialize};

use super::{Problem, docx, html, pdf};
use crate::intake::MAX_TEXT_BYTES;

const MEMORY_BYTES: u64 = 1 << 30;
/// The longest that one file may take, also on a busy machine.
const TIME: Duration = Duration::from_secs(60);
/// Bytes of an answer: a text, or a problem in a few words.
const ANSWER_BYTES: u64 = MAX_TEXT_BYTES as u64 + 4096;

/// Readers recurse with the depth of a file, within bounds of their own.
const STACK_BYTES: usize = 16 << 20;

/// Process in which the readers of such formats run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extraction {
    /// In a worker process of this program, which must be `bailiwick`.
    Worker,
    /// In this process, which a hostile file can end: for files that are trusted.
    InThisProcess,
}

/// Format of a file whose text a worker extracts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// HTML.
    Html,
    /// PDF.
    Pdf,
    /// DOCX.
    Docx,
}

/// Cause for which a worker gives no text.
#[derive(Debug, Serialize, Deserialize)]
enum Fault {
    Broken(String),
    Encoding,
    TooLarge(u64),
}

impl Extraction {
    /// The text of a file: Markdown of HTML and DOCX, plain text of PDF.
    pub(super) fn text(self, format: Format, bytes: Vec<u8>) -> Result<String, Problem> {
        match self {
            Self::Worker => by_worker(format, &bytes),
            Self::InThisProcess => on_a_large_stack(format, bytes),
        }
    }
}

/// A request is the file; an answer is 0 and the text, or 1 and the fault.
fn by_worker(format: Format, file: &[u8]) -> Result<String, Problem> {
    let worker = Worker::start(&["worker", "extract", format.name()]);
    let answer = worker.and_then(|mut worker| worker.call(file, TIME, ANSWER_BYTES));
    let answer = answer.map_err(|death| match death {
        Death::Io(error) => Problem::Io(error),
        Death::Output => Problem::TooLarge(MAX_TEXT_BYTES as u64),
        other => Problem::broken(other),
    })?;
    let damaged = || Problem::Io(io::Error::other("the worker's answer is not understood"));
    match answer.split_first() {
        Some((0, text)) => String::from_utf8(text.to_vec()).map_err(|_| damaged()),
        Some((1, fault)) => Err(match serde_json::from_slice(fault).map_err(|_| damaged())? {
            Fault::Broken(why) => Problem::Broken(why),
            Fault::Encoding => Problem::Encoding,
            Fault::TooLarge(bytes) => Problem::TooLarge(bytes),
        }),
        _ => Err(damaged()),
    }
}

/// Extracts the texts of files of a format for the process that started this one, within limits.
///
/// # Errors
/// When the limits cannot be set, or a pipe fails.
pub fn serve_extraction(format: Format) -> io::Result<()> {
    confine(Limits { memory_bytes: MEMORY_BYTES, cpu_seconds: format.cpu_seconds() })?;
    serve(|file| match on_a_large_stack(format, file.to_vec()) {
        Ok(text) => [&[0], text.as_bytes()].concat(),
        Err(problem) => {
            let fault = serde_json::to_vec(&Fault::of(problem)).unwrap_or_default();
            [&[1], fault.as_slice()].concat()
        }
    })
}

impl Format {
    /// The formats.
    pub const ALL: [Self; 3] = [Self::Html, Self::Pdf, Self::Docx];

    /// Its name on a worker's command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Pdf => "pdf",
            Self::Docx => "docx",
        }
    }

    /// CPU time that one file may take. Pages of a PDF are drawn one by one, and a book has a thousand.
    fn cpu_seconds(self) -> u64 {
        if self == Self::Pdf { 30 } else { 10 }
    }
}

impl Fault {
    fn of(problem: Problem) -> Self {
        match problem {
            Problem::Encoding => Self::Encoding,
            Problem::TooLarge(bytes) => Self::TooLarge(bytes),
            Problem::Broken(why) => Self::Broken(why),
            other => Self::Broken(other.to_string()),
        }
    }
}

/// Readers may panic on files that they do not expect, and recurse.
fn on_a_large_stack(format: Format, bytes: Vec<u8>) -> Result<String, Problem> {
    let read = move || match format {
        Format::Html => html::read(&super::text(bytes)?),
        Format::Pdf => pdf::read(&bytes),
        Format::Docx => docx::read(&bytes),
    };
    let reader =
        thread::Builder::new().name("reader".into()).stack_size(STACK_BYTES).spawn(read)?;
    reader
        .join()
        .unwrap_or_else(|_| Err(Problem::broken("it holds what its reader does not understand")))
}
