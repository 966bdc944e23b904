//! What survives, and what is said when something does not.

use std::fs;

use bailiwick_index::{EmbeddedIndex, Index, Mode, Options};
use bailiwick_policy::Ceiling;

use crate::people::People;
use crate::{document, open, options, query, seen, try_open};

#[tokio::test(flavor = "multi_thread")]
async fn reopening_changes_nothing() {
    let people = People::new().await;
    let folder = tempfile::tempdir().unwrap();
    let texts = ["the pump leaks", "a valve and a pump", "water"];
    let mut before = Vec::new();
    {
        let index = open(folder.path());
        for (n, text) in texts.iter().enumerate() {
            index
                .upsert(vec![document(&format!("d{n}"), "ours", &[text])], &Ceiling::none())
                .await
                .unwrap();
        }
        let ours = people.member(&["ours"], &index).await;
        for mode in [Mode::Dense, Mode::Lexical, Mode::Hybrid] {
            before.push(seen(&index.search(&query("pump", mode, 5), &ours).await.unwrap()));
        }
    }
    // What is derived may vanish or fall behind; the catalogue makes it anew.
    for lose in [false, true] {
        if lose {
            fs::remove_dir_all(folder.path().join("segments")).unwrap();
        }
        let index = open(folder.path());
        let ours = people.member(&["ours"], &index).await;
        for (mode, before) in [Mode::Dense, Mode::Lexical, Mode::Hybrid].into_iter().zip(&before) {
            let after = seen(&index.search(&query("pump", mode, 5), &ours).await.unwrap());
            assert_eq!(&after, before, "{mode:?}, derived index lost: {lose}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_of_an_older_state_are_made_anew() {
    let people = People::new().await;
    let folder = tempfile::tempdir().unwrap();
    let older = tempfile::tempdir().unwrap();
    {
        let index = open(folder.path());
        index.upsert(vec![document("a", "ours", &["pump"])], &Ceiling::none()).await.unwrap();
    }
    copy(&folder.path().join("segments"), older.path());
    {
        let index = open(folder.path());
        index.upsert(vec![document("a", "ours", &["valve"])], &Ceiling::none()).await.unwrap();
        index.upsert(vec![document("b", "ours", &["pump"])], &Ceiling::none()).await.unwrap();
    }
    fs::remove_dir_all(folder.path().join("segments")).unwrap();
    copy(older.path(), &folder.path().join("segments"));
    let index = open(folder.path());
    let ours = people.member(&["ours"], &index).await;
    let hits = index.search(&query("pump", Mode::Lexical, 5), &ours).await.unwrap();
    assert_eq!(seen(&hits).len(), 1);
    assert_eq!(hits.hits[0].id.to_string(), "b#0");
}

/// A disk that gives back other bytes than it was given.
#[tokio::test(flavor = "multi_thread")]
async fn changed_bytes_of_a_segment_are_noticed_and_mended() {
    let people = People::new().await;
    let folder = tempfile::tempdir().unwrap();
    let segments = folder.path().join("segments");
    {
        let index = open(folder.path());
        for n in 0..8 {
            let text = format!("pump number{n}");
            index
                .upsert(vec![document(&format!("d{n}"), "ours", &[&text])], &Ceiling::none())
                .await
                .unwrap();
        }
        while !fs::read_dir(&segments).unwrap().any(|file| is_segment(&file.unwrap().path())) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    // The last bytes say where everything is.
    let ends = (1..=30).map(|words| Damage::Bit(8 * words));
    for damage in [Damage::Changed, Damage::CutOff, Damage::Lost].into_iter().chain(ends) {
        for file in fs::read_dir(&segments).unwrap() {
            damage.inflict(&file.unwrap().path());
        }
        let index = open(folder.path());
        let ours = people.member(&["ours"], &index).await;
        let mut found = 0;
        for _ in 0..500 {
            let hits = index.search(&query("number3", Mode::Lexical, 5), &ours).await.unwrap();
            found = hits.hits.iter().filter(|hit| hit.id.to_string() == "d3#0").count();
            if found == 1 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(found, 1, "{damage:?}");
    }
}

/// A file that is being written has another name.
fn is_segment(path: &std::path::Path) -> bool {
    path.extension().is_some_and(|ending| ending == "segment")
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Changed,
    CutOff,
    Lost,
    /// So many bytes before the end.
    Bit(usize),
}

impl Damage {
    fn inflict(self, file: &std::path::Path) {
        let Ok(mut bytes) = fs::read(file) else { return };
        match self {
            // Everything but the end, which says what the rest is.
            Self::Changed => {
                let end = bytes.len() - 400;
                bytes[..end].iter_mut().for_each(|byte| *byte = !*byte);
                fs::write(file, bytes).unwrap();
            }
            Self::Bit(before_end) => {
                let at = bytes.len() - before_end;
                bytes[at] ^= 4;
                fs::write(file, bytes).unwrap();
            }
            Self::CutOff => fs::write(file, &bytes[..bytes.len() / 2]).unwrap(),
            Self::Lost => fs::remove_file(file).unwrap(),
        }
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test]
async fn only_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let _index = open(folder.path());
    let error = try_open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("another process"), "{error}");
}

#[tokio::test]
async fn a_first_start_that_was_cut_off_is_begun_anew_and_an_emptied_database_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.db");
    let begun = rusqlite::Connection::open(&file).unwrap();
    begun.pragma_update(None, "journal_mode", "WAL").unwrap();
    drop(begun);
    drop(open(folder.path()));
    fs::write(&file, b"").unwrap();
    let error = try_open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("index.db"), "{error}");
}

/// What was replaced while it was in memory leaves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_replaced_all_day_leaves_no_trail_of_rows() {
    let folder = tempfile::tempdir().unwrap();
    let index = EmbeddedIndex::open(Options { flush: 64, ..options(folder.path()) }).unwrap();
    for n in 0..600 {
        let text = format!("pump {n}");
        index.upsert(vec![document("d", "ours", &[&text])], &Ceiling::none()).await.unwrap();
    }
    let catalogue = rusqlite::Connection::open(folder.path().join("index.db")).unwrap();
    let gone = || -> i64 {
        catalogue.query_row("SELECT count(*) FROM gone", [], |row| row.get(0)).unwrap()
    };
    for _ in 0..200 {
        if gone() < 150 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(gone() < 150, "{} rows", gone());
}

#[tokio::test]
async fn a_damaged_database_is_reported_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let file = folder.path().join("index.db");
    fs::remove_file(folder.path().join("index.db-wal")).ok();
    fs::write(&file, b"this was a database once, and is none now, whatever its name says").unwrap();
    let error = try_open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("index.db") && error.contains("backup"), "{error}");
    assert!(fs::read(&file).unwrap().starts_with(b"this was a database once"));

    fs::remove_file(&file).unwrap();
    let error = try_open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("missing"), "{error}");
    assert!(!file.exists());
}

#[tokio::test]
async fn vectors_of_two_embedders_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let other =
        bailiwick_index::Options { embedder: "another".into(), ..crate::options(folder.path()) };
    let error = bailiwick_index::EmbeddedIndex::open(other).unwrap_err().to_string();
    assert!(error.contains("`test") && error.contains("`another"), "{error}");
}
