//! Ethernet, VLAN tags and PPPoE.

use super::Unparsed;
use crate::Bytes;

/// How many VLAN tags are followed: a customer tag inside a provider tag (IEEE 802.1ad).
pub const VLAN_DEPTH_MAX: usize = 2;

/// EtherTypes that are followed (IANA "IEEE 802 Numbers").
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// IEEE 802.1Q customer tag.
    pub const VLAN: u16 = 0x8100;
    /// IEEE 802.1ad provider tag.
    pub const PROVIDER_VLAN: u16 = 0x88a8;
    /// PPPoE session stage, RFC 2516.
    pub const PPPOE_SESSION: u16 = 0x8864;
}

const ETHERNET_HEADER: usize = 14;
const VLAN_TAG: usize = 4;
/// PPPoE header (6 bytes, RFC 2516 section 4) and the PPP protocol field (2 bytes).
const PPPOE_HEADER: usize = 8;
const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;

/// The network protocols that are looked into.
#[derive(Clone, Copy)]
pub(super) enum Network {
    Ipv4,
    Ipv6,
}

/// The EtherType of an Ethernet frame, and the offset of what follows it.
#[inline(always)]
pub(super) fn ethernet<B: Bytes>(packet: B) -> Result<(u16, usize), Unparsed> {
    let header = packet
        .read::<ETHERNET_HEADER>(0)
        .ok_or(Unparsed::Truncated)?;
    Ok((
        u16::from_be_bytes([header[12], header[13]]),
        ETHERNET_HEADER,
    ))
}

/// Skips VLAN tags and a PPPoE session header, and says which network header comes at which offset.
#[inline(always)]
pub(super) fn encapsulation<B: Bytes>(
    packet: B,
    ethertype: u16,
    at: usize,
) -> Result<(Network, usize), Unparsed> {
    let (mut ethertype, mut at) = (ethertype, at);
    let mut depth = 0;
    while is_vlan(ethertype) {
        if depth == VLAN_DEPTH_MAX {
            return Err(Unparsed::TooDeep);
        }
        let tag = packet.read::<VLAN_TAG>(at).ok_or(Unparsed::Truncated)?;
        ethertype = u16::from_be_bytes([tag[2], tag[3]]);
        at += VLAN_TAG;
        depth += 1;
    }
    match ethertype {
        ethertype::IPV4 => Ok((Network::Ipv4, at)),
        ethertype::IPV6 => Ok((Network::Ipv6, at)),
        ethertype::PPPOE_SESSION => pppoe(packet, at),
        _ => Err(Unparsed::NotIp),
    }
}

#[inline(always)]
fn is_vlan(ethertype: u16) -> bool {
    ethertype == ethertype::VLAN || ethertype == ethertype::PROVIDER_VLAN
}

#[inline(always)]
fn pppoe<B: Bytes>(packet: B, at: usize) -> Result<(Network, usize), Unparsed> {
    let header = packet.read::<PPPOE_HEADER>(at).ok_or(Unparsed::Truncated)?;
    let [version_type, code, ..] = header;
    // Version 1, type 1, code 0 is session data; anything else is control.
    if version_type != 0x11 || code != 0 {
        return Err(Unparsed::BadHeader);
    }
    match u16::from_be_bytes([header[6], header[7]]) {
        PPP_IPV4 => Ok((Network::Ipv4, at + PPPOE_HEADER)),
        PPP_IPV6 => Ok((Network::Ipv6, at + PPPOE_HEADER)),
        _ => Err(Unparsed::NotIp),
    }
}
