//! The routes: each reads its request, calls what does the work, and writes its answer.

pub(crate) mod admin;
pub(crate) mod authsec;
pub(crate) mod documents;
pub(crate) mod me;
pub(crate) mod oauth;
pub(crate) mod operations;
pub(crate) mod pages;
pub(crate) mod rag;
pub(crate) mod vault;
