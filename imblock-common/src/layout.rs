//! Every map key and value that the kernel program and the controller share, and the maps' names.
//!
//! Invariant: each type is `repr(C)` plain data without padding (the derive refuses any), its size
//! is asserted, and a change of meaning or layout raises [`ABI`].

mod calls;
mod handshake;
mod hops;
mod inside;
mod mac;
mod marker;
mod rate;
mod rejections;
mod stun;

use bytemuck::{Pod, Zeroable};

pub use calls::{Generic, Generics, ServiceSet};
pub use handshake::{DATAGRAM_MAX, INITIALS_SIZE, InitialFate, InitialRecord};
pub use hops::HopRule;
pub use inside::Inside;
pub use mac::MacKey;
pub use marker::{
    LAST_MAX, MARKER_HEAD, MARKER_PORTS_MAX, MARKER_STEPS_MAX, MARKERS_MAX, Marker, MarkerSet,
    MarkerSets, Masked, NEEDLE_MAX, NEEDLE_REACHES, NEEDLE_START, NeedleGate, PATTERN_MAX,
    PortSpan, SEARCH_SLICE, WINDOW_MAX,
};
pub use rate::Rate;
pub use rejections::Rejections;
pub use stun::StunAttributes;

use crate::flows;
use crate::{Action, Addr, Direction, Evidence, Family, Transport, Verdict};

/// Version of everything in this file and the ones below it. Pinned maps of another version are refused, not misread.
pub const ABI: u32 = 11;

/// Services, number 0 (none) included. Also the length of a row of [`ActionRow`].
pub const SERVICES_MAX: usize = 512;
/// Groups of hosts, number 0 (everybody in no group) included.
pub const GROUPS_MAX: usize = 256;
/// Halves of every policy table: the live one and the idle one.
pub const HALVES: usize = 2;
/// Slots for outcomes in the frame counters of one view.
pub const OUTCOME_SLOTS: u32 = 16;
/// Slots for verdicts in [`ServiceTotals`].
pub const VERDICT_SLOTS: usize = 8;
/// Slots for kinds of evidence in [`ServiceTotals`].
pub const EVIDENCE_SLOTS: usize = 16;
/// Longest name of a service, a group or a policy, in bytes.
pub const NAME_MAX: usize = 32;

/// Names of the maps. The kernel limits them to 15 characters.
pub mod maps {
    /// One [`super::Control`].
    pub const CONTROL: &str = "CONTROL";
    /// One [`super::PolicyHeader`] a half.
    pub const POLICIES: &str = "POLICIES";
    /// One [`super::PortTable`] a half.
    pub const PORTS: &str = "PORTS";
    /// One [`super::ActionRow`] a half and group.
    pub const ACTIONS: &str = "ACTIONS";
    /// One [`super::LeaseRow`] a half and group.
    pub const LEASES: &str = "LEASES";
    /// [`super::Rate::ROOM`] of [`super::Rate`] a half.
    pub const RATES: &str = "RATES";
    /// Which rate a cell has: one [`super::ActionRow`] of numbers a half and group.
    pub const RATE_ROWS: &str = "RATE_ROWS";
    /// [`super::HostPrefix`] to [`super::HostEntry`], both halves in one trie.
    pub const HOST_PREFIXES: &str = "HOST_PREFIXES";
    /// [`super::MacKey`] to the number of a group, both halves in one table.
    pub const MACS: &str = "MACS";
    /// [`super::HostPrefix`] to the number of the service that lives there, both halves in one trie.
    pub const REMOTES: &str = "REMOTES";
    /// One [`super::RemoteGate`] a half.
    pub const REMOTE_GATES: &str = "REMOTE_GATES";
    /// [`super::NameKey`] to the number of the service of that name, both halves in one trie.
    pub const NAMES: &str = "NAMES";
    /// One [`super::Generics`] a half.
    pub const GENERICS: &str = "GENERICS";
    /// One [`super::ServiceSet`] a half: those that can be called with.
    pub const CALLS: &str = "CALLS";
    /// One [`super::ServiceSet`] a half: those in whose flows others travel.
    pub const CARRIERS: &str = "CARRIERS";
    /// One [`super::HopRule`] a half.
    pub const HOP_RULES: &str = "HOP_RULES";
    /// One [`super::MarkerSets`] a half and transport.
    pub const MARKER_SETS: &str = "MARKER_SETS";
    /// One [`super::Marker`] a half, transport and number.
    pub const MARKERS: &str = "MARKERS";
    /// One [`super::StunAttributes`] a half.
    pub const STUN: &str = "STUN";
    /// One [`super::Name`] a half and group.
    pub const GROUP_NAMES: &str = "GROUP_NAMES";
    /// One [`super::Name`] a service number.
    pub const SERVICE_NAMES: &str = "SERVICE_NAMES";
    /// One [`super::ServiceTotals`] a service and CPU.
    pub const TOTALS: &str = "TOTALS";
    /// [`crate::hosts::HostSlot`]s, [`super::Control::host_slots`] of them one CPU after the other.
    pub const HOSTS: &str = "HOSTS";
    /// [`crate::hosts::InsideSlot`]s, [`super::Inside::slots`] of them one CPU after the other.
    pub const INSIDE: &str = "INSIDE";
    /// One [`crate::flows::Bucket`] eight flows.
    pub const FLOW_CELLS: &str = "FLOW_CELLS";
    /// One [`crate::flows::FlowEntry`] a flow.
    pub const FLOWS: &str = "FLOWS";
    /// [`crate::stream::HEADS`] of [`crate::stream::Head`].
    pub const HEADS: &str = "HEADS";
    /// One [`super::HostRecord`] a service and CPU, for hosts that found no room.
    pub const OVERFLOW: &str = "OVERFLOW";
    /// One packet counter a view, outcome and CPU.
    pub const FRAMES: &str = "FRAMES";

