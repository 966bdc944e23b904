//! Decisions for callers that have no asynchronous runtime.

use std::io;
use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};

use crate::engine::Unavailable;

/// One for all, because connections to an engine live as long as their runtime.
static RUNTIME: LazyLock<io::Result<Runtime>> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_all().build());

/// Waits for a decision, or an explanation, outside of an asynchronous runtime.
///
/// # Errors
/// Those of what it waits for, and when the machine gives no thread to wait with.
pub fn wait<T>(decision: impl Future<Output = Result<T, Unavailable>>) -> Result<T, Unavailable> {
    match &*RUNTIME {
        Ok(runtime) => runtime.block_on(decision),
        Err(error) => Err(Unavailable::because(error.to_string())),
    }
}
