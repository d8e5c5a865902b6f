//! What the first fragments of datagrams were told to be, for the later ones, which have no ports.
//!
//! Invariant: a note is one word, (datagram, service and evidence, second), so it is whole whoever
//! writes beside it; see [`crate::buckets`]. A datagram is known by 33 bits of a seeded hash of its
//! addresses, protocol and identification, and its bucket.

use crate::buckets::{Bucket, Buckets, Place, Shape, WORDS};
use crate::{Direction, Reply, Sighting, Transport};

/// Buckets of the table: room for eight datagrams each, 64 KiB in all.
pub const BUCKETS: u32 = 1024;

/// For so long, the fragments of a datagram are waited for: what Linux grants IPv4 (`ipfrag_time`).
const SECONDS: u64 = 30;

const TAG_BITS: u32 = 33;
const TOLD_BITS: u32 = 15;
const SECOND_BITS: u32 = 16;
const SECOND: u64 = !(u64::MAX << SECOND_BITS);

/// Where notes about a packet's datagram are.
#[inline(always)]
fn place(shape: Shape, about: &Sighting) -> Place {
    let udp = match about.key.transport() {
        Transport::Tcp => 0,
        Transport::Udp => 1 << 32,
    };
    let received = match about.direction() {
        Direction::Sent => 0,
        Direction::Received => 1 << 33,
    };
    let number = u64::from(about.identification) | udp | received;
    Place::of_part(shape, &about.key.local(), &about.key.remote(), number)
}

/// The one word of its bucket that a datagram's note may be in.
#[inline(always)]
const fn way(place: &Place) -> usize {
    let [low, ..] = place.tag(TAG_BITS).to_le_bytes();
    low as usize & (WORDS - 1)
}

/// Notes what a first fragment was told to be. Of two datagrams in one place, the later one stays.
#[inline(always)]
pub fn note<B: Buckets>(buckets: B, shape: Shape, about: &Sighting, told: Reply, now_seconds: u32) {
    let place = place(shape, about);
    let whose = place.tag(TAG_BITS) << (TOLD_BITS + SECOND_BITS);
    let what = u64::from(told.brief()) << SECOND_BITS;
    if let Some(bucket) = buckets.bucket(place.bucket) {
        bucket.store(way(&place), whose | what | u64::from(now_seconds) & SECOND);
    }
}

/// What the first fragment of a later one's datagram was told to be; nothing if it was not.
#[inline(always)]
pub fn told<B: Buckets>(buckets: B, shape: Shape, about: &Sighting, now_seconds: u32) -> Reply {
    let place = place(shape, about);
    let Some(bucket) = buckets.bucket(place.bucket) else {
        return Reply::NOTHING;
    };
    let note = bucket.load(way(&place));
    let age = u64::from(now_seconds).wrapping_sub(note) & SECOND;
    if note >> (TOLD_BITS + SECOND_BITS) != place.tag(TAG_BITS) || age > SECONDS {
        return Reply::NOTHING;
    }
    Reply::of_brief((note >> SECOND_BITS & !(u64::MAX << TOLD_BITS)) as u16)
}
