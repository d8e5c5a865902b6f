//! From a policy to the tables: numbers for names, a cell for each group and service.
//!
//! Invariant: the same policy, numbers and surroundings give the same plan, and a policy that does
//! not compile leaves the numbers as they were.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use imblock_common::layout::{
    ActionCell, ActionRow, Generics, HopRule, HostEntry, Rate, SERVICES_MAX, ServiceSet,
};
use imblock_common::{Action, Transport};
use ipnet::IpNet;

use super::advice;
use super::claims::Claims;
use super::error::PolicyErrors;
use super::error_kind::PolicyErrorKind;
use super::hops::Hops;
use super::markers;
use super::model::{Group, Policy, Rule, Service};
use super::net;
use super::plan::{CellOrigin, EVERYONE, MarkerPlans, PrefixPlan, ServicePlan};
use super::ports;
use super::rate::Limit;
use super::selector::Selector;
use super::words::{GroupName, Status};
use super::{Plan, ServiceNumbers};

/// What a plan depends on beside the policy: the box it is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The box's own addresses.
    pub own: Vec<IpAddr>,
    /// Ports on which the operator reaches the box: the session, the metrics.
    pub management_ports: Vec<(Transport, u16)>,
}

/// Compiles a policy.
///
/// `catalogue` are the services beside the policy's own. Services get their numbers from `numbers`
/// in the order of their ids.
pub(super) fn compile(
    policy: &Policy,
    catalogue: &[Service],
    numbers: &mut ServiceNumbers,
    surroundings: &Surroundings,
) -> Result<Plan, PolicyErrors> {
    let mut numbers_after = numbers.clone();
    // The order of precedence where two claim the same.
    let services: Vec<Cow<'_, Service>> = policy
        .services()
        .iter()
        .chain(catalogue)
        .map(|service| {
            if service.opt_in && !policy.names(&service.id) {
                Cow::Owned(service.unheard())
            } else {
                Cow::Borrowed(service)
            }
        })
        .collect();
    let services: Vec<&Service> = services.iter().map(AsRef::as_ref).collect();
    let numbered = number(&services, &mut numbers_after).map_err(|kind| policy.error(kind))?;

    let claims = Claims::of(&numbered).map_err(|kind| policy.error(kind))?;
    let trusted = |service: &Service| {
        let (id, category) = (service.id.as_str(), service.category);
        let mut trust = policy.trust().iter();
        trust.any(|selector| selector.matches(id, category, service.status))
    };
    let markers = markers::markers(&numbered, trusted).map_err(|kind| policy.error(kind))?;
    let stun_attributes = markers::stun(&numbered, trusted);
    let cells = Cells::of(policy, &numbered).map_err(|kind| policy.error(kind))?;
    let mut port_table = claims.ports;
    ports::settle(
        &mut port_table,
        &claims.shared_ports,
        &numbered,
        &cells.rows,
    );
    ports::guard(&mut port_table, policy.protect(), surroundings);
    let prefixes = prefixes(policy, surroundings);
    let limit = policy.limits().prefixes;
    if prefixes.len() > usize::try_from(limit / 2).unwrap_or(usize::MAX) {
        let found = prefixes.len();
        return Err(policy
            .limits_error(PolicyErrorKind::TooManyPrefixes { found, limit })
            .into());
    }

    let groups = policy.groups().iter().map(|group| group.name.as_str());
    let mut plan = Plan {
        name: policy.name().to_owned(),
        interfaces: policy.interfaces().to_vec(),
        limits: policy.limits(),
        services: service_plans(&numbered),
        groups: [EVERYONE]
            .into_iter()
            .chain(groups)
            .map(str::to_owned)
            .collect(),
        ports: port_table,
        actions: cells.rows,
        rates: cells.rates,
        rate_rows: cells.rate_rows,
        leases: Vec::new(),
        origins: cells.origins,
        sources: vec![policy.source.digest()],
        prefixes,
        remotes: claims.remotes,
        names: claims.names,
        generics: generics(&numbered),
        calls: calls(&numbered),
        carriers: carriers(&markers),
        hops: policy.hops().map_or(HopRule::COUNT, Hops::rule),
        quic: policy.quic(),
        markers,
        stun_attributes,
        warnings: Vec::new(),
    };
    plan.warnings = advice::warnings(policy, &plan, &services, &cells.idle_rules, &claims.clashes);
    *numbers = numbers_after;
    Ok(plan)
}

/// A service and its number.
pub(super) type Numbered<'a> = (u16, &'a Service);

