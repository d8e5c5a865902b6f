//! DNS: the name that a query asks for (RFC 1035 section 4.1).

use super::HostName;
use super::host::HOST_MAX;
use crate::Packet;

/// The port of name servers.
pub const DNS_PORT: u16 = 53;

/// The most labels that fit into a name: each takes two bytes at least.
const LABELS_MAX: usize = HOST_MAX / 2;
const HEADER: usize = 12;
/// QR and opcode, all zero in a standard query.
const NOT_A_QUERY: u8 = 0xf8;
const LABEL_MAX: u8 = 63;

/// The name in the question of the query at `at`, if that is where one begins.
#[inline(always)]
pub(crate) fn question<P: Packet>(packet: P, at: usize) -> Option<HostName> {
    let [_, _, flags, _, q0, q1, ..] = packet.read::<HEADER>(at)?;
    if flags & NOT_A_QUERY != 0 || u16::from_be_bytes([q0, q1]) != 1 {
        return None;
    }
    let mut at = at + HEADER;
    let mut length = 0;
    let mut dots = 0_u64;
    let mut labels = 0;
    while labels <= LABELS_MAX {
        let [label] = packet.read::<1>(at)?;
        if label == 0 {
            break;
        }
        if label > LABEL_MAX {
            return None;
        }
        // The dots so far move away from the end, and the byte that was just read becomes one.
        dots = dots << label << 1 | 1 << label;
        length += usize::from(label) + 1;
        at = packet.settle(at + 1 + usize::from(label))?;
        labels += 1;
    }
    if length == 0 || length > HOST_MAX {
        return None;
    }
    Some(HostName {
        end: at,
        length,
        dots,
    })
}
