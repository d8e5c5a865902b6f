//! The tables of a plan in memory: what the kernel maps are to the kernel program.
//!
//! Invariant: each answer is the one that the maps would give, full tables included; nothing about
//! a packet is decided here.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use bytemuck::Zeroable;
use imblock_common::flows::{self, Bucket, FlowEntry, WAYS, cells_for};
use imblock_common::hosts::{HostSlot, InsideSlot, slots_for};
use imblock_common::layout::{
    ActionCell, ActionRow, DATAGRAM_MAX, GROUPS_MAX, Generic, Generics, Half, HopRule, HostEntry,
    HostRecord, Inside, Marker, MarkerSets, NameKey, OUTCOME_SLOTS, PortEntry, PortTable, Rate,
    SERVICES_MAX, ServiceSet, ServiceTotals, StunAttributes,
};
use imblock_common::stream::{HEADS, Head};
use imblock_common::tables::LivePolicy;
use imblock_common::{
    Action, Addr, Bytes, Counters, Sighting, Tables, Transport, View, hops, limit, parts, recent,
};

mod counted;
mod handshakes;
mod memory;
mod prefixes;
mod slots;

use memory::{SharedWords, shared_words};
use prefixes::{Names, Prefixes};

use crate::policy::Plan;
use crate::policy::plan::{MarkerPlans, stun_table};
use crate::quic::HandedOver;
use crate::snapshot::{InitialCounts, RejectionCounts, Snapshot, host_counts};

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
    lists: Arc<Lists>,
    /// By transport.
    markers: [(Box<MarkerSets>, Vec<Marker>); 2],
    frames: Box<[Cell<u64>]>,
    /// Not a cell each: a kilobyte is too much to copy in and out for every frame.
    totals: RefCell<Vec<ServiceTotals>>,
    hosts: Box<[Cell<HostSlot>]>,
    hosts_wanted: u32,
    inside: Inside,
    /// By address.
    places: Box<[Cell<InsideSlot>]>,
    overflow: Box<[Cell<HostRecord>]>,
    /// Made when the first hello goes on in another segment.
    heads: RefCell<Vec<Head>>,
    flow_cells: Box<[Cell<Bucket>]>,
    flows: Box<[Cell<FlowEntry>]>,
    stun: Box<StunAttributes>,
    generics: Generics,
    calls: ServiceSet,
    carriers: ServiceSet,
    hop_rule: HopRule,
    handed_over: RefCell<Vec<HandedOver>>,
    initials: Cell<u64>,
    recent: SharedWords,
    parts: SharedWords,
    hops: SharedWords,
    limits: SharedWords,
    limit_shared: Cell<u64>,
    rates: Vec<Rate>,
    rate_numbers: Box<[Cell<u8>]>,
}

/// What a plan lists: it is never written to, and there can be much of it.
#[derive(Debug)]
struct Lists {
    host_prefixes: Prefixes<HostEntry>,
    macs: HashMap<[u8; 6], u16>,
    remotes: Prefixes<u16>,
    names: Names,
}

/// Nanoseconds.
const SECOND: u64 = 1_000_000_000;
/// The finest that `Control::ticks_per_second` allows without the tick wrapping within a day.
const TICKS_PER_SECOND: u32 = 1_000;

/// The half that a first policy goes to. There is no second one in memory.
const HALF: Half = Half::of_generation(1);

impl Lists {
    fn of(plan: &Plan) -> Self {
        Self {
            host_prefixes: Prefixes::of(plan.prefixes.iter().map(|host| (host.net, host.entry))),
            macs: plan
                .macs
                .iter()
                .map(|plan| (plan.mac.octets(), plan.group))
                .collect(),
            remotes: Prefixes::of(
                plan.remotes
                    .iter()
                    .map(|remote| (remote.net, remote.service)),
            ),
            names: Names::of(&plan.names),
        }
    }
}

impl MemoryTables {
    /// The tables of a plan, nothing counted yet, the clock at 0, no control flags.
    pub fn new(plan: &Plan) -> Self {
        Self::with(plan, Arc::new(Lists::of(plan)))
    }

    /// The tables of another plan with the same hosts, addresses and names, which they share.
    pub fn of_variant(&self, plan: &Plan) -> Self {
        Self::with(plan, Arc::clone(&self.lists))
    }

