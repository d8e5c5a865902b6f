//! `imblock services`: what is known, what is done about it, and how much of it there was.

use std::collections::BTreeMap;
use std::io::{self, Write};

use imblock_common::Action;
use serde::Serialize;

use super::Format;
use super::document::{Count, Document};
use super::table::{Cell, Column, RED, Table, YELLOW, printable};
use crate::snapshot::Snapshot;
use crate::status::{ServiceStatus, Status};

/// What the catalogue and the policy say of a service, apart from what is done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceFacts {
    /// Its id, as people type it.
    pub id: String,
    /// Its name, as people read it.
    pub name: String,
    /// `im`, `voip`, `p2p`, `file-transfer`.
    pub category: String,
    /// Whether it is gone.
    pub historic: bool,
    /// What tells it: `tcp/6667`, `udp/5000-5010`.
    pub ports: Vec<String>,
}

/// What is known of services.
#[derive(Debug, Serialize)]
struct Services<'a> {
    services: Vec<ServiceEntry<'a>>,
}

/// What is known of one service.
#[derive(Debug, Serialize)]
pub(super) struct ServiceEntry<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) category: &'a str,
    /// `live` or `historic`.
    pub(super) status: &'static str,
    /// What is done now, by group.
    actions: BTreeMap<&'a str, &'static str>,
    /// What the policy alone says, by group.
    policy: BTreeMap<&'a str, &'static str>,
    pub(super) ports: &'a [String],
    pub(super) passed: Count,
    pub(super) refused: Count,
    /// The same actions in the order of groups, for the text.
    #[serde(skip)]
    by_group: Vec<GroupAction<'a>>,
}

/// What is done with a service for a group.
#[derive(Clone, Copy, Debug)]
struct GroupAction<'a> {
    group: &'a str,
    action: Action,
    by_hand: bool,
}

/// Writes the services of `selected`, in that order.
pub fn render(
    selected: &[ServiceFacts],
    status: &Status,
    snapshot: &Snapshot,
    format: Format,
    to: &mut dyn Write,
) -> io::Result<()> {
    let services = Services {
        services: selected
            .iter()
            .map(|facts| ServiceEntry::new(facts, status, snapshot))
            .collect(),
    };
    match format {
        Format::Json => Document::new(&status.instance, &services).write_pretty(to),
        Format::Text if services.services.is_empty() => writeln!(to, "No service is selected."),
        Format::Text => {
            writeln!(
                to,
                "imblock {}, policy {}, generation {}",
                printable(&status.instance),
                printable(&status.policy.name),
                status.policy.generation
            )?;
            services.write_table(status.policy.groups.len() > 1, to)
        }
    }
}

impl<'a> ServiceEntry<'a> {
    pub(super) fn new(facts: &'a ServiceFacts, status: &'a Status, snapshot: &Snapshot) -> Self {
        let known = status.policy.services.iter().find(|s| s.id == facts.id);
        let number = known.map(|service| service.number);
        let counts = snapshot
            .services
            .iter()
            .find(|counts| Some(counts.number) == number);
        let named = |actions: &[Action]| {
            let groups = status.policy.groups.iter().map(String::as_str);
            groups
                .zip(actions.iter().map(|action| action.name()))
                .collect()
        };
        Self {
            id: &facts.id,
            name: &facts.name,
            category: &facts.category,
            status: facts.status(),
            actions: known.map(|s| named(&s.actions)).unwrap_or_default(),
            policy: known.map(|s| named(&s.policy)).unwrap_or_default(),
            ports: &facts.ports,
            passed: counts.map(|c| c.passed().into()).unwrap_or_default(),
            refused: counts.map(|c| c.refused().into()).unwrap_or_default(),
            by_group: known.map(|s| by_group(s, status)).unwrap_or_default(),
        }
    }
}

impl<'a> ServiceEntry<'a> {
    /// Where there is no instance: nothing is done with it, nothing was seen.
    pub(super) fn unseen(facts: &'a ServiceFacts) -> Self {
        Self {
            id: &facts.id,
            name: &facts.name,
            category: &facts.category,
            status: facts.status(),
            actions: BTreeMap::new(),
            policy: BTreeMap::new(),
            ports: &facts.ports,
            passed: Count::default(),
            refused: Count::default(),
            by_group: Vec::new(),
        }
    }
}

