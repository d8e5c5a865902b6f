//! `up` and `down`.

use jiff::Timestamp;

use super::CommandError;
use super::say::{say, warn_of};
use super::target::{Target, read};
use crate::cli::{AttachArgs, Listen};
use crate::exit::Exit;
use crate::kernel::{Instance, KernelError, Unconfirmed, fallbacks, require_right};
use crate::policy::plan::InterfacePlan;
use crate::policy::{Plan, Policy, inside};
use crate::state::Override;
use crate::status::InterfaceStatus;
use crate::time::words;

/// Attaches, applies the policy, and leaves.
pub(super) fn up(target: &Target, args: &AttachArgs) -> Result<Exit, CommandError> {
    // A controller that runs would not know of the new interfaces.
    let _claim = target.claim()?;
    let policy = wanted(args)?;
    let (instance, frozen) = enforce(target, args, &policy, Listen::Nowhere)?;
    warn_of(frozen.as_slice());
    for interface in instance.interfaces()? {
        say(describe(&interface));
    }
    Ok(Exit::Ok)
}

/// Detaches, and forgets the counters. Toggles are kept for the next time.
pub(super) fn down(target: &Target) -> Result<Exit, CommandError> {
    let _claim = target.claim()?;
    let _lock = target.lock()?;
    Instance::down(&target.name)?;
    Ok(Exit::Ok)
}

/// The policy that is to be put in force, of a command that can be carried out. It may come from a pipe,
/// and late.
pub(super) fn wanted(args: &AttachArgs) -> Result<Policy, CommandError> {
    refuse_twice(&args.interfaces)?;
    require_right()?;
    read(&args.policy)
}

/// Compiles the [`wanted`] policy, puts it in force and attaches: what `up` and `run` have in common. With
/// it comes what to say where no controller stays.
pub(super) fn enforce(
    target: &Target,
    args: &AttachArgs,
    policy: &Policy,
    listen: Listen,
) -> Result<(Instance, Option<String>), CommandError> {
    let lock = target.lock()?;
    match target.open_under(&lock) {
        Ok(_) | Err(CommandError::Kernel(KernelError::NotRunning(_))) => {}
        Err(error) => return Err(error),
    }
    let mut plan = target.plan(policy, listen)?;
    let named = plan.interfaces.clone();
    if !args.interfaces.is_empty() {
        plan.interfaces.clone_from(&args.interfaces);
    }
    let mut state = target.state.load()?;
    warn_of(&plan.warnings);
    warn_of(&sleeping_toggles(&state.put_into(&mut plan)));
    let intent = target.remember(&mut state, &plan, named)?;
    let instance = Instance::up(&target.name, &plan)?;
    intent.commit()?;
    warn_of(&fallbacks(&instance.interfaces()?));
    warn_of(other_limits(&instance, &plan)?.as_slice());
    Ok((instance, frozen_schedules(&plan)))
}

/// The instance as it is, if a policy waits there for its confirmation: until that is decided no other can
/// be applied, and what is attached goes on.
pub(super) fn adopt(target: &Target) -> Result<Option<Instance>, CommandError> {
    let lock = target.lock()?;
    let instance = match target.open_under(&lock) {
        Err(CommandError::Kernel(KernelError::NotRunning(_))) => return Ok(None),
        opened => opened?,
    };
    let waiting = instance.maps.unconfirmed()?;
    Ok(waiting.map(|Unconfirmed { generation, left, .. }| {
        say(format_args!(
            "warning: generation {generation} waits for its confirmation, {} more: what is live is taken \
             over as it is, and no policy applied; a reload applies it once that is decided",
            words(left.as_secs())
        ));
        instance
    }))
}

/// One interface has one side: the second naming would silently have its way.
fn refuse_twice(interfaces: &[InterfacePlan]) -> Result<(), CommandError> {
    let mut names: Vec<&str> = interfaces.iter().map(|plan| plan.name.as_str()).collect();
    names.sort_unstable();
    match names.array_windows().find(|[one, other]| one == other) {
        None => Ok(()),
        Some([name, _]) => Err(CommandError::InterfaceTwice((*name).to_owned())),
    }
}

/// A word about toggles that the policy has no service or group for.
pub(super) fn sleeping_toggles(asleep: &[&Override]) -> Vec<String> {
    let word = |toggle: &&Override| {
        format!(
            "the toggle of `{}` has no effect now: this policy has no such service or group",
            toggle.service
        )
    };
    asleep.iter().map(word).collect()
}

/// A word about tables that were made in other sizes than the policy's.
pub(super) fn other_limits(
    instance: &Instance,
    plan: &Plan,
) -> Result<Option<String>, CommandError> {
    let limits = instance.maps.limits()?;
    let word = || {
        format!(
            "the tables have room for {} hosts, {} prefixes and {} flows, and places by address for {}, \
             since they were made; the policy's `limits` take effect after `imblock down`",
            limits.hosts,
            limits.prefixes,
            limits.flows,
            inside::words(&limits.inside)
        )
    };
    Ok((limits != plan.limits).then(word))
}

/// A word about interfaces other than those that are attached: putting a policy in force attaches
/// nothing, and the next start may fail for them.
pub(super) fn other_interfaces(
    instance: &Instance,
    plan: &Plan,
) -> Result<Option<String>, CommandError> {
    if plan.interfaces.is_empty() {
        return Ok(None);
    }
    let why_not = match instance.is_attached_by(&plan.interfaces) {
        Ok(true) => return Ok(None),
        Ok(false) => String::new(),
        Err(error @ (KernelError::NoInterface { .. } | KernelError::NoPorts { .. })) => {
            format!(", which would fail: {error}")
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Some(format!(
        "the policy's `interfaces` are not what is attached, and stay out of force until the next `imblock \
         up` or `run` without `-i`{why_not}"
    )))
}

/// A word about schedules that nobody keeps.
pub(super) fn frozen_schedules(plan: &Plan) -> Option<String> {
    let next = plan.timetable.next_change(Timestamp::now())?;
    Some(format!(
        "the policy has schedules, and no `imblock run` keeps them: what holds now stays after {next:.0}"
    ))
}

/// One line about an attached interface.
pub(super) fn describe(interface: &InterfaceStatus) -> String {
    format!(
        "attached to {} ({} side, {} XDP{})",
        interface.names(),
        crate::policy::plan::side_name(interface.side()),
        interface.xdp,
        if interface.egress { ", egress" } else { "" }
    )
}
