//! How much the counters of hosts grew from one snapshot to the next.
//!
//! A host's counters may go away: its slot is given to another host, and what it had counted is moved to
//! the overflow of the service. That is no traffic, neither of the overflow now nor, backwards, of the host.
//!
//! Invariant: where snapshots agree with themselves, the sum of the growth over the hosts and the overflow
//! of a service is the growth of the service.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use imblock_common::layout::HostRecord;

use super::document::{BothWays, Count};
use crate::snapshot::{ServiceCounts, Snapshot};

/// What was added to one host and service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Growth {
    /// The local host; none for those that found no room in the table.
    pub(super) host: Option<IpAddr>,
    pub(super) service: u16,
    /// What went on.
    pub(super) passed: BothWays,
    /// What did not.
    pub(super) refused: BothWays,
}

/// By fate and direction: what slots count apart.
type Counters = [Count; 4];

/// What was added from `previous` to `current`: an entry for each host and service of `current`, grown or
/// not. Where the tables were made anew in between, all that there is now.
pub(super) fn between(previous: &Snapshot, current: &Snapshot) -> Vec<Growth> {
    let nothing = Snapshot::default();
    let previous = match is_made_anew(previous, current) {
        true => &nothing,
        false => previous,
    };
    let mut overflow = overflow_growth(previous, current);
    let present: HashSet<_> = current.hosts.iter().map(|h| (h.host, h.service)).collect();
    let mut before = HashMap::new();
    for host in &previous.hosts {
        let key = (host.host, host.service);
        if present.contains(&key) {
            before.insert(key, counters(&host.record));
        } else if let Some(overflow) = overflow.get_mut(&host.service) {
            // Of a host that is gone, all was moved.
            for (overflow, moved) in overflow.iter_mut().zip(counters(&host.record)) {
                *overflow = overflow.minus(moved);
            }
        }
    }
    let mut growths = Vec::with_capacity(current.hosts.len() + overflow.len());
    for host in &current.hosts {
        let was = before.remove(&(host.host, host.service));
        let mut none = Counters::default();
        let overflow = overflow.get_mut(&host.service).unwrap_or(&mut none);
        let mut grown = counters(&host.record);
        for ((now, was), overflow) in grown.iter_mut().zip(was.unwrap_or_default()).zip(overflow) {
            *now = growth(was, *now, overflow);
        }
        growths.push(Growth::new(Some(host.host), host.service, grown));
    }
    let left = overflow.into_iter();
    growths.extend(left.map(|(service, grown)| Growth::new(None, service, grown)));
    growths
}

/// The totals of services are never moved and never begin anew but with the tables.
fn is_made_anew(previous: &Snapshot, current: &Snapshot) -> bool {
    let packets = |service: &ServiceCounts| {
        let cells = service.cells.iter().map(|cell| cell.traffic.packets);
        (service.number, cells.fold(0, u64::saturating_add))
    };
    let now: HashMap<_, _> = current.services.iter().map(packets).collect();
    let mut before = previous.services.iter().map(packets);
    before.any(|(service, packets)| now.get(&service).copied().unwrap_or(0) < packets)
}

/// By service, real traffic and what was moved there together.
fn overflow_growth(previous: &Snapshot, current: &Snapshot) -> BTreeMap<u16, Counters> {
    let records = |snapshot: &Snapshot| -> BTreeMap<u16, Counters> {
        let services = snapshot.services.iter();
        services
            .map(|service| (service.number, counters(&service.overflow)))
            .collect()
    };
    let before = records(previous);
    let mut overflow = records(current);
    for (service, counters) in &mut overflow {
        let was = before.get(service).copied().unwrap_or_default();
        for (now, was) in counters.iter_mut().zip(was) {
            *now = now.since(was).unwrap_or(*now);
        }
    }
    overflow
}

/// What was added to a counter. One that went back has given something to the overflow, as much of what
/// it was as the overflow got; what went back for another reason begins anew.
fn growth(was: Count, now: Count, overflow: &mut Count) -> Count {
    if let Some(grown) = now.since(was) {
        return grown;
    }
    let moved = was.at_most(*overflow);
    match now.plus(moved).since(was) {
        Some(grown) => {
            *overflow = overflow.minus(moved);
            grown
        }
        None => now,
    }
}

fn counters(record: &HostRecord) -> Counters {
    let [sent, received] = record.passed;
    let [sent_refused, received_refused] = record.refused;
    [sent, received, sent_refused, received_refused].map(Count::from)
}

impl Growth {
    fn new(host: Option<IpAddr>, service: u16, grown: Counters) -> Self {
        let [sent, received, sent_refused, received_refused] = grown;
        Self {
            host,
            service,
            passed: BothWays { sent, received },
            refused: BothWays {
                sent: sent_refused,
                received: received_refused,
            },
        }
    }

    /// All of it.
    pub(super) fn total(&self) -> Count {
        self.passed.sum().plus(self.refused.sum())
    }
}

impl Count {
    /// What came on top; none if anything went back.
    fn since(self, before: Self) -> Option<Self> {
        Some(Self {
            packets: self.packets.checked_sub(before.packets)?,
            bytes: self.bytes.checked_sub(before.bytes)?,
        })
    }

    fn minus(self, less: Self) -> Self {
        Self {
            packets: self.packets.saturating_sub(less.packets),
            bytes: self.bytes.saturating_sub(less.bytes),
        }
    }

    fn at_most(self, most: Self) -> Self {
        Self {
            packets: self.packets.min(most.packets),
            bytes: self.bytes.min(most.bytes),
        }
    }
}

#[cfg(test)]
mod tests;