    /// Buckets of [`crate::recent`].
    pub const RECENT: &str = "RECENT";
    /// Buckets of [`crate::hops`].
    pub const HOPS: &str = "HOPS";
    /// Buckets of [`crate::parts`].
    pub const PARTS: &str = "PARTS";

    /// Token buckets of [`crate::limit`].
    pub const LIMITS: &str = "LIMITS";
    /// A counter a CPU: packets that found no token bucket of their own.
    pub const LIMIT_SHARED: &str = "LIMIT_SHARED";

    /// A ring of [`super::InitialRecord`]s.
    pub const INITIALS: &str = "QUIC_INITIALS";
    /// One counter an [`super::InitialFate`] and CPU.
    pub const INITIAL_COUNTS: &str = "QUIC_COUNTS";
    /// One [`super::Rejections`] a CPU.
    pub const REJECTIONS: &str = "REJECTIONS";

    /// One [`crate::HandedOn`] a CPU.
    pub const SIGHTINGS: &str = "SIGHTINGS";
    /// The XDP program of each [`super::Stage`].
    pub const XDP_STAGES: &str = "XDP_STAGES";
    /// The TC program of each [`super::Stage`].
    pub const SKB_STAGES: &str = "SKB_STAGES";

    /// Every map, in the order above.
    pub const ALL: [&str; 40] = [
        CONTROL,
        POLICIES,
        PORTS,
        ACTIONS,
        LEASES,
        RATES,
        RATE_ROWS,
        HOST_PREFIXES,
        MACS,
        REMOTES,
        REMOTE_GATES,
        NAMES,
        STUN,
        GENERICS,
        CALLS,
        CARRIERS,
        HOP_RULES,
        MARKER_SETS,
        MARKERS,
        GROUP_NAMES,
        SERVICE_NAMES,
        TOTALS,
        HOSTS,
        INSIDE,
        FLOW_CELLS,
        FLOWS,
        HEADS,
        OVERFLOW,
        FRAMES,
        RECENT,
        HOPS,
        PARTS,
        LIMITS,
        LIMIT_SHARED,
        INITIALS,
        INITIAL_COUNTS,
        REJECTIONS,
        SIGHTINGS,
        XDP_STAGES,
        SKB_STAGES,
    ];
}

/// The programs behind the one that is attached: a packet of which that one can't tell everything goes on
/// there (`bpf_tail_call`), and does not come back. The numbers are slots of the programs' maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stage {
    /// Brings the flow table up to date, and gives the verdict. If the payload is to be asked first, it
    /// goes on in [`Stage::Depth`], which comes back.
    Flow = 0,
    /// Asks the payload, and goes on in [`Stage::Flow`].
    Depth = 1,
    /// Answers a rejected packet.
    Reject = 2,
}

