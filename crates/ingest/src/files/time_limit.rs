//! Reading with libraries that may panic, or take for ever, on files that they do not expect.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::Problem;

/// How long one file may take.
const TIME_LIMIT: Duration = Duration::from_secs(60);

const STACK_BYTES: usize = 16 << 20;

/// Works on a thread of its own. One that is still at it after the time limit is left behind until
/// the process ends.
pub(super) fn within<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let (done, outcome) = channel();
    let work = move || {
        // After the time limit nobody listens any more.
        let _ = done.send(work());
    };
    thread::Builder::new().name("reader".into()).stack_size(STACK_BYTES).spawn(work)?;
    outcome.recv_timeout(TIME_LIMIT).unwrap_or_else(|ended| {
        Err(Problem::broken(match ended {
            RecvTimeoutError::Timeout => "it takes more than a minute to read",
            RecvTimeoutError::Disconnected => "it holds what its reader does not understand",
        }))
    })
}
