//! The log: lines on standard error, which nothing waits for.
//!
//! Whoever reads standard error may be slow, stopped or gone. A thread of its own writes the lines,
//! and what finds too many waiting is dropped and counted, so that no request ends with the log.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal, Write};
use std::panic::{self, PanicHookInfo};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, LogFormat};
use crate::print;

/// Most lines that wait to be written.
const WAITING_LINES: usize = 10_000;
/// Longest time that the end of the program waits for them.
const FLUSH: Duration = Duration::from_secs(1);
/// Counts the lines that nobody can read.
const DROPPED: &str = "bailiwick_log_lines_dropped_total";

/// The way to standard error, for lines that must not delay their writer. Those that wait are
/// written when it is dropped.
pub(crate) struct Log(Queue);

enum Message {
    Line(Vec<u8>),
    /// Everything before it is written: let its sender go.
    Flush(SyncSender<()>),
}

#[derive(Clone)]
struct Queue {
    messages: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

/// Sends the log to standard error, and panics to the log.
pub(crate) fn start(cli: &Cli) -> Log {
    let quiet = !matches!(cli.command, Command::Serve);
    let default = if quiet { "warn" } else { "info" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let queue = Queue::start();
    let writer = queue.clone();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .log_internal_errors(false)
        .with_writer(move || writer.clone());
    match cli.log_format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
    panic::set_hook(Box::new(panicked));
    Log(queue)
}

impl Log {
    /// Prints why the program fails, after what was logged until then, and gives the exit code.
    pub(crate) fn failure(&self, error: &anyhow::Error) -> ExitCode {
        self.0.send(print::failure(error).into_bytes());
        ExitCode::FAILURE
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let (written, all_written) = sync_channel(1);
        // Nobody reads where the queue is full, and nobody will.
        if self.0.messages.try_send(Message::Flush(written)).is_ok() {
            let _ = all_written.recv_timeout(FLUSH);
        }
    }
}

impl Queue {
    fn start() -> Self {
        let (messages, waiting) = sync_channel(WAITING_LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let queue = Self { messages, dropped };
        let counter = queue.clone();
        // Without the thread every line is dropped and counted.
        let _ = thread::Builder::new().name("log".into()).spawn(move || counter.write_out(waiting));
        queue
    }

    fn send(&self, line: Vec<u8>) {
        if self.messages.try_send(Message::Line(line)).is_err() {
            self.count_dropped();
        }
    }

    fn count_dropped(&self) {
        let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        metrics::counter!(DROPPED).absolute(dropped);
    }

    /// Writes what waits, for as long as the program lives.
    fn write_out(&self, waiting: Receiver<Message>) {
        let mut said = 0;
        for message in waiting {
            match message {
                Message::Flush(written) => drop(written),
                Message::Line(line) => match io::stderr().write_all(&line) {
                    Ok(()) => self.say_dropped(&mut said),
                    Err(_) => self.count_dropped(),
                },
            }
        }
    }

    /// Logs how many lines are missing, now that lines are read again.
    fn say_dropped(&self, said: &mut u64) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > *said {
            let lines = dropped - *said;
            *said = dropped;
            tracing::warn!(lines, "the log lacks lines: standard error was not read in time");
        }
    }
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.send(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Logs where something panicked. What it says is told only where it was written so by a
/// programmer, because a text that was put together may hold anything.
fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let message = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or_default();
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace);
    let backtrace = backtrace.as_ref().map(tracing::field::display);
    let thread = thread::current();
    tracing::error!(place, message, thread = thread.name(), backtrace, "a thread panicked");
}
