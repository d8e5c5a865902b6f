//! What the operator should know of a plan that is right all the same.

use std::collections::BTreeMap;

use imblock_common::layout::ActionCell;

use super::Plan;
use super::claims::Clash;
use super::marker::{Marker, Worth};
use super::model::{Policy, Rule, Service};
use super::net::PortRange;
use super::schedule::Schedule;

/// Services that are named in a warning before the rest is only counted.
const NAMED: usize = 8;

/// The warnings, each a sentence or two.
pub(super) fn warnings(
    policy: &Policy,
    plan: &Plan,
    services: &[&Service],
    idle_rules: &[usize],
    clashes: &[Clash],
) -> Vec<String> {
    let dropped: Vec<&Service> = services
        .iter()
        .filter(|service| is_dropped(plan, service))
        .copied()
        .collect();
    let mut warnings = Vec::new();
    warnings.extend(idle(policy, idle_rules));
    warnings.extend(always(policy));
    warnings.extend(without_evidence(&dropped));
    warnings.extend(
        dropped
            .iter()
            .filter_map(|service| uncertain(policy, service)),
    );
    warnings.extend(dropped.iter().flat_map(|service| collateral(service)));
    warnings.extend(
        services
            .iter()
            .flat_map(|service| protected(policy, service)),
    );
    warnings.extend(clashes.iter().map(|clash| clash_words(plan, clash)));
    warnings.extend(
        policy
            .services()
            .iter()
            .flat_map(|service| markers(policy, service)),
    );
    warnings
}

/// Whether some group's traffic of a service is refused, at some time.
fn is_dropped(plan: &Plan, service: &Service) -> bool {
    let number = plan.service(service.id.as_str()).map(|plan| plan.number);
    number.is_some_and(|number| {
        plan.timetable.may_drop(number)
            || plan.actions.iter().any(|row| {
                let cell = row.0.get(usize::from(number)).copied();
                cell.is_some_and(|cell| ActionCell(cell).policy().refuses())
            })
    })
}

fn idle(policy: &Policy, rules: &[usize]) -> Vec<String> {
    let words = |position: &usize| {
        let rule = policy.rules().get(*position)?;
        let place = policy.place(rule.at);
        Some(format!(
            "{place}: rule {} never applies: the rules before it decide everything it names",
            position + 1
        ))
    };
    rules.iter().filter_map(words).collect()
}

fn always(policy: &Policy) -> Vec<String> {
    let rules = policy.rules().iter().zip(1..);
    let always = rules.filter(|(rule, _)| rule.when.as_ref().is_some_and(Schedule::is_always));
    let words = |(rule, position): (&Rule, usize)| {
        let place = policy.place(rule.at);
        format!("{place}: the `when` of rule {position} holds at all times; leave it out")
    };
    always.map(words).collect()
}

/// A service of which all that tells it is too uncertain to drop.
fn uncertain(policy: &Policy, service: &Service) -> Option<String> {
    let mut worths = service.markers.iter().map(|marker| marker.worth);
    let mut worths_of_stun = service.stun.iter().map(|stun| stun.worth);
    let counts = |worth: Worth| worth == Worth::CountFirst;
    let some = !service.markers.is_empty() || !service.stun.is_empty();
    let nothing_else = service.ports.is_empty()
        && service.names.is_empty()
        && service.prefixes.is_empty()
        && service.alpn.is_empty();
    let uncertain = some && nothing_else && worths.all(counts) && worths_of_stun.all(counts);
    let id = service.id.as_str();
    let trusted = policy
        .trust()
        .iter()
        .any(|selector| selector.matches(id, service.category, service.status));
    (uncertain && !trusted).then(|| {
        format!(
            "dropping has no effect on {id}: what tells it is not certain (`use: count-first`) and only \
             counts; `trust: [{id}]` lets it drop all the same"
        )
    })
}

fn without_evidence(dropped: &[&Service]) -> Option<String> {
    let blind: Vec<&str> = dropped
        .iter()
        .filter(|service| {
            service.ports.is_empty()
                && service.names.is_empty()
                && service.prefixes.is_empty()
                && service.markers.is_empty()
                && service.alpn.is_empty()
                && service.stun.is_empty()
        })
        .map(|service| service.id.as_str())
        .collect();
    let (named, rest) = blind.split_at(blind.len().min(NAMED));
    let more = match rest.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!named.is_empty()).then(|| {
        format!(
            "dropping has no effect yet on {}{more}: this version tells services by their ports, names, prefixes and payloads, and these have nothing of their own",
            named.join(", ")
        )
    })
}

fn collateral(service: &Service) -> Vec<String> {
    // Several ports or names may break the same thing.
    let mut by_harm: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for collateral in &service.collateral {
        let evidence = by_harm.entry(&collateral.breaks).or_default();
        evidence.push(collateral.of.to_string());
    }
    let id = service.id.as_str();
    by_harm
        .iter()
        .map(|(harm, evidence)| {
            format!(
                "dropping {id} also breaks, on {}: {harm}",
                evidence.join(" and ")
            )
        })
        .collect()
}

fn protected(policy: &Policy, service: &Service) -> Vec<String> {
    let of_service = |range: PortRange| service.ports.iter().any(|port| port.overlaps(range));
    let ports = policy.protect().ports.iter();
    ports
        .filter(|port| of_service(port.value))
        .map(|port| {
            let place = policy.place(port.at);
            let id = service.id.as_str();
            format!(
                "{place}: {} is protected, so {id} is not dropped there",
                port.value
            )
        })
        .collect()
}

fn clash_words(plan: &Plan, clash: &Clash) -> String {
    let name = |number| {
        let service = plan
            .services
            .iter()
            .find(|service| service.number == number);
        service.map_or("?", |service| service.id.as_str())
    };
    let Clash {
        winner,
        loser,
        over,
    } = clash;
    let (winner, loser) = (name(*winner), name(*loser));
    format!("{winner} and {loser} both claim {over}; {winner} keeps it")
}

fn markers(policy: &Policy, service: &Service) -> Vec<String> {
    let id = service.id.as_str();
    let markers = service.markers.iter();
    let never = markers.filter(|marker| {
        let longest = marker.payload.map_or(u16::MAX, |payload| payload.most);
        usize::from(longest) < marker.reach()
    });
    let words = |marker: &Marker| {
        let place = policy.place(marker.at);
        let (longest, reach) = (
            marker.payload.map_or(0, |payload| payload.most),
            marker.reach(),
        );
        format!(
            "{place}: this marker of {id} never fits: it needs {reach} bytes of payload, and `payload` allows {longest}"
        )
    };
    never.map(words).collect()
}
