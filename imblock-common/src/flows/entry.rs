//! What is known of a flow that was told, and whose it is.

use core::sync::atomic::{Ordering, compiler_fence};

use bytemuck::{Pod, Zeroable};

use super::FlowKey;
use crate::Evidence;
use crate::content::Reply;
use crate::identify::rtp::RtpTrace;

/// What is known of a flow that was told, or is being watched. One word, so that it is read and
/// written whole, by user space too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FlowState(pub u64);

impl FlowState {
    const WEAK: u64 = 1 << 33;
    const OTHER: u64 = 1 << 34;

    /// Nothing yet: the flow is watched.
    pub const WATCHED: Self = Self(0);

    /// A flow that was told.
    #[inline(always)]
    pub const fn told(reply: Reply) -> Self {
        Self(reply.0 & (Reply::WHAT | Reply::LIKELY))
    }

    /// What the flow was told to be.
    #[inline(always)]
    pub const fn reply(self) -> Reply {
        Reply::flow(self.0)
    }

    /// A flow that belongs to no service, by a name.
    #[inline(always)]
    pub const fn other(evidence: Evidence) -> Self {
        Self((evidence as u64) << 16 | Self::OTHER)
    }

    /// The same, by evidence that stronger evidence may overrule while the flow is young.
    #[inline(always)]
    #[must_use]
    pub const fn weak(self) -> Self {
        Self(self.0 | Self::WEAK)
    }

    /// The service; 0 for none.
    #[inline(always)]
    pub const fn service(self) -> u16 {
        (self.0 & 0xffff) as u16
    }

    /// Whether stronger evidence may overrule it.
    #[inline(always)]
    pub const fn is_weak(self) -> bool {
        self.0 & Self::WEAK != 0
    }

    /// Whether a name said that the flow belongs to no service.
    #[inline(always)]
    pub const fn is_other(self) -> bool {
        self.0 & Self::OTHER != 0
    }

    /// Whether there is nothing more to find out.
    #[inline(always)]
    pub const fn is_settled(self) -> bool {
        (self.service() != 0 || self.is_other()) && !self.is_weak()
    }
}

/// The exact key of a flow, and what is known of it: a cache line.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Pod, Zeroable)]
pub struct FlowEntry {
    /// Whose entry it is.
    pub key: FlowKey,
    /// A [`FlowState`].
    pub state: u64,
    /// RTP in the making, each way.
    pub rtp: [RtpTrace; 2],
}

impl FlowEntry {
    /// Makes it the entry of a flow of which nothing is known yet.
    #[inline(always)]
    pub(super) fn begin(&mut self, key: &FlowKey) {
        // First, so that nobody takes what follows for the flow that was here before.
        self.state = FlowState::WATCHED.0;
        compiler_fence(Ordering::SeqCst);
        self.key = *key;
        // One by one: of both, the compiler for BPF makes a call that sets bytes.
        for trace in &mut self.rtp {
            *trace = RtpTrace::default();
            compiler_fence(Ordering::SeqCst);
        }
    }
}
