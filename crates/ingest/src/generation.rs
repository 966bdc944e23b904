//! Vectors of another embedder, made while people go on asking.

use std::error::Error;
use std::time::{Duration, Instant};

use bailiwick_index::{EmbeddedIndex, Generation};
use bailiwick_models::Embedder;

use crate::intake::{EMBEDDED_TOGETHER, IntakeError};

/// How often the log hears of the progress.
const TOLD_EVERY: Duration = Duration::from_secs(5);
/// How long to wait before trying again what has failed.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// Makes the vectors of every stored chunk anew with this embedder, until the index has changed to
/// them. What fails is tried again; what is interrupted goes on at the next start.
pub async fn change_embedder(index: &EmbeddedIndex, embedder: &dyn Embedder) {
    while let Err(error) = attempt(index, embedder).await {
        let seconds = AFTER_FAILURE.as_secs();
        tracing::error!(
            error = &error as &dyn Error,
            "the next vectors are not made; trying again in {seconds} s"
        );
        tokio::time::sleep(AFTER_FAILURE).await;
    }
    let embedder = embedder.id();
    tracing::info!(embedder, "searches use its vectors; [embedding.former] may be removed");
}

async fn attempt(index: &EmbeddedIndex, embedder: &dyn Embedder) -> Result<(), IntakeError> {
    let begun = index.next_generation(embedder.id(), embedder.dimensions()).await?;
    let Some(mut generation) = begun else { return Ok(()) };
    let mut told = Told::begin(&generation);
    while let Some(texts) = generation.next(EMBEDDED_TOGETHER).await? {
        let vectors = embedder.embed(&texts).await?;
        if vectors.len() != texts.len() {
            return Err(IntakeError::Internal("the model did not embed every passage"));
        }
        generation.store(vectors).await?;
        told.tell(&generation);
    }
    Ok(())
}

/// What the log was told last.
struct Told {
    at: Instant,
    done: u64,
}

impl Told {
    fn begin(generation: &Generation) -> Self {
        let (done, total) = (generation.done(), generation.total());
        tracing::info!(done, total, "the vectors of all chunks are made anew; searches go on");
        Self { at: Instant::now(), done }
    }

    fn tell(&mut self, generation: &Generation) {
        let (done, total) = (generation.done(), generation.total());
        // Whoever asks for metrics must not learn how many passages there are, which a finer share
        // would tell.
        let hundredths = done * 100 / total.max(1);
        metrics::gauge!("bailiwick_next_vectors_ratio").set(hundredths as f64 / 100.0);
        let seconds = self.at.elapsed();
        if seconds < TOLD_EVERY {
            return;
        }
        let speed = done.saturating_sub(self.done) as f64 / seconds.as_secs_f64();
        let seconds_left = (total.saturating_sub(done) as f64 / speed.max(0.01)).round();
        tracing::info!(done, total, seconds_left, "vectors are made anew");
        *self = Self { at: Instant::now(), done };
    }
}
