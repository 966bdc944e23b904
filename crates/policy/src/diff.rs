//! What changes for whom when one policy takes another's place, and who is allowed something.
//!
//! Invariant: nothing here gives a [`Bailiwick`](crate::Bailiwick) away, so nothing can be read
//! with claims that nobody vouches for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value as Json};
use utoipa::ToSchema;

use crate::cases::Cases;
use crate::engine::Unavailable;
use crate::label::{Label, LabelId, LabelTable};
use crate::policy::Policy;
use crate::schema::Schema;

/// How many labels of an [`Reach`] are named.
const LISTED: usize = 100;

/// Claims that come up, with a name.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Class {
    /// What it is called: a digest of the audit trail, or a case.
    pub name: String,
    /// The claims of a token, at least those that a policy read.
    #[schema(value_type = BTreeMap<String, Json>)]
    pub claims: Map<String, Json>,
    /// The paths that a policy read; none when these are all the claims that there are.
    #[serde(skip)]
    read: Option<BTreeSet<String>>,
}

impl Class {
    /// All the claims of a token.
    pub fn new(name: String, claims: Map<String, Json>) -> Self {
        Self { name, claims, read: None }
    }

    /// From what a policy read of a token, as [`Policy::claims_read`] says it.
    pub fn from_read(name: String, said: &Map<String, Json>, missing: &[String]) -> Self {
        let read = said.keys().chain(missing).cloned().collect();
        Self { name, claims: unfolded(said), read: Some(read) }
    }

    /// The claims that `policy` reads and of which nobody knows what this class says.
    pub fn unsaid(&self, policy: &Policy) -> Vec<String> {
        let mut claims = policy.claims();
        claims.retain(|path| self.read.as_ref().is_some_and(|read| !read.contains(path)));
        claims
    }
}

/// A token's claims again, of which some stand under their pointer and not in their place.
fn unfolded(said: &Map<String, Json>) -> Map<String, Json> {
    let is_pointer = |path: &str| path.starts_with('/');
    let whole = said.iter().filter(|(path, _)| !is_pointer(path));
    let mut claims: Map<_, _> = whole.map(|(path, claim)| (path.clone(), claim.clone())).collect();
    for (path, claim) in said.iter().filter(|(path, _)| is_pointer(path)) {
        let mut names =
            path.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~"));
        let Some(first) = names.next() else { continue };
        let mut place = claims.entry(first).or_insert_with(|| Json::Object(Map::new()));
        for name in names {
            // What holds no members stands there whole already.
            let Json::Object(members) = place else { break };
            place = members.entry(name).or_insert_with(|| Json::Object(Map::new()));
        }
        if place.as_object().is_some_and(Map::is_empty) {
            *place = claim.clone();
        }
    }
    claims
}

impl Cases {
    /// The distinct claims of the table, each under the name of its first case.
    pub fn classes(&self) -> Vec<Class> {
        let mut seen = BTreeMap::new();
        for case in &self.case {
            let text = Json::Object(case.claims.clone()).to_string();
            let class = || Class::new(case.name.clone(), case.claims.clone());
            seen.entry(text).or_insert_with(class);
        }
        seen.into_values().collect()
    }
}

/// What one class of claims gains and loses.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its place among the classes.
    pub class: usize,
    /// The labels that it may read only afterwards, by number.
    pub gained: Vec<LabelId>,
    /// The labels that it may read only before, by number.
    pub lost: Vec<LabelId>,
}

/// What changes, for people: with the labels' attributes and the numbers of documents.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Difference {
    /// The policy before, by its revision.
    pub before: String,
    /// The policy afterwards, by its revision.
    pub after: String,
    /// How many labels were compared.
    pub labels: usize,
    /// How many classes of claims were compared.
    pub classes: usize,
    /// Those for which something changes.
    pub changed: Vec<ClassChange>,
}

/// What changes for one class of claims.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ClassChange {
    /// Its digest in the audit trail, or the name of a case.
    pub class: String,
    /// Its claims.
    #[schema(value_type = BTreeMap<String, Json>)]
    pub claims: Map<String, Json>,
    /// What the policy reads afterwards and nobody has read of these people's tokens yet: with it
    /// they may gain what is missing here, or not lose what is lost here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unsaid: Vec<String>,
    /// What it gains.
    pub gained: Reach,
    /// What it loses.
    pub lost: Reach,
}

/// Labels, and how many documents there are under them.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Reach {
    /// How many labels.
    pub labels: usize,
    /// How many documents under all of them.
    pub documents: u64,
    /// The first hundred labels, those with most documents first.
    pub listed: Vec<LabelDocuments>,
}

