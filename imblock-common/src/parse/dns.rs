//! DNS: the name that a query asks for (RFC 1035 section 4.1), over UDP and TCP (RFC 7766).

use super::{HostName, Window};
use crate::Bytes;
use crate::content::Payload;

/// The port of name servers.
pub const DNS_PORT: u16 = 53;

/// How many labels are followed. 127 would fit into a name; hosts have two to six. Each one more
/// costs the verifier some 2,000 steps.
pub const DNS_LABELS_MAX: usize = 16;

const HEADER: usize = 12;
/// QR and opcode, all zero in a standard query.
const NOT_A_QUERY: u8 = 0xf8;
const LABEL_MAX: u8 = 63;
const TYPE_AND_CLASS: usize = 4;
/// One question, as the header counts them.
const ONE: [u8; 2] = [0, 1];
/// In front of each message over TCP.
const LENGTH: usize = 2;

/// The message that begins a payload of TCP, with its length in front or, of a client that sent that in a segment
/// of its own, without; empty if it is no query with one question.
#[inline(always)]
pub(crate) fn message_of_tcp<B: Bytes>(bytes: B, payload: Payload) -> Payload {
    let nothing = Payload { at: 0, end: 0 };
    let Some(at) = bytes.settle(payload.at) else {
        return nothing;
    };
    let window = Window {
        bytes,
        end: payload.end,
    };
    let Some([l0, l1, _, _, q0, q1, b0, b1]) = window.read::<8>(at) else {
        return nothing;
    };
    // The number of questions: two bytes further on where there is a length.
    if [b0, b1] == ONE {
        let at = at + LENGTH;
        let end = at + usize::from(u16::from_be_bytes([l0, l1]));
        Payload {
            at,
            end: if end < payload.end { end } else { payload.end },
        }
    } else if [q0, q1] == ONE {
        payload
    } else {
        nothing
    }
}

/// The message that is this payload, and where its question begins, if it is a query with one
/// question.
#[inline(always)]
fn query<B: Bytes>(bytes: B, payload: Payload) -> Option<(Window<B>, usize)> {
    let at = bytes.settle(payload.at)?;
    let window = Window {
        bytes,
        end: payload.end,
    };
    let [_, _, flags, _, q0, q1, ..] = window.read::<HEADER>(at)?;
    if flags & NOT_A_QUERY != 0 || [q0, q1] != ONE {
        return None;
    }
    Some((window, at + HEADER))
}

/// The name in the question of the query that is this payload.
#[inline(always)]
pub(crate) fn question<B: Bytes>(bytes: B, payload: Payload) -> Option<HostName> {
    let (window, mut at) = query(bytes, payload)?;
    let mut length = 0;
    let mut dots = 0_u64;
    let mut labels = 0;
    while labels <= DNS_LABELS_MAX {
        let [label] = window.read::<1>(at)?;
        if label == 0 {
            return HostName::labels(at, length, dots);
        }
        if label > LABEL_MAX {
            return None;
        }
        // The dots so far move away from the end, and the byte that was just read becomes one.
        dots = dots << label << 1 | 1 << label;
        length += usize::from(label) + 1;
        at = bytes.settle(at + 1 + usize::from(label))?;
        labels += 1;
    }
    None
}

/// Behind the question of the query that is this payload: its name, type and class.
#[inline(always)]
pub(crate) fn question_end<B: Bytes>(bytes: B, payload: Payload) -> Option<usize> {
    let (window, mut at) = query(bytes, payload)?;
    let mut labels = 0;
    while labels <= DNS_LABELS_MAX {
        let [label] = window.read::<1>(at)?;
        if label == 0 {
            window.read::<TYPE_AND_CLASS>(at + 1)?;
            return bytes.settle(at + 1 + TYPE_AND_CLASS);
        }
        if label > LABEL_MAX {
            return None;
        }
        at = bytes.settle(at + 1 + usize::from(label))?;
        labels += 1;
    }
    None
}
