//! People for whom agents act: whose claims are kept as long as their token lasts.
//!
//! The node of a person in a token's lineage is named after the SHA-256 of what is signed in her
//! token, so that all that was exchanged for one token ends with it, and the token itself is kept
//! nowhere. The signature is no part of the name: one of ECDSA can be changed into another that
//! holds for the same content.

use aws_lc_rs::digest::{SHA256, digest};
use bailiwick_identity::{Claims, Rejection, Verifier, jws};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::agent::Bounds;
use crate::authority::{Authority, Inner};
use crate::store;
use crate::token::{self, Refusal, TokenError};

/// What a token for a person is good for.
pub(crate) const READ: &str = "read:documents";

/// What the name of a person's node begins with; a delegation token's begins with a number.
const PREFIX: &str = "person.";

/// Order of the group of P-256 (SEC 2, section 2.4.2).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
/// Order of the group of P-384 (SEC 2, section 2.5.1).
const P384_ORDER: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];

/// Names under which the person who holds one token may be stored.
pub(crate) struct PersonNames {
    /// Name that is written: of header and payload, as they are signed.
    pub(crate) current: String,
    /// Names that releases before this one wrote: of the whole token, with either signature that
    /// holds. Rows under these names last until the token expires.
    former: Vec<String>,
}

impl PersonNames {
    /// Returns the names for `token`, whose signature need not have been checked.
    pub(crate) fn of(token: &str) -> Self {
        let former = std::iter::once(token.to_owned()).chain(with_other_signature(token));
        Self {
            current: name(jws::signing_input(token)),
            former: former.map(|token| name(&token)).collect(),
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.current).chain(&self.former).map(String::as_str)
    }
}

fn name(content: &str) -> String {
    let hash = digest(&SHA256, content.as_bytes());
    let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{hex}")
}

/// Returns `token` with the other ECDSA signature that holds for the same content: (r, n - s) in
/// place of (r, s). `None` if the signature has the length of neither curve.
fn with_other_signature(token: &str) -> Option<String> {
    let (signed, signature) = token.rsplit_once('.')?;
    let mut signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let order: &[u8] = match signature.len() {
        64 => &P256_ORDER,
        96 => &P384_ORDER,
        _ => return None,
    };
    let (_, s) = signature.split_at_mut_checked(order.len())?;
    let mut borrowed = false;
    for (digit, &of_order) in s.iter_mut().zip(order).rev() {
        let (difference, below) = of_order.overflowing_sub(*digit);
        let (difference, below_too) = difference.overflowing_sub(u8::from(borrowed));
        (*digit, borrowed) = (difference, below || below_too);
    }
    Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

pub(crate) fn is_person(jti: &str) -> bool {
    jti.starts_with(PREFIX)
}

/// A person for whom an agent asks, as a verified token says.
///
/// Invariant: only [`Authority::acting`] makes one.
#[derive(Clone, Debug)]
pub struct ActingFor {
    claims: Claims,
    agent: String,
    client_id: String,
    actors: Vec<String>,
    token_id: String,
    expires_at: i64,
    reads: Vec<Bounds>,
}

impl ActingFor {
    /// The person's claims, of the token that she gave the first agent.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The name of the agent that holds the token.
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// Its client id.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The SPIFFE IDs of all agents between the token and the person, the one that holds it first.
    pub fn actors(&self) -> &[String] {
        &self.actors
    }

    /// The token's `jti`.
    pub fn token_id(&self) -> &str {
        &self.token_id
    }

    /// When the token ends, in seconds since 1970-01-01 UTC; the person's does not end before.
    pub fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// What is read must be within all of these.
    pub fn reads(&self) -> &[Bounds] {
        &self.reads
    }
}

impl Authority {
    /// Whether a token says that it is one of ours. Only to choose what to verify it with: nothing
    /// of it is true yet.
    pub fn may_have_issued(&self, token: &str) -> bool {
        let says = token::peek(token).and_then(|claims| claims.get("iss").cloned());
        says.as_ref().and_then(Value::as_str) == Some(&self.config().issuer)
    }

    /// Verifies a bearer token with which an agent asks for a person: signature, audience, expiry;
    /// then, in the database, that none of the tokens, agents and delegations between it and the
    /// person is revoked, and that each of these agents may still read for people.
    ///
    /// # Errors
    /// See [`TokenError`]. The cause goes to the log and to the audit trail.
    pub async fn acting(
        &self,
        bearer: &str,
        request_id: Option<&str>,
    ) -> Result<ActingFor, TokenError> {
        let (token, people) = (bearer.to_owned(), self.people.clone());
        match self.blocking(move |inner| inner.acting(&token, people.as_deref())).await {
            Ok(acting) => Ok(acting),
            Err(refusal) => Err(self.token_refused(refusal, request_id).await),
        }
    }
}

impl Inner {
    fn acting(&self, token: &str, people: Option<&Verifier>) -> Result<ActingFor, Refusal> {
        let live = self.live_token(token)?;
        let (Some(kept), Some(people)) = (&live.person, people) else {
            return Err(Refusal::invalid("an agent's own token reads nothing"));
        };
        let claims = people.recall(kept)?;
        if !live.audience.iter().any(|one| people.audiences().contains(one)) {
            return Err(Refusal::invalid("the token is for another audience"));
        }
        Ok(ActingFor {
            claims,
            agent: live.holder,
            client_id: live.claims.client_id,
            actors: live.claims.act.map(|act| act.chain()).unwrap_or_default(),
            token_id: live.claims.jti,
            expires_at: live.claims.exp,
            reads: live.reads,
        })
    }

    /// The claims of the person with this node.
    pub(crate) fn kept_person(&self, id: &str) -> Result<String, Refusal> {
        let person = self.store.read(|c| store::person(c, id))?;
        let person = person.ok_or_else(|| Refusal::invalid("the person is not known any more"))?;
        if person.revoked {
            return Err(Refusal::invalid("what was exchanged for the person's token is revoked"));
        }
        Ok(person.claims)
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        let error = match rejection {
            Rejection::Expired(_) => TokenError::Expired,
            Rejection::Invalid(_) => TokenError::Invalid,
            Rejection::Unavailable(_) => TokenError::Unavailable,
        };
        Self { error, cause: rejection.cause().to_owned() }
    }
}