impl Stage {
    /// All of them, in the order of the slots.
    pub const ALL: [Self; 3] = [Self::Flow, Self::Depth, Self::Reject];
}

/// Names of the programs in the kernel object: of those that are attached by the view they serve, of the
/// others by hook and [`Stage`].
pub mod programs {
    /// XDP on an interface that leads to the local hosts.
    pub const LAN_INGRESS: &str = "lan_ingress";
    /// TC egress on an interface that leads to the local hosts.
    pub const LAN_EGRESS: &str = "lan_egress";
    /// XDP on an interface that leads to the world.
    pub const WAN_INGRESS: &str = "wan_ingress";
    /// TC egress on an interface that leads to the world.
    pub const WAN_EGRESS: &str = "wan_egress";
    /// [`super::Stage::Flow`] at XDP.
    pub const XDP_FLOW: &str = "xdp_flow";
    /// [`super::Stage::Depth`] at XDP.
    pub const XDP_DEPTH: &str = "xdp_depth";
    /// [`super::Stage::Reject`] at XDP.
    pub const XDP_REJECT: &str = "xdp_reject";
    /// [`super::Stage::Flow`] at TC egress.
    pub const SKB_FLOW: &str = "skb_flow";
    /// [`super::Stage::Depth`] at TC egress.
    pub const SKB_DEPTH: &str = "skb_depth";
    /// [`super::Stage::Reject`] at TC egress.
    pub const SKB_REJECT: &str = "skb_reject";
}

/// Which of the two copies of the policy tables: 0 or 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Half(u32);

impl Half {
    /// The half in which a generation's tables lie. Only the lowest bit counts, so a reader that
    /// races with the flip sees one half or the other, whole.
    #[inline(always)]
    pub const fn of_generation(generation: u32) -> Self {
        Self(generation & 1)
    }

    /// 0 or 1.
    #[inline(always)]
    pub const fn index(self) -> u32 {
        self.0 & 1
    }

    /// The other half.
    pub const fn other(self) -> Self {
        Self(self.index() ^ 1)
    }
}

/// What is the same for both halves. One entry.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Control {
    /// [`ABI`] of whoever made the maps.
    pub abi: u32,
    /// The live generation; 0 means that no policy was applied yet and everything passes. Its
    /// lowest bit says which half is live, and storing it is what applies a policy.
    pub generation: u32,
    /// [`Control::WAN_COUNTS_RECEIVED`] and [`Control::WAN_COUNTS_SENT`].
    pub flags: u32,
    /// Slots of one CPU's host table: a power of two. Set when the maps are made.
    pub host_slots: u32,
    /// Mixed into the hash of the host table. Set when the maps are made.
    pub host_seed: u32,
    /// Timer ticks in a second (the kernel's `HZ`).
    pub ticks_per_second: u32,
    /// How many (host, service) pairs were asked for when the maps were made.
    pub host_keys: u32,
    /// Cells of the flow table: a power of two. Set when the maps are made.
    pub flow_cells: u32,
    /// Ticks in a unit of the flow table's clock, half a second to a second: this power of two.
    pub flow_clock_shift: u32,
    /// After so many units of silence a flow is forgotten; at most 65,535.
    pub flow_idle: u32,
    /// Which questions the policy of each half needs: [`Control::HAS_GROUPS`] and the like. Here and
    /// not with the rest of the policy, so that a packet which matches nothing reads one entry less.
    pub policy_flags: [u32; HALVES],
    /// When the live generation ceases to hold, in nanoseconds of the coarse monotonic clock (which
    /// stands still while the box sleeps); 0 for never. The programs look at it themselves, so that
    /// it holds when nobody lives who could.
    pub deadline: u64,
    /// The generation that holds from the deadline on. Meaningless without one.
    pub fallback: u32,
    /// Hosts that have slots which are found by their address. Set when the maps are made. How many there
    /// are, which is asked for each packet that is counted, lies in the cache line of all that is above;
    /// the rest is only read where there are any.
    pub inside: Inside,
}

