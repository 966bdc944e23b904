//! The embedder that is wanted, and the one before it.

use std::path::Path;
use std::sync::Arc;

use crate::config::refusal;
use crate::{Embedder, EmbeddingConfig, ModelError, embedder};

/// The embedder that is wanted and, as long as stored vectors may be its predecessor's, that one.
#[derive(Clone, Debug)]
pub struct Embedders {
    wanted: Arc<dyn Embedder>,
    former: Option<Arc<dyn Embedder>>,
}

impl Embedders {
    /// A former embedder of the same vectors is none.
    pub fn new(wanted: Arc<dyn Embedder>, former: Option<Arc<dyn Embedder>>) -> Self {
        let former = former.filter(|former| former.id() != wanted.id());
        Self { wanted, former }
    }

    /// Makes the embedders that `[embedding]` and `[embedding.former]` configure.
    ///
    /// # Errors
    /// Those of [`embedder`].
    pub fn configured(config: &EmbeddingConfig, data_dir: &Path) -> Result<Self, ModelError> {
        let former = config.former.as_deref().map(|former| {
            if former.former.is_some() {
                return Err(refusal("embedding.former has no former; remove it"));
            }
            embedder(former, data_dir).map_err(|error| {
                ModelError::Configuration(format!("in [embedding.former]: {error}"))
            })
        });
        Ok(Self::new(embedder(config, data_dir)?, former.transpose()?))
    }

    /// The one that is wanted.
    pub fn wanted(&self) -> &Arc<dyn Embedder> {
        &self.wanted
    }

    /// The one before it, if its vectors may still be in use.
    pub fn former(&self) -> Option<&Arc<dyn Embedder>> {
        self.former.as_ref()
    }

    /// The one that makes the vectors of this space, or else the wanted one, whose vectors do not
    /// pass for others.
    pub fn of(&self, space: &str) -> &Arc<dyn Embedder> {
        self.former.as_ref().filter(|former| former.id() == space).unwrap_or(&self.wanted)
    }
}
