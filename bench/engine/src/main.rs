//! Drives the index over prepared files, as the server does, and reports in JSON lines.
//!
//! `bench/search/run` prepares the files and asks; see `bench/README.md`.
#![expect(clippy::print_stdout, reason = "its output is the measurement")]

mod build;
mod corpus;
mod embed;
mod machine;
mod people;
mod serve;
mod writes;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Measures the index: `embed` makes vectors, `build` fills an index, `serve` answers questions
/// about its speed, one JSON line for each line that it reads.
#[derive(Debug, Parser)]
#[command(name = "bailiwick-bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Embeds the chunks and the queries of a corpus with the built-in table.
    Embed {
        /// The corpus.
        #[arg(long)]
        corpus: PathBuf,
    },
    /// Fills a new index with a set, in durable batches of 1,000 chunks.
    Build(Place),
    /// Opens the index of a set and answers requests from standard input.
    Serve(Place),
}

/// Which data, and where its index is.
#[derive(Debug, Args)]
struct Place {
    /// The corpus: texts, documents, labels, vectors and queries.
    #[arg(long)]
    corpus: PathBuf,
    /// The set: who may read what. Its name says vectors, chunks and labels.
    #[arg(long)]
    set: PathBuf,
    /// The folder of the index.
    #[arg(long)]
    index: PathBuf,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Embed { corpus } => embed::run(&corpus),
        Command::Build(place) => build::run(&place),
        Command::Serve(place) => serve::run(&place),
    }
}
