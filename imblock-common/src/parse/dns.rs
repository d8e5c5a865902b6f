//! DNS: the name that a query asks for (RFC 1035 section 4.1).

use super::HostName;
use crate::Bytes;

/// The port of name servers.
pub const DNS_PORT: u16 = 53;

/// How many labels are followed. 127 would fit into a name; hosts have two to six. Each one more
/// costs the verifier some 2,000 steps.
pub const DNS_LABELS_MAX: usize = 16;

const HEADER: usize = 12;
/// QR and opcode, all zero in a standard query.
const NOT_A_QUERY: u8 = 0xf8;
const LABEL_MAX: u8 = 63;

/// The name in the question of the query at `at`, if that is where one begins.
#[inline(always)]
pub(crate) fn question<B: Bytes>(packet: B, at: usize) -> Option<HostName> {
    let [_, _, flags, _, q0, q1, ..] = packet.read::<HEADER>(at)?;
    if flags & NOT_A_QUERY != 0 || u16::from_be_bytes([q0, q1]) != 1 {
        return None;
    }
    let mut at = at + HEADER;
    let mut length = 0;
    let mut dots = 0_u64;
    let mut labels = 0;
    while labels <= DNS_LABELS_MAX {
        let [label] = packet.read::<1>(at)?;
        if label == 0 {
            return HostName::labels(at, length, dots);
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
    None
}
