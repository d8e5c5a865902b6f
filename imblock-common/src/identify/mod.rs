//! Which service a segment belongs to: the order of evidence, one question a file.

pub mod marker;
mod name;
mod port;
mod prefix;

use crate::layout::PortEntry;
use crate::tables::LivePolicy;
use crate::{Ends, Packet, Segment, Tables};

/// What told the service. The numbers are slots of the service totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Evidence {
    /// The remote port.
    Port = 0,
    /// The remote address.
    Prefix = 1,
    /// The server name of a TLS handshake.
    Sni = 2,
    /// The name of a DNS question.
    Dns = 3,
    /// Bytes of the payload.
    Marker = 4,
    /// The host of an HTTP request.
    Http = 5,
    /// The server name of a QUIC handshake.
    Quic = 6,
    /// A STUN attribute, or STUN itself.
    Stun = 7,
    /// Three RTP packets in sequence.
    Rtp = 8,
    /// The destination that a SOCKS client asks for.
    Socks = 9,
    /// The application protocol that a TLS client offers.
    Alpn = 10,
    /// A call of what the same host had just talked to.
    Recent = 11,
    /// A host that was refused, on its way to another port of the same server.
    Hop = 12,
}

impl Evidence {
    /// Every kind of evidence, in the order of the slots.
    pub const ALL: [Self; 13] = [
        Self::Port,
        Self::Prefix,
        Self::Sni,
        Self::Dns,
        Self::Marker,
        Self::Http,
        Self::Quic,
        Self::Stun,
        Self::Rtp,
        Self::Socks,
        Self::Alpn,
        Self::Recent,
        Self::Hop,
    ];

    /// From a slot of the service totals. A number from nowhere is the first.
    #[inline(always)]
    pub const fn from_slot(slot: u8) -> Self {
        match slot {
            1 => Self::Prefix,
            2 => Self::Sni,
            3 => Self::Dns,
            4 => Self::Marker,
            5 => Self::Http,
            6 => Self::Quic,
            7 => Self::Stun,
            8 => Self::Rtp,
            9 => Self::Socks,
            10 => Self::Alpn,
            11 => Self::Recent,
            12 => Self::Hop,
            _ => Self::Port,
        }
    }

    /// The word for it in output and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Port => "port",
            Self::Prefix => "prefix",
            Self::Sni => "sni",
            Self::Dns => "dns",
            Self::Marker => "marker",
            Self::Http => "http",
            Self::Quic => "quic",
            Self::Stun => "stun",
            Self::Rtp => "rtp",
            Self::Socks => "socks",
            Self::Alpn => "alpn",
            Self::Recent => "recent",
            Self::Hop => "hop",
        }
    }
}

/// A service, and what told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identified {
    /// Service number, 1 to 511.
    pub service: u16,
    /// What told it.
    pub evidence: Evidence,
    /// The remote port's entry, for the guard.
    pub remote_port: PortEntry,
}

/// Asks each kind of evidence in turn, the cheapest first: a flood on a listed port costs a read of
/// a flat table. What is dearer has its gate in front. A name comes before an address: many services
/// share one address, none a name. `payload_at` is the offset of the payload, 0 for none.
#[inline(always)]
pub(crate) fn identify<P: Packet, T: Tables>(
    packet: P,
    segment: &Segment,
    ends: &Ends,
    payload_at: usize,
    policy: LivePolicy,
    tables: T,
) -> Option<Identified> {
    let remote_port = tables.port(policy.half, segment.transport, ends.remote_port);
    port::identify(remote_port)
        .or_else(|| {
            name::identify(
                packet,
                segment,
                ends,
                payload_at,
                remote_port,
                policy,
                tables,
            )
        })
        .or_else(|| prefix::identify(ends, remote_port, policy, tables))
}
