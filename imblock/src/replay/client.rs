//! Who is the local host: a capture has no LAN side, so the client of each flow stands for it.
//!
//! The first rule that tells the two ends apart decides, at the first packet of the flow that is
//! seen, and for the whole flow:
//!
//! 1. exactly one end lies in a prefix that the user calls local: it is the client;
//! 2. a TCP SYN comes from the client, a SYN-ACK goes to it;
//! 3. exactly one end has a private address: it is the client, as behind the NAT of an office;
//! 4. exactly one end has a server's port (below 1024, or one that the plan gives to a service), or
//!    both have and they differ: the (lower) server's port is the server's;
//! 5. who sends first is the client.
//!
//! Rule 2 comes before 3 so that a server of one's own, called from outside, is not taken for a
//! client. Rules 3 to 5 are for flows whose beginning is not in the capture, and for UDP, where a
//! capture may begin with an answer.

use std::net::IpAddr;

use imblock_common::{Addr, Packet, Segment, Transport};
use ipnet::IpNet;

use crate::policy::Plan;

/// Which end of a segment is the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The sender.
    Source,
    /// The receiver.
    Destination,
}

/// The rules, with what they need to know.
#[derive(Debug)]
pub struct ClientRules<'a> {
    local: &'a [IpNet],
    plan: &'a Plan,
}

/// Ports below are given to servers (IANA "System Ports", RFC 6335 section 6).
const SYSTEM_PORTS: u16 = 1024;
/// Offset of the flags in a TCP header, and the two that tell who calls.
const TCP_FLAGS_AT: usize = 13;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

impl<'a> ClientRules<'a> {
    /// `local` is what the user calls local; may be empty.
    pub fn new(local: &'a [IpNet], plan: &'a Plan) -> Self {
        Self { local, plan }
    }

    /// Applies the rules to the first packet of a flow.
    pub fn client<P: Packet>(&self, packet: P, segment: &Segment) -> Client {
        self.by_local_prefix(segment)
            .or_else(|| by_handshake(packet, segment))
            .or_else(|| by_private_address(segment))
            .or_else(|| self.by_port(segment))
            .unwrap_or(Client::Source)
    }

    fn by_local_prefix(&self, segment: &Segment) -> Option<Client> {
        if self.local.is_empty() {
            return None;
        }
        let is_local = |addr: Addr| {
            let addr = IpAddr::from(addr);
            self.local.iter().any(|net| net.contains(&addr))
        };
        only_one(is_local(segment.source), is_local(segment.destination))
    }

    fn by_port(&self, segment: &Segment) -> Option<Client> {
        let (source, destination) = (segment.source_port, segment.destination_port);
        let source_serves = self.is_server_port(segment.transport, source);
        let destination_serves = self.is_server_port(segment.transport, destination);
        if source_serves && destination_serves {
            return only_one(source > destination, destination > source);
        }
        only_one(destination_serves, source_serves)
    }

    fn is_server_port(&self, transport: Transport, port: u16) -> bool {
        port < SYSTEM_PORTS || self.plan.port(transport, port).service() != 0
    }
}

fn by_handshake<P: Packet>(packet: P, segment: &Segment) -> Option<Client> {
    if segment.transport != Transport::Tcp {
        return None;
    }
    let [flags] = packet.read::<1>(segment.transport_at + TCP_FLAGS_AT)?;
    match (flags & SYN != 0, flags & ACK != 0) {
        (true, false) => Some(Client::Source),
        (true, true) => Some(Client::Destination),
        (false, _) => None,
    }
}

fn by_private_address(segment: &Segment) -> Option<Client> {
    only_one(is_private(segment.source), is_private(segment.destination))
}

/// RFC 1918, shared (RFC 6598) and link-local IPv4; unique local and link-local IPv6.
fn is_private(addr: Addr) -> bool {
    match IpAddr::from(addr) {
        IpAddr::V4(addr) => {
            let [a, b, ..] = addr.octets();
            addr.is_private() || addr.is_link_local() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(addr) => addr.is_unique_local() || addr.is_unicast_link_local(),
    }
}

/// The client is the end for which the property holds, if it holds for one alone.
fn only_one(source: bool, destination: bool) -> Option<Client> {
    match (source, destination) {
        (true, false) => Some(Client::Source),
        (false, true) => Some(Client::Destination),
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
