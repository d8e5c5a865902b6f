//! From what was counted to a policy that somebody might want: what is used, by whom, and what nobody
//! would miss.
//!
//! Invariant: nothing that was seen is proposed to be dropped, however long ago or however little.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use imblock_common::layout::{Counts, HostRecord};
use imblock_common::{Action, Evidence};
use ipnet::IpNet;

use crate::policy::plan::ServicePlan;
use crate::policy::{Service, Status};
use crate::snapshot::{HostCounts, ServiceCounts, Snapshot};

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The counters.
    pub snapshot: Snapshot,
    /// When a service was first seen, by number, in seconds since 1970; empty where nobody knows.
    pub first_seen: BTreeMap<u16, u64>,
    /// What to add to a host's clock for seconds since 1970.
    pub clock: Clock,
}

/// What the times in counters mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// They are nanoseconds since 1970.
    #[default]
    Epoch,
    /// They are of the monotonic clock, which said `taken_at` of the snapshot at this time, in
    /// seconds since 1970.
    Monotonic(u64),
}

/// How to judge it.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// So many hosts are many.
    pub many: usize,
    /// What was last seen before is not used any more, in seconds since 1970.
    pub since: Option<u64>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    /// What is known of each service that was seen, or that nobody would miss.
    pub findings: Vec<Finding>,
    /// Where the hosts are that use something, as a hint for groups.
    pub networks: Vec<Network>,
    /// Hosts that use something.
    pub hosts: usize,
    /// Packets of hosts that have no place in the table, or none any more: there are more hosts than are
    /// listed.
    pub overflow: u64,
}

/// A service, and what to do about it.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its id.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its category.
    pub category: String,
    /// Whether it has ended.
    pub historic: bool,
    /// Whether the catalogue has it; a policy's own service must be defined where it is named.
    pub in_catalogue: bool,
    /// The hosts that use it, the busiest first.
    pub hosts: Vec<IpAddr>,
    /// All its traffic.
    pub traffic: Counts,
    /// How many packets of it were refused.
    pub refused: u64,
    /// What told it.
    pub evidence: Vec<(Evidence, u64)>,
    /// Seconds in which a host used it, of all hosts together.
    pub active_seconds: u64,
    /// When it was first seen, in seconds since 1970, if that is known.
    pub first_seen: Option<u64>,
    /// When it was last seen.
    pub last_seen: Option<u64>,
    /// What to do about it.
    pub proposal: Action,
    /// Why.
    pub why: Why,
}

/// Why something is proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Many hosts use it.
    ManyHosts,
    /// A few do.
    FewHosts,
    /// It was used, but not lately.
    NotLately,
    /// Nobody uses it, and it has ended.
    UnusedHistoric,
    /// Nobody uses it, and it is peer-to-peer.
    UnusedPeerToPeer,
}

/// Hosts of one network that use something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// A /24 or a /64.
    pub net: IpNet,
    /// How many hosts of it do.
    pub hosts: usize,
    /// What they use.
    pub services: Vec<String>,
}

impl Why {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::ManyHosts => "many hosts use it",
            Self::FewHosts => "few hosts use it",
            Self::NotLately => "it was used, but not lately",
            Self::UnusedHistoric => "nobody uses it, and it has ended",
            Self::UnusedPeerToPeer => "nobody uses it, and it is peer-to-peer",
        }
    }
}

/// What to do about the services of a policy, going by what was seen of them.
pub fn learn(
    observed: &Observed,
    services: &[ServicePlan],
    catalogue: &[Service],
    rules: Rules,
) -> Learned {
    let mut findings: Vec<Finding> = services
        .iter()
        .filter_map(|service| finding(observed, service, catalogue, rules))
        .collect();
    findings.sort_by(|a, b| {
        let rank = |f: &Finding| (f.why, std::cmp::Reverse(f.hosts.len()), f.service.clone());
        rank(a).cmp(&rank(b))
    });
    let hosts: BTreeSet<IpAddr> = findings.iter().flat_map(|f| f.hosts.clone()).collect();
    let overflow = observed.snapshot.services.iter().map(|service| {
        let record = service.overflow;
        let both = record.passed.iter().chain(&record.refused);
        both.map(|counts| counts.packets).sum::<u64>()
    });
    Learned {
        networks: networks(&findings),
        hosts: hosts.len(),
        overflow: overflow.sum(),
        findings,
    }
}