impl Control {
    /// The generation that is in force: the one answer to this question, for the programs and for
    /// the controller. The clock is only asked while there is a deadline.
    #[inline(always)]
    pub fn in_force(&self, now: impl FnOnce() -> u64) -> u32 {
        if self.deadline != 0 && now() >= self.deadline {
            self.fallback
        } else {
            self.generation
        }
    }

    /// The WAN sides count what passes towards local hosts, because no LAN side sees it leave.
    pub const WAN_COUNTS_RECEIVED: u32 = 1;
    /// The WAN sides count what passes from local hosts, because no LAN side saw it enter.
    pub const WAN_COUNTS_SENT: u32 = 2;

    /// Some group has prefixes: the local host's group must be looked up.
    pub const HAS_GROUPS: u32 = 1;
    /// Some host is protected: both ends must be looked up before a drop.
    pub const HAS_PROTECTED_HOSTS: u32 = 2;
    /// Some service has names: handshakes and questions must be read.
    pub const HAS_NAMES: u32 = 4;
    /// Some service has prefixes: remote addresses must be looked up.
    pub const HAS_REMOTES: u32 = 8;
    /// Some service has markers: payloads must be looked at.
    pub const HAS_MARKERS: u32 = 16;

    /// The names in QUIC handshakes are wanted: the controller is asked.
    pub const INSPECTS_QUIC: u32 = 32;
    /// QUIC handshakes are refused.
    pub const BLOCKS_QUIC: u32 = 64;

    /// Some group has hardware addresses: the local host's must be looked up.
    pub const HAS_MACS: u32 = 128;

    /// Questions that need the flow table.
    pub const LOOKS_INTO_FLOWS: u32 = Self::HAS_NAMES
        | Self::HAS_REMOTES
        | Self::HAS_MARKERS
        | Self::INSPECTS_QUIC
        | Self::BLOCKS_QUIC;

    /// The flow table's clock at a tick.
    #[inline(always)]
    pub const fn flow_shape(&self, tick: u32) -> flows::Shape {
        flows::Shape {
            cells: self.flow_cells,
            seed: self.host_seed,
            now: (tick >> (self.flow_clock_shift & 31) & 0xffff) as u16,
            idle: (self.flow_idle & 0xffff) as u16,
        }
    }
}

/// A name in UTF-8, padded with zeros.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Name(pub [u8; NAME_MAX]);

impl Name {
    /// `None` when the name is longer than [`NAME_MAX`] bytes.
    pub fn new(name: &str) -> Option<Self> {
        let mut bytes = [0; NAME_MAX];
        bytes
            .get_mut(..name.len())?
            .copy_from_slice(name.as_bytes());
        Some(Self(bytes))
    }

    /// The name, up to the first zero byte; empty if it is not UTF-8.
    pub fn as_str(&self) -> &str {
        let end = self
            .0
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(NAME_MAX);
        self.0
            .get(..end)
            .and_then(|bytes| core::str::from_utf8(bytes).ok())
            .unwrap_or("")
    }
}

/// What is said once for a whole policy. One entry a half.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct PolicyHeader {
    /// Groups in use, number 0 included.
    pub groups: u32,
    /// The generation whose tables lie in this half; 0 while they are being written.
    pub generation: u32,
    /// When the policy was applied, in seconds since 1970.
    pub applied_at: u64,
    /// SHA-256 of the plan.
    pub hash: [u8; 32],
    /// The policy's own name.
    pub name: Name,
}

/// What a remote port tells, by transport and port number.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct PortTable(pub [u16; PortTable::LEN]);

impl PortTable {
    /// 65,536 ports of two transports.
    pub const LEN: usize = 2 << 16;

    /// Where a port's entry lies; always below [`PortTable::LEN`].
    #[inline(always)]
    pub const fn index(transport: Transport, port: u16) -> usize {
        (transport as usize) << 16 | port as usize
    }
}

/// One entry of [`PortTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PortEntry(pub u16);

impl PortEntry {
    /// The bits of the service number.
    const SERVICE: u16 = 0x01ff;
    /// Traffic of this port is never dropped: the policy protects it.
    const PROTECTED: u16 = 0x4000;
    /// The port is this service's and nothing else's: who calls it is told, and no payload is worth a look.
    const FINAL: u16 = 0x2000;
    /// Services that are treated differently share the port: what is said first decides.
    const CONTESTED: u16 = 0x1000;
    /// Where the policy refuses the port's service, the port is reason enough: nothing that is said, or
    /// known of the flow, is worth a look.
    const OUTRIGHT: u16 = 0x0800;
    /// Traffic of this port is never dropped when the box itself is the end that has it.
    const MANAGEMENT: u16 = 0x8000;

