#![doc = include_str!("../README.md")]

mod convert;
mod errors;
mod identity;
mod index;
mod policy;
mod query;

use std::sync::OnceLock;

use pyo3::prelude::*;
use tokio::runtime::Runtime;

/// What `import bailiwick` finds in Rust.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::identity::{Claims, Verifier};
    #[pymodule_export]
    use super::index::Index;
    #[pymodule_export]
    use super::policy::meant_name;
    #[pymodule_export]
    use super::policy::{Bailiwick, Explanation, Policy};
    #[pymodule_export]
    use super::query::Hit;
}

/// The threads behind all that waits: fetching keys, and writing.
fn runtime() -> PyResult<&'static Runtime> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    RUNTIME.get_or_init(Runtime::new).as_ref().map_err(|error| {
        errors::Unavailable::new_err(format!("no thread can be started for bailiwick: {error}"))
    })
}
