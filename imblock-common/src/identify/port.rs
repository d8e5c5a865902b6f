//! The remote port: one read of a flat table.

use crate::content::Reply;
use crate::flows::Initiator;
use crate::layout::PortEntry;

/// The service that the policy gives to the remote end's port.
#[inline(always)]
pub(crate) const fn finding(remote_port: PortEntry) -> Reply {
    Reply::of_port(remote_port.service())
}

/// The same of a flow. The service is the one that is called: of a flow that the remote end began its
/// port tells nothing.
#[inline(always)]
pub(super) const fn of_flow(remote_port: PortEntry, initiator: Initiator) -> Reply {
    match initiator {
        Initiator::Remote => Reply::NOTHING,
        _ => finding(remote_port),
    }
}
