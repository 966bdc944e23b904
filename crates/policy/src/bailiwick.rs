//! The set of labels that one person may read.

use std::sync::Arc;

use crate::label::{LabelId, LabelTable, TableId};
use crate::revision::Revision;

/// The labels that one person may read, now. Only [`Policy::decide`](crate::Policy::decide) makes
/// one, and [`Bailiwick::narrow`] makes it smaller.
///
/// A label that appeared after the decision is outside it.
#[derive(Clone, Debug)]
pub struct Bailiwick {
    /// One bit a label, by number.
    permitted: Vec<u64>,
    /// How many labels were decided.
    decided: usize,
    labels: usize,
    table: TableId,
    revision: Arc<Revision>,
}

impl Bailiwick {
    /// The bailiwick of one whom nothing was decided for.
    pub(crate) fn empty(labels: &LabelTable, revision: &Arc<Revision>) -> Self {
        Self {
            permitted: Vec::new(),
            decided: 0,
            labels: 0,
            table: labels.id(),
            revision: Arc::clone(revision),
        }
    }

    /// All labels of a table but quarantine: no person, no policy, no protection.
    ///
    /// For a program that is nobody's server and says so. The feature `danger-no-identity` brings
    /// it; the server is built without.
    #[cfg(feature = "danger-no-identity")]
    pub fn danger_everything(labels: &LabelTable) -> Self {
        let mut all = Self::empty(labels, &Arc::new(Revision::none()));
        for label in &labels.read().labels {
            all.decide_next(!label.is_quarantine());
        }
        all
    }

    /// Whether it was decided on the labels of this table. In another table the same numbers are
    /// other labels, so an index must ask before it reads.
    pub fn is_of(&self, labels: &LabelTable) -> bool {
        self.table == labels.id()
    }

    /// Adds the decision on the next label.
    pub(crate) fn decide_next(&mut self, allowed: bool) {
        let bit = self.decided % 64;
        if bit == 0 {
            self.permitted.push(0);
        }
        if let Some(word) = self.permitted.last_mut()
            && allowed
        {
            *word |= 1 << bit;
            self.labels += 1;
        }
        self.decided += 1;
    }

    pub(crate) fn decided(&self) -> usize {
        self.decided
    }

    /// Whether documents with this label may be read.
    #[inline]
    pub fn contains(&self, label: LabelId) -> bool {
        let place = label.place();
        self.permitted.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// The permitted labels, in order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = LabelId> + '_ {
        labels(self.permitted.iter().copied())
    }

    /// The permitted labels as a set of bits, 64 a word: the label with the number 0 is the lowest
    /// bit of the first.
    pub fn words(&self) -> &[u64] {
        &self.permitted
    }

    /// How many labels are permitted, whether or not a document has them now.
    pub fn label_count(&self) -> usize {
        self.labels
    }

    /// Whether nothing is permitted.
    pub fn is_empty(&self) -> bool {
        self.labels == 0
    }

    /// The revision of the policy that decided, 16 hexadecimal digits.
    pub fn policy_revision(&self) -> &str {
        self.revision.as_str()
    }

    /// The labels that are in this one and not in `other`, which is of the same table.
    pub(crate) fn beyond(&self, other: &Self) -> Vec<LabelId> {
        let others = other.permitted.iter().copied().chain(std::iter::repeat(0));
        let words = self.permitted.iter().zip(others).map(|(word, other)| word & !other);
        labels(words).collect()
    }

    /// 32 hexadecimal digits that stand for the permitted labels: the first half of the SHA-256 of
    /// their numbers, one bit a label, in as many words of 64 as it takes, low byte first.
    pub fn digest(&self) -> String {
        let used = self.permitted.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
        let words = self.permitted.iter().take(used);
        let bytes: Vec<u8> = words.flat_map(|word| word.to_le_bytes()).collect();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
        digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The part of it for which `keep` holds.
    pub(crate) fn filtered(&self, keep: impl Fn(LabelId) -> bool) -> Self {
        let mut smaller = Self { permitted: Vec::new(), decided: 0, labels: 0, ..self.clone() };
        for place in 0..self.decided {
            let label = LabelId::from_u32(u32::try_from(place).unwrap_or(u32::MAX));
            smaller.decide_next(self.contains(label) && keep(label));
        }
        smaller
    }
}

/// The numbers of the bits that are set.
fn labels(words: impl Iterator<Item = u64>) -> impl Iterator<Item = LabelId> {
    words.zip(0_u32..).flat_map(|(mut word, n)| {
        std::iter::from_fn(move || {
            if word == 0 {
                return None;
            }
            let bit = word.trailing_zeros();
            word &= word - 1;
            Some(LabelId::from_u32(n * 64 + bit))
        })
    })
}
