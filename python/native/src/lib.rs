#![doc = include_str!("../README.md")]

/// What `import bailiwick` finds in Rust.
#[pyo3::pymodule]
mod _native {}
