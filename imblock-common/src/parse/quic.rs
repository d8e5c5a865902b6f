//! QUIC: whether a datagram is a client's first (RFC 9000 section 17.2.2).
//!
//! Only the gate: what is in the packet is encrypted, with a cipher that the kernel program can't
//! run. Invariant: no Initial packet of a version that the controller can open is missed.

use crate::Bytes;
use crate::content::Payload;

/// The least that a client sends in a datagram with an Initial packet (RFC 9000 section 14.1).
pub const INITIAL_MIN: usize = 1200;

/// The two bits that each long header of QUIC begins with: its form, and the fixed one.
const LONG: u8 = 0xc0;
/// The bits of the packet type.
const TYPE: u8 = 0x30;
/// An Initial packet's type in version 2 (RFC 9369 section 3.2); 0 in all others.
const INITIAL_OF_V2: u8 = 0x10;

/// Whether a payload of UDP is an Initial packet as clients send it.
#[inline(always)]
pub fn is_initial<B: Bytes>(bytes: B, payload: Payload) -> bool {
    if payload.length() < INITIAL_MIN {
        return false;
    }
    let read = bytes.settle(payload.at).and_then(|at| bytes.read::<5>(at));
    let Some([first, v0, v1, v2, v3]) = read else {
        return false;
    };
    let wanted = match [v0, v1, v2, v3] {
        [0x6b, 0x33, 0x43, 0xcf] => LONG | INITIAL_OF_V2,
        // Version 1, the drafts before it, and what Facebook's library made of them.
        [0, 0, 0, 1] | [0xff, 0, 0, _] | [0xfa, 0xce, 0xb0, _] => LONG,
        _ => return false,
    };
    first & (LONG | TYPE) == wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(first: u8, version: u32, length: usize) -> bool {
        let mut bytes = [0; 1400];
        let [v0, v1, v2, v3] = version.to_be_bytes();
        let head = [0, 0, first, v0, v1, v2, v3];
        for (byte, value) in bytes.iter_mut().zip(head) {
            *byte = value;
        }
        let payload = Payload {
            at: 2,
            end: 2 + length,
        };
        is_initial(bytes.as_slice(), payload)
    }

    #[test]
    fn a_client_begins_with_an_initial_packet_of_a_known_version() {
        for (first, version) in [
            (0xc0, 1),
            (0xcf, 1),
            (0xd3, 0x6b33_43cf),
            (0xc3, 0xff00_001d),
            (0xc3, 0xface_b002),
        ] {
            assert!(datagram(first, version, 1200), "{first:#x} {version:#x}");
            assert!(!datagram(first, version, 1199), "{first:#x} {version:#x}");
        }
    }

    #[test]
    fn nothing_else_is_one() {
        for (first, version) in [
            (0x40, 1),           // short header
            (0x80, 1),           // no fixed bit
            (0xd0, 1),           // 0-RTT
            (0xe0, 1),           // Handshake
            (0xf0, 1),           // Retry
            (0xc0, 0x6b33_43cf), // Retry of version 2
            (0xc0, 0),           // version negotiation
            (0xc0, 0x5130_3530), // Q050
        ] {
            assert!(!datagram(first, version, 1200), "{first:#x} {version:#x}");
        }
    }

    #[test]
    fn a_datagram_that_is_not_there_is_none() {
        let payload = Payload { at: 40, end: 1300 };
        assert!(!is_initial([0xc0; 42].as_slice(), payload));
    }
}
