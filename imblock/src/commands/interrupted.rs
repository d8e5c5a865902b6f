//! What became of a command that was killed between changing the kernel and writing down that it did.
//!
//! Invariant: what is told follows the kernel. A change that the kernel has is written down by whoever comes next,
//! one that it does not have is forgotten, and toggles that it has in part are brought to their end.

use super::CommandError;
use super::say::{complain, say};
use super::target::Target;
use crate::kernel::{ActionChange, Instance};
use crate::state::{Interrupted, State, StateLock};

/// Looks whether a command was killed half-way, and takes up what it left. Trouble with that is said and ends
/// nothing: `down` must work whatever the state says.
pub(super) fn take_up(target: &Target, lock: &StateLock) {
    // Where the state can't be read, the command itself says so.
    let Ok(Some(interrupted)) = target.state.interrupted(lock) else {
        return;
    };
    if let Err(error) = follow(target, lock, &interrupted) {
        complain(&error);
        say("what an earlier command did, which was killed, may not be told by `imblock status`");
    }
}

fn follow(target: &Target, lock: &StateLock, left: &Interrupted) -> Result<(), CommandError> {
    let Some(mut instance) = Instance::open_if_up(&target.name)? else {
        // Nothing is in force, and nobody was told that it would be.
        target.state.drop_interrupted(lock);
        return Ok(());
    };
    let header = instance.maps.header()?;
    let Interrupted { before, after } = left;
    let done = match left.is_policy_changed(&header.hash) {
        Some(is_changed) => is_changed,
        None => before.overrides == after.overrides || finish(&mut instance, before, after)?,
    };
    if !done {
        target.state.drop_interrupted(lock);
        say(
            "warning: an earlier command was killed, and nothing of what it was to do is in force: it is \
             forgotten",
        );
        return Ok(());
    }
    target
        .state
        .finish_interrupted(lock)
        .map_err(CommandError::NotWrittenDown)?;
    say(format_args!(
        "warning: an earlier command was killed before it could write down what it did; that is done now: \
         policy {}, generation {}, {} set by hand",
        header.name.as_str(),
        header.generation,
        after.overrides.len()
    ));
    Ok(())
}

/// Brings toggles to their end of which the cells have something; whether they have.
fn finish(instance: &mut Instance, before: &State, after: &State) -> Result<bool, CommandError> {
    let numbers = instance.maps.service_numbers()?;
    let changes = |state: &State, groups: &[String]| -> Vec<ActionChange> {
        let all = numbers.iter();
        all.flat_map(|(id, number)| state.changes(id, number, groups))
            .collect()
    };
    let groups = instance.maps.groups()?;
    // What the live policy does not have sleeps: its cells say nothing.
    let is_awake = |change: &ActionChange| {
        let mut services = after.services.iter();
        after.services.is_empty() || services.any(|service| service.number == change.service)
    };
    let (old, new) = (changes(before, &groups), changes(after, &groups));
    let different: Vec<_> = old
        .iter()
        .zip(&new)
        .filter(|(old, new)| old != new && is_awake(new))
        .map(|(old, _)| *old)
        .collect();
    if instance.maps.does(&different)? {
        return Ok(false);
    }
    instance.maps.toggle(|groups| changes(after, groups))?;
    Ok(true)
}
