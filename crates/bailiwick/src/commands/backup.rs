//! `bailiwick backup` and `bailiwick restore`.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, absolute};

use anyhow::{Context, Result, bail};
use bailiwick_authority::{Audit, audit::Verified};
use serde_json::json;

use crate::config::Config;
use crate::manifest;
use crate::print;

/// Written last: a folder without it holds no complete backup.
const MARK: &str = "backup.json";

/// What is kept. It is brought back in this order: keys without `authority.db` stop a start, so that a
/// restoration that was cut off is noticed.
const PARTS: [&str; 5] = ["keys", "index", manifest::FOLDER, "audit.db", "authority.db"];

pub(crate) fn back_up(folder: &Path, config: &Config, as_json: bool) -> Result<()> {
    let data_dir = &config.data_dir;
    if !PARTS.iter().any(|part| data_dir.join(part).exists()) {
        bail!("there is nothing in {} to back up; is data_dir right?", data_dir.display());
    }
    if absolute(folder)?.starts_with(absolute(data_dir)?) {
        bail!("{} is inside {}; choose a folder elsewhere", folder.display(), data_dir.display());
    }
    if !is_empty(folder)? {
        bail!("{} is not empty, and no backup is overwritten; name a new folder", folder.display());
    }
    copy_out(data_dir, folder).with_context(|| {
        format!("{} holds no complete backup; remove it and try again", folder.display())
    })?;
    if as_json {
        return print::json(&json!({ "folder": folder }));
    }
    print::line(format!(
        "{} is backed up in {}; the signing keys are in it, so keep it as safe as the original",
        data_dir.display(),
        folder.display()
    ))
}

pub(crate) fn restore(folder: &Path, config: &Config, as_json: bool) -> Result<()> {
    let data_dir = &config.data_dir;
    if !folder.join(MARK).is_file() {
        bail!(
            "{} is no complete backup, since it holds no {MARK}; name a folder that `bailiwick \
             backup` made",
            folder.display()
        );
    }
    if !is_empty(data_dir)? {
        bail!(
            "{} is not empty, and a restoration replaces nothing; stop the server, move that \
             folder away and try again",
            data_dir.display()
        );
    }
    let (documents, trail) = copy_back(folder, data_dir).with_context(|| {
        format!(
            "{} is not restored; empty it, and try again or take another backup",
            data_dir.display()
        )
    })?;
    let Verified { records, head, .. } = trail;
    if as_json {
        return print::json(&json!({ "documents": documents, "records": records, "head": head }));
    }
    print::line(format!(
        "{} is restored from {}: {documents} documents, {records} audit records, none altered",
        data_dir.display(),
        folder.display()
    ))?;
    print::line("Next: revoke again what was revoked after the backup, then bailiwick serve")
}

/// The index comes first and the trail last. A write is acknowledged once it is on record, so each
/// acknowledged document of the copy has its record there.
fn copy_out(data_dir: &Path, folder: &Path) -> Result<()> {
    bailiwick_index::back_up(&data_dir.join("index"), &folder.join("index"))?;
    let manifests = data_dir.join(manifest::FOLDER);
    if manifests.exists() {
        copy(&manifests, &folder.join(manifest::FOLDER))?;
    }
    bailiwick_authority::back_up(data_dir, folder)?;
    let mark = json!({ "bailiwick": env!("CARGO_PKG_VERSION") }).to_string();
    let mut file = private_file(&folder.join(MARK))?;
    file.write_all(mark.as_bytes())?;
    file.sync_all()?;
    Ok(File::open(folder)?.sync_all()?)
}

fn copy_back(folder: &Path, data_dir: &Path) -> Result<(u64, Verified)> {
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
    for part in PARTS {
        let from = folder.join(part);
        if from.exists() {
            copy(&from, &data_dir.join(part))
                .with_context(|| format!("cannot copy {}", from.display()))?;
        }
    }
    File::open(data_dir)?.sync_all()?;
    let documents = bailiwick_index::check(&data_dir.join("index"))?;
    Ok((documents, Audit::open(data_dir)?.verify()?))
}

fn is_empty(folder: &Path) -> Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut files) => Ok(files.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| format!("cannot look into {}", folder.display())),
    }
}

/// Copies a file, or a folder with all that is in it, onto the disk and for the owner only.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_file() {
        let mut file = private_file(to)?;
        io::copy(&mut File::open(from)?, &mut file)?;
        return file.sync_all();
    }
    DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let file = entry?.path();
        // An ingestion that runs is about to put such a manifest in its predecessor's place.
        if let Some(name) = file.file_name()
            && file.extension().is_none_or(|extension| extension != manifest::UNFINISHED)
        {
            copy(&file, &to.join(name))?;
        }
    }
    File::open(to)?.sync_all()
}

fn private_file(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).mode(0o600).open(path)
}
