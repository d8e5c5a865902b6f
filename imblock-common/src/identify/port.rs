//! The remote port: one read of a flat table.

use super::{Evidence, Identified};
use crate::tables::LivePolicy;
use crate::{Ends, Segment, Tables};

/// The service that the policy gives to the remote end's port.
#[inline(always)]
pub(super) fn identify<T: Tables>(
    segment: &Segment,
    ends: &Ends,
    policy: LivePolicy,
    tables: T,
) -> Option<Identified> {
    let entry = tables.port(policy.half, segment.transport, ends.remote_port);
    match entry.service() {
        0 => None,
        service => Some(Identified {
            service,
            evidence: Evidence::Port,
            remote_port: entry,
        }),
    }
}
