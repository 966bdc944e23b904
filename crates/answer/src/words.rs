//! What counts as a word when a question meets a sentence.

use std::collections::HashSet;
use std::sync::LazyLock;

use frostem::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation;

/// English words that ask, join or point, and say nothing about the subject.
static STOP_WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "a about after all also am an and any are as at be because been before being between both but \
     by can could did do does doing during each few find for from further get give had has have \
     having he her here hers him his how i if in into is it its itself just know list many may me \
     might more most much must my name no nor not of off on once only or other our out over own \
     please same shall she should show so some such tell than that the their them then there \
     these they this those through to under until up upon us very was we were what when where \
     whether which while who whom whose why will with would you your"
        .split_whitespace()
        .collect()
});

/// The words of a text in lower case, without stop words, in order.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.unicode_words()
        // Keys of records join their words with an underscore.
        .flat_map(|word| word.split('_'))
        .map(|word| word.to_lowercase().replace('’', "'"))
        .map(|word| word.strip_suffix("'s").map_or(word.clone(), str::to_owned))
        .filter(|word| !word.is_empty() && !STOP_WORDS.contains(word.as_str()))
        .collect()
}

/// What the forms of a word share: "connected" and "connecting" are one.
pub(crate) fn stem(word: &str) -> String {
    Stemmer::new(Algorithm::English).stem(word).into_owned()
}
