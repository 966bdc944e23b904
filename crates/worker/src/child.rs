//! The side that works.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::frame::{self, Frame};

/// Descriptors that a worker may have open: its pipes and a few for the standard library.
const OPEN_FILES: u64 = 16;

/// How far a worker may go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Memory beyond what the program takes when it starts, in bytes of address space.
    pub memory_bytes: u64,
    /// CPU time of the whole process, in seconds.
    pub cpu_seconds: u64,
}

/// Puts this process within limits, for good: memory, CPU time, files, and no core dump, which
/// would hold what it worked on.
///
/// # Errors
/// When the system refuses a limit; nothing may be read then.
pub fn confine(limits: Limits) -> io::Result<()> {
    let within =
        |resource, most| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    if let Some(taken) = address_space()? {
        within(Resource::As, taken.saturating_add(limits.memory_bytes))?;
    }
    within(Resource::Cpu, limits.cpu_seconds)?;
    within(Resource::Nofile, OPEN_FILES)?;
    within(Resource::Fsize, 0)?;
    within(Resource::Core, 0)?;
    Ok(())
}

/// Bytes of address space that this process takes now, where the system limits them.
fn address_space() -> io::Result<Option<u64>> {
    if !cfg!(target_os = "linux") {
        return Ok(None);
    }
    // proc_pid_statm(5): the first number counts pages.
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split_whitespace().next().and_then(|pages| pages.parse::<u64>().ok());
    let pages = pages.ok_or_else(|| io::Error::other("/proc/self/statm is not understood"))?;
    Ok(Some(pages.saturating_mul(rustix::param::page_size() as u64)))
}

/// Answers each request of the parent, until it closes the pipe.
///
/// # Errors
/// When a pipe fails, or this process is not a worker's child.
pub fn serve(mut handle: impl FnMut(&[u8]) -> Vec<u8>) -> io::Result<()> {
    let (mut requests, mut answers) = (io::stdin().lock(), io::stdout().lock());
    while let Frame::Message(request) = frame::read(&mut requests, u64::MAX)? {
        frame::write(&mut answers, &handle(&request))?;
    }
    Ok(())
}
