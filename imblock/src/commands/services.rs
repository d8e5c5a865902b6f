//! `services`: what is known of services, what is done with them, how much was seen. One service
//! alone is explained, whether the instance is up or not.

use imblock_common::Action;
use imblock_common::layout::ActionCell;

use super::CommandError;
use super::target::{Target, plan_of_nowhere};
use super::toggle::{known_services, select_all};
use crate::catalogue;
use crate::cli::ServicesArgs;
use crate::exit::Exit;
use crate::kernel::{Instance, KernelError};
use crate::output::explain::{self, About, Running};
use crate::output::services::{self as output, ServiceFacts};
use crate::output::{Console, Format};
use crate::policy::plan::ServicePlan;
use crate::policy::{PortRange, Service};

pub(super) fn services(target: &Target, args: &ServicesArgs) -> Result<Exit, CommandError> {
    let format = Format::from_json_flag(args.output.json);
    if let [id] = args.selectors.as_slice()
        && let Some(service) = catalogue_service(id)?
    {
        return explain(target, service, format);
    }
    let instance = target.open()?;
    let status = target.status(&instance)?;
    let snapshot = instance.maps.snapshot()?;
    let known = known_services(&target.state.load()?, &instance)?;
    let selected = select_all(&known, &args.selectors)?;
    let facts = facts(&selected, &instance)?;
    output::render(&facts, &status, &snapshot, format, &mut Console::new())?;
    Ok(Exit::Ok)
}

/// Tells all about one service of the catalogue, and what the instance does with it if there is one
/// that can be seen.
fn explain(target: &Target, service: &Service, format: Format) -> Result<Exit, CommandError> {
    let about = About::new(service, ready_policies(service.id.as_str())?);
    let name = target.name.to_string();
    let mut out = Console::new();
    match target.open() {
        Ok(instance) => {
            let status = target.status(&instance)?;
            let snapshot = instance.maps.snapshot()?;
            let known = known_services(&target.state.load()?, &instance)?;
            let facts = facts(
                &select_all(&known, &[service.id.as_str().to_owned()])?,
                &instance,
            )?;
            let running = Running {
                status: &status,
                snapshot: &snapshot,
            };
            for facts in &facts {
                explain::render(facts, &about, &name, Some(running), format, &mut out)?;
            }
        }
        Err(CommandError::Kernel(
            KernelError::NotRunning(_) | KernelError::NoPermission { .. },
        )) => {
            let facts = ServiceFacts {
                id: service.id.as_str().to_owned(),
                name: service.name.clone(),
                category: service.category.name().to_owned(),
                historic: service.status.name() == "historic",
                ports: service.ports.iter().map(PortRange::to_string).collect(),
            };
            explain::render(&facts, &about, &name, None, format, &mut out)?;
        }
        Err(error) => return Err(error),
    }
    Ok(Exit::Ok)
}

/// The service of the catalogue with this id.
fn catalogue_service(id: &str) -> Result<Option<&'static Service>, CommandError> {
    let services = catalogue::services()?;
    Ok(services.iter().find(|service| service.id.as_str() == id))
}

/// What each ready policy does with a service for everyone.
fn ready_policies(id: &str) -> Result<Vec<(&'static str, Action)>, CommandError> {
    let mut done = Vec::new();
    for (name, _) in catalogue::POLICIES {
        let plan = plan_of_nowhere(name)?;
        let cell = plan
            .service(id)
            .zip(plan.actions.first())
            .and_then(|(service, row)| row.0.get(usize::from(service.number)));
        done.extend(cell.map(|cell| (*name, ActionCell(*cell).policy())));
    }
    Ok(done)
}

/// What is known of services, with the ports that tell them now.
fn facts(
    selected: &[&ServicePlan],
    instance: &Instance,
) -> Result<Vec<ServiceFacts>, CommandError> {
    let ports = instance.maps.ports()?;
    let facts = selected.iter().map(|service| ServiceFacts {
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
    });
    Ok(facts.collect())
}
