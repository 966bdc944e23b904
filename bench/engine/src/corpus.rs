//! The files that `bench/search` prepares.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bailiwick_index::{DocumentId, NewChunk, NewDocument, Origin, SourceName};
use bailiwick_policy::Label;
use half::f16;
use serde::Deserialize;
use serde_json::{Map, json};

use crate::Place;

/// Who may read what, from `people.json`.
#[derive(Debug, Deserialize)]
pub(crate) struct World {
    pub(crate) chunks: usize,
    pub(crate) documents: usize,
    /// How many labels there are; they are numbered in the order in which documents bring them.
    pub(crate) labels: usize,
    /// The topic of each query.
    pub(crate) topics: Vec<usize>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) people: Vec<Person>,
}

/// One row of the comparison.
#[derive(Debug, Deserialize)]
pub(crate) struct Cell {
    /// Who asks, by the topic of the query.
    pub(crate) people: Vec<usize>,
}

/// One person.
#[derive(Debug, Deserialize)]
pub(crate) struct Person {
    /// The labels that she may read.
    pub(crate) labels: Vec<usize>,
}

/// One set of a corpus.
#[derive(Debug)]
pub(crate) struct Set {
    corpus: PathBuf,
    pub(crate) world: World,
    pub(crate) embedder: String,
    pub(crate) dimensions: usize,
    pub(crate) queries: Vec<(String, Vec<f32>)>,
    /// The label of each document.
    pub(crate) labels: Vec<u32>,
}

impl Set {
    pub(crate) fn open(place: &Place) -> anyhow::Result<Self> {
        let corpus = place.corpus.clone();
        let world = fs::read(place.set.join("people.json")).context("prepare the set first")?;
        let world: World = serde_json::from_slice(&world)?;
        let name = place.set.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let mut parts = name.split('-');
        let (Some(embedder), Some(_), Some(kind)) = (parts.next(), parts.next(), parts.next())
        else {
            anyhow::bail!("a set is called <vectors>-<chunks>-<labels>, not {name}");
        };
        let texts = fs::read_to_string(corpus.join("queries.txt"))?;
        let numbers = floats(&fs::read(corpus.join(format!("queries.{embedder}.f32")))?);
        let texts: Vec<String> = texts.lines().map(str::to_owned).collect();
        ensure!(texts.len() == world.topics.len(), "the set was made of other queries");
        let dimensions = numbers.len() / texts.len();
        let vectors = numbers.chunks(dimensions).map(<[f32]>::to_vec);
        let labels = fs::read(corpus.join(format!("labels.{kind}.u32")))?;
        let labels = integers(&labels).into_iter().take(world.documents).collect();
        Ok(Self {
            queries: texts.into_iter().zip(vectors).collect(),
            embedder: embedder.to_owned(),
            corpus,
            world,
            dimensions,
            labels,
        })
    }

    pub(crate) fn reader(&self) -> anyhow::Result<Documents> {
        let vectors = self.corpus.join(format!("{}.f16", self.embedder));
        Ok(Documents {
            texts: Texts::open(&self.corpus)?,
            starts: self.starts()?,
            vectors: BufReader::with_capacity(1 << 20, File::open(vectors)?),
            embedder: self.embedder.clone(),
            dimensions: self.dimensions,
            next: 0,
        })
    }

    /// The first chunk of each document, and one more.
    pub(crate) fn starts(&self) -> anyhow::Result<Vec<u32>> {
        let starts = integers(&fs::read(self.corpus.join("documents.u32"))?);
        Ok(starts.into_iter().take(self.world.documents + 1).collect())
    }
}

/// The chunks' texts, read in order.
#[derive(Debug)]
pub(crate) struct Texts {
    file: BufReader<File>,
    ends: std::vec::IntoIter<u64>,
    at: u64,
}

impl Texts {
    pub(crate) fn open(corpus: &Path) -> anyhow::Result<Self> {
        let ends = fs::read(corpus.join("texts.u64"))?;
        let (ends, _) = ends.as_chunks::<8>();
        let ends: Vec<u64> = ends.iter().skip(1).map(|bytes| u64::from_le_bytes(*bytes)).collect();
        let file = BufReader::with_capacity(1 << 20, File::open(corpus.join("texts.bin"))?);
        Ok(Self { file, ends: ends.into_iter(), at: 0 })
    }

    /// How many are left.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }
}

impl Iterator for Texts {
    type Item = anyhow::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = self.ends.next()?;
        let mut bytes = vec![0; usize::try_from(end - self.at).ok()?];
        self.at = end;
        let read = self.file.read_exact(&mut bytes).map_err(anyhow::Error::from);
        Some(read.and_then(|()| Ok(String::from_utf8(bytes)?)))
    }
}

/// The documents of a set, read in order.
#[derive(Debug)]
pub(crate) struct Documents {
    texts: Texts,
    starts: Vec<u32>,
    vectors: BufReader<File>,
    embedder: String,
    dimensions: usize,
    next: usize,
}

impl Documents {
    /// The next documents, until they hold `chunks` chunks; empty at the end.
    pub(crate) fn batch(
        &mut self,
        chunks: usize,
        label: impl Fn(usize) -> Label,
    ) -> anyhow::Result<Vec<NewDocument>> {
        let (mut documents, mut count) = (Vec::new(), 0);
        while let Some([start, end]) = self.starts.get(self.next..self.next + 2)
            && count < chunks
        {
            let chunks =
                (*start..*end).map(|_| self.chunk()).collect::<anyhow::Result<Vec<_>>>()?;
            count += chunks.len();
            let id = format!("d{}", self.next);
            documents.push(document(&id, &self.embedder, chunks, label(self.next))?);
            self.next += 1;
        }
        Ok(documents)
    }

    fn chunk(&mut self) -> anyhow::Result<NewChunk> {
        let text = self.texts.next().context("the corpus has fewer chunks")??;
        let mut bytes = vec![0; 2 * self.dimensions];
        self.vectors.read_exact(&mut bytes).context("the corpus has fewer vectors")?;
        let (halves, _) = bytes.as_chunks::<2>();
        let vector = halves.iter().map(|half| f16::from_le_bytes(*half).to_f32()).collect();
        Ok(NewChunk { text, vector })
    }
}

pub(crate) fn document(
    id: &str,
    embedder: &str,
    chunks: Vec<NewChunk>,
    label: Label,
) -> anyhow::Result<NewDocument> {
    let mut metadata = Map::new();
    metadata.insert("path".into(), json!(id));
    Ok(NewDocument {
        id: DocumentId::new(id).map_err(anyhow::Error::msg)?,
        text: chunks.iter().map(|chunk| chunk.text.as_str()).collect(),
        metadata,
        label,
        content_hash: [0; 32],
        origin: Arc::new(Origin::of(SourceName::new("bench").map_err(anyhow::Error::msg)?)),
        space: embedder.into(),
        chunks,
    })
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn integers(bytes: &[u8]) -> Vec<u32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}
