#![doc = include_str!("../README.md")]

mod algorithm;
mod claims;
pub mod jws;
mod rejection;

pub use algorithm::Algorithm;
pub use claims::Claims;
pub use rejection::{Cause, Rejection};
