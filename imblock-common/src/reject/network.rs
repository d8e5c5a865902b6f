//! The link and IP headers of a packet that is answered, and those of its answer.

use super::Responder;
use super::checksum::Sum;
use super::letter::{Letter, Met};
use crate::parse::{DNS_PORT, VLAN_DEPTH_MAX, ethertype};
use crate::{Bytes, Packet};

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;

/// Behind the stations of an Ethernet header.
const LINK_AT: usize = 12;
const V4_HEADER: usize = 20;
const V6_HEADER: usize = 40;
/// Hops that an answer may take.
const HOPS: u8 = 64;

/// What a packet is to those who answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Nothing that may be answered.
    Other = 0,
    /// A segment of TCP.
    Segment = 1,
    /// A datagram of UDP.
    Datagram = 2,
    /// A datagram to the port of name servers.
    Question = 3,
}

impl Kind {
    /// From its number. One from nowhere is [`Kind::Other`].
    #[inline(always)]
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Segment,
            2 => Self::Datagram,
            3 => Self::Question,
            _ => Self::Other,
        }
    }
}

/// Reads link and IP header, and writes into the letter who is answered.
#[inline(always)]
pub fn meet<P: Packet>(packet: P, letter: &mut Letter) -> Kind {
    read(packet, letter).unwrap_or(Kind::Other)
}

#[inline(always)]
fn read<P: Packet>(packet: P, letter: &mut Letter) -> Option<Kind> {
    let at = network_at(packet, letter)?;
    let [first] = packet.read::<1>(at)?;
    let protocol = match first {
        0x45 => v4(packet, at, letter)?,
        _ if first >> 4 == 6 => v6(packet, at, letter)?,
        _ => return None,
    };
    // Only a packet that is there as far as it says is answered.
    let end = letter.met.end;
    if end > packet.length(end as usize) {
        return None;
    }
    match protocol {
        TCP => Some(Kind::Segment),
        UDP => {
            let transport_at = packet.settle(letter.met.transport_at as usize)?;
            let port = packet.read::<2>(transport_at + 2)?;
            match u16::from_be_bytes(port) {
                DNS_PORT => Some(Kind::Question),
                _ => Some(Kind::Datagram),
            }
        }
        _ => None,
    }
}

/// Where the IP header begins, behind at most two VLAN tags. `None` for what is not between two
/// stations, or has something else in between.
#[inline(always)]
fn network_at<B: Bytes>(packet: B, letter: &mut Letter) -> Option<usize> {
    let to = packet.read::<6>(0)?;
    let from = packet.read::<6>(6)?;
    // The first bit on the wire says that it is for a group (IEEE 802).
    if (to[0] | from[0]) & 1 != 0 {
        return None;
    }
    letter.stations.to = from;
    letter.stations.from = to;
    letter.link = packet.read(LINK_AT)?;
    let mut at = LINK_AT;
    let mut tags = 0;
    while tags <= VLAN_DEPTH_MAX {
        match u16::from_be_bytes(packet.read::<2>(at)?) {
            ethertype::VLAN | ethertype::PROVIDER_VLAN => at += 4,
            ethertype::IPV4 | ethertype::IPV6 => return packet.settle(at + 2),
            _ => return None,
        }
        tags += 1;
    }
    None
}

/// The protocol behind an IPv4 header without options.
#[inline(always)]
fn v4<B: Bytes>(packet: B, at: usize, letter: &mut Letter) -> Option<u8> {
    let [_, _, l0, l1] = packet.read::<4>(at)?;
    let [_, _, f0, f1] = packet.read::<4>(at + 4)?;
    let [_, protocol] = packet.read::<2>(at + 8)?;
    let source = packet.read::<4>(at + 12)?;
    let destination = packet.read::<4>(at + 16)?;
    // More fragments, or not the first one.
    let is_fragment = f0 & 0x3f != 0 || f1 != 0;
    if is_fragment || !is_host_v4(source) || !is_host_v4(destination) {
        return None;
    }
    letter.v4.source = destination;
    letter.v4.destination = source;
    letter.met.at = number(at);
    letter.met.transport_at = number(at + V4_HEADER);
    letter.met.end = number(at + usize::from(u16::from_be_bytes([l0, l1])));
    letter.met.v6 = 0;
    letter.met.addresses = Sum::NOTHING.quad(source).quad(destination).total();
    Some(protocol)
}

