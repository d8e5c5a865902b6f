//! The table of host counters: a flat hash table that both homes share, and behind it places by address.
//!
//! Each CPU has a table of its own, so counting needs no atomics, and a slot is one cache line. Each
//! key may live in any of [`BUCKETS`] buckets of [`BUCKET`] slots. A slot changes its owner but is never
//! freed while the table lives, so the first free slot ends a search, and in a table of the size that
//! [`slots_for`] gives, nearly every search ends in the first bucket.
//!
//! A key that finds all its buckets full takes the slot of one that was not seen for [`YIELDS_AFTER`]:
//! hosts change their IPv6 addresses every day, and would fill a table of any size. If there is none, its
//! traffic is counted as overflow; what the former owner of a slot counted goes there as well.
//!
//! A host of [`Inside`] has [`Inside::WAYS`] places more, in a table of their own, one of which its traffic
//! tries before all buckets. They lie by way, then by address, and are half as large ([`InsideSlot`]): where
//! many hosts use one service, they share an eighth of the pages. What finds its place taken goes on into
//! the hash, so the sum of both tables is what it would be without places.
//!
//! A hash map of the kernel was measured first: its lookup alone cost as much as all the rest of
//! the program.

use bytemuck::{Pod, Zeroable};

use crate::layout::{Counts, HostRecord, Inside};
use crate::{Addr, Direction, Family};

mod activity;
mod inside;

use activity::Activity;
pub use inside::InsideSlot;

/// Slots of a bucket.
pub const BUCKET: u32 = 8;

/// Buckets in which a key may live.
pub const BUCKETS: u32 = 4;

/// How long a key must not have been seen before it yields its slot: a day, in seconds.
pub const YIELDS_AFTER: u32 = 24 * 60 * 60;

/// No slot's number.
pub const NO_SLOT: u32 = u32::MAX;

/// The most slots a CPU's table may have: the hash yields places of 24 bits.
pub const SLOTS_MAX: u32 = 1 << 24;

/// How many slots a CPU's table needs to have room for so many keys: a power of two, at least twice
/// as many. Half full, a bucket has no room for two keys in a hundred, four buckets for two in ten
/// million.
pub const fn slots_for(keys: u32) -> u32 {
    let wanted = keys.saturating_mul(2);
    if wanted >= SLOTS_MAX {
        SLOTS_MAX
    } else if wanted < BUCKET {
        BUCKET
    } else {
        wanted.next_power_of_two()
    }
}

/// What a slot counts: one service of one host, passed or refused traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostKey {
    address: [u32; 4],
    /// Service number, and the bits below. Never 0, for 0 marks a free slot.
    about: u32,
}

impl HostKey {
    const IS_V6: u32 = 1 << 16;
    const PASSES: u32 = 1 << 17;

    /// The key of a host's traffic of a service (1 to 511), passed or refused.
    #[inline(always)]
    pub const fn new(host: &Addr, service: u16, passes: bool) -> Self {
        let family = match host.family() {
            Family::V4 => 0,
            Family::V6 => Self::IS_V6,
        };
        let passes = if passes { Self::PASSES } else { 0 };
        Self {
            address: host.words(),
            about: service as u32 | family | passes,
        }
    }

