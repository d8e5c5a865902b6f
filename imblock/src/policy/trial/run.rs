//! Running the tests of a policy.
//!
//! Invariant: nothing is decided here. A test's frames go through the classifier that the kernel
//! runs, over the tables that a replay has; what comes out is compared with one word.

use std::net::SocketAddr;

use imblock_common::layout::Inside;
use imblock_common::testkit::{
    ClientHello, Frame, Layer, dns_query, dns_query_tcp, flags, http_request,
};
use imblock_common::{Addr, Evidence, Judgement, Tables, Transport, View, classify};
use jiff::Timestamp;

use super::{Expectation, Remote, Trial, TrialFault};
use crate::policy::error::PolicyErrors;
use crate::policy::model::Policy;
use crate::policy::plan::{Limits, Plan};
use crate::replay::{MemoryTables, set_cells};

impl Policy {
    /// Runs the policy's tests against a plan of it. `at` is the instant of tests that name none.
    ///
    /// # Errors
    /// Each test that comes out otherwise.
    pub fn try_out(&self, plan: &Plan, at: Timestamp) -> Result<(), PolicyErrors> {
        if self.trials().is_empty() {
            return Ok(());
        }
        let mut plan = plan.clone();
        // One connection at a time.
        plan.limits = Limits {
            hosts: 1,
            flows: FLOWS,
            inside: Inside::NONE,
            ..plan.limits
        };
        plan.move_to(at);
        let tables = MemoryTables::new(&plan);
        let mut now = at;
        let mut errors = Vec::new();
        for trial in self.trials() {
            let instant = trial.at.as_ref().map_or(at, |moment| moment.instant);
            if instant != now {
                plan.move_to(instant);
                set_cells(&plan.timetable, &tables, instant);
                now = instant;
            }
            let fate = Fate::of(trial, &plan, &tables);
            if fate.found != trial.expect {
                let kind = TrialFault::Failed {
                    expected: trial.expect.name(),
                    found: fate.found.name(),
                    because: fate.because,
                };
                errors.push(self.error_at(trial.place, kind.into()));
            }
        }
        PolicyErrors::none_or(errors)
    }
}

/// Flows that a test's tables remember.
const FLOWS: u32 = 1024;
/// Payloads of each end without a name: more than the classifier waits for before a port that two
/// services share decides by itself.
const ROUNDS: u32 = 8;
/// A port that systems lend to clients, of no service.
const CLIENT_PORT: u16 = 50_113;
const DNS: u16 = 53;
const HTTP: u16 = 80;
/// A payload that tells nothing: it begins like no protocol that is known.
pub(crate) const NONSENSE: [u8; 24] = *b"\x5f\xf1nothing that is known\r";

const SENT: View = View::LAN_INGRESS;
const RECEIVED: View = View::LAN_EGRESS;

/// What became of a connection, and why.
struct Fate {
    found: Expectation,
    because: String,
}

impl Fate {
    fn of(trial: &Trial, plan: &Plan, tables: &MemoryTables) -> Self {
        tables.forget_flows();
        let mut last: Option<Judgement> = None;
        for (view, frame) in frames(trial) {
            let judgement = classify(frame.as_slice(), view, tables);
            if judgement.service != 0 || !judgement.passes() {
                last = Some(judgement);
            }
            if !judgement.passes() {
                break;
            }
        }
        let Some(judgement) = last else {
            return Self {
                found: Expectation::Unidentified,
                because: "nothing tells a service".to_owned(),
            };
        };
        if judgement.service == 0 {
            return Self {
                found: Expectation::Drop,
                because: judgement.outcome.name().to_owned(),
            };
        }
        let half = Tables::policy(tables).half;
        let group = Tables::host(tables, half, &Addr::from(trial.from)).group;
        let action = Tables::action(tables, half, group, judgement.service);
        let found = Expectation::of(judgement.verdict, action.name());
        let service = plan
            .services
            .iter()
            .find(|known| known.number == judgement.service);
        let service = service.map_or("?", |service| &service.id);
        let origin = plan
            .origins
            .iter()
            .find(|origin| (origin.group, origin.service) == (group, judgement.service));
        let says = match origin {
            Some(origin) => format!("rule {} ({}) says", origin.rule, origin.place),
            None => "`defaults` say".to_owned(),
        };
        let told = told_by(judgement.evidence);
        let mut because = format!("`{service}`, told by {told}; {says} {}", action.name());
        if found == Expectation::Guarded {
            because.push_str(", and it is protected");
        } else if found == Expectation::Count && action.name() != "count" {
            because.push_str(", and what told it only counts");
        }
        Self { found, because }
    }
}

