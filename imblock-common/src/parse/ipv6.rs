//! IPv6, RFC 8200, with its chain of extension headers.

use super::{NetworkHeader, Part, Unparsed};
use crate::{Addr, Bytes};

/// How many extension headers are followed. RFC 8200 section 4.1 recommends an order with at most
/// eight; real traffic has none or one.
pub const EXTENSIONS_MAX: usize = 8;

const HEADER: usize = 40;
const SOURCE_AT: usize = 8;
const DESTINATION_AT: usize = 24;
/// Next header and length of an extension header; its shortest form is eight bytes.
const EXTENSION_START: usize = 4;

/// IANA "IPv6 Extension Header Types".
mod next {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const AUTHENTICATION: u8 = 51;
    pub(super) const DESTINATION: u8 = 60;
    pub(super) const MOBILITY: u8 = 135;
}

/// Reads the header at `at` and follows its extension headers.
#[inline(always)]
pub(super) fn header<B: Bytes>(packet: B, at: usize) -> Result<NetworkHeader, Unparsed> {
    let start = packet.read::<8>(at).ok_or(Unparsed::Truncated)?;
    let source = packet.read(at + SOURCE_AT).ok_or(Unparsed::Truncated)?;
    let destination = packet
        .read(at + DESTINATION_AT)
        .ok_or(Unparsed::Truncated)?;
    if start[0] >> 4 != 6 {
        return Err(Unparsed::BadHeader);
    }
    let chain = extensions(packet, start[6], at + HEADER)?;
    Ok(NetworkHeader {
        source: Addr::v6(source),
        destination: Addr::v6(destination),
        protocol: chain.protocol,
        next_at: chain.at,
        end: at + HEADER + usize::from(u16::from_be_bytes([start[4], start[5]])),
        part: chain.part,
        identification: chain.identification,
    })
}

/// What extension headers lead to.
struct Chain {
    protocol: u8,
    at: usize,
    part: Part,
    identification: u32,
}

/// Follows the extension headers. Behind the fragment header of a later fragment comes what is in
/// the middle of the datagram, so there the way ends.
#[inline(always)]
fn extensions<B: Bytes>(packet: B, first: u8, at: usize) -> Result<Chain, Unparsed> {
    let (mut protocol, mut at) = (first, at);
    let (mut part, mut identification) = (Part::Whole, 0);
    let mut followed = 0;
    while is_extension(protocol) {
        if followed == EXTENSIONS_MAX {
            return Err(Unparsed::TooDeep);
        }
        let start = packet
            .read::<EXTENSION_START>(at)
            .ok_or(Unparsed::Truncated)?;
        let [following, units, high, low] = start;
        at += match protocol {
            next::FRAGMENT => {
                let whole = packet.read::<8>(at).ok_or(Unparsed::Truncated)?;
                let [.., i0, i1, i2, i3] = whole;
                identification = u32::from_be_bytes([i0, i1, i2, i3]);
                let fragment = u16::from_be_bytes([high, low]);
                // The upper 13 bits are the offset, the lowest says that there is more.
                part = if fragment >> 3 != 0 {
                    Part::Later
                } else if fragment & 1 != 0 {
                    Part::First
                } else {
                    Part::Whole
                };
                8
            }
            // In units of four bytes, less two (RFC 4302 section 2.2).
            next::AUTHENTICATION => (usize::from(units) + 2) * 4,
            // In units of eight bytes, not counting the first.
            _ => (usize::from(units) + 1) * 8,
        };
        at = packet.settle(at).ok_or(Unparsed::Truncated)?;
        protocol = following;
        followed += 1;
        if part == Part::Later {
            break;
        }
    }
    Ok(Chain {
        protocol,
        at,
        part,
        identification,
    })
}

#[inline(always)]
fn is_extension(protocol: u8) -> bool {
    matches!(
        protocol,
        next::HOP_BY_HOP
            | next::ROUTING
            | next::FRAGMENT
            | next::AUTHENTICATION
            | next::DESTINATION
            | next::MOBILITY
    )
}