fn finding(
    observed: &Observed,
    service: &ServicePlan,
    catalogue: &[Service],
    rules: Rules,
) -> Option<Finding> {
    let known = catalogue
        .iter()
        .find(|known| known.id.as_str() == service.id);
    let mut counts = observed.snapshot.services.iter();
    let counts = counts.find(|counts| counts.number == service.number);
    let mut hosts: Vec<&HostCounts> = observed
        .snapshot
        .hosts
        .iter()
        .filter(|host| host.service == service.number)
        .collect();
    hosts.sort_by_key(|host| (std::cmp::Reverse(packets(host)), host.host));
    let last = |record: &HostRecord| observed.clock.seconds(record, &observed.snapshot);
    let lately = |record: &HostRecord| match (rules.since, last(record)) {
        (Some(since), Some(last)) => last >= since,
        _ => true,
    };
    let users = hosts.iter().copied().filter(|host| lately(&host.record));
    let users: Vec<&HostCounts> = users.collect();
    let seen = counts.is_some_and(|counts| !counts.cells.is_empty()) || !hosts.is_empty();
    // Nobody knows how many these are.
    let overflow = counts.map(|counts| &counts.overflow);
    let overflow = overflow.filter(|overflow| overflow.active_seconds > 0);
    let why = match (seen, users.len()) {
        (true, 0) if !overflow.is_some_and(lately) => Why::NotLately,
        (true, users) if users >= rules.many => Why::ManyHosts,
        (true, _) => Why::FewHosts,
        (false, _) => unused(service, known?)?,
    };
    let proposal = match why {
        Why::ManyHosts => Action::Allow,
        Why::FewHosts | Why::NotLately => Action::Count,
        Why::UnusedHistoric | Why::UnusedPeerToPeer => Action::Drop,
    };
    Some(Finding {
        service: service.id.clone(),
        name: service.name.clone(),
        category: service.category.clone(),
        historic: service.historic,
        in_catalogue: known.is_some(),
        hosts: users.iter().map(|host| host.host).collect(),
        traffic: counts.map(traffic).unwrap_or_default(),
        refused: counts.map_or(0, |counts| counts.refused().packets),
        evidence: counts.map(evidence).unwrap_or_default(),
        active_seconds: hosts
            .iter()
            .map(|host| u64::from(host.record.active_seconds))
            .sum(),
        first_seen: observed.first_seen.get(&service.number).copied(),
        last_seen: hosts
            .iter()
            .map(|host| &host.record)
            .chain(overflow)
            .filter_map(last)
            .max(),
        proposal,
        why,
    })
}

/// Whether nobody would miss a service that was not seen. What could not have been seen says nothing:
/// a service that is told by nothing, or only where a rule names it.
fn unused(service: &ServicePlan, known: &Service) -> Option<Why> {
    let heard = !known.ports.is_empty()
        || !known.names.is_empty()
        || !known.prefixes.is_empty()
        || !known.markers.is_empty()
        || !known.alpn.is_empty()
        || !known.stun.is_empty();
    if !heard || known.opt_in {
        None
    } else if known.status == Status::Historic || service.historic {
        Some(Why::UnusedHistoric)
    } else if known.category.name() == "p2p" {
        Some(Why::UnusedPeerToPeer)
    } else {
        None
    }
}

impl Clock {
    /// When a service was used last, in seconds since 1970.
    fn seconds(self, record: &HostRecord, snapshot: &Snapshot) -> Option<u64> {
        const SECOND: u64 = 1_000_000_000;
        if record.active_seconds == 0 {
            return None;
        }
        match self {
            Self::Epoch => Some(record.active_since / SECOND),
            Self::Monotonic(now) => {
                let idle = snapshot.taken_at.saturating_sub(record.active_since) / SECOND;
                Some(now.saturating_sub(idle))
            }
        }
    }
}

fn packets(host: &HostCounts) -> u64 {
    let both = host.record.passed.iter().chain(&host.record.refused);
    both.map(|counts| counts.packets).sum()
}

fn traffic(counts: &ServiceCounts) -> Counts {
    let mut sum = counts.passed();
    sum.add(counts.refused());
    sum
}

/// The most telling first.
fn evidence(counts: &ServiceCounts) -> Vec<(Evidence, u64)> {
    let mut by_kind: BTreeMap<u8, (Evidence, u64)> = BTreeMap::new();
    for cell in &counts.cells {
        let kind = by_kind
            .entry(cell.evidence as u8)
            .or_insert((cell.evidence, 0));
        kind.1 += cell.traffic.packets;
    }
    let mut kinds: Vec<_> = by_kind.into_values().collect();
    kinds.sort_by_key(|(_, packets)| std::cmp::Reverse(*packets));
    kinds
}

