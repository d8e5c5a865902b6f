//! What the table says of a port beside whose it is.
//!
//! Invariant: a port is final, refused outright or contested, or none of them; no mark changes its
//! service.

use std::collections::HashMap;

use imblock_common::Transport;
use imblock_common::layout::{PortEntry, PortTable, ServiceSet};

use super::Surroundings;
use super::claims::SharedPort;
use super::compile::Numbered;
use super::model::{Protect, Service};
use super::words::Status;

/// From here on, a port may be anybody's for the length of a connection: systems lend them out.
const EPHEMERAL: u16 = 32_768;

/// Marks the ports that tell all there is to tell, those that are reason enough to refuse their
/// service, and those that two services share of which a group may use only one.
pub(super) fn settle(
    table: &mut PortTable,
    shared: &[SharedPort],
    services: &[Numbered<'_>],
    carriers: &ServiceSet,
    tell_apart: impl Fn(u16, u16) -> bool,
) {
    for (number, service) in services {
        let is_final = service.status == Status::Historic;
        // What travels in a carrier may be another service's.
        let is_alone = is_final || !carriers.contains(*number);
        for (transport, port) in places(service).filter(|(_, port)| *port < EPHEMERAL) {
            // Of TCP the SYN is refused.
            let is_outright = is_alone && transport == Transport::Udp;
            change(table, PortTable::index(transport, port), |entry| {
                match entry.service() == *number {
                    true => entry.alone(is_final, is_outright),
                    false => entry,
                }
            });
        }
    }
    for (number, service) in services {
        for index in asked_for(service) {
            change(table, index, |entry| match entry.service() {
                owner if owner == *number => entry,
                _ => entry.open(),
            });
        }
    }
    // The same pair mostly shares many ports.
    let mut known = HashMap::new();
    for port in shared {
        let contested = *known
            .entry((port.winner, port.loser))
            .or_insert_with(|| tell_apart(port.winner, port.loser));
        change(table, port.index, |entry| match contested {
            true => entry.open().contested(),
            false => entry.open(),
        });
    }
}

/// Marks what is never dropped.
pub(super) fn guard(table: &mut PortTable, protect: &Protect, surroundings: &Surroundings) {
    for range in &protect.ports {
        let range = range.value;
        for port in range.ports() {
            let index = PortTable::index(range.transport(), port);
            change(table, index, PortEntry::protected);
        }
    }
    for (transport, port) in &surroundings.management_ports {
        let index = PortTable::index(*transport, *port);
        change(table, index, PortEntry::management);
    }
}

/// A service's ports.
fn places(service: &Service) -> impl Iterator<Item = (Transport, u16)> {
    service.ports.iter().flat_map(|range| {
        let transport = range.transport();
        range.ports().map(move |port| (transport, port))
    })
}

/// The places of the ports on which a service's markers are looked for: another service's port is
/// not worth less than what is said there.
fn asked_for(service: &Service) -> impl Iterator<Item = usize> {
    service.markers.iter().flat_map(|marker| {
        let transports = [Transport::Tcp, Transport::Udp];
        let transports = transports
            .into_iter()
            .filter(|transport| marker.transport.includes(*transport));
        transports.flat_map(|transport| {
            let ports = marker.ports.iter();
            ports.flat_map(move |ports| {
                (ports.first..=ports.last).map(move |port| PortTable::index(transport, port))
            })
        })
    })
}

fn change(table: &mut PortTable, index: usize, change: impl FnOnce(PortEntry) -> PortEntry) {
    if let Some(entry) = table.0.get_mut(index) {
        *entry = change(PortEntry(*entry)).0;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::policy::compile::compile;
    use crate::policy::{ServiceNumbers, Source, parse};

    /// The entry of a port by a policy with services of its own.
    fn entry_of(rules: &str, transport: Transport, port: u16) -> PortEntry {
        let text = format!(
            "version: 1
name: ports
services:
  - {{ id: old, name: Old, category: im, status: historic, ports: [tcp/1863, tcp/5000-5001, tcp/40000] }}
  - {{ id: other, name: Other, category: im, status: historic, ports: [tcp/5001] }}
  - {{ id: new, name: New, category: im, ports: [tcp/5002, tcp/5001] }}
  - {{ id: asks, name: Asks, category: im,
      markers: [{{ transport: tcp, bytes: \"2a 02\", ports: [\"5000\"], use: with-port }}] }}
  - {{ id: live, name: Live, category: im, ports: [udp/6000-6002, tcp/6000, udp/40001] }}
  - {{ id: shares, name: Shares, category: im, ports: [udp/6001] }}
  - {{ id: asks-udp, name: Asks over UDP, category: im,
      markers: [{{ transport: udp, bytes: \"2a 02\", ports: [\"6002\"], use: with-port }}] }}
  - {{ id: carrier, name: Carrier, category: im, ports: [udp/6003],
      markers: [{{ transport: udp, text: \"CARRIES\" }}] }}
  - {{ id: inner, name: Inner, category: im,
      markers: [{{ transport: udp, in: carrier, packet: any, text: \"INNER\" }}] }}
rules:
{rules}
defaults: {{ action: allow }}
"
        );
        let policy = parse(Source::new("ports.yaml".to_owned(), text)).unwrap();
        let numbers = &mut ServiceNumbers::default();
        let plan = compile(&policy, &[], numbers, &Surroundings::default()).unwrap();
        PortEntry(plan.ports.0[PortTable::index(transport, port)])
    }

    fn entry(rules: &str, port: u16) -> PortEntry {
        entry_of(rules, Transport::Tcp, port)
    }

    const ALIKE: &str = "  - { services: [\"all\"], action: drop }";
    const APART: &str = "  - { services: [old], action: drop }";

    #[test]
    fn a_historic_service_has_its_ports_for_good() {
        assert!(entry(ALIKE, 1863).is_final());
        assert!(!entry(ALIKE, 1863).is_contested());
    }

    #[test]
    fn a_port_that_may_be_anything_else_is_not_final() {
        for (port, why) in [
            (5000, "a marker of another service asks for it"),
            (5001, "others claim it too"),
            (5002, "its service is alive"),
            (40_000, "systems lend it out"),
            (7000, "it is nobody's"),
        ] {
            assert!(!entry(ALIKE, port).is_final(), "{port}: {why}");
        }
    }

    #[test]
    fn a_udp_port_of_one_service_alone_is_reason_enough_to_refuse_it() {
        let outright = |transport, port| entry_of(ALIKE, transport, port).is_outright();
        assert!(outright(Transport::Udp, 6000));
        assert!(!outright(Transport::Tcp, 6000), "there the SYN is refused");
        for (port, why) in [
            (6001, "others claim it too"),
            (6002, "a marker of another service asks for it"),
            (6003, "what travels in it may be another service's"),
            (40_001, "systems lend it out"),
            (7000, "it is nobody's"),
        ] {
            assert!(!outright(Transport::Udp, port), "{port}: {why}");
        }
    }

    #[test]
    fn a_shared_port_is_contested_where_it_matters() {
        assert!(!entry(ALIKE, 5001).is_contested());
        assert!(entry(APART, 5001).is_contested());
        assert_eq!(entry(APART, 5001).service(), entry(APART, 1863).service());
        assert!(!entry(APART, 5002).is_contested());
    }
}
