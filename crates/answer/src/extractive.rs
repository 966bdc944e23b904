//! Answers without a language model: the sentences that answer best, quoted.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use bailiwick_index::{DocumentId, Hits};
use bailiwick_models::{Embedder, StaticEmbedder};
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use crate::score::{Candidate, Scores, Term};
use crate::sentences::sentences;
use crate::words::{stem, words};
use crate::{AnswerError, Answerer, NOTHING_ANSWERS};

const MAX_QUOTES: usize = 3;

/// Only the start of a very long question is looked at, to bound the work.
const MAX_TERMS: usize = 64;

/// The share of the question's salience that the best sentence must cover, tuned on XQuAD.
const LEAST_COVERAGE: f32 = 0.6;

/// A further quote must score at least this share of the best one's score.
const LEAST_SCORE: f32 = 0.7;

/// Quotes up to three sentences of the hits, in the order of their documents.
///
/// Deterministic, and it reads nothing but the question, the hits and the compiled-in table:
/// how rare a word is, it counts among the sentences of the hits; how much a word says, it looks
/// up in the table.
#[derive(Debug)]
pub struct Extractive {
    table: StaticEmbedder,
}

/// A sentence of a source, verbatim.
#[derive(Clone, Debug, PartialEq)]
pub struct Quote {
    /// The sentence as it stands in the source.
    pub text: String,
    /// The place of its source in the hits, from 1.
    pub source: usize,
    /// Higher is better; comparable within one answer only.
    pub score: f32,
}

impl Extractive {
    /// An answerer that uses the compiled-in table, whatever the index is embedded with.
    ///
    /// # Errors
    /// The compiled-in table is damaged.
    pub fn new() -> Result<Self, AnswerError> {
        Ok(Self { table: StaticEmbedder::built_in()? })
    }

    /// The sentences that answer, in the order of their documents; empty when none does.
    ///
    /// # Errors
    /// The embedding was interrupted.
    pub async fn quotes(&self, question: &str, hits: &Hits) -> Result<Vec<Quote>, AnswerError> {
        let terms = self.terms(question);
        let candidates = candidates(&terms, hits);
        let similarities = self.similarities(question, &candidates).await?;
        let scores = Scores::new(question, &terms, hits, &candidates, &similarities);
        let mut ranked: Vec<(&Candidate<'_>, f32)> = candidates
            .iter()
            .zip(scores.totals())
            .filter(|(candidate, _)| candidate.is_quotable())
            .collect();
        // The sort is stable: of equal scores the earlier source and sentence comes first.
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        let Some(&(best, best_score)) = ranked.first() else {
            return Ok(Vec::new());
        };
        if scores.coverage(best) < LEAST_COVERAGE {
            return Ok(Vec::new());
        }
        let mut seen = HashSet::new();
        ranked
            .retain(|(quote, score)| *score >= LEAST_SCORE * best_score && seen.insert(quote.text));
        ranked.truncate(MAX_QUOTES);
        let order = document_order(hits);
        ranked.sort_by_key(|(quote, _)| (order.get(quote.source).copied(), quote.place));
        let quote = |(candidate, score): (&Candidate<'_>, f32)| Quote {
            text: candidate.text.to_owned(),
            source: candidate.source + 1,
            score,
        };
        Ok(ranked.into_iter().map(quote).collect())
    }

    fn terms(&self, question: &str) -> Vec<Term> {
        let mut seen = HashSet::new();
        words(question)
            .into_iter()
            .map(|word| (stem(&word), word))
            .filter(|(stem, _)| seen.insert(stem.clone()))
            .take(MAX_TERMS)
            .map(|(stem, word)| Term { stem, salience: self.table.salience(&word) })
            .collect()
    }

    async fn similarities(
        &self,
        question: &str,
        candidates: &[Candidate<'_>],
    ) -> Result<Vec<f32>, AnswerError> {
        let question = self.table.vector(question);
        let texts: Vec<String> =
            candidates.iter().map(|candidate| candidate.text.to_owned()).collect();
        let vectors = self.table.embed(&texts).await?;
        let cosine = |vector: &Vec<f32>| vector.iter().zip(&question).map(|(a, b)| a * b).sum();
        Ok(vectors.iter().map(cosine).collect())
    }
}

#[async_trait]
impl Answerer for Extractive {
    async fn answer(
        &self,
        question: &str,
        hits: &Hits,
    ) -> Result<BoxStream<'static, Result<String, AnswerError>>, AnswerError> {
        let quotes = self.quotes(question, hits).await?;
        if quotes.is_empty() {
            return Ok(stream::iter([Ok(NOTHING_ANSWERS.to_owned())]).boxed());
        }
        let gaps = std::iter::once("").chain(std::iter::repeat("\n\n"));
        let pieces: Vec<_> = gaps
            .zip(quotes)
            .map(|(gap, quote)| Ok(format!("{gap}{} [{}]", quote.text, quote.source)))
            .collect();
        Ok(stream::iter(pieces).boxed())
    }
}

/// Every sentence and heading of the hits, in order; none when the question has no terms.
fn candidates<'a>(terms: &[Term], hits: &'a Hits) -> Vec<Candidate<'a>> {
    let mut candidates: Vec<Candidate<'a>> = Vec::new();
    if terms.is_empty() {
        return candidates;
    }
    for (source, hit) in hits.hits.iter().enumerate() {
        let mut heading = None;
        for sentence in sentences(&hit.text) {
            let place = candidates.len();
            if sentence.is_heading {
                heading = Some(place);
            }
            let mut stems: HashMap<String, u16> = HashMap::new();
            let words = words(sentence.text);
            for word in &words {
                let count = stems.entry(stem(word)).or_default();
                *count = count.saturating_add(1);
            }
            candidates.push(Candidate {
                text: sentence.text,
                source,
                place,
                heading,
                words: u16::try_from(words.len()).unwrap_or(u16::MAX),
                counts: terms
                    .iter()
                    .map(|term| stems.get(&term.stem).copied().unwrap_or_default())
                    .collect(),
            });
        }
    }
    candidates
}

/// For each hit the rank of its document and the place of the chunk in it.
fn document_order(hits: &Hits) -> Vec<(usize, u32)> {
    let mut ranks: HashMap<&DocumentId, usize> = HashMap::new();
    hits.hits
        .iter()
        .map(|hit| {
            let next = ranks.len();
            (*ranks.entry(&hit.id.document).or_insert(next), hit.id.n)
        })
        .collect()
}
