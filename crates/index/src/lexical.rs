//! BM25 in which only the permitted chunks exist.
//!
//! Tantivy keeps the words, their places and the lengths.
//! Which chunks count is decided here: document frequencies, the number of chunks and the average
//! length are those of the permitted chunks, and a score is summed in the order of the words, so
//! that hidden chunks move neither a score nor a tie (Robertson and Zaragoza 2009,
//! doi:10.1561/1500000019; the leak is Büttcher and Clarke's, FAST 2005).

use std::collections::BTreeMap;
use std::path::Path;

use bailiwick_policy::{Bailiwick, LabelId};
use tantivy::columnar::Column;
use tantivy::postings::Postings;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{
    Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, StopWordFilter, TextAnalyzer,
    TokenStream,
};
use tantivy::{
    DocSet, Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, TERMINATED, TantivyDocument,
    Term,
};

use crate::dense::{Blocks, Totals};
use crate::rank::{Best, Ranked};

/// The saturation of repeated words, as tuned on SciFact.
const K1: f32 = 0.9;
/// How much a long chunk is marked down.
const B: f32 = 0.4;
/// The longest word in bytes; longer ones are data, not language.
const LONGEST_WORD: usize = 64;
/// The most distinct words of a query that are looked up.
const MOST_WORDS: usize = 64;
const WRITER_BYTES: usize = 64 << 20;

/// The words of all chunks, on disk, derived from the catalogue.
pub(crate) struct Lexical {
    fields: Fields,
    reader: IndexReader,
    writer: IndexWriter,
    analyzer: TextAnalyzer,
}

impl std::fmt::Debug for Lexical {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lexical").finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug)]
struct Fields {
    text: Field,
    chunk: Field,
    label: Field,
    document: Field,
}

/// A chunk as the lexical index takes it.
#[derive(Debug)]
pub(crate) struct Words<'a> {
    pub(crate) chunk: i64,
    pub(crate) document: i64,
    pub(crate) label: LabelId,
    pub(crate) text: &'a str,
}

impl Lexical {
    /// Opens the index in `folder`, making it when it is not there.
    pub(crate) fn open(folder: &Path) -> tantivy::Result<Self> {
        let (schema, fields) = schema();
        std::fs::create_dir_all(folder)?;
        let directory = tantivy::directory::MmapDirectory::open(folder)?;
        let index = Index::open_or_create(directory, schema)?;
        let analyzer = analyzer();
        index.tokenizers().register(ANALYZER, analyzer.clone());
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let writer = index.writer_with_num_threads(1, WRITER_BYTES)?;
        Ok(Self { fields, reader, writer, analyzer })
    }

    /// The catalogue's revision that this index reflects; 0 for a new one.
    pub(crate) fn revision(&self) -> tantivy::Result<u64> {
        let metas = self.writer.index().load_metas()?;
        Ok(metas.payload.and_then(|payload| payload.parse().ok()).unwrap_or(0))
    }

    /// How many words of a chunk count towards its length.
    pub(crate) fn count_words(&self, text: &str) -> u32 {
        let mut analyzer = self.analyzer.clone();
        let mut stream = analyzer.token_stream(text);
        let mut words = 0;
        while stream.advance() {
            words += 1;
        }
        words
    }

    pub(crate) fn remove(&self, document: i64) {
        self.writer.delete_term(Term::from_field_i64(self.fields.document, document));
    }

    pub(crate) fn add(&self, words: &Words<'_>) -> tantivy::Result<()> {
        let mut document = TantivyDocument::default();
        document.add_text(self.fields.text, words.text);
        document.add_i64(self.fields.chunk, words.chunk);
        document.add_i64(self.fields.document, words.document);
        document.add_u64(self.fields.label, u64::from(words.label.as_u32()));
        self.writer.add_document(document)?;
        Ok(())
    }

    pub(crate) fn clear(&self) -> tantivy::Result<()> {
        self.writer.delete_all_documents()?;
        Ok(())
    }

    /// Forgets what was added and removed since the last commit.
    pub(crate) fn roll_back(&mut self) -> tantivy::Result<()> {
        self.writer.rollback()?;
        Ok(())
    }

    /// Makes what was added and removed searchable, as the state of `revision`.
    pub(crate) fn commit(&mut self, revision: u64) -> tantivy::Result<()> {
        let mut prepared = self.writer.prepare_commit()?;
        prepared.set_payload(&revision.to_string());
        prepared.commit()?;
        self.reader.reload()
    }

    /// A view of the last commit, which later ones do not change.
    pub(crate) fn view(&self) -> View {
        View {
            searcher: self.reader.searcher(),
            fields: self.fields,
            analyzer: self.analyzer.clone(),
        }
    }
}

/// The name under which Tantivy knows how we split text into words.
const ANALYZER: &str = "english";

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(ANALYZER)
        .set_index_option(IndexRecordOption::WithFreqs)
        .set_fieldnorms(true);
    let fields = Fields {
        text: schema.add_text_field("text", TextOptions::default().set_indexing_options(indexing)),
        chunk: schema.add_i64_field("chunk", FAST),
        label: schema.add_u64_field("label", FAST),
        document: schema.add_i64_field("document", INDEXED),
    };
    (schema.build(), fields)
}

