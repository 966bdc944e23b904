//! `bailiwick agents` and `bailiwick keys`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use bailiwick_authority::{Administrator, Agent, Authentication, Delegation, DelegationRequest};
use bailiwick_index::{DocumentId, incomplete_contributors};
use bailiwick_policy::{Bounds, Schema};
use serde_json::{Map, Value, json};

use crate::assemble;
use crate::cli::Agents;
use crate::config::Config;
use crate::print;

const BY: Administrator = Administrator::CommandLine;

/// Documents that a warning names.
const SHOWN_DOCUMENTS: usize = 1000;

pub(crate) async fn run(command: Agents, config: &Config, as_json: bool) -> Result<()> {
    let (authority, _audit) = assemble::authority(config)?;
    match command {
        Agents::Create { name, auth, public_key } => {
            let auth = authentication(&auth, public_key.as_deref())?;
            let agent = authority.create_agent(&name, auth, &BY).await?;
            // Scripts need the client id, so this is data with and without --json.
            print::json(&created(&agent))
        }
        Agents::Delegate { name, allow, audience, ttl, expires, ceiling, read } => {
            let schema = assemble::schema(config)?;
            let request = DelegationRequest {
                permissions: allow,
                audience,
                ttl_seconds: ttl.as_ref().map(Duration::as_secs),
                lifetime_seconds: expires.as_ref().map(Duration::as_secs),
                ceiling: bounds(&ceiling, &schema).context("--ceiling")?,
                read: bounds(&read, &schema).context("--read")?,
            };
            let delegation = authority.delegate(&name, request, &BY).await?;
            if as_json {
                return print::json(&delegation);
            }
            print::line(format!("{name} {}", may(&delegation)))
        }
        Agents::Revoke { name, quarantine: false } => {
            let agent = authority.revoke_agent(&name, &BY).await?;
            told(&agent, "is revoked; its tokens are refused from now on", as_json)
        }
        Agents::Revoke { name, quarantine: true } => {
            let agent = authority.quarantine(&name, &BY).await?;
            warn_of_incomplete(config)?;
            told(&agent, "is revoked; nobody reads what it brought from now on", as_json)
        }
        Agents::Release { name } => {
            let agent = authority.release(&name, &BY).await?;
            told(&agent, "stays revoked; what it brought can be read again", as_json)
        }
        Agents::Purge { name } => {
            let agent = authority.purge(&name, &BY).await?;
            told(&agent, "stays revoked; the server removes what it brought", as_json)
        }
        Agents::Undelegate { name } => {
            let agent = authority.revoke_delegation(&name, &BY).await?;
            told(&agent, "may do nothing now; its tokens are refused", as_json)
        }
        Agents::List => {
            let agents = authority.list_agents().await?;
            if as_json {
                return print::json(&agents);
            }
            agents.iter().try_for_each(|agent| print::line(in_words(agent)))
        }
    }
}

fn told(agent: &Agent, what: &str, as_json: bool) -> Result<()> {
    if as_json { print::json(agent) } else { print::line(format!("{} {what}", agent.name)) }
}

/// Bounds as they are delegated; none where none are written.
fn bounds(written: &[String], schema: &Schema) -> Result<Option<Map<String, Value>>> {
    if written.is_empty() {
        return Ok(None);
    }
    let bounds = Bounds::written(written)?;
    Bounds::new(schema, &bounds)?;
    Ok(Some(bounds))
}

fn authentication(method: &str, public_key: Option<&Path>) -> Result<Authentication> {
    let read = |file: &Path| {
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
    };
    let key = public_key.map(read).transpose()?;
    Ok(Authentication::from_parts(method, key.as_deref())?)
}

fn created(Agent { name, client_id, spiffe_id, .. }: &Agent) -> Value {
    json!({ "name": name, "client_id": client_id, "spiffe_id": spiffe_id })
}

fn in_words(agent: &Agent) -> String {
    let may = match (&agent.revoked_at, &agent.delegation) {
        (Some(at), _) => match &agent.documents {
            Some(documents) => format!("revoked {at}, its documents {documents}"),
            None => format!("revoked {at}"),
        },
        (None, Some(delegation)) => may(delegation),
        (None, None) => "nothing is delegated".to_owned(),
    };
    format!("{}  {}  {}  {may}", agent.name, agent.client_id, agent.auth.name())
}

fn may(delegation: &Delegation) -> String {
    let Delegation { permissions, ceiling, read, expires_at, .. } = delegation;
    let permitted = (!permissions.is_empty()).then(|| permissions.joined());
    let writes = ceiling.as_ref().map(|bounds| format!("write within {}", json!(bounds)));
    let reads = read.as_ref().map(|bounds| format!("read for people within {}", json!(bounds)));
    let may: Vec<String> = [permitted, writes, reads].into_iter().flatten().collect();
    match may.as_slice() {
        [] => "may do nothing".to_owned(),
        may => format!("may {} until {expires_at}", may.join(", ")),
    }
}

pub(crate) async fn rotate_keys(config: &Config, as_json: bool) -> Result<()> {
    let (authority, _audit) = assemble::authority(config)?;
    let kid = authority.rotate_keys(&BY).await?;
    if as_json {
        return print::json(&json!({ "kid": kid }));
    }
    print::line(format!("tokens are now signed with the key {kid}"))
}

/// Names documents in which the agent may have had a hand without a trace of it.
fn warn_of_incomplete(config: &Config) -> Result<()> {
    let folder = config.data_dir.join("index");
    let Some((count, ids)) = incomplete_contributors(&folder, SHOWN_DOCUMENTS)? else {
        print::warning(
            "which agents had a hand in the stored documents is not known before this release's \
             first start; what the agent brought is in quarantine from then on",
        );
        return Ok(());
    };
    if count > 0 {
        let ids: Vec<&str> = ids.iter().map(DocumentId::as_str).collect();
        let more = if count > ids.len() as u64 { "\n  …" } else { "" };
        print::warning(&format!(
            "{count} documents were stored by an older release, and the part of the audit trail \
             that named all agents behind them was pruned. They are in quarantine only where \
             their metadata name this agent; look at them, or have them ingested again:\n  {}{more}",
            ids.join("\n  ")
        ));
    }
    Ok(())
}
