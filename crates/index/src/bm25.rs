//! BM25 in which only the permitted chunks exist.
//!
//! Tantivy keeps the words, where they stand and how long each chunk is.
//! Which chunks count is decided here: document frequencies, the number of chunks and the average
//! length are those of the permitted chunks, and a score is summed in the order of the words, so
//! that hidden chunks move neither a score nor a tie (Robertson and Zaragoza 2009,
//! doi:10.1561/1500000019; the leak is Büttcher and Clarke's, FAST 2005).

use std::collections::BTreeMap;
use std::sync::Arc;

use bailiwick_policy::{Bailiwick, LabelId};
use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::Postings;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::tokenizer::{TextAnalyzer, TokenStream};
use tantivy::{DocSet, InvertedIndexReader, SegmentReader, TERMINATED, Term};

use crate::dense::{Blocks, Totals};
use crate::rank::{Best, Ranked};

/// The field of a chunk's row in the catalogue.
pub(crate) const CHUNK: &str = "chunk";
/// The field of its label.
pub(crate) const LABEL: &str = "label";

/// The saturation of repeated words, as tuned on SciFact.
const K1: f32 = 0.9;
/// How much a long chunk is marked down.
const B: f32 = 0.4;
/// The most distinct words of a query that are looked up.
const MOST_WORDS: usize = 64;

/// What is needed of a segment to score its chunks, read once.
pub(crate) struct Segment {
    words: Arc<InvertedIndexReader>,
    lengths: FieldNormReader,
    /// For each place: the chunk's row and its label, or none for a chunk that was deleted.
    chunks: Vec<(i64, Option<LabelId>)>,
}

impl Segment {
    pub(crate) fn read(reader: &SegmentReader, text: Field) -> tantivy::Result<Self> {
        let columns = reader.fast_fields();
        let (labels, rows) = (columns.u64(LABEL)?, columns.i64(CHUNK)?);
        let chunks = (0..reader.max_doc()).map(|place| {
            let label = labels.first(place).and_then(|number| u32::try_from(number).ok());
            let alive = label.filter(|_| !reader.is_deleted(place)).map(LabelId::from_u32);
            (rows.first(place).unwrap_or_default(), alive)
        });
        Ok(Self {
            words: reader.inverted_index(text)?,
            lengths: reader.get_fieldnorms_reader(text)?,
            chunks: chunks.collect(),
        })
    }
}

/// One state of the lexical index.
pub(crate) struct View {
    segments: Vec<Arc<Segment>>,
    text: Field,
    analyzer: TextAnalyzer,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("segments", &self.segments.len()).finish_non_exhaustive()
    }
}

/// The permitted chunks that hold a word of the query: row, label and score.
#[derive(Debug, Default)]
pub(crate) struct Scored(Vec<(i64, LabelId, f32)>);

impl View {
    pub(crate) fn new(segments: Vec<Arc<Segment>>, text: Field, analyzer: TextAnalyzer) -> Self {
        Self { segments, text, analyzer }
    }

    /// Scores every permitted chunk that holds a word of `query`.
    pub(crate) fn score(
        &self,
        query: &str,
        within: &Bailiwick,
        totals: Totals,
    ) -> tantivy::Result<Scored> {
        let words = self.words(query);
        if words.is_empty() || totals.chunks == 0 {
            return Ok(Scored::default());
        }
        let norms = Norms::new(totals);
        let mut scores: Vec<Scores> = self.segments.iter().map(|s| Scores::new(s)).collect();
        for (word, repeats) in words {
            let found = self.occurrences(&word, within)?;
            let holding = found.iter().map(Vec::len).sum();
            let weight = repeats as f32 * inverse_document_frequency(holding, totals);
            for ((segment, found), scores) in self.segments.iter().zip(found).zip(&mut scores) {
                for (place, frequency) in found {
                    let length = segment.lengths.fieldnorm_id(place);
                    scores.add(place, weight * norms.saturated(frequency, length));
                }
            }
        }
        let scored =
            self.segments.iter().zip(scores).flat_map(|(segment, scores)| scores.of(segment));
        Ok(Scored(scored.collect()))
    }

