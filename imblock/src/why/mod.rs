//! Why a packet fares as it does: the kernel's own answer, and who is responsible for it.
//!
//! A question becomes frames ([`made`] up, or those of a [`capture`]). They are run through a second
//! copy of the programs ([`crate::kernel::Probe`]); what that counts is the answer, and this module
//! only says who wrote the policy that led to it. Invariant: nothing is decided here that the programs
//! decide.

pub mod capture;
pub mod made;

use std::net::IpAddr;

use imblock_common::layout::{ActionCell, HostEntry, PortEntry};
use imblock_common::{Direction, Evidence, Hook, Outcome, Side, Transport, Verdict, View};
use ipnet::IpNet;

use crate::kernel::{KernelError, Probe};
use crate::policy::Plan;
use crate::policy::plan::QuicMode;
use crate::snapshot::Snapshot;

/// A flow, as its local host sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// TCP or UDP.
    pub transport: Transport,
    /// The local host and its port.
    pub local: (IpAddr, u16),
    /// The peer and its port.
    pub remote: (IpAddr, u16),
}

/// A frame to be judged.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it is, for people.
    pub what: String,
    /// Whether the local host sends or receives it.
    pub direction: Direction,
    /// Its bytes, from the Ethernet header on.
    pub frame: Vec<u8>,
}

/// Through which programs a flow goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Views {
    /// What the local host sends; none if nothing looks at it.
    pub sent: Option<View>,
    /// What it receives.
    pub received: Option<View>,
}

/// What became of one frame.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What it is, for people.
    pub what: String,
    /// Whether the local host sends or receives it.
    pub direction: Direction,
    /// Where it was judged; none where nothing looks at it.
    pub view: Option<View>,
    /// The local host's hardware address, where the programs look at it: on a LAN side.
    pub device: Option<[u8; 6]>,
    /// Whether it goes on.
    pub passes: bool,
}

/// What the programs say.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Every frame that was judged, the last one being the one that the rest is about.
    pub frames: Vec<Judged>,
    /// How far the last frame came; none if nothing looks at it.
    pub outcome: Option<Outcome>,
    /// What was told of it, by what, and what becomes of it.
    pub told: Option<(u16, Evidence, Verdict)>,
}

impl Views {
    /// Of an instance whose programs are attached there. A LAN side sees a flow first.
    pub fn of(attached: &[View]) -> Self {
        let first = |wanted: [(Side, Hook); 2]| {
            wanted
                .into_iter()
                .map(|(side, hook)| View { side, hook })
                .find(|view| attached.contains(view))
        };
        Self {
            sent: first([(Side::Lan, Hook::Ingress), (Side::Wan, Hook::Egress)]),
            received: first([(Side::Lan, Hook::Egress), (Side::Wan, Hook::Ingress)]),
        }
    }

    fn at(self, direction: Direction) -> Option<View> {
        match direction {
            Direction::Sent => self.sent,
            Direction::Received => self.received,
        }
    }
}

impl Answer {
    /// Runs the frames one after the other. With `stop`, the first one that is refused ends it, for
    /// none would come after it; a capture goes on, as it did.
    pub fn of(
        probe: &mut Probe,
        views: Views,
        steps: &[Step],
        stop: bool,
    ) -> Result<Self, KernelError> {
        for view in [views.sent, views.received].into_iter().flatten() {
            probe.tags(view)?;
        }
        let mut frames = Vec::new();
        let mut before = Snapshot::default();
        for (number, step) in steps.iter().enumerate() {
            let view = views.at(step.direction);
            // What each counts is of interest for the last one alone.
            if stop || number + 1 == steps.len() {
                before = probe.counted()?;
            }
            let passes = match view {
                Some(view) => probe.run(view, &step.frame)?,
                None => true,
            };
            frames.push(Judged {
                what: step.what.clone(),
                direction: step.direction,
                view,
                device: view
                    .filter(|view| view.side == Side::Lan)
                    .and_then(|_| local_device(step)),
                passes,
            });
            if stop && !passes {
                break;
            }
        }
        let after = probe.counted()?;
        Ok(Self {
            frames,
            outcome: new_outcome(&before, &after),
            told: newly_told(&before, &after),
        })
    }

    /// Whether the frame goes on.
    pub fn passes(&self) -> bool {
        self.frames.last().is_none_or(|frame| frame.passes)
    }
}

fn new_outcome(before: &Snapshot, after: &Snapshot) -> Option<Outcome> {
    let packets = |snapshot: &Snapshot, at: (View, Outcome)| {
        let mut frames = snapshot.frames.iter();
        let found = frames.find(|frames| (frames.view, frames.outcome) == at);
        found.map_or(0, |frames| frames.packets)
    };
    let mut frames = after.frames.iter();
    let new = frames.find(|frames| frames.packets > packets(before, (frames.view, frames.outcome)));
    new.map(|frames| frames.outcome)
}

fn newly_told(before: &Snapshot, after: &Snapshot) -> Option<(u16, Evidence, Verdict)> {
    let packets = |snapshot: &Snapshot, at: (u16, Evidence, Verdict)| {
        let services = snapshot.services.iter();
        let cells = services.filter(|service| service.number == at.0);
        let mut cells = cells.flat_map(|service| &service.cells);
        let found = cells.find(|cell| (cell.evidence, cell.verdict) == (at.1, at.2));
        found.map_or(0, |cell| cell.traffic.packets)
    };
    let cells = after.services.iter().flat_map(|service| {
        let cells = service.cells.iter();
        cells.map(|cell| (cell, (service.number, cell.evidence, cell.verdict)))
    });
    let mut new = cells.filter(|(cell, at)| cell.traffic.packets > packets(before, *at));
    new.next().map(|(_, at)| at)
}

