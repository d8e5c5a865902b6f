//! Where the programs are attached, and whether they still are.

use std::io::{self, Write};

use serde::Serialize;

use super::super::table::{Cell, Column, RED, Table, YELLOW, printable};
use crate::policy::plan::{XdpAttachMode, side_name};
use crate::status::InterfaceStatus;

#[derive(Debug, Serialize)]
pub(super) struct Interface<'a> {
    name: &'a str,
    /// What it is called now, if that is something else.
    renamed_to: Option<&'a str>,
    side: &'static str,
    /// The mode to which what is attached holds.
    mode: XdpAttachMode,
    /// What is there: `native`, `generic`, `none`.
    xdp: &'static str,
    /// Whether the egress program is attached.
    egress: bool,
    /// By what: `tcx`, `clsact`.
    egress_by: Option<&'static str>,
    #[serde(skip)]
    egress_wanted: bool,
    #[serde(skip)]
    names: String,
}

impl<'a> Interface<'a> {
    pub(super) fn new(interface: &'a InterfaceStatus) -> Self {
        Self {
            name: &interface.plan.name,
            renamed_to: interface.renamed_to.as_deref(),
            side: side_name(interface.side()),
            mode: interface.plan.mode,
            xdp: interface.xdp,
            egress: interface.egress,
            egress_by: interface.egress_by,
            egress_wanted: interface.plan.egress,
            names: interface.names(),
        }
    }

    fn has_xdp(&self) -> bool {
        self.xdp != "none"
    }

    fn is_whole(&self) -> bool {
        self.has_xdp() && (self.egress || !self.egress_wanted)
    }
}

/// A table of them, and what is to be done about some.
pub(super) fn write(interfaces: &[Interface<'_>], to: &mut dyn Write) -> io::Result<()> {
    if interfaces.is_empty() {
        return writeln!(
            to,
            "{RED}No interface is attached: nothing is seen, nothing is blocked.{RED:#}"
        );
    }
    let mut table = Table::new(vec![
        Column::text("INTERFACE"),
        Column::text("SIDE"),
        Column::text("MODE"),
        Column::text("XDP"),
        Column::text("EGRESS"),
    ]);
    for interface in interfaces {
        let xdp = Cell::text(interface.xdp);
        table.row(vec![
            Cell::text(&interface.names),
            Cell::text(interface.side),
            Cell::text(interface.mode.to_string()),
            if interface.has_xdp() {
                xdp
            } else {
                xdp.style(RED)
            },
            match (interface.egress, interface.egress_wanted) {
                (true, _) => Cell::text("yes"),
                (false, false) => Cell::text("no"),
                (false, true) => Cell::text("gone").style(RED),
            },
        ]);
    }
    table.write(to)?;
    for interface in interfaces {
        if let Some(now) = interface.renamed_to {
            let (name, now) = (printable(interface.name), printable(now));
            writeln!(
                to,
                "{YELLOW}{name} was renamed to {now}{YELLOW:#}, and what is attached goes on there: the next \
                 `imblock up` or `run` must call it {now}."
            )?;
        }
    }
    if !interfaces.iter().all(Interface::is_whole) {
        writeln!(
            to,
            "{RED}A program is gone from its interface: traffic there is not seen.{RED:#} \
             `imblock up`, or a restart of the controller, attaches it again."
        )?;
    }
    Ok(())
}
