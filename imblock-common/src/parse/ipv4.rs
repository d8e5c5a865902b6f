//! IPv4, RFC 791.

use super::{NetworkHeader, Part, Unparsed};
use crate::{Addr, Bytes};

const HEADER: usize = 20;
/// Fragment offset, in units of eight bytes: all bits of the field but the three flags.
const FRAGMENT_OFFSET: u16 = 0x1fff;
const MORE_FRAGMENTS: u16 = 0x2000;

/// Reads the header at `at` and skips its options.
///
/// The total length is not held against the frame: a sender that lies about it would otherwise
/// choose not to be judged.
#[inline(always)]
pub(super) fn header<B: Bytes>(packet: B, at: usize) -> Result<NetworkHeader, Unparsed> {
    let header = packet.read::<HEADER>(at).ok_or(Unparsed::Truncated)?;
    let length = usize::from(header[0] & 0x0f) * 4;
    if header[0] >> 4 != 4 || length < HEADER {
        return Err(Unparsed::BadHeader);
    }
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    let part = if fragment & FRAGMENT_OFFSET != 0 {
        Part::Later
    } else if fragment & MORE_FRAGMENTS != 0 {
        Part::First
    } else {
        Part::Whole
    };
    Ok(NetworkHeader {
        source: Addr::v4([header[12], header[13], header[14], header[15]]),
        destination: Addr::v4([header[16], header[17], header[18], header[19]]),
        protocol: header[9],
        next_at: at + length,
        end: at + usize::from(u16::from_be_bytes([header[2], header[3]])),
        part,
        identification: match part {
            Part::Whole => 0,
            _ => u32::from(u16::from_be_bytes([header[4], header[5]])),
        },
    })
}
