use std::time::Instant;

use bailiwick_models::{Embedder, EmbeddingConfig, StaticEmbedder, TableError, embedder};
use bytes::Bytes;
use proptest::prelude::*;

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn is_unit(vector: &[f32]) -> bool {
    vector.len() == 256 && (cosine(vector, vector) - 1.0).abs() < 1e-4
}

#[test]
fn related_texts_are_closer_than_unrelated_ones() {
    let table = StaticEmbedder::built_in().unwrap();
    for (text, related, unrelated) in [
        (
            "How do I reset my password?",
            "Changing a forgotten login credential",
            "Tulips bloom in spring",
        ),
        (
            "quarterly revenue of the sales team",
            "income from customers in Q3",
            "the cat sat on a mat",
        ),
        (
            "The physician treated the patient",
            "a doctor cured someone who was ill",
            "compile the kernel module",
        ),
    ] {
        let [text, related, unrelated] = [text, related, unrelated].map(|text| table.vector(text));
        assert!(cosine(&text, &related) > cosine(&text, &unrelated) + 0.1);
    }
}

#[test]
fn a_name_says_more_than_an_article() {
    let table = StaticEmbedder::built_in().unwrap();
    for word in ["phoenix", "revenue", "clearance", "kubernetes"] {
        assert!(table.salience(word) > 2.0 * table.salience("the"), "{word}");
    }
}

#[tokio::test]
async fn hostile_texts_give_unit_vectors() {
    let table = embedder(&EmbeddingConfig::default(), "".as_ref()).unwrap();
    let texts: Vec<String> = vec![
        String::new(),
        "\0".into(),
        "\0\u{1}\u{7f}\u{200b}".into(),
        "?!…—".into(),
        "🦀🦀🦀 👩‍👩‍👧‍👦".into(),
        "[PAD] [UNK] [CLS]".into(),
        "漢字かな".into(),
        "\u{202e}txet desrever".into(),
        "a".repeat(10 << 20),
        "word ".repeat(2 << 20),
        "é".repeat(5 << 20),
        "\u{301}".repeat(1 << 20),
    ];
    let vectors = table.embed(&texts).await.unwrap();
    assert_eq!(vectors.len(), texts.len());
    for (text, vector) in texts.iter().zip(&vectors) {
        assert!(is_unit(vector), "{:?}", text.chars().take(10).collect::<String>());
    }
    assert!((vectors[0][0] - 1.0).abs() < f32::EPSILON, "an empty text is the first unit vector");
}

#[tokio::test]
async fn only_the_first_512_word_pieces_count() {
    let table = StaticEmbedder::built_in().unwrap();
    let start = "river ".repeat(512);
    assert_eq!(table.vector(&start), table.vector(&format!("{start} mountain")));
    assert_ne!(table.vector("river"), table.vector("river mountain"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_batch_equals_its_texts_one_by_one_whoever_else_embeds() {
    let table = embedder(&EmbeddingConfig::default(), "".as_ref()).unwrap();
    let texts: Vec<String> =
        (0..2000).map(|n| format!("Passage {n} of project Phoenix, about {}", n % 17)).collect();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (table, texts) = (table.clone(), texts.clone());
            tokio::spawn(async move { table.embed(&texts).await.unwrap() })
        })
        .collect();
    let mut single = Vec::new();
    for text in &texts {
        single.extend(table.embed(std::slice::from_ref(text)).await.unwrap());
    }
    for task in tasks {
        assert_eq!(task.await.unwrap(), single);
    }
    assert!(table.embed(&[]).await.unwrap().is_empty());
}

/// Prints its measure with `--nocapture`.
#[tokio::test]
async fn hundreds_of_passages_take_no_second() {
    let table = embedder(&EmbeddingConfig::default(), "".as_ref()).unwrap();
    let passage = "The quarterly review of project Phoenix found that the cooling loop, which the \
        engineering department had rebuilt in March, kept its temperature within two degrees during \
        the whole of the endurance run; the report recommends to close the incident and to move the \
        two engineers who watched it to the migration of the billing system by the end of the year."
        .repeat(2);
    let texts = vec![passage; 5000];
    let start = Instant::now();
    table.embed(&texts).await.unwrap();
    let rate = 5000.0 / start.elapsed().as_secs_f64();
    println!("{rate:.0} passages of 740 bytes a second");
    assert!(rate > 200.0);
}

#[test]
fn the_id_tells_tables_apart() {
    let table = small_table(b"[UNK]\nriver\nbank");
    let mut other = table.clone();
    *other.last_mut().unwrap() = 7;
    let [table, other] =
        [table, other].map(|bytes| StaticEmbedder::from_table(bytes.into()).unwrap());
    assert_ne!(table.id(), other.id());
    assert!(table.id().starts_with("static-sem1-2-"), "{}", table.id());
}

/// A table of 2 dimensions in which row `n` is (n, 1).
fn small_table(vocabulary: &[u8]) -> Vec<u8> {
    let rows = u32::try_from(vocabulary.split(|byte| *byte == b'\n').count()).unwrap();
    let mut table = b"SEM1".to_vec();
    for number in [rows, 2, u32::try_from(vocabulary.len()).unwrap()] {
        table.extend(number.to_le_bytes());
    }
    table.extend(vocabulary);
    table.extend((0..rows).flat_map(|_| 0.5_f32.to_le_bytes()));
    table.extend((0..rows).flat_map(|n| [u8::try_from(n).unwrap(), 1]));
    table
}

#[test]
fn a_vector_is_the_scaled_sum_of_its_rows() {
    let table = StaticEmbedder::from_table(small_table(b"[UNK]\nriver\nbank").into()).unwrap();
    let vector = table.vector("River BANK bank");
    let expected = [5.0 / 34_f32.sqrt(), 3.0 / 34_f32.sqrt()];
    assert!(cosine(&vector, &expected) > 0.999_99, "{vector:?}");
}

#[test]
fn damaged_tables_are_named() {
    let whole = small_table(b"[UNK]\nriver\nbank");
    let read =
        |bytes: &[u8]| StaticEmbedder::from_table(Bytes::copy_from_slice(bytes)).unwrap_err();
    assert_eq!(read(b""), TableError::Magic);
    assert_eq!(read(b"GGUF0123456789012345"), TableError::Magic);
    for length in 4..whole.len() {
        assert!(matches!(read(&whole[..length]), TableError::Length { .. }), "{length}");
    }
    let longer = [whole.as_slice(), b"x"].concat();
    assert!(matches!(read(&longer), TableError::Length { .. }));
    let huge = [b"SEM1".as_slice(), &[0xff; 12]].concat();
    assert!(matches!(read(&huge), TableError::Length { .. }));
    assert_eq!(read(&[b"SEM1".as_slice(), &[0; 12]].concat()), TableError::Empty);
    assert_eq!(read(&small_table(b"[UNK]\nriver\nriver")), TableError::Vocabulary);
    assert_eq!(read(&small_table(b"lake\nriver\nbank")), TableError::Vocabulary);
    assert_eq!(read(&small_table(b"[UNK]\nriver\nban\xff")), TableError::Vocabulary);
    let mut infinite = whole.clone();
    let scales = 16 + "[UNK]\nriver\nbank".len();
    infinite[scales..scales + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    assert_eq!(read(&infinite), TableError::Scale);
}

proptest! {
    #[test]
    fn every_text_has_a_unit_vector(text in "\\PC{0,200}|[a-z \\x00-\\x1f]{0,80}") {
        let table = StaticEmbedder::built_in().unwrap();
        prop_assert!(is_unit(&table.vector(&text)));
    }
}