    fn with(plan: &Plan, lists: Arc<Lists>) -> Self {
        let slots = slots_for(plan.limits.hosts);
        let flow_cells = cells_for(plan.limits.flows);
        Self {
            policy: LivePolicy {
                half: HALF,
                flags: plan.flags(),
            },
            control_flags: Cell::new(0),
            now: Cell::new(0),
            ports: plan.ports.clone(),
            actions: cells_of(&plan.actions),
            lists,
            markers: [Transport::Tcp, Transport::Udp].map(|transport| {
                let plans = plan.markers.of(transport);
                let records = plans.iter().map(|plan| plan.record).collect();
                (MarkerPlans::sets(plans), records)
            }),
            stun: stun_table(&plan.stun_attributes),
            frames: cells(View::ALL.len() * OUTCOME_SLOTS as usize, 0),
            totals: RefCell::new(vec![ServiceTotals::zeroed(); SERVICES_MAX]),
            hosts: cells(size(slots), HostSlot::default()),
            hosts_wanted: plan.limits.hosts,
            inside: plan.limits.inside,
            places: cells(size(plan.limits.inside.slots()), InsideSlot::default()),
            overflow: cells(SERVICES_MAX, HostRecord::default()),
            heads: RefCell::new(Vec::new()),
            flow_cells: cells(size(flow_cells / WAYS), Bucket::default()),
            flows: cells(size(flow_cells), FlowEntry::default()),
            generics: plan.generics,
            calls: plan.calls,
            carriers: plan.carriers,
            hop_rule: plan.hops,
            handed_over: RefCell::new(Vec::new()),
            initials: Cell::new(0),
            recent: shared_words(recent::BUCKETS),
            parts: shared_words(parts::BUCKETS),
            hops: shared_words(hops::BUCKETS),
            limits: shared_words(limit::BUCKETS),
            limit_shared: Cell::new(0),
            rates: plan.rates.clone(),
            rate_numbers: cells_of(&plan.rate_rows),
        }
    }

    /// Changes what a group does with a service. Numbers that the tables don't have are ignored.
    pub fn set_action(&self, group: u16, service: u16, cell: ActionCell) {
        if usize::from(service) < SERVICES_MAX
            && let Some(slot) = cell_of(&self.actions, group, service)
        {
            slot.set(cell.0);
        }
    }

