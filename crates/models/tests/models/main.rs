//! The models through their public surface, against a real HTTP peer.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod endpoints;
mod peer;
mod static_table;
