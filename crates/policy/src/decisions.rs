//! The memory of decisions: one for all people whose claims are alike to the policy.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::sync::Cache;
use serde_json::{Map, Value as Json};
use tokio::sync::Mutex;

use crate::bailiwick::Bailiwick;
use crate::claim::ClaimValues;
use crate::label::{LabelTable, TableId};
use crate::revision::Revision;

/// How many decisions are remembered; one is 1.25 kB at 10,000 labels.
const REMEMBERED: u64 = 10_000;

/// Decisions by everything that they depend on.
#[derive(Debug)]
pub(crate) struct Decisions(Cache<Key, Arc<Mutex<Remembered>>>);

/// What a decision depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    table: TableId,
    revision: Arc<Revision>,
    /// What the rules read.
    values: Option<Vec<ClaimValues>>,
    /// The digest of what an engine is told, whose answer may depend on all of it.
    told: Option<Box<[u8]>>,
}

impl Key {
    pub(crate) fn new(
        labels: &LabelTable,
        revision: &Arc<Revision>,
        values: Option<Vec<ClaimValues>>,
        told: Option<&Map<String, Json>>,
    ) -> Self {
        // A map of serde_json is ordered by its keys, so equal claims have equal texts.
        let digest = |told| {
            let text = serde_json::json!(told).to_string();
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref().into()
        };
        Self { table: labels.id(), revision: Arc::clone(revision), values, told: told.map(digest) }
    }

    /// Whether an engine besides the rules has to be asked.
    pub(crate) fn asks_engine(&self) -> bool {
        self.told.is_some()
    }

    /// What the rules read.
    pub(crate) fn values(&self) -> Option<&[ClaimValues]> {
        self.values.as_deref()
    }
}

/// One decision, and when its first part was made.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    decision: Option<(Arc<Bailiwick>, Instant)>,
}

impl Default for Decisions {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl Decisions {
    /// The place of a decision, which may be empty yet.
    pub(crate) fn entry(&self, key: &Key) -> Arc<Mutex<Remembered>> {
        self.0.entry_by_ref(key).or_default().into_value()
    }
}

impl Remembered {
    /// The decision, unless it is too old.
    pub(crate) fn fresh(&mut self, max_age: Option<Duration>) -> Option<Arc<Bailiwick>> {
        let is_fresh = |since: &Instant| max_age.is_none_or(|age| since.elapsed() < age);
        self.decision.take_if(|(_, since)| !is_fresh(since));
        self.decision.as_ref().map(|(bailiwick, _)| Arc::clone(bailiwick))
    }

    /// Remembers a decision that goes on where the remembered one ended.
    pub(crate) fn keep(&mut self, decided: Bailiwick) -> Arc<Bailiwick> {
        let decided = Arc::new(decided);
        let since = self.decision.as_ref().map_or_else(Instant::now, |(_, since)| *since);
        self.decision = Some((Arc::clone(&decided), since));
        decided
    }
}