    /// An entry for a service; 0 for none. Only the lowest nine bits of the number are kept.
    pub const fn of(service: u16) -> Self {
        Self(service & Self::SERVICE)
    }

    /// The same entry, protected.
    #[must_use]
    pub const fn protected(self) -> Self {
        Self(self.0 | Self::PROTECTED)
    }

    /// The same entry, protected at the box itself.
    #[must_use]
    pub const fn management(self) -> Self {
        Self(self.0 | Self::MANAGEMENT)
    }

    /// The same entry, for a port that tells all there is to tell (final), that is reason enough to refuse
    /// its service (outright), or both.
    #[must_use]
    pub const fn alone(self, is_final: bool, is_outright: bool) -> Self {
        let is_final = if is_final { Self::FINAL } else { 0 };
        let is_outright = if is_outright { Self::OUTRIGHT } else { 0 };
        Self(self.0 | is_final | is_outright)
    }

    /// The same entry, for a port that may be something else: neither final nor refused outright.
    #[must_use]
    pub const fn open(self) -> Self {
        Self(self.0 & !(Self::FINAL | Self::OUTRIGHT))
    }

    /// The same entry, for a port that several services share.
    #[must_use]
    pub const fn contested(self) -> Self {
        Self(self.0 | Self::CONTESTED)
    }

    /// Whether the port tells all there is to tell.
    #[inline(always)]
    pub const fn is_final(self) -> bool {
        self.0 & Self::FINAL != 0
    }

    /// Whether the port is reason enough to refuse its service.
    #[inline(always)]
    pub const fn is_outright(self) -> bool {
        self.0 & Self::OUTRIGHT != 0
    }

    /// Whether several services share the port, and are treated differently.
    #[inline(always)]
    pub const fn is_contested(self) -> bool {
        self.0 & Self::CONTESTED != 0
    }

    /// The service whose port this is; 0 for none.
    #[inline(always)]
    pub const fn service(self) -> u16 {
        self.0 & Self::SERVICE
    }

    /// Whether it is a service's port.
    #[inline(always)]
    pub const fn names_service(self) -> bool {
        self.service() != 0
    }

    /// Whether the policy protects this port.
    #[inline(always)]
    pub const fn is_protected(self) -> bool {
        self.0 & Self::PROTECTED != 0
    }

    /// Whether this port is protected at the box itself.
    #[inline(always)]
    pub const fn is_management(self) -> bool {
        self.0 & Self::MANAGEMENT != 0
    }
}

/// What a group does with each service. One row a half and group, at [`ActionRow::index`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct ActionRow(pub [u8; SERVICES_MAX]);

impl ActionRow {
    /// Rows of both halves.
    pub const ROWS: usize = HALVES * GROUPS_MAX;

    /// Where a group's row lies. Only the lowest eight bits of the group's number count.
    #[inline(always)]
    pub const fn index(half: Half, group: u16) -> u32 {
        half.index() << 8 | (group as u32 & 0xff)
    }
}

/// One byte of an [`ActionRow`]: what is done now, and what the policy says when nobody overrides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionCell(pub u8);

impl ActionCell {
    /// A cell that does what the policy says.
    pub const fn of_policy(action: Action) -> Self {
        Self((action as u8) << 4 | action as u8)
    }

    /// The lower half is a lease: it holds until the time in [`LeaseRow`], then the upper one does.
    const LEASED: u8 = 0x08;

    /// The same cell, doing something else until it is reset.
    #[must_use]
    pub const fn overridden(self, action: Action) -> Self {
        Self(self.0 & 0xf0 | action as u8)
    }

    /// The same cell, doing something else until the time that its [`LeaseRow`] says.
    #[must_use]
    pub const fn leased(self, action: Action) -> Self {
        Self(self.0 & 0xf0 | Self::LEASED | action as u8)
    }

