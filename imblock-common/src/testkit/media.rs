//! Payloads of UDP that name nobody: what calls are set up with and made of, and QUIC.

use alloc::vec::Vec;

use super::headers::length16;
use super::{Random, alloc};

/// Marks a STUN message (RFC 8489 section 5).
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// A STUN message of a type, with attributes (RFC 8489 section 14).
pub fn stun_message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, value) in attributes {
        body.extend(kind.to_be_bytes());
        body.extend(length16(value.len()).to_be_bytes());
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let mut message = Vec::from(kind.to_be_bytes());
    message.extend(length16(body.len()).to_be_bytes());
    message.extend(COOKIE);
    message.extend([7; 12]);
    message.extend(body);
    message
}

/// An RTP packet of a payload type, with 160 bytes of sound (RFC 3550 section 5.1).
pub fn rtp_packet(kind: u8, sequence: u16, timestamp: u32, source: u32) -> Vec<u8> {
    let mut packet = Vec::from([0x80, kind]);
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(source.to_be_bytes());
    packet.extend([0x55; 160]);
    packet
}

/// What looks like a QUIC Initial from outside: a long header of a version, and bytes that nobody can
/// read (RFC 9000 section 17.2.2).
pub fn quic_like(random: &mut Random, version: u32) -> Vec<u8> {
    let mut packet = Vec::from([0xc3]);
    packet.extend(version.to_be_bytes());
    let id = random.below(21);
    packet.push(u8::try_from(id).unwrap_or(0));
    packet.extend(random.bytes(id));
    // No source id, no token, and 1200 bytes behind.
    packet.extend([0, 0, 0x44, 0xb0]);
    packet.extend(random.bytes(1200));
    packet
}