fn networks(findings: &[Finding]) -> Vec<Network> {
    let mut networks: BTreeMap<IpNet, (BTreeSet<IpAddr>, BTreeSet<&str>)> = BTreeMap::new();
    for finding in findings {
        for host in &finding.hosts {
            let bits = if host.is_ipv4() { 24 } else { 64 };
            let Ok(net) = IpNet::new(*host, bits) else {
                continue;
            };
            let (hosts, services) = networks.entry(net.trunc()).or_default();
            hosts.insert(*host);
            services.insert(&finding.service);
        }
    }
    let network = |(net, (hosts, services)): (IpNet, (BTreeSet<IpAddr>, BTreeSet<&str>))| Network {
        net,
        hosts: hosts.len(),
        services: services.into_iter().map(str::to_owned).collect(),
    };
    networks.into_iter().map(network).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use imblock_common::Verdict;

    use super::*;
    use crate::catalogue;
    use crate::snapshot::ServiceCell;

    const IRC: u16 = 1;

    fn service(number: u16, id: &str) -> ServicePlan {
        let known = catalogue::services().unwrap().iter();
        let known = known.clone().find(|known| known.id.as_str() == id).unwrap();
        ServicePlan {
            number,
            id: id.to_owned(),
            name: known.name.clone(),
            category: known.category.name().to_owned(),
            historic: known.status == Status::Historic,
        }
    }

    /// IRC, used by so many hosts, the first of them at second 100, the next at 101.
    fn observed(hosts: u8) -> Observed {
        let traffic = Counts {
            packets: 10,
            bytes: 1000,
        };
        let host = |last: u8| HostCounts {
            host: IpAddr::from([10, 0, last % 2, last]),
            service: IRC,
            record: HostRecord {
                passed: [traffic, Counts::default()],
                active_since: (100 + u64::from(last)) * 1_000_000_000,
                active_seconds: 1,
                ..HostRecord::default()
            },
        };
        let cell = ServiceCell {
            evidence: Evidence::Port,
            verdict: Verdict::Counted,
            traffic,
        };
        Observed {
            snapshot: Snapshot {
                services: vec![ServiceCounts {
                    number: IRC,
                    cells: vec![cell],
                    overflow: HostRecord::default(),
                }],
                hosts: (0..hosts).map(host).collect(),
                ..Snapshot::default()
            },
            first_seen: BTreeMap::from([(IRC, 90)]),
            clock: Clock::Epoch,
        }
    }

    fn proposals(observed: &Observed, since: Option<u64>) -> Vec<(String, Action, Why)> {
        let services = [
            service(IRC, "irc"),
            service(2, "msn"),
            service(3, "gnutella"),
            service(4, "whatsapp"),
            service(5, "hangouts"),
        ];
        let rules = Rules { many: 3, since };
        let learned = learn(observed, &services, catalogue::services().unwrap(), rules);
        let findings = learned.findings.into_iter();
        findings
            .map(|finding| (finding.service, finding.proposal, finding.why))
            .collect()
    }

    #[test]
    fn what_is_used_is_never_dropped() {
        let irc = |observed: &Observed, since| proposals(observed, since).remove(0);
        let told = |action, why| ("irc".to_owned(), action, why);
        assert_eq!(irc(&observed(3), None), told(Action::Allow, Why::ManyHosts));
        assert_eq!(irc(&observed(2), None), told(Action::Count, Why::FewHosts));
        // Two of the three were seen since.
        assert_eq!(
            irc(&observed(3), Some(101)),
            told(Action::Count, Why::FewHosts)
        );
        assert_eq!(
            irc(&observed(3), Some(1000)),
            told(Action::Count, Why::NotLately)
        );
    }

    #[test]
    fn hosts_without_room_use_a_service_as_long_as_they_are_seen() {
        // All that is known is the overflow, and that it was last seen at second 100.
        let mut observed = observed(1);
        let host = observed.snapshot.hosts.remove(0);
        let irc = observed.snapshot.services.first_mut().unwrap();
        irc.overflow = host.record;
        for (since, why) in [(100, Why::FewHosts), (101, Why::NotLately)] {
            let services = [service(IRC, "irc")];
            let rules = Rules {
                many: 3,
                since: Some(since),
            };
            let learned = learn(&observed, &services, catalogue::services().unwrap(), rules);
            let irc = learned.findings.first().unwrap();
            assert_eq!((irc.why, irc.last_seen), (why, Some(100)));
        }
    }

    #[test]
    fn what_nobody_would_miss_is_dropped_if_it_could_have_been_seen() {
        let told = |id: &str, why| (id.to_owned(), Action::Drop, why);
        assert_eq!(
            proposals(&observed(3), None).split_off(1),
            [
                told("msn", Why::UnusedHistoric),
                told("gnutella", Why::UnusedPeerToPeer)
            ]
        );
    }

    #[test]
    fn hosts_are_told_by_network() {
        let observed = observed(4);
        let services = [service(IRC, "irc")];
        let rules = Rules {
            many: 3,
            since: None,
        };
        let learned = learn(&observed, &services, catalogue::services().unwrap(), rules);
        let nets: Vec<_> = learned.networks.iter().map(|n| n.net.to_string()).collect();
        assert_eq!(nets, ["10.0.0.0/24", "10.0.1.0/24"]);
        assert!(learned.networks.iter().all(|n| n.hosts == 2));
        assert_eq!(learned.hosts, 4);
        let [irc] = learned.findings.as_slice() else {
            unreachable!("{learned:?}");
        };
        assert_eq!((irc.first_seen, irc.last_seen), (Some(90), Some(103)));
    }

    #[test]
    fn the_monotonic_clock_is_turned_into_times() {
        let mut observed = observed(1);
        observed.snapshot.taken_at = 130 * 1_000_000_000;
        observed.clock = Clock::Monotonic(1_000_000);
        let services = [service(IRC, "irc")];
        let rules = Rules {
            many: 3,
            since: None,
        };
        let learned = learn(&observed, &services, catalogue::services().unwrap(), rules);
        let last = learned.findings.first().unwrap().last_seen;
        assert_eq!(last, Some(1_000_000 - 30));
    }
}
