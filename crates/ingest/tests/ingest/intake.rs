use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bailiwick_index::{
    Document, DocumentId, EmbeddedIndex, Hits, Index, IndexError, LabelSize, NewDocument, Options,
    Order, Origin, Query, Receipt, Size, SourceName,
};
use bailiwick_ingest::{Intake, IntakeError, Refusal, SourceDocument, Stamp, Unlabelled};
use bailiwick_models::{Embedder, Embedders, ModelError};
use bailiwick_policy::{Bailiwick, Ceiling, Label, LabelId, LabelTable, Oversight};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::{object, schema};

/// Counts what it embeds, and keeps it.
#[derive(Debug, Default)]
struct Notebook(Mutex<Vec<String>>);

#[async_trait]
impl Embedder for Notebook {
    fn id(&self) -> &str {
        "notebook"
    }

    fn dimensions(&self) -> usize {
        32
    }

    fn dense_weight(&self) -> f32 {
        0.5
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, ModelError> {
        self.0.lock().unwrap().extend_from_slice(texts);
        let mut vector = vec![0.0; 32];
        vector[0] = 1.0;
        Ok(vec![vector; texts.len()])
    }
}

/// The real index, and a copy of what was written to it.
#[derive(Debug)]
struct Witness {
    index: EmbeddedIndex,
    written: Mutex<Vec<NewDocument>>,
    upserts: AtomicUsize,
}

#[async_trait]
impl Index for Witness {
    fn readiness(&self) -> Result<(), IndexError> {
        self.index.readiness()
    }

    fn labels(&self) -> &LabelTable {
        self.index.labels()
    }

    fn revision(&self) -> u64 {
        self.index.revision()
    }

    fn space(&self) -> Arc<str> {
        self.index.space()
    }

    async fn search(&self, query: &Query, within: &Bailiwick) -> Result<Hits, IndexError> {
        self.index.search(query, within).await
    }

    async fn reread(&self, hits: Hits, within: &Bailiwick) -> Result<Hits, IndexError> {
        self.index.reread(hits, within).await
    }

    async fn document(
        &self,
        id: &DocumentId,
        within: &Bailiwick,
    ) -> Result<Option<Document>, IndexError> {
        self.index.document(id, within).await
    }

    async fn size(&self, within: &Bailiwick) -> Result<Size, IndexError> {
        self.index.size(within).await
    }

    async fn label_sizes(&self, oversight: Oversight) -> Result<Vec<LabelSize>, IndexError> {
        self.index.label_sizes(oversight).await
    }

    async fn sample(
        &self,
        labels: &std::collections::BTreeSet<LabelId>,
        limit: usize,
        oversight: Oversight,
    ) -> Result<Vec<DocumentId>, IndexError> {
        self.index.sample(labels, limit, oversight).await
    }

    async fn label_of(
        &self,
        id: &DocumentId,
        oversight: Oversight,
    ) -> Result<Option<LabelId>, IndexError> {
        self.index.label_of(id, oversight).await
    }

    async fn upsert(
        &self,
        documents: Vec<NewDocument>,
        ceiling: &Ceiling,
    ) -> Result<Receipt, IndexError> {
        self.upserts.fetch_add(1, Ordering::SeqCst);
        self.written.lock().unwrap().extend(documents.iter().cloned());
        self.index.upsert(documents, ceiling).await
    }

    async fn remove(&self, ids: &[DocumentId], ceiling: &Ceiling) -> Result<Receipt, IndexError> {
        self.index.remove(ids, ceiling).await
    }

    async fn relabel(
        &self,
        id: &DocumentId,
        metadata: Map<String, Value>,
        label: Label,
        contributors: &[String],
        ceiling: &Ceiling,
    ) -> Result<Option<Receipt>, IndexError> {
        self.index.relabel(id, metadata, label, contributors, ceiling).await
    }

    async fn obey(&self, order: Order) -> Result<Receipt, IndexError> {
        self.index.obey(order).await
    }

    fn obeyed(&self) -> u64 {
        self.index.obeyed()
    }

    async fn remove_from(
        &self,
        ids: &[DocumentId],
        origin: &Origin,
        ceiling: &Ceiling,
    ) -> Result<Receipt, IndexError> {
        self.index.remove_from(ids, origin, ceiling).await
    }

