#![doc = include_str!("../README.md")]

mod authorize;
mod key;
mod memory;
mod page;
mod people;
mod provider;
mod published;
mod refusal;
mod sign_in;
mod sign_out;
mod token;
mod userinfo;

pub use people::{PeopleError, Person, parse_people};
pub use provider::{DevProvider, DevProviderError, Settings};
pub use sign_in::{SignInError, Tokens, sign_in};
