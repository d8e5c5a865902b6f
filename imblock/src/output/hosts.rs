//! `imblock hosts`: who used what, how much, how long, how recently.

use std::cmp::Reverse;
use std::io::{self, Write};
use std::net::IpAddr;

use serde::Serialize;

use super::document::{Document, Usage};
use super::table::{Cell, Column, RED, Table, printable};
use super::{Format, ServiceNames, units};
use crate::snapshot::Snapshot;
use crate::status::Status;

/// Which (host, service) pairs to show.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostQuery {
    /// Those of one service, by number.
    pub service: Option<u16>,
    /// Those with the most bytes, this many.
    pub top: Option<usize>,
}

/// What hosts did.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Hosts {
    /// The pairs that were asked for. With [`HostQuery::top`], and where no clock tells what is
    /// recent, the most bytes come first; else the most recent.
    pub hosts: Vec<HostEntry>,
    /// What hosts did that found no room in the table, by service.
    pub overflow: Vec<OverflowEntry>,
    /// How many pairs there are, those included that [`HostQuery::top`] left out.
    #[serde(skip)]
    pub pairs: usize,
}

/// What one host did with one service.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct HostEntry {
    /// The local host.
    pub host: IpAddr,
    /// Service id.
    pub service: String,
    /// How much, how long, how recently.
    #[serde(flatten)]
    pub usage: Usage,
}

/// What hosts without a record of their own did with one service.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct OverflowEntry {
    /// Service id.
    pub service: String,
    /// How much, how long, how recently.
    #[serde(flatten)]
    pub usage: Usage,
}

/// Writes what hosts did.
pub fn render(
    status: &Status,
    snapshot: &Snapshot,
    query: HostQuery,
    format: Format,
    to: &mut dyn Write,
) -> io::Result<()> {
    let names = ServiceNames::of_status(status);
    let hosts = Hosts::collect(&names, snapshot, query);
    match format {
        Format::Json => Document::new(&status.instance, &hosts).write_pretty(to),
        Format::Text if hosts.is_empty() => match query.service {
            Some(service) => {
                let service = printable(&names.id(service));
                writeln!(to, "No host has used {service} yet.")
            }
            None => writeln!(to, "No host has used any known service yet."),
        },
        Format::Text => {
            writeln!(
                to,
                "imblock {}, policy {}: {}{} of host and service, {}",
                printable(&status.instance),
                printable(&status.policy.name),
                if hosts.hosts.len() < hosts.pairs {
                    format!("{} of ", hosts.hosts.len())
                } else {
                    String::new()
                },
                units::plural(hosts.pairs, "pair", "pairs"),
                if by_bytes(snapshot, query) {
                    "most bytes first"
                } else {
                    "most recent first"
                },
            )?;
            hosts.write_table(to)
        }
    }
}

/// What is recent means nothing without a clock, and the top is of bytes.
fn by_bytes(snapshot: &Snapshot, query: HostQuery) -> bool {
    query.top.is_some() || snapshot.taken_at == 0
}

impl Hosts {
    /// Picks and orders what was asked for.
    pub fn collect(names: &ServiceNames<'_>, snapshot: &Snapshot, query: HostQuery) -> Self {
        let wanted = |service: u16| query.service.is_none_or(|only| only == service);
        let mut hosts: Vec<HostEntry> = snapshot
            .hosts
            .iter()
            .filter(|host| wanted(host.service))
            .map(|host| HostEntry {
                host: host.host,
                service: names.id(host.service).into_owned(),
                usage: Usage::at(&host.record, snapshot.taken_at),
            })
            .collect();
        let by_bytes = by_bytes(snapshot, query);
        // Host and service at the end, so that the order of equals never depends on a hash table.
        hosts.sort_by_cached_key(|entry| {
            let idle = entry.usage.idle_seconds.unwrap_or(u64::MAX);
            let bytes = Reverse(entry.usage.total().bytes);
            let first = if by_bytes { 0 } else { idle };
            (first, bytes, entry.host, entry.service.clone())
        });
        let pairs = hosts.len();
        if let Some(top) = query.top {
            hosts.truncate(top);
        }
        let mut overflow: Vec<OverflowEntry> = snapshot
            .services
            .iter()
            .filter(|service| wanted(service.number))
            .map(|service| OverflowEntry {
                service: names.id(service.number).into_owned(),
                usage: Usage::at(&service.overflow, snapshot.taken_at),
            })
            .filter(|entry| entry.usage.total().packets > 0)
            .collect();
        overflow.sort_by(|a, b| a.service.cmp(&b.service));
        Self {
            hosts,
            overflow,
            pairs,
        }
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.overflow.is_empty()
    }

    /// Writes the table alone.
    pub fn write_table(&self, to: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new(vec![
            Column::text("HOST"),
            Column::text("SERVICE"),
            Column::number("LAST SEEN"),
            Column::number("ACTIVE"),
            Column::number_in("PASSED, SENT", "packets"),
            Column::number_in("PASSED, SENT", "bytes"),
            Column::number_in("PASSED, RECEIVED", "packets"),
            Column::number_in("PASSED, RECEIVED", "bytes"),
            Column::number_in("REFUSED", "packets"),
            Column::number_in("REFUSED", "bytes"),
        ]);
        for HostEntry {
            host,
            service,
            usage,
        } in &self.hosts
        {
            table.row(cells(Cell::text(host.to_string()), service, usage));
        }
        for OverflowEntry { service, usage } in &self.overflow {
            table.row(cells(Cell::text("(no room)"), service, usage));
        }
        table.write(to)?;
        if !self.overflow.is_empty() {
            writeln!(to, "{NO_ROOM}")?;
        }
        Ok(())
    }
}

/// What the rows without a host mean, and what to do about them.
pub(super) const NO_ROOM: &str = "\
(no room): hosts that came when the table was full, and those whose place was given to another
after a day of silence, together. To give each its own row, raise
`limits: hosts` in the policy, then `imblock down` and start again (which resets the counters).";

fn cells(host: Cell, service: &str, usage: &Usage) -> Vec<Cell> {
    let refused = usage.refused.sum();
    vec![
        host,
        Cell::text(service),
        match usage.idle_seconds {
            Some(seconds) => Cell::text(units::ago(seconds)),
            None => Cell::none(),
        },
        Cell::text(units::duration(u64::from(usage.active_seconds))),
        Cell::count(usage.passed.sent.packets),
        Cell::bytes(usage.passed.sent.bytes),
        Cell::count(usage.passed.received.packets),
        Cell::bytes(usage.passed.received.bytes),
        Cell::count(refused.packets).style_unless_none(RED),
        Cell::bytes(refused.bytes).style_unless_none(RED),
    ]
}
