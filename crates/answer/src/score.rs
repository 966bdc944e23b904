//! How well a sentence answers a question. The weights were tuned on XQuAD.

use bailiwick_index::Hits;

/// BM25's saturation and its length normalisation; sentences differ little in length.
const K1: f32 = 0.9;
const B: f32 = 0.2;

const SIMILARITY_WEIGHT: f32 = 0.3;
const CUE_WEIGHT: f32 = 0.2;
const CONTEXT_WEIGHT: f32 = 0.25;
const HIT_WEIGHT: f32 = 0.4;

/// A word that stands elsewhere in the source covers half of what it covers in the sentence.
const SOURCE_COVERAGE: f32 = 0.5;

/// Keeps a division by nothing from making an infinite score.
const TINY: f32 = 1e-6;

/// A word of the question, counted once.
pub(crate) struct Term {
    pub(crate) stem: String,
    /// How much it says, by the compiled-in table.
    pub(crate) salience: f32,
}

/// A sentence or heading of a source.
pub(crate) struct Candidate<'a> {
    pub(crate) text: &'a str,
    /// The place of its source in the hits.
    pub(crate) source: usize,
    /// Its own place among the candidates.
    pub(crate) place: usize,
    /// The place of the heading that it stands under; a heading stands under itself.
    pub(crate) heading: Option<usize>,
    pub(crate) words: u16,
    /// How often each term of the question occurs in it.
    pub(crate) counts: Vec<u16>,
}

impl Candidate<'_> {
    /// Headings say what follows is about; a sentence without any word of the question is a guess.
    pub(crate) fn is_quotable(&self) -> bool {
        self.heading != Some(self.place) && self.counts.iter().any(|count| *count > 0)
    }
}

/// All that is known when sentences are compared.
pub(crate) struct Scores<'a> {
    question: &'a str,
    terms: &'a [Term],
    hits: &'a Hits,
    candidates: &'a [Candidate<'a>],
    similarities: &'a [f32],
}

impl<'a> Scores<'a> {
    pub(crate) fn new(
        question: &'a str,
        terms: &'a [Term],
        hits: &'a Hits,
        candidates: &'a [Candidate<'a>],
        similarities: &'a [f32],
    ) -> Self {
        Self { question, terms, hits, candidates, similarities }
    }

    /// One score for each candidate: its own, and shares of what stands before it and of its
    /// source's.
    pub(crate) fn totals(&self) -> Vec<f32> {
        let own = self.own();
        let at = |place: usize| own.get(place).copied().unwrap_or_default();
        let best_hit = self.hits.hits.iter().map(|hit| hit.score).fold(TINY, f32::max);
        self.candidates
            .iter()
            .map(|candidate| {
                let context = [self.previous(candidate), candidate.heading]
                    .into_iter()
                    .flatten()
                    .map(at)
                    .fold(0.0, f32::max);
                let hit = self.hits.hits.get(candidate.source).map_or(0.0, |hit| hit.score);
                at(candidate.place) + CONTEXT_WEIGHT * context + HIT_WEIGHT * hit / best_hit
            })
            .collect()
    }

    /// The share of the question's salience that a sentence covers with what it stands in, 0 to 1.
    pub(crate) fn coverage(&self, sentence: &Candidate<'_>) -> f32 {
        let whole: f32 = self.terms.iter().map(|term| term.salience).sum();
        let near: Vec<&Candidate<'_>> =
            [Some(sentence.place), self.previous(sentence), sentence.heading]
                .into_iter()
                .flatten()
                .filter_map(|place| self.candidates.get(place))
                .collect();
        let has = |candidate: &Candidate<'_>, n: usize| candidate.counts.get(n) > Some(&0);
        let covered: f32 = (0..)
            .zip(self.terms)
            .map(|(n, term)| {
                if near.iter().any(|candidate| has(candidate, n)) {
                    term.salience
                } else if self.source(sentence).any(|candidate| has(candidate, n)) {
                    SOURCE_COVERAGE * term.salience
                } else {
                    0.0
                }
            })
            .sum();
        covered / whole.max(TINY)
    }

    fn source(&self, of: &Candidate<'_>) -> impl Iterator<Item = &Candidate<'a>> {
        self.candidates.iter().filter(move |candidate| candidate.source == of.source)
    }

    fn previous(&self, candidate: &Candidate<'_>) -> Option<usize> {
        let place = candidate.place.checked_sub(1)?;
        self.candidates.get(place).filter(|previous| previous.source == candidate.source)?;
        Some(place)
    }

    /// BM25 as a share of the most that the question could give, similarity, and the cue.
    fn own(&self) -> Vec<f32> {
        let rarities = self.rarities();
        let most = rarities.iter().sum::<f32>().max(TINY) / (1.0 + K1);
        let words: f32 = self.candidates.iter().map(|candidate| f32::from(candidate.words)).sum();
        let average = (words / count(self.candidates.len())).max(1.0);
        let cue = Cue::of(self.question);
        self.candidates
            .iter()
            .zip(self.similarities)
            .map(|(candidate, similarity)| {
                let damping = K1 * (1.0 - B + B * f32::from(candidate.words) / average);
                let frequencies = candidate.counts.iter().map(|count| f32::from(*count));
                let bm25: f32 = frequencies
                    .zip(&rarities)
                    .map(|(frequency, rarity)| rarity * frequency / (frequency + damping))
                    .sum();
                let cue = if cue.is_met(candidate.text, self.question) { CUE_WEIGHT } else { 0.0 };
                bm25 / most + SIMILARITY_WEIGHT * similarity + cue
            })
            .collect()
    }

    /// BM25's inverse document frequency of each term, among the sentences of the hits.
    fn rarities(&self) -> Vec<f32> {
        let all = count(self.candidates.len());
        (0..self.terms.len())
            .map(|n| {
                let with = |candidate: &&Candidate<'_>| candidate.counts.get(n) > Some(&0);
                let with = count(self.candidates.iter().filter(with).count());
                (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
            })
            .collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "sentences of one answer are far fewer than 2^24")]
fn count(sentences: usize) -> f32 {
    sentences as f32
}

/// What kind of thing a question asks for.
#[derive(Clone, Copy)]
enum Cue {
    Number,
    Name,
    Anything,
}

impl Cue {
    fn of(question: &str) -> Self {
        const NUMBER: &[&str] = &[
            " when ",
            " how many ",
            " how much ",
            " how long ",
            " how old ",
            " how far ",
            " how large ",
            " how big ",
            " what year ",
            " which year ",
            " what date ",
            " percent ",
            " percentage ",
            " number ",
        ];
        const NAME: &[&str] = &[" who ", " whom ", " whose ", " where "];
        let mut words = String::from(" ");
        for word in question.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            words += &word.to_lowercase();
            words.push(' ');
        }
        let asks = |cues: &[&str]| cues.iter().any(|cue| words.contains(cue));
        if asks(NUMBER) {
            Self::Number
        } else if asks(NAME) {
            Self::Name
        } else {
            Self::Anything
        }
    }

    fn is_met(self, text: &str, question: &str) -> bool {
        match self {
            Self::Number => text.chars().any(|c| c.is_ascii_digit()),
            // The first word of a sentence has a capital whatever it is.
            Self::Name => text.split_whitespace().skip(1).any(|word| {
                let word = word.trim_matches(|c: char| !c.is_alphanumeric());
                word.starts_with(char::is_uppercase) && !question.contains(word)
            }),
            Self::Anything => false,
        }
    }
}
