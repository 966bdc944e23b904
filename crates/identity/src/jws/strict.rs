//! The reader that stands before any cryptography: the form of a token and its header.

use bailiwick_json::{Fault, Limits, read_within};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::{MAX_TOKEN_BYTES, Profile};
use crate::{Algorithm, Rejection};

/// Header members that bring in keys, change what is signed, or ask for features that we lack.
const REFUSED_MEMBERS: [&str; 8] = ["crit", "jku", "jwk", "x5u", "x5c", "b64", "zip", "cty"];

const HEADER_LIMITS: Limits = Limits { depth: 4, members: 32 };
const KEY_ID_BYTES: usize = 256;

/// A token of the right form, with an allowed algorithm, whose signature nobody has checked yet.
pub(crate) struct Unverified<'t> {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    /// Header, dot, payload: the bytes that are signed.
    pub(crate) signed: &'t str,
    pub(crate) signature: &'t str,
    pub(crate) payload: Vec<u8>,
}

impl<'t> Unverified<'t> {
    pub(crate) fn read(token: &'t str, profile: &Profile) -> Result<Self, Rejection> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Rejection::invalid("token is longer than allowed"));
        }
        let (signed, header, payload, signature) = segments(token)
            .ok_or(Rejection::invalid("token does not have exactly three segments"))?;
        let header = decode(header, "header is not canonical base64url")?;
        let payload = decode(payload, "payload is not canonical base64url")?;
        if decode(signature, "signature is not canonical base64url")?.is_empty() {
            return Err(Rejection::invalid("signature is empty"));
        }

        let header: Map<String, Value> =
            read_within(&header, HEADER_LIMITS).map_err(|e| header_fault(e.fault()))?;
        if REFUSED_MEMBERS.iter().any(|name| header.contains_key(*name)) {
            return Err(Rejection::invalid(
                "header has one of crit, jku, jwk, x5u, x5c, b64, zip, cty",
            ));
        }
        let algorithm = algorithm(&header, profile)?;
        token_type(&header, profile)?;
        Ok(Unverified { algorithm, key_id: key_id(&header)?, signed, signature, payload })
    }
}

/// What is signed, and its two parts, and the signature.
fn segments(token: &str) -> Option<(&str, &str, &str, &str)> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    (!payload.contains('.')).then_some((signed, header, payload, signature))
}

/// The decoder refuses padding, the other alphabet and bits beyond the last byte, so that two
/// different texts never carry the same token.
fn decode(segment: &str, cause: &'static str) -> Result<Vec<u8>, Rejection> {
    URL_SAFE_NO_PAD.decode(segment).map_err(|_| Rejection::invalid(cause))
}

fn header_fault(fault: Fault) -> Rejection {
    Rejection::invalid(match fault {
        Fault::Syntax => "header is not JSON",
        Fault::Shape => "header is not a JSON object",
        Fault::Duplicate => "header has a duplicate member",
        Fault::TooDeep => "header is nested too deeply",
        Fault::TooManyMembers => "header has too many members",
    })
}

fn algorithm(header: &Map<String, Value>, profile: &Profile) -> Result<Algorithm, Rejection> {
    header
        .get("alg")
        .and_then(Value::as_str)
        .and_then(Algorithm::named)
        .filter(|algorithm| profile.algorithms.contains(algorithm))
        .ok_or(Rejection::invalid("alg is not one of the allowed algorithms"))
}

fn key_id(header: &Map<String, Value>) -> Result<Option<String>, Rejection> {
    match header.get("kid") {
        None => Ok(None),
        Some(Value::String(id)) if is_key_id(id) => Ok(Some(id.clone())),
        Some(_) => Err(Rejection::invalid("kid is not a short printable string")),
    }
}

/// Whether a text may name a key: printable ASCII without spaces.
pub(super) fn is_key_id(id: &str) -> bool {
    (1..=KEY_ID_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn token_type(header: &Map<String, Value>, profile: &Profile) -> Result<(), Rejection> {
    let allowed = match header.get("typ") {
        None => profile.untyped,
        Some(Value::String(found)) => profile
            .token_types
            .iter()
            .any(|t| media_type(t).eq_ignore_ascii_case(media_type(found))),
        Some(_) => false,
    };
    if allowed { Ok(()) } else { Err(Rejection::invalid("typ is not one of the allowed types")) }
}

/// RFC 7515 section 4.1.9: `application/` may be left out, and case does not matter.
fn media_type(name: &str) -> &str {
    const PREFIX: &str = "application/";
    match name.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        _ => name,
    }
}