    /// Whether the cell has a time at which it goes back to the policy.
    #[inline(always)]
    pub const fn is_leased(self) -> bool {
        self.0 & Self::LEASED != 0
    }

    /// The same cell, doing what the policy says.
    #[must_use]
    pub const fn reset(self) -> Self {
        Self(self.0 & 0xf0 | self.0 >> 4)
    }

    /// The same cell under a policy that says something else.
    #[must_use]
    pub const fn with_policy(self, action: Action) -> Self {
        Self((action as u8) << 4 | self.0 & 0x0f)
    }

    /// What is done now; of a leased cell, before its time is over.
    #[inline(always)]
    pub const fn action(self) -> Action {
        Action::from_number(self.0 & 0x07)
    }

    /// What the policy says.
    #[inline(always)]
    pub const fn policy(self) -> Action {
        Action::from_number(self.0 >> 4 & 0x07)
    }

    /// The cell as it counts now: the one answer to this question, for the programs and for the
    /// controller. Whether its time is over is only asked of a leased one.
    #[inline(always)]
    #[must_use]
    pub fn in_force(self, is_over: impl FnOnce() -> bool) -> Self {
        if self.is_leased() && is_over() {
            self.reset()
        } else {
            self
        }
    }
}

/// When the leased cells of an [`ActionRow`] go back to the policy. One row a half and group, at
/// [`ActionRow::index`]. What stands at cells that are not leased means nothing.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct LeaseRow(pub [u32; SERVICES_MAX]);

impl LeaseRow {
    /// What the clock of leases says, from nanoseconds since the box started, its sleep included:
    /// units of 2^26 ns, some 67 ms. Wraps after nine years.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a clock that wraps")]
    pub const fn time(nanoseconds: u64) -> u32 {
        (nanoseconds >> 26) as u32
    }

    /// Whether an end has come. Half of the clock's round is past, half of it is to come.
    #[inline(always)]
    pub const fn is_over(end: u32, now: u32) -> bool {
        now.wrapping_sub(end) < 1 << 31
    }
}

/// Key of the prefix trie, behind the trie's own prefix length. The half and the family come first,
/// so one trie holds both halves and both families.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct HostPrefix {
    /// [`Half::index`].
    pub half: u8,
    /// [`Family`].
    pub family: u8,
    /// Zero.
    pub reserved: [u8; 2],
    /// [`Addr::words`].
    pub address: [u32; 4],
}

impl HostPrefix {
    /// Bits in front of the address.
    pub const FIXED_BITS: u32 = 32;
    /// Bits of a whole key: the prefix length of a lookup.
    pub const FULL_BITS: u32 = Self::FIXED_BITS + 128;

    /// The key of an address, in one half.
    #[inline(always)]
    pub const fn new(half: Half, addr: &Addr) -> Self {
        Self {
            half: if half.index() == 0 { 0 } else { 1 },
            family: addr.family() as u8,
            reserved: [0; 2],
            address: addr.words(),
        }
    }
}

/// Which addresses may belong to a service: a bit for each value of an IPv4 address's first two bytes,
/// and one for each value of an IPv6 address's first four, folded: most of the IPv6 that is in use
/// begins with the same two. A clear bit saves the walk through the trie.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct RemoteGate(pub [u64; RemoteGate::WORDS]);

impl RemoteGate {
    /// 65,536 bits of two families.
    pub const WORDS: usize = 2 * 1024;

    /// Bits at the front of an address that [`RemoteGate::place`] looks at.
    pub const fn looked_at(family: Family) -> u8 {
        match family {
            Family::V4 => 16,
            Family::V6 => 32,
        }
    }

    /// The word of an address, and its bit in that word.
    #[inline(always)]
    pub const fn place(addr: &Addr) -> (usize, u64) {
        let [first, ..] = addr.words();
        let [high, low, third, fourth] = first.to_ne_bytes();
        let number = (high as usize) << 8 | low as usize;
        let (family, number) = match addr.family() {
            Family::V4 => (0, number),
            Family::V6 => (1024, number ^ ((third as usize) << 8 | fourth as usize)),
        };
        (family | number >> 6, 1 << (number & 63))
    }
}