    /// The seed keeps an outsider from choosing addresses that meet.
    #[inline(always)]
    const fn hash(&self, seed: u32) -> u64 {
        // Multiply and fold; the constants are large odd numbers without a pattern (the golden
        // ratio and two of Steele and Vigna's multipliers).
        let [a, b, c, d] = self.address;
        let first = (a as u64) << 32 | (self.about ^ seed) as u64;
        let mut hash = first.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if self.about & Self::IS_V6 != 0 {
            hash = (hash ^ (hash >> 32) ^ ((b as u64) << 32 | c as u64))
                .wrapping_mul(0xd134_2543_de82_ef95);
            hash = (hash ^ (hash >> 29) ^ d as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        // Neighbours differ in the last byte of the address, which lies at the top: twice down.
        hash = (hash ^ (hash >> 32)).wrapping_mul(0xaf25_1af3_b0f0_25b5);
        (hash ^ (hash >> 28)).wrapping_mul(0xd134_2543_de82_ef95)
    }
}

/// One (host, service, passed or refused) of one CPU: a cache line.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Pod, Zeroable)]
pub struct HostSlot {
    address: [u32; 4],
    about: u32,
    activity: Activity,
    /// `counts[direction]`.
    counts: [Counts; 2],
}

const _: () = assert!(size_of::<HostSlot>() == 64);

/// What became of a slot that was asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// It is the key's, and a second has passed since it was marked active.
    Idle,
    /// It is the key's.
    Active,
    /// Another key has it.
    Taken,
}

/// A slot of either kind.
trait Slot: Sized {
    /// Hands the slot with a number to `visit`. `None` when there is no such slot.
    fn at<S: Slots, R>(slots: S, number: u32, visit: impl FnOnce(&mut Self) -> R) -> Option<R>;
    /// Counts, if the slot is the key's or free.
    fn count(&mut self, key: &HostKey, at: &Arrival, ticks_per_second: u32) -> Found;
    /// When its owner was active.
    fn activity(&mut self) -> &mut Activity;
}

impl Slot for HostSlot {
    #[inline(always)]
    fn at<S: Slots, R>(slots: S, number: u32, visit: impl FnOnce(&mut Self) -> R) -> Option<R> {
        slots.slot(number, visit)
    }

    #[inline(always)]
    fn activity(&mut self) -> &mut Activity {
        &mut self.activity
    }

    #[inline(always)]
    fn count(&mut self, key: &HostKey, at: &Arrival, ticks_per_second: u32) -> Found {
        let mine = self.about == key.about && self.address == key.address;
        if !mine && self.about != 0 {
            return Found::Taken;
        }
        let [sent, received] = &mut self.counts;
        match at.direction {
            Direction::Sent => sent.add(at.traffic),
            Direction::Received => received.add(at.traffic),
        }
        if mine && self.activity.goes_on(at.tick, ticks_per_second) {
            return Found::Active;
        }
        self.address = key.address;
        self.about = key.about;
        self.activity.begin(at.tick);
        Found::Idle
    }
}

impl HostSlot {
    /// Marks the slot free if its owner was not seen for [`YIELDS_AFTER`], and returns what was in
    /// [`HostKey::about`]; 0 if the owner keeps it. `now` is in nanoseconds.
    #[inline(always)]
    fn vacate(&mut self, now: u64) -> u32 {
        if self.activity.idle_seconds(now) < YIELDS_AFTER {
            return 0;
        }
        core::mem::take(&mut self.about)
    }

    /// What a slot counted that was vacated; it counts from 0 again.
    #[inline(always)]
    fn settle(&mut self, about: u32) -> HostRecord {
        let counts = core::mem::take(&mut self.counts);
        let activity = core::mem::take(&mut self.activity);
        activity.record(counts, about & HostKey::PASSES != 0)
    }

    /// Whether two readings of a slot are of the same owner.
    pub fn is_of_owner_of(&self, other: &Self) -> bool {
        self.about == other.about && self.address == other.address
    }

    /// Host, service number and record; `None` for a free slot.
    pub fn read(&self) -> Option<(Addr, u16, HostRecord)> {
        if self.about == 0 {
            return None;
        }
        let family = if self.about & HostKey::IS_V6 == 0 {
            Family::V4
        } else {
            Family::V6
        };
        let passes = self.about & HostKey::PASSES != 0;
        Some((
            Addr::from_words(self.address, family),
            (self.about & 0xffff) as u16,
            self.activity.record(self.counts, passes),
        ))
    }
}

/// Traffic to be counted.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Which way it goes.
    pub direction: Direction,
    /// How much it is.
    pub traffic: Counts,
    /// The cheap clock, in ticks that wrap.
    pub tick: u32,
}

/// The size of a CPU's table of slots that are found by the hash, and the hash's seed.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Slots of one CPU: a power of two, at least [`BUCKET`].
    pub slots: u32,
    /// Mixed into the hash.
    pub seed: u32,
    /// How many ticks make a second.
    pub ticks_per_second: u32,
}

