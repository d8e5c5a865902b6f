//! The tables beside the actions: by what traffic is told, whose hosts are whose, and settings.

use std::collections::BTreeMap;

use imblock_common::layout::{
    ActionCell, HostEntry, Marker, PortEntry, PortTable, Rate, ServiceSet,
};
use imblock_common::{Action, Transport};

use super::{EntryChange, TableDiff, entries};
use crate::policy::net::PortRange;
use crate::policy::plan::{MarkerPlan, NameKind, QuicMode, stun_table};
use crate::policy::{Plan, inside};

/// Every table in which something differs.
pub(super) fn tables(old: &Plan, new: &Plan) -> Vec<TableDiff> {
    let by_map =
        |map: fn(&Plan) -> BTreeMap<String, String>| entries(&map(old), &map(new), String::clone);
    let both = [
        ("settings", by_map(settings)),
        ("services", by_map(services)),
        ("hosts", hosts(old, new)),
        ("devices", by_map(devices)),
        ("schedules", by_map(schedules)),
        ("rates", by_map(rates)),
        ("ports", ports(old, new)),
        ("names", by_map(names)),
        ("addresses", remotes(old, new)),
        ("markers", markers(old, new)),
        ("stun", stun(old, new)),
    ];
    both.into_iter()
        .filter(|(_, entries)| !entries.is_empty())
        .map(|(table, entries)| TableDiff::of(table, entries))
        .collect()
}

fn settings(plan: &Plan) -> BTreeMap<String, String> {
    let hops = plan.hops;
    let quic = match plan.quic {
        QuicMode::Allow => "allow",
        QuicMode::Block => "block",
        QuicMode::Inspect => "inspect",
    };
    let hops = format!(
        "{}, within {} s, for {} s, after {}",
        hops.action().name(),
        hops.within_seconds,
        hops.shut_seconds,
        hops.after
    );
    let limits = plan.limits;
    BTreeMap::from([
        ("name".to_owned(), plan.name.clone()),
        ("quic".to_owned(), quic.to_owned()),
        ("hops".to_owned(), hops),
        ("limits.hosts".to_owned(), limits.hosts.to_string()),
        ("limits.prefixes".to_owned(), limits.prefixes.to_string()),
        ("limits.flows".to_owned(), limits.flows.to_string()),
        ("limits.inside".to_owned(), inside::words(&limits.inside)),
    ])
}

/// When the rules hold that do not always.
fn schedules(plan: &Plan) -> BTreeMap<String, String> {
    let rules = plan.timetable.rules().filter_map(|(entry, schedule)| {
        let rate = plan.rates.get(usize::from(entry.rate));
        let what = match rate.filter(|_| entry.action == Action::Limit) {
            Some(rate) => format!("limit to {}", rate_in_words(rate)),
            None => entry.action.name().to_owned(),
        };
        Some((
            format!("rule {}", entry.rule?),
            format!("{what}, {schedule}"),
        ))
    });
    rules.collect()
}

/// How fast the cells may be used that are limited.
fn rates(plan: &Plan) -> BTreeMap<String, String> {
    let mut rates = BTreeMap::new();
    let rows = plan.rate_rows.iter().zip(&plan.actions);
    for (group, (numbers, row)) in plan.groups.iter().zip(rows) {
        for service in &plan.services {
            let at = usize::from(service.number);
            let cell = row.0.get(at).map(|cell| ActionCell(*cell).policy());
            let number = numbers.0.get(at).copied().unwrap_or(0);
            if let (Some(Action::Limit), Some(rate)) = (cell, plan.rates.get(usize::from(number))) {
                rates.insert(format!("{} {group}", service.id), rate_in_words(rate));
            }
        }
    }
    rates
}

/// [`Rate::time`] is in nanoseconds times 2^16.
fn rate_in_words(rate: &Rate) -> String {
    const SECOND: u64 = 1_000_000_000;
    let per_second = (SECOND << 16) / rate.time.max(1);
    let unit = match rate.counts_packets() {
        true => "packets",
        false => "bytes",
    };
    let burst = rate.burst / (SECOND / 1000);
    format!("{per_second} {unit} a second, bursts of {burst} ms")
}

