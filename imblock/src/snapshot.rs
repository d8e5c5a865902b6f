//! What the counters said at one moment, as plain data. Read from the kernel or from a replay, and
//! rendered by `output` and `telemetry`, which know neither.

use std::collections::HashMap;
use std::net::IpAddr;

use imblock_common::layout::{Counts, HostRecord};
use imblock_common::reject::Fate;
use imblock_common::{Addr, Evidence, Outcome, Verdict, View};

/// All counters at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Services that were seen at least once, by number.
    pub services: Vec<ServiceCounts>,
    /// One entry a (host, service), in no order.
    pub hosts: Vec<HostCounts>,
    /// Non-zero frame counters.
    pub frames: Vec<FrameCounts>,
    /// Beginnings of QUIC connections that were to be read.
    pub initials: InitialCounts,
    /// Packets under a limit that found no token bucket of their own.
    pub limit_shared: u64,
    /// What became of rejected packets.
    pub rejections: RejectionCounts,
    /// The monotonic clock when this was read, in nanoseconds: what [`HostRecord::active_since`] is
    /// held against. 0 where there is no such clock (a replay).
    pub taken_at: u64,
}

/// What became of the beginnings of QUIC connections, in datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InitialCounts {
    /// They were handed to the controller.
    pub handed_over: u64,
    /// There was no room: no controller reads, or not fast enough.
    pub lost: u64,
}

/// What became of rejected packets, in packets. A replay sends nothing, and has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RejectionCounts([u64; Fate::ALL.len()]);

impl RejectionCounts {
    /// From what each fate says.
    pub fn of(packets: impl Fn(Fate) -> u64) -> Self {
        Self(Fate::ALL.map(packets))
    }

    /// Packets by their fate.
    pub fn by_fate(self) -> impl Iterator<Item = (Fate, u64)> {
        Fate::ALL.into_iter().zip(self.0)
    }

    /// Packets of one fate.
    pub fn get(self, fate: Fate) -> u64 {
        let mut all = self.by_fate();
        all.find(|(known, _)| *known == fate)
            .map_or(0, |(_, packets)| packets)
    }
}

/// The totals of one service, all CPUs together.
#[derive(Clone, Debug)]
pub struct ServiceCounts {
    /// Service number.
    pub number: u16,
    /// Non-zero cells.
    pub cells: Vec<ServiceCell>,
    /// Traffic of hosts that found no room in the host table, or gave theirs up.
    pub overflow: HostRecord,
}

/// Traffic of one service, by evidence and verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceCell {
    /// What told the service.
    pub evidence: Evidence,
    /// What became of it.
    pub verdict: Verdict,
    /// How much.
    pub traffic: Counts,
}

/// What one host did with one service, all CPUs together.
#[derive(Clone, Copy, Debug)]
pub struct HostCounts {
    /// The local host.
    pub host: IpAddr,
    /// Service number.
    pub service: u16,
    /// How much, and when.
    pub record: HostRecord,
}

/// Brings together what slots have of each host and service: those of every CPU, of both tables, passed
/// and refused, sent and received.
pub fn host_counts(slots: impl Iterator<Item = (Addr, u16, HostRecord)>) -> Vec<HostCounts> {
    let mut records: HashMap<(Addr, u16), HostRecord> = HashMap::new();
    for (host, service, record) in slots {
        records.entry((host, service)).or_default().merge(&record);
    }
    let counts = |((host, service), record): ((Addr, u16), HostRecord)| HostCounts {
        host: host.into(),
        service,
        record,
    };
    records.into_iter().map(counts).collect()
}

/// How many packets of a view ended in an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameCounts {
    /// Where they were seen.
    pub view: View,
    /// How far they came.
    pub outcome: Outcome,
    /// How many.
    pub packets: u64,
}

impl ServiceCounts {
    /// Traffic that passed, whatever the evidence.
    pub fn passed(&self) -> Counts {
        self.sum(Verdict::passes)
    }

    /// Traffic that was refused, whatever the evidence.
    pub fn refused(&self) -> Counts {
        self.sum(|verdict| !verdict.passes())
    }

    fn sum(&self, wanted: impl Fn(Verdict) -> bool) -> Counts {
        let mut sum = Counts::default();
        for cell in self.cells.iter().filter(|cell| wanted(cell.verdict)) {
            sum.add(cell.traffic);
        }
        sum
    }
}
