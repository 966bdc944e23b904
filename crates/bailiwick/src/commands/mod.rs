//! One file a command.

mod agents;
mod ask;
mod audit;
mod config_check;
mod demo;
mod ingest;
mod policy;
mod serve;

use anyhow::Result;

use crate::cli::{Cli, Command};
use crate::config::Config;

pub(crate) async fn run(cli: Cli) -> Result<()> {
    let Cli { config: path, json, command, .. } = cli;
    let config = || Config::load(&path);
    match command {
        Command::Demo(options) => demo::run(options).await,
        Command::Ask(options) => ask::run(options, config().ok(), json).await,
        Command::Serve => serve::run(&config()?).await,
        Command::Ingest(options) => ingest::run(options, &config()?, json).await,
        Command::Agents(command) => agents::run(command, &config()?, json).await,
        Command::Keys(_) => agents::rotate_keys(&config()?, json).await,
        Command::Audit(command) => audit::run(command, &config()?, json).await,
        Command::Policy(command) => policy::run(command, &config()?, json),
        Command::Config(_) => config_check::run(&config()?, &path),
    }
}
