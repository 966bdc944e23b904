//! Measures the extractive answerer on XQuAD: `cargo run --example xquad -- xquad.en.json`.
//!
//! Every question is asked of all paragraphs, retrieved by BM25 (5 hits), and once more with its
//! own paragraph taken away, when the right thing to do is to abstain.
#![expect(clippy::cast_precision_loss, reason = "counts of a few thousand")]

use std::collections::{HashMap, HashSet};

use bailiwick_answer::{Extractive, Quote};
use bailiwick_index::{ChunkId, DocumentId, Hit, Hits};
use bailiwick_policy::LabelId;
use serde_json::{Map, Value};

const TOP_K: usize = 5;

struct Question {
    text: String,
    paragraph: usize,
    answers: Vec<String>,
}

#[derive(Default)]
struct Tally {
    best: usize,
    one_of_three: usize,
    quotes: usize,
    abstained: usize,
    answered_without: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("give the path of xquad.en.json")?;
    let (paragraphs, questions) = read(&serde_json::from_slice(&std::fs::read(path)?)?);
    let retrieval = Bm25::new(&paragraphs);
    let answerer = Extractive::new()?;
    let mut tally = Tally::default();
    for question in &questions {
        let scores = retrieval.scores(&question.text);
        let quotes = answerer.quotes(&question.text, &hits(&paragraphs, &scores, None)?).await?;
        tally.count(question, &quotes);
        let without = hits(&paragraphs, &scores, Some(question.paragraph))?;
        let quotes = answerer.quotes(&question.text, &without).await?;
        tally.answered_without += usize::from(!quotes.is_empty());
    }
    tally.print(questions.len());
    Ok(())
}

impl Tally {
    fn count(&mut self, question: &Question, quotes: &[Quote]) {
        let holds = |quote: &Quote| question.answers.iter().any(|a| quote.text.contains(a));
        let best = quotes.iter().max_by(|a, b| a.score.total_cmp(&b.score));
        self.best += usize::from(best.is_some_and(holds));
        self.one_of_three += usize::from(quotes.iter().any(holds));
        self.quotes += quotes.len();
        self.abstained += usize::from(quotes.is_empty());
    }

    fn print(&self, questions: usize) {
        let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole as f64;
        let answered = questions - self.abstained;
        println!("{questions} questions");
        println!("best sentence holds the answer     {:5.1} %", percent(self.best, questions));
        println!(
            "one of up to three holds it        {:5.1} %",
            percent(self.one_of_three, questions)
        );
        println!("abstained                          {:5.1} %", percent(self.abstained, questions));
        println!("of those answered: best holds it   {:5.1} %", percent(self.best, answered));
        println!(
            "of those answered: one holds it    {:5.1} %",
            percent(self.one_of_three, answered)
        );
        println!(
            "answered without its paragraph     {:5.1} %",
            percent(self.answered_without, questions)
        );
        println!("quotes an answer                   {:5.2}", self.quotes as f64 / answered as f64);
    }
}

fn read(file: &Value) -> (Vec<String>, Vec<Question>) {
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let (mut paragraphs, mut questions) = (Vec::new(), Vec::new());
    for paragraph in list(file, "data").iter().flat_map(|article| list(article, "paragraphs")) {
        for question in list(&paragraph, "qas") {
            questions.push(Question {
                text: text(&question, "question"),
                paragraph: paragraphs.len(),
                answers: list(&question, "answers").iter().map(|a| text(a, "text")).collect(),
            });
        }
        paragraphs.push(text(&paragraph, "context"));
    }
    (paragraphs, questions)
}

fn hits(paragraphs: &[String], scores: &[f32], without: Option<usize>) -> Result<Hits, String> {
    let mut ranked: Vec<(usize, &f32)> = scores.iter().enumerate().collect();
    ranked.retain(|(place, _)| Some(*place) != without);
    ranked.sort_by(|a, b| b.1.total_cmp(a.1));
    let hits = ranked.into_iter().take(TOP_K);
    let hits = hits.map(|(place, score)| {
        Ok(Hit {
            id: ChunkId { document: DocumentId::new(&place.to_string())?, n: 0 },
            text: paragraphs.get(place).cloned().unwrap_or_default(),
            metadata: Map::new(),
            label: LabelId::from_u32(0),
            score: *score,
        })
    });
    Ok(Hits { hits: hits.collect::<Result<_, String>>()?, revision: 0 })
}

/// As simple a retrieval as there is.
struct Bm25 {
    paragraphs: Vec<Vec<String>>,
    frequencies: HashMap<String, f32>,
    average: f32,
}

impl Bm25 {
    fn new(paragraphs: &[String]) -> Self {
        let paragraphs: Vec<Vec<String>> = paragraphs.iter().map(|text| tokens(text)).collect();
        let mut frequencies = HashMap::new();
        for token in paragraphs.iter().flat_map(|tokens| tokens.iter().collect::<HashSet<_>>()) {
            *frequencies.entry(token.clone()).or_default() += 1.0;
        }
        let average =
            paragraphs.iter().map(Vec::len).sum::<usize>() as f32 / paragraphs.len() as f32;
        Self { paragraphs, frequencies, average }
    }

    fn scores(&self, question: &str) -> Vec<f32> {
        let count = self.paragraphs.len() as f32;
        let terms: HashSet<String> = tokens(question).into_iter().collect();
        let score = |tokens: &Vec<String>| {
            terms.iter().fold(0.0, |sum, term| {
                let frequency = self.frequencies.get(term).copied().unwrap_or_default();
                let idf = (1.0 + (count - frequency + 0.5) / (frequency + 0.5)).ln();
                let tf = tokens.iter().filter(|token| *token == term).count() as f32;
                sum + idf * tf / (tf + 0.9 * (0.6 + 0.4 * tokens.len() as f32 / self.average))
            })
        };
        self.paragraphs.iter().map(score).collect()
    }
}

fn tokens(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}