/// A label, and how many documents there are under it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LabelDocuments {
    /// The attribute values; null for quarantine.
    #[schema(value_type = Option<BTreeMap<String, Json>>)]
    pub attributes: Json,
    /// How many documents.
    pub documents: u64,
}

impl Reach {
    /// Counts under `labels`, which are numbers of `table`.
    pub fn of(
        labels: impl IntoIterator<Item = LabelId>,
        table: &LabelTable,
        documents: &BTreeMap<LabelId, u64>,
        schema: &Schema,
    ) -> Self {
        let count = |label: &LabelId| documents.get(label).copied().unwrap_or(0);
        let mut labels: Vec<LabelId> = labels.into_iter().collect();
        labels.sort_by_key(|label| (Reverse(count(label)), *label));
        let listed = labels.iter().take(LISTED).filter_map(|label| {
            let attributes = schema.describe(&table.label(*label)?);
            Some(LabelDocuments { attributes, documents: count(label) })
        });
        let listed = listed.collect();
        let documents = labels.iter().map(count).sum();
        Self { labels: labels.len(), documents, listed }
    }
}

impl Difference {
    /// Compares two policies for all `classes`, over the labels of `table`, of which some have
    /// `documents`.
    ///
    /// # Errors
    /// When an engine that has to decide cannot.
    pub async fn between(
        before: &Policy,
        after: &Policy,
        classes: &[Class],
        table: &LabelTable,
        documents: &BTreeMap<LabelId, u64>,
    ) -> Result<Self, Unavailable> {
        let extent = |labels| Reach::of(labels, table, documents, after.schema());
        let changes = before.diff(after, classes, table).await?;
        let changed = changes.into_iter().filter_map(|change| {
            let class = classes.get(change.class)?;
            Some(ClassChange {
                class: class.name.clone(),
                claims: class.claims.clone(),
                unsaid: class.unsaid(after),
                gained: extent(change.gained),
                lost: extent(change.lost),
            })
        });
        Ok(Self {
            before: before.revision(),
            after: after.revision(),
            labels: table.len(),
            classes: classes.len(),
            changed: changed.collect(),
        })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, after, labels, classes, changed } = self;
        write!(f, "policy {before} → {after}, {labels} labels: {} of {classes} ", changed.len())?;
        write!(f, "classes of claims see a change")?;
        for change in changed {
            let claims = Json::Object(change.claims.clone());
            write!(f, "\n{}  {claims}", change.class)?;
            for path in &change.unsaid {
                write!(f, "\n  its claim {path} is not known yet")?;
            }
            for (sign, word, extent) in
                [('+', "gains", &change.gained), ('-', "loses", &change.lost)]
            {
                if extent.labels == 0 {
                    continue;
                }
                let Reach { labels, documents, listed } = extent;
                write!(f, "\n  {word} {documents} documents under {labels} labels")?;
                for LabelDocuments { attributes, documents } in listed {
                    write!(f, "\n  {sign} {attributes}  {documents} documents")?;
                }
            }
        }
        Ok(())
    }
}

impl Policy {
    /// What changes for each class when `after` takes this policy's place; classes for which
    /// nothing changes are left out.
    ///
    /// # Errors
    /// When an engine that has to decide cannot.
    pub async fn diff(
        &self,
        after: &Self,
        classes: &[Class],
        labels: &LabelTable,
    ) -> Result<Vec<Change>, Unavailable> {
        let mut changes = Vec::new();
        for (class, Class { claims, .. }) in classes.iter().enumerate() {
            let before = self.decide_raw(claims, labels).await?;
            let after = after.decide_raw(claims, labels).await?;
            let change =
                Change { class, gained: after.beyond(&before), lost: before.beyond(&after) };
            if !change.gained.is_empty() || !change.lost.is_empty() {
                changes.push(change);
            }
        }
        Ok(changes)
    }

    /// Which of the classes may read documents with this label, by their places.
    ///
    /// # Errors
    /// When an engine that has to decide cannot.
    pub async fn who(&self, label: &Label, classes: &[Class]) -> Result<Vec<usize>, Unavailable> {
        let table = LabelTable::default();
        let label = table.intern(label);
        let mut may = Vec::new();
        for (place, Class { claims, .. }) in classes.iter().enumerate() {
            if self.decide_raw(claims, &table).await?.contains(label) {
                may.push(place);
            }
        }
        Ok(may)
    }
}
