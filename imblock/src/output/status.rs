//! `imblock status`: whether it runs, what it enforces, where, and what it can't see.

mod interfaces;
mod room;

use std::collections::BTreeMap;
use std::io::{self, Write};

use imblock_common::reject::{Fate, REPLIES_PER_SECOND};
use imblock_common::{Outcome, View};
use serde::Serialize;

use self::interfaces::Interface;
use super::document::Document;
use super::table::{BOLD, Cell, Column, RED, Table, YELLOW, printable};
use super::units::{plural, rfc3339};
use super::{Format, view_name};
use crate::policy::plan::Limits;
use crate::snapshot::Snapshot;
use crate::status::Status;

/// The state of an instance.
#[derive(Debug, Serialize)]
struct Report<'a> {
    controller: Option<u32>,
    policy: Policy<'a>,
    schedules: Option<Schedules>,
    interfaces: Vec<Interface<'a>>,
    overrides: Vec<Override<'a>>,
    limits: Limits,
    hosts_in_use: u32,
    inside_in_use: u32,
    quic: Quic,
    rejections: BTreeMap<&'static str, u64>,
    frames: Vec<Frames>,
    /// Packets of hosts that found no room; `hosts` has them by service.
    #[serde(skip)]
    overflow: u64,
}

#[derive(Debug, Serialize)]
struct Policy<'a> {
    name: &'a str,
    hash: &'a str,
    generation: u32,
    /// RFC 3339.
    applied_at: String,
    unconfirmed: Option<Unconfirmed>,
}

/// The policy goes unless it is confirmed.
#[derive(Debug, Serialize)]
struct Unconfirmed {
    seconds_left: u64,
    /// The generation that comes back.
    fallback: u32,
}

/// Times are RFC 3339.
#[derive(Debug, Serialize)]
struct Schedules {
    kept: bool,
    stale_since: Option<String>,
    next_change: Option<String>,
}

#[derive(Debug, Serialize)]
struct Override<'a> {
    service: &'a str,
    group: Option<&'a str>,
    action: &'static str,
    by: &'a str,
    /// RFC 3339.
    at: String,
    /// RFC 3339.
    until: Option<String>,
}

#[derive(Debug, Serialize)]
struct Frames {
    view: &'static str,
    outcome: &'static str,
    packets: u64,
}

/// Datagrams with QUIC handshakes.
#[derive(Debug, Serialize)]
struct Quic {
    handed_over: u64,
    lost: u64,
}

/// Writes the state of an instance.
pub fn render(
    status: &Status,
    snapshot: &Snapshot,
    format: Format,
    to: &mut dyn Write,
) -> io::Result<()> {
    let report = Report::new(status, snapshot);
    match format {
        Format::Json => Document::new(&status.instance, &report).write_pretty(to),
        Format::Text => {
            report.write_facts(&status.instance, to)?;
            writeln!(to)?;
            interfaces::write(&report.interfaces, to)?;
            writeln!(to)?;
            report.write_overrides(to)?;
            writeln!(to)?;
            report.write_frames(to)
        }
    }
}

impl<'a> Report<'a> {
    fn new(status: &'a Status, snapshot: &Snapshot) -> Self {
        let overflow = snapshot.services.iter().map(|service| {
            let usage = super::document::Usage::at(&service.overflow, snapshot.taken_at);
            usage.total().packets
        });
        let mut frames: Vec<_> = snapshot.frames.iter().collect();
        frames.sort_by_key(|frames| frames.outcome.slot(frames.view));
        Self {
            controller: status.controller,
            policy: Policy {
                name: &status.policy.name,
                hash: &status.policy.hash,
                generation: status.policy.generation,
                applied_at: rfc3339(status.policy.applied_at),
                unconfirmed: status.policy.unconfirmed.map(|waiting| Unconfirmed {
                    seconds_left: waiting.left.as_secs(),
                    fallback: waiting.fallback,
                }),
            },
            schedules: status.schedules.map(|schedules| Schedules {
                kept: schedules.kept,
                stale_since: schedules.stale_since.map(rfc3339),
                next_change: schedules.next_change.map(rfc3339),
            }),
            interfaces: status.interfaces.iter().map(Interface::new).collect(),
            overrides: status
                .overrides
                .iter()
                .map(|by_hand| Override {
                    service: &by_hand.service,
                    group: by_hand.group.as_deref(),
                    action: by_hand.action.name(),
                    by: &by_hand.by,
                    at: rfc3339(by_hand.at),
                    until: by_hand.until.map(rfc3339),
                })
                .collect(),
            limits: status.limits,
            hosts_in_use: status.in_use.hosts,
            inside_in_use: status.in_use.inside,
            quic: Quic {
                handed_over: snapshot.initials.handed_over,
                lost: snapshot.initials.lost,
            },
            rejections: snapshot
                .rejections
                .by_fate()
                .map(|(fate, packets)| (fate.name(), packets))
                .collect(),
            frames: frames
                .into_iter()
                .map(|frames| Frames {
                    view: view_name(frames.view),
                    outcome: frames.outcome.name(),
                    packets: frames.packets,
                })
                .collect(),
            overflow: overflow.fold(0, u64::saturating_add),
        }
    }

