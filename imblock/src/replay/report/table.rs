//! The report for people: aligned columns, the same in a terminal and a pipe.

use std::io::{self, Write};

use indicatif::HumanBytes;

use super::lines::{Document, FlowLine, HostLine, ServiceLine};
use crate::output::table::printable;

/// How many hosts are shown; JSON has them all.
const HOSTS_SHOWN: usize = 20;

pub(super) fn write(out: &mut dyn Write, document: &Document<'_>) -> io::Result<()> {
    services(out, &document.services)?;
    hosts(out, document)?;
    if let Some(flows) = &document.flows {
        self::flows(out, flows)?;
    }
    outcomes(out, document)?;
    closing(out, document)
}

fn services(out: &mut dyn Write, lines: &[ServiceLine<'_>]) -> io::Result<()> {
    if lines.is_empty() {
        return writeln!(out, "No service was identified.\n");
    }
    let mut table = Table::new([
        Column::left("SERVICE"),
        Column::left("EVIDENCE"),
        Column::left("VERDICT"),
        Column::right("PACKETS"),
        Column::right("BYTES"),
    ]);
    for line in lines {
        table.row([
            line.id.to_owned(),
            line.evidence.to_owned(),
            line.verdict.to_owned(),
            line.packets.to_string(),
            line.bytes.to_string(),
        ]);
    }
    table.write(out)
}

fn hosts(out: &mut dyn Write, document: &Document<'_>) -> io::Result<()> {
    if document.hosts.is_empty() && document.overflow.is_empty() {
        return Ok(());
    }
    let mut table = Table::new([
        Column::left("HOST"),
        Column::left("SERVICE"),
        Column::right("PASSED"),
        Column::right("BYTES"),
        Column::right("REFUSED"),
        Column::right("BYTES"),
        Column::right("SECONDS"),
    ]);
    let hosts = document.hosts.iter().take(HOSTS_SHOWN);
    let shown = hosts.map(|HostLine { host, usage }| (host.to_string(), usage));
    let overflow = document.overflow.iter();
    let rest = overflow.map(|usage| ("(other hosts)".to_owned(), usage));
    for (host, usage) in shown.chain(rest) {
        table.row([
            host,
            usage.service.to_owned(),
            usage.passed.packets().to_string(),
            usage.passed.bytes().to_string(),
            usage.refused.packets().to_string(),
            usage.refused.bytes().to_string(),
            usage.active_seconds.to_string(),
        ]);
    }
    table.write(out)?;
    match document.hosts.len().saturating_sub(HOSTS_SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "… and {more} more; --format json has them all\n"),
    }
}

fn flows(out: &mut dyn Write, lines: &[FlowLine<'_>]) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut table = Table::new([
        Column::left("CAPTURE"),
        Column::left("FIRST SEEN"),
        Column::left("CLIENT"),
        Column::left("SERVER"),
        Column::left("SERVICE"),
        Column::left("CATEGORY"),
        Column::left("EVIDENCE"),
        Column::left("VERDICT"),
        Column::right("PACKETS"),
        Column::right("BYTES"),
    ]);
    for line in lines {
        let server = std::net::SocketAddr::new(line.server, line.server_port);
        table.row([
            printable(line.capture),
            line.first_seen.clone(),
            std::net::SocketAddr::new(line.client, line.client_port).to_string(),
            format!("{server}/{}", line.transport),
            line.service.to_owned(),
            line.category.to_owned(),
            line.evidence.to_owned(),
            line.verdict.to_owned(),
            line.packets.to_string(),
            line.bytes.to_string(),
        ]);
    }
    table.write(out)
}

fn outcomes(out: &mut dyn Write, document: &Document<'_>) -> io::Result<()> {
    let mut table = Table::new([Column::left("OUTCOME"), Column::right("FRAMES")]);
    for (outcome, frames) in &document.outcomes {
        if *frames != 0 {
            table.row([(*outcome).to_owned(), frames.to_string()]);
        }
    }
    table.write(out)
}

fn closing(out: &mut dyn Write, document: &Document<'_>) -> io::Result<()> {
    for (link_type, frames) in document.unknown_link_types {
        writeln!(
            out,
            "Link type {link_type} is not understood: {frames} frames were not judged."
        )?;
    }
    if document.packets_without_flow != 0 {
        writeln!(
            out,
            "Too many flows: {} packets were judged and counted, but their flows are not listed.",
            document.packets_without_flow
        )?;
    }
    if document.times_not_believed != 0 {
        writeln!(
            out,
            "Times that the frames around contradict: {} frames were judged at that of the frame before.",
            document.times_not_believed
        )?;
    }
    writeln!(
        out,
        "Policy {}: captures {}, failed {}, cut {}; frames {} ({}, {:.1} s of traffic); \
         flows identified {}; replayed in {:.2} s ({} frames/s).",
        document.policy,
        document.captures,
        document.failed,
        document.cut,
        document.frames,
        HumanBytes(document.bytes),
        document.duration_seconds,
        document.identified_flows,
        document.elapsed_seconds,
        document.frames_per_second,
    )
}

/// Columns of text, each as wide as its widest cell.
struct Table<const N: usize> {
    columns: [Column; N],
    rows: Vec<[String; N]>,
}

#[derive(Clone, Copy)]
struct Column {
    title: &'static str,
    right: bool,
    width: usize,
}

impl Column {
    fn left(title: &'static str) -> Self {
        Self {
            title,
            right: false,
            width: title.len(),
        }
    }

    fn right(title: &'static str) -> Self {
        Self {
            right: true,
            ..Self::left(title)
        }
    }
}

impl<const N: usize> Table<N> {
    fn new(columns: [Column; N]) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    fn row(&mut self, cells: [String; N]) {
        for (column, cell) in self.columns.iter_mut().zip(&cells) {
            column.width = column.width.max(cell.chars().count());
        }
        self.rows.push(cells);
    }

    /// Writes title, rows, and an empty line.
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let titles = self.columns.map(|column| column.title.to_owned());
        for row in std::iter::once(&titles).chain(&self.rows) {
            let mut line = String::new();
            for (cell, column) in row.iter().zip(&self.columns) {
                let width = column.width;
                if column.right {
                    line.push_str(&format!("{cell:>width$}  "));
                } else {
                    line.push_str(&format!("{cell:<width$}  "));
                }
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        writeln!(out)
    }
}