/// Key of the name trie, behind the trie's own prefix length: a domain name backwards, so that a
/// suffix of the name is a prefix of the key.
///
/// In lower case, a dot behind the last label (the first of the name): `web.whatsapp.com` is
/// `moc.ppastahw.bew.`, and the suffix `whatsapp.com` is `moc.ppastahw.`, which no `xwhatsapp.com`
/// begins with. Names of application protocols lie in the same trie, written alike, as a kind of
/// their own.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct NameKey {
    /// [`Half::index`].
    pub half: u8,
    /// [`NameKey::HOST`] or [`NameKey::ALPN`].
    pub kind: u8,
    /// Zero.
    pub reserved: [u8; 2],
    /// The name, backwards, zeros behind it. Of a longer name the end, which is what matters.
    pub backwards: [u8; NameKey::LENGTH],
}

impl NameKey {
    /// The name of a host.
    pub const HOST: u8 = 0;
    /// The name of an application protocol, as a TLS client offers it.
    pub const ALPN: u8 = 1;

    /// The most bytes of a name that are looked at, the dot included.
    pub const LENGTH: usize = 60;
    /// Bits in front of the name.
    pub const FIXED_BITS: u32 = 32;
    /// Bits of a whole key: the prefix length of a lookup.
    pub const FULL_BITS: u32 = 512;

    /// A key without a name.
    #[inline(always)]
    pub const fn nameless(half: Half, kind: u8) -> Self {
        Self {
            half: if half.index() == 0 { 0 } else { 1 },
            kind,
            reserved: [0; 2],
            backwards: [0; Self::LENGTH],
        }
    }

    /// The key of a suffix as a policy names it, and its prefix length. `None` if it is empty or
    /// too long.
    pub fn of_suffix(half: Half, suffix: &str) -> Option<(u32, Self)> {
        Self::of(half, Self::HOST, suffix)
    }

    /// The key of a protocol as a policy names it (`xmpp-client`), and its prefix length. `None` if
    /// it is empty or too long. Letters count in lower case here too: protocols differ by more.
    pub fn of_alpn(half: Half, protocol: &str) -> Option<(u32, Self)> {
        Self::of(half, Self::ALPN, protocol)
    }

    /// The key under which a whole name is looked up: its end, as far as it is looked at.
    pub fn of_name(half: Half, kind: u8, name: &str) -> Self {
        let mut key = Self::nameless(half, kind);
        let letters = name.bytes().rev().map(|letter| letter.to_ascii_lowercase());
        for (place, letter) in key.backwards.iter_mut().zip(letters.chain([b'.'])) {
            *place = letter;
        }
        key
    }

    fn of(half: Half, kind: u8, name: &str) -> Option<(u32, Self)> {
        let mut key = Self::nameless(half, kind);
        let letters = name.bytes().rev().map(|letter| letter.to_ascii_lowercase());
        // A name that begins with a star goes on within a label: nothing ends there.
        let ends = (!name.starts_with('*')).then_some(b'.');
        let letters = letters.filter(|letter| *letter != b'*');
        let mut length = 0;
        for letter in letters.chain(ends) {
            *key.backwards.get_mut(length)? = letter;
            length += 1;
        }
        let bits = Self::FIXED_BITS + 8 * u32::try_from(length).ok()?;
        (length > 1).then_some((bits, key))
    }
}

/// What a prefix says of its hosts.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Pod, Zeroable)]
pub struct HostEntry {
    /// The group's number; 0 for none.
    pub group: u16,
    /// [`HostEntry::PROTECTED`], [`HostEntry::OWN`].
    pub flags: u16,
}

impl HostEntry {
    /// Traffic of these hosts is never dropped.
    pub const PROTECTED: u16 = 1;
    /// This is an address of the box itself.
    pub const OWN: u16 = 2;

    /// Whether the hosts are protected.
    #[inline(always)]
    pub const fn is_protected(self) -> bool {
        self.flags & Self::PROTECTED != 0
    }

    /// Whether this is the box itself.
    #[inline(always)]
    pub const fn is_own(self) -> bool {
        self.flags & Self::OWN != 0
    }
}

/// Packets and bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Pod, Zeroable)]
pub struct Counts {
    /// Packets on the wire.
    pub packets: u64,
    /// Bytes from the link header on, as on the wire, without preamble and checksum.
    pub bytes: u64,
}

