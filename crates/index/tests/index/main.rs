//! The embedded index from outside.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod corpus;
mod durability;
mod filters;
mod generation;
mod held;
mod large;
mod noninterference;
mod people;
mod sources;
mod spaces;
mod timing;
mod trouble;
mod writes;

use corpus::{document, metadata, open, options, query, schema, seen, try_open, vector};
