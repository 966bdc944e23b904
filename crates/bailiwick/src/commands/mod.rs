//! One file a command.

mod agents;
mod ask;
mod audit;
mod backup;
mod clock;
mod config_check;
mod demo;
mod ingest;
mod models;
mod policy;
mod questions;
mod serve;
pub(crate) mod worker;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Backup, Cli, Clock, Command, Restore};
use crate::config::Config;

pub(crate) async fn run(cli: Cli) -> Result<ExitCode> {
    let Cli { config: path, data_dir, json, command, .. } = cli;
    let config = || {
        let mut config = Config::load(&path)?;
        config.data_dir = data_dir.clone().unwrap_or(config.data_dir);
        Ok::<_, anyhow::Error>(config)
    };
    match command {
        Command::Policy(command) => return policy::run(command, &config()?, json).await,
        Command::Demo(options) => demo::run(options).await,
        Command::Ask(options) => {
            // The demo is asked without any configuration.
            let config = if path.exists() { Some(config()?) } else { None };
            ask::run(options, config, json).await
        }
        Command::Serve => serve::run(&config()?).await,
        Command::Ingest(options) => ingest::run(options, &config()?, json).await,
        Command::Agents(command) => agents::run(command, &config()?, json).await,
        Command::Keys(_) => agents::rotate_keys(&config()?, json).await,
        Command::Clock(Clock::Accept { yes }) => clock::accept(yes, &config()?, json).await,
        Command::Audit(command) => audit::run(command, &config()?, json).await,
        Command::Models(command) => models::run(command, &config()?, json).await,
        Command::Backup(Backup { folder }) => backup::back_up(&folder, &config()?, json),
        Command::Restore(Restore { folder }) => backup::restore(&folder, &config()?, json),
        // `main` has done it before anything else.
        Command::Worker(_) => Ok(()),
        Command::Config(_) => config_check::run(&config()?, &path),
    }?;
    Ok(ExitCode::SUCCESS)
}
