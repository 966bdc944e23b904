//! The web app's files: embedded by the build, or read from a folder while somebody works on them.

use std::path::PathBuf;

use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::app::Settings;

/// What `npm run build` wrote; nothing if it did not run before the build.
#[derive(RustEmbed)]
#[folder = "../../web/dist"]
struct Built;

/// The page of the app; all of its addresses are answered with it.
const INDEX: &str = "index.html";
/// Runs in a frame of the app, for the session's silent renewal.
const SILENT: &str = "silent-callback.html";

/// Cuts the tie to windows of other sites that a page opens or was opened by.
pub(crate) const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// Devices and abilities that the app does not use; it writes to the clipboard, and needs no more.
const NO_PERMISSIONS: &str = "accelerometer=(), autoplay=(), bluetooth=(), camera=(), \
    clipboard-read=(), clipboard-write=(self), display-capture=(), encrypted-media=(), \
    fullscreen=(), gamepad=(), geolocation=(), gyroscope=(), hid=(), idle-detection=(), \
    local-fonts=(), magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), \
    screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()";

/// Where the files are, and what the browser may do with them.
#[derive(Debug)]
pub(crate) struct Web {
    folder: Option<PathBuf>,
    policy: HeaderValue,
    framed_policy: HeaderValue,
}

impl Web {
    /// The page may talk to the origins of whoever signs people in.
    pub(crate) fn new(settings: &Settings) -> Self {
        let origins = std::iter::once(&settings.issuer).chain(&settings.provider_origins);
        let provider: Vec<String> = origins.filter_map(|url| origin(url)).collect();
        let provider = provider.join(" ");
        let policy = |ancestors: &str| {
            let text = format!(
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                 manifest-src 'self'; worker-src 'self'; connect-src 'self' {provider}; \
                 frame-src 'self' {provider}; base-uri 'none'; form-action 'none'; \
                 frame-ancestors {ancestors}; require-trusted-types-for 'script'; \
                 trusted-types bailiwick-worker bailiwick-chunks"
            );
            HeaderValue::try_from(text)
                .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
        };
        let folder = settings.web_folder.clone();
        Self { folder, policy: policy("'none'"), framed_policy: policy("'self'") }
    }

    /// The app's page, unless the app was not built.
    pub(crate) fn index(&self, asked: &HeaderMap) -> Option<Response> {
        self.file(INDEX, asked)
    }

    /// A file of the app, by its path without a slash at the start.
    pub(crate) fn file(&self, path: &str, asked: &HeaderMap) -> Option<Response> {
        let (file, encoding) = self.smallest(path, asked)?;
        let etag = format!("\"{}\"", hex(&file.metadata.sha256_hash()));
        let current =
            asked.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
        let mut response = if current {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            file.data.into_response()
        };
        let headers = response.headers_mut();
        if let Ok(etag) = HeaderValue::try_from(etag) {
            headers.insert(ETAG, etag);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind(path)));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(freshness(path)));
        let policy = if path == SILENT { &self.framed_policy } else { &self.policy };
        headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
        if path.ends_with(".html") {
            confine(headers);
        }
        if let Some(encoding) = encoding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        Some(response)
    }

    /// The file as the build compressed it, if the browser can read that.
    fn smallest(
        &self,
        path: &str,
        asked: &HeaderMap,
    ) -> Option<(EmbeddedFile, Option<&'static str>)> {
        if path.ends_with(".br") || path.ends_with(".gz") {
            return None;
        }
        for (suffix, encoding) in [("br", "br"), ("gz", "gzip")] {
            if accepts(asked, encoding)
                && let Some(file) = self.read(&format!("{path}.{suffix}"))
            {
                return Some((file, Some(encoding)));
            }
        }
        self.read(path).map(|file| (file, None))
    }

    fn read(&self, path: &str) -> Option<EmbeddedFile> {
        // What begins with a dot is not part of the app, and could lead out of the folder.
        if path.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
            return None;
        }
        match &self.folder {
            None => Built::get(path),
            Some(folder) => rust_embed::utils::read_file_from_fs(&folder.join(path)).ok(),
        }
    }
}

/// Keeps other sites' windows, and the browser's devices, away from a page. Windows that the page
/// opens keep the tie to it, because a sign-in beside the page answers through it.
pub(crate) fn confine(page: &mut HeaderMap) {
    page.insert(OPENER_POLICY, HeaderValue::from_static("same-origin-allow-popups"));
    page.insert(PERMISSIONS_POLICY, HeaderValue::from_static(NO_PERMISSIONS));
}

/// Hashed names never change their content; everything else is asked for again each time.
fn freshness(path: &str) -> &'static str {
    if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" }
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("webmanifest") => "application/manifest+json",
        Some("map" | "json") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Whether `Accept-Encoding` names the encoding and does not weigh it with zero.
