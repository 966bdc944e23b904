//! Why a token was not accepted: one text for its bearer, another for the log.

/// Why a token was not accepted.
///
/// `Display` is what the caller may read; [`Rejection::cause`] is for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The signature holds, but `exp` is past: the client should get a new token.
    #[error("Token has expired")]
    Expired(Cause),
    /// Everything else, on purpose without telling what.
    #[error("Invalid token")]
    Invalid(Cause),
    /// The token is good, and claims that the configuration requires cannot be looked up now.
    #[error("what is known of this person cannot be looked up now; try again later")]
    Unavailable(Cause),
}

/// The precise reason of a [`Rejection`].
///
/// It can only hold a text of this crate, so no part of a token can reach a log through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause(&'static str);

impl Rejection {
    pub(crate) const fn expired(cause: &'static str) -> Self {
        Rejection::Expired(Cause(cause))
    }

    pub(crate) const fn invalid(cause: &'static str) -> Self {
        Rejection::Invalid(Cause(cause))
    }

    pub(crate) const fn unavailable(cause: &'static str) -> Self {
        Rejection::Unavailable(Cause(cause))
    }

    /// The precise reason, for the log: it says more than a caller should learn.
    pub fn cause(&self) -> &'static str {
        match self {
            Rejection::Expired(Cause(cause))
            | Rejection::Invalid(Cause(cause))
            | Rejection::Unavailable(Cause(cause)) => cause,
        }
    }
}
