//! Syntax: what the bytes of a frame say. No policy, no direction, no service.
//!
//! Each parser checks, reads a whole header, and says what comes next and where. What can't be
//! parsed has a name ([`Unparsed`]), a counter, and passes.

pub(crate) mod dns;
mod host;
pub(crate) mod http;
mod ipv4;
mod ipv6;
mod link;
pub mod quic;
pub(crate) mod socks;
pub(crate) mod stun;
pub mod tls;
mod transport;
mod window;

use window::Window;

use crate::{Addr, Bytes};

pub use dns::{DNS_LABELS_MAX, DNS_PORT};
pub use host::{HOST_MAX, HostName};
pub use http::{HTTP_HOST_MAX, HTTP_SEARCHED};
pub use ipv6::EXTENSIONS_MAX;
pub use link::VLAN_DEPTH_MAX;
pub use link::ethertype;
pub use stun::STUN_ATTRIBUTES_MAX;
pub use tls::TLS_EXTENSIONS_MAX;
pub use transport::Body;

/// A transport protocol that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Transport {
    /// TCP, RFC 9293.
    Tcp = 0,
    /// UDP, RFC 768.
    Udp = 1,
}

/// A TCP segment or UDP datagram, as far as its headers tell. Ports are in host byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Network source address.
    pub source: Addr,
    /// Network destination address.
    pub destination: Addr,
    /// Port at the source.
    pub source_port: u16,
    /// Port at the destination.
    pub destination_port: u16,
    /// TCP or UDP.
    pub transport: Transport,
    /// Offset of the transport header in the frame.
    pub transport_at: usize,
    /// Offset in the frame at which the IP packet ends, by its own word: it may lie.
    pub end: usize,
    /// Which part of the datagram this is. A later one has no ports: both are 0.
    pub part: Part,
    /// What all parts of the datagram have in common besides addresses and protocol; 0 for a whole
    /// one.
    pub identification: u32,
}

/// Which part of a datagram a packet carries (RFC 791 section 3.2, RFC 8200 section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Part {
    /// All of it.
    Whole = 0,
    /// Its first fragment.
    First = 1,
    /// Another fragment.
    Later = 2,
}

/// Why a frame was not parsed down to its ports. Such a frame passes and is counted under its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unparsed {
    /// The frame ends inside a header.
    Truncated,
    /// Not IPv4 or IPv6: ARP, LLDP, spanning tree, PPPoE discovery and the like.
    NotIp,
    /// A fragment other than the first, of neither TCP nor UDP.
    LaterFragment,
    /// A header contradicts itself: a wrong version, a header length below the minimum.
    BadHeader,
    /// More VLAN tags or IPv6 extension headers than are followed.
    TooDeep,
    /// IP, but neither TCP nor UDP: ICMP, ESP, GRE, …
    OtherTransport,
}

/// Parses an Ethernet frame down to its ports.
#[inline(always)]
pub fn frame<B: Bytes>(packet: B) -> Result<Segment, Unparsed> {
    let (ethertype, at) = link::ethernet(packet)?;
    after_link(packet, ethertype, at)
}

/// Parses what follows a link header: VLAN tags, PPPoE, then IP. `at` is the offset of the first
/// byte after the EtherType. For captures with other link layers than Ethernet.
#[inline(always)]
pub fn after_link<B: Bytes>(packet: B, ethertype: u16, at: usize) -> Result<Segment, Unparsed> {
    let (network, at) = link::encapsulation(packet, ethertype, at)?;
    let header = match network {
        link::Network::Ipv4 => ipv4::header(packet, at)?,
        link::Network::Ipv6 => ipv6::header(packet, at)?,
    };
    transport::ports(packet, &header)
}

/// What an IP header says, and where the transport header begins.
#[derive(Clone, Copy)]
struct NetworkHeader {
    source: Addr,
    destination: Addr,
    /// IP protocol number of what follows.
    protocol: u8,
    /// Offset of what follows.
    next_at: usize,
    /// Offset at which the packet ends, by its own word.
    end: usize,
    part: Part,
    identification: u32,
}