fn accepts(asked: &HeaderMap, encoding: &str) -> bool {
    let lines = asked.get_all(ACCEPT_ENCODING).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let refused = weight.trim().trim_start_matches("q=").parse::<f32>() == Ok(0.0);
        name.trim().eq_ignore_ascii_case(encoding) && !refused
    })
}

/// Scheme, host and port of a URL, as a Content Security Policy names them.
fn origin(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    // A host may hold `;`, which would end the directive.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_[:]".contains(&byte);
    let usable = matches!(url.scheme(), "http" | "https") && url.host_str()?.bytes().all(plain);
    usable.then(|| url.origin().ascii_serialization())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::app::Limits;

    fn settings(folder: Option<PathBuf>) -> Settings {
        Settings {
            public_url: "https://bailiwick.example".into(),
            issuer: "https://idp.example/realms/acme".into(),
            client_id: "app".into(),
            scopes: Vec::new(),
            suggestions: Vec::new(),
            provider_origins: vec![
                "https://tokens.idp.example".into(),
                "https://a;b.example".into(),
            ],
            web_folder: folder,
            admin: None,
            limits: Limits::default(),
        }
    }

    /// An app in a folder, with a secret beside it.
    fn app() -> (TempDir, Web) {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("secret"), "secret").unwrap();
        let dist = place.path().join("dist");
        fs::create_dir_all(dist.join("assets")).unwrap();
        for (name, content) in [
            ("index.html", "page"),
            ("index.html.br", "brotli"),
            ("index.html.gz", "gzip"),
            ("silent-callback.html", "frame"),
            ("sw.js", "worker"),
            ("assets/main.0123.js", "script"),
            (".hidden", "secret"),
        ] {
            fs::write(dist.join(name), content).unwrap();
        }
        (place, Web::new(&settings(Some(dist))))
    }

    fn asked(name: axum::http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::try_from(value).unwrap())])
    }

    fn said(response: &Response, name: axum::http::HeaderName) -> &str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn a_hashed_name_is_kept_for_ever_and_every_other_is_asked_for_again() {
        let (_place, web) = app();
        let fresh =
            |path| said(&web.file(path, &HeaderMap::new()).unwrap(), CACHE_CONTROL).to_owned();
        assert_eq!(fresh("assets/main.0123.js"), "public, max-age=31536000, immutable");
        for path in ["index.html", "sw.js", "silent-callback.html"] {
            assert_eq!(fresh(path), "no-cache");
        }
    }

    #[test]
    fn a_known_file_is_not_sent_again_and_each_encoding_is_known_by_itself() {
        let (_place, web) = app();
        let plain = web.index(&HeaderMap::new()).unwrap();
        let etag = said(&plain, ETAG).to_owned();
        assert_eq!(web.index(&asked(IF_NONE_MATCH, &etag)).unwrap().status(), 304);
        let mut compressed = asked(ACCEPT_ENCODING, "br");
        compressed.insert(IF_NONE_MATCH, HeaderValue::try_from(etag).unwrap());
        assert_eq!(web.index(&compressed).unwrap().status(), 200);
    }

    #[test]
    fn a_browser_gets_the_best_encoding_that_it_can_read() {
        let (_place, web) = app();
        for (accepts, encoding) in [
            ("gzip, deflate, br", "br"),
            ("GZIP", "gzip"),
            ("br;q=0, gzip;q=0.5", "gzip"),
            ("identity", ""),
            ("brotli", ""),
        ] {
            let response = web.index(&asked(ACCEPT_ENCODING, accepts)).unwrap();
            assert_eq!(said(&response, CONTENT_ENCODING), encoding, "{accepts}");
        }
    }

    #[test]
    fn nothing_but_the_app_is_served() {
        let (_place, web) = app();
        for path in ["../secret", "assets/../../secret", ".hidden", "", "/", "index.html.br"] {
            assert!(web.file(path, &HeaderMap::new()).is_none(), "{path}");
        }
    }

    #[test]
    fn the_page_may_run_and_reach_only_what_is_named() {
        let (_place, web) = app();
        let response = web.index(&HeaderMap::new()).unwrap();
        let policy = said(&response, CONTENT_SECURITY_POLICY);
        let provider = "https://idp.example https://tokens.idp.example";
        assert!(policy.contains(&format!("connect-src 'self' {provider};")), "{policy}");
        assert!(policy.contains(&format!("frame-src 'self' {provider};")), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(policy.contains("require-trusted-types-for 'script'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("a;b"));
        let framed = web.file(SILENT, &HeaderMap::new()).unwrap();
        assert!(said(&framed, CONTENT_SECURITY_POLICY).contains("frame-ancestors 'self'"));
    }

    #[test]
    fn a_page_is_kept_from_other_windows_and_from_devices() {
        let (_place, web) = app();
        let page = web.index(&HeaderMap::new()).unwrap();
        assert_eq!(said(&page, OPENER_POLICY), "same-origin-allow-popups");
        assert!(said(&page, PERMISSIONS_POLICY).contains("camera=()"));
    }
}
