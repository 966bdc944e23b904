//! The side that asks.

use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use thiserror::Error;

use crate::frame::{self, Frame};

/// Bytes of a dying worker's last words that are read.
const LAST_WORDS: u64 = 4096;

/// Signals of POSIX by which workers die, with their numbers on Linux and macOS.
const ABORTED: i32 = 6;
const KILLED: i32 = 9;
const CPU_TIME: i32 = 24;

/// Why a worker gave no answer. It never does again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Death {
    /// It cannot be started, or a pipe to it failed.
    #[error("the worker process cannot be used: {0}")]
    Io(#[from] io::Error),
    /// It ran out of memory.
    #[error("it takes more memory than it may")]
    Memory,
    /// It took all of its CPU time, or longer than its caller waits.
    #[error("it takes longer than it may")]
    Time,
    /// Its answer is longer than its caller takes.
    #[error("it gives more than it may")]
    Output,
    /// It crashed.
    #[error("its reader crashed")]
    Crash,
}

/// The program that runs now, also when its file was replaced since it was started.
fn this_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}

/// A child process that works on what it is sent.
#[derive(Debug)]
pub struct Worker {
    child: Mutex<Child>,
    requests: ChildStdin,
    answers: ChildStdout,
    last_words: ChildStderr,
}

impl Worker {
    /// Starts this program with other arguments, by which it must [`confine`](crate::confine)
    /// itself and then [`serve`](crate::serve). It inherits no environment and no files.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn start(arguments: &[&str]) -> Result<Self, Death> {
        let mut child = Command::new(this_program()?)
            .args(arguments)
            .env_clear()
            .current_dir("/")
            // A signal of the terminal is for the parent, which ends its workers itself.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(requests), Some(answers), Some(last_words)) = pipes else {
            return Err(io::Error::other("a pipe is missing").into());
        };
        Ok(Self { child: Mutex::new(child), requests, answers, last_words })
    }

    /// Sends a request and waits for the answer. Blocks.
    ///
    /// # Errors
    /// Why there is none; the worker has ended then.
    pub fn call(
        &mut self,
        request: &[u8],
        time: Duration,
        max_bytes: u64,
    ) -> Result<Vec<u8>, Death> {
        let overdue = AtomicBool::new(false);
        let (answered, waiting) = channel::<()>();
        let Self { child, requests, answers, .. } = self;
        let (child, is_overdue) = (&*child, &overdue);
        let answer = thread::scope(|scope| {
            scope.spawn(move || {
                if waiting.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                    is_overdue.store(true, Ordering::Relaxed);
                    kill(child);
                }
            });
            // On a thread of its own: a worker that dies may leave most of a request unread, and
            // what it did say is still to be read.
            scope.spawn(|| frame::write(requests, request));
            let answer = frame::read(answers, max_bytes);
            drop(answered);
            // One that closed its pipe is ending by itself, and how it ends tells why.
            if matches!(answer, Ok(Frame::TooLong) | Err(_)) {
                kill(child);
            }
            answer
        });
        match answer {
            Ok(Frame::Message(answer)) => Ok(answer),
            Ok(Frame::TooLong) => Err(Death::Output),
            Ok(Frame::End) if overdue.into_inner() => Err(Death::Time),
            Ok(Frame::End) => Err(self.cause_of_death()),
            Err(error) => Err(error.into()),
        }
    }

    fn cause_of_death(&mut self) -> Death {
        let status = match self.child.get_mut().unwrap_or_else(PoisonError::into_inner).wait() {
            Ok(status) => status,
            Err(error) => return error.into(),
        };
        let mut words = String::new();
        // Without them the exit status has to do.
        let _ = (&mut self.last_words).take(LAST_WORDS).read_to_string(&mut words);
        cause(status, &words)
    }
}

/// An allocation that fails aborts, and says so; a process that used up its CPU time is signalled,
/// and killed where it does not react.
fn cause(status: ExitStatus, words: &str) -> Death {
    match status.signal() {
        Some(ABORTED) if words.contains("memory allocation of") => Death::Memory,
        Some(CPU_TIME | KILLED) => Death::Time,
        _ if words.contains("Cannot allocate memory") => Death::Memory,
        _ => Death::Crash,
    }
}

fn kill(child: &Mutex<Child>) {
    // Only a process that has ended cannot be killed.
    let _ = child.lock().unwrap_or_else(PoisonError::into_inner).kill();
}

impl Drop for Worker {
    fn drop(&mut self) {
        kill(&self.child);
        // Otherwise it would stay in the system's table of processes.
        let _ = self.child.get_mut().unwrap_or_else(PoisonError::into_inner).wait();
    }
}
