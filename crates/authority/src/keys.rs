//! The keys that sign our tokens: public halves in the database, private halves in files.
//!
//! Invariant: the current key is read from the database for every token, so a rotation by another
//! process takes over at once.
//! Invariant: a private key is in one file of mode 0600 and in the memory of the signer; nowhere
//! else, and no `Debug` shows it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use bailiwick_identity::jws::KeySet;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretSlice};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::config::MAX_TOKEN_TTL_SECONDS;
use crate::database::{self, DatabaseError};
use crate::error::AuthorityError;
use crate::store::{self, KeyRow, Store, Writing};

/// How long a retired key still verifies, in seconds: the longest token, and a minute for clocks.
pub(crate) const OVERLAP_SECONDS: u64 = MAX_TOKEN_TTL_SECONDS + 60;

/// Larger files are no RSA 2048 keys.
const MAX_FILE_BYTES: u64 = 16 * 1024;

/// The signing keys of one data directory.
pub(crate) struct Keys {
    directory: PathBuf,
    /// Parsed once: reading a key costs more than signing with it.
    signer: Mutex<Option<Arc<Signer>>>,
    verifier: Mutex<Option<Verifier>>,
}

/// One private key.
pub(crate) struct Signer {
    kid: String,
    pair: RsaKeyPair,
}

struct Verifier {
    kids: Vec<String>,
    keys: Arc<KeySet>,
}

impl Keys {
    pub(crate) fn new(directory: PathBuf) -> Result<Self, DatabaseError> {
        database::private_directory(&directory)?;
        Ok(Self { directory, signer: Mutex::default(), verifier: Mutex::default() })
    }

    /// Makes the first key. Returns its id, or `None` when there is one already.
    pub(crate) fn ensure(&self, writing: &Writing<'_>) -> Result<Option<String>, AuthorityError> {
        if writing.keys()?.iter().any(|key| key.retired_at.is_none()) {
            return Ok(None);
        }
        self.rotate(writing).map(Some)
    }

    /// Makes a new key the current one, and removes the private halves of those whose last token
    /// has expired. The public halves stay: they verify checkpoints of the audit trail.
    pub(crate) fn rotate(&self, writing: &Writing<'_>) -> Result<String, AuthorityError> {
        let now = writing.now();
        for key in writing.keys()?.iter().filter(|key| !verifies(key, now)) {
            match fs::remove_file(self.file(&key.kid)) {
                Err(e) if e.kind() != ErrorKind::NotFound => {
                    return Err(DatabaseError::file(&self.file(&key.kid), e).into());
                }
                _ => {}
            }
        }
        let signer = Signer::generate()?;
        let private = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&signer.pair)
            .map_err(|_| AuthorityError::SigningKey("it cannot be encoded".into()))?;
        let file = self.file(&signer.kid);
        write_private(&file, private.as_ref()).map_err(|e| DatabaseError::file(&file, e))?;
        let jwk = signer.jwk().to_string();
        let kid = signer.kid;
        writing.insert_key(&KeyRow { kid: kid.clone(), jwk, retired_at: None }, now)?;
        Ok(kid)
    }

    /// The key that signs now.
    pub(crate) fn signer(&self, store: &Store) -> Result<Arc<Signer>, AuthorityError> {
        let rows = store.read(store::keys)?;
        let current = rows
            .iter()
            .find(|key| key.retired_at.is_none())
            .ok_or_else(|| AuthorityError::SigningKey("the database names none".into()))?;
        let mut loaded = self.signer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signer) = loaded.as_ref().filter(|signer| signer.kid == current.kid) {
            return Ok(Arc::clone(signer));
        }
        let signer = Arc::new(Signer::load(&self.file(&current.kid), &current.kid)?);
        *loaded = Some(Arc::clone(&signer));
        Ok(signer)
    }

    /// The public keys that verify our tokens now, as a JWK Set (RFC 7517).
    pub(crate) fn jwks(&self, store: &Store) -> Result<Value, AuthorityError> {
        jwk_set(&verifying_rows(store)?)
    }

    /// The same, ready to verify with. A key never changes under its id, so ids are compared.
    pub(crate) fn verifying(&self, store: &Store) -> Result<Arc<KeySet>, AuthorityError> {
        let rows = verifying_rows(store)?;
        let mut known = self.verifier.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |verifier: &&Verifier| verifier.kids.iter().eq(rows.iter().map(|row| &row.kid));
        if let Some(verifier) = known.as_ref().filter(same) {
            return Ok(Arc::clone(&verifier.keys));
        }
        let (keys, _) = KeySet::from_jwks(jwk_set(&rows)?.to_string().as_bytes())
            .map_err(|e| AuthorityError::SigningKey(e.to_string()))?;
        let keys = Arc::new(keys);
        let kids = rows.into_iter().map(|row| row.kid).collect();
        *known = Some(Verifier { kids, keys: Arc::clone(&keys) });
        Ok(keys)
    }

    fn file(&self, kid: &str) -> PathBuf {
        self.directory.join(format!("{kid}.pk8"))
    }
}

fn verifying_rows(store: &Store) -> Result<Vec<KeyRow>, AuthorityError> {
    let now = store.clock.now();
    let mut rows = store.read(store::keys)?;
    rows.retain(|key| verifies(key, now));
    Ok(rows)
}