/// The slots of this CPU's tables.
pub trait Slots: Copy {
    /// Hands a slot that the hash finds, by its number from 0, to `visit`. `None` when there is no such slot.
    fn slot<R>(self, number: u32, visit: impl FnOnce(&mut HostSlot) -> R) -> Option<R>;
    /// The same of a slot by address.
    fn place<R>(self, number: u32, visit: impl FnOnce(&mut InsideSlot) -> R) -> Option<R>;
    /// Whose slots are found by address: those of [`Inside::hosts`] hosts, [`Inside::WAYS`] for each.
    fn inside(&self) -> &Inside;
    /// The exact clock in nanoseconds; asked once a second and slot.
    fn now(self) -> u64;
    /// See [`vacate`]; what the owner of the slot counted becomes overflow of its service.
    fn vacate(self, first: u32) -> u32;
}

/// Counts traffic in the key's slot, taking a free one if it has none. `false` when its place by
/// address and all of its buckets are full, and no owner in the first of them yields.
#[inline(always)]
pub fn count<S: Slots>(slots: S, shape: Shape, key: &HostKey, arrival: Arrival) -> bool {
    let inside = slots.inside();
    if inside.hosts() != 0 {
        let place = InsideSlot::place(key, arrival.direction, inside);
        if place != Inside::NOWHERE {
            match count_in::<InsideSlot, S>(slots, place, shape, key, &arrival) {
                Some(Found::Active | Found::Idle) => return true,
                Some(Found::Taken) | None => {}
            }
        }
    }
    let mask = shape.slots.wrapping_sub(1);
    let hash = key.hash(shape.seed);
    let mut bucket = (hash >> 40) as u32;
    let first = bucket.wrapping_mul(BUCKET) & mask;
    let mut place = 0;
    while place < BUCKETS * BUCKET {
        let number = (bucket.wrapping_mul(BUCKET) | (place & (BUCKET - 1))) & mask;
        match count_in::<HostSlot, S>(slots, number, shape, key, &arrival) {
            Some(Found::Active | Found::Idle) => return true,
            Some(Found::Taken) => {}
            None => return false,
        }
        place += 1;
        if place & (BUCKET - 1) == 0 {
            // An odd step leads to another bucket each time.
            bucket = bucket.wrapping_add(((hash >> 16) & 0xff_ffff) as u32 | 1);
        }
    }
    let freed = slots.vacate(first);
    freed != NO_SLOT && count_in::<HostSlot, S>(slots, freed, shape, key, &arrival).is_some()
}

/// Frees a slot of a bucket, which begins with slot `first`, if one's owner was not seen for
/// [`YIELDS_AFTER`], and returns its number; [`NO_SLOT`] if all owners keep theirs. What the owner counted
/// is handed to `settle`, with its service.
///
/// The slot is marked free, then its counts are 0: two visits, which the compiler can't bring together. Who
/// reads the table meanwhile and finds the same key before and after the counts has those of that key.
#[inline(always)]
pub fn vacate<S: Slots>(slots: S, first: u32, settle: impl FnOnce(u16, HostRecord)) -> u32 {
    let now = slots.now();
    let mut place = 0;
    while place < BUCKET {
        let number = first | place;
        let former = slots.slot(number, |slot| slot.vacate(now)).unwrap_or(0);
        if former != 0 {
            if let Some(record) = slots.slot(number, |slot| slot.settle(former)) {
                settle((former & 0xffff) as u16, record);
            }
            return number;
        }
        place += 1;
    }
    NO_SLOT
}

/// Counts in a slot, if it is the key's or free. `None` when there is no such slot.
#[inline(always)]
fn count_in<T: Slot, S: Slots>(
    slots: S,
    number: u32,
    shape: Shape,
    key: &HostKey,
    arrival: &Arrival,
) -> Option<Found> {
    let ticks_per_second = shape.ticks_per_second;
    let found = T::at(slots, number, |slot| {
        slot.count(key, arrival, ticks_per_second)
    })?;
    if found == Found::Idle {
        let now = slots.now();
        let _ = T::at(slots, number, |slot| slot.activity().mark(now));
    }
    Some(found)
}
