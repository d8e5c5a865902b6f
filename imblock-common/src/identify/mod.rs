//! Which service a segment belongs to: the order of evidence, one question a file.

mod port;

use crate::layout::PortEntry;
use crate::tables::LivePolicy;
use crate::{Ends, Segment, Tables};

/// What told the service. The numbers are slots of the service totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Evidence {
    /// The remote port.
    Port = 0,
}

impl Evidence {
    /// Every kind of evidence, in the order of the slots.
    pub const ALL: [Self; 1] = [Self::Port];

    /// The word for it in output and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Port => "port",
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

/// Asks each kind of evidence in turn, the cheapest first.
#[inline(always)]
pub(crate) fn identify<T: Tables>(
    segment: &Segment,
    ends: &Ends,
    policy: LivePolicy,
    tables: T,
) -> Option<Identified> {
    port::identify(segment, ends, policy, tables)
}
