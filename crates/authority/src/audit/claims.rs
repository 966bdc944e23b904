//! Which claims people came with, as far as the policy read them.
//!
//! Invariant: a record that names claims by their digest comes after the record that says what
//! they are, unless that one was removed as too old.

use aws_lc_rs::digest;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::chain::{Record, hex};
use super::{Audit, AuditError, Event, Kind, Outcome};
use crate::database::DatabaseError;

/// How many bytes of a digest are kept: nobody finds two sets of claims with these in common.
const DIGEST_BYTES: usize = 16;

/// What a policy read of somebody's token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimsRead {
    /// The claims that it read, by the path that the policy names them with.
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
    pub said: Map<String, Value>,
    /// Those that it read and that said nothing usable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

impl ClaimsRead {
    /// 32 hexadecimal digits that stand for these claims.
    pub fn digest(&self) -> String {
        // Names are in order, so equal claims make equal bytes.
        let text = serde_json::json!([self.said, self.missing]).to_string();
        let digest = digest::digest(&digest::SHA256, text.as_bytes());
        hex(digest.as_ref().get(..DIGEST_BYTES).unwrap_or_default())
    }
}

/// Claims that somebody came with.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct KnownClaims {
    /// Names them in the records of what was retrieved with them.
    pub digest: String,
    /// When they were seen first.
    pub since: String,
    /// What the policy read.
    #[serde(flatten)]
    pub claims: ClaimsRead,
}

impl Audit {
    /// The distinct claims that people came with, as far as the trail goes back; oldest first.
    ///
    /// # Errors
    /// The file is corrupt or unusable, or one of the records is not what was written.
    pub fn known_claims(&self) -> Result<Vec<KnownClaims>, AuditError> {
        let wrong = |e| DatabaseError::sqlite(&self.path, e);
        let connection = self.reader()?;
        let mut statement = connection
            .prepare(
                "SELECT a.seq, a.event, a.hash FROM audit_terms t CROSS JOIN audit a
                 WHERE t.field = 'event' AND t.value = ?1 AND a.seq = t.seq ORDER BY t.seq",
            )
            .map_err(wrong)?;
        let mut rows = statement.query([Kind::ClaimsSeen.name()]).map_err(wrong)?;
        let mut known = Vec::new();
        while let Some(row) = rows.next().map_err(wrong)? {
            let Event { claims_digest, claims, time, .. } =
                Record::read(row).map_err(wrong)?.parsed()?.event;
            if let (Some(digest), Some(claims)) = (claims_digest, claims) {
                known.push(KnownClaims { digest, since: time, claims });
            }
        }
        Ok(known)
    }
}

/// What must be on record before `event`, which reads claims that the trail does not know.
pub(super) fn unknown(
    connection: &Connection,
    event: &mut Event,
) -> rusqlite::Result<Option<Event>> {
    let Some((claims, digest)) = event.read.take().zip(event.claims_digest.clone()) else {
        return Ok(None);
    };
    let known = connection
        .prepare_cached("SELECT 1 FROM audit_terms WHERE field = 'claims' AND value = ?1")?
        .exists([&digest])?;
    if known {
        return Ok(None);
    }
    let mut seen = Event::new(Kind::ClaimsSeen, Outcome::Ok);
    seen.claims_digest = Some(digest);
    seen.claims = Some(claims);
    seen.policy_revision.clone_from(&event.policy_revision);
    Ok(Some(seen))
}
