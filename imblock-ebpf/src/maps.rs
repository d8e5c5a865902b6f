//! The maps, and the kernel's answers to `Tables` and `Counters`.
//!
//! Names and types are those of `imblock_common::layout`; sizes marked "at load" come from the
//! policy's limits.

use aya_ebpf::bindings::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC};
use aya_ebpf::btf_maps::lpm_trie::{Key, LpmTrie};
use aya_ebpf::btf_maps::{Array, HashMap, PerCpuArray, ProgramArray, RingBuf};
use aya_ebpf::helpers::generated::{
    bpf_get_smp_processor_id, bpf_jiffies64, bpf_ktime_get_boot_ns, bpf_ktime_get_coarse_ns,
};
use aya_ebpf::macros::btf_map;
use imblock_common::buckets::{self, Buckets, Shape, WORDS};
use imblock_common::flows::{self, Bucket, Claim, FlowEntry, WAYS};
use imblock_common::hosts::{HostSlot, InsideSlot, Slots};
use imblock_common::layout::{
    ActionCell, ActionRow, Control, Counts, DATAGRAM_MAX, GROUPS_MAX, Generic, Generics, HALVES,
    Half, HopRule, HostEntry, HostPrefix, HostRecord, INITIALS_SIZE, InitialFate, InitialRecord,
    Inside, LeaseRow, MacKey, Marker, MarkerSets, Name, NameKey, OUTCOME_SLOTS, PolicyHeader,
    PortEntry, PortTable, Rate, Rejections, RemoteGate, SERVICES_MAX, ServiceSet, ServiceTotals,
    Stage, StunAttributes,
};
use imblock_common::limit::{self, Limited, Load};
use imblock_common::stream::{self, Head};
use imblock_common::tables::LivePolicy;
use imblock_common::{
    Action, Addr, Counters, Evidence, HandedOn, Memory, Reply, Sighting, Tables, Transport,
    Verdict, View, hops, parts, recent,
};

use crate::reader::{forget_word, masked};
use crate::steps;

/// Entries of the host table and the prefix trie when the loader says nothing else.
const SLOTS: usize = 16_384;
const PREFIXES: usize = 262_144;
const FLOWS_SIZE: usize = 131_072;

#[btf_map]
static CONTROL: Array<Control, 1> = Array::new();
#[btf_map]
static POLICIES: Array<PolicyHeader, HALVES> = Array::new();
#[btf_map]
static PORTS: Array<PortTable, HALVES> = Array::new();
#[btf_map]
static ACTIONS: Array<ActionRow, { ActionRow::ROWS }> = Array::new();
#[btf_map]
static LEASES: Array<LeaseRow, { ActionRow::ROWS }, { BPF_F_MMAPABLE as usize }> = Array::new();
#[btf_map]
static RATES: Array<Rate, { HALVES * Rate::ROOM }> = Array::new();
#[btf_map]
static RATE_ROWS: Array<ActionRow, { ActionRow::ROWS }> = Array::new();
#[btf_map]
static HOST_PREFIXES: LpmTrie<HostPrefix, HostEntry, PREFIXES> = LpmTrie::new();
/// Only the controller writes to it, so there is nothing to be allocated for a packet.
#[btf_map]
static MACS: HashMap<MacKey, u32, { MacKey::ENTRIES }, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();
#[btf_map]
static REMOTES: LpmTrie<HostPrefix, u32, PREFIXES> = LpmTrie::new();
#[btf_map]
static REMOTE_GATES: Array<RemoteGate, HALVES> = Array::new();
#[btf_map]
static NAMES: LpmTrie<NameKey, u32, PREFIXES> = LpmTrie::new();
#[btf_map]
static GENERICS: Array<Generics, HALVES> = Array::new();
#[btf_map]
static CALLS: Array<ServiceSet, HALVES> = Array::new();
#[btf_map]
static CARRIERS: Array<ServiceSet, HALVES> = Array::new();
#[btf_map]
static HOP_RULES: Array<HopRule, HALVES> = Array::new();
#[btf_map]
static MARKER_SETS: Array<MarkerSets, { MarkerSets::LEN }> = Array::new();
#[btf_map]
static MARKERS: Array<Marker, { Marker::LEN }> = Array::new();
#[btf_map]
static STUN: Array<StunAttributes, HALVES> = Array::new();
#[btf_map]
static GROUP_NAMES: Array<Name, { HALVES * GROUPS_MAX }> = Array::new();
#[btf_map]
static SERVICE_NAMES: Array<Name, SERVICES_MAX> = Array::new();
#[btf_map]
static TOTALS: PerCpuArray<ServiceTotals, SERVICES_MAX> = PerCpuArray::new();
/// Mapped into pages of its own, so that a slot is a cache line.
#[btf_map]
static HOSTS: Array<HostSlot, SLOTS, { BPF_F_MMAPABLE as usize }> = Array::new();
/// In pages of its own, as `HOSTS`.
#[btf_map]
static INSIDE: Array<InsideSlot, 1, { BPF_F_MMAPABLE as usize }> = Array::new();
/// Mapped into pages of their own, as `HOSTS`; here so that a bucket and an entry are cache lines.
#[btf_map]
static FLOW_CELLS: Array<Bucket, { FLOWS_SIZE / WAYS as usize }, { BPF_F_MMAPABLE as usize }> =
    Array::new();
