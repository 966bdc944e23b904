//! What the trail keeps of a question.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use aws_lc_rs::{hmac, rand};
use secrecy::{ExposeSecret, SecretSlice};
use serde::Deserialize;

use super::Event;
use super::chain::hex;
use crate::database::{self, DatabaseError};
use crate::error::AuthorityError;
use crate::keys;

/// `[audit] query` of the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuestionsKept {
    /// Nothing.
    #[default]
    Omit,
    /// A keyed hash, with which a guess can be confirmed by whoever has the key.
    Hash,
    /// Its words.
    Store,
}

/// Puts into a record what is kept of a question.
pub struct Questions(How);

enum How {
    Omit,
    Hash(Box<hmac::Key>),
    Store,
}

impl fmt::Debug for Questions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            How::Omit => "Questions(omit)",
            How::Hash(_) => "Questions(hash)",
            How::Store => "Questions(store)",
        })
    }
}

impl Questions {
    /// Keeps of questions what `kept` says. For hashes, the key is `keys/questions.hmac` in the
    /// data directory, which is made at the first time.
    ///
    /// # Errors
    /// The key cannot be made or read.
    pub fn open(data_dir: &Path, kept: QuestionsKept) -> Result<Self, AuthorityError> {
        Ok(Self(match kept {
            QuestionsKept::Omit => How::Omit,
            QuestionsKept::Store => How::Store,
            QuestionsKept::Hash => How::Hash(Box::new(key(&data_dir.join("keys"))?)),
        }))
    }

    /// Notes a question in the record of what was found for it.
    pub fn note(&self, question: &str, event: &mut Event) {
        match &self.0 {
            How::Omit => {}
            How::Store => event.query = Some(question.to_owned()),
            How::Hash(_) => event.query_hash = self.hash(question),
        }
    }

    /// What a record holds in place of this question, if questions are hashed.
    pub fn hash(&self, question: &str) -> Option<String> {
        let How::Hash(key) = &self.0 else {
            return None;
        };
        Some(hex(hmac::sign(key, question.as_bytes()).as_ref()))
    }
}

/// The words of a short question can be guessed, so a hash without a key would hide nothing.
fn key(directory: &Path) -> Result<hmac::Key, AuthorityError> {
    database::private_directory(directory)?;
    let file = directory.join("questions.hmac");
    let wrong = |e| DatabaseError::file(&file, e);
    let secret: SecretSlice<u8> = match fs::read(&file) {
        Ok(secret) => secret.into(),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let mut secret = vec![0; 32];
            rand::fill(&mut secret)
                .map_err(|_| AuthorityError::SigningKey("no random numbers".into()))?;
            keys::write_private(&file, &secret).map_err(wrong)?;
            secret.into()
        }
        Err(e) => return Err(wrong(e).into()),
    };
    if secret.expose_secret().len() != 32 {
        let text = format!("{} is no key; restore it from a backup", file.display());
        return Err(AuthorityError::SigningKey(text));
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret()))
}
