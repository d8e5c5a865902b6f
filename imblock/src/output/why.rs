//! `imblock why`: what the programs say of a packet, and who is responsible for it.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

use imblock_common::{Direction, Transport, Verdict};
use serde::Serialize;

use super::diff::SideSource;
use super::document::Document;
use super::policy::{Reason, Shown};
use super::table::{BOLD, RED, YELLOW, printable};
use super::units::{plural, rfc3339};
use super::{Format, view_name};
use crate::kernel::AttachedProgram;
use crate::policy::Moment;
use crate::why::{Answer, Ends, Judged, cell_of, group_of, guards};

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Question<'a> {
    /// The name that is said in the flow.
    pub name: Option<&'a str>,
    /// The capture, and the number of the frame in it.
    pub frame: Option<(String, u64)>,
}

/// All that is known of the answer.
pub struct Facts<'a> {
    /// What was asked.
    pub question: Question<'a>,
    /// The flow.
    pub ends: Ends,
    /// What the programs say.
    pub answer: &'a Answer,
    /// The policy in force.
    pub shown: &'a Shown<'a>,
    /// Its generation, and when it was applied, in seconds since 1970.
    pub applied: (u32, u64),
    /// The time that was asked about; none for now.
    pub at: Option<&'a Moment>,
    /// The programs that are attached: those that answered are the same.
    pub programs: &'a [AttachedProgram],
    /// What else should be known.
    pub notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    question: Asked<'a>,
    at: Option<String>,
    passes: bool,
    outcome: Option<&'static str>,
    service: Option<&'a str>,
    evidence: Option<&'static str>,
    verdict: Option<&'static str>,
    group: &'a str,
    /// The prefix or hardware address that puts the host into the group.
    group_by: Option<String>,
    action: Option<&'static str>,
    policy_action: Option<&'static str>,
    because: Option<Reason<'a>>,
    guards: Vec<String>,
    notes: Vec<String>,
    frames: Vec<Frame<'a>>,
    policy: Policy<'a>,
    programs: Vec<Program<'a>>,
}

#[derive(Debug, Serialize)]
struct Asked<'a> {
    transport: &'static str,
    local: IpAddr,
    local_port: u16,
    remote: IpAddr,
    remote_port: u16,
    name: Option<&'a str>,
    capture: Option<&'a str>,
    frame: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Frame<'a> {
    what: &'a str,
    direction: &'static str,
    view: Option<&'static str>,
    passes: bool,
}

#[derive(Debug, Serialize)]
struct Policy<'a> {
    name: &'a str,
    hash: &'a str,
    generation: u32,
    applied_at: String,
    sources: Vec<SideSource>,
}

#[derive(Debug, Serialize)]
struct Program<'a> {
    interface: &'a str,
    view: &'static str,
    tag: String,
}

/// Writes the answer.
pub fn render(
    facts: &Facts<'_>,
    instance: &str,
    format: Format,
    to: &mut dyn Write,
) -> io::Result<()> {
    let report = Report::of(facts);
    match format {
        Format::Json => Document::new(instance, &report).write_pretty(to),
        Format::Text => report.write(to),
    }
}

impl<'a> Report<'a> {
    fn of(facts: &'a Facts<'a>) -> Self {
        let Facts {
            question,
            ends,
            answer,
            shown,
            applied: (generation, applied_at),
            at,
            programs,
            notes,
        } = facts;
        let plan = shown.plan;
        let (group, prefix) = group_of(plan, ends.local.0, answer);
        let service = answer.told.map(|(service, ..)| service);
        let cell = service.and_then(|service| cell_of(plan, group, service));
        let guarded = answer
            .told
            .is_some_and(|(.., verdict)| verdict == Verdict::Guarded);
        let side = answer.frames.last().and_then(|frame| frame.view);
        let guards = side
            .filter(|_| guarded)
            .map(|view| guards(plan, ends, view.side));
        let sources = shown.provenance.iter().flat_map(|known| &known.sources);
        Self {
            question: Asked::of(question, ends),
            at: at.map(|moment| moment.instant.to_string()),
            passes: answer.passes(),
            outcome: answer.outcome.map(imblock_common::Outcome::name),
            service: service.map(|number| {
                let mut services = plan.services.iter();
                let known = services.find(|service| service.number == number);
                known.map_or("?", |service| service.id.as_str())
            }),
            evidence: answer.told.map(|(_, evidence, _)| evidence.name()),
            verdict: answer.told.map(|(.., verdict)| verdict.name()),
            group: plan
                .groups
                .get(usize::from(group))
                .map_or("?", String::as_str),
            group_by: prefix,
            action: cell.map(|cell| cell.action().name()),
            policy_action: cell.map(|cell| cell.policy().name()),
            because: service.map(|service| shown.reason(group, service)),
            guards: guards.unwrap_or_default(),
            notes: notes.clone(),
            frames: answer.frames.iter().map(Frame::of).collect(),
            policy: Policy {
                name: &plan.name,
                hash: &shown.hash,
                generation: *generation,
                applied_at: rfc3339(*applied_at),
                sources: sources.map(SideSource::from).collect(),
            },
            programs: programs.iter().map(Program::of).collect(),
        }
    }

    fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let asked = &self.question;
        let end = |address, port| SocketAddr::new(address, port);
        let (style, verdict) = match (self.verdict, self.passes) {
            (Some(verdict), true) => (BOLD, format!("passes ({verdict})")),
            (None, true) => (BOLD, "passes".to_owned()),
            // Whoever asks why it is answered, or now and then dropped, is told here.
            (Some(verdict), false) if verdict != Verdict::Dropped.name() => {
                (RED, format!("dropped ({verdict})"))
            }
            (_, false) => (RED, "dropped".to_owned()),
        };
        writeln!(
            to,
            "{} {} -> {}: {style}{verdict}{style:#}",
            asked.transport,
            end(asked.local, asked.local_port),
            end(asked.remote, asked.remote_port),
        )?;
        if let Some(frame) = self.frames.last() {
            let (what, view) = (printable(frame.what), frame.view.unwrap_or("no program"));
            let name = asked
                .name
                .map(|name| format!(" with the name {}", printable(name)));
            let before = match self.frames.len().saturating_sub(1) as u64 {
                0 => String::new(),
                before => format!(", after {}", plural(before, "frame", "frames")),
            };
            let name = name.unwrap_or_default();
            field("judged", &format!("{what}{name}{before}, by {view}"), to)?;
        }
        if let Some(at) = &self.at {
            field("at", at, to)?;
        }
        let outcome = self.outcome.unwrap_or("not seen");
        match (self.service, self.evidence) {
            (Some(service), Some(evidence)) => {
                field(
                    "service",
                    &format!("{}, told by {evidence}", printable(service)),
                    to,
                )?;
            }
            _ => field("service", &format!("none ({outcome})"), to)?,
        }
        let group = printable(self.group);
        match &self.group_by {
            Some(prefix) => field("group", &format!("{group} ({prefix})"), to)?,
            None => field("group", &group, to)?,
        }
        if let (Some(action), Some(policy), Some(because)) =
            (self.action, self.policy_action, &self.because)
        {
            field(
                "action",
                &format!("{action}: {}", because.words(policy)),
                to,
            )?;
        }
        for guard in &self.guards {
            field("guard", guard, to)?;
        }
        let hash = self.policy.hash.get(..12).unwrap_or(self.policy.hash);
        let Policy {
            name,
            generation,
            applied_at,
            sources,
            ..
        } = &self.policy;
        let name = printable(name);
        field(
            "policy",
            &format!("{name} ({hash}), generation {generation}, since {applied_at}"),
            to,
        )?;
        for source in sources {
            source.write(to)?;
        }
        for note in &self.notes {
            writeln!(to, "{YELLOW}note{YELLOW:#}: {}", printable(note))?;
        }
        Ok(())
    }
}

impl<'a> Asked<'a> {
    fn of(question: &'a Question<'a>, ends: &Ends) -> Self {
        Self {
            transport: match ends.transport {
                Transport::Tcp => "tcp",
                Transport::Udp => "udp",
            },
            local: ends.local.0,
            local_port: ends.local.1,
            remote: ends.remote.0,
            remote_port: ends.remote.1,
            name: question.name,
            capture: question.frame.as_ref().map(|(path, _)| path.as_str()),
            frame: question.frame.as_ref().map(|(_, number)| *number),
        }
    }
}

impl<'a> Frame<'a> {
    fn of(judged: &'a Judged) -> Self {
        Self {
            what: &judged.what,
            direction: match judged.direction {
                Direction::Sent => "sent",
                Direction::Received => "received",
            },
            view: judged.view.map(view_name),
            passes: judged.passes,
        }
    }
}

impl<'a> Program<'a> {
    fn of(program: &'a AttachedProgram) -> Self {
        let [attached, ..] = program.tags;
        Self {
            interface: &program.interface,
            view: view_name(program.view),
            tag: format!("{attached:016x}"),
        }
    }
}

fn field(name: &str, value: &str, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "  {name:<8} {value}")
}