/// The controller writes to it what it read in QUIC handshakes.
#[btf_map]
static FLOWS: Array<FlowEntry, FLOWS_SIZE, { BPF_F_MMAPABLE as usize }> = Array::new();
#[btf_map]
static HEADS: Array<Head, { stream::HEADS as usize }> = Array::new();
#[btf_map]
static OVERFLOW: PerCpuArray<HostRecord, SERVICES_MAX> = PerCpuArray::new();
#[btf_map]
static FRAMES: PerCpuArray<u64, { View::ALL.len() * OUTCOME_SLOTS as usize }> = PerCpuArray::new();

/// In pages of its own, as `HOSTS`: a bucket is a cache line.
#[btf_map]
static PARTS: Array<[u64; WORDS], { parts::BUCKETS as usize }, { BPF_F_MMAPABLE as usize }> =
    Array::new();
#[btf_map]
static RECENT: Array<[u64; WORDS], { recent::BUCKETS as usize }, { BPF_F_MMAPABLE as usize }> =
    Array::new();
#[btf_map]
static HOPS: Array<[u64; WORDS], { hops::BUCKETS as usize }, { BPF_F_MMAPABLE as usize }> =
    Array::new();

#[btf_map]
static LIMITS: Array<[u64; WORDS], { limit::BUCKETS as usize }, { BPF_F_MMAPABLE as usize }> =
    Array::new();
#[btf_map]
static LIMIT_SHARED: PerCpuArray<u64, 1> = PerCpuArray::new();

/// What the controller reads.
#[btf_map]
static QUIC_INITIALS: RingBuf<InitialRecord, { INITIALS_SIZE as usize }> = RingBuf::new();
#[btf_map]
static QUIC_COUNTS: PerCpuArray<u64, { InitialFate::ALL.len() }> = PerCpuArray::new();

#[btf_map]
static REJECTIONS: PerCpuArray<Rejections, 1> = PerCpuArray::new();

#[btf_map]
static SIGHTINGS: PerCpuArray<HandedOn, 1> = PerCpuArray::new();
#[btf_map]
pub static XDP_STAGES: ProgramArray<{ Stage::ALL.len() }> = ProgramArray::new();
#[btf_map]
pub static SKB_STAGES: ProgramArray<{ Stage::ALL.len() }> = ProgramArray::new();

/// What the program before this one knew of the frame.
#[inline(always)]
pub fn handed_on() -> Option<&'static HandedOn> {
    let known = SIGHTINGS.get_ptr(0)?;
    // SAFETY: the slot belongs to this CPU, and nothing interrupts a program on it, or comes between it
    // and the one that it goes on in.
    Some(unsafe { &*known })
}

/// Leaves what is known of the frame to the next program.
#[inline(always)]
pub fn hand_on(about: &Sighting, told: Reply) {
    if let Some(known) = SIGHTINGS.get_ptr_mut(0) {
        let (about, told) = (*about, told.0);
        // SAFETY: as above.
        unsafe { *known = HandedOn { about, told } };
    }
}

/// Leaves an answer to the next program; the frame is the one that was handed on.
#[inline(always)]
pub fn hand_on_reply(told: Reply) {
    if let Some(known) = SIGHTINGS.get_ptr_mut(0) {
        // SAFETY: as above.
        unsafe { (*known).told = told.0 };
    }
}

/// What this CPU knows of rejected packets.
#[inline(always)]
pub fn rejections() -> Option<&'static mut Rejections> {
    let rejections = REJECTIONS.get_ptr_mut(0)?;
    // SAFETY: the slot belongs to this CPU, and nothing interrupts the program on it to run another
    // one. Each run asks once.
    Some(unsafe { &mut *rejections })
}

