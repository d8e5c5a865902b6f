//! The action table: rules laid over each other, first come first served.
//!
//! Invariant: a rule with a schedule never takes a cell for good; it stays above those that come
//! later, and beneath those that came before it without one.

use std::collections::HashMap;

use imblock_common::layout::{ActionCell, ActionRow, Rate, SERVICES_MAX};

use super::compile::Numbered;
use super::error_kind::PolicyErrorKind;
use super::model::{Group, Policy, Rule};
use super::plan::CellOrigin;
use super::rate::Limit;
use super::schedule::Schedule;
use super::selector::Selector;
use super::timetable::{Area, Bits, Entry, GROUP_WORDS, Numbers, Timetable};
use super::words::GroupName;

/// The action table while rules are laid into it.
pub(super) struct Cells {
    /// What holds while no schedule does.
    pub(super) rows: Vec<ActionRow>,
    /// Which rules say so.
    pub(super) origins: Vec<CellOrigin>,
    /// What holds when.
    pub(super) timetable: Timetable,
    /// How fast, where the action is limit while no schedule holds.
    pub(super) rates: Rates,
    /// Positions, from 0, of rules that found every cell of theirs taken.
    pub(super) idle_rules: Vec<usize>,
}

impl Cells {
    pub(super) fn of(policy: &Policy, numbered: &[Numbered<'_>]) -> Result<Self, PolicyErrorKind> {
        let groups = policy.groups().len() + 1;
        let mut known = Numbers::default();
        numbered
            .iter()
            .for_each(|(number, _)| known.insert(*number));
        let mut table = Laying {
            free: vec![known; groups],
            deciders: vec![vec![None; SERVICES_MAX]; groups],
            timed: vec![Numbers::default(); groups],
            timetable: Timetable::default(),
            schedules: HashMap::new(),
            rates: Rates::default(),
            rate_numbers: Vec::new(),
        };
        for rule in policy.rules() {
            let number = table.rates.number(rule.limit, groups)?;
            table.rate_numbers.push(number);
        }
        let mut idle_rules = Vec::new();
        let index = Index::of(policy.groups(), numbered);
        for (position, rule) in policy.rules().iter().enumerate() {
            let (services, groups) = (index.services(rule), index.groups(rule));
            // What always holds is as good as no schedule, and decides as firmly.
            let laid = match rule.when.as_ref().filter(|when| !when.is_always()) {
                None => table.lay(position, &groups, &services),
                Some(when) => {
                    let areas = table.open(&groups, &services);
                    let some = !areas.is_empty();
                    let schedule = table.schedule(when);
                    if some {
                        let entry = table.entry(policy, Some(position), schedule, areas);
                        table.timetable.entries.push(entry);
                    }
                    some
                }
            };
            if !laid {
                idle_rules.push(position);
            }
        }
        Ok(table.finish(policy, idle_rules))
    }

    /// Whether some group does at some time not the same with two services.
    pub(super) fn tell_apart(&self, one: u16, other: u16) -> bool {
        let action = |row: &ActionRow, service: u16| {
            let cell = row.0.get(usize::from(service));
            cell.map(|cell| ActionCell(*cell).action())
        };
        let apart = |row: &ActionRow| action(row, one) != action(row, other);
        self.rows.iter().any(apart) || self.timetable.tells_apart(one, other)
    }
}

/// Rules on their way into the table.
struct Laying {
    /// By group: services that no rule has for good.
    free: Vec<Numbers>,
    /// By group and service: the position, from 0, of the rule that has it for good.
    deciders: Vec<Vec<Option<usize>>>,
    /// By group: services that some schedule decides.
    timed: Vec<Numbers>,
    timetable: Timetable,
    schedules: HashMap<String, usize>,
    rates: Rates,
    /// By the rule's position, from 0.
    rate_numbers: Vec<u8>,
}

/// How fast, by cell. Empty where nothing is limited.
#[derive(Default)]
pub(super) struct Rates {
    /// By number; the first is none.
    pub(super) values: Vec<Rate>,
    /// The number of each cell's rate.
    pub(super) rows: Vec<ActionRow>,
}

impl Rates {
    /// The number of a rule's rate; 0 for none.
    fn number(&mut self, limit: Option<Limit>, groups: usize) -> Result<u8, PolicyErrorKind> {
        let Some(limit) = limit else { return Ok(0) };
        if self.values.is_empty() {
            self.values.push(Rate::NONE);
            self.rows = vec![ActionRow([0; SERVICES_MAX]); groups];
        }
        let rate = limit.table();
        let known = self.values.iter().position(|known| *known == rate);
        let number = known.unwrap_or_else(|| {
            self.values.push(rate);
            self.values.len() - 1
        });
        u8::try_from(number).map_err(|_| PolicyErrorKind::TooManyRates(number))
    }

