//! `bailiwick serve`.

use anyhow::{Context, Result};
use tokio::net::TcpListener;

use crate::assemble;
use crate::config::Config;
use crate::print;

pub(crate) async fn run(config: &Config) -> Result<()> {
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!("cannot listen on {}; is another server running? change `listen`", config.listen)
    })?;
    let app = assemble::app(config)?;
    announce(format!("Bailiwick listens on http://{}", listener.local_addr()?));
    bailiwick_server::serve(listener, app, stopped()).await.context("the server failed")
}

/// Prints where the server listens. A server whose output nobody takes runs all the same.
fn announce(text: String) {
    std::thread::spawn(move || print::line(text));
}

/// Waits for Ctrl-C or the signal with which a service manager stops a process.
pub(crate) async fn stopped() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
