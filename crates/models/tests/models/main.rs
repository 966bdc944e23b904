//! The models through their public surface, against a real HTTP peer.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod endpoints;
mod local;
mod peer;
mod published;
mod rerank;
mod static_table;
