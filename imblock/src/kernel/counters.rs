//! Reading the counters.

use aya::maps::PerCpuValues;
use imblock_common::layout::{HostRecord, OUTCOME_SLOTS, Rejections, maps};
use imblock_common::{Evidence, Outcome, Verdict, View};
use rustix::time::{ClockId, clock_gettime};

use super::KernelError;
use super::maps::Maps;
use super::wire::Wire;
use crate::snapshot::{
    FrameCounts, HostCounts, RejectionCounts, ServiceCell, ServiceCounts, Snapshot, host_counts,
};
use crate::status::HostsInUse;
use imblock_common::layout::Counts;

impl Maps {
    /// All counters, CPUs added up. The programs go on counting meanwhile, so figures of different
    /// tables may be some packets apart.
    pub fn snapshot(&self) -> Result<Snapshot, KernelError> {
        Ok(Snapshot {
            services: self.service_counts()?,
            hosts: self.host_counts()?,
            frames: self.frame_counts()?,
            initials: self.initial_counts()?,
            limit_shared: self.limit_shared()?,
            rejections: self.rejection_counts()?,
            taken_at: monotonic_now(),
        })
    }

    /// (host, service) pairs that have counters of their own, by where those are.
    pub fn hosts_in_use(&self) -> Result<HostsInUse, KernelError> {
        let pairs = |counts: Vec<HostCounts>| u32::try_from(counts.len()).unwrap_or(u32::MAX);
        Ok(HostsInUse {
            hosts: pairs(host_counts(self.hosts.records())),
            inside: pairs(host_counts(self.places.records(self.control()?.inside))),
        })
    }

    fn service_counts(&self) -> Result<Vec<ServiceCounts>, KernelError> {
        let mut counts = Vec::new();
        for (_, number) in self.service_numbers()?.iter() {
            let cells = self.service_cells(number)?;
            if cells.is_empty() {
                continue;
            }
            let overflow = self
                .overflow
                .get(&u32::from(number), 0)
                .map_err(KernelError::map(
                    maps::OVERFLOW,
                    "read a service's overflow",
                ))?;
            counts.push(ServiceCounts {
                number,
                cells,
                overflow: merged(&overflow),
            });
        }
        counts.sort_by_key(|service| service.number);
        Ok(counts)
    }

    fn service_cells(&self, number: u16) -> Result<Vec<ServiceCell>, KernelError> {
        let totals = self
            .totals
            .get(&u32::from(number), 0)
            .map_err(KernelError::map(maps::TOTALS, "read a service's totals"))?;
        let mut cells = Vec::new();
        for evidence in Evidence::ALL {
            for verdict in Verdict::ALL {
                let mut traffic = Counts::default();
                for cpu in totals.iter() {
                    let row = cpu.0.cells.get(evidence as usize);
                    if let Some(cell) = row.and_then(|row| row.get(verdict as usize)) {
                        traffic.add(*cell);
                    }
                }
                if traffic.packets != 0 {
                    cells.push(ServiceCell {
                        evidence,
                        verdict,
                        traffic,
                    });
                }
            }
        }
        Ok(cells)
    }

    fn host_counts(&self) -> Result<Vec<HostCounts>, KernelError> {
        let at_places = self.places.records(self.control()?.inside);
        Ok(host_counts(self.hosts.records().chain(at_places)))
    }

    fn limit_shared(&self) -> Result<u64, KernelError> {
        let counts = self
            .limit_shared
            .get(&0, 0)
            .map_err(KernelError::map(maps::LIMIT_SHARED, "read a counter"))?;
        let cpus = counts.iter();
        Ok(cpus.fold(0, |sum: u64, cpu| sum.wrapping_add(*cpu)))
    }

    fn rejection_counts(&self) -> Result<RejectionCounts, KernelError> {
        let cpus = self.rejections.get(&0, 0).map_err(KernelError::map(
            maps::REJECTIONS,
            "read the counters of rejections",
        ))?;
        Ok(RejectionCounts::of(|fate| {
            let of_cpu = |cpu: &Wire<Rejections>| cpu.0.counts.get(fate as usize).copied();
            cpus.iter().filter_map(of_cpu).fold(0, u64::wrapping_add)
        }))
    }

    fn frame_counts(&self) -> Result<Vec<FrameCounts>, KernelError> {
        let mut frames = Vec::new();
        for view in View::ALL {
            for outcome in Outcome::ALL {
                let counts = self
                    .frames
                    .get(&outcome.slot(view), 0)
                    .map_err(KernelError::map(maps::FRAMES, "read the frame counters"))?;
                let packets = counts
                    .iter()
                    .fold(0, |sum: u64, cpu| sum.wrapping_add(*cpu));
                if packets != 0 {
                    frames.push(FrameCounts {
                        view,
                        outcome,
                        packets,
                    });
                }
            }
        }
        Ok(frames)
    }
}

fn merged(records: &PerCpuValues<Wire<HostRecord>>) -> HostRecord {
    let mut sum = HostRecord::default();
    for record in records.iter() {
        sum.merge(&record.0);
    }
    sum
}

/// The clock that the programs stamp records with, in nanoseconds.
fn monotonic_now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

const _: () = assert!(Outcome::ALL.len() <= OUTCOME_SLOTS as usize);
