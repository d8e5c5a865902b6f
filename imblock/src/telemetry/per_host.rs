//! Series by host, for the hosts with the most traffic.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::num::NonZeroUsize;

use imblock_common::layout::HostRecord;

use super::families::{Family, Labels, Page, Quantity};
use crate::output::ServiceNames;
use crate::output::document::{Count, Usage};
use crate::snapshot::Snapshot;

const PACKETS: Family = Family {
    name: "imblock_host",
    unit: Some(Quantity::Packets),
    help: "Packets of a host and service, by direction as the host sees it; host `other` is all hosts but the busiest, and goes back when one of them becomes one of the busiest",
};
const BYTES: Family = Family {
    name: "imblock_host",
    unit: Some(Quantity::Bytes),
    help: "Bytes of a host and service from the link header on, by direction as the host sees it; host `other` is all hosts but the busiest, and goes back when one of them becomes one of the busiest",
};

/// Traffic by host, service, direction, and what became of it.
pub(super) struct PerHost {
    rows: Vec<Row>,
}

struct Row {
    host: String,
    service: String,
    direction: &'static str,
    verdict: &'static str,
    count: Count,
}

impl PerHost {
    /// The `top` hosts with the most bytes over all services, and everything else as `other`.
    pub(super) fn collect(
        snapshot: &Snapshot,
        names: &ServiceNames<'_>,
        top: NonZeroUsize,
    ) -> Self {
        let busiest = busiest(snapshot, top);
        let mut cells: BTreeMap<(Option<IpAddr>, u16), [Count; 4]> = BTreeMap::new();
        let mut add = |host: Option<IpAddr>, service: u16, record: &HostRecord| {
            let sums = cells.entry((host, service)).or_default();
            let [sent, received] = record.passed;
            let [sent_refused, received_refused] = record.refused;
            let more = [sent, received, sent_refused, received_refused];
            for (sum, more) in sums.iter_mut().zip(more) {
                *sum = sum.plus(more.into());
            }
        };
        for host in &snapshot.hosts {
            let named = busiest.contains(&host.host).then_some(host.host);
            add(named, host.service, &host.record);
        }
        for service in &snapshot.services {
            add(None, service.number, &service.overflow);
        }
        let rows = cells.into_iter().flat_map(|((host, service), sums)| {
            let host = host.map_or_else(|| "other".to_owned(), |host| host.to_string());
            let service = names.id(service).into_owned();
            let kinds = [
                ("sent", "passed"),
                ("received", "passed"),
                ("sent", "refused"),
                ("received", "refused"),
            ];
            kinds
                .into_iter()
                .zip(sums)
                .map(move |((direction, verdict), count)| Row {
                    host: host.clone(),
                    service: service.clone(),
                    direction,
                    verdict,
                    count,
                })
        });
        Self {
            rows: rows.filter(|row| row.count.packets > 0).collect(),
        }
    }

    /// Writes both families.
    pub(super) fn write(&self, to: &mut Page) {
        let rows = || self.rows.iter().map(|row| (row.labels(), row.count));
        PACKETS.counters(to, rows().map(|(labels, count)| (labels, count.packets)));
        BYTES.counters(to, rows().map(|(labels, count)| (labels, count.bytes)));
    }
}

impl Row {
    fn labels(&self) -> Labels<'_, 4> {
        [
            ("host", &self.host),
            ("service", &self.service),
            ("direction", self.direction),
            ("verdict", self.verdict),
        ]
    }
}

fn busiest(snapshot: &Snapshot, top: NonZeroUsize) -> HashSet<IpAddr> {
    let mut bytes: HashMap<IpAddr, u64> = HashMap::new();
    for host in &snapshot.hosts {
        let sum = bytes.entry(host.host).or_default();
        *sum = sum.saturating_add(Usage::at(&host.record, snapshot.taken_at).total().bytes);
    }
    let mut hosts: Vec<_> = bytes.into_iter().collect();
    // The address decides between equals, so that they don't change places from scrape to scrape.
    hosts.sort_by_key(|(host, bytes)| (Reverse(*bytes), *host));
    hosts.truncate(top.get());
    hosts.into_iter().map(|(host, _)| host).collect()
}
