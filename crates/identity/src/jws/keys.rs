//! Public keys: one key, one algorithm, each judged alone.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use bailiwick_json::{Fault, Limits, read_within};
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use super::strict::is_key_id;
use crate::{Algorithm, Rejection};

mod material;

use material::Material;

const MAX_KEYS: usize = 100;
const MAX_BYTES: usize = 512 * 1024;
const SET_LIMITS: Limits = Limits { depth: 16, members: 8192 };

/// Members that only a private key has (RFC 7518 section 6, RFC 8037 section 2).
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// The public keys of one issuer or one client.
///
/// Invariant: a set belongs to one issuer; keys of two issuers never share one, because a `kid`
/// is only unique within its issuer.
#[derive(Clone, Default)]
pub struct KeySet {
    named: HashMap<String, Key>,
    /// The key of a PEM file has no name, serves whatever `kid` says, and is alone in its set.
    nameless: Option<Key>,
}

#[derive(Clone)]
pub(super) struct Key {
    algorithm: Algorithm,
    material: Material,
    decoding: DecodingKey,
}

/// A key that was left out of a [`KeySet`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredKey {
    /// Its place in the document, from 0.
    pub position: usize,
    /// Why it is not used.
    pub reason: &'static str,
    /// Whether the document gives a private key away: its owner must replace that key at once.
    pub private: bool,
}

/// Why a whole document gives no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Longer than 512 KiB.
    #[error("the key set is longer than 512 KiB; publish only the keys that sign tokens")]
    TooLong,
    /// Not an object with a list `keys`, or ambiguous JSON.
    #[error("the key set is not a JWK set: {0}")]
    Malformed(&'static str),
    /// More than 100 keys.
    #[error("the key set has more than 100 keys; publish only the keys that sign tokens")]
    TooManyKeys,
    /// A PEM file that does not hold exactly one usable public key.
    #[error("the PEM file gives no public key: {0}")]
    Pem(&'static str),
}

impl KeySet {
    /// Reads a JWK set (RFC 7517).
    ///
    /// Keys that cannot be trusted for signatures are left out one by one and reported; the set
    /// that remains may be empty.
    ///
    /// # Errors
    /// When the document as a whole cannot be trusted.
    pub fn from_jwks(json: &[u8]) -> Result<(KeySet, Vec<IgnoredKey>), KeySetError> {
        if json.len() > MAX_BYTES {
            return Err(KeySetError::TooLong);
        }
        let document: Map<String, Value> =
            read_within(json, SET_LIMITS).map_err(|e| set_fault(e.fault()))?;
        let Some(Value::Array(list)) = document.get("keys") else {
            return Err(KeySetError::Malformed("it has no list `keys`"));
        };
        if list.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys);
        }

        let mut ignored = Vec::new();
        let mut found: HashMap<String, Option<Key>> = HashMap::new();
        for (position, jwk) in list.iter().enumerate() {
            match read(jwk) {
                Ok((id, key)) => match found.entry(id) {
                    Entry::Vacant(free) => {
                        free.insert(Some(key));
                    }
                    Entry::Occupied(mut taken) => {
                        if taken.get().as_ref().is_none_or(|first| !first.same_as(&key)) {
                            taken.insert(None);
                            let reason = "another key has the same kid, so none of them is used";
                            ignored.push(IgnoredKey { position, reason, private: false });
                        }
                    }
                },
                Err(reason) => {
                    let private = reason == PRIVATE;
                    ignored.push(IgnoredKey { position, reason, private });
                }
            }
        }
        let named = found.into_iter().filter_map(|(id, key)| Some((id, key?))).collect();
        Ok((KeySet { named, nameless: None }, ignored))
    }

    /// Reads one public key in PEM (`PUBLIC KEY`, RFC 7468), the way clients are registered.
    ///
    /// An RSA key is for RS256, P-256 for ES256, P-384 for ES384, Ed25519 for EdDSA.
    /// It verifies tokens with any `kid` and with none.
    ///
    /// # Errors
    /// [`KeySetError::Pem`] if there is not exactly one usable public key.
    pub fn from_pem(pem: &[u8]) -> Result<KeySet, KeySetError> {
        let (algorithm, material) = material::from_pem(pem).map_err(KeySetError::Pem)?;
        let key = Key::new(algorithm, material);
        Ok(KeySet { named: HashMap::new(), nameless: Some(key) })
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.named.len() + usize::from(self.nameless.is_some())
    }

    /// Whether there is no key, so that nothing verifies.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn contains(&self, key_id: &str) -> bool {
        self.named.contains_key(key_id)
    }

    pub(super) fn find(&self, key_id: Option<&str>) -> Result<&Key, Rejection> {
        if let Some(key) = &self.nameless {
            return Ok(key);
        }
        let key_id = key_id.ok_or(Rejection::invalid("kid is missing"))?;
        self.named.get(key_id).ok_or(Rejection::invalid("kid names no key that is known"))
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KeySet").field("keys", &self.len()).finish_non_exhaustive()
    }
}

impl Key {
    fn new(algorithm: Algorithm, material: Material) -> Key {
        Key { algorithm, decoding: material.decoding(), material }
    }

    fn same_as(&self, other: &Key) -> bool {
        self.algorithm == other.algorithm && self.material == other.material
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }
}

const PRIVATE: &str = "it is a private key, which its owner must replace at once";

fn set_fault(fault: Fault) -> KeySetError {
    KeySetError::Malformed(match fault {
        Fault::Syntax => "it is not JSON",
        Fault::Shape => "it is not a JSON object",
        Fault::Duplicate => "it has a duplicate member",
        Fault::TooDeep => "it is nested too deeply",
        Fault::TooManyMembers => "it has too many members",
    })
}

/// Reads one JWK; the error is the reason to ignore it.
fn read(jwk: &Value) -> Result<(String, Key), &'static str> {
    let jwk = jwk.as_object().ok_or("it is not an object")?;
    let kind = text(jwk, "kty")?.ok_or("kty is missing")?;
    if kind == "oct" || jwk.contains_key("k") {
        return Err("it is a symmetric key");
    }
    if PRIVATE_MEMBERS.iter().any(|name| jwk.contains_key(*name)) {
        return Err(PRIVATE);
    }
    let id = text(jwk, "kid")?.filter(|id| is_key_id(id)).ok_or("kid is missing or unusable")?;
    if text(jwk, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err("use is not sig");
    }
    match jwk.get("key_ops") {
        None => {}
        Some(Value::Array(list)) if list.iter().any(|operation| operation == "verify") => {}
        Some(_) => return Err("key_ops does not list verify"),
    }
    let (algorithm, material) = material::from_jwk(kind, jwk)?;
    Ok((id.to_owned(), Key::new(algorithm, material)))
}

/// A member that must be a string when it is there.
fn text<'j>(jwk: &'j Map<String, Value>, name: &str) -> Result<Option<&'j str>, &'static str> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err("a member that must be a string is not one"),
    }
}
