//! `policy check|show|apply|confirm|rollback`, and the policy side of `replay`.

use std::io::{self, Write as _};
use std::time::Duration;

use serde::Serialize;

use super::CommandError;
use super::attach::sleeping_toggles;
use super::compare::refuse_new_drops;
use super::say::{report, say, warn_of};
use super::target::{Target, plan_of_nowhere};
use crate::cli::{Listen, PolicyCommand, ReplayCommand};
use crate::exit::Exit;
use crate::output::document::Document;
use crate::output::policy::{self as output, Shown};
use crate::output::{Console, Format};
use crate::policy::{self, PolicyErrors, PolicySource, ServiceNumbers, Surroundings};
use crate::provenance::{Provenance, hexadecimal};
use crate::time::words;

pub(super) fn policy(target: &Target, command: &PolicyCommand) -> Result<Exit, CommandError> {
    match command {
        PolicyCommand::Check { files, output } => check(target, files, output.json),
        PolicyCommand::Show { policy, output } => show(target, policy.as_deref(), output.json),
        PolicyCommand::Learn(args) => super::learn::learn_policy(target, args),
        PolicyCommand::Diff(args) => super::compare::diff(target, args),
        PolicyCommand::Apply {
            file,
            confirm,
            max_new_drops,
            over,
        } => {
            if let Some(most) = max_new_drops {
                refuse_new_drops(target, file, *most, over)?;
            }
            apply(target, file, *confirm)
        }
        PolicyCommand::Confirm => confirm(target),
        PolicyCommand::Rollback => rollback(target),
    }
}

/// What a policy that was put in force leaves to say.
pub(super) struct Applied {
    pub(super) generation: u32,
    pub(super) name: String,
    pub(super) warnings: Vec<String>,
}

/// Compiles a policy, toggles included, and makes it the live one, for good or for so long unless it
/// is confirmed. Interfaces stay as they are.
pub(super) fn put_in_force(
    target: &Target,
    policy: &str,
    listen: Listen,
    time: Option<Duration>,
) -> Result<Applied, CommandError> {
    let lock = target.lock()?;
    let mut instance = target.open_under(&lock)?;
    let mut plan = target.plan(policy, listen)?;
    let mut state = target.state.load()?;
    let mut warnings = std::mem::take(&mut plan.warnings);
    warnings.extend(sleeping_toggles(&state.put_into(&mut plan)));
    let generation = match time {
        None => instance.maps.apply(&plan)?,
        Some(time) => instance.maps.apply_for(&plan, time)?,
    };
    target.remember(&mut state, &plan)?;
    Ok(Applied {
        generation,
        name: plan.name,
        warnings,
    })
}

/// `policy apply`.
fn apply(target: &Target, file: &str, time: Option<Duration>) -> Result<Exit, CommandError> {
    let applied = put_in_force(target, file, Listen::Nowhere, time)?;
    warn_of(&applied.warnings);
    let Applied {
        name, generation, ..
    } = applied;
    match time {
        None => say(format_args!(
            "policy {name} is in force, generation {generation}"
        )),
        Some(time) => say(format_args!(
            "policy {name} is in force, generation {generation}, for {}: `imblock policy confirm` \
             makes it stay, or else the one before comes back",
            words(time.as_secs())
        )),
    }
    Ok(Exit::Ok)
}

/// `policy confirm`.
fn confirm(target: &Target) -> Result<Exit, CommandError> {
    let lock = target.lock()?;
    let generation = target.open_under(&lock)?.maps.confirm()?;
    say(format_args!(
        "generation {generation} is confirmed: it stays in force"
    ));
    Ok(Exit::Ok)
}

/// `policy rollback`.
fn rollback(target: &Target) -> Result<Exit, CommandError> {
    let lock = target.lock()?;
    let mut instance = target.open_under(&lock)?;
    let generation = instance.maps.rollback()?;
    target.follow_back()?;
    let name = instance.maps.live()?.header.name;
    say(format_args!(
        "policy {} is in force again, generation {generation}",
        name.as_str()
    ));
    Ok(Exit::Ok)
}

/// `policy show`: of a file, or what is live.
fn show(target: &Target, policy: Option<&str>, json: bool) -> Result<Exit, CommandError> {
    let format = Format::from_json_flag(json);
    let mut out = Console::new();
    let instance = target.name.as_str();
    match policy {
        Some(policy) => {
            let plan = plan_of_nowhere(policy)?;
            let shown = Shown {
                plan: &plan,
                hash: hexadecimal(&plan.hash()),
                provenance: Some(&Provenance::of(&plan)),
                overrides: &[],
            };
            output::render(&shown, instance, format, &mut out)?;
        }
        None => {
            let live = target.live(&target.open()?)?;
            let shown = Shown {
                plan: &live.plan,
                hash: hexadecimal(&live.header.hash),
                provenance: live.provenance.as_ref(),
                overrides: &target.overrides()?,
            };
            output::render(&shown, instance, format, &mut out)?;
        }
    }
    Ok(Exit::Ok)
}

/// The verdict on one file, for `--json`.
#[derive(Serialize)]
struct Checked<'a> {
    file: &'a str,
    ok: bool,
    errors: Vec<Fault>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Fault {
    line: Option<usize>,
    column: Option<usize>,
    message: String,
    advice: Option<String>,
}

/// `policy check`: every file, and all that is wrong with each.
fn check(target: &Target, files: &[String], json: bool) -> Result<Exit, CommandError> {
    let mut checked = Vec::new();
    let mut exit = Exit::Ok;
    for file in files {
        match compile(file) {
            Ok(warnings) => {
                if !json {
                    warn_of(&warnings);
                    writeln!(io::stdout(), "{file}: ok")?;
                }
                checked.push(Checked {
                    file,
                    ok: true,
                    errors: Vec::new(),
                    warnings,
                });
            }
            Err(errors) => {
                exit = Exit::BadPolicy;
                if !json {
                    report(&errors);
                }
                let errors = errors.iter().map(Fault::from).collect();
                checked.push(Checked {
                    file,
                    ok: false,
                    errors,
                    warnings: Vec::new(),
                });
            }
        }
    }
    if json {
        #[derive(Serialize)]
        struct Policies<'a> {
            policies: Vec<Checked<'a>>,
        }
        let policies = Policies { policies: checked };
        Document::new(target.name.as_str(), &policies).write_pretty(&mut Console::new())?;
    }
    Ok(exit)
}

fn compile(file: &str) -> Result<Vec<String>, PolicyErrors> {
    let policy = policy::load(&PolicySource::parse(file))?;
    let plan = policy.compile(&mut ServiceNumbers::default(), &Surroundings::default())?;
    Ok(plan.warnings)
}

impl From<&crate::policy::PolicyError> for Fault {
    fn from(error: &crate::policy::PolicyError) -> Self {
        let (line, column) = error.line_and_column().unzip();
        Self {
            line,
            column,
            message: error.to_string(),
            advice: error.advice(),
        }
    }
}

/// `replay`, once the policy is compiled.
pub(super) fn replay(command: &ReplayCommand) -> Result<Exit, CommandError> {
    let plan = plan_of_nowhere(&command.policy)?;
    Ok(super::replay::replay(&command.replay, &plan)?)
}
