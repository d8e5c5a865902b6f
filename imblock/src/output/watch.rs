//! `imblock hosts --watch`: what changed between two snapshots.

use std::cmp::Reverse;
use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::document::{BothWays, Count, Document};
use super::growth::{self, Growth};
use super::hosts::{HostQuery, NO_ROOM};
use super::table::{BOLD, Cell, Column, RED, Table, printable};
use super::{Format, ServiceNames};
use crate::snapshot::Snapshot;
use crate::status::Status;

/// What changed in one interval.
#[derive(Debug)]
pub struct Changes {
    /// When it ended.
    pub at: Timestamp,
    /// How long it was, by the kernel's clock; zero where there is none.
    pub interval: Duration,
    /// Each (host, service) that had traffic; the most bytes first.
    pub rows: Vec<Change>,
}

/// What one host did with one service in an interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The local host; none for those that found no room in the table.
    pub host: Option<IpAddr>,
    /// Service id.
    pub service: String,
    /// What went on.
    pub passed: BothWays,
    /// What did not.
    pub refused: BothWays,
}

/// A line of `hosts --watch --json`.
#[derive(Debug, Serialize)]
struct Line<'a> {
    /// End of the interval, RFC 3339.
    at: String,
    interval_seconds: f64,
    #[serde(flatten)]
    change: &'a Change,
}

impl Changes {
    /// What changed from `previous` to `current`, which ended at `at`.
    pub fn between(
        names: &ServiceNames<'_>,
        previous: &Snapshot,
        current: &Snapshot,
        query: HostQuery,
        at: Timestamp,
    ) -> Self {
        let wanted = |growth: &Growth| {
            let service = query.service.is_none_or(|only| only == growth.service);
            service && growth.total().packets > 0
        };
        let growths = growth::between(previous, current)
            .into_iter()
            .filter(wanted);
        let mut rows: Vec<Change> = growths
            .map(|growth| Change {
                host: growth.host,
                service: names.id(growth.service).into_owned(),
                passed: growth.passed,
                refused: growth.refused,
            })
            .collect();
        rows.sort_by_cached_key(|row| (Reverse(row.total().bytes), row.host, row.service.clone()));
        if let Some(top) = query.top {
            rows.truncate(top);
        }
        Self {
            at,
            interval: Duration::from_nanos(current.taken_at.saturating_sub(previous.taken_at)),
            rows,
        }
    }

    /// Writes the interval: as text a block with a heading and rates, as JSON a line a change.
    pub fn render(&self, status: &Status, format: Format, to: &mut dyn Write) -> io::Result<()> {
        match format {
            Format::Json => self.write_lines(&status.instance, to),
            Format::Text => self.write_block(&status.instance, to),
        }
    }

    fn write_lines(&self, instance: &str, to: &mut dyn Write) -> io::Result<()> {
        for change in &self.rows {
            let line = Line {
                at: format!("{:.3}", self.at),
                interval_seconds: self.interval.as_secs_f64(),
                change,
            };
            Document::new(instance, &line).write_line(to)?;
        }
        // Whoever reads the pipe waits for this interval now, not for a full buffer.
        to.flush()
    }

    fn write_block(&self, instance: &str, to: &mut dyn Write) -> io::Result<()> {
        let seconds = self.interval.as_secs_f64();
        writeln!(
            to,
            "{BOLD}imblock {}, {:.0}, the last {seconds:.1} s{BOLD:#}",
            printable(instance),
            self.at,
        )?;
        if self.rows.is_empty() {
            writeln!(to, "No traffic of any known service.\n")?;
            return to.flush();
        }
        let mut table = Table::new(vec![
            Column::text("HOST"),
            Column::text("SERVICE"),
            Column::number_in("PASSED", "packets/s"),
            Column::number_in("PASSED", "bytes/s"),
            Column::number_in("REFUSED", "packets/s"),
            Column::number_in("REFUSED", "bytes/s"),
        ]);
        for change in &self.rows {
            let host = change.host.map(|host| host.to_string());
            let (passed, refused) = (change.passed.sum(), change.refused.sum());
            table.row(vec![
                Cell::text(host.as_deref().unwrap_or("(no room)")),
                Cell::text(&change.service),
                self.packet_rate(passed),
                self.byte_rate(passed),
                self.packet_rate(refused).style_unless_none(RED),
                self.byte_rate(refused).style_unless_none(RED),
            ]);
        }
        table.write(to)?;
        if self.rows.iter().any(|change| change.host.is_none()) {
            writeln!(to, "{NO_ROOM}")?;
        }
        writeln!(to)?;
        to.flush()
    }

    /// With a decimal, so that one packet in a long interval is not nothing.
    fn packet_rate(&self, count: Count) -> Cell {
        match self.tenths_per_second(count.packets) {
            Some(tenths) if count.packets > 0 => {
                Cell::text(format!("{}.{}", tenths / 10, tenths % 10))
            }
            _ => Cell::none(),
        }
    }

    fn byte_rate(&self, count: Count) -> Cell {
        match self.tenths_per_second(count.bytes) {
            Some(tenths) => Cell::bytes(tenths / 10),
            None => Cell::none(),
        }
    }

    /// A rate in tenths, rounded; none for an interval without length.
    fn tenths_per_second(&self, amount: u64) -> Option<u64> {
        let nanos = self.interval.as_nanos();
        let scaled = u128::from(amount) * 10_000_000_000;
        let tenths = scaled.checked_add(nanos / 2)?.checked_div(nanos)?;
        Some(u64::try_from(tenths).unwrap_or(u64::MAX))
    }
}

impl Change {
    fn total(&self) -> Count {
        self.passed.sum().plus(self.refused.sum())
    }
}
