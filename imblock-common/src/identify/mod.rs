//! Which service a segment belongs to: the order of evidence, one question a file.

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
}

impl Evidence {
    /// Every kind of evidence, in the order of the slots.
    pub const ALL: [Self; 4] = [Self::Port, Self::Prefix, Self::Sni, Self::Dns];

    /// From a slot of the service totals. A number from nowhere is the first.
    #[inline(always)]
    const fn from_slot(slot: usize) -> Self {
        match slot {
            1 => Self::Prefix,
            2 => Self::Sni,
            3 => Self::Dns,
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

impl Identified {
    /// The same. The kernel's readers make the verifier forget which kind of evidence it was, so
    /// that it walks the decision and the counting once and not once for each kind.
    #[inline(always)]
    pub(crate) fn settled<P: Packet>(self, packet: P) -> Self {
        let slot = packet.settle(self.evidence as usize).unwrap_or_default();
        Self {
            evidence: Evidence::from_slot(slot),
            ..self
        }
    }
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
