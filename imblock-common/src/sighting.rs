//! What is known of a packet once it is parsed and oriented.
//!
//! Plain data of one size: in the kernel the steps behind the parser are functions of their own,
//! and this is what they are handed. Invariant: everything is in host byte order, but addresses,
//! which have none.

use bytemuck::{Pod, Zeroable};

use crate::content::Payload;
use crate::flows::FlowKey;
use crate::layout::{Control, Half, PortEntry};
use crate::parse::quic::INITIAL_MIN;
use crate::parse::{Body, DNS_PORT, Part};
use crate::record::Extent;
use crate::tables::LivePolicy;
use crate::{Bytes, Direction, Ends, Segment, Side, Transport, View};

/// What one program of the kernel hands to the next.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct HandedOn {
    /// The packet.
    pub about: Sighting,
    /// What was told of it so far: a [`crate::Reply`].
    pub told: u64,
}

/// A packet, as all that comes behind the parser sees it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Sighting {
    pub(crate) key: FlowKey,
    /// Where the payload begins; 0 if that can't be told.
    payload_at: u32,
    payload_end: u32,
    sequence: u32,
    /// [`Sighting::BEGINS`] and the like.
    about: u32,
    /// [`PortEntry`] of the remote port.
    remote_port: u32,
    /// [`LivePolicy::flags`].
    policy_flags: u32,
    /// [`LivePolicy::half`].
    half: u32,
    /// [`Segment::identification`].
    pub(crate) identification: u32,
}

impl Sighting {
    const BEGINS: u32 = 1;
    const RECEIVED: u32 = 2;
    const WAN: u32 = 4;
    const FIRST_PART: u32 = 8;
    const LATER_PART: u32 = 16;
    const RESETS: u32 = 32;
    const OF_PACKETS: u32 = Self::BEGINS | Self::FIRST_PART | Self::LATER_PART | Self::RESETS;

    /// A packet between two ends.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "offsets are below 16 Ki")]
    pub(crate) fn new<B: Bytes>(
        packet: B,
        segment: &Segment,
        ends: &Ends,
        body: Body,
        remote_port: PortEntry,
        policy: LivePolicy,
    ) -> Self {
        let begins = if body.begins() { Self::BEGINS } else { 0 };
        // Without a branch, of which the verifier would follow both ways to the end.
        let resets = u32::from(body.resets()) * Self::RESETS;
        let received = match ends.direction {
            Direction::Sent => 0,
            Direction::Received => Self::RECEIVED,
        };
        let side = match ends.side {
            Side::Lan => 0,
            Side::Wan => Self::WAN,
        };
        let part = match segment.part {
            Part::Whole => 0,
            Part::First => Self::FIRST_PART,
            Part::Later => Self::LATER_PART,
        };
        // Forgotten, as is where the payload lies, so that the verifier walks what follows once, and not
        // once for each kind of packet. Side and direction are the same for all that a program sees.
        let packets = packet.forget_word(begins | resets | part) & Self::OF_PACKETS;
        Self {
            key: FlowKey::new(ends, segment.transport, |word| packet.forget_word(word)),
            payload_at: packet.forget_word(body.at as u32),
            payload_end: packet.forget_word(segment.end as u32),
            sequence: body.sequence,
            about: packets | received | side,
            // What has no ports has nothing of a port's.
            remote_port: match segment.part {
                Part::Later => 0,
                _ => u32::from(remote_port.0),
            },
            policy_flags: policy.flags,
            half: policy.half.index(),
            identification: segment.identification,
        }
    }

    /// Whether this is the first fragment of a datagram.
    #[inline(always)]
    pub(crate) const fn is_first_part(&self) -> bool {
        self.about & Self::FIRST_PART != 0
    }

    /// Whether this is another fragment of a datagram: it has no ports.
    #[inline(always)]
    pub const fn is_later_part(&self) -> bool {
        self.about & Self::LATER_PART != 0
    }

