//! The numbers that a public key is made of, and whether they are strong enough.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use super::text;
use crate::Algorithm;

const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
const EXPONENT_BYTES: usize = 4;
const ED25519_BYTES: usize = 32;

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point that lies on its curve.
    Ec(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl Material {
    pub(super) fn decoding(&self) -> DecodingKey {
        match self {
            Material::Rsa { n, e } => DecodingKey::from_rsa_raw_components(n, e),
            Material::Ec(point) => DecodingKey::from_ec_der(point),
            Material::Ed25519(point) => DecodingKey::from_ed_der(point),
        }
    }
}

/// Reads the key of a JWK of type `kind`; the error is the reason to ignore it.
pub(super) fn from_jwk(
    kind: &str,
    jwk: &Map<String, Value>,
) -> Result<(Algorithm, Material), &'static str> {
    let says = text(jwk, "alg")?;
    let declared = says.map(|name| Algorithm::named(name).ok_or("alg is not supported"));
    let declared = declared.transpose()?;
    let (algorithm, material) = match (kind, text(jwk, "crv")?) {
        ("RSA", _) => {
            // OpenID Connect's default, for the providers that publish no alg.
            let algorithm = declared.unwrap_or(Algorithm::RS256);
            (algorithm, rsa(&number(jwk, "n")?, &number(jwk, "e")?)?)
        }
        ("EC", Some("P-256")) => (Algorithm::ES256, ec_from_coordinates(jwk, 32)?),
        ("EC", Some("P-384")) => (Algorithm::ES384, ec_from_coordinates(jwk, 48)?),
        ("OKP", Some("Ed25519")) => (Algorithm::EdDSA, ed25519(number(jwk, "x")?)?),
        _ => return Err("kty or crv is not supported"),
    };
    let agrees = match declared {
        None => true,
        Some(declared) if kind == "RSA" => declared.is_rsa(),
        Some(declared) => declared == algorithm,
    };
    if agrees { Ok((algorithm, material)) } else { Err("alg does not fit the key") }
}

/// Reads the one public key of a PEM text; the error says what is wrong with it.
pub(super) fn from_pem(pem: &[u8]) -> Result<(Algorithm, Material), &'static str> {
    let text = std::str::from_utf8(pem).map_err(|_| "it is not text")?;
    if text.contains("PRIVATE KEY") {
        return Err("it holds a private key; register the public one");
    }
    if text.matches("-----BEGIN ").count() != 1 || !text.contains("-----BEGIN PUBLIC KEY-----") {
        return Err("it does not hold exactly one block `PUBLIC KEY`");
    }
    if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
        let der = key.try_get_as_bytes().map_err(|_| "the RSA key is malformed")?;
        let key =
            aws_lc_rs::rsa::PublicKey::from_der(der).map_err(|_| "the RSA key is malformed")?;
        let parts = RsaPublicKeyComponents::<Vec<u8>>::from(&key);
        return Ok((Algorithm::RS256, rsa(&parts.n, &parts.e)?));
    }
    if let Ok(key) = DecodingKey::from_ec_pem(pem) {
        return ec(key.try_get_as_bytes().map_err(|_| "the EC key is malformed")?.to_vec());
    }
    let key = DecodingKey::from_ed_pem(pem).map_err(|_| "it is no RSA, EC or Ed25519 key")?;
    let point = key.try_get_as_bytes().map_err(|_| "the Ed25519 key is malformed")?;
    Ok((Algorithm::EdDSA, ed25519(point.to_vec())?))
}

fn number(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    let encoded = text(jwk, name)?.ok_or("a number of the key is missing")?;
    URL_SAFE_NO_PAD.decode(encoded).map_err(|_| "a number of the key is not base64url")
}

fn rsa(n: &[u8], e: &[u8]) -> Result<Material, &'static str> {
    let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if !MODULUS_BITS.contains(&bits) {
        return Err("the RSA modulus does not have 2048 to 8192 bits");
    }
    let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    if !odd(e) || *e == [1] || e.len() > EXPONENT_BYTES {
        return Err("the RSA exponent is not an odd number from 3 to 2^32");
    }
    if !odd(n) || has_roca_fingerprint(n) {
        return Err("the RSA modulus can be factored");
    }
    Ok(Material::Rsa { n: n.to_vec(), e: e.to_vec() })
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// Whether the modulus has the structure of CVE-2017-15361 (ROCA): modulo each of these primes it
/// is a power of 65537.
/// By chance an honest modulus looks so less than once in 10^8.
fn has_roca_fingerprint(n: &[u8]) -> bool {
    const PRIMES: [u32; 17] =
        [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
    PRIMES.iter().all(|prime| {
        let residue = n.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        std::iter::successors(Some(1), |power| Some(power * (65_537 % prime) % prime))
            .take(*prime as usize)
            .any(|power| power == residue)
    })
}

fn ec_from_coordinates(jwk: &Map<String, Value>, size: usize) -> Result<Material, &'static str> {
    let (x, y) = (number(jwk, "x")?, number(jwk, "y")?);
    if x.len() != size || y.len() != size {
        return Err("a coordinate has the wrong length");
    }
    Ok(ec([&[4], x.as_slice(), y.as_slice()].concat())?.1)
}

/// Takes an uncompressed point, whose length tells the curve.
fn ec(point: Vec<u8>) -> Result<(Algorithm, Material), &'static str> {
    let (algorithm, curve) = match point.len() {
        65 => (Algorithm::ES256, &ECDSA_P256_SHA256_FIXED),
        97 => (Algorithm::ES384, &ECDSA_P384_SHA384_FIXED),
        _ => return Err("the curve is not P-256 or P-384"),
    };
    ParsedPublicKey::new(curve, &point).map_err(|_| "the point does not lie on the curve")?;
    Ok((algorithm, Material::Ec(point)))
}

fn ed25519(point: Vec<u8>) -> Result<Material, &'static str> {
    if point.len() != ED25519_BYTES {
        return Err("the Ed25519 key does not have 32 bytes");
    }
    Ok(Material::Ed25519(point))
}
