//! An index whose vectors change from one space to another.

use std::path::Path;

use bailiwick_index::{
    EmbeddedIndex, Generation, Index, IndexError, Mode, NewChunk, NewDocument, Options, Query,
};
use bailiwick_policy::Ceiling;

use crate::corpus::{DIMENSIONS, SPACE, document, options, query, seen, vector_of};
use crate::people::People;

pub(crate) const OTHER: &str = "another";
const OTHER_DIMENSIONS: usize = 12;
pub(crate) const MODES: [Mode; 3] = [Mode::Dense, Mode::Lexical, Mode::Hybrid];

/// Opens an index whose vectors may be of the former space, but should be of the other one.
pub(crate) fn open(folder: &Path) -> EmbeddedIndex {
    let former = Some((SPACE.to_owned(), DIMENSIONS));
    EmbeddedIndex::open(Options { former, ..other(folder) }).expect("the index opens")
}

/// Options of an index that knows only the other space.
pub(crate) fn other(folder: &Path) -> Options {
    Options { embedder: OTHER.into(), dimensions: OTHER_DIMENSIONS, ..options(folder) }
}

/// The document as the other embedder has it.
pub(crate) fn others(document: NewDocument) -> NewDocument {
    let chunks = document.chunks.into_iter();
    let chunks = chunks.map(|NewChunk { text, .. }| NewChunk { vector: other_vector(&text), text });
    NewDocument { space: OTHER.into(), chunks: chunks.collect(), ..document }
}

pub(crate) fn others_query(text: &str, mode: Mode) -> Query {
    Query { space: OTHER.into(), vector: other_vector(text), ..query(text, mode, 60) }
}

pub(crate) fn other_vector(text: &str) -> Vec<f32> {
    vector_of(text, OTHER_DIMENSIONS)
}

pub(crate) async fn begin(index: &EmbeddedIndex) -> Option<Generation> {
    index.next_generation(OTHER, OTHER_DIMENSIONS).await.unwrap()
}

/// Embeds the next `most` chunks; false when the index has changed.
pub(crate) async fn step(generation: &mut Generation, most: usize) -> Result<bool, IndexError> {
    let Some(texts) = generation.next(most).await? else { return Ok(false) };
    generation.store(texts.iter().map(|text| other_vector(text)).collect()).await?;
    Ok(true)
}

/// The index gives what one gives that held these documents only, in the space that it is in.
pub(crate) async fn compare(people: &People, index: &EmbeddedIndex, documents: &[NewDocument]) {
    let folder = tempfile::tempdir().unwrap();
    let is_other = &*index.space() == OTHER;
    let twin = if is_other { other(folder.path()) } else { options(folder.path()) };
    let twin = EmbeddedIndex::open(twin).unwrap();
    let documents = documents.iter().cloned();
    let documents = documents.map(|one| if is_other { others(one) } else { one });
    twin.upsert(documents.collect(), &Ceiling::none()).await.unwrap();
    for teams in [&["ours"][..], &["ours", "theirs"]] {
        let (here, there) = (people.member(teams, index).await, people.member(teams, &twin).await);
        assert_eq!(index.size(&here).await.unwrap(), twin.size(&there).await.unwrap());
        for mode in MODES {
            let asked =
                if is_other { others_query("pump 7", mode) } else { query("pump 7", mode, 60) };
            let found = seen(&index.search(&asked, &here).await.unwrap());
            assert!(!found.is_empty());
            assert_eq!(found, seen(&twin.search(&asked, &there).await.unwrap()), "{mode:?}");
        }
    }
}

/// Twelve documents of two chunks each.
pub(crate) fn library() -> Vec<NewDocument> {
    let one = |n: usize| {
        let texts = [format!("pump {n} leaks"), format!("valve {n}")];
        let team = if n.is_multiple_of(3) { "theirs" } else { "ours" };
        document(&format!("d{n}"), team, &texts.each_ref().map(String::as_str))
    };
    (0..12).map(one).collect()
}