    fn set(&mut self, group: usize, service: u16, rate: u8) {
        let row = self.rows.get_mut(group);
        if let Some(cell) = row.and_then(|row| row.0.get_mut(usize::from(service))) {
            *cell = rate;
        }
    }
}

impl Laying {
    /// Takes what is free for a rule, for good. Whether there was anything.
    fn lay(&mut self, position: usize, groups: &[u16], services: &Numbers) -> bool {
        let rate = self.rate_number(Some(position));
        let mut some = false;
        for group in groups.iter().map(|group| usize::from(*group)) {
            let (Some(free), Some(deciders)) =
                (self.free.get_mut(group), self.deciders.get_mut(group))
            else {
                continue;
            };
            for service in free.take(services).iter() {
                if let Some(decider) = deciders.get_mut(usize::from(service)) {
                    *decider = Some(position);
                    some = true;
                    self.rates.set(group, service, rate);
                }
            }
        }
        some
    }

    /// What is free for a rule that takes nothing for good.
    fn open(&mut self, groups: &[u16], services: &Numbers) -> Vec<Area> {
        let mut areas: Vec<Area> = Vec::new();
        for group in groups {
            let place = usize::from(*group);
            let (Some(free), Some(timed)) = (self.free.get(place), self.timed.get_mut(place))
            else {
                continue;
            };
            let services = free.and(services);
            if services.is_empty() {
                continue;
            }
            timed.add(&services);
            add_to(&mut areas, *group, services);
        }
        areas
    }

    /// The number of a rule's rate; 0 for none.
    fn rate_number(&self, position: Option<usize>) -> u8 {
        let number = position.and_then(|position| self.rate_numbers.get(position));
        number.copied().unwrap_or(0)
    }

    fn entry(
        &self,
        policy: &Policy,
        position: Option<usize>,
        schedule: Option<usize>,
        areas: Vec<Area>,
    ) -> Entry {
        let rule = position.and_then(|position| policy.rules().get(position));
        Entry {
            schedule,
            action: rule.map_or(policy.default_action(), |rule| rule.action),
            rate: self.rate_number(position),
            rule: position.map(|position| position + 1),
            place: rule.map(|rule| policy.place(rule.at)).unwrap_or_default(),
            areas,
        }
    }

    /// The place of a schedule among those that are known.
    fn schedule(&mut self, when: &Schedule) -> Option<usize> {
        let schedules = &mut self.timetable.schedules;
        let place = *self.schedules.entry(when.to_string()).or_insert_with(|| {
            schedules.push(when.clone());
            schedules.len() - 1
        });
        Some(place)
    }

