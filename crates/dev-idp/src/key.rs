//! The key that signs everything.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Map, Value};

/// The key that signs everything, made at start and never written anywhere.
pub(crate) struct SigningKey {
    private: EncodingKey,
    public: Jwk,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("the RSA key could not be made")]
    Generate(#[from] Unspecified),
    #[error("the RSA key could not be used: {0}")]
    Use(#[from] jsonwebtoken::errors::Error),
}

impl SigningKey {
    pub(crate) fn generate() -> Result<Self, KeyError> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
        let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair)?;
        // The reader of PEM is the one that unwraps PKCS #8 to the PKCS #1 that the signer wants.
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(pkcs8.as_ref())
        );
        let private = EncodingKey::from_rsa_pem(pem.as_bytes())?;
        let mut public = Jwk::from_encoding_key(&private, Algorithm::RS256)?;
        public.common.key_id = Some(public.thumbprint(ThumbprintHash::SHA256)?);
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { private, public })
    }

    pub(crate) fn published(&self) -> JwkSet {
        JwkSet { keys: vec![self.public.clone()] }
    }

    /// Signs a token whose header says `typ`.
    pub(crate) fn sign(&self, typ: &str, claims: &Map<String, Value>) -> Result<String, KeyError> {
        let header = Header {
            typ: Some(typ.to_owned()),
            kid: self.public.common.key_id.clone(),
            ..Header::new(Algorithm::RS256)
        };
        Ok(jsonwebtoken::encode(&header, claims, &self.private)?)
    }

    /// The claims of an access token that this key signed and that is still valid.
    pub(crate) fn read(
        &self,
        token: &str,
        issuer: &str,
        audience: &str,
    ) -> Option<Map<String, Value>> {
        let mut rules = Validation::new(Algorithm::RS256);
        rules.leeway = 0;
        rules.set_issuer(&[issuer]);
        rules.set_audience(&[audience]);
        rules.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
        let key = DecodingKey::from_jwk(&self.public).ok()?;
        let read = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &rules).ok()?;
        (read.header.typ.as_deref() == Some(ACCESS_TOKEN)).then_some(read.claims)
    }
}

/// The `typ` of an access token (RFC 9068 section 2.1).
pub(crate) const ACCESS_TOKEN: &str = "at+jwt";
/// The `typ` of an ID token.
pub(crate) const ID_TOKEN: &str = "JWT";
