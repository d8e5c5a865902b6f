//! The tables of a plan in memory: what the kernel maps are to the kernel program.
//!
//! Invariant: each answer is the one that the maps would give, full tables included; nothing about
//! a packet is decided here.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use bytemuck::Zeroable;
use imblock_common::layout::{
    ActionCell, Counts, GROUPS_MAX, Half, HostEntry, HostKeyV4, HostKeyV6, HostRecord,
    OUTCOME_SLOTS, PortEntry, PortTable, SERVICES_MAX, ServiceTotals,
};
use imblock_common::tables::LivePolicy;
use imblock_common::{
    Action, Addr, Counters, Evidence, Family, Outcome, Tables, Transport, Verdict, View,
};

use crate::policy::Plan;
use crate::policy::plan::PrefixPlan;
use crate::snapshot::{FrameCounts, HostCounts, ServiceCell, ServiceCounts, Snapshot};

/// A plan that can judge packets and count them.
///
/// [`Tables`] and [`Counters`] are implemented on `&MemoryTables`, as `KernelMaps` is a handle on
/// the maps. For one thread, like one CPU's share of the maps.
#[derive(Debug)]
pub struct MemoryTables {
    policy: LivePolicy,
    control_flags: Cell<u32>,
    now: Cell<u64>,
    ports: Box<PortTable>,
    /// One [`ActionCell`] a group and service, [`SERVICES_MAX`] a row.
    actions: Box<[Cell<u8>]>,
    prefixes_v4: PrefixTable,
    prefixes_v6: PrefixTable,
    frames: Box<[Cell<u64>]>,
    /// Not a cell each: a kilobyte is too much to copy in and out for every frame.
    totals: RefCell<Vec<ServiceTotals>>,
    hosts_v4: HostTable<HostKeyV4>,
    hosts_v6: HostTable<HostKeyV6>,
    overflow: Box<[Cell<HostRecord>]>,
}

/// The half that a first policy goes to. There is no second one in memory.
const HALF: Half = Half::of_generation(1);

impl MemoryTables {
    /// The tables of a plan, nothing counted yet, the clock at 0, no control flags.
    pub fn new(plan: &Plan) -> Self {
        let mut actions = vec![Cell::new(0); GROUPS_MAX * SERVICES_MAX].into_boxed_slice();
        for (row, planned) in actions.chunks_mut(SERVICES_MAX).zip(&plan.actions) {
            for (cell, planned) in row.iter_mut().zip(planned.0) {
                cell.set(planned);
            }
        }
        let capacity = usize::try_from(plan.limits.hosts).unwrap_or(usize::MAX);
        Self {
            policy: LivePolicy {
                half: HALF,
                flags: plan.flags(),
            },
            control_flags: Cell::new(0),
            now: Cell::new(0),
            ports: plan.ports.clone(),
            actions,
            prefixes_v4: PrefixTable::of(&plan.prefixes, Family::V4),
            prefixes_v6: PrefixTable::of(&plan.prefixes, Family::V6),
            frames: cells(View::ALL.len() * OUTCOME_SLOTS as usize, 0),
            totals: RefCell::new(vec![ServiceTotals::zeroed(); SERVICES_MAX]),
            hosts_v4: HostTable::with_capacity(capacity),
            hosts_v6: HostTable::with_capacity(capacity),
            overflow: cells(SERVICES_MAX, HostRecord::default()),
        }
    }

    /// Changes what a group does with a service. Numbers that the tables don't have are ignored.
    pub fn set_action(&self, group: u16, service: u16, cell: ActionCell) {
        if usize::from(service) >= SERVICES_MAX {
            return;
        }
        if let Some(slot) = self.action_cell(group, service) {
            slot.set(cell.0);
        }
    }

    /// Sets [`imblock_common::layout::Control::flags`].
    pub fn set_flags(&self, flags: u32) {
        self.control_flags.set(flags);
    }

    /// Sets the clock, in nanoseconds from any beginning.
    pub fn set_now(&self, now: u64) {
        self.now.set(now);
    }

    /// All counters. `taken_at` is the clock.
    pub fn snapshot(&self) -> Snapshot {
        let hosts_v4 = self.hosts_v4.records.borrow();
        let hosts_v6 = self.hosts_v6.records.borrow();
        let v4 = hosts_v4
            .iter()
            .map(|(key, record)| host_counts(key.host(), key.service, record));
        let v6 = hosts_v6
            .iter()
            .map(|(key, record)| host_counts(key.host(), key.service, record));
        Snapshot {
            services: self.service_counts(),
            hosts: v4.chain(v6).collect(),
            frames: self.frame_counts(),
            taken_at: self.now.get(),
        }
    }

