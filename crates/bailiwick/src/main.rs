#![doc = include_str!("../README.md")]

mod assemble;
mod cli;
mod commands;
mod config;
mod log;
mod manifest;
mod print;
mod toml_file;

use std::process::ExitCode;

use crate::cli::Command;

fn main() -> ExitCode {
    let cli = cli::parse();
    if let Command::Worker(work) = cli.command {
        return commands::worker::run(work);
    }
    let log = log::start(&cli);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return log.failure(&error.into()),
    };
    runtime.block_on(commands::run(cli)).unwrap_or_else(|error| log.failure(&error))
}
