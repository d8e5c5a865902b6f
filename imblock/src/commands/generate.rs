//! `completions` and `man`: what packagers install beside the binary.

use std::io;

use clap::CommandFactory as _;

use super::CommandError;
use crate::cli::Cli;
use crate::exit::Exit;

pub(super) fn completions(shell: clap_complete::Shell) -> Result<Exit, CommandError> {
    // Into memory first: the generator panics when its reader goes away.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "imblock", &mut script);
    io::Write::write_all(&mut io::stdout(), &script)?;
    Ok(Exit::Ok)
}

pub(super) fn man() -> Result<Exit, CommandError> {
    let mut page = Vec::new();
    let command = Cli::command();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for subcommand in command.get_subcommands() {
        clap_mangen::Man::new(subcommand.clone()).render(&mut page)?;
    }
    io::Write::write_all(&mut io::stdout(), &page)?;
    Ok(Exit::Ok)
}
