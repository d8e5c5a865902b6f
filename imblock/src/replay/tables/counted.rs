//! Counting, and what was counted as a snapshot has it.

use std::cell::Cell;

use imblock_common::flows::{flow_clock_shift, flow_idle};
use imblock_common::hosts::{Slots, slots_for};
use imblock_common::layout::{ABI, Control, Counts, HALVES, HostRecord, ServiceTotals};
use imblock_common::{Counters, Evidence, Outcome, Verdict, View};

use super::{MemoryTables, SECOND, TICKS_PER_SECOND};
use crate::snapshot::{FrameCounts, ServiceCell, ServiceCounts};

impl Counters for &MemoryTables {
    #[inline]
    fn control(self) -> Control {
        Control {
            abi: ABI,
            generation: 1,
            flags: self.control_flags.get(),
            host_slots: slots_for(self.hosts_wanted),
            host_seed: 0,
            ticks_per_second: TICKS_PER_SECOND,
            host_keys: self.hosts_wanted,
            policy_flags: [0; HALVES],
            flow_cells: u32::try_from(self.flows.len()).unwrap_or(u32::MAX),
            flow_clock_shift: flow_clock_shift(TICKS_PER_SECOND),
            flow_idle: flow_idle(TICKS_PER_SECOND),
            deadline: 0,
            fallback: 0,
            inside: self.inside,
        }
    }

    #[inline]
    fn tick(self) -> u32 {
        let ticks = self.now.get() / (SECOND / u64::from(TICKS_PER_SECOND));
        u32::try_from(ticks & 0xffff_ffff).unwrap_or(0)
    }

    #[inline]
    fn frame(self, slot: u32, packets: u64) {
        if let Some(count) = self.frame_cell(slot) {
            count.set(count.get().wrapping_add(packets));
        }
    }

    fn service(self, service: u16, evidence: Evidence, verdict: Verdict, traffic: Counts) {
        if let Some(totals) = self.totals.borrow_mut().get_mut(usize::from(service)) {
            totals.add(ServiceTotals::cell(evidence, verdict), traffic);
        }
    }

    #[inline]
    fn hosts(self) -> impl Slots {
        self
    }

    fn overflow(self, service: u16, update: impl FnOnce(&mut HostRecord)) {
        if let Some(cell) = self.overflow.get(usize::from(service)) {
            let mut record = cell.get();
            update(&mut record);
            cell.set(record);
        }
    }
}

impl MemoryTables {
    pub(super) fn service_counts(&self) -> Vec<ServiceCounts> {
        let numbers = 0..=u16::MAX;
        let totals = self.totals.borrow();
        numbers
            .zip(totals.iter().zip(&self.overflow))
            .filter_map(|(number, (totals, overflow))| {
                let cells = service_cells(totals);
                let overflow = overflow.get();
                let seen = !cells.is_empty() || overflow != HostRecord::default();
                seen.then_some(ServiceCounts {
                    number,
                    cells,
                    overflow,
                })
            })
            .collect()
    }

    pub(super) fn frame_counts(&self) -> Vec<FrameCounts> {
        let slots = View::ALL
            .into_iter()
            .flat_map(|view| Outcome::ALL.map(|outcome| (view, outcome)));
        slots
            .map(|(view, outcome)| FrameCounts {
                view,
                outcome,
                packets: self.frame_cell(outcome.slot(view)).map_or(0, Cell::get),
            })
            .filter(|counts| counts.packets != 0)
            .collect()
    }
}

fn service_cells(totals: &ServiceTotals) -> Vec<ServiceCell> {
    let mut cells = Vec::new();
    for (evidence, row) in Evidence::ALL.into_iter().zip(totals.cells) {
        for verdict in Verdict::ALL {
            let traffic = row.get(verdict as usize).copied().unwrap_or_default();
            if traffic != Counts::default() {
                cells.push(ServiceCell {
                    evidence,
                    verdict,
                    traffic,
                });
            }
        }
    }
    cells
}
