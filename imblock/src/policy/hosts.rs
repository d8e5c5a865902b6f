//! Which hosts a policy knows: their groups, and the guard's hand over them.
//!
//! Invariant: no prefix and no device is there twice.

use imblock_common::layout::{HostEntry, MacKey};
use ipnet::IpNet;

use super::compile::Surroundings;
use super::error::PolicyError;
use super::error_kind::PolicyErrorKind;
use super::model::Policy;
use super::net;
use super::plan::{MacPlan, PrefixPlan};

/// The groups of devices, by ascending address.
pub(super) fn macs(policy: &Policy) -> Result<Vec<MacPlan>, PolicyError> {
    let mut plans: Vec<MacPlan> = policy
        .groups()
        .iter()
        .zip(1u16..)
        .flat_map(|(group, number)| {
            group.macs.iter().map(move |mac| MacPlan {
                mac: mac.value,
                group: number,
            })
        })
        .collect();
    if plans.len() > MacKey::MOST {
        let (found, most) = (plans.len(), MacKey::MOST);
        return Err(policy.error(PolicyErrorKind::TooManyMacs { found, most }));
    }
    plans.sort_by_key(|plan| plan.mac);
    Ok(plans)
}

/// What is said of a prefix by itself, before wider ones are considered.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    group: Option<u16>,
    flags: u16,
}

/// Every prefix with what it and the wider ones around it say. The table answers with the longest
/// prefix alone, so each entry has to say all of it.
pub(super) fn prefixes(
    policy: &Policy,
    surroundings: &Surroundings,
) -> Result<Vec<PrefixPlan>, PolicyError> {
    let mut said: Vec<(IpNet, Said)> = Vec::new();
    for (group, number) in policy.groups().iter().zip(1u16..) {
        let group_said = Said {
            group: Some(number),
            flags: 0,
        };
        said.extend(
            group
                .prefixes
                .iter()
                .map(|prefix| (prefix.value, group_said)),
        );
    }
    let flagged = |flags| Said { group: None, flags };
    let protected = policy.protect().hosts.iter().map(|host| host.value);
    said.extend(protected.map(|net| (net, flagged(HostEntry::PROTECTED))));
    let own = surroundings.own.iter().copied().map(net::host_prefix);
    said.extend(own.map(|net| (net, flagged(HostEntry::OWN))));
    // `IpNet` sorts by family, address and length: a prefix comes before all that lie in it.
    said.sort_by_key(|(net, _)| *net);

    let mut plans: Vec<PrefixPlan> = Vec::with_capacity(said.len());
    // The prefixes around the current one, the widest first.
    let mut around: Vec<PrefixPlan> = Vec::new();
    for equal in said.chunk_by(|(a, _), (b, _)| a == b) {
        let Some((net, _)) = equal.first() else {
            continue;
        };
        while around.pop_if(|wider| !wider.net.contains(net)).is_some() {}
        let mut entry = around.last().map(|wider| wider.entry).unwrap_or_default();
        for (_, said) in equal {
            entry.group = said.group.unwrap_or(entry.group);
            entry.flags |= said.flags;
        }
        let plan = PrefixPlan { net: *net, entry };
        around.push(plan);
        plans.push(plan);
    }
    let limit = policy.limits().prefixes;
    if plans.len() > usize::try_from(limit / 2).unwrap_or(usize::MAX) {
        let found = plans.len();
        return Err(policy.limits_error(PolicyErrorKind::TooManyPrefixes { found, limit }));
    }
    Ok(plans)
}
