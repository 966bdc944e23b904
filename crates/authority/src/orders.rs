//! What administrators order about the documents that an agent brought.
//!
//! The index is open in one process, and orders come from any: they wait in the database, by
//! number, and whoever has the index obeys them before the next answer. The index remembers the
//! number of the last one that it obeyed, in the transaction that obeys it, so that an order is
//! neither lost nor obeyed twice, and an older copy of the index obeys again what it lacks.

use crate::agent::Agent;
use crate::audit::{Event, Kind};
use crate::authority::{Administrator, Authority, Inner, about, known};
use crate::error::AuthorityError;
use crate::store;

/// An order, for whoever has the index open.
#[derive(Clone, Debug)]
pub struct Order {
    /// Later ones are higher.
    pub number: u64,
    /// The agent's name.
    pub agent: String,
    /// Its SPIFFE ID, with which its documents are stamped.
    pub spiffe_id: String,
    /// What to do.
    pub act: Act,
}

/// What becomes of an agent's documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nobody reads them.
    Quarantine,
    /// They are as they were.
    Release,
    /// They are gone.
    Purge,
}

impl Act {
    /// `quarantine`, `release` or `purge`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quarantine => "quarantine",
            Self::Release => "release",
            Self::Purge => "purge",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Quarantine, Self::Release, Self::Purge].into_iter().find(|act| act.name() == name)
    }
}

impl Authority {
    /// Shuts an agent out for good, and puts all that it brought out of everybody's reach.
    ///
    /// # Errors
    /// As [`Authority::revoke_agent`].
    pub async fn quarantine(
        &self,
        name: &str,
        by: &Administrator,
    ) -> Result<Agent, AuthorityError> {
        let (name, by) = (name.to_owned(), by.clone());
        self.blocking(move |inner| inner.quarantine(&name, &by)).await
    }

    /// Gives the documents of a revoked agent back to those who might read them before. The agent
    /// stays revoked.
    ///
    /// # Errors
    /// No such agent, its documents are not in quarantine, or nothing can be stored.
    pub async fn release(&self, name: &str, by: &Administrator) -> Result<Agent, AuthorityError> {
        let (name, by) = (name.to_owned(), by.clone());
        self.blocking(move |inner| inner.dispose(&name, Act::Release, &by)).await
    }

    /// Removes the documents of a revoked agent.
    ///
    /// # Errors
    /// As [`Authority::release`].
    pub async fn purge(&self, name: &str, by: &Administrator) -> Result<Agent, AuthorityError> {
        let (name, by) = (name.to_owned(), by.clone());
        self.blocking(move |inner| inner.dispose(&name, Act::Purge, &by)).await
    }

    /// The orders with higher numbers than `number`, in turn. Whoever reads for people asks for
    /// them first, so this is where a clock that is behind stops everybody.
    ///
    /// # Errors
    /// The database cannot be read, or the clock is behind.
    pub async fn orders_after(&self, number: u64) -> Result<Vec<Order>, AuthorityError> {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        self.blocking(move |inner| {
            inner.store.now()?;
            Ok(inner.store.read(|c| store::orders_after(c, number))?)
        })
        .await
    }
}

impl Inner {
    fn quarantine(&self, name: &str, by: &Administrator) -> Result<Agent, AuthorityError> {
        let agent = self.store.write(|writing| {
            let agent = known(writing, name)?;
            writing.revoke_agent(agent.client_id, writing.now())?;
            writing.order(agent.client_id, Act::Quarantine)?;
            known(writing, name)
        })?;
        self.audit.record_blocking(event(&agent, Kind::AgentRevoked, Act::Quarantine, by))?;
        Ok(agent)
    }

    fn dispose(&self, name: &str, act: Act, by: &Administrator) -> Result<Agent, AuthorityError> {
        self.store.write(|writing| {
            let agent = known(writing, name)?;
            if agent.documents.as_deref() != Some("quarantined") {
                return Err(AuthorityError::NotQuarantined(agent.name));
            }
            writing.order(agent.client_id, act)?;
            self.audit.record_blocking(event(&agent, Kind::Admin, act, by))?;
            known(writing, name)
        })
    }
}

fn event(agent: &Agent, kind: Kind, act: Act, by: &Administrator) -> Event {
    about(agent, kind, by).with_detail(format!("{} what it brought", act.name()))
}
