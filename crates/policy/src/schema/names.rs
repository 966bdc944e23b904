//! Metadata names that look like an attribute's: most likely slips, which would open a document.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};
use unicode_normalization::UnicodeNormalization;

use super::{AttributeConfig, LabelError};

/// Longest folded name in which only equality and a transposition count. One edit of a shorter
/// name gives too many other words: `team` and `term`, `dept` and `depth`.
const SHORT: usize = 4;
/// Shortest folded name in which two edits count.
const LONG: usize = 12;
/// Characters of a name that an error prints.
const SHOWN: usize = 64;
/// The member under which records and clients wrap metadata once more.
const WRAPPER: &str = "metadata";

/// The names of all attributes, and those that only look like one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    known: Vec<Name>,
    /// Names that are listed as `distinct_from` an attribute.
    distinct: BTreeSet<Box<str>>,
}

/// One name that carries an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    spelling: Box<str>,
    folded: Box<str>,
    /// Index of the attribute.
    attribute: usize,
}

impl Names {
    /// Collects the names of `configured`.
    ///
    /// # Errors
    /// When two attributes have names that differ in case or separators only.
    pub(super) fn new(configured: &[AttributeConfig]) -> Result<Self, (String, String)> {
        let mut names = Self::default();
        for (attribute, config) in configured.iter().enumerate() {
            for spelling in std::iter::once(&config.name).chain(&config.from) {
                let folded = fold(spelling);
                let twin = names.known.iter().find(|name| {
                    name.attribute != attribute && !folded.is_empty() && *name.folded == *folded
                });
                if let Some(twin) = twin {
                    let problem = format!(
                        "`{spelling}` differs from `{}`, another attribute's name, in case or \
                         separators only; rename one of them",
                        twin.spelling
                    );
                    return Err((config.name.clone(), problem));
                }
                let spelling = spelling.as_str().into();
                names.known.push(Name { spelling, folded: folded.into(), attribute });
            }
            let distinct = config.distinct_from.iter().map(|name| name.as_str().into());
            names.distinct.extend(distinct);
        }
        let both = names.known.iter().find(|name| names.distinct.contains(&name.spelling));
        if let Some(name) = both {
            let owner = configured.get(name.attribute).map_or("", |config| &config.name);
            let problem = format!(
                "`distinct_from` lists `{}`, which names an attribute; remove it from the list",
                name.spelling
            );
            return Err((owner.to_owned(), problem));
        }
        Ok(names)
    }

    /// The attribute's name that `name` most likely stands for, unless it is one, or is meant.
    pub(super) fn meant_by(&self, name: &str) -> Option<&str> {
        if self.is_known(name) || self.distinct.contains(name) {
            return None;
        }
        let folded = fold(name);
        nearest(&folded, self.known.iter().map(|known| (&*known.folded, &*known.spelling)))
    }

    pub(super) fn is_known(&self, name: &str) -> bool {
        self.known.iter().any(|known| *known.spelling == *name)
    }

    pub(super) fn check(&self, metadata: &Map<String, Json>) -> Result<(), LabelError> {
        for (key, value) in metadata {
            if let Some(meant) = self.meant_by(key) {
                return Err(LabelError::Misspelt { key: shown(key), meant: meant.to_owned() });
            }
            let wrapped = value.as_object().filter(|_| fold(key) == WRAPPER && !self.is_known(key));
            for key in wrapped.into_iter().flat_map(Map::keys) {
                let meant = if self.is_known(key) { Some(&**key) } else { self.meant_by(key) };
                if let Some(meant) = meant {
                    return Err(LabelError::Wrapped { key: shown(key), meant: meant.to_owned() });
                }
            }
        }
        Ok(())
    }
}

/// The one of `known` names for which `name` is most likely a slip, unless it is one of them. See
/// [`Schema::meant_by`](crate::Schema::meant_by), which knows the names of a schema.
pub fn meant_name<'a, S: AsRef<str>>(name: &str, known: &'a [S]) -> Option<&'a str> {
    if known.iter().any(|known| known.as_ref() == name) {
        return None;
    }
    let spelled: Vec<_> =
        known.iter().map(|known| (fold(known.as_ref()), known.as_ref())).collect();
    nearest(&fold(name), spelled.iter().map(|(folded, spelling)| (&**folded, *spelling)))
}

/// The spelling of the folded name that is the fewest edits away.
fn nearest<'f, 'a>(
    folded: &str,
    known: impl Iterator<Item = (&'f str, &'a str)>,
) -> Option<&'a str> {
    let alike = known.filter_map(|(known, spelling)| Some((edits(folded, known)?, spelling)));
    alike.min_by_key(|(edits, _)| *edits).map(|(_, spelling)| spelling)
}

/// A name without what one easily gets wrong: case, separators, accents, invisible characters and
/// Unicode's compatibility forms.
fn fold(name: &str) -> String {
    // Upper case first, because some letters have several lower-case forms: ß and ss, ς and σ.
    let cased = name.nfkd().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    cased.nfkd().filter(|letter| letter.is_alphanumeric()).nfc().collect()
}

/// Number of edits between two folded names, where a transposition is one, if they are so few
/// that one is most likely a slip for the other.
fn edits(one: &str, other: &str) -> Option<usize> {
    let lengths = [one.chars().count(), other.chars().count()];
    let longer = lengths.into_iter().max().unwrap_or_default();
    let shorter = lengths.into_iter().min().unwrap_or_default();
    let allowed = if longer >= LONG { 2 } else { 1 };
    if shorter == 0 || longer - shorter > allowed {
        return None;
    }
    let edits = strsim::damerau_levenshtein(one, other);
    let is_slip = edits <= allowed && (longer > SHORT || edits == 0 || same_letters(one, other));
    is_slip.then_some(edits)
}

fn same_letters(one: &str, other: &str) -> bool {
    let sorted = |name: &str| {
        let mut letters: Vec<char> = name.chars().collect();
        letters.sort_unstable();
        letters
    };
    sorted(one) == sorted(other)
}

/// A name as an error may print it.
pub(super) fn shown(name: &str) -> String {
    name.escape_debug().take(SHOWN).collect()
}

#[cfg(test)]
mod tests;
