//! `bailiwick demo`: the whole mission on one machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bailiwick_authority::{Administrator, Authentication, DelegationRequest};
use bailiwick_dev_idp::{DevProvider, Settings, parse_people};
use tokio::net::TcpListener;

use crate::cli::Demo;
use crate::commands::{ingest, serve};
use crate::config::Config;
use crate::{assemble, print};

/// The pipeline that ingests, and what is delegated to it.
const AGENT: &str = "acme-reader";
const PERMISSIONS: [&str; 3] = ["read:records", "read:metrics", "write:documents"];
const TOKEN_LIFETIME: Duration = Duration::from_secs(15 * 60);

pub(crate) async fn run(options: Demo) -> Result<()> {
    let company = &options.company;
    let folder = tempfile::Builder::new().prefix("bailiwick-demo-").tempdir()?;
    let listener = bind(options.port, "--port").await?;
    let port = listener.local_addr()?.port();
    let provider_port = if options.port == 0 { 0 } else { port.saturating_add(1) };
    let origin = format!("http://127.0.0.1:{port}");

    let mut config = Config::load(&company.join("bailiwick.toml"))
        .context("start the demo in the project's folder, or name a company with --company")?;
    let provider = identity_provider(&config, company, provider_port, &origin).await?;
    place(&mut config, folder.path(), &origin, provider.issuer(), port)?;
    config.app.folder = options.web.or(config.app.folder);

    let app = assemble::app(&config)?;
    let client_id = delegate(&config).await?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(bailiwick_server::serve(listener, app, async move {
        // A dropped sender stops the server too.
        let _ = stopped.await;
    }));
    ingest(&config, company, &origin, &client_id).await?;
    tell(&origin, company, folder.path())?;

    serve::stopped().await;
    drop(stop);
    server.await?.context("the server failed")
}

async fn bind(port: u16, flag: &str) -> Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{address} is in use; choose another with {flag}"))
}

async fn identity_provider(
    config: &Config,
    company: &Path,
    port: u16,
    origin: &str,
) -> Result<DevProvider> {
    let file = company.join("people.toml");
    let people = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    let settings = Settings {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        people: parse_people(&people)?,
        audience: config.identity.audience.first().cloned().unwrap_or_default(),
        client_id: config.app.client_id.clone(),
        redirect_origins: vec![origin.to_owned()],
        token_lifetime: TOKEN_LIFETIME,
    };
    Ok(DevProvider::start(settings).await?)
}

/// Moves the company's configuration to this demo's folder and addresses.
fn place(config: &mut Config, folder: &Path, origin: &str, issuer: &str, port: u16) -> Result<()> {
    config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    config.public_url = Some(origin.to_owned());
    config.data_dir = folder.join("data");
    config.identity.issuer = issuer.to_owned();
    config.authority.issuer = origin.to_owned();
    std::fs::create_dir_all(&config.data_dir)?;
    Ok(())
}

/// What an administrator does once: registers the pipeline and says what it may do.
async fn delegate(config: &Config) -> Result<String> {
    let (authority, _audit) = assemble::authority(config)?;
    let by = Administrator::CommandLine;
    let agent = authority.create_agent(AGENT, Authentication::ClientId, &by).await?;
    let request = DelegationRequest {
        permissions: PERMISSIONS.map(str::to_owned).to_vec(),
        ..DelegationRequest::default()
    };
    authority.delegate(AGENT, request, &by).await?;
    Ok(agent.client_id.to_string())
}

/// What the pipeline does: reads the vault and the folder, and sends documents, all with tokens.
async fn ingest(config: &Config, company: &Path, server: &str, client_id: &str) -> Result<()> {
    let schema = assemble::schema(config)?;
    let mut documents = Vec::new();
    for collection in &config.vault.collections {
        let (path, scope) = (&collection.path, Some(collection.scope.as_str()));
        let read = ingest::read_vault(server, client_id, Arc::clone(&schema), path, scope).await?;
        print::line(format!(
            "{:>4} records    from {path}, with a delegation token for {}",
            read.len(),
            collection.scope
        ))?;
        documents.extend(read);
    }
    let folder = company.join("documents");
    let files = ingest::read_folder(&folder, schema)?;
    print::line(format!("{:>4} documents  from {}", files.len(), folder.display()))?;
    documents.extend(files);
    let receipt = ingest::Sender::new(server, client_id)?.send(documents).await?;
    print::line(format!("{:>4} documents  indexed as {} chunks", receipt.documents, receipt.chunks))
}

fn tell(origin: &str, company: &Path, folder: &Path) -> Result<()> {
    let program = std::env::args().next().unwrap_or_else(|| "bailiwick".into());
    let server =
        if origin.ends_with(":8321") { String::new() } else { format!(" --server {origin}") };
    let (configuration, data) = (company.join("bailiwick.toml"), folder.join("data"));
    print::line(format!(
        "
Bailiwick runs at {origin}
Open it in a browser, and sign in as two people: in two browser profiles, or one after the other.

Three more things to try, in another terminal:
  {program} ask{server} --as alice \"What is project Phoenix?\"
  {program} ask{server} --as bob \"What is project Phoenix?\"
  {program} --config {} --data-dir {} audit tail

The question is the same; each answer is made from what that person may read.
carol, dave and admin are there too. Ctrl-C stops the demo and removes its data.",
        configuration.display(),
        data.display()
    ))
}