/// What services are used for, not who knows them: services of earlier policies keep a number.
fn services(plan: &Plan) -> BTreeMap<String, String> {
    let mut services = BTreeMap::new();
    for service in &plan.services {
        let mut roles = Vec::new();
        let has = |set: &ServiceSet| set.contains(service.number);
        if has(&plan.calls) {
            roles.push("calls");
        }
        if has(&plan.carriers) {
            roles.push("carries others");
        }
        if plan.generics.stun == service.number {
            roles.push("stands for STUN");
        }
        if plan.generics.rtp == service.number {
            roles.push("stands for RTP");
        }
        if !roles.is_empty() {
            services.insert(service.id.clone(), roles.join(", "));
        }
    }
    services
}

fn hosts(old: &Plan, new: &Plan) -> Vec<EntryChange> {
    let said = |plan: &Plan| -> BTreeMap<ipnet::IpNet, String> {
        let prefixes = plan.prefixes.iter();
        prefixes
            .map(|prefix| (prefix.net, host(plan, prefix.entry)))
            .collect()
    };
    entries(&said(old), &said(new), ToString::to_string)
}

/// Devices by their hardware addresses, and their groups.
fn devices(plan: &Plan) -> BTreeMap<String, String> {
    let devices = plan.macs.iter().map(|device| {
        let group = plan.groups.get(usize::from(device.group));
        let group = group.map_or("?", String::as_str);
        (device.mac.to_string(), group.to_owned())
    });
    devices.collect()
}

fn host(plan: &Plan, entry: HostEntry) -> String {
    let group = plan.groups.get(usize::from(entry.group));
    let mut said = vec![group.map_or("?", String::as_str)];
    if entry.is_protected() {
        said.push("protected");
    }
    if entry.is_own() {
        said.push("the box itself");
    }
    said.join(", ")
}

/// Neighbouring ports of which the same changes are one entry.
fn ports(old: &Plan, new: &Plan) -> Vec<EntryChange> {
    let mut changes: Vec<(PortRange, Option<String>, Option<String>)> = Vec::new();
    for transport in [Transport::Tcp, Transport::Udp] {
        for port in 1..=u16::MAX {
            let at = PortTable::index(transport, port);
            let entry = |plan: &Plan| PortEntry(plan.ports.0.get(at).copied().unwrap_or_default());
            if entry(old) == entry(new) {
                continue;
            }
            let (before, after) = (said_of_port(old, entry(old)), said_of_port(new, entry(new)));
            if before == after {
                continue;
            }
            if let Some((range, old, new)) = changes.last_mut()
                && (&*old, &*new) == (&before, &after)
                && range.extend(transport, port)
            {
                continue;
            }
            let range = PortRange::new(transport, port, port);
            changes.extend(range.map(|range| (range, before, after)));
        }
    }
    let entry = |(range, old, new): (PortRange, _, _)| EntryChange {
        entry: range.to_string(),
        old,
        new,
    };
    changes.into_iter().map(entry).collect()
}

fn said_of_port(plan: &Plan, entry: PortEntry) -> Option<String> {
    let mut said = Vec::new();
    if entry.service() != 0 {
        said.push(id(plan, entry.service()).to_owned());
        if entry.is_contested() {
            said.push("shared with a service that is treated differently".to_owned());
        } else if entry.is_outright() {
            said.push("content may say otherwise unless it is refused".to_owned());
        } else if !entry.is_final() {
            said.push("content may say otherwise".to_owned());
        }
    }
    if entry.is_protected() {
        said.push("protected".to_owned());
    }
    if entry.is_management() {
        said.push("protected at the box itself".to_owned());
    }
    (!said.is_empty()).then(|| said.join(", "))
}

