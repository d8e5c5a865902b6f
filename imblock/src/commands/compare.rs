//! `policy diff`, and the look before `policy apply --max-new-drops`: what another policy would
//! change, in its tables and over captures.

use std::io::{self, Write as _};

use imblock_common::flows::cells_for;

use super::CommandError;
use super::replay::{Watcher, warn_of_unknown};
use super::say::say;
use super::target::{Target, read, refuse_stdin_twice};
use crate::cli::{DiffArgs, Listen, OverCaptures};
use crate::exit::Exit;
use crate::output::diff::{self as output, FIRST, Side};
use crate::output::{Console, Format};
use crate::policy::diff::{PlanDiff, Reasoned};
use crate::policy::{Plan, Policy, ServiceNumbers, Surroundings};
use crate::provenance::{Provenance, hexadecimal};
use crate::replay::compare::{Comparison, compare};
use crate::replay::{Format as ReplayFormat, ReplayRequest};

/// A policy that is compared: its tables, and what is known of their reasons.
struct Compared {
    from: String,
    plan: Plan,
    hash: String,
    provenance: Option<Provenance>,
}

/// `policy diff`. An error is never told by exit code 1, which says that there is a difference.
pub(super) fn diff(target: &Target, args: &DiffArgs) -> Result<Exit, CommandError> {
    told(target, args).map_err(|error| CommandError::NotCompared(Box::new(error)))
}

fn told(target: &Target, args: &DiffArgs) -> Result<Exit, CommandError> {
    let policies = [Some(args.file.as_str()), args.from.as_deref()];
    refuse_stdin_twice(policies.into_iter().flatten(), &args.over.replay)?;
    let (old, new) = match &args.from {
        Some(from) => two_files(from, &args.file)?,
        None => live_and_file(target, &args.file, &read(&args.file)?)?,
    };
    let difference = PlanDiff::between(old.reasoned(&old.reason()), new.reasoned(&new.reason()));
    let comparison = over(&args.over, &old.plan, &new.plan);
    let written = output::render(
        (&old.side(), &new.side()),
        &difference,
        comparison
            .as_ref()
            .map(|comparison| (comparison, &new.plan)),
        args.all,
        (
            target.name.as_str(),
            Format::from_json_flag(args.output.json),
        ),
        &mut Console::new(),
    );
    match written {
        // Who reads no further still gets the answer that the exit code is.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    match comparison {
        Some(comparison) if comparison.failed > 0 => Err(CommandError::CapturesFailed {
            failed: comparison.failed,
        }),
        _ if difference.is_empty() => Ok(Exit::Ok),
        _ => Ok(Exit::Failed),
    }
}

/// Refuses a policy that would newly drop more flows of the captures than that, and lists the first
/// of them.
pub(super) fn refuse_new_drops(
    target: &Target,
    file: &str,
    policy: &Policy,
    most: u64,
    captures: &OverCaptures,
) -> Result<(), CommandError> {
    let (old, new) = live_and_file(target, file, policy)?;
    let Some(comparison) = over(captures, &old.plan, &new.plan) else {
        return Ok(());
    };
    if comparison.failed > 0 {
        return Err(CommandError::CapturesFailed {
            failed: comparison.failed,
        });
    }
    let frames = comparison.not_compared();
    if frames > 0 {
        return Err(CommandError::NotAllCompared { frames });
    }
    let found = comparison.newly_dropped.len() as u64;
    if found <= most {
        say(format_args!(
            "of {} flows in the captures, {found} would newly be dropped",
            comparison.flows
        ));
        return Ok(());
    }
    let mut out = anstream::AutoStream::auto(io::stderr());
    // Nobody who reads it is no reason to go on.
    let _ = output::newly_dropped(&comparison, &new.plan, FIRST, &mut out);
    let _ = out.flush();
    Err(CommandError::TooManyNewDrops {
        found,
        most,
        file: file.to_owned(),
    })
}

fn over(captures: &OverCaptures, old: &Plan, new: &Plan) -> Option<Comparison> {
    if captures.replay.is_empty() {
        return None;
    }
    let request = ReplayRequest {
        captures: captures.replay.clone(),
        local: captures.local.clone(),
        flows: false,
        format: ReplayFormat::default(),
    };
    let mut watcher = Watcher::new();
    let comparison = compare(&request, old, new, &mut watcher);
    watcher.finish();
    warn_of_unknown(&comparison.unknown_link_types);
    if comparison.packets_without_flow > 0 {
        say(format_args!(
            "warning: too many flows in one capture: {} packets are of flows that were not compared",
            comparison.packets_without_flow
        ));
    }
    Some(comparison)
}

fn two_files(old: &str, new: &str) -> Result<(Compared, Compared), CommandError> {
    let mut numbers = ServiceNumbers::default();
    let mut side = |file: &str| -> Result<Compared, CommandError> {
        let plan = read(file)?.compile(&mut numbers, &Surroundings::default())?;
        Ok(Compared::of_file(file, plan))
    };
    Ok((side(old)?, side(new)?))
}

/// What is live, and what applying a file would make of it, toggles included in both.
fn live_and_file(
    target: &Target,
    file: &str,
    policy: &Policy,
) -> Result<(Compared, Compared), CommandError> {
    // What is wrong with it is told although nothing runs.
    policy.compile(&mut ServiceNumbers::default(), &Surroundings::default())?;
    let instance = target.open()?;
    let live = target.live(&instance)?;
    let mut plan = target.plan(policy, Listen::Nowhere)?;
    target.state.load()?.put_into(&mut plan);
    // The tables have room for a power of two.
    plan.limits.flows = cells_for(plan.limits.flows);
    let old = Compared {
        from: "live".to_owned(),
        hash: hexadecimal(&live.header.hash),
        plan: live.plan,
        provenance: live.provenance,
    };
    Ok((old, Compared::of_file(file, plan)))
}

impl Compared {
    fn of_file(file: &str, plan: Plan) -> Self {
        Self {
            from: file.to_owned(),
            hash: hexadecimal(&plan.hash()),
            provenance: Some(Provenance::of(&plan)),
            plan,
        }
    }

    /// Why a cell is what it is, by group and service number.
    fn reason(&self) -> impl Fn(u16, u16) -> Option<String> {
        |group, service| {
            let provenance = self.provenance.as_ref()?;
            Some(provenance.reason(group, service))
        }
    }

    fn reasoned<'a>(&'a self, from: &'a dyn Fn(u16, u16) -> Option<String>) -> Reasoned<'a> {
        Reasoned {
            plan: &self.plan,
            from,
        }
    }

    fn side(&self) -> Side {
        let sources = self.provenance.iter().flat_map(|known| &known.sources);
        Side {
            from: self.from.clone(),
            name: self.plan.name.clone(),
            hash: self.hash.clone(),
            sources: sources.map(Into::into).collect(),
        }
    }
}
