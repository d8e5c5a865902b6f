//! The remote address: a bit for its first two bytes, and behind that gate the longest prefix.

use super::{Evidence, Identified};
use crate::layout::{Control, PortEntry};
use crate::tables::LivePolicy;
use crate::{Ends, Tables};

/// The service that lives at the remote end's address. `remote_port` is its port's entry, for the
/// guard.
#[inline(always)]
pub(super) fn identify<T: Tables>(
    ends: &Ends,
    remote_port: PortEntry,
    policy: LivePolicy,
    tables: T,
) -> Option<Identified> {
    if policy.flags & Control::HAS_REMOTES == 0 {
        return None;
    }
    match tables.remote(policy.half, &ends.remote) {
        0 => None,
        service => Some(Identified {
            service,
            evidence: Evidence::Prefix,
            remote_port,
        }),
    }
}