fn names(plan: &Plan) -> BTreeMap<String, String> {
    let names = plan.names.iter().map(|name| {
        let kind = match name.kind {
            NameKind::Host => "",
            NameKind::Protocol => "alpn ",
        };
        let service = id(plan, name.service).to_owned();
        (format!("{kind}{}", name.suffix), service)
    });
    names.collect()
}

fn remotes(old: &Plan, new: &Plan) -> Vec<EntryChange> {
    let said = |plan: &Plan| -> BTreeMap<ipnet::IpNet, String> {
        let remotes = plan.remotes.iter();
        remotes
            .map(|remote| (remote.net, id(plan, remote.service).to_owned()))
            .collect()
    };
    entries(&said(old), &said(new), ToString::to_string)
}

/// How many markers of each service and transport there are, and how many of them may only count:
/// bytes would tell people nothing. Where as many are others, that is said.
fn markers(old: &Plan, new: &Plan) -> Vec<EntryChange> {
    let mut changes = Vec::new();
    for (transport, name) in [(Transport::Tcp, "tcp"), (Transport::Udp, "udp")] {
        let (before, after) = (of_services(old, transport), of_services(new, transport));
        let mut keys: Vec<&str> = before.keys().chain(after.keys()).copied().collect();
        keys.sort_unstable();
        keys.dedup();
        for service in keys {
            let [old, new] = [&before, &after].map(|side| side.get(service));
            if old == new {
                continue;
            }
            let (said_old, mut said_new) = (old.map(counted), new.map(counted));
            if said_old == said_new {
                said_new = said_new.map(|said| format!("{said}, others"));
            }
            changes.push(EntryChange {
                entry: format!("{name} {service}"),
                old: said_old,
                new: said_new,
            });
        }
    }
    changes
}

fn of_services(plan: &Plan, transport: Transport) -> BTreeMap<&str, Vec<&MarkerPlan>> {
    let mut by_service: BTreeMap<&str, Vec<&MarkerPlan>> = BTreeMap::new();
    for marker in plan.markers.of(transport) {
        let service = id(plan, marker.record.service);
        by_service.entry(service).or_default().push(marker);
    }
    by_service
}

fn counted(markers: &Vec<&MarkerPlan>) -> String {
    let uncertain = markers
        .iter()
        .filter(|marker| marker.record.has(Marker::UNCERTAIN))
        .count();
    match uncertain {
        0 => format!("{}", markers.len()),
        uncertain => format!("{}, of which {uncertain} may only count", markers.len()),
    }
}

fn stun(old: &Plan, new: &Plan) -> Vec<EntryChange> {
    let (before, after) = (
        stun_table(&old.stun_attributes),
        stun_table(&new.stun_attributes),
    );
    let mut changes: Vec<(u16, u16, EntryChange)> = Vec::new();
    for attribute in 0..=u16::MAX {
        let said = |plan: &Plan, (service, certain): (u16, bool)| {
            let sure = if certain { "" } else { ", may only count" };
            (service != 0).then(|| format!("{}{sure}", id(plan, service)))
        };
        let old = said(old, before.service(attribute));
        let new = said(new, after.service(attribute));
        if old == new {
            continue;
        }
        match changes.last_mut() {
            Some((_, last, change))
                if last.checked_add(1) == Some(attribute)
                    && (&change.old, &change.new) == (&old, &new) =>
            {
                *last = attribute;
            }
            _ => {
                let entry = String::new();
                changes.push((attribute, attribute, EntryChange { entry, old, new }));
            }
        }
    }
    let named = |(first, last, change): (u16, u16, EntryChange)| EntryChange {
        entry: match first == last {
            true => format!("{first:#06x}"),
            false => format!("{first:#06x}-{last:#06x}"),
        },
        ..change
    };
    changes.into_iter().map(named).collect()
}

fn id(plan: &Plan, number: u16) -> &str {
    let mut services = plan.services.iter();
    let found = services.find(|service| service.number == number);
    found.map_or("?", |service| &service.id)
}
