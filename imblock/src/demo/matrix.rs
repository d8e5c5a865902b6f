//! Who reaches what: the ports that are asked, and the answers of one round.

use std::net::SocketAddr;
use std::time::Duration;

use imblock_common::Transport;
use serde::Serialize;

use super::DemoError;
use super::counters::ServicesDocument;
use crate::lab::{Answer, Host, Lab, Probe, probe};

/// How long an answer may take. Less than the second after which TCP asks again, so that an
/// unanswered probe is exactly one packet; long enough for a busy machine.
const PATIENCE: Duration = Duration::from_millis(500);

/// Ports of messengers, as the two articles of 2004 list them.
const MESSENGERS: [(Transport, u16); 7] = [
    (Transport::Tcp, 1863),
    (Transport::Udp, 4000),
    (Transport::Tcp, 5050),
    (Transport::Tcp, 5190),
    (Transport::Tcp, 6667),
    (Transport::Tcp, 2980),
    (Transport::Tcp, 4800),
];

/// Ports of nobody in particular, which no step may touch.
const INNOCENT: [(Transport, u16); 2] = [(Transport::Tcp, 8443), (Transport::Udp, 12345)];

/// A port that is asked.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Target {
    /// The service whose port it is; none for an innocent one.
    pub(super) service: Option<String>,
    /// As the product writes it: `tcp/6667`.
    pub(super) port: String,
    #[serde(skip)]
    pub(super) transport: Transport,
    #[serde(skip)]
    number: u16,
}

/// One answer.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Cell {
    pub(super) host: String,
    #[serde(flatten)]
    pub(super) target: Target,
    /// Whether the server answered.
    pub(super) reachable: bool,
    /// Whether it should.
    pub(super) expected: bool,
}

/// Every port that the server listens on.
pub(super) fn listening() -> Vec<(Transport, u16)> {
    MESSENGERS.into_iter().chain(INNOCENT).collect()
}

/// Asks the product which service each port belongs to.
pub(super) fn targets(services: &ServicesDocument) -> Result<Vec<Target>, DemoError> {
    let target = |service, (transport, number)| Target {
        service,
        port: port_name(transport, number),
        transport,
        number,
    };
    let mut targets = Vec::new();
    for (transport, number) in MESSENGERS {
        let service = services
            .messenger_of(transport, number)
            .ok_or_else(|| DemoError::NoService(port_name(transport, number)))?;
        targets.push(target(Some(service.to_owned()), (transport, number)));
    }
    targets.extend(INNOCENT.map(|port| target(None, port)));
    Ok(targets)
}

/// Asks every port from every host, all at the same time.
pub(super) fn ask(
    lab: &Lab,
    targets: &[Target],
    expected: impl Fn(&str, Option<&str>) -> bool,
) -> Result<Vec<Cell>, DemoError> {
    let probes: Vec<Probe> = targets
        .iter()
        .map(|target| Probe {
            transport: target.transport,
            to: SocketAddr::new(lab.server.v4.into(), target.number),
        })
        .collect();
    let ask = |host: &Host| probe(&host.namespace, &probes, PATIENCE);
    let [alice, bob] = lab.lan_hosts();
    let (of_alice, of_bob) = std::thread::scope(|scope| {
        let alice = scope.spawn(|| ask(alice));
        let of_bob = ask(bob);
        let of_alice = alice
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (of_alice, of_bob)
    });
    let mut cells = Vec::new();
    for (host, answers) in [(alice, of_alice?), (bob, of_bob?)] {
        cells.extend(targets.iter().zip(answers).map(|(target, answer)| Cell {
            host: host.name().to_owned(),
            target: target.clone(),
            reachable: answer == Answer::Echoed,
            expected: expected(host.name(), target.service.as_deref()),
        }));
    }
    Ok(cells)
}

impl Cell {
    pub(super) fn is_as_expected(&self) -> bool {
        self.reachable == self.expected
    }
}

/// As the product writes a port.
pub(super) fn port_name(transport: Transport, number: u16) -> String {
    match transport {
        Transport::Tcp => format!("tcp/{number}"),
        Transport::Udp => format!("udp/{number}"),
    }
}
