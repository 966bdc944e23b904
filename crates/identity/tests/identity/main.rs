//! The crate from outside: a real provider on a loopback port, real signatures, hostile tokens.
//!
//! Ids such as `H6` or `8725-4` in assertion messages are those of the project's list of attacks.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests fail by panicking"
)]

mod accepted;
mod configuration;
mod discovery;
mod groups;
mod key_sets;
mod kinds;
mod laws;
mod logs;
mod outage;
mod provider;
mod refused;
mod signer;
mod world;
mod wycheproof;
