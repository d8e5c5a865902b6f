//! `status`: what is attached and in force.

use super::CommandError;
use super::target::Target;
use crate::cli::OutputArgs;
use crate::exit::Exit;
use crate::output::{Console, Format, status as output};

pub(super) fn status(target: &Target, args: OutputArgs) -> Result<Exit, CommandError> {
    let instance = target.open()?;
    let status = target.status(&instance)?;
    let snapshot = instance.maps.snapshot()?;
    output::render(
        &status,
        &snapshot,
        Format::from_json_flag(args.json),
        &mut Console::new(),
    )?;
    Ok(Exit::Ok)
}
