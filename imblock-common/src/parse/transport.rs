//! TCP (RFC 9293) and UDP (RFC 768): the ports, and where the payload begins.

use super::{NetworkHeader, Part, Segment, Transport, Unparsed};
use crate::Bytes;

const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;
const UDP_HEADER: usize = 8;

/// Reads the ports. Four bytes are enough: a first fragment that is cut right behind the ports
/// (RFC 1858) must not go unjudged for want of a whole header.
#[inline(always)]
pub(super) fn ports<B: Bytes>(packet: B, network: &NetworkHeader) -> Result<Segment, Unparsed> {
    let transport = match network.protocol {
        PROTOCOL_TCP => Transport::Tcp,
        PROTOCOL_UDP => Transport::Udp,
        _ if network.part == Part::Later => return Err(Unparsed::LaterFragment),
        _ => return Err(Unparsed::OtherTransport),
    };
    if network.part == Part::Later {
        return Ok(Segment {
            source: network.source,
            destination: network.destination,
            source_port: 0,
            destination_port: 0,
            transport,
            transport_at: network.next_at,
            end: network.end,
            part: network.part,
            identification: network.identification,
        });
    }
    let [s0, s1, d0, d1] = packet
        .read::<4>(network.next_at)
        .ok_or(Unparsed::Truncated)?;
    Ok(Segment {
        source: network.source,
        destination: network.destination,
        source_port: u16::from_be_bytes([s0, s1]),
        destination_port: u16::from_be_bytes([d0, d1]),
        transport,
        transport_at: network.next_at,
        end: network.end,
        part: network.part,
        identification: network.identification,
    })
}

/// What a transport header says besides the ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    /// Where the payload begins, in bytes from the frame's start: the length of all headers. 0 for a
    /// TCP header that is cut or shorter than its minimum.
    pub at: usize,
    /// The sequence number; 0 for UDP.
    pub sequence: u32,
    /// The flags of the TCP header; 0 for UDP, and where [`Body::at`] is.
    pub flags: u8,
}

impl Body {
    /// Whether a connection begins here: a SYN without an ACK.
    #[inline(always)]
    pub const fn begins(&self) -> bool {
        self.flags & (TCP_SYN | TCP_ACK) == TCP_SYN
    }

    /// Whether a connection is declared dead: a RST.
    #[inline(always)]
    pub const fn resets(&self) -> bool {
        self.flags & TCP_RST != 0
    }
}

/// Where the sequence number ends and the flags begin: what is read of a TCP header at once.
const TCP_START: usize = 14;
const TCP_SYN: u8 = 0x02;
const TCP_RST: u8 = 0x04;
const TCP_ACK: u8 = 0x10;

impl Segment {
    /// Where the payload begins, and where it belongs in its connection.
    #[inline(always)]
    pub fn body<B: Bytes>(&self, packet: B) -> Body {
        let nothing = Body {
            at: 0,
            sequence: 0,
            flags: 0,
        };
        if self.part == Part::Later {
            return nothing;
        }
        if self.transport == Transport::Udp {
            return Body {
                at: self.transport_at + UDP_HEADER,
                ..nothing
            };
        }
        let Some(start) = packet.read::<TCP_START>(self.transport_at) else {
            return nothing;
        };
        let words = usize::from(start[12] >> 4);
        if words < 5 {
            return nothing;
        }
        Body {
            at: self.transport_at + words * 4,
            sequence: u32::from_be_bytes([start[4], start[5], start[6], start[7]]),
            flags: start[13],
        }
    }
}
