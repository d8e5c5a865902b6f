//! `block`, `count`, `allow` and `reset`: toggles of the live policy, remembered in the state.

use imblock_common::Action;

use super::CommandError;
use super::say::say;
use super::target::{Target, operator};
use crate::cli::{ResetArgs, ToggleArgs};
use crate::exit::Exit;
use crate::kernel::Instance;
use crate::policy::plan::ServicePlan;
use crate::policy::select;
use crate::state::{Override, State, seconds_since_1970};
use crate::time::words;

/// Does something else with services than what the policy says, at once.
pub(super) fn set(
    target: &Target,
    args: &ToggleArgs,
    action: Action,
) -> Result<Exit, CommandError> {
    let (by, at) = (operator(), seconds_since_1970());
    // The second that has begun is given away, so that no lease ends early.
    let until = args.time.map(|time| at + 1 + time.as_secs());
    let group = args.group.as_deref();
    let mut replaced = false;
    let changed = change(target, &args.selectors, group, |state, services| {
        for service in services {
            let mut old = state.overrides.iter();
            if until.is_some() && group.is_some() && state.is_set_for_all(&service.id) {
                return Err(CommandError::LeaseOverToggle(service.id.clone()));
            }
            // One for all groups takes the place of every group's own.
            replaced |= old.any(|old| {
                old.service == service.id
                    && (group.is_none() || old.group == args.group)
                    && old.until.is_none()
            });
            state.set(Override {
                service: service.id.clone(),
                group: args.group.clone(),
                action,
                by: by.clone(),
                at,
                until,
            });
        }
        Ok(())
    })?;
    let span = args.time.map_or_else(
        || "from now on".to_owned(),
        |time| format!("for {}", words(time.as_secs())),
    );
    say(format_args!(
        "{}{}: {} {span}",
        services(changed.services.len()),
        hosts(group),
        action.name()
    ));
    if until.is_some() && replaced {
        say(
            "warning: this takes the place of what was set by hand; when its time is over, what the \
             policy says holds",
        );
    }
    Ok(Exit::Ok)
}

/// Goes back to what the policy says.
pub(super) fn reset(target: &Target, args: &ResetArgs) -> Result<Exit, CommandError> {
    let group = args.group.as_deref();
    let changed = change(target, &args.selectors, group, |state, services| {
        if args.selectors.is_empty() {
            // Toggles of services that this policy does not have included.
            state.forget_all(group);
        }
        for service in services {
            state.forget(&service.id, group);
        }
        Ok(())
    })?;
    say(format_args!(
        "{}{}: what the policy says from now on",
        services(changed.services.len()),
        hosts(group)
    ));
    let still = changed.still_toggled();
    if still > 0 {
        say(format_args!(
            "warning: what is set by hand for all groups still holds, here for {}: `imblock reset` \
             without --group ends it",
            services(still)
        ));
    }
    Ok(Exit::Ok)
}

/// What a command changed.
struct Changed {
    /// The ids of the selected services.
    services: Vec<String>,
    /// The state afterwards.
    state: State,
}

impl Changed {
    /// How many of the services have a toggle left.
    fn still_toggled(&self) -> usize {
        let toggled = |id: &&String| {
            self.state
                .overrides
                .iter()
                .any(|toggle| toggle.service == **id && toggle.group.is_none())
        };
        self.services.iter().filter(toggled).count()
    }
}

/// Changes the toggles of the selected services, in the kernel and in the state.
fn change(
    target: &Target,
    selectors: &[String],
    group: Option<&str>,
    edit: impl FnOnce(&mut State, &[&ServicePlan]) -> Result<(), CommandError>,
) -> Result<Changed, CommandError> {
    let lock = target.lock()?;
    let mut instance = target.open_under(&lock)?;
    let mut state = target.state.load()?;
    let groups = instance.maps.groups()?;
    if let Some(name) = group
        && !groups.iter().any(|known| known == name)
    {
        return Err(CommandError::UnknownGroup {
            name: name.to_owned(),
            known: groups,
        });
    }
    let known = known_services(&state, &instance)?;
    let selected = select_all(&known, selectors)?;
    edit(&mut state, &selected)?;
    let numbers = instance.maps.service_numbers()?;
    let intent = target.intend(&state)?;
    instance.maps.toggle(|groups| {
        let selected = selected.iter();
        let selected = selected.map(|service| (service.id.as_str(), service.number));
        // Without a selector also those that only the policy before knows, to which a rollback returns.
        let others = numbers.iter().filter(|_| selectors.is_empty());
        selected
            .chain(others)
            .flat_map(|(id, number)| state.changes(id, number, groups))
            .collect()
    })?;
    intent.commit()?;
    Ok(Changed {
        services: selected.iter().map(|service| service.id.clone()).collect(),
        state,
    })
}

/// What several selectors name, each service once, by number; everything where there is none.
pub(super) fn select_all<'a>(
    known: &'a [ServicePlan],
    selectors: &[String],
) -> Result<Vec<&'a ServicePlan>, CommandError> {
    let mut selected: Vec<&ServicePlan> = Vec::new();
    for selector in selectors {
        selected.extend(select(known, selector)?);
    }
    if selectors.is_empty() {
        selected.extend(known);
    }
    selected.sort_unstable_by_key(|service| service.number);
    selected.dedup_by_key(|service| service.number);
    Ok(selected)
}

/// The services that selectors may name: those of the policy in force.
pub(super) fn known_services(
    state: &State,
    instance: &Instance,
) -> Result<Vec<ServicePlan>, CommandError> {
    if !state.services.is_empty() {
        return Ok(state.services.iter().map(ServicePlan::from).collect());
    }
    // The state was removed by hand: what the kernel's numbers and the catalogue say will do.
    let numbers = instance.maps.service_numbers()?;
    let mut plan = super::target::plan_of_nowhere("audit")?;
    plan.services.retain_mut(|service| {
        let number = numbers
            .iter()
            .find(|(id, _)| *id == service.id)
            .map(|(_, number)| number);
        service.number = number.unwrap_or(0);
        number.is_some()
    });
    Ok(plan.services)
}

fn services(count: usize) -> String {
    if count == 1 {
        "1 service".to_owned()
    } else {
        format!("{count} services")
    }
}

fn hosts(group: Option<&str>) -> String {
    group
        .map(|group| format!(" for the hosts of `{group}`"))
        .unwrap_or_default()
}
