#![doc = include_str!("../README.md")]

mod accept_clock;
mod agent;
pub mod audit;
mod authority;
mod backup;
mod clock;
mod config;
mod database;
mod delegation_token;
mod error;
mod keys;
mod oauth;
mod orders;
mod people;
mod scope;
mod store;
mod token;
pub mod vault;

pub use accept_clock::AcceptedClock;
pub use agent::{
    Agent, Authentication, Bounds, DEFAULT_DELEGATION_SECONDS, Delegation, DelegationId,
    DelegationRequest,
};
pub use audit::{Audit, AuditError};
pub use authority::{Administrator, Authority};
pub use backup::back_up;
pub use clock::{Clock, Timestamp};
pub use config::{AuthorityConfig, MAX_TOKEN_TTL_SECONDS};
pub use database::DatabaseError;
pub use delegation_token::{DelegationTokenRequest, IssueError, IssuedToken};
pub use error::AuthorityError;
pub use oauth::{Form, OAuthError, TokenResponse};
pub use orders::{Act, Order};
pub use people::ActingFor;
pub use scope::{ScopeError, Scopes};
pub use token::{Grant, InsufficientScope, TokenError};
pub use vault::{CollectionConfig, Vault, VaultConfigError, VaultError};
