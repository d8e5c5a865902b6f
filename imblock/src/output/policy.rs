//! `imblock policy show`: what is done with each service in each group, and who says so.
//!
//! For people a matrix of the services that are treated differently in different groups, and one line
//! a reason for all others; for programs every cell.

use std::collections::BTreeMap;
use std::io::{self, Write};

use imblock_common::layout::ActionCell;
use serde::Serialize;

use super::diff::SideSource;
use super::document::Document;
use super::table::{BOLD, Cell, Column, RED, Table, YELLOW, printable};
use super::{Format, units};
use crate::policy::Plan;
use crate::provenance::Provenance;
use crate::status::OverrideStatus;

/// Columns of the text.
const WIDTH: usize = 100;

/// What is shown: a file's policy, or what is in force.
pub struct Shown<'a> {
    /// Its tables.
    pub plan: &'a Plan,
    /// SHA-256 of its tables, in hexadecimal.
    pub hash: String,
    /// Where its cells come from; none if nobody wrote it down.
    pub provenance: Option<&'a Provenance>,
    /// What is set by hand on top of it, the oldest first.
    pub overrides: &'a [OverrideStatus],
}

/// A policy, cell by cell.
#[derive(Debug, Serialize)]
struct Effective<'a> {
    name: &'a str,
    hash: &'a str,
    groups: Vec<&'a str>,
    /// Empty where nobody wrote down what it was compiled from.
    sources: Vec<SideSource>,
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
    /// Whether that keeps packets from going on.
    #[serde(skip)]
    refuses: bool,
    /// What the policy alone says.
    policy: &'static str,
    /// Where it comes from, in words.
    from: String,
    #[serde(flatten)]
    reason: Reason<'a>,
}

/// Where a cell comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reason<'a> {
    /// What kind of reason it is.
    pub reason: ReasonKind,
    /// The rule's number in the policy, from 1; what is set by hand overrides it.
    pub rule: Option<usize>,
    /// The rule's file and line.
    pub place: Option<&'a str>,
    /// Who set it by hand.
    pub by: Option<&'a str>,
    /// When, RFC 3339.
    pub at: Option<String>,
    /// When that ends by itself, RFC 3339.
    pub until: Option<String>,
}

/// What kind of reason a cell has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReasonKind {
    /// Somebody set it by hand.
    Override,
    /// A rule of the policy.
    Rule,
    /// No rule: what the policy says of everything.
    Defaults,
    /// The policy; which rule of it nobody wrote down.
    Unknown,
}

/// Writes what is done.
pub fn render(
    shown: &Shown<'_>,
    instance: &str,
    format: Format,
    to: &mut dyn Write,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct Body<'a> {
        policy: &'a Effective<'a>,
    }
    let effective = Effective::of(shown);
    match format {
        Format::Json => Document::new(instance, &Body { policy: &effective }).write_pretty(to),
        Format::Text => effective.write(to),
    }
}

impl<'a> Shown<'a> {
    /// Why a group does with a service what it does.
    pub fn reason(&self, group: u16, service: u16) -> Reason<'a> {
        let name = self.plan.groups.get(usize::from(group));
        let mut services = self.plan.services.iter();
        let id = services.find(|known| known.number == service);
        let toggle = self.overrides.iter().rev().find(|toggle| {
            id.is_some_and(|id| id.id == toggle.service)
                && toggle.group.as_ref().is_none_or(|only| Some(only) == name)
        });
        let origin = self
            .provenance
            .and_then(|known| known.origin(group, service));
        let reason = match (toggle, self.provenance, origin) {
            (Some(_), ..) => ReasonKind::Override,
            (None, None, _) => ReasonKind::Unknown,
            (None, Some(_), None) => ReasonKind::Defaults,
            (None, Some(_), Some(_)) => ReasonKind::Rule,
        };
        Reason {
            reason,
            rule: origin.map(|origin| origin.rule),
            place: origin.map(|origin| origin.place.as_str()),
            by: toggle.map(|toggle| toggle.by.as_str()),
            at: toggle.map(|toggle| units::rfc3339(toggle.at)),
            until: toggle.and_then(|toggle| toggle.until).map(units::rfc3339),
        }
    }
}

impl Reason<'_> {
    /// In words; `policy` is what the policy alone says.
    pub fn words(&self, policy: &str) -> String {
        let rule = || match (self.rule, self.place) {
            (Some(rule), Some(place)) => format!("rule {rule} ({})", printable(place)),
            _ => "defaults".to_owned(),
        };
        match self.reason {
            ReasonKind::Override => format!(
                "toggled by {} at {}{} (policy: {policy})",
                printable(self.by.unwrap_or("?")),
                self.at.as_deref().unwrap_or("?"),
                self.until
                    .as_ref()
                    .map(|until| format!(" until {until}"))
                    .unwrap_or_default()
            ),
            ReasonKind::Rule | ReasonKind::Defaults => rule(),
            ReasonKind::Unknown => "policy".to_owned(),
        }
    }

    /// In a cell of the matrix, behind the action.
    fn mark(&self) -> String {
        match (self.reason, self.rule) {
            (ReasonKind::Override, _) => " *".to_owned(),
            (_, Some(rule)) => format!(" {rule}"),
            _ => String::new(),
        }
    }
}

