//! `imblock`: see `imblock --help`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use imblock::cli::Cli;
use imblock::commands::{self, CommandError};
use imblock::exit::Exit;

fn main() -> ExitCode {
    let ended = match Cli::try_parse() {
        Ok(cli) => commands::run(cli),
        Err(answer) => tell(&answer),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(error) if error.is_broken_pipe() => Exit::Ok.into(),
        Err(error) => {
            commands::complain(&error);
            error.exit_code().into()
        }
    }
}

/// Prints the help or the version, or what is wrong with the command line.
fn tell(answer: &clap::Error) -> Result<Exit, CommandError> {
    let written = answer.print().and_then(|()| io::stdout().flush());
    if answer.use_stderr() {
        // A complaint that nobody can read is one all the same.
        return Ok(Exit::Usage);
    }
    written?;
    Ok(Exit::Ok)
}