/// What told a service, in a sentence.
fn told_by(evidence: Evidence) -> String {
    match evidence.name() {
        what @ ("port" | "prefix") => format!("its {what}"),
        "sni" => "the name in TLS".to_owned(),
        "dns" => "the name in a DNS query".to_owned(),
        "http" => "the name in an HTTP request".to_owned(),
        "marker" => "a marker".to_owned(),
        what => what.to_owned(),
    }
}

/// What the ends say to each other, as the LAN sees it.
fn frames(trial: &Trial) -> Vec<(View, Vec<u8>)> {
    let to = trial.to.unwrap_or_else(|| Remote::anybody(trial.from));
    let said = trial.name.as_ref().map(|name| request(to, name.as_str()));
    let mut talk = Talk {
        ends: [SocketAddr::new(trial.from, CLIENT_PORT), to.address],
        numbers: [1, 1],
        frames: Vec::new(),
    };
    match to.transport {
        Transport::Tcp => {
            talk.tcp(0, flags::SYN, &[]);
            talk.tcp(1, flags::SYN | flags::ACK, &[]);
            talk.numbers = talk.numbers.map(|number| number + 1);
            match said {
                Some(said) => talk.tcp(0, flags::PSH | flags::ACK, &said),
                None => {
                    for _ in 0..ROUNDS {
                        talk.tcp(0, flags::PSH | flags::ACK, &NONSENSE);
                        talk.tcp(1, flags::PSH | flags::ACK, &NONSENSE);
                    }
                }
            }
        }
        Transport::Udp => match said {
            Some(said) => talk.udp(0, &said),
            None => {
                for _ in 0..ROUNDS {
                    talk.udp(0, &NONSENSE);
                    talk.udp(1, &NONSENSE);
                }
            }
        },
    }
    talk.frames
}

/// How a client asks for a name there.
fn request(to: Remote, name: &str) -> Vec<u8> {
    match (to.transport, to.address.port()) {
        (Transport::Udp, _) => dns_query(name),
        (Transport::Tcp, DNS) => dns_query_tcp(name),
        (Transport::Tcp, HTTP) => http_request("GET", "/", name),
        (Transport::Tcp, _) => ClientHello::new(name).build(),
    }
}

/// A conversation in the making.
struct Talk {
    /// The client, and the server.
    ends: [SocketAddr; 2],
    /// Next sequence numbers.
    numbers: [u32; 2],
    frames: Vec<(View, Vec<u8>)>,
}

impl Talk {
    fn tcp(&mut self, sender: usize, set: u8, payload: &[u8]) {
        let (view, source, destination) = self.way(sender);
        let Some(number) = self.numbers.get_mut(sender) else {
            return;
        };
        let frame = Frame::eth()
            .ip(source.ip(), destination.ip())
            .tcp(source.port(), destination.port())
            .flags(set)
            .payload(payload)
            .patch(Layer::Transport, 4, &number.to_be_bytes());
        *number += u32::try_from(payload.len()).unwrap_or(0);
        self.frames.push((view, frame.build()));
    }

    fn udp(&mut self, sender: usize, payload: &[u8]) {
        let (view, source, destination) = self.way(sender);
        let frame = Frame::eth()
            .ip(source.ip(), destination.ip())
            .udp(source.port(), destination.port())
            .payload(payload);
        self.frames.push((view, frame.build()));
    }

    fn way(&self, sender: usize) -> (View, SocketAddr, SocketAddr) {
        let [client, server] = self.ends;
        match sender {
            0 => (SENT, client, server),
            _ => (RECEIVED, server, client),
        }
    }
}
