//! Link layers of captures: how to get from the first byte of a frame to the network header.
//!
//! What comes behind is parsed by `imblock_common`, VLAN tags and PPPoE included.

use imblock_common::parse::{self, ethertype};
use imblock_common::{Packet, Segment, Unparsed};

/// A link layer that is understood; see <https://www.tcpdump.org/linktypes.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkLayer {
    /// Ethernet.
    Ethernet,
    /// IPv4 or IPv6, as the packet says.
    RawIp,
    /// IPv4.
    RawIpv4,
    /// IPv6.
    RawIpv6,
    /// What Linux gives for "any" device.
    LinuxCooked,
    /// The same, version 2.
    LinuxCooked2,
    /// BSD loopback: an address family in some byte order.
    Loopback,
}

/// Two addresses, then the EtherType.
const ETHERTYPE_AT: usize = 12;
const ETHERNET_HEADER: usize = 14;
/// Linux cooked capture: packet type, hardware type, address length, address (8), EtherType.
const COOKED_ETHERTYPE_AT: usize = 14;
const COOKED_HEADER: usize = 16;
/// Version 2 begins with the EtherType.
const COOKED2_HEADER: usize = 20;
const LOOPBACK_HEADER: usize = 4;

impl LinkLayer {
    /// The link layer of a capture's link type; `None` for one that is not understood.
    pub fn from_link_type(link_type: u16) -> Option<Self> {
        Some(match link_type {
            1 => Self::Ethernet,
            // 12 and 14 are what some systems write instead of 101.
            12 | 14 | 101 => Self::RawIp,
            228 => Self::RawIpv4,
            229 => Self::RawIpv6,
            113 => Self::LinuxCooked,
            276 => Self::LinuxCooked2,
            0 | 108 => Self::Loopback,
            _ => return None,
        })
    }

    /// Parses a frame of this link layer down to its ports.
    #[inline]
    pub fn parse<P: Packet>(self, packet: P) -> Result<Segment, Unparsed> {
        if self == Self::Ethernet {
            return parse::frame(packet);
        }
        let (ethertype, at) = self.network(packet)?;
        parse::after_link(packet, ethertype, at)
    }

    /// The EtherType of what a frame of this link layer carries, and where that begins.
    #[inline]
    pub fn network<P: Packet>(self, packet: P) -> Result<(u16, usize), Unparsed> {
        Ok(match self {
            Self::Ethernet => (ethertype_at(packet, ETHERTYPE_AT)?, ETHERNET_HEADER),
            Self::RawIp => (version(packet)?, 0),
            Self::RawIpv4 => (ethertype::IPV4, 0),
            Self::RawIpv6 => (ethertype::IPV6, 0),
            Self::LinuxCooked => (ethertype_at(packet, COOKED_ETHERTYPE_AT)?, COOKED_HEADER),
            Self::LinuxCooked2 => (ethertype_at(packet, 0)?, COOKED2_HEADER),
            Self::Loopback => (address_family(packet)?, LOOPBACK_HEADER),
        })
    }
}

fn version<P: Packet>(packet: P) -> Result<u16, Unparsed> {
    let [first] = packet.read::<1>(0).ok_or(Unparsed::Truncated)?;
    match first >> 4 {
        4 => Ok(ethertype::IPV4),
        6 => Ok(ethertype::IPV6),
        _ => Err(Unparsed::BadHeader),
    }
}

fn ethertype_at<P: Packet>(packet: P, at: usize) -> Result<u16, Unparsed> {
    let bytes = packet.read::<2>(at).ok_or(Unparsed::Truncated)?;
    Ok(u16::from_be_bytes(bytes))
}

/// The byte order is that of the machine that captured, and is not told; families are small numbers.
fn address_family<P: Packet>(packet: P) -> Result<u16, Unparsed> {
    let bytes = packet.read::<4>(0).ok_or(Unparsed::Truncated)?;
    let family = u32::from_be_bytes(bytes).min(u32::from_le_bytes(bytes));
    match family {
        2 => Ok(ethertype::IPV4),
        // Linux, NetBSD and OpenBSD, FreeBSD, macOS.
        10 | 24 | 28 | 30 => Ok(ethertype::IPV6),
        _ => Err(Unparsed::NotIp),
    }
}