    fn service_counts(&self) -> Vec<ServiceCounts> {
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

    fn frame_counts(&self) -> Vec<FrameCounts> {
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

    /// The masks are those of the kernel program, so that a number from nowhere ends in the same
    /// row and cell.
    fn action_cell(&self, group: u16, service: u16) -> Option<&Cell<u8>> {
        let row = usize::from(group) & (GROUPS_MAX - 1);
        let column = usize::from(service) & (SERVICES_MAX - 1);
        self.actions.get(row * SERVICES_MAX + column)
    }

    fn frame_cell(&self, slot: u32) -> Option<&Cell<u64>> {
        self.frames.get(usize::try_from(slot).ok()?)
    }
}

impl Tables for &MemoryTables {
    #[inline]
    fn policy(self) -> LivePolicy {
        self.policy
    }

    #[inline]
    fn port(self, _half: Half, transport: Transport, port: u16) -> PortEntry {
        let entry = self.ports.0.get(PortTable::index(transport, port));
        PortEntry(entry.copied().unwrap_or_default())
    }

    fn host(self, _half: Half, addr: &Addr) -> HostEntry {
        match addr.family() {
            Family::V4 => self.prefixes_v4.longest(addr),
            Family::V6 => self.prefixes_v6.longest(addr),
        }
    }

    #[inline]
    fn action(self, _half: Half, group: u16, service: u16) -> Action {
        let cell = self.action_cell(group, service).map_or(0, Cell::get);
        ActionCell(cell).action()
    }
}

impl Counters for &MemoryTables {
    #[inline]
    fn flags(self) -> u32 {
        self.control_flags.get()
    }

    #[inline]
    fn now(self) -> u64 {
        self.now.get()
    }

    #[inline]
    fn frame(self, slot: u32, packets: u64) {
        if let Some(count) = self.frame_cell(slot) {
            count.set(count.get().wrapping_add(packets));
        }
    }

    fn service(self, service: u16, evidence: Evidence, verdict: Verdict, traffic: Counts) {
        if let Some(totals) = self.totals.borrow_mut().get_mut(usize::from(service)) {
            totals.add(evidence, verdict, traffic);
        }
    }

    fn host(self, host: &Addr, service: u16, update: impl FnOnce(&mut HostRecord)) -> bool {
        match host.family() {
            Family::V4 => self.hosts_v4.update(HostKeyV4::new(host, service), update),
            Family::V6 => self.hosts_v6.update(HostKeyV6::new(host, service), update),
        }
    }

    fn overflow(self, service: u16, update: impl FnOnce(&mut HostRecord)) {
        if let Some(cell) = self.overflow.get(usize::from(service)) {
            let mut record = cell.get();
            update(&mut record);
            cell.set(record);
        }
    }
}

/// Prefixes of one family, a table a length, the longest first.
#[derive(Debug, Default)]
struct PrefixTable {
    lengths: Vec<(u128, HashMap<u128, HostEntry>)>,
}

impl PrefixTable {
    fn of(prefixes: &[PrefixPlan], family: Family) -> Self {
        let mut by_length: Vec<(u8, HashMap<u128, HostEntry>)> = Vec::new();
        for prefix in prefixes {
            let addr = Addr::from(prefix.net.network());
            if addr.family() != family {
                continue;
            }
            let length = prefix.net.prefix_len();
            let at = match by_length.binary_search_by(|(other, _)| length.cmp(other)) {
                Ok(at) => at,
                Err(at) => {
                    by_length.insert(at, (length, HashMap::new()));
                    at
                }
            };
            if let Some((_, table)) = by_length.get_mut(at) {
                table.insert(bits(&addr) & mask(length), prefix.entry);
            }
        }
        Self {
            lengths: by_length
                .into_iter()
                .map(|(length, table)| (mask(length), table))
                .collect(),
        }
    }

    fn longest(&self, addr: &Addr) -> HostEntry {
        let bits = bits(addr);
        self.lengths
            .iter()
            .find_map(|(mask, table)| table.get(&(bits & mask)))
            .copied()
            .unwrap_or_default()
    }
}

/// The address from the highest bit on, so that a prefix of either family is a mask from the top.
fn bits(addr: &Addr) -> u128 {
    u128::from_be_bytes(addr.octets())
}

fn mask(length: u8) -> u128 {
    u128::MAX
        .checked_shl(128 - u32::from(length.min(128)))
        .unwrap_or(0)
}

/// Records by host and service, up to a limit.
#[derive(Debug)]
struct HostTable<K> {
    records: RefCell<HashMap<K, HostRecord>>,
    capacity: usize,
}

impl<K: Eq + Hash> HostTable<K> {
    fn with_capacity(capacity: usize) -> Self {
        Self {
            records: RefCell::default(),
            capacity,
        }
    }

    /// `update` must not touch the table; it is a few additions in `imblock_common::record`.
    fn update(&self, key: K, update: impl FnOnce(&mut HostRecord)) -> bool {
        let mut records = self.records.borrow_mut();
        if let Some(record) = records.get_mut(&key) {
            update(record);
            return true;
        }
        if records.len() >= self.capacity {
            return false;
        }
        update(records.entry(key).or_default());
        true
    }
}

fn cells<T: Copy>(length: usize, value: T) -> Box<[Cell<T>]> {
    vec![Cell::new(value); length].into_boxed_slice()
}

fn service_cells(totals: &ServiceTotals) -> Vec<ServiceCell> {
    let mut cells = Vec::new();
    for (evidence, row) in Evidence::ALL.into_iter().zip(totals.cells) {
        for (verdict, traffic) in Verdict::ALL.into_iter().zip(row) {
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

fn host_counts(host: Addr, service: u32, record: &HostRecord) -> HostCounts {
    HostCounts {
        host: IpAddr::from(host),
        // Keys are made from a u16.
        service: u16::try_from(service).unwrap_or_default(),
        record: *record,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
