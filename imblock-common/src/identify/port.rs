//! The remote port: one read of a flat table.

use super::{Evidence, Identified};
use crate::layout::PortEntry;

/// The service that the policy gives to the remote end's port.
#[inline(always)]
pub(super) fn identify(remote_port: PortEntry) -> Option<Identified> {
    match remote_port.service() {
        0 => None,
        service => Some(Identified {
            service,
            evidence: Evidence::Port,
            remote_port,
        }),
    }
}
