//! `imblock policy diff`: what another policy would change, in its tables and over captures.

use std::collections::BTreeMap;
use std::io::{self, Write};

use imblock_common::Action;
use serde::Serialize;

use super::Format;
use super::document::Document;
use super::table::{BOLD, Cell, Column, DIM, RED, Table, YELLOW, printable};
use super::units::{plural, rfc3339};
use crate::policy::Plan;
use crate::policy::diff::{CellChange, EntryChange, PlanDiff, TableDiff};
use crate::provenance::{Since, SourceFile};
use crate::replay::compare::{Comparison, Fate, FlowChange};

/// Entries of a list that are shown unless all are asked for.
pub const FIRST: usize = 10;

/// One of the two policies.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// `live`, or the file as it was given.
    pub from: String,
    /// The policy's name.
    pub name: String,
    /// SHA-256 of its tables, in hexadecimal.
    pub hash: String,
    /// The texts it was compiled from, and what became of them; empty where that is not known.
    pub sources: Vec<SideSource>,
}

/// A text that one of the policies was compiled from.
#[derive(Clone, Debug, Serialize)]
pub struct SideSource {
    /// As it was named then.
    name: String,
    /// Whether it still says the same.
    since: Since,
}

impl From<&SourceFile> for SideSource {
    fn from(file: &SourceFile) -> Self {
        Self {
            name: file.source.name.clone(),
            since: file.since(),
        }
    }
}

impl SideSource {
    /// Says what became of it, where it is not what it was.
    pub(super) fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let became = match self.since {
            Since::Unchanged => return Ok(()),
            Since::Changed => "has changed",
            Since::Gone => "is gone",
        };
        writeln!(
            to,
            "     {} {became} since it was applied: its lines are those of then",
            printable(&self.name)
        )
    }
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    same: bool,
    old: &'a Side,
    new: &'a Side,
    cells: &'a [CellChange],
    tables: &'a [TableDiff],
    replay: Option<Replayed<'a>>,
}

/// What captures tell of it.
#[derive(Debug, Serialize)]
struct Replayed<'a> {
    captures: u64,
    failed: u64,
    frames: u64,
    unknown_link_types: &'a BTreeMap<u16, u64>,
    packets_without_flow: u64,
    flows: u64,
    dropped_before: u64,
    dropped_after: u64,
    newly_dropped: Vec<FlowEntry<'a>>,
    newly_passing: Vec<FlowEntry<'a>>,
    hosts: Vec<HostEntry>,
}

#[derive(Debug, Serialize)]
struct HostEntry {
    host: std::net::IpAddr,
    newly_dropped: u64,
    newly_passing: u64,
}

#[derive(Debug, Serialize)]
struct FlowEntry<'a> {
    capture: &'a str,
    transport: &'static str,
    client: std::net::IpAddr,
    client_port: u16,
    server: std::net::IpAddr,
    server_port: u16,
    packets: u64,
    bytes: u64,
    first_seen: String,
    old: Option<FateEntry<'a>>,
    new: Option<FateEntry<'a>>,
    #[serde(skip)]
    ends: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct FateEntry<'a> {
    service: &'a str,
    evidence: &'static str,
    verdict: &'static str,
}

/// Writes what is different; `plan` knows the services of both. Lists are cut for people unless
/// `all` are wanted.
pub fn render(
    (old, new): (&Side, &Side),
    diff: &PlanDiff,
    replayed: Option<(&Comparison, &Plan)>,
    all: bool,
    (instance, format): (&str, Format),
    to: &mut dyn Write,
) -> io::Result<()> {
    let report = Report {
        same: diff.is_empty(),
        old,
        new,
        cells: &diff.cells,
        tables: &diff.tables,
        replay: replayed.map(|(comparison, plan)| Replayed::of(comparison, plan)),
    };
    match format {
        Format::Json => Document::new(instance, &report).write_pretty(to),
        Format::Text => report.write(if all { usize::MAX } else { FIRST }, to),
    }
}

