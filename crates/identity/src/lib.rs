#![doc = include_str!("../README.md")]

mod algorithm;
mod claims;
mod config;
mod groups;
pub mod jws;
mod provider;
mod rejection;
mod verifier;

pub use algorithm::Algorithm;
pub use claims::Claims;
pub use config::{IdentityConfig, IdentityConfigError};
pub use groups::GroupsConfig;
pub use provider::is_loopback;
pub use rejection::{Cause, Rejection};
pub use verifier::Verifier;
