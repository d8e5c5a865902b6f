//! The questions that a judgement may ask, and the counters it may touch.
//!
//! The kernel program answers from BPF maps, a replay from memory. Each home implements both
//! traits; nothing about a packet is decided in an implementation.

use crate::hosts::Slots;
use crate::layout::{
    Control, Counts, Half, HostEntry, HostRecord, Marker, MarkerSets, NameKey, PortEntry,
};
use crate::{Action, Addr, Evidence, Transport, Verdict};

/// The live policy, chosen once for a packet and used to its end, so that no packet is judged by a
/// mix of two policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LivePolicy {
    /// Which copy of the tables to ask.
    pub half: Half,
    /// [`crate::layout::Control::policy_flags`] of that half.
    pub flags: u32,
}

/// What a judgement may ask.
pub trait Tables: Copy {
    /// The live policy. Asked once for a packet.
    fn policy(self) -> LivePolicy;
    /// What a port tells.
    fn port(self, half: Half, transport: Transport, port: u16) -> PortEntry;
    /// What the longest prefix that covers an address says; the default entry when none does.
    fn host(self, half: Half, addr: &Addr) -> HostEntry;
    /// The service that lives at an address; 0 for none.
    fn remote(self, half: Half, addr: &Addr) -> u16;
    /// The service that the longest known suffix of a name belongs to; 0 for none.
    fn name(self, key: &NameKey) -> u16;
    /// Hands `visit` the sets that say which markers fit a packet; `None` when there are none.
    fn marker_sets<R>(
        self,
        half: Half,
        transport: Transport,
        visit: impl FnOnce(&MarkerSets) -> R,
    ) -> Option<R>;
    /// Hands a marker to `visit`; `None` when there is none of this number.
    fn marker<R>(
        self,
        half: Half,
        transport: Transport,
        number: u8,
        visit: impl FnOnce(&Marker) -> R,
    ) -> Option<R>;
    /// The service that alone uses a STUN attribute type, and whether that may drop; 0 for none.
    fn stun_attribute(self, half: Half, attribute: u16) -> (u16, bool);
    /// What a group does with a service.
    fn action(self, half: Half, group: u16, service: u16) -> Action;
}

/// What a judgement may count.
pub trait Counters: Copy {
    /// What is the same for every policy: flags, and the shape of the host table.
    fn control(self) -> Control;
    /// The cheap clock: timer ticks, [`Control::ticks_per_second`] of them, wrapping.
    fn tick(self) -> u32;
    /// Counts packets in the slot of a view and outcome.
    fn frame(self, slot: u32, packets: u64);
    /// Counts traffic in the totals of a service.
    fn service(self, service: u16, evidence: Evidence, verdict: Verdict, traffic: Counts);
    /// The table of host counters.
    fn hosts(self) -> impl Slots;
    /// Hands the record of all hosts that found no slot to `update`.
    fn overflow(self, service: u16, update: impl FnOnce(&mut HostRecord));
}
