//! Signed statements about the trail: checkpoints and anchors.
//!
//! Invariant: seals are kept in `authority.db` and not beside what they vouch for, so a trail that
//! was cut off, rolled back or replaced by itself is noticed.
//! Invariant: a checkpoint is signed only for a chain that goes on from the last one.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AuditError;
use super::chain::Fault;
use crate::authority::{Authority, Inner};
use crate::clock::Timestamp;
use crate::database;
use crate::error::AuthorityError;
use crate::keys;
use crate::store::{self, KeyRow};

/// What a seal says of the trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SealKind {
    /// These were its records, up to here.
    Checkpoint,
    /// These may be removed, up to here.
    Anchor,
}

impl SealKind {
    fn name(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Anchor => "anchor",
        }
    }
}

/// A signed statement about the trail. It is no secret; kept elsewhere, it shows a trail that was
/// rewritten together with all that this machine keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// What it says.
    pub kind: SealKind,
    /// The authority whose trail it is.
    pub issuer: String,
    /// The number of the last record that it is about.
    pub seq: u64,
    /// That record's hash in hex, which stands for all before it too.
    pub head: String,
    /// When it was signed: RFC 3339, UTC, seconds.
    pub time: String,
    /// Which of the authority's keys signed it.
    pub kid: String,
    /// RSASSA-PKCS1-v1_5 with SHA-256 over [`text`](Self::text), in base64url.
    pub signature: String,
}

impl Seal {
    /// What is signed: six lines, without a line break at the end.
    pub fn text(&self) -> String {
        let Self { kind, issuer, seq, head, time, kid, .. } = self;
        format!("bailiwick audit {}\n{issuer}\n{seq}\n{head}\n{time}\n{kid}", kind.name())
    }

    /// The hash in bytes.
    pub(super) fn hash(&self) -> Result<Vec<u8>, AuditError> {
        let digits =
            |at| self.head.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
        let bytes: Option<Vec<u8>> = (0..64).step_by(2).map(digits).collect();
        bytes.ok_or_else(|| AuditError::Seal("its head is no hash".into()))
    }
}

/// What the authority keeps about the trail.
pub(super) struct Witness {
    pub(super) checkpoint: Option<Seal>,
    pub(super) anchor: Option<Seal>,
    keys: Vec<KeyRow>,
}

impl Witness {
    /// Reads what stands beside the trail. Where there is no authority yet, nobody vouches.
    pub(super) fn read(trail: &Path) -> Result<Self, AuditError> {
        let path = trail.with_file_name("authority.db");
        if !database::has_content(&path) {
            return Ok(Self { checkpoint: None, anchor: None, keys: Vec::new() });
        }
        let wrong = |e| database::DatabaseError::sqlite(&path, e);
        let connection = database::open(&path, &store::SHAPE)?;
        let seals = store::seals(&connection).map_err(wrong)?;
        let keys = store::keys(&connection).map_err(wrong)?;
        let mut witness = Self { checkpoint: None, anchor: None, keys };
        for text in seals {
            let seal: Seal = serde_json::from_str(&text)
                .map_err(|e| AuditError::Seal(format!("authority.db: {e}")))?;
            match seal.kind {
                SealKind::Checkpoint => witness.checkpoint = Some(seal),
                SealKind::Anchor => witness.anchor = Some(seal),
            }
        }
        Ok(witness)
    }

    /// The hashes that signed seals demand, by number; those of `kept` too.
    pub(super) fn wanted(&self, kept: &[Seal]) -> Result<BTreeMap<u64, String>, AuditError> {
        let mut wanted = BTreeMap::new();
        for seal in self.checkpoint.iter().chain(&self.anchor).chain(kept) {
            self.judge(seal)?;
            let before = wanted.insert(seal.seq, seal.head.clone());
            if before.is_some_and(|head| head != seal.head) {
                return Err(AuditError::Broken { seq: seal.seq, fault: Fault::Rewritten });
            }
        }
        Ok(wanted)
    }

    /// The public half of a key, as a JWK.
    pub(super) fn key(&self, kid: &str) -> Option<Value> {
        let row = self.keys.iter().find(|key| key.kid == kid)?;
        serde_json::from_str(&row.jwk).ok()
    }

    fn judge(&self, seal: &Seal) -> Result<(), AuditError> {
        let key = self.keys.iter().find(|key| key.kid == seal.kid);
        if key.is_some_and(|key| keys::signed(key, &seal.text(), &seal.signature)) {
            return Ok(());
        }
        let text = format!("no key of this authority signed what it says of record {}", seal.seq);
        Err(AuditError::Seal(text))
    }
}

impl Authority {
    /// Signs a checkpoint for the trail as it is now, or returns the last one if nothing is new.
    ///
    /// # Errors
    /// The trail does not go on from the last checkpoint, or nothing can be signed or stored.
    pub async fn checkpoint(&self) -> Result<Seal, AuthorityError> {
        self.blocking(|inner| inner.checkpoint()).await
    }
}

impl Inner {
    pub(super) fn checkpoint(&self) -> Result<Seal, AuthorityError> {
        let last = self.witness()?.checkpoint;
        let (seq, head) = self.audit.continued(last.as_ref())?;
        match last {
            Some(last) if last.seq == seq => Ok(last),
            _ => self.seal(SealKind::Checkpoint, seq, head),
        }
    }

    pub(super) fn witness(&self) -> Result<Witness, AuthorityError> {
        Ok(Witness::read(&self.audit.path)?)
    }

    /// Signs and keeps a seal; it is durable when this returns.
    pub(super) fn seal(
        &self,
        kind: SealKind,
        seq: u64,
        head: String,
    ) -> Result<Seal, AuthorityError> {
        let signer = self.keys.signer(&self.store)?;
        let mut seal = Seal {
            kind,
            issuer: self.config.issuer.clone(),
            seq,
            head,
            time: Timestamp::now().to_string(),
            kid: signer.kid().to_owned(),
            signature: String::new(),
        };
        seal.signature = signer.sign_statement(&seal.text())?;
        let text =
            serde_json::to_string(&seal).map_err(|e| AuthorityError::SigningKey(e.to_string()))?;
        let number = i64::try_from(seq).unwrap_or(i64::MAX);
        self.store.write(|writing| writing.put_seal(kind.name(), number, &text))?;
        // The log leaves the machine where the trail does not.
        tracing::info!(seal = %text, "the audit trail was sealed");
        Ok(seal)
    }
}