fn jwk_set(rows: &[KeyRow]) -> Result<Value, AuthorityError> {
    let mut keys = Vec::new();
    for row in rows {
        let jwk: Value = serde_json::from_str(&row.jwk)
            .map_err(|e| AuthorityError::SigningKey(format!("public key {}: {e}", row.kid)))?;
        keys.push(jwk);
    }
    Ok(json!({ "keys": keys }))
}

fn verifies(key: &KeyRow, now: Timestamp) -> bool {
    key.retired_at.is_none_or(|at| Timestamp::from_unix(at).plus(OVERLAP_SECONDS) > now)
}

impl Signer {
    fn generate() -> Result<Self, AuthorityError> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048)
            .map_err(|_| AuthorityError::SigningKey("it cannot be made".into()))?;
        Ok(Self { kid: thumbprint(&pair), pair })
    }

    fn load(file: &Path, kid: &str) -> Result<Self, AuthorityError> {
        let wrong = |e| DatabaseError::file(file, e);
        if fs::metadata(file).map_err(wrong)?.len() > MAX_FILE_BYTES {
            return Err(AuthorityError::SigningKey(format!("{} is no key", file.display())));
        }
        let private = SecretSlice::from(fs::read(file).map_err(wrong)?);
        let pair = RsaKeyPair::from_pkcs8(private.expose_secret()).map_err(|e| {
            AuthorityError::SigningKey(format!("{} cannot be used: {e}", file.display()))
        })?;
        if thumbprint(&pair) != kid {
            let text = format!("{} holds another key than its name says", file.display());
            return Err(AuthorityError::SigningKey(text));
        }
        Ok(Self { kid: kid.to_owned(), pair })
    }

    /// The public half.
    fn jwk(&self) -> Value {
        let (n, e) = components(&self.pair);
        json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "n": n, "e": e })
    }

    /// A token (RFC 7515 compact form, RS256, `typ: at+jwt`) with these claims.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<String, AuthorityError> {
        let header = Header { alg: "RS256", typ: "at+jwt", kid: &self.kid };
        let mut token = encoded(&header)?;
        token.push('.');
        token.push_str(&encoded(claims)?);
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        token.push_str(&signature);
        Ok(token)
    }

    /// The signature of a statement that is no token: RSASSA-PKCS1-v1_5 with SHA-256, base64url.
    /// A token's signed text begins with its header, which no statement does.
    pub(crate) fn sign_statement(&self, text: &str) -> Result<String, AuthorityError> {
        self.signature(text.as_bytes())
    }

    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    fn signature(&self, message: &[u8]) -> Result<String, AuthorityError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| AuthorityError::SigningKey("it does not sign".into()))?;
        Ok(URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Whether the key of this row signed the statement.
pub(crate) fn signed(row: &KeyRow, text: &str, signature: &str) -> bool {
    let jwk: Value = serde_json::from_str(&row.jwk).unwrap_or_default();
    let number = |name| {
        let text = jwk.get(name).and_then(Value::as_str)?;
        URL_SAFE_NO_PAD.decode(text).ok()
    };
    let (Some(n), Some(e), Ok(signature)) =
        (number("n"), number("e"), URL_SAFE_NO_PAD.decode(signature))
    else {
        return false;
    };
    let key = RsaPublicKeyComponents { n, e };
    key.verify(&RSA_PKCS1_2048_8192_SHA256, text.as_bytes(), &signature).is_ok()
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

fn encoded(part: &impl Serialize) -> Result<String, AuthorityError> {
    serde_json::to_vec(part)
        .map(|json| URL_SAFE_NO_PAD.encode(json))
        .map_err(|e| AuthorityError::SigningKey(e.to_string()))
}

fn components(pair: &RsaKeyPair) -> (String, String) {
    let public = pair.public_key();
    let encode = |number: &[u8]| URL_SAFE_NO_PAD.encode(number);
    (
        encode(public.modulus().big_endian_without_leading_zero()),
        encode(public.exponent().big_endian_without_leading_zero()),
    )
}

/// RFC 7638: SHA-256 over the required members in alphabetical order, without spaces.
fn thumbprint(pair: &RsaKeyPair) -> String {
    let (n, e) = components(pair);
    let members = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, members.as_bytes()))
}

/// Copies the secret keys of one directory into another, which is made.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), DatabaseError> {
    database::private_directory(to)?;
    let wrong = |e| DatabaseError::file(from, e);
    for entry in fs::read_dir(from).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let (file, copy) = (entry.path(), to.join(entry.file_name()));
        // Anything else is a key that another process is about to write.
        if file.extension().is_none_or(|extension| extension != "pk8" && extension != "hmac") {
            continue;
        }
        match fs::read(&file).map(SecretSlice::from) {
            Ok(private) => write_private(&copy, private.expose_secret())
                .map_err(|e| DatabaseError::file(&copy, e))?,
            // A rotation removes keys whose last token has expired.
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(DatabaseError::file(&file, e)),
        }
    }
    Ok(())
}

/// Writes a file that only its owner reads, whole or not at all, and onto the disk.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension(format!("{}.part", Uuid::new_v4()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}
