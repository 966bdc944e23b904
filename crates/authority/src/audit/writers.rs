//! The agents that wrote documents, as far as the trail goes back.

use std::collections::{BTreeSet, HashMap};

use spiffe::TrustDomain;

use super::chain::Record;
use super::{Audit, AuditError, Event, Kind, Outcome};
use crate::agent;
use crate::database::DatabaseError;

/// The agents that wrote documents, as far as the trail tells.
#[derive(Clone, Debug)]
pub struct Writers {
    /// Pairs of an agent's SPIFFE ID and the id of a document that it wrote, relabelled or removed:
    /// as the subject of the token, as its holder, or anywhere in between.
    pub pairs: BTreeSet<(String, String)>,
    /// Whether the trail begins with its first record. One that is empty tells nothing.
    pub is_whole: bool,
}

impl Audit {
    /// Reads the agents that wrote documents, in a trust domain. Blocks for as long as the disk
    /// takes.
    ///
    /// # Errors
    /// The file is corrupt or unusable, or a record is no event.
    pub fn writers(&self, trust_domain: &str) -> Result<Writers, AuditError> {
        let trust_domain = TrustDomain::new(trust_domain).ok();
        let spiffe_id = |name: &str| agent::spiffe_id(trust_domain.as_ref()?, name).ok();
        let mut actors = HashMap::new();
        self.each(Kind::TokenIssued, |event| {
            if let (Some(token), false) = (event.jti, event.actors.is_empty()) {
                actors.insert(token, event.actors);
            }
        })?;
        let mut pairs = BTreeSet::new();
        self.each(Kind::Ingested, |event| {
            if event.outcome != Outcome::Ok {
                return;
            }
            let of_token = event.jti.and_then(|token| actors.get(&token).cloned());
            let holder = event.agent.as_deref().and_then(spiffe_id);
            let agents = event.subject.into_iter().chain(holder).chain(event.actors);
            for agent in agents.chain(of_token.unwrap_or_default()) {
                pairs.extend(event.document_ids.iter().map(|id| (agent.clone(), id.clone())));
            }
        })?;
        Ok(Writers { pairs, is_whole: self.is_whole()? })
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
