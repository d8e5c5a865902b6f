//! What the table says of a port beside whose it is.
//!
//! Invariant: a port is final or contested, never both, and neither mark changes its service.

use std::collections::HashMap;

use imblock_common::Transport;
use imblock_common::layout::{PortEntry, PortTable};

use super::Surroundings;
use super::claims::SharedPort;
use super::compile::Numbered;
use super::model::{Protect, Service};
use super::words::Status;

/// From here on, a port may be anybody's for the length of a connection: systems lend them out.
const EPHEMERAL: u16 = 32_768;

/// Marks the ports that tell all there is to tell, and those that two services share of which a
/// group may use only one.
pub(super) fn settle(
    table: &mut PortTable,
    shared: &[SharedPort],
    services: &[Numbered<'_>],
    tell_apart: impl Fn(u16, u16) -> bool,
) {
    for (number, service) in services {
        if service.status == Status::Historic {
            for (index, _) in places(service).filter(|(_, port)| *port < EPHEMERAL) {
                change(table, index, |entry| match entry.service() {
                    owner if owner == *number => entry.as_final(),
                    _ => entry,
                });
            }
        }
    }
    for (number, service) in services {
        for index in asked_for(service) {
            change(table, index, |entry| match entry.service() {
                owner if owner == *number => entry,
                _ => entry.not_final(),
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
            true => entry.not_final().contested(),
            false => entry.not_final(),
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

/// The places of a service's ports, and the ports.
fn places(service: &Service) -> impl Iterator<Item = (usize, u16)> {
    service.ports.iter().flat_map(|range| {
        let transport = range.transport();
        range
            .ports()
            .map(move |port| (PortTable::index(transport, port), port))
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
    fn entry(rules: &str, port: u16) -> PortEntry {
        let text = format!(
            "version: 1
name: ports
services:
  - {{ id: old, name: Old, category: im, status: historic, ports: [tcp/1863, tcp/5000-5001, tcp/40000] }}
  - {{ id: other, name: Other, category: im, status: historic, ports: [tcp/5001] }}
  - {{ id: new, name: New, category: im, ports: [tcp/5002, tcp/5001] }}
  - {{ id: asks, name: Asks, category: im,
      markers: [{{ transport: tcp, bytes: \"2a 02\", ports: [\"5000\"], use: with-port }}] }}
rules:
{rules}
defaults: {{ action: allow }}
"
        );
        let policy = parse(Source::new("ports.yaml".to_owned(), text)).unwrap();
        let numbers = &mut ServiceNumbers::default();
        let plan = compile(&policy, &[], numbers, &Surroundings::default()).unwrap();
        PortEntry(plan.ports.0[PortTable::index(Transport::Tcp, port)])
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
    fn a_shared_port_is_contested_where_it_matters() {
        assert!(!entry(ALIKE, 5001).is_contested());
        assert!(entry(APART, 5001).is_contested());
        assert_eq!(entry(APART, 5001).service(), entry(APART, 1863).service());
        assert!(!entry(APART, 5002).is_contested());
    }
}