    #[inline(always)]
    pub(crate) const fn begins(&self) -> bool {
        self.about & Self::BEGINS != 0
    }

    /// Whether it says that a connection is over, and nothing else: a RST without a payload.
    #[inline(always)]
    pub(crate) const fn resets(&self) -> bool {
        self.about & Self::RESETS != 0 && self.payload_end <= self.payload_at
    }

    /// The sequence number of the payload's first byte: a SYN has one for itself (RFC 9293 section 3.4).
    #[inline(always)]
    pub(crate) const fn sequence(&self) -> u32 {
        let syn = if self.begins() { 1 } else { 0 };
        self.sequence.wrapping_add(syn)
    }

    #[inline(always)]
    pub(crate) const fn side(&self) -> Side {
        match self.about & Self::WAN {
            0 => Side::Lan,
            _ => Side::Wan,
        }
    }

    /// Whether the local host begins a connection.
    #[inline(always)]
    pub(crate) const fn calls(&self) -> bool {
        self.begins() && matches!(self.direction(), Direction::Sent)
    }

    #[inline(always)]
    pub(crate) const fn direction(&self) -> Direction {
        match self.about & Self::RECEIVED {
            0 => Direction::Sent,
            _ => Direction::Received,
        }
    }

    /// Where the packet was seen.
    #[inline(always)]
    pub const fn view(&self) -> View {
        View::of(self.side(), self.direction())
    }

    /// Where the payload lies; at 0 if that can't be told.
    #[inline(always)]
    pub const fn payload(&self) -> Payload {
        Payload {
            at: self.payload_at as usize,
            end: self.payload_end as usize,
        }
    }

    /// Whether there is a payload. A SYN may have one (TCP Fast Open, RFC 7413).
    #[inline(always)]
    pub(crate) const fn speaks(&self) -> bool {
        self.payload_at != 0 && self.payload_end > self.payload_at
    }

    #[inline(always)]
    pub(crate) const fn remote_port(&self) -> PortEntry {
        PortEntry((self.remote_port & 0xffff) as u16)
    }

    #[inline(always)]
    pub(crate) const fn policy(&self) -> LivePolicy {
        LivePolicy {
            half: Half::of_generation(self.half),
            flags: self.policy_flags,
        }
    }

    /// A resolver may ask all its questions from one port, or on one connection, so these are read at any
    /// age. Of a connection only what the client says: its answers may be a whole zone's.
    #[inline(always)]
    pub(crate) const fn asks_for_names(&self) -> bool {
        let is_read = matches!(self.key.transport(), Transport::Udp)
            || matches!(self.direction(), Direction::Sent);
        is_read && self.key.remote_port() == DNS_PORT
    }

    /// Whether it may be one of the first packets of a QUIC client, as far as sizes tell, and the policy
    /// wants to know.
    #[inline(always)]
    pub(crate) const fn may_begin_quic(&self) -> bool {
        let wanted = Control::INSPECTS_QUIC | Control::BLOCKS_QUIC;
        self.policy_flags & wanted != 0
            && matches!(self.key.transport(), Transport::Udp)
            && matches!(self.direction(), Direction::Sent)
            && self.payload().length() >= INITIAL_MIN
    }

    /// The packet's flow.
    #[inline(always)]
    pub const fn flow(&self) -> &FlowKey {
        &self.key
    }

    /// DHCP (RFC 2131 section 4.1) and DHCPv6 (RFC 8415 section 7.2): both ports are of the
    /// protocol.
    #[inline(always)]
    pub(crate) const fn is_dhcp(&self) -> bool {
        let ports = (self.key.local_port(), self.key.remote_port());
        matches!(self.key.transport(), Transport::Udp)
            && matches!(ports, (67 | 68, 67 | 68) | (546 | 547, 546 | 547))
    }

    /// How far the packet reaches in its frame.
    #[inline(always)]
    pub(crate) const fn extent(&self) -> Extent {
        Extent {
            headers: self.payload_at as usize,
            end: self.payload_end as usize,
        }
    }
}
