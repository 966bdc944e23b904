#![doc = include_str!("../README.md")]

mod assemble;
mod cli;
mod commands;
mod config;
mod manifest;
mod print;
mod toml_file;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli::log(&cli);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return print::failure(&error.into()),
    };
    match runtime.block_on(commands::run(cli)) {
        Ok(code) => code,
        Err(error) => print::failure(&error),
    }
}