impl Counts {
    /// Adds; wraps at 2^64.
    #[inline(always)]
    pub const fn add(&mut self, more: Self) {
        self.packets = self.packets.wrapping_add(more.packets);
        self.bytes = self.bytes.wrapping_add(more.bytes);
    }
}

/// Totals of one service, by evidence and verdict.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct ServiceTotals {
    /// `cells[evidence][verdict]`.
    pub cells: [[Counts; VERDICT_SLOTS]; EVIDENCE_SLOTS],
}

impl ServiceTotals {
    /// Cells in all: a power of two.
    pub const CELLS: usize = VERDICT_SLOTS * EVIDENCE_SLOTS;

    /// Where traffic is counted, of all cells in a row: below [`Self::CELLS`].
    #[inline(always)]
    pub const fn cell(evidence: Evidence, verdict: Verdict) -> usize {
        evidence as usize * VERDICT_SLOTS + verdict as usize
    }

    /// Counts traffic in a cell. Its number, which the program looks up in a way of its own, and not the
    /// enums, of which the compiler knows that they fit and would say nothing to the verifier.
    #[inline(always)]
    pub fn add(&mut self, cell: usize, traffic: Counts) {
        let cells = self.cells.as_flattened_mut();
        if let Some(cell) = cells.get_mut(cell & (Self::CELLS - 1)) {
            cell.add(traffic);
        }
    }
}

/// What one host did with one service; in the kernel, what hosts without a slot did with it, and those that gave theirs up.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Pod, Zeroable)]
pub struct HostRecord {
    /// `passed[direction]`.
    pub passed: [Counts; 2],
    /// `refused[direction]`.
    pub refused: [Counts; 2],
    /// Start of the latest active second, in nanoseconds of the monotonic clock. The latest packet
    /// came within a second of it.
    pub active_since: u64,
    /// Seconds in which there was traffic.
    pub active_seconds: u32,
    /// Zero.
    pub reserved: u32,
}

/// One second, in the unit of the clock.
const SECOND: u64 = 1_000_000_000;

impl HostRecord {
    /// Counts traffic, and the second in which it came. `now` is in nanoseconds.
    #[inline(always)]
    pub fn add(&mut self, direction: Direction, passes: bool, traffic: Counts, now: u64) {
        let counts = if passes {
            &mut self.passed
        } else {
            &mut self.refused
        };
        let [sent, received] = counts;
        match direction {
            Direction::Sent => sent.add(traffic),
            Direction::Received => received.add(traffic),
        }
        // The distance, not the difference: a capture may hold packets out of order, and a packet
        // that comes a moment before the second's first one belongs to it.
        if self.active_seconds == 0 || now.abs_diff(self.active_since) >= SECOND {
            self.active_since = now;
            self.active_seconds = self.active_seconds.wrapping_add(1);
        }
    }

    /// Takes in another slot of the same host and service: another CPU's, or that of traffic with
    /// the other fate or direction. Counts add up. Active seconds don't, for two slots may have seen the
    /// same second: the larger figure is kept, which is exact while one slot sees traffic in each second
    /// that the others do, and too small otherwise.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.passed.iter_mut().zip(other.passed) {
            mine.add(theirs);
        }
        for (mine, theirs) in self.refused.iter_mut().zip(other.refused) {
            mine.add(theirs);
        }
        self.active_since = self.active_since.max(other.active_since);
        self.active_seconds = self.active_seconds.max(other.active_seconds);
    }
}

const _: () = {
    assert!(size_of::<Control>() == 112);
    assert!(size_of::<PolicyHeader>() == 80);
    assert!(size_of::<PortTable>() == 256 * 1024);
    assert!(size_of::<ActionRow>() == 512);
    assert!(size_of::<LeaseRow>() == 2048);
    assert!(size_of::<HostPrefix>() == 20);
    assert!(size_of::<HostEntry>() == 4);
    assert!(size_of::<RemoteGate>() == 16 * 1024);
    assert!(size_of::<NameKey>() == 64);
    assert!(NameKey::FULL_BITS as usize == 8 * size_of::<NameKey>());
    assert!(size_of::<ServiceTotals>() == 2048);
    assert!(size_of::<HostRecord>() == 80);
    assert!(PortEntry::SERVICE as usize + 1 == SERVICES_MAX);
};