impl ServiceFacts {
    const fn status(&self) -> &'static str {
        if self.historic { "historic" } else { "live" }
    }
}

/// What is done with a service for each group. An override that says what the policy says anyway
/// is one all the same: it stays when the policy changes.
fn by_group<'a>(service: &ServiceStatus, status: &'a Status) -> Vec<GroupAction<'a>> {
    let groups = status.policy.groups.iter().map(String::as_str);
    let cells = service.actions.iter().zip(&service.policy);
    groups
        .zip(cells)
        .map(|(group, (action, policy))| GroupAction {
            group,
            action: *action,
            by_hand: action != policy
                || status.overrides.iter().any(|by_hand| {
                    by_hand.service == service.id
                        && by_hand.group.as_deref().is_none_or(|only| only == group)
                }),
        })
        .collect()
}

impl Services<'_> {
    fn write_table(&self, has_groups: bool, to: &mut dyn Write) -> io::Result<()> {
        let mut columns = vec![
            Column::text("SERVICE"),
            Column::text("CATEGORY"),
            Column::text("STATUS"),
            Column::text("ACTION"),
        ];
        if has_groups {
            columns.push(Column::text("GROUPS THAT DIFFER"));
        }
        columns.extend([
            Column::number_in("PASSED", "packets"),
            Column::number_in("PASSED", "bytes"),
            Column::number_in("REFUSED", "packets"),
            Column::number_in("REFUSED", "bytes"),
        ]);
        let mut table = Table::new(columns);
        for service in &self.services {
            let mut cells = vec![
                Cell::text(service.id),
                Cell::text(service.category),
                Cell::text(service.status),
                service.action_cell(),
            ];
            if has_groups {
                cells.push(service.groups_cell());
            }
            cells.extend([
                Cell::count(service.passed.packets),
                Cell::bytes(service.passed.bytes),
                Cell::count(service.refused.packets).style_unless_none(RED),
                Cell::bytes(service.refused.bytes).style_unless_none(RED),
            ]);
            table.row(cells);
        }
        table.write(to)?;
        let mut actions = self.services.iter().flat_map(|service| &service.by_group);
        if actions.any(|action| action.by_hand) {
            writeln!(
                to,
                "* set by hand; `imblock status` says by whom, `imblock reset` goes back to the policy"
            )?;
        }
        Ok(())
    }
}

impl ServiceEntry<'_> {
    /// What is done, in a sentence: for everyone, then for the groups that fare otherwise.
    pub(super) fn in_words(&self) -> String {
        let everyone = self
            .by_group
            .first()
            .map(GroupAction::word)
            .unwrap_or_default();
        let others = self.by_group.iter().skip(1);
        let others = others.filter(|group| group.word() != everyone);
        let others: Vec<String> = others
            .map(|group| format!("; {} for {}", group.word(), group.group))
            .collect();
        format!("{everyone}{}", others.concat())
    }

    /// What is done for hosts in no group.
    fn action_cell(&self) -> Cell {
        match self.by_group.first() {
            None => Cell::none(),
            Some(everyone) => {
                let cell = Cell::text(everyone.word());
                if everyone.by_hand {
                    cell.style(YELLOW)
                } else if everyone.action.refuses() {
                    cell.style(RED)
                } else {
                    cell
                }
            }
        }
    }

    /// What is done for the groups that fare otherwise.
    fn groups_cell(&self) -> Cell {
        let Some((everyone, groups)) = self.by_group.split_first() else {
            return Cell::none();
        };
        let others: Vec<String> = groups
            .iter()
            .filter(|group| group.word() != everyone.word())
            .map(|group| format!("{}: {}", group.group, group.word()))
            .collect();
        if others.is_empty() {
            Cell::none()
        } else {
            Cell::text(others.join(", "))
        }
    }
}

impl GroupAction<'_> {
    fn word(&self) -> String {
        let mark = if self.by_hand { "*" } else { "" };
        format!("{}{mark}", self.action.name())
    }
}