    fn write_facts(&self, instance: &str, to: &mut dyn Write) -> io::Result<()> {
        writeln!(to, "{BOLD}imblock {}{BOLD:#}", printable(instance))?;
        let fact = |to: &mut dyn Write, name: &str, value: &str| writeln!(to, "{name:<12}{value}");
        let policy = &self.policy;
        let (name, since) = (printable(policy.name), &policy.applied_at);
        let line = format!("{name}, generation {}, since {since}", policy.generation);
        fact(to, "policy", &line)?;
        if let Some(waiting) = &policy.unconfirmed {
            let line = format!(
                "{YELLOW}not confirmed{YELLOW:#}: generation {} comes back in {} unless `imblock policy \
                 confirm` comes first",
                waiting.fallback,
                crate::time::words(waiting.seconds_left)
            );
            fact(to, "", &line)?;
        }
        fact(to, "hash", &printable(policy.hash))?;
        let controller = match self.controller {
            Some(pid) => format!("process {pid}"),
            None => "none in the foreground; the kernel enforces on its own".to_owned(),
        };
        fact(to, "controller", &controller)?;
        if let Some(schedules) = &self.schedules {
            fact(to, "schedules", &schedules.words())?;
        }
        let room = room::lines(&self.limits, self.hosts_in_use, self.inside_in_use);
        for (name, line) in ["hosts", ""].into_iter().zip(&room) {
            fact(to, name, line)?;
        }
        if self.quic.lost > 0 {
            let datagrams = plural(self.quic.lost, "datagram", "datagrams");
            let why = match self.controller {
                Some(_) => "it was not there, or they came faster than it reads",
                None => "only `imblock run` reads the names in QUIC",
            };
            let line = format!(
                "{YELLOW}{datagrams} of handshakes not read{YELLOW:#} by the controller: {why}"
            );
            fact(to, "quic", &line)?;
        }
        self.write_rejections(fact, to)?;
        if self.overflow > 0 {
            let packets = plural(self.overflow, "packet", "packets");
            let line = format!(
                "{RED}{packets} of no single host{RED:#}: the table of hosts is full; raise `limits: hosts` in the policy"
            );
            fact(to, "overflow", &line)?;
        }
        Ok(())
    }

    fn write_rejections(
        &self,
        fact: impl Fn(&mut dyn Write, &str, &str) -> io::Result<()>,
        to: &mut dyn Write,
    ) -> io::Result<()> {
        let of = |fate: Fate| self.rejections.get(fate.name()).copied().unwrap_or(0);
        let (limited, silent) = (of(Fate::Limited), of(Fate::Silent));
        let answered = self.rejections.values().sum::<u64>() - limited - silent;
        if answered + limited + silent == 0 {
            return Ok(());
        }
        let packets = plural(answered, "packet", "packets");
        let mut line = format!("{packets} answered, {silent} dropped in silence");
        if limited > 0 {
            line += &format!(
                "; {YELLOW}{limited} more in silence{YELLOW:#}: over {REPLIES_PER_SECOND} answers a \
                 second and CPU"
            );
        }
        fact(to, "rejected", &line)
    }

    fn write_overrides(&self, to: &mut dyn Write) -> io::Result<()> {
        if self.overrides.is_empty() {
            return writeln!(
                to,
                "Nothing is set by hand: the policy holds for everything."
            );
        }
        let mut table = Table::new(vec![
            Column::text("SET BY HAND"),
            Column::text("GROUP"),
            Column::text("ACTION"),
            Column::text("BY"),
            Column::text("SINCE"),
            Column::text("UNTIL"),
        ]);
        for by_hand in &self.overrides {
            table.row(vec![
                Cell::text(by_hand.service),
                Cell::text(by_hand.group.unwrap_or("(all)")),
                Cell::text(by_hand.action).style(YELLOW),
                Cell::text(by_hand.by),
                Cell::text(&by_hand.at),
                Cell::text(by_hand.until.as_deref().unwrap_or("reset")),
            ]);
        }
        table.write(to)
    }

    /// Outcomes down, views across: only those that occurred.
    fn write_frames(&self, to: &mut dyn Write) -> io::Result<()> {
        if self.frames.is_empty() {
            return writeln!(to, "No packet has been seen yet.");
        }
        let views: Vec<&str> = View::ALL
            .iter()
            .map(|view| view_name(*view))
            .filter(|view| self.frames.iter().any(|frames| frames.view == *view))
            .collect();
        let mut columns = vec![Column::text("PACKETS")];
        columns.extend(views.iter().map(|view| Column::number(*view)));
        let mut table = Table::new(columns);
        for outcome in Outcome::ALL.map(Outcome::name) {
            let of_outcome = || self.frames.iter().filter(|f| f.outcome == outcome);
            if of_outcome().next().is_none() {
                continue;
            }
            let mut cells = vec![Cell::text(outcome)];
            cells.extend(views.iter().map(|view| {
                let packets = of_outcome().filter(|f| f.view == *view).map(|f| f.packets);
                Cell::count(packets.fold(0, u64::saturating_add))
            }));
            table.row(cells);
        }
        table.write(to)
    }
}

impl Schedules {
    fn words(&self) -> String {
        let next = self.next_change.as_deref();
        let next = next.map_or("and never change again".to_owned(), |next| {
            format!("and change next at {next}")
        });
        match (&self.stale_since, self.kept) {
            (None, true) => format!("kept, {next}"),
            (None, false) => format!(
                "{YELLOW}frozen{YELLOW:#}: no `imblock run` keeps them; they still say what is done, {next}"
            ),
            (Some(since), _) => format!(
                "{RED}frozen{RED:#}: what is done is not what they say since {since}; `imblock run` keeps them"
            ),
        }
    }
}