/// Lists flows that another policy would drop, at most so many.
pub fn newly_dropped(
    comparison: &Comparison,
    plan: &Plan,
    most: usize,
    to: &mut dyn Write,
) -> io::Result<()> {
    let replayed = Replayed::of(comparison, plan);
    write_flows(&replayed.newly_dropped, most, to)
}

impl<'a> Replayed<'a> {
    fn of(comparison: &'a Comparison, plan: &'a Plan) -> Self {
        let entries = |changes: &'a [FlowChange]| {
            let entry = |change| FlowEntry::of(change, plan);
            changes.iter().map(entry).collect()
        };
        let host = |(host, change): (_, crate::replay::compare::HostChange)| HostEntry {
            host,
            newly_dropped: change.newly_dropped,
            newly_passing: change.newly_passing,
        };
        Self {
            captures: comparison.captures,
            failed: comparison.failed,
            frames: comparison.frames,
            unknown_link_types: &comparison.unknown_link_types,
            packets_without_flow: comparison.packets_without_flow,
            flows: comparison.flows,
            dropped_before: comparison.dropped_before,
            dropped_after: comparison.dropped_after,
            newly_dropped: entries(&comparison.newly_dropped),
            newly_passing: entries(&comparison.newly_passing),
            hosts: comparison.hosts().into_iter().map(host).collect(),
        }
    }
}

impl<'a> FlowEntry<'a> {
    fn of(change: &'a FlowChange, plan: &'a Plan) -> Self {
        let flow = &change.flow;
        let fate = |fate: Fate| FateEntry {
            service: plan
                .services
                .iter()
                .find(|service| service.number == fate.service)
                .map_or("?", |service| &service.id),
            evidence: fate.evidence.name(),
            verdict: fate.verdict.name(),
        };
        Self {
            capture: &change.capture,
            transport: match flow.transport {
                imblock_common::Transport::Tcp => "tcp",
                imblock_common::Transport::Udp => "udp",
            },
            client: flow.client.0.into(),
            client_port: flow.client.1,
            server: flow.server.0.into(),
            server_port: flow.server.1,
            packets: flow.traffic.packets,
            bytes: flow.traffic.bytes,
            first_seen: rfc3339(flow.first_seen / 1_000_000_000),
            old: change.old.map(fate),
            new: change.new.map(fate),
            ends: change.ends(),
        }
    }
}

impl Report<'_> {
    fn write(&self, most: usize, to: &mut dyn Write) -> io::Result<()> {
        for (side, word) in [(self.old, "old"), (self.new, "new")] {
            let hash = side.hash.get(..12).unwrap_or(&side.hash);
            let (from, name) = (printable(&side.from), printable(&side.name));
            writeln!(to, "{word}: {from}: policy {name} ({hash})")?;
            for source in &side.sources {
                source.write(to)?;
            }
        }
        if self.same {
            writeln!(to, "no difference")?;
        }
        if !self.cells.is_empty() {
            write_cells(self.cells, most, to)?;
        }
        for table in self.tables {
            write_entries(table, most, to)?;
        }
        if let Some(replay) = &self.replay {
            replay.write(most, to)?;
        }
        Ok(())
    }
}

fn write_cells(cells: &[CellChange], most: usize, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to)?;
    let changes = plural(cells.len() as u64, "change", "changes");
    writeln!(to, "{BOLD}rules{BOLD:#}: {changes}")?;
    let mut table = Table::new(
        ["SERVICE", "GROUP", "OLD", "NEW", "SAYS", "SAID"]
            .map(Column::text)
            .to_vec(),
    );
    let action = |action: Option<Action>| match action {
        None => Cell::none(),
        Some(action) if action.refuses() => Cell::text(action.name()).style(RED),
        Some(action) => Cell::text(action.name()),
    };
    let from = |from: &Option<String>| from.as_ref().map_or_else(Cell::none, Cell::text);
    for cell in cells.iter().take(most) {
        table.row(vec![
            Cell::text(&cell.service),
            Cell::text(&cell.group),
            action(cell.old),
            action(cell.new),
            from(&cell.new_from),
            from(&cell.old_from),
        ]);
    }
    table.write(to)?;
    rest(cells.len(), most, to)
}