    /// The distinct words of the query in a fixed order, and how often each stands in it.
    fn words(&self, query: &str) -> BTreeMap<String, usize> {
        let mut analyzer = self.analyzer.clone();
        let mut stream = analyzer.token_stream(query);
        let mut words = BTreeMap::new();
        while stream.advance() {
            let word = &stream.token().text;
            if words.len() < MOST_WORDS || words.contains_key(word) {
                *words.entry(word.clone()).or_insert(0) += 1;
            }
        }
        words
    }

    /// For each segment the places of the permitted chunks that hold the word, and how often.
    fn occurrences(&self, word: &str, within: &Bailiwick) -> tantivy::Result<Vec<Vec<(u32, u32)>>> {
        let term = Term::from_field_text(self.text, word);
        let segments = self.segments.iter().map(|segment| {
            let found = segment.words.read_postings(&term, IndexRecordOption::WithFreqs)?;
            let Some(mut postings) = found else { return Ok(Vec::new()) };
            let mut occurrences = Vec::new();
            let mut place = postings.doc();
            while place != TERMINATED {
                let label = segment.chunks.get(place as usize).and_then(|(_, label)| *label);
                if label.is_some_and(|label| within.contains(label)) {
                    occurrences.push((place, postings.term_freq()));
                }
                place = postings.advance();
            }
            Ok(occurrences)
        });
        segments.collect()
    }
}

/// The sums of one segment's chunks while they are made.
struct Scores {
    sums: Vec<f32>,
    /// The places with a sum, each once.
    touched: Vec<u32>,
}

impl Scores {
    fn new(segment: &Segment) -> Self {
        Self { sums: vec![0.0; segment.chunks.len()], touched: Vec::new() }
    }

    /// What is added is always positive, so a sum of zero is one that was not begun.
    fn add(&mut self, place: u32, score: f32) {
        if let Some(sum) = self.sums.get_mut(place as usize) {
            if *sum == 0.0 {
                self.touched.push(place);
            }
            *sum += score;
        }
    }

    fn of(self, segment: &Segment) -> impl Iterator<Item = (i64, LabelId, f32)> {
        let Self { sums, touched } = self;
        touched.into_iter().filter_map(move |place| {
            let (row, label) = *segment.chunks.get(place as usize)?;
            Some((row, label?, *sums.get(place as usize)?))
        })
    }
}

fn inverse_document_frequency(holding: usize, totals: Totals) -> f32 {
    let all = totals.chunks as f32;
    let holding = holding as f32;
    (1.0 + (all - holding + 0.5) / (holding + 0.5)).ln()
}

/// How much each length marks a chunk down; Tantivy keeps a length as one of 256 classes.
struct Norms([f32; 256]);

impl Norms {
    fn new(totals: Totals) -> Self {
        let average = (totals.tokens as f32 / totals.chunks as f32).max(1.0);
        let mut norms = [0.0; 256];
        for (class, norm) in (0..=u8::MAX).zip(&mut norms) {
            let length = FieldNormReader::id_to_fieldnorm(class) as f32;
            *norm = K1 * (1.0 - B + B * length / average);
        }
        Self(norms)
    }

    fn saturated(&self, frequency: u32, length: u8) -> f32 {
        let norm = self.0.get(usize::from(length)).copied().unwrap_or(K1);
        let frequency = frequency as f32;
        frequency * (K1 + 1.0) / (frequency + norm)
    }
}

impl Scored {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(i64, LabelId, f32)> {
        self.0.iter()
    }

    /// The `most` chunks with the greatest score, best first.
    pub(crate) fn best<'a>(&self, blocks: &'a Blocks, most: usize) -> Vec<Ranked<'a>> {
        let mut best = Best::new(most);
        for (row, label, score) in &self.0 {
            if best.may_take(*score)
                && let Some(id) = blocks.id(*label, *row)
            {
                best.offer(Ranked { score: *score, id, row: *row, label: *label });
            }
        }
        best.into_ranked()
    }
}
