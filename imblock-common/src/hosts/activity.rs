//! The seconds in which a slot's owner was active: what slots of both kinds keep beside their counters.

use bytemuck::{Pod, Zeroable};

use crate::layout::{Counts, HostRecord};

/// Nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// How often there was traffic, and when it was last seen.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Pod, Zeroable)]
pub(super) struct Activity {
    /// The tick at which the latest active second began.
    tick: u32,
    /// The latest active second, in seconds of the monotonic clock.
    since: u32,
    seconds: u32,
}

impl Activity {
    /// Whether a tick is of the latest active second.
    #[inline(always)]
    pub(super) const fn goes_on(&self, tick: u32, ticks_per_second: u32) -> bool {
        tick.wrapping_sub(self.tick) < ticks_per_second
    }

    /// Begins another active second, which is counted when [`Activity::mark`] says what time it is.
    #[inline(always)]
    pub(super) const fn begin(&mut self, tick: u32) {
        self.tick = tick;
    }

    /// Counts the active second that was begun.
    #[inline(always)]
    pub(super) const fn mark(&mut self, now: u64) {
        self.since = ((now / SECOND) & 0xffff_ffff) as u32;
        self.seconds = self.seconds.wrapping_add(1);
    }

    /// How long ago the latest active second began, in whole seconds; 0 where the clock has gone back, as
    /// it may in a capture. `now` is in nanoseconds.
    #[inline(always)]
    pub(super) const fn idle_seconds(&self, now: u64) -> u32 {
        let now = ((now / SECOND) & 0xffff_ffff) as u32;
        let idle = now.wrapping_sub(self.since);
        if idle >> 31 == 0 { idle } else { 0 }
    }

    /// The record of an owner whose counters, by direction, are all of one fate.
    #[inline(always)]
    pub(super) fn record(&self, counts: [Counts; 2], passes: bool) -> HostRecord {
        let none = [Counts::default(); 2];
        let (passed, refused) = if passes {
            (counts, none)
        } else {
            (none, counts)
        };
        HostRecord {
            passed,
            refused,
            active_since: u64::from(self.since) * SECOND,
            active_seconds: self.seconds,
            reserved: 0,
        }
    }
}