impl<'a> Effective<'a> {
    fn of(shown: &'a Shown<'a>) -> Self {
        let plan = shown.plan;
        let mut cells = Vec::new();
        for service in &plan.services {
            for ((group, name), row) in (0u16..).zip(&plan.groups).zip(&plan.actions) {
                let byte = row.0.get(usize::from(service.number)).copied();
                let cell = ActionCell(byte.unwrap_or_default());
                let reason = shown.reason(group, service.number);
                let now = match reason.reason {
                    ReasonKind::Override => cell.action(),
                    _ => cell.policy(),
                };
                cells.push(EffectiveCell {
                    service: &service.id,
                    group: name,
                    action: now.name(),
                    refuses: now.refuses(),
                    policy: cell.policy().name(),
                    from: reason.words(cell.policy().name()),
                    reason,
                });
            }
        }
        let sources = shown.provenance.iter().flat_map(|known| &known.sources);
        Self {
            name: &plan.name,
            hash: &shown.hash,
            groups: plan.groups.iter().map(String::as_str).collect(),
            sources: sources.map(SideSource::from).collect(),
            cells,
            warnings: plan.warnings.iter().map(String::as_str).collect(),
        }
    }

    fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let short = self.hash.get(..12).unwrap_or(self.hash);
        writeln!(to, "policy {} ({short})", printable(self.name))?;
        for source in &self.sources {
            source.write(to)?;
        }
        let rows: Vec<&[EffectiveCell<'_>]> = self.cells.chunks(self.groups.len().max(1)).collect();
        let (same, different): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| is_same(row));
        if !different.is_empty() {
            self.write_matrix(&different, to)?;
        }
        write_same(&same, self.groups.len() > 1, to)?;
        for warning in &self.warnings {
            writeln!(to, "warning: {}", printable(warning))?;
        }
        Ok(())
    }

    /// The services that groups treat differently, or for different reasons.
    fn write_matrix(&self, rows: &[&[EffectiveCell<'_>]], to: &mut dyn Write) -> io::Result<()> {
        writeln!(to)?;
        let titles = self.groups.iter().map(|group| Column::text(*group));
        let mut table = Table::new(
            [Column::text("SERVICE")]
                .into_iter()
                .chain(titles)
                .collect(),
        );
        let mut reasons: BTreeMap<&Reason<'_>, &str> = BTreeMap::new();
        for row in rows {
            let mut cells = vec![Cell::text(row.first().map_or("", |cell| cell.service))];
            for cell in *row {
                let text = Cell::text(format!("{}{}", cell.action, cell.reason.mark()));
                cells.push(if cell.refuses { text.style(RED) } else { text });
                reasons.insert(&cell.reason, cell.policy);
            }
            table.row(cells);
        }
        table.write(to)?;
        for (reason, policy) in reasons {
            let words = reason.words(policy);
            match reason.reason {
                ReasonKind::Override => writeln!(to, "  * {YELLOW}{words}{YELLOW:#}")?,
                ReasonKind::Rule => writeln!(to, "  {words}")?,
                ReasonKind::Defaults => writeln!(to, "  without a number: {words}")?,
                ReasonKind::Unknown => {}
            }
        }
        Ok(())
    }
}

fn is_same(row: &[EffectiveCell<'_>]) -> bool {
    let mut cells = row.iter();
    let first = cells.next();
    cells.all(|cell| {
        first.is_some_and(|first| (first.action, &first.reason) == (cell.action, &cell.reason))
    })
}

/// A paragraph for each action and reason that services have in every group.
fn write_same(rows: &[&[EffectiveCell<'_>]], several: bool, to: &mut dyn Write) -> io::Result<()> {
    let mut alike: BTreeMap<(&Reason<'_>, &str, &str, bool), Vec<&str>> = BTreeMap::new();
    for cell in rows.iter().filter_map(|row| row.first()) {
        let services = alike.entry((&cell.reason, cell.action, cell.policy, cell.refuses));
        services.or_default().push(cell.service);
    }
    let whom = if several { " in every group" } else { "" };
    for ((reason, action, policy, refuses), services) in alike {
        let style = if refuses { RED } else { BOLD };
        writeln!(to)?;
        writeln!(
            to,
            "{style}{action}{style:#}{whom}, {}: {}",
            reason.words(policy),
            units::plural(services.len() as u64, "service", "services")
        )?;
        write_wrapped(&services, to)?;
    }
    Ok(())
}

fn write_wrapped(words: &[&str], to: &mut dyn Write) -> io::Result<()> {
    const INDENT: &str = "  ";
    let mut line = INDENT.to_owned();
    for word in words {
        let word = printable(word);
        if line.len() > INDENT.len() && line.len() + 1 + word.len() > WIDTH {
            writeln!(to, "{}", line.trim_end())?;
            line = INDENT.to_owned();
        }
        line.push_str(&word);
        line.push(' ');
    }
    writeln!(to, "{}", line.trim_end())
}
