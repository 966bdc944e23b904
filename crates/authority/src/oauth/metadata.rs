//! What clients read to find their way: RFC 8414 and RFC 9728.

use serde_json::{Value, json};

use super::client::{ALGORITHMS, JWT_BEARER, JWT_SPIFFE};
use super::{CLIENT_CREDENTIALS, TOKEN_EXCHANGE};
use crate::authority::Authority;

impl Authority {
    /// `/.well-known/oauth-authorization-server` (RFC 8414).
    pub fn metadata(&self) -> Value {
        let issuer = &self.config().issuer;
        json!({
            "issuer": issuer,
            "token_endpoint": self.config().token_endpoint(),
            "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
            "revocation_endpoint": format!("{issuer}/oauth/revoke"),
            "introspection_endpoint": format!("{issuer}/oauth/introspect"),
            "response_types_supported": [],
            "grant_types_supported": [CLIENT_CREDENTIALS, TOKEN_EXCHANGE],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
            "revocation_endpoint_auth_methods_supported": ["private_key_jwt"],
            "revocation_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
            "introspection_endpoint_auth_methods_supported": ["private_key_jwt"],
            "introspection_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
            "client_assertion_types_supported": [JWT_BEARER, JWT_SPIFFE],
        })
    }

    /// `/.well-known/oauth-protected-resource` (RFC 9728) of our vault and documents API, which
    /// know these scopes.
    pub fn resource_metadata(&self, scopes: &[String]) -> Value {
        json!({
            "resource": self.config().audience(),
            "authorization_servers": [self.config().issuer],
            "scopes_supported": scopes,
            "bearer_methods_supported": ["header"],
        })
    }
}
