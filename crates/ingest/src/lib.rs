#![doc = include_str!("../README.md")]

mod document;
pub mod files;
mod generation;
mod http;
mod intake;
mod record;
mod remote;
mod split;
mod token;
pub mod vault;

pub use document::{
    BATCH_BYTES, BATCH_DOCUMENTS, CONTENT_TYPE, Metadata, READER_NAMES, STAMPS, SourceDocument,
    batches,
};
pub use generation::change_embedder;
pub use http::HttpError;
pub use intake::{
    Intake, IntakeError, MAX_METADATA_BYTES, MAX_TEXT_BYTES, Refusal, Stamp, Unlabelled,
};
pub use remote::Remote;
pub use token::{DelegationToken, DelegationTokens};
