//! `why`: the programs' own answer to what happens to a packet, and whose doing that is.

use std::net::IpAddr;

use imblock_common::{Transport, View};

use super::CommandError;
use super::target::{LivePlan, Target};
use crate::cli::{RemoteEnd, WhyArgs};
use crate::exit::Exit;
use crate::kernel::{AttachedProgram, KernelError, Probe};
use crate::output::policy::Shown;
use crate::output::why::{self as output, Facts, Question};
use crate::output::{Console, Format, view_name};
use crate::policy::Plan;
use crate::provenance::hexadecimal;
use crate::state::holds_at;
use crate::why::capture::{self, Found};
use crate::why::made::{self, Said};
use crate::why::{Answer, Ends, Step, Views, notes};

/// The port at the local host, where none is given: one of those that are given to nobody (RFC 6335
/// section 6).
const LOCAL_PORT: u16 = 50_123;
const HTTPS: u16 = 443;
const DNS: u16 = 53;
/// How often to begin again when policies are applied meanwhile.
const ATTEMPTS: u32 = 3;

/// The frames of a question.
struct Asked<'a> {
    question: Question<'a>,
    ends: Ends,
    steps: Vec<Step>,
    /// Whether these frames were never sent: after one that is refused none would have come.
    made: bool,
    notes: Vec<String>,
}

pub(super) fn why(target: &Target, args: &WhyArgs) -> Result<Exit, CommandError> {
    let instance = target.open()?;
    let programs = instance.attached()?;
    let controller = target.state.controller().is_some();
    for _ in 0..ATTEMPTS {
        let mut live = target.live(&instance)?;
        let at = args.at.as_ref().map(|moment| moment.instant);
        if let Some(at) = at {
            target.move_to(&mut live, at)?;
        }
        let mut asked = ask(args, &live)?;
        let actions = at.map(|_| live.plan.actions.as_slice());
        let mut probe = instance.probe(controller, actions)?;
        let views = views(&mut probe, &programs, &mut asked.notes)?;
        let answer = Answer::of(&mut probe, views, &asked.steps, asked.made)?;
        let generation = probe.generation();
        if live.header.generation != generation || instance.maps.generation()? != generation {
            continue;
        }
        return tell(target, args, &live, asked, &answer, &programs);
    }
    Err(KernelError::Unsteady.into())
}

fn tell(
    target: &Target,
    args: &WhyArgs,
    live: &LivePlan,
    asked: Asked<'_>,
    answer: &Answer,
    programs: &[AttachedProgram],
) -> Result<Exit, CommandError> {
    let at = args.at.as_ref().map(|moment| moment.instant);
    let mut overrides = target.overrides()?;
    overrides
        .retain(|toggle| at.is_none_or(|at| holds_at(toggle.at, toggle.until, at.as_second())));
    let shown = Shown {
        plan: &live.plan,
        hash: hexadecimal(&live.header.hash),
        provenance: live.provenance.as_ref(),
        overrides: &overrides,
    };
    let silent = asked.made && asked.question.name.is_none();
    let mut notes = notes(&live.plan, &asked.ends, answer, silent);
    notes.extend(asked.notes);
    let facts = Facts {
        question: asked.question,
        ends: asked.ends,
        answer,
        shown: &shown,
        applied: (live.header.generation, live.header.applied_at),
        at: args.at.as_ref(),
        programs,
        notes,
    };
    let format = Format::from_json_flag(args.output.json);
    output::render(&facts, target.name.as_str(), format, &mut Console::new())?;
    Ok(Exit::Ok)
}

fn ask<'a>(args: &'a WhyArgs, live: &LivePlan) -> Result<Asked<'a>, CommandError> {
    if let (Some(path), Some(number)) = (&args.pcap, args.frame) {
        let found = capture::find(path, number, &args.local, &live.plan)?;
        let notes = notes_of(&found);
        return Ok(Asked {
            question: Question {
                name: None,
                frame: Some((path.display().to_string(), number)),
            },
            ends: found.ends,
            steps: found.steps,
            made: false,
            notes,
        });
    }
    let (Some(from), Some(to)) = (args.from, args.to) else {
        // Clap has asked for them.
        return Err(CommandError::NoQuestion);
    };
    let ends = ends(args, from, to)?;
    let name = args.name.as_deref();
    let said = match name {
        None if port_has_service(&live.plan, &ends) => Said::Nothing,
        None => Said::Nonsense,
        Some(name) if args.dns || ends.remote.1 == DNS => Said::Question(name),
        Some(_) if ends.transport == Transport::Udp => return Err(CommandError::NameOverUdp),
        Some(name) => Said::Hello(name),
    };
    Ok(Asked {
        question: Question { name, frame: None },
        steps: made::steps(&ends, said),
        ends,
        made: true,
        notes: Vec::new(),
    })
}

/// Whether the port alone tells something. Where it does not, the first words make the difference: only
/// with them an address is that of a service.
fn port_has_service(plan: &Plan, ends: &Ends) -> bool {
    plan.port(ends.transport, ends.remote.1).service() != 0
}

fn ends(
    args: &WhyArgs,
    (local, local_port): (IpAddr, Option<u16>),
    to: RemoteEnd,
) -> Result<Ends, CommandError> {
    let (local, remote) = (local.to_canonical(), to.address.to_canonical());
    if local.is_ipv4() != remote.is_ipv4() {
        return Err(CommandError::TwoFamilies);
    }
    let (transport, port) = match args.dns {
        true => (Transport::Udp, DNS),
        false => (Transport::Tcp, HTTPS),
    };
    Ok(Ends {
        transport: to.transport.unwrap_or(transport),
        local: (local, local_port.unwrap_or(LOCAL_PORT)),
        remote: (remote, to.port.unwrap_or(port)),
    })
}

fn notes_of(found: &Found) -> Vec<String> {
    let mut notes = Vec::new();
    if found.left_out > 0 {
        notes.push(format!(
            "the flow is long: {} frames from its middle were left out",
            found.left_out
        ));
    }
    if found.cut {
        notes.push("the capture has only the beginning of the frame".to_owned());
    }
    notes
}

/// Where a flow of the instance is looked at, by programs that are those which will answer.
fn views(
    probe: &mut Probe,
    programs: &[AttachedProgram],
    notes: &mut Vec<String>,
) -> Result<Views, CommandError> {
    for program in programs {
        let expected = probe.tags(program.view)?;
        if program.tags != expected {
            return Err(CommandError::OtherProgram {
                interface: program.interface.clone(),
                view: view_name(program.view),
            });
        }
    }
    if programs.is_empty() {
        notes.push("nothing is attached now: this is what would be on a LAN side".to_owned());
        return Ok(Views::of(&[View::LAN_INGRESS, View::LAN_EGRESS]));
    }
    let attached: Vec<View> = programs.iter().map(|program| program.view).collect();
    Ok(Views::of(&attached))
}