fn analyzer() -> TextAnalyzer {
    let words = TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(LONGEST_WORD))
        .filter(LowerCaser);
    match StopWordFilter::new(Language::English) {
        Some(stop_words) => {
            words.filter(stop_words).filter(Stemmer::new(Language::English)).build()
        }
        None => words.filter(Stemmer::new(Language::English)).build(),
    }
}

/// One state of the lexical index.
#[derive(Clone)]
pub(crate) struct View {
    searcher: Searcher,
    fields: Fields,
    analyzer: TextAnalyzer,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
    }
}

/// Where a word stands: segment, document in the segment, times, length of the chunk.
struct Occurrence {
    segment: usize,
    place: u32,
    frequency: u32,
    length: u32,
}

/// The permitted chunks that hold a word of the query, with their scores.
#[derive(Debug, Default)]
pub(crate) struct Scored {
    /// Row, label and score.
    pub(crate) chunks: Vec<(i64, LabelId, f32)>,
}

impl View {
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
        let segments = self.segments(within)?;
        let mut scores: Vec<Vec<f32>> =
            segments.iter().map(|segment| vec![0.0; segment.size]).collect();
        let mut touched = Vec::new();
        for (word, repeats) in words {
            let occurrences = self.occurrences(&word, &segments)?;
            let weight = repeats as f32 * inverse_document_frequency(occurrences.len(), totals);
            for occurrence in occurrences {
                let Some(score) = scores
                    .get_mut(occurrence.segment)
                    .and_then(|scores| scores.get_mut(occurrence.place as usize))
                else {
                    continue;
                };
                if *score == 0.0 {
                    touched.push((occurrence.segment, occurrence.place));
                }
                *score += weight * saturated(&occurrence, totals);
            }
        }
        let chunks = touched.into_iter().filter_map(|(segment, place)| {
            let score = *scores.get(segment)?.get(place as usize)?;
            let segment = segments.get(segment)?;
            Some((segment.chunks.first(place)?, segment.label(place)?, score))
        });
        Ok(Scored { chunks: chunks.collect() })
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

    fn segments<'a>(&self, within: &'a Bailiwick) -> tantivy::Result<Vec<Segment<'a>>> {
        let readers = self.searcher.segment_readers().iter();
        readers
            .map(|reader| {
                let columns = reader.fast_fields();
                Ok(Segment {
                    size: reader.max_doc() as usize,
                    alive: reader.alive_bitset().cloned(),
                    labels: columns.u64("label")?,
                    chunks: columns.i64("chunk")?,
                    within,
                })
            })
            .collect()
    }

    /// Every permitted chunk that holds the word.
    fn occurrences(
        &self,
        word: &str,
        segments: &[Segment<'_>],
    ) -> tantivy::Result<Vec<Occurrence>> {
        let term = Term::from_field_text(self.fields.text, word);
        let mut occurrences = Vec::new();
        for (number, (reader, segment)) in
            self.searcher.segment_readers().iter().zip(segments).enumerate()
        {
            let inverted = reader.inverted_index(self.fields.text)?;
            let Some(mut postings) = inverted.read_postings(&term, IndexRecordOption::WithFreqs)?
            else {
                continue;
            };
            let lengths = reader.get_fieldnorms_reader(self.fields.text)?;
            let mut place = postings.doc();
            while place != TERMINATED {
                if segment.is_permitted(place) {
                    occurrences.push(Occurrence {
                        segment: number,
                        place,
                        frequency: postings.term_freq(),
                        length: lengths.fieldnorm(place),
                    });
                }
                place = postings.advance();
            }
        }
        Ok(occurrences)
    }
}

/// What is needed of a segment to tell which of its chunks exist for this person.
struct Segment<'a> {
    size: usize,
    alive: Option<tantivy::fastfield::AliveBitSet>,
    labels: Column<u64>,
    chunks: Column<i64>,
    within: &'a Bailiwick,
}

impl Segment<'_> {
    fn label(&self, place: u32) -> Option<LabelId> {
        let number = self.labels.first(place)?;
        u32::try_from(number).ok().map(LabelId::from_u32)
    }

    fn is_permitted(&self, place: u32) -> bool {
        let alive = self.alive.as_ref().is_none_or(|alive| alive.is_alive(place));
        alive && self.label(place).is_some_and(|label| self.within.contains(label))
    }
}

fn inverse_document_frequency(holding: usize, totals: Totals) -> f32 {
    let all = totals.chunks as f32;
    let holding = holding as f32;
    (1.0 + (all - holding + 0.5) / (holding + 0.5)).ln()
}

fn saturated(occurrence: &Occurrence, totals: Totals) -> f32 {
    let average = (totals.tokens as f32 / totals.chunks as f32).max(1.0);
    let frequency = occurrence.frequency as f32;
    let length = 1.0 - B + B * occurrence.length as f32 / average;
    frequency * (K1 + 1.0) / (frequency + K1 * length)
}

impl Scored {
    /// The `most` chunks with the greatest score, best first.
    pub(crate) fn best<'a>(&self, blocks: &'a Blocks, most: usize) -> Vec<Ranked<'a>> {
        let mut best = Best::new(most);
        for (row, label, score) in &self.chunks {
            if let Some(id) = blocks.id(*label, *row) {
                best.offer(Ranked { score: *score, id, row: *row, label: *label });
            }
        }
        best.into_ranked()
    }
}
