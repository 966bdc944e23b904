//! Who wrote documents, as far as the trail goes back.

use std::collections::HashMap;

use spiffe::TrustDomain;

use super::chain::Record;
use super::{Audit, AuditError, Event, Kind, Outcome};
use crate::agent;
use crate::database::DatabaseError;

/// Documents that were written, relabelled or removed together.
#[derive(Clone, Debug)]
pub struct Write {
    /// SPIFFE IDs of all agents through whose hands it came: the subject of the token, its holder,
    /// and everyone in between.
    pub agents: Vec<String>,
    /// Ids of the documents.
    pub documents: Vec<String>,
}

/// All that the trail says about who wrote documents.
#[derive(Clone, Debug)]
pub struct Writes {
    /// Oldest first.
    pub writes: Vec<Write>,
    /// Whether the trail begins with its first record. One that is empty tells nothing.
    pub is_whole: bool,
}

impl Audit {
    /// Reads who wrote which documents, in a trust domain. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// The file is corrupt or unusable, or a record is no event.
    pub fn writes(&self, trust_domain: &str) -> Result<Writes, AuditError> {
        let trust_domain = TrustDomain::new(trust_domain).ok();
        let spiffe_id = |name: &str| agent::spiffe_id(trust_domain.as_ref()?, name).ok();
        let mut actors = HashMap::new();
        self.each(Kind::TokenIssued, |event| {
            if let (Some(token), false) = (event.jti, event.actors.is_empty()) {
                actors.insert(token, event.actors);
            }
        })?;
        let mut writes = Vec::new();
        self.each(Kind::Ingested, |event| {
            if event.outcome != Outcome::Ok || event.document_ids.is_empty() {
                return;
            }
            let of_token = event.jti.and_then(|token| actors.get(&token).cloned());
            let holder = event.agent.as_deref().and_then(spiffe_id);
            let agents = event.subject.into_iter().chain(holder).chain(event.actors);
            let mut agents: Vec<String> = agents.chain(of_token.unwrap_or_default()).collect();
            agents.sort();
            agents.dedup();
            writes.push(Write { agents, documents: event.document_ids });
        })?;
        Ok(Writes { writes, is_whole: self.is_whole()? })
    }

    /// Passes on all events of a kind, oldest first.
    fn each(&self, kind: Kind, mut pass_on: impl FnMut(Event)) -> Result<(), AuditError> {
        let wrong = |e| DatabaseError::sqlite(&self.path, e);
        let connection = self.reader()?;
        let sql = "SELECT seq, event, hash FROM audit WHERE seq IN
                   (SELECT seq FROM audit_terms WHERE field = 'event' AND value = ?) ORDER BY seq";
        let mut statement = connection.prepare(sql).map_err(wrong)?;
        let mut rows = statement.query([kind.name()]).map_err(wrong)?;
        while let Some(row) = rows.next().map_err(wrong)? {
            pass_on(Record::read(row).map_err(wrong)?.parsed()?.event);
        }
        Ok(())
    }

    fn is_whole(&self) -> Result<bool, AuditError> {
        let sql = "SELECT coalesce(min(seq), 0) FROM audit";
        let first = self.reader()?.query_row(sql, [], |row| row.get::<_, i64>(0));
        Ok(first.map_err(|e| DatabaseError::sqlite(&self.path, e))? == 1)
    }
}
