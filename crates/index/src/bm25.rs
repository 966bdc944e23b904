//! BM25 in which only the permitted chunks exist.
//!
//! Document frequencies, the number of chunks and the average length are those of the permitted
//! chunks, and a score is summed in the order of the words, so that hidden chunks move neither a
//! score nor a tie (Robertson and Zaragoza 2009, doi:10.1561/1500000019; the leak is Büttcher and
//! Clarke's, FAST 2005).
//!
//! The chunks that hold a word are listed by place, so those that are permitted are stretches of
//! the list: hidden ones are passed over without being read, and counting is a subtraction.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::analysis::Analyzer;
use crate::gallop::gallop;
use crate::rank::{Best, Ranked};
use crate::segment::Postings;
use crate::snapshot::{Part, Place, Totals};
use crate::view::Visible;

/// The saturation of repeated words, as tuned on SciFact.
const K1: f32 = 0.9;
/// How much a long chunk is marked down.
const B: f32 = 0.4;
/// The most distinct words of a query that are looked up.
const MOST_WORDS: usize = 64;

/// So many parts' sums are kept for the next search.
const MOST_KEPT: usize = 16;

/// The permitted chunks that hold a word of the query, with their scores.
#[derive(Debug)]
pub(crate) struct Scored<'a, 'b> {
    visible: &'b Visible<'a>,
    /// For each part.
    scores: Vec<Scores>,
}

/// The sums of one part's chunks.
#[derive(Debug, Default)]
struct Scores {
    /// For each place; empty if no chunk has a score.
    sums: Vec<f32>,
    /// The places with a sum, each once.
    touched: Vec<u32>,
}

thread_local! {
    /// Sums of zero, because a large part's take megabytes, which are not asked for anew each time.
    static ZEROS: RefCell<Vec<Vec<f32>>> = RefCell::default();
}

impl Drop for Scores {
    fn drop(&mut self) {
        for place in &self.touched {
            if let Some(sum) = self.sums.get_mut(*place as usize) {
                *sum = 0.0;
            }
        }
        let sums = std::mem::take(&mut self.sums);
        // At the end of a thread there is nowhere to keep them, and no need to.
        let _ = ZEROS.try_with(|zeros| {
            if let Ok(mut zeros) = zeros.try_borrow_mut()
                && !sums.is_empty()
                && zeros.len() < MOST_KEPT
            {
                zeros.push(sums);
            }
        });
    }
}

/// What of a word's postings in one part is permitted.
struct Found<'a> {
    number: usize,
    part: &'a Part,
    postings: Postings<'a>,
    stretches: Vec<Range<usize>>,
}

/// Scores every permitted chunk that holds a word of `query`.
pub(crate) fn score<'a, 'b>(
    visible: &'b Visible<'a>,
    query: &str,
    analyzer: &mut Analyzer,
) -> Scored<'a, 'b> {
    let mut scores: Vec<_> = (0..visible.part_count()).map(|_| Scores::default()).collect();
    let words = if visible.totals.chunks == 0 { BTreeMap::new() } else { words(query, analyzer) };
    let norms = Norms::new(visible.totals);
    for (word, repeats) in words {
        let found = find(visible, &word);
        let holding = found.iter().map(|found| found.count() as u64).sum();
        let weight = repeats as f32 * inverse_document_frequency(holding, visible.totals);
        for found in &found {
            if let Some(scores) = scores.get_mut(found.number) {
                scores.add(found, weight, norms);
            }
        }
    }
    Scored { visible, scores }
}

/// The distinct words of the query in a fixed order, and how often each stands in it.
fn words(query: &str, analyzer: &mut Analyzer) -> BTreeMap<Arc<str>, usize> {
    let mut words = BTreeMap::new();
    for word in analyzer.words(query) {
        if words.len() < MOST_WORDS || words.contains_key(&word) {
            *words.entry(word).or_insert(0) += 1;
        }
    }
    words
}

fn find<'a>(visible: &Visible<'a>, word: &str) -> Vec<Found<'a>> {
    let found = visible.parts().map(|(number, part, ranges)| {
        let postings = part.segment.postings(word);
        let stretches = stretches(postings.places, ranges);
        Found { number: number as usize, part, postings, stretches }
    });
    found.filter(|found| !found.stretches.is_empty()).collect()
}

/// Which stretches of `places` lie within the ranges. Both are in order, and of either what the
/// other has nothing of is passed over.
fn stretches(places: &[u32], ranges: &[Range<u32>]) -> Vec<Range<usize>> {
    let mut stretches = Vec::new();
    let (mut at, mut number) = (0, 0);
    while let Some(range) = ranges.get(number) {
        let start = gallop(places, at, |place| *place < range.start);
        let Some(first) = places.get(start) else { break };
        if *first < range.end {
            at = gallop(places, start, |place| *place < range.end);
            stretches.push(start..at);
            number += 1;
        } else {
            at = start;
            number = gallop(ranges, number, |range| range.end <= *first);
        }
    }
    stretches
}