/// Hands a datagram to the controller. `load` copies so many bytes of it to the place, of which there
/// are as many; `false` if they can't be read.
#[inline(always)]
pub fn hand_over(
    about: &Sighting,
    entry: u32,
    load: impl FnOnce(u32, *mut [u8; DATAGRAM_MAX], u32) -> bool,
) {
    let Some(mut record) = QUIC_INITIALS.reserve(0) else {
        count_initial(InitialFate::Lost);
        return;
    };
    let payload = about.payload();
    let length = payload.length().min(DATAGRAM_MAX) as u32;
    // A length of 1 to `DATAGRAM_MAX`, in a form from which the verifier learns that it is; see
    // `reader::piece`.
    let length = (forget_word(length).wrapping_sub(1) & (DATAGRAM_MAX as u32 - 1)) + 1;
    let place = record.as_mut_ptr();
    // SAFETY: the record was reserved for this, and nobody else has it before it is submitted. Its
    // fields have no invalid values.
    let datagram = unsafe {
        (*place).flow = *about.flow();
        (*place).entry = entry;
        (*place).length = length;
        &raw mut (*place).datagram
    };
    if load(payload.at as u32, datagram, length) {
        record.submit(0);
        count_initial(InitialFate::HandedOver);
    } else {
        record.discard(0);
    }
}

const _: () = assert!(DATAGRAM_MAX.is_power_of_two());

#[inline(always)]
fn count_initial(fate: InitialFate) {
    if let Some(count) = QUIC_COUNTS.get_ptr_mut(fate as u32) {
        // SAFETY: the slot belongs to this CPU, and nothing interrupts the program on it to run
        // another one.
        unsafe { *count = (*count).wrapping_add(1) };
    }
}

/// The maps above, as the classifier sees them.
#[derive(Clone, Copy)]
pub struct KernelMaps {
    /// Looked up once for all that asks it.
    control: &'static Control,
}

impl KernelMaps {
    /// `None`, which the verifier wants to see handled, never happens.
    #[inline(always)]
    pub fn open() -> Option<Self> {
        let control = CONTROL.get(0)?;
        Some(Self { control })
    }

    #[inline(always)]
    fn shape(self, buckets: u32) -> Shape {
        Shape {
            buckets,
            seed: self.control.host_seed,
        }
    }
}

impl Tables for KernelMaps {
    #[inline(always)]
    fn policy(self) -> LivePolicy {
        // SAFETY: the helper takes nothing and reads the clock.
        let generation = self
            .control
            .in_force(|| unsafe { bpf_ktime_get_coarse_ns() });
        let half = Half::of_generation(generation);
        let [even, odd] = self.control.policy_flags;
        let flags = if half.index() == 0 { even } else { odd };
        LivePolicy { half, flags }
    }

    #[inline(always)]
    fn port(self, half: Half, transport: Transport, port: u16) -> PortEntry {
        let Some(table) = PORTS.get(half.index()) else {
            return PortEntry::default();
        };
        let place = masked::<{ PortTable::LEN - 1 }>(PortTable::index(transport, port));
        // SAFETY: below `PortTable::LEN` by the mask; the verifier checks it again. A checked index
        // would leave a comparison that the verifier can't make use of.
        PortEntry(unsafe { *table.0.get_unchecked(place) })
    }

    #[inline(always)]
    fn host(self, half: Half, addr: &Addr) -> HostEntry {
        let key = Key::new(HostPrefix::FULL_BITS, HostPrefix::new(half, addr));
        HOST_PREFIXES.get(&key).copied().unwrap_or_default()
    }

    #[inline(always)]
    fn mac(self, half: Half, address: [u8; 6]) -> u16 {
        match MACS.get_ptr(MacKey::new(half, address)) {
            // SAFETY: the map holds a group there, of one aligned word; entries of the half that a
            // packet reads are not written to.
            Some(group) => unsafe { *group as u16 },
            None => 0,
        }
    }

    #[inline(always)]
    fn may_be_remote(self, half: Half, addr: &Addr) -> bool {
        let (word, bit) = RemoteGate::place(addr);
        let Some(gate) = REMOTE_GATES.get(half.index()) else {
            return false;
        };
        let word = masked::<{ RemoteGate::WORDS - 1 }>(word);
        // SAFETY: below `RemoteGate::WORDS` by the mask.
        unsafe { *gate.0.get_unchecked(word) & bit != 0 }
    }

