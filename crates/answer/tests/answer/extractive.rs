use bailiwick_answer::{AnswerConfig, Extractive, NOTHING_ANSWERS, answerer};
use bailiwick_index::{DocumentId, Hits};
use proptest::prelude::*;

use crate::{ask, hits};

const PHOENIX: &str = "# Project Phoenix\n\nProject Phoenix replaces the cooling loop of plant 4. \
    Dr. Ann Okafor leads it since March. It has a budget of 1.3M EUR.";
const SALES: &str = "The Q3 sales report was late. The Q2 revenue target was 4.2M USD. \
    The sales team celebrated in Lisbon.";
const RECORDS: &str = "Record ID: USER-001\nSubject: Alice Vance\nClearance level: TopSecret\n\n\
    Record ID: USER-002\nSubject: Bob Stone\nClearance level: Internal";
const JSON: &str = "{\n  \"record_id\": \"USER-003\",\n  \"subject\": \"Carol Reyes\",\n  \
    \"clearance_level\": \"Secret\"\n}\n\n{\n  \"record_id\": \"USER-004\",\n  \
    \"subject\": \"Dave Moon\",\n  \"clearance_level\": \"Public\"\n}";

#[tokio::test]
async fn the_sentence_that_answers_is_quoted_with_its_source() {
    let answerer = answerer(&AnswerConfig::default()).unwrap();
    let hits = hits(&[PHOENIX, SALES, RECORDS, JSON]);
    for (question, quote) in [
        ("What was the Q2 revenue target?", "The Q2 revenue target was 4.2M USD. [2]"),
        ("Who leads project Phoenix?", "Dr. Ann Okafor leads it since March. [1]"),
        ("What is the budget of Phoenix?", "It has a budget of 1.3M EUR. [1]"),
        (
            "Tell me about project Phoenix",
            "Project Phoenix replaces the cooling loop of plant 4. [1]",
        ),
        (
            "What is the clearance level of Alice Vance?",
            "Record ID: USER-001\nSubject: Alice Vance\nClearance level: TopSecret [3]",
        ),
        (
            "Who is USER-002?",
            "Record ID: USER-002\nSubject: Bob Stone\nClearance level: Internal [3]",
        ),
        ("What clearance does Carol Reyes have?", "\"clearance_level\": \"Secret\"\n} [4]"),
    ] {
        let answer = ask(&*answerer, question, &hits).await;
        assert!(answer.contains(quote), "{question}\n{answer}");
    }
}

#[tokio::test]
async fn what_the_sources_do_not_say_is_not_answered() {
    let answerer = answerer(&AnswerConfig::default()).unwrap();
    for question in [
        "What is the capital of Mongolia?",
        "How many patents does the legal department hold?",
        "When does the cafeteria open?",
        "",
        "the of and",
        "?!",
        "\0",
    ] {
        assert_eq!(
            ask(&*answerer, question, &hits(&[PHOENIX, SALES, RECORDS])).await,
            NOTHING_ANSWERS
        );
    }
    assert_eq!(ask(&*answerer, "Who leads Phoenix?", &Hits::default()).await, NOTHING_ANSWERS);
}

#[tokio::test]
async fn quotes_stand_in_document_order_once_each() {
    let first = "Phoenix started in May. Lunch was good.";
    let second = "Phoenix moved to Oslo in June.";
    let mut hits = hits(&[second, "Phoenix started in May.", first]);
    for (hit, n) in hits.hits.iter_mut().zip([7, 2, 9]) {
        hit.id.document = DocumentId::new("phoenix").unwrap();
        hit.id.n = n;
        hit.score = 1.0;
    }
    let answerer = Extractive::new().unwrap();
    let question = "When did Phoenix start and when did Phoenix move?";
    let quotes = answerer.quotes(question, &hits).await.unwrap();
    let places: Vec<_> = quotes.iter().map(|quote| (quote.text.as_str(), quote.source)).collect();
    assert_eq!(places.last(), Some(&(second, 1)), "chunk 7 comes after chunk 2: {places:?}");
    let started = places.iter().filter(|(text, _)| *text == "Phoenix started in May.").count();
    assert_eq!(started, 1, "{places:?}");
}

#[tokio::test]
async fn long_questions_and_sources_are_no_trouble() {
    let answerer = answerer(&AnswerConfig::default()).unwrap();
    let long = "Phoenix ".repeat(100_000);
    let lines = "Phoenix: yes\n".repeat(20_000);
    let json = format!("[{}]", "{\"phoenix\": [1, 2, 3]}, ".repeat(20_000));
    let answer = ask(&*answerer, &long, &hits(&[&long, &lines, &json])).await;
    assert!(answer.len() < 3000, "{}", answer.len());
}

#[test]
fn keys_of_the_other_provider_are_refused() {
    let read = |text| serde_json::from_str::<AnswerConfig>(text);
    assert!(
        answerer(&read(r#"{"model": "gpt"}"#).unwrap())
            .unwrap_err()
            .to_string()
            .contains("extractive")
    );
    assert!(
        answerer(&read(r#"{"provider": "openai"}"#).unwrap())
            .unwrap_err()
            .to_string()
            .contains("answer.base_url")
    );
    assert!(read(r#"{"api_key": "sk-x"}"#).unwrap_err().to_string().contains("api_key_env"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_quote_is_verbatim_from_the_source_that_it_cites(
        passages in prop::collection::vec("([a-e]{1,3}[ .:\n#|]{0,2}|[A-E]\\. |\\[[0-9]\\]|é){0,60}", 0..5),
        question in "([a-e]{1,3} ){1,6}",
    ) {
        let passages: Vec<&str> = passages.iter().map(String::as_str).collect();
        let hits = hits(&passages);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answerer = Extractive::new().unwrap();
        let quotes = runtime.block_on(answerer.quotes(&question, &hits)).unwrap();
        prop_assert!(quotes.len() <= 3);
        for quote in &quotes {
            let source = quote.source.checked_sub(1).and_then(|place| passages.get(place));
            prop_assert!(source.is_some_and(|source| source.contains(&quote.text)));
        }
        prop_assert_eq!(runtime.block_on(answerer.quotes(&question, &hits)).unwrap(), quotes);
    }
}
