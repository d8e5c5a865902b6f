//! The remote port: one read of a flat table.

use super::Evidence;
use crate::content::{Finding, Reply};
use crate::layout::PortEntry;

/// The service that the policy gives to the remote end's port.
#[inline(always)]
pub(super) const fn finding(remote_port: PortEntry) -> Reply {
    Finding::flow(remote_port.service(), Evidence::Port).reply()
}