    #[inline(always)]
    fn remote(self, half: Half, addr: &Addr) -> u16 {
        if !self.may_be_remote(half, addr) {
            return 0;
        }
        let key = Key::new(HostPrefix::FULL_BITS, HostPrefix::new(half, addr));
        REMOTES.get(&key).map_or(0, |service| *service as u16)
    }

    #[inline(always)]
    fn name(self, key: &NameKey) -> u16 {
        let key = Key::new(NameKey::FULL_BITS, *key);
        NAMES.get(&key).map_or(0, |service| *service as u16)
    }

    #[inline(always)]
    fn flows(self) -> impl flows::Slots {
        KernelFlows
    }

    #[inline(always)]
    fn flow_shape(self) -> flows::Shape {
        self.control.flow_shape(self.tick())
    }

    #[inline(always)]
    fn head<R>(self, flow: u64, visit: impl FnOnce(&mut Head, u32) -> R) -> Option<R> {
        let head = HEADS.get_ptr_mut(flow as u32 & (stream::HEADS - 1))?;
        // SAFETY: the map holds a head there for as long as the program runs. Should two CPUs write
        // to it, the bytes of two streams mix: what is read in them may be wrong, never out of bounds.
        Some(visit(unsafe { &mut *head }, self.tick()))
    }

    #[inline(always)]
    fn rtp_step(self, about: &Sighting, header: u64) -> Reply {
        Reply(steps::rtp_step(about, header))
    }

    #[inline(always)]
    fn caller_step(self, about: &Sighting, reply: Reply) -> Reply {
        Reply(steps::caller_step(about, reply.0))
    }

    #[inline(always)]
    fn hop_step(self, about: &Sighting) -> Reply {
        Reply(steps::hop_step(about))
    }

    #[inline(always)]
    fn named_step(self, about: &Sighting) {
        steps::named_step(about);
    }

    #[inline(always)]
    fn later_part_step(self, about: &Sighting) -> Reply {
        Reply(steps::later_part_step(about))
    }

    #[inline(always)]
    fn first_part_step(self, about: &Sighting, told: Reply) {
        // A copy, or the compiler would keep the original in memory on every way, not only on this one.
        let about = *about;
        steps::first_part_step(&about, told.0);
    }

    #[inline(always)]
    fn note_step(self, about: &Sighting, told: Reply) {
        steps::note_step(about, told.0);
    }

    #[inline(always)]
    fn marker_sets<R>(
        self,
        half: Half,
        transport: Transport,
        visit: impl FnOnce(&MarkerSets) -> R,
    ) -> Option<R> {
        MARKER_SETS
            .get(MarkerSets::index(half, transport))
            .map(visit)
    }

    #[inline(always)]
    fn marker<R>(
        self,
        half: Half,
        transport: Transport,
        number: u8,
        visit: impl FnOnce(&Marker) -> R,
    ) -> Option<R> {
        MARKERS
            .get(Marker::index(half, transport, number))
            .map(visit)
    }

    #[inline(always)]
    fn action(self, half: Half, group: u16, service: u16) -> Action {
        let number = ActionRow::index(half, group);
        let Some(row) = ACTIONS.get(number) else {
            return Action::Allow;
        };
        let column = usize::from(service) & (SERVICES_MAX - 1);
        let cell = ActionCell(byte_of(row, service));
        let is_over = || {
            let Some(ends) = LEASES.get(number) else {
                return true;
            };
            // SAFETY: masked to the length of the row, which is a power of two.
            let end = unsafe { *ends.0.get_unchecked(column) };
            // SAFETY: the helper takes nothing and reads the clock (kernel 5.8).
            LeaseRow::is_over(end, LeaseRow::time(unsafe { bpf_ktime_get_boot_ns() }))
        };
        cell.in_force(is_over).action()
    }

    #[inline(always)]
    fn rate(self, half: Half, group: u16, service: u16) -> Rate {
        let number = RATE_ROWS
            .get(ActionRow::index(half, group))
            .map_or(0, |row| byte_of(row, service));
        RATES
            .get(Rate::index(half, number))
            .copied()
            .unwrap_or(Rate::NONE)
    }

    #[inline(always)]
    fn limit_step(self, about: &Sighting, who: Limited, load: Load) -> bool {
        // As above.
        let about = *about;
        steps::limit_step(&about, who.0, load.0) != 0
    }

