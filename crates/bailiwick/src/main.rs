//! The `bailiwick` binary.
fn main() {}
