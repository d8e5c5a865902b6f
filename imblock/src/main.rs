//! `imblock`: see `imblock --help`.

use std::process::ExitCode;

use clap::Parser as _;
use imblock::cli::Cli;
use imblock::commands::{self, CommandError};
use imblock::exit::Exit;

fn main() -> ExitCode {
    match commands::run(Cli::parse()) {
        Ok(exit) => exit.into(),
        Err(error) if error.is_broken_pipe() => Exit::Ok.into(),
        Err(error) => {
            complain(&error);
            error.exit_code().into()
        }
    }
}

/// Prints an error with its causes; policy errors with the lines they are about.
fn complain(error: &CommandError) {
    match error {
        CommandError::Policy(errors) => commands::report_policy_errors(errors),
        // Some errors already tell their cause in their own sentence.
        _ => {
            let causes = anyhow::Chain::new(error).map(ToString::to_string);
            let said = causes.fold(String::new(), |said, cause| match said.as_str() {
                "" => cause,
                _ if said.contains(&cause) => said,
                _ => format!("{said}: {cause}"),
            });
            eprintln!("imblock: {said}");
        }
    }
}