/// The hardware address of the local end, of a frame on its link.
fn local_device(step: &Step) -> Option<[u8; 6]> {
    let at = match step.direction {
        Direction::Received => 0,
        Direction::Sent => 6,
    };
    step.frame.get(at..)?.first_chunk().copied()
}

/// The group that the local host has for the programs, and the hardware address or prefix that says so.
pub fn group_of(plan: &Plan, host: IpAddr, answer: &Answer) -> (u16, Option<String>) {
    let device = answer.frames.last().and_then(|frame| frame.device);
    let mut devices = plan.macs.iter();
    if let Some(known) = devices.find(|known| Some(known.mac.octets()) == device) {
        return (known.group, Some(known.mac.to_string()));
    }
    match prefix_of(plan, host) {
        Some((net, entry)) if entry.group != 0 => (entry.group, Some(net.to_string())),
        _ => (0, None),
    }
}

/// What the tables say of a host, and the prefix that says it.
fn prefix_of(plan: &Plan, host: IpAddr) -> Option<(IpNet, HostEntry)> {
    let host = host.to_canonical();
    let around = plan
        .prefixes
        .iter()
        .filter(|prefix| prefix.net.contains(&host));
    let longest = around.max_by_key(|prefix| prefix.net.prefix_len());
    longest.map(|prefix| (prefix.net, prefix.entry))
}

/// What protects a packet that the policy would drop, in words. The same questions that
/// `imblock_common::decide` asks, for people who want to know which of them was answered with yes.
pub fn guards(plan: &Plan, ends: &Ends, side: Side) -> Vec<String> {
    let mut guards = Vec::new();
    let dhcp = |port| matches!(port, 67 | 68 | 546 | 547);
    let transport = match ends.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    if ends.transport == Transport::Udp && dhcp(ends.local.1) && dhcp(ends.remote.1) {
        guards.push("DHCP is always protected".to_owned());
    }
    let mut port = |number: u16, host: IpAddr| {
        let entry: PortEntry = plan.port(ends.transport, number);
        if entry.is_protected() {
            guards.push(format!("`protect` names the port {transport}/{number}"));
        }
        let own = prefix_of(plan, host).is_some_and(|(_, entry)| entry.is_own());
        if entry.is_management() && own {
            guards.push(format!(
                "{transport}/{number} is a port through which the box itself is managed"
            ));
        }
    };
    port(ends.remote.1, ends.remote.0);
    if side == Side::Wan {
        port(ends.local.1, ends.local.0);
    }
    for host in [ends.local.0, ends.remote.0] {
        if let Some((net, entry)) = prefix_of(plan, host)
            && entry.is_protected()
        {
            guards.push(format!("{host} is protected (`protect`, {net})"));
        }
    }
    guards
}

/// What else should be known of an answer, in sentences.
pub fn notes(plan: &Plan, ends: &Ends, answer: &Answer, silent: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some((service, evidence, verdict)) = answer.told {
        let (group, _) = group_of(plan, ends.local.0, answer);
        let wants_drop = cell_of(plan, group, service).is_some_and(|cell| cell.action().refuses());
        if wants_drop && verdict == Verdict::Counted && evidence != Evidence::Hop {
            notes.push(
                "the evidence alone is not certain: it counts, and drops only if the policy's \
                 `trust` names the service, or something certain is said in the flow"
                    .to_owned(),
            );
        }
    }
    if answer.outcome == Some(Outcome::QuicRefused) {
        notes.push("`quic: block` refuses the beginnings of QUIC connections".to_owned());
    }
    let port = plan.port(ends.transport, ends.remote.1);
    if silent && answer.passes() && port.service() != 0 && !port.is_final() {
        notes.push(
            "services share this port: what is said in the first payloads may tell otherwise; \
             --name or --pcap asks about that"
                .to_owned(),
        );
    }
    if silent && port.service() == 0 && answer.told.is_none() {
        notes.push(
            "nothing that is known was said in this flow: names, payloads and calls may tell a service; \
             --name or --pcap asks about that"
                .to_owned(),
        );
    }
    if silent
        && answer
            .told
            .is_some_and(|(_, evidence, _)| evidence == Evidence::Prefix)
    {
        notes.push(
            "the address tells it as long as no other name is said: a flow that asks for a name of no \
             service in the open is nobody's; --name asks about that"
                .to_owned(),
        );
    }
    let quic = ends.transport == Transport::Udp && ends.remote.1 == 443;
    if quic && plan.quic == QuicMode::Inspect && answer.outcome == Some(Outcome::Unidentified) {
        notes.push("the name in a QUIC handshake judges the packets after it".to_owned());
    }
    notes
}

/// What a group does with a service.
pub fn cell_of(plan: &Plan, group: u16, service: u16) -> Option<ActionCell> {
    let row = plan.actions.get(usize::from(group))?;
    row.0
        .get(usize::from(service))
        .map(|cell| ActionCell(*cell))
}
