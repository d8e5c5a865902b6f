//! What is different between two plans, in the words of policies.
//!
//! Invariant: two plans without a difference here judge every packet alike; where something differs
//! that no table below has a word for, `other` says so.

mod tables;

use std::collections::BTreeMap;

use imblock_common::Action;
use imblock_common::layout::ActionCell;
use serde::Serialize;

use super::Plan;
use super::plan::EVERYONE;

/// Everything that is different.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PlanDiff {
    /// What some group does with some service. Of a group that only one side has, the cells that
    /// differ from those of everyone.
    pub cells: Vec<CellChange>,
    /// The other tables; those in which nothing differs are left out.
    pub tables: Vec<TableDiff>,
}

/// What a group does with a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CellChange {
    /// Service id.
    pub service: String,
    /// Name of the group.
    pub group: String,
    /// What the old policy says; none if it has no such group or service.
    #[serde(serialize_with = "action_name")]
    pub old: Option<Action>,
    /// What the new policy says; none if it has no such group or service.
    #[serde(serialize_with = "action_name")]
    pub new: Option<Action>,
    /// Why the old one does: a rule with its file and line, `defaults`; none if that is not known.
    pub old_from: Option<String>,
    /// Why the new one does.
    pub new_from: Option<String>,
}

/// The differences of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableDiff {
    /// What it holds, in a word.
    pub table: &'static str,
    /// How many entries only the new one has.
    pub added: usize,
    /// How many entries only the old one has.
    pub removed: usize,
    /// How many entries say something else.
    pub changed: usize,
    /// The entries, in order.
    pub entries: Vec<EntryChange>,
}

/// An entry of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntryChange {
    /// Which: a port, a prefix, a name.
    pub entry: String,
    /// What the old one says of it; none if it does not have it.
    pub old: Option<String>,
    /// What the new one says of it; none if it does not have it.
    pub new: Option<String>,
}

/// Where the cells of a plan come from, as far as known.
pub type Reasons<'a> = &'a dyn Fn(u16, u16) -> Option<String>;

/// A plan, and the reasons of its cells by group and service number.
#[derive(Clone, Copy)]
pub struct Reasoned<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Its reasons.
    pub from: Reasons<'a>,
}

impl PlanDiff {
    /// What becomes different when `new` takes the place of `old`. Services must have the same
    /// numbers in both; what was set by hand is not looked at.
    pub fn between(old: Reasoned<'_>, new: Reasoned<'_>) -> Self {
        let mut tables = tables::tables(old.plan, new.plan);
        let cells = cells(old, new);
        if tables.is_empty() && cells.is_empty() && !alike(old.plan, new.plan) {
            tables.push(TableDiff::of(
                "other",
                vec![EntryChange {
                    entry: "which marker counts of several that fit".to_owned(),
                    old: Some("as it is".to_owned()),
                    new: Some("another".to_owned()),
                }],
            ));
        }
        Self { cells, tables }
    }

    /// Whether there is no difference.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.tables.is_empty()
    }
}

impl TableDiff {
    fn of(table: &'static str, entries: Vec<EntryChange>) -> Self {
        let count = |wanted: fn(&EntryChange) -> bool| entries.iter().filter(|e| wanted(e)).count();
        Self {
            table,
            added: count(|entry| entry.old.is_none()),
            removed: count(|entry| entry.new.is_none()),
            changed: count(|entry| entry.old.is_some() && entry.new.is_some()),
            entries,
        }
    }
}

/// What both have, and what only one has, by key.
pub(super) fn entries<K: Ord + Clone>(
    old: &BTreeMap<K, String>,
    new: &BTreeMap<K, String>,
    name: impl Fn(&K) -> String,
) -> Vec<EntryChange> {
    let mut keys: Vec<&K> = old.keys().chain(new.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
        .filter(|key| old.get(key) != new.get(key))
        .map(|key| EntryChange {
            entry: name(key),
            old: old.get(key).cloned(),
            new: new.get(key).cloned(),
        })
        .collect()
}

/// Whether the tables are the same but for what is set by hand and what only people read.
fn alike(old: &Plan, new: &Plan) -> bool {
    old.markers == new.markers && old.flags() == new.flags()
}

fn cells(old: Reasoned<'_>, new: Reasoned<'_>) -> Vec<CellChange> {
    let mut groups: Vec<&String> = old.plan.groups.iter().collect();
    groups.extend(
        new.plan
            .groups
            .iter()
            .filter(|g| !old.plan.groups.contains(g)),
    );
    let mut services: Vec<(u16, &str)> = [old.plan, new.plan]
        .into_iter()
        .flat_map(|plan| &plan.services)
        .map(|service| (service.number, service.id.as_str()))
        .collect();
    services.sort_unstable_by_key(|(_, id)| *id);
    services.dedup();
    let mut changes = Vec::new();
    for (number, id) in services {
        for group in &groups {
            let (before, after) = (Said::of(old, group, number), Said::of(new, group, number));
            let action = |said: &Option<Said>| said.as_ref().map(|said| said.action);
            if action(&before) == action(&after) {
                continue;
            }
            let like_everyone = |side: Reasoned<'_>, said: &Option<Said>| {
                action(said) == action(&Said::of(side, EVERYONE, number))
            };
            // A group that comes or goes says something only where it is no `everyone`.
            if before.is_none() && !known(old.plan, group) && like_everyone(new, &after)
                || after.is_none() && !known(new.plan, group) && like_everyone(old, &before)
            {
                continue;
            }
            changes.push(CellChange {
                service: id.to_owned(),
                group: (*group).clone(),
                old: action(&before),
                new: action(&after),
                old_from: before.and_then(|said| said.from),
                new_from: after.and_then(|said| said.from),
            });
        }
    }
    changes
}

fn known(plan: &Plan, group: &str) -> bool {
    plan.group(group).is_some()
}

/// What a policy says of a cell.
struct Said {
    action: Action,
    from: Option<String>,
}

impl Said {
    fn of(side: Reasoned<'_>, group: &str, service: u16) -> Option<Self> {
        let group = side.plan.group(group)?;
        let mut services = side.plan.services.iter();
        services.find(|known| known.number == service)?;
        let row = side.plan.actions.get(usize::from(group))?;
        let cell = row.0.get(usize::from(service))?;
        Some(Self {
            action: ActionCell(*cell).policy(),
            from: (side.from)(group, service),
        })
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn action_name<S: serde::Serializer>(action: &Option<Action>, to: S) -> Result<S::Ok, S::Error> {
    action.map(Action::name).serialize(to)
}

#[cfg(test)]
mod tests;