/// The protocol behind an IPv6 header.
#[inline(always)]
fn v6<B: Bytes>(packet: B, at: usize, letter: &mut Letter) -> Option<u8> {
    let [l0, l1, protocol, _] = packet.read::<4>(at + 4)?;
    let source = address(packet, at + 8)?;
    let destination = address(packet, at + 24)?;
    let unspecified = source == [[0; 4]; 4];
    if unspecified || source[0][0] == 0xff || destination[0][0] == 0xff {
        return None;
    }
    letter.v6.source = destination;
    letter.v6.destination = source;
    letter.met.at = number(at);
    letter.met.transport_at = number(at + V6_HEADER);
    letter.met.end = number(at + V6_HEADER + usize::from(u16::from_be_bytes([l0, l1])));
    letter.met.v6 = 1;
    let [s0, s1, s2, s3] = source;
    let [d0, d1, d2, d3] = destination;
    let sum = Sum::NOTHING.quad(s0).quad(s1).quad(s2).quad(s3);
    letter.met.addresses = sum.quad(d0).quad(d1).quad(d2).quad(d3).total();
    Some(protocol)
}

/// Neither "this network" (RFC 1122 section 3.2.1.3) nor a group nor everybody.
#[inline(always)]
const fn is_host_v4(address: [u8; 4]) -> bool {
    address[0] != 0 && address[0] < 224
}

#[inline(always)]
fn address<B: Bytes>(packet: B, at: usize) -> Option<[[u8; 4]; 4]> {
    Some([
        packet.read(at)?,
        packet.read(at + 4)?,
        packet.read(at + 8)?,
        packet.read(at + 12)?,
    ])
}

/// Offsets are below 16 Ki, and ends below 80 Ki.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "far below 4 Gi")]
const fn number(at: usize) -> u32 {
    at as u32
}

/// Lengths in headers are 16 bits wide; longer ones don't come here.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "capped just before")]
pub(super) const fn low_word(length: usize) -> u16 {
    (length & 0xffff) as u16
}

impl Met {
    /// Of the pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1). Which way makes no
    /// difference.
    #[inline(always)]
    pub(super) fn pseudo(&self, protocol: u8, length: usize) -> Sum {
        Sum::of(self.addresses)
            .word(u16::from(protocol))
            .word(low_word(length))
    }

    /// Length of the IP header.
    #[inline(always)]
    pub(super) const fn header(&self) -> usize {
        if self.v6 == 0 { V4_HEADER } else { V6_HEADER }
    }
}

impl Letter {
    /// Writes link and IP header of an answer, with so much behind them.
    #[inline(always)]
    pub(super) fn put_envelope<R: Responder>(
        &mut self,
        to: &mut R,
        protocol: u8,
        length: usize,
    ) -> bool {
        let at = self.met.at as usize;
        to.put(0, &self.stations)
            && to.put(LINK_AT, &self.link)
            && if self.met.v6 == 0 {
                self.address_v4(protocol, length);
                to.put(at, &self.v4)
            } else {
                self.address_v6(protocol, length);
                to.put(at, &self.v6)
            }
    }

    #[inline(always)]
    fn address_v4(&mut self, protocol: u8, length: usize) {
        let total = low_word(V4_HEADER + length);
        let header = &mut self.v4;
        header.version = 0x45;
        header.service = 0;
        header.length = total.to_be_bytes();
        // Don't fragment: then the identification means nothing (RFC 6864 section 4.1).
        header.identification = [0; 2];
        header.fragment = [0x40, 0];
        header.hops = HOPS;
        header.protocol = protocol;
        let sum = Sum::of(self.met.addresses).word(0x4500).word(total);
        header.checksum = sum.word(0x4000).pair([HOPS, protocol]).finished();
    }

    #[inline(always)]
    fn address_v6(&mut self, protocol: u8, length: usize) {
        let header = &mut self.v6;
        header.version = [0x60, 0, 0, 0];
        header.length = low_word(length).to_be_bytes();
        header.next = protocol;
        header.hops = HOPS;
    }

    /// Turns the way round.
    #[inline(always)]
    pub(super) fn turn(&mut self) {
        let (to, from) = (self.stations.to, self.stations.from);
        self.stations.to = from;
        self.stations.from = to;
        let (source, destination) = (self.tcp.source, self.tcp.destination);
        self.tcp.source = destination;
        self.tcp.destination = source;
        let (source, destination) = (self.v4.source, self.v4.destination);
        self.v4.source = destination;
        self.v4.destination = source;
        let (source, destination) = (self.v6.source, self.v6.destination);
        self.v6.source = destination;
        self.v6.destination = source;
    }
}
