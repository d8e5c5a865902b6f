//! Which service a segment belongs to: the order of evidence, one question a file.

mod port;
mod prefix;

use crate::layout::PortEntry;
use crate::tables::LivePolicy;
use crate::{Ends, Segment, Tables};

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
    /// The host of an HTTP request.
    Http = 4,
}

impl Evidence {
    /// Every kind of evidence, in the order of the slots.
    pub const ALL: [Self; 5] = [Self::Port, Self::Prefix, Self::Sni, Self::Dns, Self::Http];

    /// The word for it in output and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Port => "port",
            Self::Prefix => "prefix",
            Self::Sni => "sni",
            Self::Dns => "dns",
            Self::Http => "http",
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
/// a flat table. What is dearer has its gate in front.
#[inline(always)]
pub(crate) fn identify<T: Tables>(
    segment: &Segment,
    ends: &Ends,
    policy: LivePolicy,
    tables: T,
) -> Option<Identified> {
    let remote_port = tables.port(policy.half, segment.transport, ends.remote_port);
    port::identify(remote_port).or_else(|| prefix::identify(ends, remote_port, policy, tables))
}
