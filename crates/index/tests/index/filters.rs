//! A filter makes of an index what it would be without what does not match.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_index::{DocumentId, EmbeddedIndex, Filter, Index, Mode, NewDocument, Query};
use bailiwick_policy::Ceiling;
use serde_json::{Value, json};

use crate::large;
use crate::people::People;
use crate::{schema, seen};

const CHUNKS: usize = 6_000;

fn filter(filters: Value) -> Filter {
    Filter::new(&json!({ "filters": filters }), &schema()).unwrap()
}

fn document(n: usize) -> NewDocument {
    let team = if n.is_multiple_of(3) { "theirs" } else { "ours" };
    let mut document = large::document_of(&format!("d{n:05}"), team, &format!("pump {n}"));
    document.metadata.insert("n".into(), json!(n));
    document.metadata.insert("tenth".into(), json!(n % 10));
    document
}

async fn store(index: &EmbeddedIndex, wanted: impl Fn(usize) -> bool) {
    for from in (0..CHUNKS).step_by(500) {
        let batch = (from..from + 500).filter(|n| wanted(*n)).map(document).collect();
        index.upsert(batch, &Ceiling::none()).await.unwrap();
    }
}

/// Few match, or nearly all, among chunks that are compared by their codes and lie in files.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_match_is_not_there() {
    let people = People::new().await;
    let (folder, other) = (large::folder(), large::folder());
    let everything = large::open(folder.path());
    store(&everything, |_| true).await;
    type Law = (Value, fn(usize) -> bool);
    let laws: [Law; 4] = [
        (json!([{ "key": "tenth", "operator": "==", "value": 7 }]), |n| n % 10 == 7),
        (json!([{ "key": "tenth", "operator": "!=", "value": 7 }]), |n| n % 10 != 7),
        (json!([{ "key": "n", "operator": "<", "value": 30 }]), |n| n < 30),
        (json!([{ "key": "n", "operator": "in", "value": [5, 4_001] }]), |n| n == 5 || n == 4_001),
    ];
    let ours = people.member(&["ours"], &everything).await;
    for (number, (filters, wanted)) in laws.into_iter().enumerate() {
        let filter = Arc::new(filter(filters));
        let alone = large::open(&other.path().join(number.to_string()));
        store(&alone, wanted).await;
        let ours_alone = people.member(&["ours"], &alone).await;
        for mode in [Mode::Dense, Mode::Lexical, Mode::Hybrid] {
            let plain = Query { mode, ..large::query_of("pump 4007") };
            let filtered = Query { filter: Some(Arc::clone(&filter)), ..plain.clone() };
            let found = everything.search(&filtered, &ours).await.unwrap();
            let expected = alone.search(&plain, &ours_alone).await.unwrap();
            assert!(!found.hits.is_empty());
            assert_eq!(seen(&found), seen(&expected), "{filtered:?}");
            let ranked = everything.rank_blocking(&filtered, &ours).unwrap();
            assert!(ranked.iter().map(|(id, _)| id).eq(found.hits.iter().map(|hit| &hit.id)));
        }
        let listed = everything.documents_blocking(Some(&filter), &ours).unwrap();
        let theirs: Vec<String> = (0..CHUNKS)
            .filter(|n| wanted(*n) && !n.is_multiple_of(3))
            .map(|n| format!("d{n:05}"))
            .collect();
        assert!(listed.iter().map(|document| document.id.as_str()).eq(theirs.iter()));
    }
}

/// Each question has to have all its columns, which a write makes somebody extend.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn filters_of_the_same_keys_do_not_wait_for_each_other() {
    let people = People::new().await;
    let folder = large::folder();
    let index = large::open(folder.path());
    store(&index, |_| true).await;
    let ours = people.member(&["ours"], &index).await;
    let (low, high) = (
        json!({ "key": "n", "operator": ">", "value": 9 }),
        json!({ "key": "n", "operator": "<", "value": 20 }),
    );
    let tenth = json!({ "key": "tenth", "operator": "==", "value": 7 });
    let filters = [json!([low, high, tenth]), json!([tenth, high, low])];
    let asking = (0..6).map(|n| {
        let filter = Some(Arc::new(filter(filters[n % 2].clone())));
        let query = Query { filter, mode: Mode::Lexical, ..large::query_of("pump") };
        let (index, ours) = (index.clone(), ours.clone());
        tokio::task::spawn_blocking(move || {
            for _ in 0..150 {
                assert_eq!(index.rank_blocking(&query, &ours).unwrap().len(), 1);
            }
        })
    });
    let asking: Vec<_> = asking.collect();
    let all = async {
        while !asking.iter().all(tokio::task::JoinHandle::is_finished) {
            index.upsert(vec![document(CHUNKS)], &Ceiling::none()).await.unwrap();
        }
        for asked in asking {
            asked.await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(180), all).await.expect("nobody waits for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_sees_every_write_that_came_before() {
    let people = People::new().await;
    let folder = large::folder();
    let index = large::open(folder.path());
    index.upsert((0..20).map(document).collect(), &Ceiling::none()).await.unwrap();
    let ours = people.member(&["ours"], &index).await;
    let sevenths = Arc::new(filter(json!([{ "key": "tenth", "operator": "==", "value": 7 }])));
    let query = Query { filter: Some(Arc::clone(&sevenths)), ..large::query_of("pump") };
    let ids = async || {
        let hits = index.search(&query, &ours).await.unwrap().hits;
        let mut ids: Vec<String> = hits.iter().map(|hit| hit.id.document.to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids().await, ["d00007", "d00017"]);

    index.upsert((20..40).map(document).collect(), &Ceiling::none()).await.unwrap();
    assert_eq!(ids().await, ["d00007", "d00017", "d00037"]);

    let id = DocumentId::new("d00017").unwrap();
    let NewDocument { mut metadata, label, .. } = document(17);
    metadata.insert("tenth".into(), json!(8));
    index.relabel(&id, metadata, label, &[], &Ceiling::none()).await.unwrap();
    assert_eq!(ids().await, ["d00007", "d00037"]);

    // d00027 is another team's, and is removed with the rest: a writer is no reader.
    let removed = index.remove_matching(Some((*sevenths).clone()), &Ceiling::none()).await.unwrap();
    assert_eq!(removed.documents, 3);
    assert_eq!(ids().await, [""; 0]);
    index.remove_matching(None, &Ceiling::none()).await.unwrap();
    assert_eq!(index.size(&ours).await.unwrap().chunks, 0);
}
