//! The questions that a judgement may ask, the counters it may touch, and what it may remember.
//!
//! The kernel program answers from BPF maps, a replay from memory. Each home implements all
//! traits; nothing about a packet is decided in an implementation.

use crate::buckets::{Buckets, Shape};
use crate::flows;
use crate::hosts::Slots;
use crate::identify::{context, flow};
use crate::layout::{
    Control, Counts, Generic, Half, HopRule, HostEntry, HostRecord, Marker, MarkerSets, NameKey,
    PortEntry, Rate,
};
use crate::limit::{self, Limited, Load};
use crate::stream::Head;
use crate::{Action, Addr, Bytes, Evidence, Reply, Sighting, Transport, Verdict};

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
pub trait Tables: Memory {
    /// The live policy. Asked once for a packet.
    fn policy(self) -> LivePolicy;
    /// What a port tells.
    fn port(self, half: Half, transport: Transport, port: u16) -> PortEntry;
    /// What the longest prefix that covers an address says; the default entry when none does.
    fn host(self, half: Half, addr: &Addr) -> HostEntry;
    /// The group of a hardware address; 0 for none.
    fn mac(self, half: Half, address: [u8; 6]) -> u16;
    /// The service that lives at an address; 0 for none.
    fn remote(self, half: Half, addr: &Addr) -> u16;
    /// Whether a service may live at an address: the gate in front of [`Tables::remote`].
    fn may_be_remote(self, half: Half, addr: &Addr) -> bool;
    /// The service that the longest known suffix of a name belongs to; 0 for none.
    fn name(self, key: &NameKey) -> u16;
    /// The flow table.
    fn flows(self) -> impl flows::Slots;
    /// The flow table's size, seed and clock.
    fn flow_shape(self) -> flows::Shape;
    /// Hands the place for a flow's [`Head`] to `visit`, with the cheap clock. `None` when
    /// there is no such place.
    fn head<R>(self, flow: u64, visit: impl FnOnce(&mut Head, u32) -> R) -> Option<R>;
    /// See [`flow::rtp`]. A function of its own in the kernel.
    #[inline(always)]
    fn rtp_step(self, about: &Sighting, header: u64) -> Reply {
        flow::rtp(about, header, self)
    }
    /// See [`context::caller`]. A function of its own in the kernel.
    #[inline(always)]
    fn caller_step(self, about: &Sighting, reply: Reply) -> Reply {
        context::caller(about, reply, self)
    }
    /// See [`context::hop`]. A function of its own in the kernel.
    #[inline(always)]
    fn hop_step(self, about: &Sighting) -> Reply {
        context::hop(about, self)
    }
    /// See [`context::named`]. A function of its own in the kernel.
    #[inline(always)]
    fn named_step(self, about: &Sighting) {
        context::named(about, self);
    }
    /// See [`context::later_part`]. A function of its own in the kernel.
    #[inline(always)]
    fn later_part_step(self, about: &Sighting) -> Reply {
        context::later_part(about, self)
    }
    /// See [`context::first_part`]. A function of its own in the kernel.
    #[inline(always)]
    fn first_part_step(self, about: &Sighting, told: Reply) {
        context::first_part(about, told, self);
    }
    /// See [`context::note`]. A function of its own in the kernel.
    #[inline(always)]
    fn note_step(self, about: &Sighting, told: Reply) {
        context::note(about, told, self);
    }
    /// Hands a datagram to the controller, in homes that have memory of their own for it; see
    /// [`crate::Packet::hand_over`].
    #[inline(always)]
    fn hand_over<B: Bytes>(self, _bytes: B, _about: &Sighting, _entry: u32) {}
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
    /// What a group does with a service.
    fn action(self, half: Half, group: u16, service: u16) -> Action;
    /// The service that alone uses a STUN attribute type, and whether that may drop; 0 and no for
    /// none.
    fn stun_attribute(self, half: Half, attribute: u16) -> (u16, bool);
    /// The service that stands for a protocol; 0 for none.
    fn generic(self, half: Half, generic: Generic) -> u16;
    /// Whether packets of another service travel in a service's flows: offers of files, in chat.
    fn carries(self, half: Half, service: u16) -> bool;
    /// Whether a service can be called with.
    fn calls(self, half: Half, service: u16) -> bool;
    /// When a host is on its way through the ports of a server.
    fn hop_rule(self, half: Half) -> HopRule;
    /// The rate at which a group may use a service; [`Rate::NONE`] for any.
    fn rate(self, half: Half, group: u16, service: u16) -> Rate;
    /// See [`limit::within`]. A function of its own in the kernel.
    #[inline(always)]
    fn limit_step(self, about: &Sighting, who: Limited, load: Load) -> bool {
        limit::within(about, who, load, self)
    }
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
    /// Hands the record of all hosts that found no slot, or gave theirs up, to `update`.
    fn overflow(self, service: u16, update: impl FnOnce(&mut HostRecord));
}

/// What a judgement may remember from one packet to the next, whichever CPU sees that.
pub trait Memory: Copy {
    /// What hosts have just talked to, see [`crate::recent`]; and the size of that table.
    fn recent(self) -> (impl Buckets, Shape);
    /// What hosts were refused, see [`crate::hops`]; and the size of that table.
    fn hops(self) -> (impl Buckets, Shape);
    /// What first fragments were told to be, see [`crate::parts`]; and the size of that table.
    fn parts(self) -> (impl Buckets, Shape);
    /// The clock in seconds, from any beginning.
    fn seconds(self) -> u32;
    /// The clock in nanoseconds, from any beginning, with the resolution of a tick.
    fn nanoseconds(self) -> u64;
    /// The token buckets, see [`crate::limit`]; of the shape only the seed counts.
    fn limits(self) -> (impl Buckets, Shape);
    /// Counts a packet that found no token bucket of its own.
    fn limit_shared(self);
    /// [`Control::flags`].
    fn control_flags(self) -> u32;
}
