//! The words of all chunks on disk, in Tantivy, derived from the catalogue.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use bailiwick_policy::LabelId;
use tantivy::index::SegmentId;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{
    Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, StopWordFilter, TextAnalyzer,
    TokenStream,
};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, Term};

use crate::bm25::{CHUNK, LABEL, Segment, View};

/// The longest word in bytes; longer ones are data, not language.
const LONGEST_WORD: usize = 64;
const WRITER_BYTES: usize = 64 << 20;

/// The words of all chunks, on disk, derived from the catalogue.
pub(crate) struct Lexical {
    fields: Fields,
    reader: IndexReader,
    writer: IndexWriter,
    analyzer: TextAnalyzer,
    /// Segments never change but for deletions, so what was read of one serves the next view.
    segments: HashMap<(SegmentId, u32), Arc<Segment>>,
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
        Ok(Self { fields, reader, writer, analyzer, segments: HashMap::new() })
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
    pub(crate) fn view(&mut self) -> tantivy::Result<View> {
        let searcher = self.reader.searcher();
        let mut segments = HashMap::new();
        let mut in_order = Vec::new();
        for reader in searcher.segment_readers() {
            let key = (reader.segment_id(), reader.num_deleted_docs());
            let segment = match self.segments.get(&key) {
                Some(known) => Arc::clone(known),
                None => Arc::new(Segment::read(reader, self.fields.text)?),
            };
            in_order.push(Arc::clone(&segment));
            segments.insert(key, segment);
        }
        self.segments = segments;
        Ok(View::new(in_order, self.fields.text, self.analyzer.clone()))
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
        chunk: schema.add_i64_field(CHUNK, FAST),
        label: schema.add_u64_field(LABEL, FAST),
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
