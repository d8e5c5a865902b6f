//! The remote address: a bit for its first two bytes, and behind that gate the longest prefix.

use super::Evidence;
use crate::content::{Finding, Reply};
use crate::layout::Control;
use crate::tables::LivePolicy;
use crate::{Addr, Tables};

/// The service that lives at the remote end's address.
#[inline(always)]
pub(super) fn finding<T: Tables>(remote: &Addr, policy: LivePolicy, tables: T) -> Reply {
    if policy.flags & Control::HAS_REMOTES == 0 {
        return Reply::NOTHING;
    }
    Finding::flow(tables.remote(policy.half, remote), Evidence::Prefix).reply()
}
