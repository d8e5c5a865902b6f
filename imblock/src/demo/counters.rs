//! The product's counters, and what they must say after the rounds.

use std::collections::BTreeMap;

use imblock_common::Transport;
use serde::Deserialize;

use super::matrix::{Cell, port_name};
use crate::lab::Lab;

/// `imblock services --json`, as far as the demo needs it.
#[derive(Debug, Deserialize)]
pub(super) struct ServicesDocument {
    services: Vec<Service>,
}

/// `imblock hosts --json`, as far as the demo needs it.
#[derive(Debug, Deserialize)]
pub(super) struct HostsDocument {
    hosts: Vec<Row>,
    overflow: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Service {
    id: String,
    category: String,
    ports: Vec<String>,
    passed: Counts,
    refused: Counts,
}

#[derive(Debug, Deserialize)]
struct Row {
    /// Absent in an overflow.
    host: Option<String>,
    service: String,
    passed: Directions,
    refused: Directions,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Directions {
    sent: Counts,
    received: Counts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
struct Counts {
    packets: u64,
    bytes: u64,
}

impl ServicesDocument {
    /// The messenger that has a port.
    pub(super) fn messenger_of(&self, transport: Transport, number: u16) -> Option<&str> {
        self.services
            .iter()
            .filter(|service| service.category == "im")
            .find(|service| {
                service
                    .ports
                    .iter()
                    .any(|port| covers(port, transport, number))
            })
            .map(|service| service.id.as_str())
    }
}

/// Whether `tcp/6660-6669` or `tcp/6667` covers a port.
fn covers(port: &str, transport: Transport, number: u16) -> bool {
    let name = port_name(transport, number);
    let Some((wanted, _)) = name.split_once('/') else {
        return false;
    };
    let Some((protocol, range)) = port.split_once('/') else {
        return false;
    };
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    protocol == wanted
        && first.parse().is_ok_and(|first: u16| first <= number)
        && last.parse().is_ok_and(|last: u16| number <= last)
}

/// What the counters must say of one host and service.
#[derive(Clone, Copy, Debug, Default)]
struct Probed {
    /// Probes that were answered, by UDP and by TCP.
    udp: u64,
    tcp: u64,
    /// Probes that were not: a packet each.
    silent: u64,
}

/// How many counters were compared, and those that are wrong, in words.
#[derive(Debug, Default)]
pub(super) struct Audit {
    pub(super) compared: usize,
    pub(super) wrong: Vec<String>,
}

/// Holds the counters against all probes since the instance came up.
pub(super) fn audit(
    lab: &Lab,
    cells: &[Cell],
    hosts: &HostsDocument,
    services: &ServicesDocument,
) -> Audit {
    let mut audit = Audit::default();
    for ((host, service), probed) in probed(cells) {
        let address = lab
            .lan_hosts()
            .into_iter()
            .find(|machine| machine.name() == host)
            .map(|machine| machine.v4.to_string());
        let row = hosts
            .hosts
            .iter()
            .find(|row| row.host == address && row.service == service);
        audit.host(&format!("{host}, {service}"), probed, row);
    }
    for service in &services.services {
        audit.total(service, hosts);
    }
    audit
}

fn probed(cells: &[Cell]) -> BTreeMap<(&str, &str), Probed> {
    let mut all: BTreeMap<(&str, &str), Probed> = BTreeMap::new();
    for cell in cells {
        let Some(service) = cell.target.service.as_deref() else {
            continue;
        };
        let probed = all.entry((&cell.host, service)).or_default();
        match (cell.reachable, cell.target.transport) {
            (false, _) => probed.silent += 1,
            (true, Transport::Udp) => probed.udp += 1,
            (true, Transport::Tcp) => probed.tcp += 1,
        }
    }
    all
}

impl Audit {
    fn expect(&mut self, what: &str, is: u64, should: u64) {
        self.compared += 1;
        if is != should {
            self.wrong
                .push(format!("{what}: {is} packets, not {should}"));
        }
    }

    /// One host and service. Datagrams are counted one by one; an answered TCP probe is at least
    /// the handshake, the line, its echo and the farewell, but acknowledgements may be merged.
    fn host(&mut self, who: &str, probed: Probed, row: Option<&Row>) {
        let (passed, refused) = row.map_or_else(Default::default, |row| (row.passed, row.refused));
        self.expect(
            &format!("{who}, refused"),
            refused.sent.packets,
            probed.silent,
        );
        self.expect(
            &format!("{who}, refused on the way back"),
            refused.received.packets,
            0,
        );
        for (direction, counts) in [("sent", passed.sent), ("received", passed.received)] {
            let what = format!("{who}, {direction}");
            if probed.tcp == 0 {
                self.expect(&what, counts.packets, probed.udp);
                continue;
            }
            self.compared += 1;
            let least = probed.udp + 3 * probed.tcp;
            if counts.packets < least {
                self.wrong.push(format!(
                    "{what}: {} packets, fewer than {least}",
                    counts.packets
                ));
            }
        }
    }

    /// The sum over hosts and overflow is the total of the service, to the packet.
    fn total(&mut self, service: &Service, hosts: &HostsDocument) {
        let mut passed = Counts::default();
        let mut refused = Counts::default();
        let rows = hosts.hosts.iter().chain(&hosts.overflow);
        for row in rows.filter(|row| row.service == service.id) {
            passed.add(row.passed);
            refused.add(row.refused);
        }
        for (what, sum, total) in [
            ("passed", passed, service.passed),
            ("refused", refused, service.refused),
        ] {
            if total == Counts::default() && sum == total {
                continue;
            }
            self.compared += 1;
            if sum != total {
                self.wrong.push(format!(
                    "{}: {what} is {} packets of {} bytes over all hosts, but {} of {} in total",
                    service.id, sum.packets, sum.bytes, total.packets, total.bytes
                ));
            }
        }
    }
}

impl Counts {
    fn add(&mut self, directions: Directions) {
        for more in [directions.sent, directions.received] {
            self.packets = self.packets.saturating_add(more.packets);
            self.bytes = self.bytes.saturating_add(more.bytes);
        }
    }
}
