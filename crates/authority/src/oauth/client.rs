//! Client authentication: an assertion that only the agent can make.

use bailiwick_identity::Algorithm;
use bailiwick_identity::jws::{self, Profile};
use serde_json::Value;
use spiffe::{JwtBundleSet, JwtSvid};
use uuid::Uuid;

use super::{Code, Form, OAuthError};
use crate::agent::{self, Agent, Authentication};
use crate::authority::Inner;
use crate::clock::Timestamp;
use crate::store::{self, By};
use crate::token;

/// `client_assertion_type` of RFC 7523.
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// `client_assertion_type`s of a JWT-SVID: the OAuth draft for SPIFFE, and AuthSec's.
pub(super) const JWT_SPIFFE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
const AUTHSEC_SVID: &str = "urn:authsec:params:oauth:client-assertion-type:spiffe-svid";

/// What an agent may sign its assertions with.
pub(super) const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];

impl Inner {
    /// The agent that `form` proves.
    ///
    /// # Errors
    /// `invalid_client`, whatever is wrong with the proof.
    pub(super) fn authenticate_client(&self, form: &Form) -> Result<Agent, OAuthError> {
        let now = self.store.now()?;
        let kind = form.one("client_assertion_type")?;
        let assertion = form.one("client_assertion")?;
        let (Some(kind), Some(assertion)) = (kind, assertion) else {
            return Err(refused("there is no client assertion"));
        };
        let agent = match kind {
            JWT_BEARER => self.by_signature(assertion, now)?,
            JWT_SPIFFE | AUTHSEC_SVID => self.by_svid(assertion)?,
            _ => return Err(refused("the client assertion type is unknown")),
        };
        match form.one("client_id")? {
            Some(id) if id != agent.client_id.to_string() && id != agent.spiffe_id => {
                Err(refused("client_id is not the assertion's"))
            }
            _ => Ok(agent),
        }
    }

    /// RFC 7523 section 3, with the agent's registered key.
    fn by_signature(&self, assertion: &str, now: Timestamp) -> Result<Agent, OAuthError> {
        let id = claimed(assertion, "iss")
            .and_then(|iss| Uuid::try_parse(&iss).ok())
            .ok_or_else(|| refused("iss is not a client id"))?;
        let agent = self.known(By::ClientId(id))?;
        let Authentication::PrivateKeyJwt(keys) = &agent.auth else {
            return Err(refused("the agent does not authenticate with its own key"));
        };
        let client_id = agent.client_id.to_string();
        let profile = Profile {
            algorithms: ALGORITHMS.to_vec(),
            ..Profile::client_assertion(client_id.clone(), self.assertion_audiences())
        };
        let claims = jws::verify(assertion, &profile, &agent::client_keys(keys)?, now.unix())
            .map_err(|rejection| refused(rejection.cause()))?;
        if claims.get("sub").and_then(Value::as_str) != Some(client_id.as_str()) {
            return Err(refused("sub is not iss"));
        }
        let jti = claims.get("jti").and_then(Value::as_str);
        let expires = claims.get("exp").and_then(Value::as_i64);
        let (Some(jti), Some(expires)) = (jti, expires) else {
            return Err(refused("jti or exp is missing"));
        };
        // Without `iat` it may be as old as an assertion can be.
        let oldest = expires.saturating_sub_unsigned(profile.max_lifetime_seconds);
        let issued = claims.get("iat").and_then(Value::as_i64).unwrap_or(oldest);
        if issued <= self.store.read(store::accepted_at)? {
            return Err(refused("the assertion is of before the clock was accepted"));
        }
        if !self.store.write(|writing| writing.use_assertion(agent.client_id, jti, expires))? {
            return Err(refused("the assertion was used before"));
        }
        Ok(agent)
    }

    /// A JWT-SVID of the agent's SPIFFE ID, with the agent's registered trust bundle.
    ///
    /// Workloads reuse an SVID until it expires, so a second use is no replay.
    fn by_svid(&self, assertion: &str) -> Result<Agent, OAuthError> {
        let id = claimed(assertion, "sub").ok_or_else(|| refused("sub is missing"))?;
        let agent = self.known(By::SpiffeId(&id))?;
        let Authentication::JwtSvid(bundle) = &agent.auth else {
            return Err(refused("the agent does not authenticate with a JWT-SVID"));
        };
        let bundle = agent::trust_bundle(self.trust_domain.clone(), bundle)?;
        let bundles: JwtBundleSet = std::iter::once(bundle).collect();
        let svid = JwtSvid::parse_and_validate(assertion, &bundles, &self.assertion_audiences())
            .map_err(|e| {
                tracing::debug!(cause = %e, "a JWT-SVID was refused");
                refused("the JWT-SVID does not hold")
            })?;
        if svid.spiffe_id().to_string() != agent.spiffe_id {
            return Err(refused("sub is not the agent's SPIFFE ID"));
        }
        Ok(agent)
    }

    fn known(&self, by: By<'_>) -> Result<Agent, OAuthError> {
        let agent = self.store.read(|c| store::agent(c, by))?;
        let agent = agent.ok_or_else(|| refused("there is no such agent"))?;
        if agent.revoked_at.is_some() {
            return Err(refused("the agent is revoked"));
        }
        Ok(agent)
    }

    fn assertion_audiences(&self) -> Vec<String> {
        vec![self.config.token_endpoint(), self.config.issuer.clone()]
    }
}

fn refused(cause: &str) -> OAuthError {
    Code::InvalidClient.error(cause)
}

/// What an assertion says of itself, to find the key that must have signed it.
fn claimed(assertion: &str, claim: &str) -> Option<String> {
    token::peek(assertion)?.get(claim)?.as_str().map(str::to_owned)
}
