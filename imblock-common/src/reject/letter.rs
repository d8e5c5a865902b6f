//! The pieces of an answer, as they go onto the wire.

use bytemuck::{NoUninit, Pod, Zeroable, bytes_of};

use super::Responder;

/// Where the pieces are written down before they go into the frame. In the kernel, memory of a CPU:
/// they don't fit on its stack.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Letter {
    pub(super) met: Met,
    pub(super) stations: Stations,
    /// What follows the stations: tags, the EtherType, and what the IP header is written over.
    pub(super) link: [u8; 10],
    pub(super) v4: V4Header,
    pub(super) v6: V6Header,
    pub(super) tcp: TcpHeader,
    pub(super) udp: UdpHeader,
    pub(super) icmp: IcmpHeader,
    /// What is quoted: the first 8 bytes behind the IP header.
    pub(super) quoted: [u8; 8],
    pub(super) quoted_v4: [u8; 20],
    pub(super) quoted_v6: [u8; 40],
    pub(super) dns: DnsHeader,
    reserved: [u8; 2],
}

/// What is known of the packet that is answered. Offsets are in bytes from the frame's start.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct Met {
    /// Where its IP header lies.
    pub(super) at: u32,
    /// Where its transport header lies.
    pub(super) transport_at: u32,
    /// Behind its last byte.
    pub(super) end: u32,
    /// Not 0 if it is IPv6.
    pub(super) v6: u32,
    /// The sum of both addresses' words.
    pub(super) addresses: u32,
    reserved: u32,
}

/// The stations of an Ethernet header.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct Stations {
    pub(super) to: [u8; 6],
    pub(super) from: [u8; 6],
}

/// RFC 791 section 3.1.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct V4Header {
    pub(super) version: u8,
    pub(super) service: u8,
    pub(super) length: [u8; 2],
    pub(super) identification: [u8; 2],
    pub(super) fragment: [u8; 2],
    pub(super) hops: u8,
    pub(super) protocol: u8,
    pub(super) checksum: [u8; 2],
    pub(super) source: [u8; 4],
    pub(super) destination: [u8; 4],
}

/// RFC 8200 section 3.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct V6Header {
    pub(super) version: [u8; 4],
    pub(super) length: [u8; 2],
    pub(super) next: u8,
    pub(super) hops: u8,
    pub(super) source: [[u8; 4]; 4],
    pub(super) destination: [[u8; 4]; 4],
}

/// RFC 9293 section 3.1.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct TcpHeader {
    pub(super) source: [u8; 2],
    pub(super) destination: [u8; 2],
    pub(super) sequence: [u8; 4],
    pub(super) acknowledgement: [u8; 4],
    pub(super) words: u8,
    pub(super) flags: u8,
    pub(super) window: [u8; 2],
    pub(super) checksum: [u8; 2],
    pub(super) urgent: [u8; 2],
}

/// RFC 768.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct UdpHeader {
    pub(super) source: [u8; 2],
    pub(super) destination: [u8; 2],
    pub(super) length: [u8; 2],
    pub(super) checksum: [u8; 2],
}

/// RFC 792, RFC 4443 section 3.1.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct IcmpHeader {
    pub(super) kind: [u8; 2],
    pub(super) checksum: [u8; 2],
    pub(super) unused: [u8; 4],
}

/// RFC 1035 section 4.1.1.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct DnsHeader {
    pub(super) id: [u8; 2],
    pub(super) flags: [u8; 2],
    pub(super) questions: [u8; 2],
    pub(super) answers: [u8; 6],
}

const _: () = {
    assert!(size_of::<Stations>() == 12);
    assert!(size_of::<V4Header>() == 20);
    assert!(size_of::<V6Header>() == 40);
    assert!(size_of::<TcpHeader>() == 20);
    assert!(size_of::<UdpHeader>() == 8);
    assert!(size_of::<IcmpHeader>() == 8);
    assert!(size_of::<DnsHeader>() == 12);
    assert!(size_of::<Letter>().is_multiple_of(8));
};

/// The longest answer: two VLAN tags, IPv6, and a question with the longest name there is.
pub const REPLY_MAX: usize = 22 + 40 + 8 + 12 + 255 + 4;

/// An answer outside the kernel: what the frame would be there.
#[derive(Clone, Debug)]
pub struct ReplyFrame {
    bytes: [u8; REPLY_MAX],
    length: usize,
    /// What was sent back by [`Responder::turn_around`].
    turned: ([u8; REPLY_MAX], usize),
    /// Whether answers are permitted.
    permitted: bool,
}

impl ReplyFrame {
    /// To a frame.
    pub fn to(frame: &[u8], permitted: bool) -> Self {
        let mut bytes = [0; REPLY_MAX];
        for (copy, byte) in bytes.iter_mut().zip(frame) {
            *copy = *byte;
        }
        Self {
            bytes,
            length: frame.len(),
            turned: ([0; REPLY_MAX], 0),
            permitted,
        }
    }

    /// The frame as it is now; empty if it was never made as short as an answer.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// What was sent back while the frame itself went on; empty if nothing was.
    pub fn turned(&self) -> &[u8] {
        self.turned.0.get(..self.turned.1).unwrap_or_default()
    }
}

impl Responder for ReplyFrame {
    fn permitted(&mut self) -> bool {
        self.permitted
    }

    fn resize(&mut self, length: usize) -> bool {
        self.length = length;
        length <= REPLY_MAX
    }

    fn put<T: NoUninit>(&mut self, at: usize, piece: &T) -> bool {
        let piece = bytes_of(piece);
        let place = self.bytes.get_mut(..self.length).and_then(|frame| {
            let behind = at.checked_add(piece.len())?;
            frame.get_mut(at..behind)
        });
        place.is_some_and(|place| {
            place.copy_from_slice(piece);
            true
        })
    }

    fn turn_around(&mut self) -> bool {
        self.turned = (self.bytes, self.length);
        true
    }
}