    /// Says of each cell who decides it while no schedule does.
    fn finish(mut self, policy: &Policy, idle_rules: Vec<usize>) -> Cells {
        let mut cells = Cells {
            rows: Vec::with_capacity(self.deciders.len()),
            origins: Vec::new(),
            timetable: Timetable::default(),
            rates: Rates::default(),
            idle_rules,
        };
        let mut otherwise: Vec<(Option<usize>, Vec<Area>)> = Vec::new();
        let mut places_of_deciders: HashMap<Option<usize>, usize> = HashMap::new();
        for ((group, deciders), timed) in (0u16..).zip(&self.deciders).zip(&self.timed) {
            let mut row = ActionRow([0; SERVICES_MAX]);
            let mut timed_by: HashMap<Option<usize>, Numbers> = HashMap::new();
            for ((service, decider), cell) in (0u16..).zip(deciders).zip(&mut row.0) {
                let rule = decider.and_then(|position| policy.rules().get(position));
                let action = rule.map_or(policy.default_action(), |rule| rule.action);
                *cell = ActionCell::of_policy(action).0;
                if let (Some(position), Some(rule)) = (decider, rule) {
                    cells.origins.push(CellOrigin {
                        group,
                        service,
                        rule: position + 1,
                        place: policy.place(rule.at),
                    });
                }
                if timed.contains(service) {
                    timed_by.entry(*decider).or_default().insert(service);
                }
            }
            cells.rows.push(row);
            let mut timed_by: Vec<_> = timed_by.into_iter().collect();
            timed_by.sort_unstable_by_key(|(decider, _)| *decider);
            for (decider, services) in timed_by {
                let place = *places_of_deciders.entry(decider).or_insert_with(|| {
                    otherwise.push((decider, Vec::new()));
                    otherwise.len() - 1
                });
                if let Some((_, areas)) = otherwise.get_mut(place) {
                    add_to(areas, group, services);
                }
            }
        }
        for (decider, areas) in otherwise {
            let entry = self.entry(policy, decider, None, areas);
            self.timetable.entries.push(entry);
        }
        // A schedule of rules that decide nothing would wake the controller for nothing.
        if self.timetable.entries.is_empty() {
            self.timetable.schedules.clear();
        }
        cells.timetable = self.timetable;
        cells.rates = self.rates;
        cells
    }
}

/// Groups of which a rule has the same services share an area.
fn add_to(areas: &mut Vec<Area>, group: u16, services: Numbers) {
    match areas.iter_mut().find(|area| area.services == services) {
        Some(area) => area.groups.insert(group),
        None => {
            let mut groups = Bits::<GROUP_WORDS>::default();
            groups.insert(group);
            areas.push(Area { groups, services });
        }
    }
}

/// Finds what rules name.
struct Index<'a> {
    services: &'a [Numbered<'a>],
    service_numbers: HashMap<&'a str, u16>,
    group_numbers: HashMap<&'a GroupName, u16>,
    all_groups: Vec<u16>,
}

impl<'a> Index<'a> {
    fn of(groups: &'a [Group], services: &'a [Numbered<'a>]) -> Self {
        let by_id = |(number, service): &(u16, &'a super::Service)| (service.id.as_str(), *number);
        let by_name = |(group, number): (&'a Group, u16)| (&group.name, number);
        Self {
            services,
            service_numbers: services.iter().map(by_id).collect(),
            group_numbers: groups.iter().zip(1u16..).map(by_name).collect(),
            all_groups: (0u16..).take(groups.len() + 1).collect(),
        }
    }

    /// The numbers of the services that a rule names.
    fn services(&self, rule: &Rule) -> Numbers {
        let mut chosen = Numbers::default();
        for selector in &rule.services {
            if let Selector::Service(id) = selector {
                let number = self.service_numbers.get(id.as_str());
                number.into_iter().for_each(|number| chosen.insert(*number));
                continue;
            }
            for (number, service) in self.services {
                let (id, category) = (service.id.as_str(), service.category);
                if selector.matches(id, category, service.status) {
                    chosen.insert(*number);
                }
            }
        }
        chosen
    }

    /// The numbers of the groups that a rule is for.
    fn groups(&self, rule: &Rule) -> Vec<u16> {
        let Some(names) = &rule.groups else {
            return self.all_groups.clone();
        };
        // A name without a number is `everyone`: no other comes out of the model.
        let number = |name| self.group_numbers.get(name).copied().unwrap_or(0);
        names.iter().map(number).collect()
    }
}