    async fn unchanged(
        &self,
        ids: &[(DocumentId, [u8; 32])],
        source: &SourceName,
    ) -> Result<Vec<bool>, IndexError> {
        self.index.unchanged(ids, source).await
    }
}

struct House {
    intake: Intake,
    index: Arc<Witness>,
    notebook: Arc<Notebook>,
    _folder: TempDir,
}

impl House {
    fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let notebook = Arc::new(Notebook::default());
        let options = Options::new(
            folder.path().into(),
            schema(),
            notebook.id().into(),
            notebook.dimensions(),
        );
        let index = EmbeddedIndex::open(options);
        let (written, upserts) = (Mutex::default(), AtomicUsize::default());
        let index = Arc::new(Witness { index: index.unwrap(), written, upserts });
        let intake = Intake::new(schema(), Embedders::new(notebook.clone(), None), index.clone());
        Self { intake, index, notebook, _folder: folder }
    }

    async fn store(&self, documents: Vec<SourceDocument>) -> Result<Receipt, IntakeError> {
        self.intake.store(documents, &stamp("1"), Unlabelled::Refuse).await
    }

    fn written(&self) -> Vec<NewDocument> {
        self.index.written.lock().unwrap().clone()
    }

    fn embedded(&self) -> usize {
        self.notebook.0.lock().unwrap().len()
    }
}

fn stamp(run: &str) -> Stamp {
    Stamp {
        ingested_by: "spiffe://acme.example/agent/reader".into(),
        actors: Vec::new(),
        token_jti: Some(format!("token-{run}")),
        scope: None,
        ceiling: Ceiling::none(),
        source: None,
        replace: false,
    }
}

fn document(id: &str, text: &str, metadata: Value) -> SourceDocument {
    SourceDocument { id: id.into(), text: text.into(), metadata: object(metadata) }
}

fn secret(id: &str, text: &str) -> SourceDocument {
    document(id, text, json!({"clearance_level": "Secret"}))
}

