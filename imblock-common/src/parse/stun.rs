//! STUN and TURN: the attributes of a message (RFC 8489 sections 5 and 14).
//!
//! Only what bears the magic cookie, and a length that fits. TURN channel data (its first byte is
//! 64 or more) and classic STUN of RFC 3489 are not read here.

use crate::content::Payload;
use crate::{Bytes, Transport};

/// How many attributes are looked at. A request of WebRTC has some eight.
pub const STUN_ATTRIBUTES_MAX: usize = 16;

/// The attribute that names the realm of a TURN server (RFC 8489 section 14.9).
pub(crate) const REALM: u16 = 0x0014;

const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// The two bits that are zero in a message.
const NOT_STUN: u8 = 0xc0;
const ATTRIBUTE_HEADER: usize = 4;
/// Bytes of the length that ICE over TCP puts in front of each message (RFC 4571).
const FRAME: usize = 2;

/// Where the attributes of a message lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// The first one.
    pub(crate) at: usize,
    /// Behind the last one.
    pub(crate) end: usize,
}

/// One attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) kind: u16,
    /// Bytes of the value.
    pub(crate) length: usize,
    /// Behind the value.
    pub(crate) end: usize,
    /// The next attribute: behind the padding.
    pub(crate) next: usize,
}

/// Whether a payload that begins like this may be a message.
#[inline(always)]
pub(crate) fn may_begin(start: [u8; 8], transport: Transport) -> bool {
    let [_, _, _, _, c0, c1, c2, c3] = start;
    // Behind a length, the cookie's second half is out of sight.
    [c0, c1, c2, c3] == COOKIE || transport == Transport::Tcp && [c2, c3] == [COOKIE[0], COOKIE[1]]
}

/// The attributes of the message that a payload is (UDP), or begins with (TCP).
#[inline(always)]
pub(crate) fn attributes<B: Bytes>(
    packet: B,
    payload: Payload,
    transport: Transport,
) -> Option<Attributes> {
    let start = packet.settle(payload.at)?;
    let end = packet.settle(payload.end)?;
    let [f0, f1, _, _, c0, c1, c2, c3] = packet.read::<8>(start)?;
    let framed = transport == Transport::Tcp && [c0, c1, c2, c3] != COOKIE;
    let at = packet.settle(start + if framed { FRAME } else { 0 })?;
    let [kind, _, l0, l1, c0, c1, c2, c3] = packet.read::<8>(at)?;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if kind & NOT_STUN != 0 || [c0, c1, c2, c3] != COOKIE || length & 3 != 0 {
        return None;
    }
    let frame = usize::from(u16::from_be_bytes([f0, f1]));
    if framed && frame != HEADER + length {
        return None;
    }
    let message_end = packet.settle(at + HEADER + length)?;
    let fits = match transport {
        Transport::Udp => message_end == end,
        Transport::Tcp => message_end <= end,
    };
    let at = packet.settle(at + HEADER)?;
    fits.then_some(Attributes {
        at,
        end: message_end,
    })
}

/// The attribute at `at`; `None` at the end, and where it reaches beyond it.
#[inline(always)]
pub(crate) fn attribute<B: Bytes>(packet: B, at: usize, end: usize) -> Option<Attribute> {
    if at + ATTRIBUTE_HEADER > end {
        return None;
    }
    let [k0, k1, l0, l1] = packet.read::<ATTRIBUTE_HEADER>(at)?;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let value_end = packet.settle(at + ATTRIBUTE_HEADER + length)?;
    (value_end <= end).then_some(Attribute {
        kind: u16::from_be_bytes([k0, k1]),
        length: packet.settle(length)?,
        end: value_end,
        next: packet.settle(at + ATTRIBUTE_HEADER + ((length + 3) & !3))?,
    })
}
