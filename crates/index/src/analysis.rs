//! Text to the words that BM25 counts.

use std::borrow::Cow;

use ahash::AHashMap;
use frostem::{Algorithm, Stemmer};

/// The longest word in bytes; longer ones are data, not language.
const LONGEST: usize = 64;
/// How many stems are remembered. Few words make up most of any text.
const REMEMBERED: usize = 1 << 16;
/// Words that nearly every English text has.
const STOP_WORDS: [&str; 33] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it",
    "no", "not", "of", "on", "or", "such", "that", "the", "their", "then", "there", "these",
    "they", "this", "to", "was", "will", "with",
];

/// The words of one chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    /// Each word once, and how often it stands there, at most 255.
    pub(crate) counted: Vec<(Box<str>, u8)>,
    /// How many there are, at most 65,535.
    pub(crate) length: u16,
}

/// Splits texts into words in lower case, without stop words, and each by its stem: "connected"
/// and "connecting" are one.
pub(crate) struct Analyzer {
    stemmer: Stemmer,
    stems: AHashMap<Box<str>, Box<str>>,
    lower: String,
}

impl Analyzer {
    pub(crate) fn new() -> Self {
        let stemmer = Stemmer::new(Algorithm::English);
        Self { stemmer, stems: AHashMap::new(), lower: String::new() }
    }

    /// Calls `each` with the stem of every word, in order.
    pub(crate) fn words(&mut self, text: &str, mut each: impl FnMut(&str)) {
        for word in text.split(|c: char| !c.is_alphanumeric()) {
            if word.is_empty() || word.len() > LONGEST {
                continue;
            }
            self.lower.clear();
            if word.is_ascii() {
                self.lower.push_str(word);
                self.lower.make_ascii_lowercase();
            } else {
                self.lower.extend(word.chars().flat_map(char::to_lowercase));
            }
            if !STOP_WORDS.contains(&self.lower.as_str()) {
                each(stem(&self.stemmer, &mut self.stems, &self.lower));
            }
        }
    }

    /// The words of one chunk, counted.
    pub(crate) fn count(&mut self, text: &str) -> Words {
        let mut counts: AHashMap<Box<str>, u8> = AHashMap::new();
        let mut length = 0_u16;
        self.words(text, |word| {
            length = length.saturating_add(1);
            match counts.get_mut(word) {
                Some(count) => *count = count.saturating_add(1),
                None => drop(counts.insert(word.into(), 1)),
            }
        });
        Words { counted: counts.into_iter().collect(), length }
    }
}

fn stem<'a>(stemmer: &Stemmer, stems: &'a mut AHashMap<Box<str>, Box<str>>, word: &str) -> &'a str {
    if stems.len() >= REMEMBERED {
        stems.clear();
    }
    // A second look-up of what was just found is what the borrow checker asks for.
    if !stems.contains_key(word) {
        let stem = match stemmer.stem(word) {
            Cow::Borrowed(stem) => stem.into(),
            Cow::Owned(stem) => stem.into_boxed_str(),
        };
        stems.insert(word.into(), stem);
    }
    stems.get(word).map(AsRef::as_ref).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_are_one_and_stop_words_are_none() {
        let words = Analyzer::new().count("The Pumps were pumping; a pump's ÜBERLAUF-2");
        let mut counted: Vec<_> = words.counted.iter().map(|(word, n)| (&**word, *n)).collect();
        counted.sort_unstable();
        assert_eq!(counted, [("2", 1), ("pump", 3), ("s", 1), ("were", 1), ("überlauf", 1)]);
        assert_eq!(words.length, 7);
    }

    #[test]
    fn hostile_text_is_bounded() {
        let words =
            Analyzer::new().count(&format!("{} {}", "x".repeat(1 << 16), "y ".repeat(1 << 17)));
        assert_eq!(words.counted, [("y".into(), u8::MAX)]);
        assert_eq!(words.length, u16::MAX);
    }
}
