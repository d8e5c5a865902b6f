//! How much of the room for hosts is taken, in words.

use super::super::units::plural;
use crate::policy::inside;
use crate::policy::plan::Limits;

/// A line about the table of hosts and, where there are places by address, one about those. `hosts` and
/// `inside` are the pairs of host and service that are there now.
pub(super) fn lines(limits: &Limits, hosts: u32, inside: u32) -> Vec<String> {
    let pairs = |count: u32| plural(count, "pair", "pairs");
    let (taken, room) = (pairs(hosts), limits.hosts);
    let mut lines = vec![format!(
        "{taken} of host and service in the tables; room for {room}"
    )];
    if limits.inside.hosts() != 0 {
        let (more, prefixes) = (pairs(inside), inside::words(&limits.inside));
        lines.push(format!("{more} more at places by address, for {prefixes}"));
    }
    lines
}
