//! `bailiwick ask`.

use anyhow::{Context, Result, bail};
use bailiwick_dev_idp::sign_in;
use bailiwick_identity::is_loopback;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::cli::Ask;
use crate::config::Config;
use crate::print;

/// Where the demo listens.
const DEMO: &str = "http://127.0.0.1:8321";

pub(crate) async fn run(options: Ask, config: Option<Config>, as_json: bool) -> Result<()> {
    let server = options.server.clone().or(config.map(|config| config.public_url()));
    let server = server.unwrap_or_else(|| DEMO.into());
    let server = server.trim_end_matches('/');
    let client = client(server)?;
    let token = match &options.person {
        Some(person) => sign_in_as(&client, server, person).await?,
        None => token_from_environment()?,
    };
    let answer = ask(&client, server, &token, &options).await?;
    if as_json { print::json(&answer) } else { in_words(&answer) }
}

fn token_from_environment() -> Result<SecretString> {
    let token = std::env::var("BAILIWICK_TOKEN").ok().filter(|token| !token.is_empty());
    let advice = "who asks? give --as PERSON for the demo, or an access token in BAILIWICK_TOKEN";
    token.map(SecretString::from).context(advice)
}

/// A client that takes the token nowhere but to the server, and never in the clear.
fn client(server: &str) -> Result<Client> {
    let url = Url::parse(server).context("--server is not an address; give https://…")?;
    if !url.username().is_empty() || url.password().is_some() {
        bail!("--server must not hold a user or password");
    }
    let here = is_loopback(&url);
    if url.scheme() != "https" && !here {
        bail!("the server would get your token in the clear; use https");
    }
    let mut client = Client::builder().redirect(Policy::none());
    if here {
        client = client.no_proxy();
    }
    client.build().context("no HTTP client can be made")
}

/// Signs in at the demo's identity provider, as the page would.
async fn sign_in_as(client: &Client, server: &str, person: &str) -> Result<SecretString> {
    let app = client
        .get(format!("{server}/app-config.json"))
        .send()
        .await
        .map_err(|cause| unreachable(server, cause))?
        .bytes()
        .await?;
    let app: Value =
        bailiwick_json::read(&app).context("the server does not say where people sign in")?;
    let member = |name: &str| app.get(name).and_then(Value::as_str).unwrap_or_default();
    let redirect = format!("{server}/callback");
    let tokens = sign_in(member("issuer"), member("client_id"), &redirect, person)
        .await
        .with_context(|| format!("cannot sign in as {person}"))?;
    Ok(tokens.access_token)
}

async fn ask(client: &Client, server: &str, token: &SecretString, options: &Ask) -> Result<Value> {
    let question =
        json!({ "query": options.question, "top_k": options.top_k, "mode": options.mode });
    let response = client
        .post(format!("{server}/api/rag/query"))
        .bearer_auth(token.expose_secret())
        .json(&question)
        .send()
        .await
        .map_err(|cause| unreachable(server, cause))?;
    let status = response.status();
    let body: Value =
        bailiwick_json::read(&response.bytes().await?).context("the server's answer is no JSON")?;
    if !status.is_success() {
        let detail = body.get("detail").and_then(Value::as_str).unwrap_or("no reason given");
        let advice = match status {
            StatusCode::UNAUTHORIZED => "; sign in again for a new access token",
            _ => "",
        };
        bail!("the server answered {}: {detail}{advice}", status.as_u16());
    }
    Ok(body)
}

fn unreachable(server: &str, cause: reqwest::Error) -> anyhow::Error {
    let advice = "start one with `bailiwick demo`, or name another with --server";
    anyhow::Error::from(cause.without_url())
        .context(format!("no server answers at {server}; {advice}"))
}

fn in_words(answer: &Value) -> Result<()> {
    let response = answer.get("response").and_then(Value::as_str).unwrap_or_default();
    print::line(response)?;
    let sources = answer.get("source_nodes").and_then(Value::as_array);
    for (n, source) in sources.into_iter().flatten().enumerate() {
        let document =
            source.pointer("/node/ref_doc_id").and_then(Value::as_str).unwrap_or_default();
        let score = source.get("score").and_then(Value::as_f64).unwrap_or_default();
        if n == 0 {
            print::line("")?;
        }
        print::line(format!("[{}] {document}  ({score:.2})", n + 1))?;
    }
    let size = |name: &str| {
        answer.pointer(&format!("/bailiwick/{name}")).and_then(Value::as_u64).unwrap_or(0)
    };
    print::line(format!("\n{} chunks under {} labels may be read", size("chunks"), size("labels")))
}
