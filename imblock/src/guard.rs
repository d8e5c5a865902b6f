//! The proof that no rule of a policy reaches what must never be dropped.
//!
//! Not by reading the policy: frames of everything that is guarded go through the classifier, over the
//! compiled tables, with every service of every group refused, QUIC blocked, servers shut after one
//! refusal, and every port claimed by a service. What passes then passes whatever the rules say.
//!
//! Invariant: only what the plan itself protects is relied on; a flag that was lost on the way from
//! the policy to the tables is a breach, not a gap.

mod frames;
mod session;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use imblock_common::hops::AFTER_MAX;
use imblock_common::layout::{
    ActionCell, ActionRow, HopRule, Inside, PortEntry, PortTable, SERVICES_MAX,
};
use imblock_common::{Action, Hook, Side, Transport, View, classify, record};
use ipnet::IpNet;
use serde::Serialize;

use crate::policy::plan::{Limits, QuicMode};
use crate::policy::{Plan, Protect, Surroundings};
use crate::replay::MemoryTables;

pub use session::Session;

/// The most addresses of the box, and peers, that are tried one by one.
const ADDRESSES_MAX: usize = 64;

/// What was tried.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Proof {
    /// What no rule can reach, in words.
    pub guarded: Vec<String>,
    /// What a rule could reach, in words. Empty, or the policy must not be put in force.
    pub breaches: Vec<String>,
    /// How many frames were judged.
    pub frames: u64,
}

/// A policy could cut somebody off.
#[derive(Debug, thiserror::Error)]
#[error(
    "under this policy rules could drop {}: this is a fault of imblock, please report it",
    .0.join(", ")
)]
pub struct GuardError(pub Vec<String>);

impl Proof {
    /// Tries a plan. `session` is the operator's own.
    pub fn of(
        plan: &Plan,
        protect: &Protect,
        surroundings: &Surroundings,
        session: Option<&Session>,
    ) -> Self {
        let mut proof = Self::default();
        let worst = worst_cases(plan);
        let mut hold = |what: &str, frames: &mut dyn Iterator<Item = (View, Vec<u8>)>| {
            let mut frames = frames.peekable();
            if frames.peek().is_none() {
                return;
            }
            let mut holds = true;
            for (view, frame) in frames {
                proof.frames += 1;
                holds &= worst.iter().all(|tables| passes(tables, view, &frame));
            }
            let list = if holds {
                &mut proof.guarded
            } else {
                &mut proof.breaches
            };
            list.push(what.to_owned());
        };
        hold("ARP", &mut everywhere(frames::arp()));
        hold("neighbour discovery", &mut everywhere(frames::discovery()));
        hold("DHCP", &mut everywhere(frames::dhcp()));
        if let Some(session) = session {
            let frames = exchange(Transport::Tcp, session.client, session.server);
            let what = format!("your session from {}", session.client.ip());
            hold(&what, &mut frames.into_iter());
        }
        let own = surroundings.own.iter().map(IpAddr::to_canonical);
        let own: Vec<IpAddr> = own.take(ADDRESSES_MAX).collect();
        for (transport, port) in &surroundings.management_ports {
            let what = format!("{} of this box", port_name(*transport, *port));
            let frames = own.iter().flat_map(|address| {
                let to = SocketAddr::new(*address, *port);
                let peers = peers(plan, *address);
                let frames = move |peer| exchange(*transport, SocketAddr::new(peer, 40_000), to);
                peers.into_iter().flat_map(frames)
            });
            hold(&what, &mut { frames });
        }
        for range in &protect.ports {
            let transport = range.value.transport();
            let frames = range.value.ports().flat_map(|port| {
                let to = SocketAddr::new(SERVER.into(), port);
                exchange(transport, SocketAddr::new(CLIENT.into(), 40_000), to)
            });
            hold(&range.value.to_string(), &mut { frames });
        }
        for host in &protect.hosts {
            let frames = ends(host.value).into_iter().flat_map(|address| {
                let peers = peers(plan, address);
                let frames = move |peer| both_ways(address, peer);
                peers.into_iter().flat_map(frames)
            });
            hold(&host.value.to_string(), &mut { frames });
        }
        proof
    }

    /// An error when something could be reached.
    pub fn holds(self) -> Result<Self, GuardError> {
        match self.breaches.is_empty() {
            true => Ok(self),
            false => Err(GuardError(self.breaches)),
        }
    }
}

/// Whoever no policy knows.
const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const STRANGER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 7);

