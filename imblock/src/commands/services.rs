//! `services`: what is known of services, what is done with them, how much was seen.

use super::CommandError;
use super::target::Target;
use super::toggle::{known_services, select_all};
use crate::cli::ServicesArgs;
use crate::exit::Exit;
use crate::output::services::{self as output, ServiceFacts};
use crate::output::{Console, Format};
use crate::policy::PortRange;

pub(super) fn services(target: &Target, args: &ServicesArgs) -> Result<Exit, CommandError> {
    let instance = target.open()?;
    let status = target.status(&instance)?;
    let snapshot = instance.maps.snapshot()?;
    let ports = instance.maps.ports()?;
    let known = known_services(&target.state.load()?, &instance)?;
    let facts: Vec<ServiceFacts> = select_all(&known, &args.selectors)?
        .into_iter()
        .map(|service| ServiceFacts {
            id: service.id.clone(),
            name: service.name.clone(),
            category: service.category.clone(),
            historic: service.historic,
            ports: ports
                .get(&service.number)
                .into_iter()
                .flatten()
                .map(PortRange::to_string)
                .collect(),
        })
        .collect();
    let format = Format::from_json_flag(args.output.json);
    output::render(&facts, &status, &snapshot, format, &mut Console::new())?;
    Ok(Exit::Ok)
}
