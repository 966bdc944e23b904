//! The body of an OAuth request.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded;

use super::{Code, OAuthError};

/// The largest body in bytes, and the most fields.
const MAX_BYTES: usize = 64 * 1024;
const MAX_FIELDS: usize = 64;

/// An `application/x-www-form-urlencoded` body. Its values may be secrets, so none is shown.
pub struct Form {
    fields: Vec<(String, SecretString)>,
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.fields.iter().map(|(name, _)| name)).finish()
    }
}

impl Form {
    /// Parses a body.
    ///
    /// # Errors
    /// `invalid_request`: larger than 64 KiB, or more than 64 fields.
    pub fn parse(body: &[u8]) -> Result<Self, OAuthError> {
        if body.len() > MAX_BYTES {
            return Err(Code::InvalidRequest.error("the form is larger than 64 KiB"));
        }
        let fields: Vec<_> = form_urlencoded::parse(body)
            .take(MAX_FIELDS + 1)
            .map(|(name, value)| (name.into_owned(), SecretString::from(value.into_owned())))
            .collect();
        if fields.len() > MAX_FIELDS {
            return Err(Code::InvalidRequest.error("the form has more than 64 fields"));
        }
        Ok(Self { fields })
    }

    /// A field that stands at most once (RFC 6749 section 3.2).
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, OAuthError> {
        match self.every(name).as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(only)),
            _ => Err(Code::InvalidRequest.error(format!("{name} stands more than once"))),
        }
    }

    /// A field that must stand once.
    pub(super) fn required(&self, name: &str) -> Result<&str, OAuthError> {
        self.one(name)?
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Code::InvalidRequest.error(format!("{name} is missing")))
    }

    /// A field that may stand several times (RFC 8693 section 2.1).
    pub(super) fn every(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(field, _)| field == name);
        named.map(|(_, value)| value.expose_secret()).collect()
    }
}
