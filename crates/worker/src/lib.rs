#![doc = include_str!("../README.md")]

mod child;
mod frame;
mod parent;

pub use child::{Limits, confine, serve};
pub use parent::{Death, Worker};
