//! `imblock`: see `imblock --help`.

use std::process::ExitCode;

use clap::Parser as _;
use imblock::cli::Cli;
use imblock::commands;
use imblock::exit::Exit;

fn main() -> ExitCode {
    match commands::run(Cli::parse()) {
        Ok(exit) => exit.into(),
        Err(error) if error.is_broken_pipe() => Exit::Ok.into(),
        Err(error) => {
            commands::complain(&error);
            error.exit_code().into()
        }
    }
}
