//! Text → word pieces, as BERT's uncased models read it.

use ahash::AHashMap;
use tokenizers::Tokenizer;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;

/// What follows in a text cannot count: it bounds the work for a text of many megabytes.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

/// What BERT takes for spaces among the control characters; it drops the others and joins what
/// they part.
const SPACES: [char; 4] = [' ', '\t', '\n', '\r'];

/// A longer word is unknown as a whole.
const MAX_WORD: usize = 100;

/// Splits text into the pieces of one vocabulary.
///
/// The special tokens are ordinary text here: a document that says `[SEP]` ends nothing.
#[derive(Clone)]
pub(crate) struct WordPieces {
    tokenizer: Tokenizer,
    unknown: u32,
}

impl WordPieces {
    /// None when the vocabulary has no `[UNK]`, which stands for what it cannot spell.
    pub(crate) fn new(vocabulary: AHashMap<String, u32>) -> Option<Self> {
        let unknown = *vocabulary.get("[UNK]")?;
        let model = WordPiece::builder().vocab(vocabulary).build().ok()?;
        let mut tokenizer = Tokenizer::new(model);
        tokenizer
            .with_normalizer(Some(BertNormalizer::default()))
            .ok()?
            .with_pre_tokenizer(Some(BertPreTokenizer));
        Some(Self { tokenizer, unknown })
    }

    pub(crate) fn id(&self, piece: &str) -> Option<u32> {
        self.tokenizer.token_to_id(piece)
    }

    /// The ids of the first `most` pieces.
    pub(crate) fn ids(&self, text: &str, most: usize) -> Vec<u32> {
        let mut ids = Vec::new();
        for part in readable(text).split(SPACES) {
            if part.is_ascii() {
                self.read_ascii(part, &mut ids);
            } else {
                // It fails only without an [UNK], which `new` has excluded.
                let encoding = self.tokenizer.encode_fast(part, false).ok();
                ids.extend(encoding.iter().flat_map(|encoding| encoding.get_ids()));
            }
            if ids.len() >= most {
                break;
            }
        }
        ids.truncate(most);
        ids
    }

    /// ASCII needs no normalizer that keeps account of every character, and no piece needs a string
    /// of its own: that is what takes nine tenths of the library's time. A property test holds the
    /// two to the same ids.
    fn read_ascii(&self, part: &str, ids: &mut Vec<u32>) {
        let mut word = String::new();
        for character in part.chars() {
            if character.is_ascii_alphanumeric() {
                word.push(character.to_ascii_lowercase());
            } else if character.is_ascii_punctuation() {
                self.read_word(&word, ids);
                self.read_word(character.encode_utf8(&mut [0]), ids);
                word.clear();
            }
        }
        self.read_word(&word, ids);
    }

    fn read_word(&self, word: &str, ids: &mut Vec<u32>) {
        if word.is_empty() {
            return;
        }
        let before = ids.len();
        if word.len() > MAX_WORD || !self.spell(word, ids) {
            ids.truncate(before);
            ids.push(self.unknown);
        }
    }

    /// Takes the longest piece that fits, again and again; false when none does.
    fn spell(&self, word: &str, ids: &mut Vec<u32>) -> bool {
        let mut mark = "";
        let mut rest = word;
        let mut piece = String::with_capacity(word.len() + 2);
        while !rest.is_empty() {
            piece.clear();
            piece.push_str(mark);
            piece.push_str(rest);
            let id = loop {
                match self.id(&piece) {
                    Some(id) => break id,
                    None if piece.len() <= mark.len() + 1 => return false,
                    None => piece.truncate(piece.len() - 1),
                }
            };
            ids.push(id);
            rest = rest.get(piece.len() - mark.len()..).unwrap_or_default();
            mark = "##";
        }
        true
    }
}

/// The part of a text that can count.
pub(crate) fn readable(text: &str) -> &str {
    // A character has at most 4 bytes, so that one of these is a boundary.
    (MAX_BYTES - 3..=MAX_BYTES).rev().find_map(|end| text.get(..end)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces() -> WordPieces {
        let table = include_bytes!("../../../models/static/static-en-256.bin");
        let length = u32::from_le_bytes(table[12..16].try_into().unwrap()) as usize;
        let vocabulary = std::str::from_utf8(&table[16..16 + length]).unwrap();
        WordPieces::new(vocabulary.split('\n').map(str::to_owned).zip(0..).collect()).unwrap()
    }

    fn reference(pieces: &WordPieces, text: &str) -> Vec<u32> {
        pieces.tokenizer.encode(text, false).unwrap().get_ids().to_vec()
    }

    #[test]
    fn texts_read_as_the_library_reads_them() {
        let pieces = pieces();
        for text in [
            "Crème brûlée, naïve café; ÅNGSTRÖM",
            "a\u{1}b a\u{b}b a\tb a\u{85}b a\u{a0}b a\u{200b}b \u{feff}x",
            "C++ & don't e-mail: foo_bar@x.org [SEP] [UNK] ##ing",
            "漢字かな交じり文 and 한국어",
            "\u{301} leading accent, İstanbul, ΟΔΟΣ, ﬁne",
            "x\u{fffd}y \0 z",
            &"a".repeat(101),
            &format!("{} {}", "b".repeat(100), "unaffable".repeat(20)),
        ] {
            assert_eq!(pieces.ids(text, usize::MAX), reference(&pieces, text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_reads_as_the_library_reads_it(
            text in "(\\PC|[a-zA-Z0-9 ]|[ \\x00-\\x7f]|[\u{300}-\u{36f}\u{80}-\u{a0}]){0,120}",
            most in 0_usize..40,
        ) {
            static PIECES: std::sync::LazyLock<WordPieces> = std::sync::LazyLock::new(pieces);
            let whole = reference(&PIECES, &text);
            prop_assert_eq!(&PIECES.ids(&text, usize::MAX), &whole);
            prop_assert_eq!(&PIECES.ids(&text, most), &whole[..most.min(whole.len())]);
        }
    }
}