impl Found<'_> {
    fn stretch(&self, stretch: &Range<usize>) -> (&[u32], &[u8]) {
        let places = self.postings.places.get(stretch.clone()).unwrap_or_default();
        (places, self.postings.frequencies.get(stretch.clone()).unwrap_or_default())
    }

    /// How many permitted chunks hold the word.
    fn count(&self) -> usize {
        if self.part.dead.is_empty() {
            return self.stretches.iter().map(ExactSizeIterator::len).sum();
        }
        let places = self.stretches.iter().flat_map(|stretch| self.stretch(stretch).0);
        places.filter(|place| !self.part.dead.contains(**place)).count()
    }
}

impl Scores {
    fn add(&mut self, found: &Found<'_>, weight: f32, norms: Norms) {
        let segment = &found.part.segment;
        if self.sums.is_empty() {
            self.sums = ZEROS.with_borrow_mut(Vec::pop).unwrap_or_default();
            if self.sums.len() < segment.len() {
                self.sums.resize(segment.len(), 0.0);
            }
        }
        let (lengths, dead) = (segment.lengths(), &found.part.dead);
        let all_alive = dead.is_empty();
        for stretch in &found.stretches {
            let (places, frequencies) = found.stretch(stretch);
            for (place, frequency) in places.iter().zip(frequencies) {
                let at = *place as usize;
                let (Some(sum), Some(length)) = (self.sums.get_mut(at), lengths.get(at)) else {
                    continue;
                };
                if all_alive || !dead.contains(*place) {
                    // What is added is positive, so a sum of zero is one that was not begun.
                    if *sum == 0.0 {
                        self.touched.push(*place);
                    }
                    *sum += weight * norms.saturated(*frequency, *length);
                }
            }
        }
    }
}

/// Above zero also for a word that millions of chunks hold and none lacks.
fn inverse_document_frequency(holding: u64, totals: Totals) -> f32 {
    let lacking = totals.chunks.saturating_sub(holding);
    ((lacking as f64 + 0.5) / (holding as f64 + 0.5)).ln_1p() as f32
}

/// How much a length marks a chunk down: `base + of_each × length`.
#[derive(Clone, Copy, Debug)]
struct Norms {
    base: f32,
    of_each: f32,
}

impl Norms {
    fn new(totals: Totals) -> Self {
        let average = (totals.words as f32 / totals.chunks as f32).max(1.0);
        Self { base: K1 * (1.0 - B), of_each: K1 * B / average }
    }

    fn saturated(self, frequency: u8, length: u16) -> f32 {
        let frequency = f32::from(frequency);
        frequency * (K1 + 1.0) / (frequency + self.base + self.of_each * f32::from(length))
    }
}

impl<'a> Scored<'a, '_> {
    /// A chunk's score; zero if it holds no word of the query.
    pub(crate) fn score(&self, at: Place) -> f32 {
        let sums = self.scores.get(at.part as usize).map(|scores| &scores.sums);
        sums.and_then(|sums| sums.get(at.place as usize)).copied().unwrap_or_default()
    }

    /// The `most` chunks with the greatest score, best first.
    pub(crate) fn best(&self, most: usize) -> Vec<Ranked<'a>> {
        let mut best = Best::new(most);
        for (part, scores) in (0..).zip(&self.scores) {
            for place in &scores.touched {
                let score = scores.sums.get(*place as usize).copied().unwrap_or_default();
                let at = Place { part, place: *place };
                if score >= best.floor()
                    && let Some((id, row)) = self.visible.chunk(at)
                {
                    best.offer(Ranked { score, id, row, at });
                }
            }
        }
        best.into_ranked()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn stretches_are_what_lies_within(
            places in prop::collection::btree_set(0_u32..400, 0..80),
            cuts in prop::collection::btree_set(0_u32..420, 0..12),
        ) {
            let places: Vec<u32> = places.into_iter().collect();
            let cuts: Vec<u32> = cuts.into_iter().collect();
            let ranges: Vec<Range<u32>> =
                cuts.as_chunks::<2>().0.iter().map(|[start, end]| *start..*end).collect();
            let wanted: Vec<u32> = places
                .iter()
                .copied()
                .filter(|place| ranges.iter().any(|range| range.contains(place)))
                .collect();
            let found: Vec<u32> = stretches(&places, &ranges)
                .into_iter()
                .flat_map(|stretch| places[stretch].iter().copied())
                .collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
