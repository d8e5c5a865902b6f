//! What was counted, as a snapshot has it.

use std::cell::Cell;

use imblock_common::layout::{Counts, HostRecord, ServiceTotals};
use imblock_common::{Evidence, Outcome, Verdict, View};

use super::MemoryTables;
use crate::snapshot::{FrameCounts, ServiceCell, ServiceCounts};

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