fn write_entries(table: &TableDiff, most: usize, to: &mut dyn Write) -> io::Result<()> {
    let TableDiff {
        table: name,
        added,
        removed,
        changed,
        entries,
    } = table;
    writeln!(to)?;
    writeln!(
        to,
        "{BOLD}{name}{BOLD:#}: {added} added, {removed} removed, {changed} changed"
    )?;
    for EntryChange { entry, old, new } in entries.iter().take(most) {
        let entry = printable(entry);
        match (old, new) {
            (None, Some(new)) => writeln!(to, "  + {entry}: {}", printable(new))?,
            (Some(old), None) => writeln!(to, "  - {entry}: {}", printable(old))?,
            (old, new) => {
                let word = |said: &Option<String>| printable(said.as_deref().unwrap_or("-"));
                writeln!(to, "  ~ {entry}: {} -> {}", word(old), word(new))?;
            }
        }
    }
    rest(entries.len(), most, to)
}

impl Replayed<'_> {
    fn write(&self, most: usize, to: &mut dyn Write) -> io::Result<()> {
        writeln!(to)?;
        writeln!(
            to,
            "{BOLD}replay{BOLD:#}: {}, {}, {}: {} newly dropped, {} newly passing",
            plural(self.captures, "capture", "captures"),
            plural(self.frames, "frame", "frames"),
            plural(self.flows, "flow", "flows"),
            self.newly_dropped.len(),
            self.newly_passing.len(),
        )?;
        writeln!(
            to,
            "        flows that lose packets: {} before, {} after",
            self.dropped_before, self.dropped_after
        )?;
        if self.failed > 0 {
            let failed = plural(self.failed, "capture", "captures");
            writeln!(
                to,
                "        {YELLOW}{failed} could not be read to the end{YELLOW:#}"
            )?;
        }
        if !self.hosts.is_empty() {
            writeln!(to)?;
            let mut table = Table::new(vec![
                Column::text("HOST"),
                Column::number("NEWLY DROPPED"),
                Column::number("NEWLY PASSING"),
            ]);
            for host in self.hosts.iter().take(most) {
                table.row(vec![
                    Cell::text(host.host.to_string()),
                    Cell::count(host.newly_dropped),
                    Cell::count(host.newly_passing),
                ]);
            }
            table.write(to)?;
            rest(self.hosts.len(), most, to)?;
        }
        for (flows, title) in [
            (&self.newly_dropped, "newly dropped"),
            (&self.newly_passing, "newly passing"),
        ] {
            if !flows.is_empty() {
                writeln!(to)?;
                writeln!(to, "{BOLD}{title}{BOLD:#}")?;
                write_flows(flows, most, to)?;
            }
        }
        Ok(())
    }
}

fn write_flows(flows: &[FlowEntry<'_>], most: usize, to: &mut dyn Write) -> io::Result<()> {
    let titles = ["FLOW", "OLD", "NEW", "FIRST SEEN", "CAPTURE"].map(Column::text);
    let mut columns = titles.to_vec();
    columns.insert(1, Column::number("PACKETS"));
    let mut table = Table::new(columns);
    let fate = |fate: Option<FateEntry<'_>>| {
        fate.map_or_else(Cell::none, |fate| {
            Cell::text(format!(
                "{} by {}, {}",
                fate.service, fate.evidence, fate.verdict
            ))
        })
    };
    for flow in flows.iter().take(most) {
        table.row(vec![
            Cell::text(&flow.ends),
            Cell::count(flow.packets),
            fate(flow.old),
            fate(flow.new),
            Cell::text(&flow.first_seen),
            Cell::text(flow.capture),
        ]);
    }
    table.write(to)?;
    rest(flows.len(), most, to)
}

/// Says how many were left out.
fn rest(entries: usize, most: usize, to: &mut dyn Write) -> io::Result<()> {
    match entries.saturating_sub(most) {
        0 => Ok(()),
        more => writeln!(to, "{DIM}  and {more} more: --all{DIM:#}"),
    }
}
