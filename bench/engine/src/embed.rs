//! Vectors by the table that the server embeds with.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use bailiwick_models::StaticEmbedder;
use half::f16;
use indicatif::ProgressBar;

use crate::corpus::Texts;

pub(crate) fn run(corpus: &Path) -> anyhow::Result<()> {
    let embedder = StaticEmbedder::built_in()?;
    let queries = fs::read_to_string(corpus.join("queries.txt"))?;
    let vectors = queries.lines().flat_map(|text| embedder.vector(text));
    fs::write(
        corpus.join("queries.static.f32"),
        vectors.flat_map(f32::to_le_bytes).collect::<Vec<u8>>(),
    )?;
    let texts = Texts::open(corpus)?;
    let progress = ProgressBar::new(texts.len() as u64);
    let part = corpus.join("static.f16.part");
    let mut out = BufWriter::new(File::create(&part)?);
    for text in texts {
        for number in embedder.vector(&text?) {
            out.write_all(&f16::from_f32(number).to_le_bytes())?;
        }
        progress.inc(1);
    }
    out.flush()?;
    progress.finish();
    Ok(fs::rename(part, corpus.join("static.f16"))?)
}