    /// Changes which of the plan's rates a group has for a service. Numbers that the tables don't have are
    /// ignored.
    pub(super) fn set_rate(&self, group: u16, service: u16, number: u8) {
        if usize::from(service) < SERVICES_MAX
            && let Some(slot) = cell_of(&self.rate_numbers, group, service)
        {
            slot.set(number);
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

    /// Forgets what was learned of flows and hosts; what was counted stays.
    pub fn forget_flows(&self) {
        // Without a cell, nothing that an entry holds is believed.
        for bucket in &self.flow_cells {
            bucket.set(Bucket::default());
        }
        self.heads.borrow_mut().clear();
        for words in [&self.recent, &self.hops, &self.parts, &self.limits] {
            words.iter().flatten().for_each(|word| word.set(0));
        }
    }

    /// All counters. `taken_at` is the clock.
    pub fn snapshot(&self) -> Snapshot {
        let hosts = self.hosts.iter().filter_map(|slot| slot.get().read());
        let at_places = (0..).zip(&self.places);
        let at_places = at_places.filter_map(|(place, slot)| slot.get().read(place, &self.inside));
        Snapshot {
            services: self.service_counts(),
            hosts: host_counts(hosts.chain(at_places)),
            frames: self.frame_counts(),
            initials: InitialCounts {
                handed_over: self.initials.get(),
                lost: 0,
            },
            limit_shared: self.limit_shared.get(),
            rejections: RejectionCounts::default(),
            taken_at: self.now.get(),
        }
    }

    /// The masks are those of the kernel program, so that a number from nowhere ends in the same
    /// row and cell.
    fn frame_cell(&self, slot: u32) -> Option<&Cell<u64>> {
        self.frames.get(usize::try_from(slot).ok()?)
    }
}

/// A cell for each group and service there may be, as a plan has them.
fn cells_of(rows: &[ActionRow]) -> Box<[Cell<u8>]> {
    let mut cells = cells(GROUPS_MAX * SERVICES_MAX, 0);
    for (row, planned) in cells.chunks_mut(SERVICES_MAX).zip(rows) {
        for (cell, planned) in row.iter_mut().zip(planned.0) {
            cell.set(planned);
        }
    }
    cells
}

/// The cell of a group and a service, of which the lower bits count.
fn cell_of(cells: &[Cell<u8>], group: u16, service: u16) -> Option<&Cell<u8>> {
    let row = usize::from(group) & (GROUPS_MAX - 1);
    let column = usize::from(service) & (SERVICES_MAX - 1);
    cells.get(row * SERVICES_MAX + column)
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
        self.lists.host_prefixes.longest(addr)
    }

    fn may_be_remote(self, half: Half, addr: &Addr) -> bool {
        self.remote(half, addr) != 0
    }

    fn mac(self, _half: Half, address: [u8; 6]) -> u16 {
        self.lists.macs.get(&address).copied().unwrap_or(0)
    }

    fn remote(self, _half: Half, addr: &Addr) -> u16 {
        self.lists.remotes.longest(addr)
    }

    fn name(self, key: &NameKey) -> u16 {
        self.lists.names.longest(key)
    }

    fn marker_sets<R>(
        self,
        _half: Half,
        transport: Transport,
        visit: impl FnOnce(&MarkerSets) -> R,
    ) -> Option<R> {
        let (sets, _) = self.markers.get(transport as usize)?;
        Some(visit(sets))
    }

    fn marker<R>(
        self,
        _half: Half,
        transport: Transport,
        number: u8,
        visit: impl FnOnce(&Marker) -> R,
    ) -> Option<R> {
        let (_, records) = self.markers.get(transport as usize)?;
        records.get(usize::from(number)).map(visit)
    }

    fn stun_attribute(self, _half: Half, attribute: u16) -> (u16, bool) {
        self.stun.service(attribute)
    }

    fn hand_over<B: Bytes>(self, bytes: B, about: &Sighting, entry: u32) {
        let payload = about.payload();
        let places = (payload.at..payload.end).take(DATAGRAM_MAX);
        let datagram: Option<Vec<u8>> =
            places.map(|at| bytes.read(at).map(|[byte]| byte)).collect();
        // What a capture has cut off can't be read in the kernel either.
        let Some(datagram) = datagram else { return };
        self.initials.set(self.initials.get() + 1);
        self.handed_over.borrow_mut().push(HandedOver {
            flow: *about.flow(),
            entry,
            datagram,
        });
    }

    #[inline]
    fn flows(self) -> impl flows::Slots {
        self
    }

    fn head<R>(self, flow: u64, visit: impl FnOnce(&mut Head, u32) -> R) -> Option<R> {
        let heads = u64::from(HEADS);
        let number = usize::try_from(flow % heads).unwrap_or(0);
        let mut heads = self.heads.borrow_mut();
        if heads.is_empty() {
            heads.resize(size(HEADS), Head::zeroed());
        }
        heads
            .get_mut(number)
            .map(|head| visit(head, Counters::tick(self)))
    }

    #[inline]
    fn flow_shape(self) -> flows::Shape {
        Counters::control(self).flow_shape(Counters::tick(self))
    }

    #[inline]
    fn action(self, _half: Half, group: u16, service: u16) -> Action {
        let cell = cell_of(&self.actions, group, service).map_or(0, Cell::get);
        ActionCell(cell).action()
    }

    fn rate(self, _half: Half, group: u16, service: u16) -> Rate {
        let number = cell_of(&self.rate_numbers, group, service).map_or(0, Cell::get);
        let rate = self.rates.get(usize::from(number));
        rate.copied().unwrap_or(Rate::NONE)
    }

    fn generic(self, _half: Half, generic: Generic) -> u16 {
        self.generics.service(generic)
    }

    fn carries(self, _half: Half, service: u16) -> bool {
        self.carriers.contains(service)
    }

    fn calls(self, _half: Half, service: u16) -> bool {
        self.calls.contains(service)
    }

    fn hop_rule(self, _half: Half) -> HopRule {
        self.hop_rule
    }
}

fn size(entries: u32) -> usize {
    usize::try_from(entries).unwrap_or(usize::MAX)
}

fn cells<T: Copy>(length: usize, value: T) -> Box<[Cell<T>]> {
    vec![Cell::new(value); length].into_boxed_slice()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