    #[inline(always)]
    fn stun_attribute(self, half: Half, attribute: u16) -> (u16, bool) {
        let attribute = masked::<{ u16::MAX as usize }>(usize::from(attribute)) as u16;
        STUN.get(half.index())
            .map_or((0, false), |known| known.service(attribute))
    }

    #[inline(always)]
    fn generic(self, half: Half, generic: Generic) -> u16 {
        GENERICS
            .get(half.index())
            .map_or(0, |generics| generics.service(generic))
    }

    #[inline(always)]
    fn carries(self, half: Half, service: u16) -> bool {
        CARRIERS
            .get(half.index())
            .is_some_and(|known| known.contains(service))
    }

    #[inline(always)]
    fn calls(self, half: Half, service: u16) -> bool {
        CALLS
            .get(half.index())
            .is_some_and(|services| services.contains(service))
    }

    #[inline(always)]
    fn hop_rule(self, half: Half) -> HopRule {
        HOP_RULES
            .get(half.index())
            .copied()
            .unwrap_or(HopRule::COUNT)
    }
}

/// A row's byte at a column.
#[inline(always)]
fn byte_of(row: &ActionRow, column: u16) -> u8 {
    let column = usize::from(column) & (SERVICES_MAX - 1);
    // SAFETY: masked to the length of the row, which is a power of two.
    unsafe { *row.0.get_unchecked(column) }
}

impl Memory for KernelMaps {
    #[inline(always)]
    fn nanoseconds(self) -> u64 {
        // SAFETY: the helper takes nothing and reads the clock.
        unsafe { bpf_ktime_get_coarse_ns() }
    }

    #[inline(always)]
    fn limits(self) -> (impl Buckets, Shape) {
        (SharedTable(&LIMITS), self.shape(limit::BUCKETS))
    }

    #[inline(always)]
    fn limit_shared(self) {
        if let Some(count) = LIMIT_SHARED.get_ptr_mut(0) {
            // SAFETY: the slot belongs to this CPU, and nothing interrupts the program on it to run
            // another one.
            unsafe { *count = (*count).wrapping_add(1) };
        }
    }

    #[inline(always)]
    fn control_flags(self) -> u32 {
        self.control.flags
    }

    #[inline(always)]
    fn recent(self) -> (impl Buckets, Shape) {
        (SharedTable(&RECENT), self.shape(recent::BUCKETS))
    }

    #[inline(always)]
    fn parts(self) -> (impl Buckets, Shape) {
        (SharedTable(&PARTS), self.shape(parts::BUCKETS))
    }

    #[inline(always)]
    fn hops(self) -> (impl Buckets, Shape) {
        (SharedTable(&HOPS), self.shape(hops::BUCKETS))
    }

    #[inline(always)]
    fn seconds(self) -> u32 {
        // SAFETY: the helper takes nothing and reads a word.
        let ticks = unsafe { bpf_jiffies64() };
        // Never 0 once there is an instance; and dividing by 0 gives 0 in BPF, where the language would
        // panic.
        let ticks_per_second = u64::from(self.control.ticks_per_second.max(1));
        (ticks / ticks_per_second) as u32
    }
}

