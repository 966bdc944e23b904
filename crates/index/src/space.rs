//! Whose vectors an index holds.

use std::fmt;
use std::sync::Arc;

use half::f16;

use crate::IndexError;
use crate::code::Coder;
use crate::types::Metric;

/// What an index's vectors have in common. Vectors of two spaces are never compared.
#[derive(Debug)]
pub(crate) struct Space {
    /// Names the embedder that makes them.
    pub(crate) embedder: Arc<str>,
    pub(crate) dimensions: usize,
    metric: Metric,
    pub(crate) coder: Coder,
}

/// As the catalogue has it.
impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let products = if self.metric == Metric::Cosine { "" } else { ", inner products" };
        write!(f, "{} ({} dimensions{products})", self.embedder, self.dimensions)
    }
}

impl Space {
    pub(crate) fn new(embedder: &str, dimensions: usize, metric: Metric) -> Self {
        Self { embedder: embedder.into(), dimensions, metric, coder: Coder::new(dimensions) }
    }

    /// The space of the same metric that another embedder makes.
    pub(crate) fn of(&self, embedder: &str, dimensions: usize) -> Self {
        Self::new(embedder, dimensions, self.metric)
    }

    /// Refuses what another embedder made.
    pub(crate) fn check(&self, embedder: &str) -> Result<(), IndexError> {
        if *self.embedder == *embedder {
            return Ok(());
        }
        let (expected, found) = (self.embedder.to_string(), embedder.to_owned());
        Err(IndexError::OtherSpace { expected, found })
    }

    /// A vector of this space as it is compared and kept.
    pub(crate) fn accept(&self, embedder: &str, vector: &[f32]) -> Result<Vec<f32>, IndexError> {
        self.check(embedder)?;
        let (expected, found) = (self.dimensions, vector.len());
        if found != expected {
            return Err(IndexError::Dimensions { expected, found });
        }
        let greatest = f16::MAX.to_f32();
        if !vector.iter().all(|number| number.abs() <= greatest) {
            return Err(IndexError::NotFinite);
        }
        let length = match self.metric {
            Metric::Cosine => vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt(),
            Metric::InnerProduct => 1.0,
        };
        let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
        Ok(vector.iter().map(|x| (f64::from(*x) * scale) as f32).collect())
    }

    /// [`Space::accept`] in the numbers that are stored.
    pub(crate) fn stored(&self, embedder: &str, vector: &[f32]) -> Result<Vec<f16>, IndexError> {
        Ok(self.accept(embedder, vector)?.into_iter().map(f16::from_f32).collect())
    }
}
