//! The maps, and the kernel's answers to `Tables` and `Counters`.
//!
//! Names and types are those of `imblock_common::layout`; sizes marked "at load" come from the
//! policy's limits.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::btf_maps::lpm_trie::{Key, LpmTrie};
use aya_ebpf::btf_maps::{Array, PerCpuArray, PerCpuHashMap};
use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use aya_ebpf::macros::btf_map;
use imblock_common::layout::{
    ActionCell, ActionRow, Control, Counts, GROUPS_MAX, HALVES, Half, HostEntry, HostKeyV4,
    HostKeyV6, HostPrefix, HostRecord, Name, OUTCOME_SLOTS, PolicyHeader, PortEntry, PortTable,
    SERVICES_MAX, ServiceTotals,
};
use imblock_common::tables::LivePolicy;
use imblock_common::{Action, Addr, Counters, Evidence, Family, Tables, Transport, Verdict, View};

/// Entries of the host tables and the prefix trie when the loader says nothing else.
const HOSTS: usize = 16_384;
const PREFIXES: usize = 262_144;

#[btf_map]
static CONTROL: Array<Control, 1> = Array::new();
#[btf_map]
static POLICIES: Array<PolicyHeader, HALVES> = Array::new();
#[btf_map]
static PORTS: Array<PortTable, HALVES> = Array::new();
#[btf_map]
static ACTIONS: Array<ActionRow, { ActionRow::ROWS }> = Array::new();
#[btf_map]
static HOST_PREFIXES: LpmTrie<HostPrefix, HostEntry, PREFIXES> = LpmTrie::new();
#[btf_map]
static GROUP_NAMES: Array<Name, { HALVES * GROUPS_MAX }> = Array::new();
#[btf_map]
static SERVICE_NAMES: Array<Name, SERVICES_MAX> = Array::new();
#[btf_map]
static TOTALS: PerCpuArray<ServiceTotals, SERVICES_MAX> = PerCpuArray::new();
#[btf_map]
static HOSTS_V4: PerCpuHashMap<HostKeyV4, HostRecord, HOSTS> = PerCpuHashMap::new();
#[btf_map]
static HOSTS_V6: PerCpuHashMap<HostKeyV6, HostRecord, HOSTS> = PerCpuHashMap::new();
#[btf_map]
static OVERFLOW: PerCpuArray<HostRecord, SERVICES_MAX> = PerCpuArray::new();
#[btf_map]
static FRAMES: PerCpuArray<u64, { View::ALL.len() * OUTCOME_SLOTS as usize }> = PerCpuArray::new();

/// The maps above, as the classifier sees them.
#[derive(Clone, Copy)]
pub struct KernelMaps;

impl Tables for KernelMaps {
    #[inline(always)]
    fn policy(self) -> LivePolicy {
        let generation = CONTROL.get(0).map_or(0, |control| control.generation);
        let half = Half::of_generation(generation);
        let flags = POLICIES.get(half.index()).map_or(0, |header| header.flags);
        LivePolicy { half, flags }
    }

    #[inline(always)]
    fn port(self, half: Half, transport: Transport, port: u16) -> PortEntry {
        let Some(table) = PORTS.get(half.index()) else {
            return PortEntry::default();
        };
        // SAFETY: `PortTable::index` is below `PortTable::LEN`; the verifier checks it again. A
        // checked index would leave a comparison that the verifier can't make use of.
        PortEntry(unsafe { *table.0.get_unchecked(PortTable::index(transport, port)) })
    }

    #[inline(always)]
    fn host(self, half: Half, addr: &Addr) -> HostEntry {
        let key = Key::new(HostPrefix::FULL_BITS, HostPrefix::new(half, addr));
        HOST_PREFIXES.get(&key).copied().unwrap_or_default()
    }

    #[inline(always)]
    fn action(self, half: Half, group: u16, service: u16) -> Action {
        let Some(row) = ACTIONS.get(ActionRow::index(half, group)) else {
            return Action::Allow;
        };
        // SAFETY: masked to the length of the row, which is a power of two.
        let cell = unsafe {
            *row.0
                .get_unchecked(usize::from(service) & (SERVICES_MAX - 1))
        };
        ActionCell(cell).action()
    }
}

impl Counters for KernelMaps {
    #[inline(always)]
    fn flags(self) -> u32 {
        CONTROL.get(0).map_or(0, |control| control.flags)
    }

    /// A resolution of one tick (1 to 10 ms), at a tenth of the price of the exact clock
    /// (kernel 5.11).
    #[inline(always)]
    fn now(self) -> u64 {
        // SAFETY: the helper takes nothing and reads the clock.
        unsafe { bpf_ktime_get_coarse_ns() }
    }

    #[inline(always)]
    fn frame(self, slot: u32, packets: u64) {
        if let Some(count) = FRAMES.get_ptr_mut(slot) {
            // SAFETY: the slot belongs to this CPU, and nothing interrupts the program on it to
            // run another one.
            unsafe { *count = (*count).wrapping_add(packets) };
        }
    }

    #[inline(always)]
    fn service(self, service: u16, evidence: Evidence, verdict: Verdict, traffic: Counts) {
        if let Some(totals) = TOTALS.get_ptr_mut(u32::from(service)) {
            // SAFETY: as in `frame`.
            unsafe { &mut *totals }.add(evidence, verdict, traffic);
        }
    }

    #[inline(always)]
    fn host(self, host: &Addr, service: u16, update: impl FnOnce(&mut HostRecord)) -> bool {
        match host.family() {
            Family::V4 => in_table(&HOSTS_V4, &HostKeyV4::new(host, service), update),
            Family::V6 => in_table(&HOSTS_V6, &HostKeyV6::new(host, service), update),
        }
    }

    #[inline(always)]
    fn overflow(self, service: u16, update: impl FnOnce(&mut HostRecord)) {
        if let Some(record) = OVERFLOW.get_ptr_mut(u32::from(service)) {
            // SAFETY: as in `frame`.
            update(unsafe { &mut *record });
        }
    }
}

const EMPTY: HostRecord = HostRecord {
    passed: [Counts {
        packets: 0,
        bytes: 0,
    }; 2],
    refused: [Counts {
        packets: 0,
        bytes: 0,
    }; 2],
    active_since: 0,
    active_seconds: 0,
    reserved: 0,
};

/// Updates the record of a key, making it first if need be. An insert that fails because another
/// CPU was faster finds that CPU's entry; one that fails for want of room finds none.
#[inline(always)]
fn in_table<K>(
    table: &PerCpuHashMap<K, HostRecord, HOSTS>,
    key: &K,
    update: impl FnOnce(&mut HostRecord),
) -> bool {
    let record = table.get_ptr_mut(key).or_else(|| {
        let _ = table.insert(key, EMPTY, u64::from(BPF_NOEXIST));
        table.get_ptr_mut(key)
    });
    match record {
        Some(record) => {
            // SAFETY: the record is this CPU's copy, as in `KernelMaps::frame`; nothing deletes
            // entries while the program runs under RCU.
            update(unsafe { &mut *record });
            true
        }
        None => false,
    }
}
