//! The change to the vectors of another embedder, under everything that goes on meanwhile.

use bailiwick_index::{DocumentId, EmbeddedIndex, Index, IndexError, Mode, NewDocument, Options};
use bailiwick_policy::Ceiling;

use crate::corpus::{SPACE, vector_of};
use crate::people::People;
use crate::spaces::{
    MODES, OTHER, begin, compare, library, open, other, other_vector, others, others_query, step,
};
use crate::{document, metadata, query, schema};

async fn relabel(index: &EmbeddedIndex, document: &mut NewDocument, team: &str) {
    document.metadata = metadata(team);
    document.label = schema().label(&document.metadata).unwrap();
    let (metadata, label) = (document.metadata.clone(), document.label.clone());
    index.relabel(&document.id, metadata, label, &[], &Ceiling::none()).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_and_a_restart_during_the_change_leave_no_trace() {
    let people = People::new().await;
    let folder = tempfile::tempdir().unwrap();
    let mut documents = library();
    {
        let index = crate::open(folder.path());
        index.upsert(documents.clone(), &Ceiling::none()).await.unwrap();
        let mut generation = begin(&index).await.unwrap();
        assert!(step(&mut generation, 5).await.unwrap());
        assert!(generation.next(5).await.unwrap().is_some());
    }

    let index = open(folder.path());
    let mut generation = begin(&index).await.unwrap();
    assert_eq!((generation.done(), generation.total()), (5, 24), "what was stored is kept");
    assert!(step(&mut generation, 4).await.unwrap());
    // Chunks whose vectors are made, are being made, and are not made yet.
    let given = generation.next(6).await.unwrap().unwrap();
    for (n, team) in [(0, "ours"), (5, "theirs"), (11, "ours")] {
        relabel(&index, &mut documents[n], team).await;
    }
    for n in [1, 6, 9] {
        documents[n] = document(&format!("d{n}"), "ours", &["a new pump"]);
        index.upsert(vec![documents[n].clone()], &Ceiling::none()).await.unwrap();
    }
    let gone = [10, 4, 2].map(|n| documents.remove(n).id);
    index.remove(&gone, &Ceiling::none()).await.unwrap();
    documents.push(document("new", "theirs", &["pump", "pump 7"]));
    index.upsert(documents[9..].to_vec(), &Ceiling::none()).await.unwrap();
    generation.store(given.iter().map(|text| other_vector(text)).collect()).await.unwrap();
    assert_eq!(&*index.space(), SPACE);
    compare(&people, &index, &documents).await;

    while step(&mut generation, 3).await.unwrap() {}
    assert_eq!(&*index.space(), OTHER);
    compare(&people, &index, &documents).await;
    drop((generation, index));
    let reopened = EmbeddedIndex::open(other(folder.path())).unwrap();
    compare(&people, &reopened, &documents).await;
    assert!(begin(&reopened).await.is_none(), "there is nothing to change");
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_of_the_other_space_are_refused_before_and_after_the_change() {
    let people = People::new().await;
    let folder = tempfile::tempdir().unwrap();
    let index = crate::open(folder.path());
    index.upsert(library(), &Ceiling::none()).await.unwrap();
    let ours = people.member(&["ours"], &index).await;
    let mut generation = begin(&index).await.unwrap();
    let refused = |result: Result<(), IndexError>| {
        assert!(matches!(result, Err(IndexError::OtherSpace { .. })), "{result:?}");
    };
    let mine = document("mine", "ours", &["pump"]);
    refused(index.upsert(vec![others(mine.clone())], &Ceiling::none()).await.map(drop));
    refused(index.search(&others_query("pump", Mode::Dense), &ours).await.map(drop));
    while step(&mut generation, 7).await.unwrap() {}
    refused(index.upsert(vec![mine], &Ceiling::none()).await.map(drop));
    for mode in [Mode::Dense, Mode::Hybrid] {
        refused(index.search(&query("pump", mode, 5), &ours).await.map(drop));
    }
    compare(&people, &index, &library()).await;
}

/// Every search is answered, and from one space or the other, while writes and the change go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn searches_and_writes_go_on_through_the_change() {
    let people = People::new().await;
    let folder = tempfile::tempdir().unwrap();
    let index = crate::open(folder.path());
    index.upsert(library(), &Ceiling::none()).await.unwrap();
    let ours = people.member(&["ours"], &index).await;
    let change = tokio::spawn({
        let index = index.clone();
        async move {
            let mut generation = begin(&index).await.unwrap();
            while step(&mut generation, 8).await.unwrap() {}
        }
    });
    let mut written = library();
    let mut answered = [0, 0];
    while answered[1] < 20 {
        let is_other = &*index.space() == OTHER;
        let asked =
            if is_other { others_query("pump", MODES[0]) } else { query("pump", MODES[0], 60) };
        match index.search(&asked, &ours).await {
            Ok(hits) => assert!(hits.hits.len() >= 16, "{}", hits.hits.len()),
            Err(error) => assert!(matches!(error, IndexError::OtherSpace { .. }), "{error:?}"),
        }
        answered[usize::from(is_other)] += 1;
        let mine = document(&format!("d{}", answered[0] % 12), "ours", &["pump 7", "b"]);
        let stored = if &*index.space() == OTHER { others(mine.clone()) } else { mine.clone() };
        if index.upsert(vec![stored], &Ceiling::none()).await.is_ok() {
            written.retain(|other| other.id != mine.id);
            written.push(mine);
        }
    }
    change.await.unwrap();
    assert!(answered[0] > 0, "nothing was asked before the change");
    compare(&people, &index, &written).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_that_memory_cannot_hold_are_not_begun() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { memory: Some(100_000), ..crate::options(folder.path()) };
    let index = EmbeddedIndex::open(options).unwrap();
    index.upsert(library(), &Ceiling::none()).await.unwrap();
    let refused = index.next_generation(OTHER, 4_096).await;
    assert!(matches!(refused, Err(IndexError::TooLarge { .. })), "{refused:?}");
    assert!(index.next_generation(OTHER, 512).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_that_was_given_up_takes_nothing_more() {
    let people = People::new().await;
    let folder = tempfile::tempdir().unwrap();
    let index = crate::open(folder.path());
    index.upsert(library(), &Ceiling::none()).await.unwrap();
    let mut third = index.next_generation("third", 4).await.unwrap().unwrap();
    let texts = third.next(4).await.unwrap().unwrap();
    let vectors = || texts.iter().map(|text| vector_of(text, 4)).collect::<Vec<_>>();
    third.store(vectors()).await.unwrap();
    third.next(4).await.unwrap();
    let generation = begin(&index).await.unwrap();
    assert_eq!(generation.done(), 0);
    assert!(matches!(third.store(vectors()).await, Err(IndexError::OtherSpace { .. })));
    drop((third, generation, index));
    // Configured as before, the index is as before, and begins anew if it is changed after all.
    drop(crate::open(folder.path()));
    let index = open(folder.path());
    let mut generation = begin(&index).await.unwrap();
    assert_eq!(generation.done(), 0);
    assert!(index.remove(&[DocumentId::new("d3").unwrap()], &Ceiling::none()).await.is_ok());
    while step(&mut generation, 100).await.unwrap() {}
    let left = library().into_iter().filter(|document| document.id.as_str() != "d3");
    compare(&people, &index, &left.collect::<Vec<_>>()).await;
}
