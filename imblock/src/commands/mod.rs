//! The commands, one file each; every one reads as its story.

mod attach;
mod clockwork;
mod compare;
mod error;
mod generate;
mod hosts;
mod inspect;
mod interrupted;
mod learn;
mod policy;
pub mod replay;
mod run;
mod say;
mod services;
mod status;
mod target;
mod toggle;
mod why;

pub use error::CommandError;
pub use say::complain;

use crate::cli::{Cli, Command};
use crate::exit::Exit;
use target::Target;

/// Does what the command line says.
pub fn run(cli: Cli) -> Result<Exit, CommandError> {
    let target = Target::new(cli.instance);
    match cli.command {
        Command::Demo(args) => Ok(crate::demo::demo(&args)?),
        Command::Run(args) => run::run(&target, &args),
        Command::Up(args) => attach::up(&target, &args),
        Command::Down => attach::down(&target),
        Command::Block(args) => toggle::set(&target, &args, imblock_common::Action::Drop),
        Command::Reject(args) => toggle::set(&target, &args, imblock_common::Action::Reject),
        Command::Count(args) => toggle::set(&target, &args, imblock_common::Action::Count),
        Command::Allow(args) => toggle::set(&target, &args, imblock_common::Action::Allow),
        Command::Reset(args) => toggle::reset(&target, &args),
        Command::Status(args) => status::status(&target, args),
        Command::Services(args) => services::services(&target, &args),
        Command::Hosts(args) => hosts::hosts(&target, &args),
        Command::Why(args) => why::why(&target, &args),
        Command::Policy(command) => policy::policy(&target, &command),
        Command::Replay(command) => policy::replay(&command),
        Command::Completions { shell } => generate::completions(shell),
        Command::Man => generate::man(),
    }
}
