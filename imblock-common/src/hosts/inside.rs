//! Slots whose place is the host's address: what a flood from many hosts of [`Inside`] goes to.
//!
//! Invariant: a slot is owned by one service, fate and direction of the host that its place says, and keeps
//! its owner while the table lives.

use bytemuck::{Pod, Zeroable};

use super::activity::Activity;
use super::{Arrival, Found, HostKey, Slot, Slots};
use crate::layout::{Counts, HostRecord, Inside};
use crate::{Addr, Direction};

/// One (service, passed or refused, direction) of the host that the place says, on one CPU: half a cache
/// line. A flood goes one way, and the address need not be kept, so that a slot found by the hash has
/// twice as much.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Pod, Zeroable)]
pub struct InsideSlot {
    /// What is in [`HostKey`], and [`RECEIVED`]. 0 marks a free slot.
    about: u32,
    activity: Activity,
    counts: Counts,
}

/// The slot counts what the host received, not what it sent.
const RECEIVED: u32 = 1 << 18;

const _: () = {
    assert!(size_of::<InsideSlot>() == 32);
    // A CPU's slots begin with a cache line, however many hosts there are.
    assert!((Inside::WAYS as usize * size_of::<InsideSlot>()).is_multiple_of(64));
    assert!(Inside::WAYS == 2 * SERVICE_WAYS);
};

/// Ways of what goes one way.
const SERVICE_WAYS: u32 = 4;

impl InsideSlot {
    /// Where a CPU counts traffic of a key, by number; [`Inside::NOWHERE`] for a host outside.
    #[inline(always)]
    pub(super) const fn place(key: &HostKey, direction: Direction, inside: &Inside) -> u32 {
        if key.about & HostKey::IS_V6 != 0 {
            return Inside::NOWHERE;
        }
        let [address, ..] = key.address;
        let host = inside.number(u32::from_be(address));
        if host == Inside::NOWHERE {
            return Inside::NOWHERE;
        }
        // Services with numbers in a row have a way each, and what passes of a service has another than
        // what is refused: the higher bit of the way is the other one.
        let way = (key.about ^ key.about >> 16) & (SERVICE_WAYS - 1);
        let way = match direction {
            Direction::Sent => way,
            Direction::Received => way + SERVICE_WAYS,
        };
        way.wrapping_mul(inside.hosts()).wrapping_add(host)
    }

    /// Host, service number and record, which has one direction; `None` for a free slot. `place` is the
    /// slot's number among those of its CPU, or of all CPUs.
    pub fn read(&self, place: u32, inside: &Inside) -> Option<(Addr, u16, HostRecord)> {
        if self.about == 0 {
            return None;
        }
        // Each way has all hosts, so each CPU has a multiple of them.
        let host = inside.host(place.checked_rem(inside.hosts())?)?;
        let none = Counts::default();
        let counts = match self.about & RECEIVED {
            0 => [self.counts, none],
            _ => [none, self.counts],
        };
        let passes = self.about & HostKey::PASSES != 0;
        Some((
            Addr::v4(host.octets()),
            (self.about & 0xffff) as u16,
            self.activity.record(counts, passes),
        ))
    }
}

impl Slot for InsideSlot {
    #[inline(always)]
    fn at<S: Slots, R>(slots: S, number: u32, visit: impl FnOnce(&mut Self) -> R) -> Option<R> {
        slots.place(number, visit)
    }

    #[inline(always)]
    fn activity(&mut self) -> &mut Activity {
        &mut self.activity
    }

    /// The direction is the key's, too.
    #[inline(always)]
    fn count(&mut self, key: &HostKey, at: &Arrival, ticks_per_second: u32) -> Found {
        let about = match at.direction {
            Direction::Sent => key.about,
            Direction::Received => key.about | RECEIVED,
        };
        let mine = self.about == about;
        if !mine && self.about != 0 {
            return Found::Taken;
        }
        self.counts.add(at.traffic);
        if mine && self.activity.goes_on(at.tick, ticks_per_second) {
            return Found::Active;
        }
        self.about = about;
        self.activity.begin(at.tick);
        Found::Idle
    }
}
