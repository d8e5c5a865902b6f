//! What the tests have in common: a network with the executable at its router, its JSON, and
//! traffic that is counted by whoever sends and receives it.

mod controller;
mod documents;
mod frames;
mod metrics;
mod traffic;

use std::net::SocketAddr;
use std::process::Output;
use std::time::Duration;

use imblock::lab::{Answer, Host, Lab, Probe, Wiring, probe};
use imblock_common::Transport;
use serde::de::DeserializeOwned;

pub(crate) use crate::common::{Controller, Rig, eventually};
pub(crate) use documents::{Counts, HostsDocument, ServicesDocument, StatusDocument};
pub(crate) use frames::send_frames;
pub(crate) use metrics::metrics;
pub(crate) use traffic::{Numbered, Sink, Stream, send};

/// Long enough for a machine under load; below the second after which TCP asks again.
pub(crate) const PATIENCE: Duration = Duration::from_millis(800);

/// Two messengers of our own, so that no test depends on the catalogue.
pub(crate) const POLICY: &str = "\
version: 1
name: test
defaults: { action: count }
groups:
  support: [10.77.0.3/32, 'fd77::3/128']
services:
  - { id: acme, name: Acme Chat, category: im, ports: [tcp/7000, udp/7000] }
  - { id: bolt, name: Bolt, category: im, ports: [tcp/7001, udp/7001] }
";
/// A port of `acme`, of `bolt`, and of nobody.
pub(crate) const ACME: u16 = 7000;
pub(crate) const BOLT: u16 = 7001;
pub(crate) const NOBODY: u16 = 7002;
/// Every port that a test's server listens on.
pub(crate) const PORTS: [(Transport, u16); 6] = [
    (Transport::Tcp, ACME),
    (Transport::Udp, ACME),
    (Transport::Tcp, BOLT),
    (Transport::Udp, BOLT),
    (Transport::Tcp, NOBODY),
    (Transport::Udp, NOBODY),
];

impl Rig {
    /// With [`POLICY`] at hand, and nothing in force.
    pub(crate) fn new(test: &str) -> Option<Self> {
        Self::wired(test, Wiring::Plain)
    }

    pub(crate) fn wired(test: &str, wiring: Wiring) -> Option<Self> {
        let rig = Self::bare(test, wiring)?;
        rig.write("policy.yaml", POLICY);
        Some(rig)
    }

    /// With [`POLICY`] in force on the LAN.
    pub(crate) fn up(test: &str) -> Option<Self> {
        let rig = Self::new(test)?;
        rig.ok(&["up", "-p", "policy.yaml", "-i", Lab::LAN]);
        Some(rig)
    }

    /// Runs a command at the router for another instance than the rig's.
    pub(crate) fn as_instance(&self, instance: &str, arguments: &[&str]) -> Output {
        let mut command = self.command(instance, arguments);
        self.lab.router.namespace.output(&mut command).unwrap()
    }

    /// Runs a command that must fail with this exit code, and gives its complaint.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.imblock(arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(
            !stderr.trim().is_empty(),
            "{arguments:?} failed without a word"
        );
        stderr
    }

    #[track_caller]
    fn json<T: DeserializeOwned>(&self, command: &str) -> T {
        let text = self.ok(&[command, "--json"]);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{command}: {error} in {text}"))
    }

    #[track_caller]
    pub(crate) fn hosts(&self) -> HostsDocument {
        self.json("hosts")
    }

    #[track_caller]
    pub(crate) fn services(&self) -> ServicesDocument {
        self.json("services")
    }

    #[track_caller]
    pub(crate) fn status(&self) -> StatusDocument {
        self.json("status")
    }

    /// Starts `imblock run`, and waits until it is at work.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Controller {
        let controller = Controller::start(self, arguments);
        assert_eq!(self.status().controller, Some(controller.id()));
        controller
    }

    /// Whether TCP and UDP of a port answer over every address family. They must agree: where they don't,
    /// all are asked again, for a busy machine may need longer than [`PATIENCE`] for some of the answers.
    #[track_caller]
    pub(crate) fn reaches(&self, from: &Host, to: &Host, port: u16) -> bool {
        const ATTEMPTS: u32 = 3;
        let probes: Vec<Probe> = to
            .addresses()
            .flat_map(|address| {
                let to = SocketAddr::new(address, port);
                [Transport::Tcp, Transport::Udp].map(|transport| Probe { transport, to })
            })
            .collect();
        let mut answers = Vec::new();
        for _ in 0..ATTEMPTS {
            answers = probe(&from.namespace, &probes, PATIENCE).unwrap();
            for same in [Answer::Echoed, Answer::Silence] {
                if answers.iter().all(|answer| *answer == same) {
                    return same == Answer::Echoed;
                }
            }
        }
        panic!("port {port} from {}: {answers:?}", from.name());
    }

    /// Whether alice reaches acme, bolt and nobody's port.
    #[track_caller]
    pub(crate) fn alice_reaches(&self) -> [bool; 3] {
        let Lab { alice, server, .. } = &self.lab;
        [ACME, BOLT, NOBODY].map(|port| self.reaches(alice, server, port))
    }

    /// Whether bob does.
    #[track_caller]
    pub(crate) fn bob_reaches(&self) -> [bool; 3] {
        let Lab { bob, server, .. } = &self.lab;
        [ACME, BOLT, NOBODY].map(|port| self.reaches(bob, server, port))
    }

    /// The server's IPv4 address, with a port.
    pub(crate) fn server_at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.lab.server.v4.into(), port)
    }

    /// Pins of the instance.
    pub(crate) fn pins_exist(&self) -> bool {
        let root = std::env::var_os("IMBLOCK_BPFFS").unwrap_or_else(|| "/sys/fs/bpf".into());
        std::path::Path::new(&root)
            .join("imblock")
            .join(&self.instance)
            .exists()
    }
}
