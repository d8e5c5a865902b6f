//! From a policy to the tables: numbers for names, a cell for each group and service.
//!
//! Invariant: the same policy, numbers and surroundings give the same plan, and a policy that does
//! not compile leaves the numbers as they were.

use std::borrow::Cow;
use std::net::IpAddr;

use imblock_common::Transport;
use imblock_common::layout::{Generics, HopRule, ServiceSet};
use jiff::Timestamp;

use super::advice;
use super::cells::Cells;
use super::claims::Claims;
use super::error::PolicyErrors;
use super::error_kind::PolicyErrorKind;
use super::hops::Hops;
use super::hosts;
use super::markers;
use super::model::{Policy, Service};
use super::plan::{EVERYONE, MarkerPlans, ServicePlan};
use super::ports;
use super::words::Status;
use super::{Plan, ServiceNumbers};

/// What a plan depends on beside the policy: the box it is for, and the time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The box's own addresses.
    pub own: Vec<IpAddr>,
    /// Ports on which the operator reaches the box: the session, the metrics.
    pub management_ports: Vec<(Transport, u16)>,
    /// The instant that schedules are held against; the present one where there is none.
    pub at: Option<Timestamp>,
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
    let carriers = carriers(&markers);
    let mut port_table = claims.ports;
    ports::settle(
        &mut port_table,
        &claims.shared_ports,
        &numbered,
        &carriers,
        |one, other| cells.tell_apart(one, other),
    );
    ports::guard(&mut port_table, policy.protect(), surroundings);
    let prefixes = hosts::prefixes(policy, surroundings)?;
    let macs = hosts::macs(policy)?;

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
        rates: cells.rates.values,
        rate_rows: cells.rates.rows,
        leases: Vec::new(),
        origins: cells.origins,
        timetable: cells.timetable,
        sources: policy.source.digests(),
        prefixes,
        macs,
        remotes: claims.remotes,
        names: claims.names,
        generics: generics(&numbered),
        calls: calls(&numbered),
        carriers,
        hops: policy.hops().map_or(HopRule::COUNT, Hops::rule),
        quic: policy.quic(),
        markers,
        stun_attributes,
        warnings: Vec::new(),
    };
    plan.warnings = advice::warnings(policy, &plan, &services, &cells.idle_rules, &claims.clashes);
    plan.move_to(surroundings.at.unwrap_or_else(Timestamp::now));
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