/// The tables of the plan with everything refused, by each way to refuse; as they are otherwise, and
/// with every port claimed by a service.
fn worst_cases(plan: &Plan) -> Vec<MemoryTables> {
    let refusing = Action::ALL
        .into_iter()
        .filter(|action| !matches!(action, Action::Allow | Action::Count));
    let cases = refusing.flat_map(|action| [false, true].map(|claimed| (action, claimed)));
    let service = plan.services.first().map_or(1, |service| service.number);
    let mut worst = plan.clone();
    worst.quic = QuicMode::Block;
    worst.hops = HopRule {
        action: Action::Drop as u32,
        after: 1,
        ..plan.hops
    };
    // What the tables hold is not what is tried, and they need not be large.
    worst.limits = Limits {
        hosts: 64,
        flows: 1024,
        inside: Inside::NONE,
        ..plan.limits
    };
    let mut tables: Vec<MemoryTables> = Vec::new();
    for (action, claimed) in cases {
        let cell = ActionCell::of_policy(action).0;
        worst.actions.fill(ActionRow([cell; SERVICES_MAX]));
        worst.ports.clone_from(&plan.ports);
        if claimed {
            let (tcp, udp) = worst.ports.0.split_at_mut(PortTable::LEN / 2);
            tcp.iter_mut().for_each(|port| claim(port, service, false));
            udp.iter_mut().for_each(|port| claim(port, service, true));
        }
        tables.push(match tables.first() {
            None => MemoryTables::new(&worst),
            Some(first) => first.of_variant(&worst),
        });
    }
    tables
}

/// Makes a port a service's, for good, protected as it was. Only one of UDP can be reason enough to refuse
/// it.
fn claim(port: &mut u16, service: u16, is_udp: bool) {
    let before = PortEntry(*port);
    let mut claimed = PortEntry::of(service).alone(true, is_udp);
    if before.is_protected() {
        claimed = claimed.protected();
    }
    if before.is_management() {
        claimed = claimed.management();
    }
    *port = claimed.0;
}

/// Whether a frame passes, also for a host that was just refused.
fn passes(tables: &MemoryTables, view: View, frame: &[u8]) -> bool {
    let judgement = classify(frame, view, tables);
    record::record(&judgement, frame, view, tables);
    judgement.passes()
}

/// The frames in every view.
fn everywhere(frames: Vec<Vec<u8>>) -> impl Iterator<Item = (View, Vec<u8>)> {
    let views = move |frame: Vec<u8>| View::ALL.map(|view| (view, frame.clone()));
    frames.into_iter().flat_map(views)
}

/// What a client and a server say, as seen on both sides of a box: on the LAN the client is a local
/// host, towards the world the server is, and what the box asks of the world.
fn exchange(transport: Transport, client: SocketAddr, server: SocketAddr) -> Vec<(View, Vec<u8>)> {
    if client.is_ipv4() != server.is_ipv4() {
        return Vec::new();
    }
    let said = frames::said(transport, client, server);
    let answered = frames::said(transport, server, client);
    let mut seen = Vec::new();
    for (side, to_server, to_client) in [
        (Side::Lan, Hook::Ingress, Hook::Egress),
        (Side::Wan, Hook::Ingress, Hook::Egress),
    ] {
        let view = |hook| View { side, hook };
        seen.extend(said.iter().map(|frame| (view(to_server), frame.clone())));
        seen.extend(
            answered
                .iter()
                .map(|frame| (view(to_client), frame.clone())),
        );
    }
    seen
}

/// What two hosts say to each other on any port, whichever of them is local.
fn both_ways(one: IpAddr, other: IpAddr) -> Vec<(View, Vec<u8>)> {
    let mut frames = Vec::new();
    // A run through the ports of the other, which a rule for hops would stop.
    for port in 6_000..=6_001 + u16::try_from(AFTER_MAX).unwrap_or(16) {
        for transport in [Transport::Tcp, Transport::Udp] {
            let (near, far) = (SocketAddr::new(one, 40_000), SocketAddr::new(other, port));
            frames.extend(exchange(transport, near, far));
            frames.extend(exchange(transport, far, near));
        }
    }
    frames
}

/// Hosts of an address's family: one of each group, and a stranger.
fn peers(plan: &Plan, of: IpAddr) -> Vec<IpAddr> {
    let stranger: IpAddr = match of {
        IpAddr::V4(_) => CLIENT.into(),
        IpAddr::V6(_) => STRANGER6.into(),
    };
    let mut peers = vec![stranger];
    let mut groups = Vec::new();
    for prefix in &plan.prefixes {
        let address = prefix.net.network();
        let group = prefix.entry.group;
        if address.is_ipv4() == of.is_ipv4() && !groups.contains(&group) {
            groups.push(group);
            peers.push(address);
        }
    }
    peers.truncate(ADDRESSES_MAX);
    peers
}

/// The first and the last address of a prefix.
fn ends(net: IpNet) -> [IpAddr; 2] {
    [net.network(), net.broadcast()]
}

fn port_name(transport: Transport, port: u16) -> String {
    match transport {
        Transport::Tcp => format!("tcp/{port}"),
        Transport::Udp => format!("udp/{port}"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
