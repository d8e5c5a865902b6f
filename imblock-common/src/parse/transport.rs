//! TCP (RFC 9293) and UDP (RFC 768): the ports, and where the payload begins.

use super::{NetworkHeader, Segment, Transport, Unparsed};
use crate::Bytes;

const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;
const UDP_HEADER: usize = 8;
/// Offset of the byte whose upper half is the TCP header length in words.
const TCP_DATA_OFFSET_AT: usize = 12;

/// Reads the ports. Four bytes are enough: a first fragment that is cut right behind the ports
/// (RFC 1858) must not go unjudged for want of a whole header.
#[inline(always)]
pub(super) fn ports<B: Bytes>(packet: B, network: &NetworkHeader) -> Result<Segment, Unparsed> {
    let transport = match network.protocol {
        PROTOCOL_TCP => Transport::Tcp,
        PROTOCOL_UDP => Transport::Udp,
        _ => return Err(Unparsed::OtherTransport),
    };
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
    })
}

impl Segment {
    /// Length in bytes of all headers: where the payload begins. `None` for a TCP header that is
    /// cut or shorter than its minimum.
    #[inline(always)]
    pub fn payload_at<B: Bytes>(&self, packet: B) -> Option<usize> {
        match self.transport {
            Transport::Udp => Some(self.transport_at + UDP_HEADER),
            Transport::Tcp => {
                let [offset] = packet.read::<1>(self.transport_at + TCP_DATA_OFFSET_AT)?;
                let words = usize::from(offset >> 4);
                if words < 5 {
                    None
                } else {
                    Some(self.transport_at + words * 4)
                }
            }
        }
    }
}
