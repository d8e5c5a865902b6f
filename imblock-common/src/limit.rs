//! `action: limit`: a token bucket for each host, service and direction, shared by all CPUs.
//!
//! A bucket is one word: the moment at which it will be full again. A packet passes while the bucket
//! is not empty, that is, while that moment is less than the burst away, and puts it off by the time
//! that the rate takes for the packet. A packet larger than what is left passes and leaves a debt, so
//! that any burst will do for packets of any size, and the rate holds all the same.
//!
//! The moment of a full bucket is past, and then the bucket says nothing: its place is free. So the
//! table needs no clean-up and holds those alone that are being used. What finds no place shares a
//! bucket with all others of its service and direction, which is stricter, and is counted.
//!
//! Nobody locks. In use, a bucket is only added to, which CPUs can do at the same time without losing
//! anything; two that give away the same free place at the same time lend a host the other's bucket
//! for a moment.

use crate::buckets::{Bucket as _, Buckets, Place, Shape};
use crate::layout::{Control, Counts, Rate, SERVICES_MAX};
use crate::orient::{Direction, Side};
use crate::{Addr, Sighting, Tables};

/// Buckets of words, of [`PLACES`] token buckets each: a power of two.
const TABLE: u32 = 4096;
/// Token buckets in a bucket of words: a tag and a moment each.
const PLACES: usize = 4;
/// Directions.
const DIRECTIONS: u32 = 2;
/// Buckets of words that hold the shared token buckets, a word each.
#[expect(clippy::cast_possible_truncation, reason = "a small constant")]
const SHARED: u32 = SERVICES_MAX as u32 * DIRECTIONS / 8;
/// Buckets of words in all.
pub const BUCKETS: u32 = TABLE + SHARED;

/// Traffic as the limiter is told of it: bytes in the lower half, packets in the upper one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load(pub u64);

impl Load {
    /// More bytes than any buffer has are counted as so many.
    const BYTES_MAX: u64 = (1 << 20) - 1;
    const PACKETS_MAX: u64 = (1 << 16) - 1;

    /// Of traffic.
    #[inline(always)]
    pub const fn new(traffic: Counts) -> Self {
        let bytes = if traffic.bytes > Self::BYTES_MAX {
            Self::BYTES_MAX
        } else {
            traffic.bytes
        };
        let packets = if traffic.packets > Self::PACKETS_MAX {
            Self::PACKETS_MAX
        } else {
            traffic.packets
        };
        Self(packets << 32 | bytes)
    }

    /// How long the rate takes for it, in nanoseconds.
    #[inline(always)]
    pub const fn time(self, rate: &Rate) -> u64 {
        let units = if rate.counts_packets() {
            self.0 >> 32 & Self::PACKETS_MAX
        } else {
            self.0 & Self::BYTES_MAX
        };
        units.wrapping_mul(rate.time) >> Rate::SHIFT
    }
}

/// Who is limited: service (nine bits) and group of the local host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited(pub u64);

impl Limited {
    /// A service, as a group uses it.
    #[inline(always)]
    pub(crate) const fn new(service: u16, group: u16) -> Self {
        Self((group as u64) << 16 | service as u64)
    }

    #[inline(always)]
    const fn service(self) -> u16 {
        (self.0 & 0x1ff) as u16
    }

    #[inline(always)]
    const fn group(self) -> u16 {
        (self.0 >> 16 & 0xffff) as u16
    }
}

/// What a bucket says of a packet that comes at `now`: whether it passes.
#[inline(always)]
const fn is_within(full_at: u64, now: u64, rate: &Rate) -> bool {
    full_at < now.saturating_add(rate.burst)
}

/// Whether traffic is within its rate; takes it out of the bucket if it is. Where a WAN side's packet
/// is also seen by a LAN side, it is left to that one.
#[inline(always)]
pub fn within<T: Tables>(about: &Sighting, who: Limited, load: Load, tables: T) -> bool {
    let direction = about.direction();
    if about.side() == Side::Wan && !counts_here(direction, tables.control_flags()) {
        return true;
    }
    let service = who.service();
    let rate = tables.rate(about.policy().half, who.group(), service);
    if rate.is_none() {
        return true;
    }
    let now = tables.nanoseconds();
    let time = load.time(&rate);
    let number = (u32::from(service) & 0x1ff) << 1 | direction as u32;
    let (table, shape) = tables.limits();
    let place = place_of(shape, &about.key.local(), number);
    let tag = place.identity();
    let Some(first) = table.bucket(place.bucket) else {
        return true;
    };
    let Some(second) = table.bucket(place.bucket ^ 1) else {
        return true;
    };
    let mut found = search(first, tag, now);
    let mut bucket_is_second = false;
    if found & KNOWN == 0 {
        let elsewhere = search(second, tag, now);
        if elsewhere & KNOWN != 0 || found == NOWHERE {
            found = elsewhere;
            bucket_is_second = true;
        }
    }
    if found == NOWHERE {
        tables.limit_shared();
        let Some(shared) = table.bucket(TABLE + (number >> 3)) else {
            return true;
        };
        return take(shared, (number & 7) as usize, now, time, &rate, false);
    }
    let at = (found & 3) * 2;
    let fresh = found & KNOWN == 0;
    if bucket_is_second {
        let within = take(second, at + 1, now, time, &rate, fresh);
        if fresh {
            second.store(at, tag);
        }
        within
    } else {
        let within = take(first, at + 1, now, time, &rate, fresh);
        if fresh {
            first.store(at, tag);
        }
        within
    }
}

/// Of a place: it belongs to who was searched for.
const KNOWN: usize = 4;
/// No place is free.
const NOWHERE: usize = 8;

/// Looks for a tag in a bucket of words: its place with [`KNOWN`], else a free one, or [`NOWHERE`].
#[inline(always)]
fn search<B: crate::buckets::Bucket>(bucket: B, tag: u64, now: u64) -> usize {
    let mut found = NOWHERE;
    let mut place = 0;
    while place < PLACES {
        if bucket.load(place * 2) == tag {
            return place | KNOWN;
        }
        if found == NOWHERE && bucket.load(place * 2 + 1) <= now {
            found = place;
        }
        place += 1;
    }
    found
}

/// Takes traffic out of the token bucket in a word, if it is not empty. Of a free place the word means
/// nothing.
#[inline(always)]
fn take<B: crate::buckets::Bucket>(
    bucket: B,
    at: usize,
    now: u64,
    time: u64,
    rate: &Rate,
    fresh: bool,
) -> bool {
    let full_at = if fresh { 0 } else { bucket.load(at) };
    if !is_within(full_at, now, rate) {
        return false;
    }
    if full_at <= now {
        bucket.store(at, now.wrapping_add(time));
    } else {
        bucket.add(at, time);
    }
    true
}

/// Whether a WAN side sees what no LAN side does: the same question as for the counters.
#[inline(always)]
pub(crate) fn counts_here(direction: Direction, flags: u32) -> bool {
    let wanted = match direction {
        Direction::Received => Control::WAN_COUNTS_RECEIVED,
        Direction::Sent => Control::WAN_COUNTS_SENT,
    };
    flags & wanted != 0
}

#[inline(always)]
fn place_of(shape: Shape, host: &Addr, number: u32) -> Place {
    let shape = Shape {
        buckets: TABLE,
        seed: shape.seed,
    };
    Place::of_host_and(shape, host, u64::from(number))
}