fn refusals(result: Result<Receipt, IntakeError>) -> Vec<Refusal> {
    match result.unwrap_err() {
        IntakeError::Refused(refusals) => refusals,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_stamps_tell_the_truth() {
    let house = House::open();
    let sent = json!({
        "clearance_level": "Secret", "ingested_by": "root", "token_jti": "forged", "scope": "forged",
        "ingested_at": "never", "source_endpoint": "a/b", "ingestion_auth": "delegation token",
        "record_index": 3, "clearance_required": "Secret", "confidentiality": "x", "author": "Ann",
    });
    house.store(vec![document("d", "Text", sent)]).await.unwrap();
    let metadata = &house.written()[0].metadata;
    assert_eq!(metadata["ingested_by"], "spiffe://acme.example/agent/reader");
    assert_eq!(metadata["token_jti"], "token-1");
    assert!(!metadata.contains_key("scope"), "no truth, no stamp");
    let at = metadata["ingested_at"].as_str().unwrap();
    assert!(at.len() == 20 && at.ends_with('Z'), "{at}");
    for name in [
        "source_endpoint",
        "ingestion_auth",
        "record_index",
        "clearance_required",
        "confidentiality",
        "author",
    ] {
        assert!(metadata.contains_key(name), "{name} passes through");
    }
}

#[tokio::test]
async fn one_wrong_document_and_nothing_is_stored() {
    let house = House::open();
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let long = "x".repeat(100_000);
    let wrong = [
        (document("", "t", json!({"clearance": "Secret"})), "empty"),
        (secret(&"i".repeat(600), "t"), "512"),
        (secret("line\nbreak", "t"), "control"),
        (secret("blank", " \n\t"), "empty"),
        (secret("nul", "a\0b"), "NUL"),
        (secret("long", &"x".repeat(10_000_001)), "10000000"),
        (document("deep", "t", json!({"clearance": "Secret", "x": deep})), "nested"),
        (document("wide", "t", json!({"clearance": "Secret", "x": long})), "65536"),
        (document("bare", "t", json!({})), "clearance_level"),
        (document("case", "t", json!({"clearance_level": "secret"})), "clearance_level"),
        (document("list", "t", json!({"clearance_level": ["Secret"]})), "clearance_level"),
        (document("mock", "t", json!({"clearance": "Secret", "mock": true})), "mock"),
        (document("mock2", "t", json!({"clearance": "Secret", "mock": "yes"})), "mock"),
        (
            document(
                "mock3",
                "t",
                json!({"clearance": "Secret", "ingestion_auth": "AuthSec MOCK"}),
            ),
            "mock",
        ),
        (secret("good", "twice"), "another document"),
    ];
    let (documents, reasons): (Vec<_>, Vec<_>) = wrong.into_iter().unzip();
    let ids: Vec<String> = documents.iter().map(|document| document.id.clone()).collect();
    let batch = [vec![secret("good", "Text")], documents].concat();
    let refused = refusals(house.store(batch).await);
    assert_eq!(refused.len(), reasons.len(), "{refused:#?}");
    for ((refusal, reason), (place, id)) in refused.iter().zip(&reasons).zip(ids.iter().enumerate())
    {
        assert_eq!(refusal.index, place + 1);
        assert!(id.starts_with(&refusal.id), "{refusal:?}");
        assert!(refusal.reason.contains(reason), "{refusal:?} should say {reason}");
    }
    assert_eq!((house.written().len(), house.embedded(), house.index.revision()), (0, 0, 0));
}

#[tokio::test]
async fn quarantine_forgives_the_label_and_nothing_else() {
    let house = House::open();
    let house = &house;
    let store = |document| async move {
        let stamp = stamp("1");
        house.intake.store(vec![document], &stamp, Unlabelled::Quarantine).await
    };
    store(document("bare", "Text", json!({"clearance_level": "Cosmic"}))).await.unwrap();
    store(secret("good", "Text")).await.unwrap();
    store(document("mock", "Text", json!({"mock": true}))).await.unwrap_err();
    store(document("empty", "", json!({}))).await.unwrap_err();
    let quarantined: Vec<(String, bool)> = house
        .written()
        .iter()
        .map(|document| (document.id.to_string(), document.label.is_quarantine()))
        .collect();
    assert_eq!(quarantined, [("bare".into(), true), ("good".into(), false)]);
}

#[tokio::test]
async fn what_did_not_change_is_not_written_again() {
    let house = House::open();
    let documents = || vec![secret("a", "Text a"), secret("b", "Text b")];
    let first = house.store(documents()).await.unwrap();
    assert_eq!(first.documents, 2);
    let again = house.intake.store(documents(), &stamp("2"), Unlabelled::Refuse).await.unwrap();
    assert_eq!(again, Receipt { documents: 0, chunks: 0, revision: first.revision });
    assert_eq!(house.embedded(), 2);

    let mut changed = documents();
    changed[1].metadata.insert("author".into(), "Ann".into());
    let receipt = house.store(changed).await.unwrap();
    assert_eq!((receipt.documents, house.embedded()), (1, 3));
    assert!(receipt.revision > first.revision);
}

#[tokio::test]
async fn another_reading_of_the_same_metadata_is_a_change() {
    let house = House::open();
    let sent =
        || vec![document("a", "Text", json!({"clearance_level": "Internal", "team": "sales"}))];
    house.store(sent()).await.unwrap();
    let configured = json!([
        {"name": "department", "type": "keyword", "from": ["team"]},
        {"name": "clearance_level", "type": "level", "levels": ["Public", "Internal"]},
    ]);
    let configured: Vec<bailiwick_policy::AttributeConfig> =
        serde_json::from_value(configured).unwrap();
    let schema = Arc::new(bailiwick_policy::Schema::new(&configured).unwrap());
    let intake =
        Intake::new(schema, Embedders::new(house.notebook.clone(), None), house.index.clone());
    let known = house.written()[0].content_hash;
    // The index keeps labels of its own schema, so only the hash is compared here.
    let _ = intake.store(sent(), &stamp("2"), Unlabelled::Refuse).await;
    assert_eq!(house.index.upserts.load(Ordering::SeqCst), 2);
    assert_ne!(house.written()[1].content_hash, known);
}

#[tokio::test]
async fn a_document_sent_again_takes_back_what_was_set() {
    let house = House::open();
    house.store(vec![secret("a", "Text")]).await.unwrap();
    let set = |id: &'static str, metadata: Value| {
        let intake = house.intake.clone();
        async move { intake.set_metadata(id, object(metadata), &stamp("2")).await }
    };
    assert!(set("a", json!({"clearance_level": "Public"})).await.unwrap().is_some());
    assert!(set("absent", json!({"clearance_level": "Public"})).await.unwrap().is_none());
    set("a", json!({})).await.unwrap_err();
    set("a", json!({"clearance_level": "Public", "mock": true})).await.unwrap_err();
    let receipt = house.store(vec![secret("a", "Text")]).await.unwrap();
    assert_eq!(receipt.documents, 1, "it must not stay public");
}

#[tokio::test]
async fn documents_are_removed_by_name() {
    let house = House::open();
    house.store(vec![secret("a", "Text"), secret("b", "Text")]).await.unwrap();
    let receipt =
        house.intake.remove(&["a".into(), "absent".into()], &Ceiling::none()).await.unwrap();
    assert_eq!(receipt.documents, 1);
    assert_eq!(
        refusals(house.intake.remove(&["b".into(), String::new()], &Ceiling::none()).await)[0]
            .index,
        1
    );
    assert_eq!(
        house.store(vec![secret("a", "Text"), secret("b", "Text")]).await.unwrap().documents,
        1
    );
}

#[tokio::test]
async fn security_attributes_are_not_embedded() {
    let house = House::open();
    let filler = "A sentence about nothing. ".repeat(60);
    let text = format!("# Handbook\n\n## Travel\n\n{filler}\n\n{filler}");
    let metadata = json!({"clearance_level": "TopSecret", "department": "hr-secret", "content_type": "text/markdown"});
    let documents = vec![document("a", &text, metadata), secret("b.md", &text), secret("c", &text)];
    let receipt = house.store(documents).await.unwrap();
    let embedded = house.notebook.0.lock().unwrap().clone();
    assert_eq!(receipt.chunks, embedded.len());
    for text in &embedded {
        assert!(
            !text.contains("TopSecret") && !text.contains("hr-secret") && !text.contains("spiffe")
        );
    }
    let written = house.written();
    let stored: Vec<&str> =
        written.iter().flat_map(|d| d.chunks.iter().map(|chunk| chunk.text.as_str())).collect();
    assert_eq!(stored, embedded.iter().map(String::as_str).collect::<Vec<_>>());
    for (document, is_markdown) in written.iter().zip([true, true, false]) {
        let last = &document.chunks.last().unwrap().text;
        assert_eq!(last.starts_with("# Handbook > Travel\n\n"), is_markdown, "{last}");
        assert_eq!(document.text, text);
    }
}

#[tokio::test]
async fn thousands_of_levels_are_refused_and_not_descended() {
    let house = House::open();
    let mut deep = json!(1);
    for _ in 0..2_000 {
        deep = Value::Array(vec![deep]);
    }
    let refused = refusals(
        house.store(vec![document("a", "t", json!({"clearance": "Secret", "x": deep}))]).await,
    );
    assert!(refused[0].reason.contains("nested"));
}

#[tokio::test]
async fn a_misspelt_attribute_is_refused_or_quarantined_and_no_relabelling_takes_it() {
    let house = House::open();
    let slip =
        || document("a", "Text", json!({"clearance_level": "Public", "projectid": "phoenix"}));
    let refused = refusals(house.store(vec![slip()]).await);
    assert!(refused[0].reason.contains("did you mean `project_id`?"), "{refused:?}");
    assert!(!refused[0].reason.contains("phoenix"), "{refused:?}");
    assert!(house.written().is_empty());

    house.intake.store(vec![slip()], &stamp("1"), Unlabelled::Quarantine).await.unwrap();
    assert!(house.written()[0].label.is_quarantine());
    let metadata = object(json!({"clearance_level": "Public", "departement": "hr"}));
    let refused = house.intake.set_metadata("a", metadata, &stamp("1")).await.unwrap_err();
    assert!(refused.to_string().contains("did you mean `department`?"), "{refused}");
}
