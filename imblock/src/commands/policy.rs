//! `policy check|show|schema|apply|confirm|rollback`, and the policy side of `replay`.

use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::CommandError;
use super::attach::{frozen_schedules, other_interfaces, other_limits, sleeping_toggles};
use super::compare::refuse_new_drops;
use super::say::{report, say, warn_of};
use super::target::{METRICS, Target, plan_of_nowhere, read, refuse_stdin_twice, surroundings};
use crate::cli::{Listen, PolicyCommand, ReplayCommand};
use crate::exit::Exit;
use crate::guard::{Proof, Session};
use crate::kernel::own_addresses;
use crate::output::document::Document;
use crate::output::policy::{self as output, Shown};
use crate::output::{Console, Format};
use crate::policy::plan::InterfacePlan;
use crate::policy::{self, Policy, PolicyErrors, PolicySource, ServiceNumbers, Surroundings};
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
            // Nobody need say a policy where nothing runs.
            drop(target.open()?);
            refuse_stdin_twice([file.as_str()], &over.replay)?;
            let policy = read(file)?;
            if let Some(most) = max_new_drops {
                refuse_new_drops(target, file, &policy, *most, over)?;
            }
            apply(target, &policy, *confirm)
        }
        PolicyCommand::Confirm => confirm(target),
        PolicyCommand::Rollback => rollback(target),
        PolicyCommand::Schema { service } => schema(*service),
    }
}

/// What a policy that was put in force leaves to say.
pub(super) struct Applied {
    pub(super) generation: u32,
    pub(super) name: String,
    pub(super) warnings: Vec<String>,
}

/// Compiles a policy, toggles included, and makes it the live one, for good or for so long unless it
/// is confirmed. Interfaces and the sizes of tables stay as they are, which is said where the policy has
/// others; of interfaces only when the policy before did not have the same. Where a command line has
/// `named` interfaces, those of the policy mean nothing.
pub(super) fn put_in_force(
    target: &Target,
    policy: &Policy,
    named: &[InterfacePlan],
    listen: Listen,
    time: Option<Duration>,
) -> Result<Applied, CommandError> {
    let lock = target.lock()?;
    let mut instance = target.open_under(&lock)?;
    let mut plan = target.plan(policy, listen)?;
    let mut state = target.state.load()?;
    let mut warnings = std::mem::take(&mut plan.warnings);
    warnings.extend(sleeping_toggles(&state.put_into(&mut plan)));
    if target.state.controller().is_none() {
        warnings.extend(frozen_schedules(&plan));
    }
    if named.is_empty() && plan.interfaces != state.interfaces {
        warnings.extend(other_interfaces(&instance, &plan)?);
    }
    warnings.extend(other_limits(&instance, &plan)?);
    let intent = target.remember(&mut state, &plan, plan.interfaces.clone())?;
    let generation = match time {
        None => instance.maps.apply(&plan)?,
        Some(time) => instance.maps.apply_for(&plan, time)?,
    };
    intent.commit()?;
    Ok(Applied {
        generation,
        name: plan.name,
        warnings,
    })
}

/// `policy apply`.
fn apply(target: &Target, policy: &Policy, time: Option<Duration>) -> Result<Exit, CommandError> {
    let applied = put_in_force(target, policy, &[], Listen::Nowhere, time)?;
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
    let intent = target.intend_back()?;
    let generation = instance.maps.rollback()?;
    intent.commit()?;
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

/// `policy schema`.
fn schema(service: bool) -> Result<Exit, CommandError> {
    let schema = match service {
        true => policy::service_schema(),
        false => policy::policy_schema(),
    };
    let mut out = Console::new();
    writeln!(out, "{schema:#}")?;
    Ok(Exit::Ok)
}

/// The verdict on one file, for `--json`.
#[derive(Serialize)]
struct Checked<'a> {
    file: &'a str,
    ok: bool,
    errors: Vec<Fault>,
    warnings: Vec<String>,
    guard: Option<Proof>,
}

#[derive(Serialize)]
struct Fault {
    file: String,
    line: Option<usize>,
    column: Option<usize>,
    message: String,
    advice: Option<String>,
}

/// `policy check`: every file, and all that is wrong with each.
fn check(target: &Target, files: &[String], json: bool) -> Result<Exit, CommandError> {
    refuse_stdin_twice(files.iter().map(String::as_str), &[])?;
    let mut checked = Vec::new();
    let mut exit = Exit::Ok;
    for file in files {
        match compile(file) {
            Ok((warnings, proof)) => {
                let ok = proof.breaches.is_empty();
                if !ok {
                    exit = Exit::BadPolicy;
                }
                if !json {
                    warn_of(&warnings);
                    let verdict = if ok { "ok" } else { "not safe" };
                    writeln!(io::stdout(), "{file}: {verdict}")?;
                    write_proof(&proof, &mut io::stdout())?;
                }
                checked.push(Checked {
                    file,
                    ok,
                    errors: Vec::new(),
                    warnings,
                    guard: Some(proof),
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
                    guard: None,
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

/// The warnings of a policy that compiles, and whether it leaves alone what is guarded here. What it
/// says is the same on every box.
fn compile(file: &str) -> Result<(Vec<String>, Proof), PolicyErrors> {
    let policy = policy::load(&PolicySource::parse(file))?;
    let at = Timestamp::now();
    let nowhere = Surroundings {
        at: Some(at),
        ..Surroundings::default()
    };
    let plan = policy.compile(&mut ServiceNumbers::default(), &nowhere)?;
    policy.try_out(&plan, at)?;
    // As if /metrics were open to others: it may be, where the policy is applied.
    let listen = Listen::At((Ipv4Addr::UNSPECIFIED, METRICS).into());
    let session = Session::here();
    let own = own_addresses().unwrap_or_default();
    let surroundings = surroundings(own, listen, session.as_ref(), at);
    let here = policy.compile(&mut ServiceNumbers::default(), &surroundings)?;
    let proof = Proof::of(&here, policy.protect(), &surroundings, session.as_ref());
    Ok((plan.warnings, proof))
}

fn write_proof(proof: &Proof, to: &mut dyn io::Write) -> io::Result<()> {
    if !proof.guarded.is_empty() {
        writeln!(to, "  no rule can drop {}", proof.guarded.join(", "))?;
    }
    for breach in &proof.breaches {
        writeln!(
            to,
            "  a rule could drop {breach}: a fault of imblock, please report it"
        )?;
    }
    Ok(())
}

impl From<&crate::policy::PolicyError> for Fault {
    fn from(error: &crate::policy::PolicyError) -> Self {
        let (line, column) = error.line_and_column().unzip();
        Self {
            file: error.file().to_owned(),
            line,
            column,
            message: error.to_string(),
            advice: error.advice(),
        }
    }
}

/// `replay`, once the policy is compiled.
pub(super) fn replay(command: &ReplayCommand) -> Result<Exit, CommandError> {
    refuse_stdin_twice([command.policy.as_str()], &command.replay.captures)?;
    let plan = plan_of_nowhere(&command.policy)?;
    Ok(super::replay::replay(&command.replay, &plan)?)
}
