//! `imblock policy show`: what is done with each service in each group, and who says so.

use std::io::{self, Write};

use imblock_common::Action;
use imblock_common::layout::ActionCell;
use serde::Serialize;

use super::document::Document;
use super::table::{Cell, Column, RED, Table, printable};
use super::{Format, units};
use crate::policy::Plan;
use crate::policy::plan::EVERYONE;
use crate::status::Status;

/// A policy, cell by cell.
#[derive(Debug, Serialize)]
struct Effective<'a> {
    name: &'a str,
    /// SHA-256 of the plan, in hexadecimal.
    hash: String,
    groups: Vec<&'a str>,
    cells: Vec<EffectiveCell<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<&'a str>,
}

/// What one group does with one service.
#[derive(Debug, Serialize)]
struct EffectiveCell<'a> {
    service: &'a str,
    group: &'a str,
    action: &'static str,
    /// Where it comes from: a rule with its file and line, `defaults`, or a toggle.
    from: String,
}

/// Writes what a plan does. Cells of groups that do what everyone does, for the same reason, are
/// left out of the text.
pub fn plan(plan: &Plan, instance: &str, format: Format, to: &mut dyn Write) -> io::Result<()> {
    let mut cells = Vec::new();
    for service in &plan.services {
        for (group, row) in plan.actions.iter().enumerate() {
            let byte = row
                .0
                .get(usize::from(service.number))
                .copied()
                .unwrap_or_default();
            let origin = plan.origins.iter().find(|origin| {
                origin.service == service.number && usize::from(origin.group) == group
            });
            cells.push(EffectiveCell {
                service: &service.id,
                group: plan.groups.get(group).map_or("?", String::as_str),
                action: ActionCell(byte).policy().name(),
                from: origin.map_or("defaults".to_owned(), |origin| {
                    format!("rule {} ({})", origin.rule, origin.place)
                }),
            });
        }
    }
    let effective = Effective {
        name: &plan.name,
        hash: plan
            .hash()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        groups: plan.groups.iter().map(String::as_str).collect(),
        cells,
        warnings: plan.warnings.iter().map(String::as_str).collect(),
    };
    effective.write(instance, format, to)
}

/// Writes what is in force, as the kernel has it.
pub fn live(status: &Status, format: Format, to: &mut dyn Write) -> io::Result<()> {
    let policy = &status.policy;
    let mut cells = Vec::new();
    for service in &policy.services {
        let groups = policy
            .groups
            .iter()
            .zip(service.actions.iter().zip(&service.policy));
        for (group, (action, said)) in groups {
            let toggle = status.overrides.iter().rev().find(|toggle| {
                toggle.service == service.id
                    && toggle.group.as_ref().is_none_or(|only| only == group)
            });
            let from = match toggle {
                Some(toggle) => format!(
                    "toggled by {} at {} (policy: {})",
                    printable(&toggle.by),
                    units::rfc3339(toggle.at),
                    said.name()
                ),
                None => "policy".to_owned(),
            };
            cells.push(EffectiveCell {
                service: &service.id,
                group,
                action: action.name(),
                from,
            });
        }
    }
    let effective = Effective {
        name: &policy.name,
        hash: policy.hash.clone(),
        groups: policy.groups.iter().map(String::as_str).collect(),
        cells,
        warnings: Vec::new(),
    };
    effective.write(&status.instance, format, to)
}

impl Effective<'_> {
    fn write(&self, instance: &str, format: Format, to: &mut dyn Write) -> io::Result<()> {
        #[derive(Serialize)]
        struct Shown<'a> {
            policy: &'a Effective<'a>,
        }
        match format {
            Format::Json => Document::new(instance, &Shown { policy: self }).write_pretty(to),
            Format::Text => self.write_table(to),
        }
    }

    fn write_table(&self, to: &mut dyn Write) -> io::Result<()> {
        let short = self.hash.get(..12).unwrap_or(&self.hash);
        writeln!(to, "policy {} ({short})", printable(self.name))?;
        writeln!(to)?;
        let mut table = Table::new(vec![
            Column::text("SERVICE"),
            Column::text("GROUP"),
            Column::text("ACTION"),
            Column::text("FROM"),
        ]);
        let mut everyone: Option<&EffectiveCell<'_>> = None;
        for cell in &self.cells {
            if cell.group == EVERYONE {
                everyone = Some(cell);
            } else if everyone.is_some_and(|e| e.action == cell.action && e.from == cell.from) {
                continue;
            }
            let action = Cell::text(cell.action);
            let refusing = [Action::Drop, Action::Reject].map(Action::name);
            table.row(vec![
                Cell::text(cell.service),
                Cell::text(cell.group),
                if refusing.contains(&cell.action) {
                    action.style(RED)
                } else {
                    action
                },
                Cell::text(&cell.from),
            ]);
        }
        table.write(to)?;
        for warning in &self.warnings {
            writeln!(to, "warning: {}", printable(warning))?;
        }
        Ok(())
    }
}