/// A table that all CPUs write to.
#[derive(Clone, Copy)]
struct SharedTable<const N: usize>(&'static Array<[u64; WORDS], N, { BPF_F_MMAPABLE as usize }>);

impl<const N: usize> Buckets for SharedTable<N> {
    #[inline(always)]
    fn bucket(self, number: u32) -> Option<impl buckets::Bucket> {
        self.0.get_ptr_mut(number).map(SharedBucket)
    }
}

#[derive(Clone, Copy)]
struct SharedBucket(*mut [u64; WORDS]);

impl buckets::Bucket for SharedBucket {
    #[inline(always)]
    fn load(self, place: usize) -> u64 {
        let word = self.0.cast::<u64>().wrapping_add(place & (WORDS - 1));
        // SAFETY: within the bucket by the mask, and aligned. Volatile, so that it is one load of
        // the whole word whoever writes to it.
        unsafe { word.read_volatile() }
    }

    #[inline(always)]
    fn store(self, place: usize, word: u64) {
        let to = self.0.cast::<u64>().wrapping_add(place & (WORDS - 1));
        // SAFETY: as in `load`.
        unsafe { to.write_volatile(word) };
    }

    /// One instruction of the kernel's machine (`BPF_ATOMIC | BPF_ADD`, in every version of it), for
    /// which the language has no word on a target without compare-and-swap.
    #[inline(always)]
    fn add(self, place: usize, more: u64) {
        let to = self.0.cast::<u64>().wrapping_add(place & (WORDS - 1));
        // SAFETY: as in `load`; the instruction adds to the word at the address and nothing else.
        #[cfg(target_arch = "bpf")]
        unsafe {
            core::arch::asm!("lock *(u64 *)({to} + 0) += {more}", to = in(reg) to, more = in(reg) more);
        }
        // SAFETY: as in `load`. Only read by people: nothing runs on another machine.
        #[cfg(not(target_arch = "bpf"))]
        unsafe {
            to.write_volatile(to.read_volatile().wrapping_add(more));
        }
    }
}

impl Counters for KernelMaps {
    #[inline(always)]
    fn control(self) -> Control {
        *self.control
    }

    /// Costs a load, where any clock costs a call (kernel 5.5).
    #[inline(always)]
    fn tick(self) -> u32 {
        // SAFETY: the helper takes nothing and reads a word.
        unsafe { bpf_jiffies64() as u32 }
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
            let cell = forget_word(ServiceTotals::cell(evidence, verdict) as u32) as usize;
            // SAFETY: as in `frame`.
            unsafe { &mut *totals }.add(cell, traffic);
        }
    }

    #[inline(always)]
    fn hosts(self) -> impl Slots {
        // SAFETY: the helper takes nothing and reads a word.
        let cpu = unsafe { bpf_get_smp_processor_id() };
        CpuHosts {
            cpu,
            first: cpu.wrapping_mul(self.control.host_slots),
            control: self.control,
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

/// The flow table, which all CPUs share. See `imblock_common::flows` for why that needs no lock.
#[derive(Clone, Copy)]
pub struct KernelFlows;

impl flows::Slots for KernelFlows {
    #[inline(always)]
    fn bucket<R>(self, number: u32, visit: impl FnOnce(&mut Bucket) -> R) -> Option<R> {
        let bucket = FLOW_CELLS.get_ptr_mut(number)?;
        // SAFETY: the map holds a bucket there for as long as the program runs. Another CPU may
        // write to it meanwhile: words are read and written whole, and none is believed unless the
        // rest fits.
        Some(visit(unsafe { &mut *bucket }))
    }

    #[inline(always)]
    fn entry<R>(self, number: u32, visit: impl FnOnce(&mut FlowEntry) -> R) -> Option<R> {
        let entry = FLOWS.get_ptr_mut(number)?;
        // SAFETY: as above.
        Some(visit(unsafe { &mut *entry }))
    }

    #[inline(always)]
    fn claim(self, hash: u64, shape: flows::Shape, why: Claim) -> u32 {
        steps::claim_flow(hash, shape, why)
    }

    #[inline(always)]
    fn forget_word(self, number: u32) -> u32 {
        forget_word(number)
    }

    #[inline(always)]
    fn forget(self, number: u64) -> u64 {
        crate::reader::forget(number)
    }
}

/// The parts of the host tables that belong to the CPU that runs the program.
#[derive(Clone, Copy)]
struct CpuHosts {
    cpu: u32,
    /// In `HOSTS`.
    first: u32,
    control: &'static Control,
}

impl Slots for CpuHosts {
    #[inline(always)]
    fn slot<R>(self, number: u32, visit: impl FnOnce(&mut HostSlot) -> R) -> Option<R> {
        let slot = HOSTS.get_ptr_mut(self.first.wrapping_add(number))?;
        // SAFETY: as in `KernelMaps::frame`: the slot is this CPU's.
        Some(visit(unsafe { &mut *slot }))
    }

    #[inline(always)]
    fn place<R>(self, number: u32, visit: impl FnOnce(&mut InsideSlot) -> R) -> Option<R> {
        let first = self.cpu.wrapping_mul(self.control.inside.slots());
        let slot = INSIDE.get_ptr_mut(first.wrapping_add(number))?;
        // SAFETY: as above.
        Some(visit(unsafe { &mut *slot }))
    }

    #[inline(always)]
    fn inside(&self) -> &Inside {
        &self.control.inside
    }

    /// A resolution of one tick (1 to 10 ms), at a tenth of the price of the exact clock
    /// (kernel 5.11).
    #[inline(always)]
    fn now(self) -> u64 {
        // SAFETY: the helper takes nothing and reads the clock.
        unsafe { bpf_ktime_get_coarse_ns() }
    }

    #[inline(always)]
    fn vacate(self, first: u32) -> u32 {
        steps::vacate_slot(first)
    }
}
