//! Text to the words that BM25 counts.

use std::sync::Arc;

use ahash::AHashMap;
use frostem::{Algorithm, Stemmer};

/// The longest word in bytes; longer ones are data, not language.
const LONGEST: usize = 64;
/// How many words are remembered. Few words make up most of any text.
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
    pub(crate) counted: Vec<(Arc<str>, u8)>,
    /// How many there are, at most 65,535.
    pub(crate) length: u16,
}

/// Splits texts into words in lower case, without stop words, and each by its stem: "connected"
/// and "connecting" are one.
pub(crate) struct Analyzer {
    stemmer: Stemmer,
    /// The number of each known word's stem; stop words have none.
    known: AHashMap<Box<str>, Option<u32>>,
    numbers: AHashMap<Arc<str>, u32>,
    /// By number.
    stems: Vec<Arc<str>>,
    lower: String,
}

impl Analyzer {
    pub(crate) fn new() -> Self {
        Self {
            stemmer: Stemmer::new(Algorithm::English),
            known: STOP_WORDS.iter().map(|word| ((*word).into(), None)).collect(),
            numbers: AHashMap::new(),
            stems: Vec::new(),
            lower: String::new(),
        }
    }

    /// The words of one chunk, counted.
    pub(crate) fn count(&mut self, text: &str) -> Words {
        let mut numbers = self.numbers(text);
        let length = u16::try_from(numbers.len()).unwrap_or(u16::MAX);
        numbers.sort_unstable();
        let counted = numbers.chunk_by(|left, right| left == right).filter_map(|same| {
            let stem = self.stems.get(*same.first()? as usize)?;
            Some((Arc::clone(stem), u8::try_from(same.len()).unwrap_or(u8::MAX)))
        });
        Words { counted: counted.collect(), length }
    }

    /// The stem of every word, in order.
    pub(crate) fn words(&mut self, text: &str) -> Vec<Arc<str>> {
        let numbers = self.numbers(text);
        numbers.iter().filter_map(|number| self.stems.get(*number as usize).cloned()).collect()
    }

    /// The number of the stem of every word, in order. It holds until the next call.
    fn numbers(&mut self, text: &str) -> Vec<u32> {
        if self.known.len() >= REMEMBERED {
            *self = Self::new();
        }
        let mut numbers = Vec::new();
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
            let number = match self.known.get(self.lower.as_str()) {
                Some(known) => *known,
                None => Some(self.learn()),
            };
            numbers.extend(number);
        }
        numbers
    }

    /// The number of the stem of the word in [`Self::lower`], from now on.
    fn learn(&mut self) -> u32 {
        let stem: Arc<str> = self.stemmer.stem(&self.lower).into();
        let number = *self.numbers.entry(stem).or_insert_with_key(|stem| {
            self.stems.push(Arc::clone(stem));
            self.stems.len() as u32 - 1
        });
        self.known.insert(self.lower.as_str().into(), Some(number));
        number
    }
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
