//! What a write changes, and when.

use std::sync::Arc;

use bailiwick_index::{DocumentId, Filter, Index, IndexError, Mode, Size};
use bailiwick_policy::{AdminRule, Ceiling};
use serde_json::json;

use crate::corpus::origin;
use crate::people::People;
use crate::{document, metadata, open, query, schema, seen};

async fn ids(index: &dyn Index, within: &bailiwick_policy::Bailiwick) -> Vec<String> {
    let hits = index.search(&query("pump", Mode::Hybrid, 10), within).await.unwrap();
    hits.hits.iter().map(|hit| hit.id.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_seen_by_the_next_search() {
    let people = People::new().await;
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let receipt = index
        .upsert(vec![document("a", "ours", &["a pump", "a valve"])], &Ceiling::none())
        .await
        .unwrap();
    assert_eq!((receipt.documents, receipt.chunks), (1, 2));
    assert_eq!(index.revision(), receipt.revision);
    let ours = people.member(&["ours"], &index).await;
    assert_eq!(ids(&index, &ours).await, ["a#0", "a#1"]);

    index
        .upsert(vec![document("a", "ours", &["only a valve now"])], &Ceiling::none())
        .await
        .unwrap();
    assert_eq!(ids(&index, &ours).await, ["a#0"]);
    assert_eq!(index.size(&ours).await.unwrap(), Size { labels: 1, chunks: 1 });

    let receipt = index
        .remove(&["a", "never"].map(|id| DocumentId::new(id).unwrap()), &Ceiling::none())
        .await
        .unwrap();
    assert_eq!((receipt.documents, receipt.chunks), (1, 1));
    assert_eq!(ids(&index, &ours).await, [""; 0]);
    assert_eq!(index.size(&ours).await.unwrap(), Size::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_label_is_in_force_at_once() {
    let people = People::new().await;
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let id = DocumentId::new("a").unwrap();
    index.upsert(vec![document("a", "ours", &["a pump"])], &Ceiling::none()).await.unwrap();
    let ours = people.member(&["ours"], &index).await;
    assert!(index.document(&id, &ours).await.unwrap().is_some());

    let moved = metadata("theirs");
    let label = schema().label(&moved).unwrap();
    index.relabel(&id, moved, label.clone(), &[], &Ceiling::none()).await.unwrap().unwrap();
    assert_eq!(ids(&index, &ours).await, [""; 0], "the old bailiwick does not reach it");
    assert!(index.document(&id, &ours).await.unwrap().is_none());
    let theirs = people.member(&["theirs"], &index).await;
    assert_eq!(ids(&index, &theirs).await, ["a#0"]);
    let found = index.document(&id, &theirs).await.unwrap().unwrap();
    assert_eq!(found.metadata, metadata("theirs"));

    let never = DocumentId::new("never").unwrap();
    assert!(
        index
            .relabel(&never, metadata("ours"), label, &[], &Ceiling::none())
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_counted_as_documents_come_change_and_go() {
    let claims = People::new().await.claims(&["administrators"]).await;
    let rule = AdminRule::new("teams", "administrators");
    let oversight = rule.oversight(&claims).unwrap();
    assert!(AdminRule::new("teams", "others").oversight(&claims).is_none());
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let documents = [("a", "ours", 3), ("b", "ours", 1), ("c", "theirs", 9)];
    for (id, team, chunks) in documents {
        let passages: Vec<_> = (0..chunks).map(|n| format!("pump {n}")).collect();
        let passages: Vec<&str> = passages.iter().map(String::as_str).collect();
        index.upsert(vec![document(id, team, &passages)], &Ceiling::none()).await.unwrap();
    }
    let counted = async || {
        let sizes = index.label_sizes(oversight).await.unwrap();
        let named = sizes.into_iter().map(|size| {
            let label = index.labels().label(size.label).unwrap();
            (schema().describe(&label)["team"].clone(), size.documents, size.chunks)
        });
        named.collect::<Vec<_>>()
    };
    assert_eq!(counted().await, [("ours".into(), 2, 4), ("theirs".into(), 1, 9)]);

    let id = DocumentId::new("a").unwrap();
    let moved = metadata("theirs");
    let theirs = schema().label(&moved).unwrap();
    index.relabel(&id, moved, theirs.clone(), &[], &Ceiling::none()).await.unwrap();
    assert_eq!(counted().await, [("ours".into(), 1, 1), ("theirs".into(), 2, 12)]);
    assert_eq!(index.label_of(&id, oversight).await.unwrap(), index.labels().find(&theirs));

    index.remove(&[id.clone(), DocumentId::new("b").unwrap()], &Ceiling::none()).await.unwrap();
    assert_eq!(counted().await, [("theirs".into(), 1, 9)]);
    assert_eq!(index.label_of(&id, oversight).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bailiwick_does_not_grow_by_itself() {
    let people = People::new().await;
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    index.upsert(vec![document("a", "theirs", &["a pump"])], &Ceiling::none()).await.unwrap();
    let before = people.member(&["ours", "theirs"], &index).await;
    index.upsert(vec![document("b", "ours", &["a pump"])], &Ceiling::none()).await.unwrap();
    assert_eq!(ids(&index, &before).await, ["a#0"], "the label of b was not decided on");
    let after = people.member(&["ours", "theirs"], &index).await;
    assert_eq!(ids(&index, &after).await, ["a#0", "b#0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bailiwick_of_another_index_opens_nothing() {
    let people = People::new().await;
    let folders = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (index, other) = (open(folders.0.path()), open(folders.1.path()));
    index.upsert(vec![document("a", "theirs", &["a pump"])], &Ceiling::none()).await.unwrap();
    other.upsert(vec![document("a", "ours", &["a pump"])], &Ceiling::none()).await.unwrap();
    let foreign = people.member(&["ours"], &other).await;
    let id = DocumentId::new("a").unwrap();
    let searched = index.search(&query("pump", Mode::Hybrid, 1), &foreign).await;
    assert!(matches!(searched, Err(IndexError::ForeignBailiwick)));
    assert!(matches!(index.document(&id, &foreign).await, Err(IndexError::ForeignBailiwick)));
    assert!(matches!(index.size(&foreign).await, Err(IndexError::ForeignBailiwick)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_a_bad_vector_stores_nothing() {
    let people = People::new().await;
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut bad = document("b", "ours", &["a pump"]);
    bad.chunks[0].vector.pop();
    let refused =
        index.upsert(vec![document("a", "ours", &["a pump"]), bad], &Ceiling::none()).await;
    assert!(matches!(refused, Err(IndexError::Dimensions { expected: 8, found: 7 })));
    for wrong in [f32::NAN, f32::INFINITY, 1e6] {
        let mut bad = document("b", "ours", &["a pump"]);
        bad.chunks[0].vector[3] = wrong;
        let refused =
            index.upsert(vec![document("a", "ours", &["a pump"]), bad], &Ceiling::none()).await;
        assert!(matches!(refused, Err(IndexError::NotFinite)), "{wrong}");
    }
    index.upsert(vec![document("c", "ours", &["a valve"])], &Ceiling::none()).await.unwrap();
    let ours = people.member(&["ours"], &index).await;
    assert_eq!(ids(&index, &ours).await, ["c#0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn unchanged_means_the_same_hash() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    index.upsert(vec![document("a", "ours", &["a pump"])], &Ceiling::none()).await.unwrap();
    let asked = [("a", [7; 32]), ("a", [8; 32]), ("b", [7; 32])];
    let asked = asked.map(|(id, hash)| (DocumentId::new(id).unwrap(), hash));
    assert_eq!(
        index.unchanged(&asked, &origin("tests").source).await.unwrap(),
        [true, false, false]
    );
}

/// Readers see whole batches: all ten documents of one generation, or none of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_search_never_sees_half_a_batch() {
    let people = People::new().await;
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let batch = |generation: usize| {
        let text = format!("pump generation{generation}");
        (0..10).map(|n| document(&format!("d{n}"), "ours", &[text.as_str()])).collect::<Vec<_>>()
    };
    index.upsert(batch(0), &Ceiling::none()).await.unwrap();
    let ours = people.member(&["ours"], &index).await;
    let writer = tokio::spawn({
        let index = index.clone();
        async move {
            for generation in 1..40 {
                index.upsert(batch(generation), &Ceiling::none()).await.unwrap();
            }
        }
    });
    let mut asked = 0;
    while !writer.is_finished() {
        // A filter whose key nobody named before reads the catalogue, which is ahead of searches.
        let filter = json!({ "filters": [{ "key": format!("k{asked}"), "operator": "is_empty" }] });
        let filter = Filter::new(&filter, &schema()).unwrap();
        let mut query = query("pump", Mode::Lexical, 20);
        query.filter = (asked % 2 == 1).then(|| Arc::new(filter));
        asked += 1;
        let hits = index.search(&query, &ours).await.unwrap();
        let texts: Vec<_> = seen(&hits).into_iter().map(|(_, text, ..)| text).collect();
        assert_eq!(texts, vec![texts[0].clone(); 10]);
    }
    writer.await.unwrap();
}
