//! The trail as JSON lines, so that others can keep it, search it and verify it.

use std::io::Write;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::chain::{Record, hex};
use super::seal::{Seal, Witness};
use super::{Audit, AuditError, Fault};
use crate::database::DatabaseError;

/// The line that does not stand for a record: how the chain begins, or how far it is vouched for.
#[derive(Serialize)]
struct SealLine<'a> {
    seal: &'a Seal,
    /// The public key that verifies it, for whoever trusts its id.
    key: Option<Value>,
}

impl Audit {
    /// Writes every record, oldest first, a JSON object a line. Each is the text that was hashed,
    /// with the member `hash` added at its end: without `,"hash":"…"` it is that text again.
    ///
    /// The anchor that the chain begins with, and the checkpoint that vouches for it, stand in
    /// lines of their own, the one first and the other last.
    ///
    /// # Errors
    /// The file is corrupt or unusable, a record is no JSON object, or `to` cannot be written.
    pub fn export(&self, to: &mut impl Write) -> Result<(), AuditError> {
        let wrong = |e| DatabaseError::sqlite(&self.path, e);
        let unwritten = |e| AuditError::Export(Arc::new(e));
        let witness = Witness::read(&self.path)?;
        let connection = self.reader()?;
        let mut statement =
            connection.prepare("SELECT seq, event, hash FROM audit ORDER BY seq").map_err(wrong)?;
        let mut rows = statement.query([]).map_err(wrong)?;
        if let Some(anchor) = &witness.anchor {
            writeln!(to, "{}", line(anchor, &witness)).map_err(unwritten)?;
        }
        while let Some(row) = rows.next().map_err(wrong)? {
            let record = Record::read(row).map_err(wrong)?;
            let open = record
                .event
                .strip_suffix('}')
                .ok_or(AuditError::Broken { seq: record.seq, fault: Fault::Altered })?;
            writeln!(to, "{open},\"hash\":\"{}\"}}", hex(&record.hash)).map_err(unwritten)?;
        }
        if let Some(checkpoint) = &witness.checkpoint {
            writeln!(to, "{}", line(checkpoint, &witness)).map_err(unwritten)?;
        }
        to.flush().map_err(unwritten)
    }
}

fn line(seal: &Seal, witness: &Witness) -> String {
    serde_json::json!(SealLine { seal, key: witness.key(&seal.kid) }).to_string()
}