fn number<'a>(
    services: &[&'a Service],
    numbers: &mut ServiceNumbers,
) -> Result<Vec<Numbered<'a>>, PolicyErrorKind> {
    let mut by_id = services.to_vec();
    by_id.sort_by(|a, b| a.id.cmp(&b.id));
    for service in by_id {
        numbers.assign(service.id.as_str())?;
    }
    let numbered = services
        .iter()
        .map(|service| Ok((numbers.assign(service.id.as_str())?, *service)));
    numbered.collect()
}

fn service_plans(numbered: &[Numbered<'_>]) -> Vec<ServicePlan> {
    let mut plans: Vec<_> = numbered
        .iter()
        .map(|(number, service)| ServicePlan {
            number: *number,
            id: service.id.as_str().to_owned(),
            name: service.name.clone(),
            category: service.category.name().to_owned(),
            historic: service.status == Status::Historic,
        })
        .collect();
    plans.sort_by_key(|plan| plan.number);
    plans
}

/// The services that stand for a protocol, by their ids.
fn generics(numbered: &[Numbered<'_>]) -> Generics {
    let number = |id: &str| {
        let mut known = numbered.iter();
        let found = known.find(|(_, service)| service.id.as_str() == id);
        found.map_or(0, |(number, _)| *number)
    };
    Generics {
        stun: number("stun"),
        rtp: number("rtp"),
    }
}

/// The services in whose flows others travel.
fn carriers(markers: &MarkerPlans) -> ServiceSet {
    let mut carriers = ServiceSet::default();
    let inner = markers
        .tcp
        .iter()
        .chain(&markers.udp)
        .map(|plan| plan.record.within);
    inner
        .filter(|carrier| *carrier != 0)
        .for_each(|carrier| carriers.insert(carrier));
    carriers
}

/// The services that can be called with.
fn calls(numbered: &[Numbered<'_>]) -> ServiceSet {
    let mut calls = ServiceSet::default();
    let known = numbered.iter().filter(|(_, service)| service.calls);
    known.for_each(|(number, _)| calls.insert(*number));
    calls
}

/// The action table while rules are laid into it.
struct Cells {
    rows: Vec<ActionRow>,
    rates: Vec<Rate>,
    rate_rows: Vec<ActionRow>,
    origins: Vec<CellOrigin>,
    /// Positions, from 0, of rules that found every cell of theirs taken.
    idle_rules: Vec<usize>,
}

impl Cells {
    fn of(policy: &Policy, numbered: &[Numbered<'_>]) -> Result<Self, PolicyErrorKind> {
        let default = ActionCell::of_policy(policy.default_action()).0;
        let groups = policy.groups().len() + 1;
        let mut cells = Self {
            rows: vec![ActionRow([default; SERVICES_MAX]); groups],
            rates: Vec::new(),
            rate_rows: Vec::new(),
            origins: Vec::new(),
            idle_rules: Vec::new(),
        };
        let known = numbered
            .iter()
            .fold(Numbers::default(), |mut known, (number, _)| {
                known.insert(*number);
                known
            });
        let mut free = vec![known; groups];
        let index = Index::of(policy.groups(), numbered);
        for (position, rule) in policy.rules().iter().enumerate() {
            let services = index.services(rule);
            let place = policy.place(rule.at);
            let mut idle = true;
            let rate = cells.rate_number(rule.limit, groups)?;
            for group in index.groups(rule) {
                let Some(free) = free.get_mut(usize::from(group)) else {
                    continue;
                };
                let taken = free.take(&services);
                idle &= taken.is_empty();
                cells.set(group, &taken, position, rule.action, &place);
                cells.set_rate(group, &taken, rate);
            }
            if idle {
                cells.idle_rules.push(position);
            }
        }
        cells
            .origins
            .sort_by_key(|origin| (origin.group, origin.service));
        Ok(cells)
    }

    /// The number of a rule's rate; 0 for none.
    fn rate_number(&mut self, limit: Option<Limit>, groups: usize) -> Result<u8, PolicyErrorKind> {
        let Some(limit) = limit else { return Ok(0) };
        if self.rates.is_empty() {
            self.rates.push(Rate::NONE);
            self.rate_rows = vec![ActionRow([0; SERVICES_MAX]); groups];
        }
        let rate = limit.table();
        let known = self.rates.iter().position(|known| *known == rate);
        let number = known.unwrap_or_else(|| {
            self.rates.push(rate);
            self.rates.len() - 1
        });
        u8::try_from(number).map_err(|_| PolicyErrorKind::TooManyRates(number))
    }

    fn set_rate(&mut self, group: u16, services: &Numbers, rate: u8) {
        let Some(row) = self.rate_rows.get_mut(usize::from(group)) else {
            return;
        };
        for service in services.iter() {
            if let Some(cell) = row.0.get_mut(usize::from(service)) {
                *cell = rate;
            }
        }
    }

    fn set(&mut self, group: u16, services: &Numbers, rule: usize, action: Action, place: &str) {
        let Some(row) = self.rows.get_mut(usize::from(group)) else {
            return;
        };
        for service in services.iter() {
            if let Some(cell) = row.0.get_mut(usize::from(service)) {
                *cell = ActionCell::of_policy(action).0;
            }
            self.origins.push(CellOrigin {
                group,
                service,
                rule: rule + 1,
                place: place.to_owned(),
            });
        }
    }
}

/// Finds what rules name.
struct Index<'a> {
    services: &'a [Numbered<'a>],
    service_numbers: HashMap<&'a str, u16>,
    group_numbers: HashMap<&'a GroupName, u16>,
}

impl<'a> Index<'a> {
    fn of(groups: &'a [Group], services: &'a [Numbered<'a>]) -> Self {
        let by_id = |(number, service): &(u16, &'a Service)| (service.id.as_str(), *number);
        let by_name = |(group, number): (&'a Group, u16)| (&group.name, number);
        Self {
            services,
            service_numbers: services.iter().map(by_id).collect(),
            group_numbers: groups.iter().zip(1u16..).map(by_name).collect(),
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
            return [0]
                .into_iter()
                .chain(self.group_numbers.values().copied())
                .collect();
        };
        // A name without a number is `everyone`: no other comes out of the model.
        let number = |name| self.group_numbers.get(name).copied().unwrap_or(0);
        names.iter().map(number).collect()
    }
}

/// A set of service numbers.
#[derive(Clone, Debug, Default)]
struct Numbers([u64; SERVICES_MAX / 64]);

impl Numbers {
    fn insert(&mut self, number: u16) {
        if let Some(word) = self.0.get_mut(usize::from(number / 64)) {
            *word |= 1 << (number % 64);
        }
    }

    /// Takes out what is in `wanted`, and returns it.
    fn take(&mut self, wanted: &Self) -> Self {
        let mut taken = Self::default();
        for ((mine, wanted), taken) in self.0.iter_mut().zip(wanted.0).zip(&mut taken.0) {
            *taken = *mine & wanted;
            *mine &= !wanted;
        }
        taken
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The numbers, ascending.
    fn iter(&self) -> impl Iterator<Item = u16> {
        (0u16..).zip(self.0).flat_map(|(index, word)| {
            (0..64u16)
                .filter(move |bit| word >> bit & 1 == 1)
                .map(move |bit| index * 64 + bit)
        })
    }
}

/// What is said of a prefix by itself, before wider ones are considered.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    group: Option<u16>,
    flags: u16,
}

/// Every prefix with what it and the wider ones around it say. The table answers with the longest
/// prefix alone, so each entry has to say all of it.
fn prefixes(policy: &Policy, surroundings: &Surroundings) -> Vec<PrefixPlan> {
    let mut said: Vec<(IpNet, Said)> = Vec::new();
    for (group, number) in policy.groups().iter().zip(1u16..) {
        let group_said = Said {
            group: Some(number),
            flags: 0,
        };
        said.extend(
            group
                .prefixes
                .iter()
                .map(|prefix| (prefix.value, group_said)),
        );
    }
    let flagged = |flags| Said { group: None, flags };
    let protected = policy.protect().hosts.iter().map(|host| host.value);
    said.extend(protected.map(|net| (net, flagged(HostEntry::PROTECTED))));
    let own = surroundings.own.iter().copied().map(net::host_prefix);
    said.extend(own.map(|net| (net, flagged(HostEntry::OWN))));
    // `IpNet` sorts by family, address and length: a prefix comes before all that lie in it.
    said.sort_by_key(|(net, _)| *net);

    let mut plans: Vec<PrefixPlan> = Vec::with_capacity(said.len());
    // The prefixes around the current one, the widest first.
    let mut around: Vec<PrefixPlan> = Vec::new();
    for equal in said.chunk_by(|(a, _), (b, _)| a == b) {
        let Some((net, _)) = equal.first() else {
            continue;
        };
        while around.pop_if(|wider| !wider.net.contains(net)).is_some() {}
        let mut entry = around.last().map(|wider| wider.entry).unwrap_or_default();
        for (_, said) in equal {
            entry.group = said.group.unwrap_or(entry.group);
            entry.flags |= said.flags;
        }
        let plan = PrefixPlan { net: *net, entry };
        around.push(plan);
        plans.push(plan);
    }
    plans
}
