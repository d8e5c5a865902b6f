//! The headers of a frame in the making, as bytes with right lengths and checksums.

use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

use super::alloc;
use super::checksum::{internet_checksum, transport_checksum};

pub(super) const PROTOCOL_TCP: u8 = 6;
pub(super) const PROTOCOL_UDP: u8 = 17;
/// "No next header", RFC 8200 section 4.7; also IPv4's for a packet with nothing in it here.
pub(super) const PROTOCOL_NONE: u8 = 59;

/// An IPv6 extension header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension {
    kind: u8,
    /// The length field as it stands in the header.
    length: u8,
    /// Bytes of the header, the first two included.
    bytes: usize,
    /// Bytes 2 and 3; of a fragment header offset and flag.
    bits: u16,
}

impl Extension {
    /// Hop-by-hop options of `(units + 1) * 8` bytes.
    pub const fn hop_by_hop(units: u8) -> Self {
        Self::eights(0, units)
    }

    /// A routing header of `(units + 1) * 8` bytes.
    pub const fn routing(units: u8) -> Self {
        Self::eights(43, units)
    }

    /// Destination options of `(units + 1) * 8` bytes.
    pub const fn destination(units: u8) -> Self {
        Self::eights(60, units)
    }

    /// A mobility header of `(units + 1) * 8` bytes.
    pub const fn mobility(units: u8) -> Self {
        Self::eights(135, units)
    }

    /// An authentication header of `(words + 2) * 4` bytes (RFC 4302 section 2.2).
    pub const fn authentication(words: u8) -> Self {
        Self {
            kind: 51,
            length: words,
            bytes: (words as usize + 2) * 4,
            bits: 0,
        }
    }

    /// A fragment header; `offset` in units of eight bytes, its lowest 13 bits count.
    pub const fn fragment(offset: u16, more: bool) -> Self {
        Self {
            kind: 44,
            length: 0,
            bytes: 8,
            bits: offset << 3 | more as u16,
        }
    }

    const fn eights(kind: u8, units: u8) -> Self {
        Self {
            kind,
            length: units,
            bytes: (units as usize + 1) * 8,
            bits: 0,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Network {
    V4 {
        source: Ipv4Addr,
        destination: Ipv4Addr,
        options: usize,
        /// Flags and offset as they stand in the header.
        fragment: u16,
    },
    V6 {
        source: Ipv6Addr,
        destination: Ipv6Addr,
        extensions: Vec<Extension>,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Transport {
    Tcp {
        source: u16,
        destination: u16,
        flags: u8,
        options: usize,
    },
    Udp {
        source: u16,
        destination: u16,
    },
}

impl Network {
    pub(super) fn length(&self) -> usize {
        match self {
            Self::V4 { options, .. } => 20 + options * 4,
            Self::V6 { extensions, .. } => {
                40 + extensions.iter().map(|header| header.bytes).sum::<usize>()
            }
        }
    }

    pub(super) fn bytes(&self, protocol: u8, segment: usize) -> Vec<u8> {
        match self {
            Self::V4 {
                source,
                destination,
                options,
                fragment,
            } => {
                let words = u8::try_from(5 + options).unwrap_or(15);
                let mut bytes = Vec::from([0x40 | words, 0]);
                bytes.extend(length16(self.length() + segment).to_be_bytes());
                bytes.extend([0x12, 0x34]);
                bytes.extend(fragment.to_be_bytes());
                bytes.extend([64, protocol, 0, 0]);
                bytes.extend(source.octets());
                bytes.extend(destination.octets());
                // Option 1 does nothing (RFC 791 section 3.1).
                bytes.resize(self.length(), 1);
                let checksum = internet_checksum(&bytes).to_be_bytes();
                for (byte, sum) in bytes.iter_mut().skip(10).zip(checksum) {
                    *byte = sum;
                }
                bytes
            }
            Self::V6 {
                source,
                destination,
                extensions,
            } => {
                let kinds = extensions.iter().map(|header| header.kind);
                let mut following = kinds.chain([protocol]);
                let mut bytes = Vec::from([0x60, 0, 0, 0]);
                bytes.extend(length16(self.length() - 40 + segment).to_be_bytes());
                bytes.extend([following.next().unwrap_or(protocol), 64]);
                bytes.extend(source.octets());
                bytes.extend(destination.octets());
                for header in extensions {
                    let end = bytes.len() + header.bytes;
                    bytes.extend([following.next().unwrap_or(protocol), header.length]);
                    bytes.extend(header.bits.to_be_bytes());
                    bytes.resize(end, 0);
                }
                bytes
            }
        }
    }

    /// The pseudo header's addresses (RFC 9293 section 3.1, RFC 8200 section 8.1).
    fn addresses(&self) -> Vec<u8> {
        match self {
            Self::V4 {
                source,
                destination,
                ..
            } => [source.octets(), destination.octets()].concat(),
            Self::V6 {
                source,
                destination,
                ..
            } => [source.octets(), destination.octets()].concat(),
        }
    }
}

impl Transport {
    pub(super) const fn length(self) -> usize {
        match self {
            Self::Tcp { options, .. } => 20 + options * 4,
            Self::Udp { .. } => 8,
        }
    }

    pub(super) fn bytes(self, payload: &[u8], network: &Network) -> Vec<u8> {
        let mut bytes = Vec::new();
        let (protocol, checksum_at) = match self {
            Self::Tcp {
                source,
                destination,
                flags,
                options,
            } => {
                bytes.extend(source.to_be_bytes());
                bytes.extend(destination.to_be_bytes());
                bytes.extend([0, 0, 0x10, 0, 0, 0, 0x20, 0]);
                let words = u8::try_from(5 + options).unwrap_or(15);
                bytes.extend([words << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
                // Option 1 does nothing (RFC 9293 section 3.1).
                bytes.resize(self.length(), 1);
                (PROTOCOL_TCP, 16)
            }
            Self::Udp {
                source,
                destination,
            } => {
                bytes.extend(source.to_be_bytes());
                bytes.extend(destination.to_be_bytes());
                bytes.extend(length16(8 + payload.len()).to_be_bytes());
                bytes.extend([0, 0]);
                (PROTOCOL_UDP, 6)
            }
        };
        bytes.extend_from_slice(payload);
        let checksum = transport_checksum(&network.addresses(), protocol, &bytes);
        for (byte, sum) in bytes.iter_mut().skip(checksum_at).zip(checksum) {
            *byte = sum;
        }
        bytes
    }
}

/// A length field; a length that does not fit becomes the largest.
pub(super) fn length16(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}
