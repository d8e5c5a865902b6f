//! `policy learn`: from what was counted to a policy to begin with.

use std::collections::BTreeMap;

use super::CommandError;
use super::replay::{Watcher, warn_of_unknown};
use super::target::{Target, plan_of_nowhere};
use super::toggle::known_services;
use crate::catalogue;
use crate::cli::{LearnArgs, Since};
use crate::exit::Exit;
use crate::learn::{Clock, Observed, Rules, learn};
use crate::output::learn::{self as output, Proposal, Source};
use crate::output::{Console, Format};
use crate::policy::plan::ServicePlan;
use crate::replay::{self, Format as ReplayFormat, ReplayRequest};
use crate::state::seconds_since_1970;

pub(super) fn learn_policy(target: &Target, args: &LearnArgs) -> Result<Exit, CommandError> {
    let now = seconds_since_1970();
    let (observed, services, source) = match args.replay.is_empty() {
        true => counters(target, now)?,
        false => captures(args)?,
    };
    let rules = Rules {
        many: args.many,
        since: args.since.map(|since| match since {
            Since::Ago(seconds) => now.saturating_sub(seconds),
            Since::At(at) => at,
        }),
    };
    let learned = learn(&observed, &services, catalogue::services()?, rules);
    let proposal = Proposal {
        learned: &learned,
        source,
        since: rules.since,
        many: rules.many,
        now,
    };
    let format = Format::from_json_flag(args.output.json);
    output::render(&proposal, target.name.as_str(), format, &mut Console::new())?;
    Ok(Exit::Ok)
}

type Seen = (Observed, Vec<ServicePlan>, Source);

fn counters(target: &Target, now: u64) -> Result<Seen, CommandError> {
    let instance = target.open()?;
    let observed = Observed {
        snapshot: instance.maps.snapshot()?,
        first_seen: BTreeMap::new(),
        clock: Clock::Monotonic(now),
    };
    let services = known_services(&target.state.load()?, &instance)?;
    Ok((observed, services, Source::Counters))
}

/// Captures are judged by `audit`, which drops nothing.
fn captures(args: &LearnArgs) -> Result<Seen, CommandError> {
    let plan = plan_of_nowhere("audit")?;
    let request = ReplayRequest {
        captures: args.replay.clone(),
        local: args.local.clone(),
        flows: false,
        format: ReplayFormat::default(),
    };
    let mut watcher = Watcher::new();
    let seen = replay::observe(&request, &plan, &mut watcher);
    watcher.finish();
    if seen.summary.failed > 0 {
        return Err(CommandError::CapturesFailed {
            failed: seen.summary.failed,
        });
    }
    warn_of_unknown(&seen.summary.unknown_link_types);
    let observed = Observed {
        snapshot: seen.summary.snapshot,
        first_seen: seen.first_seen,
        clock: Clock::Epoch,
    };
    Ok((
        observed,
        plan.services,
        Source::Captures(seen.summary.captures),
    ))
}
