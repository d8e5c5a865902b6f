//! What a local host has just talked to: the messengers whose calls go on as packets that name
//! nobody.
//!
//! A call's media is STUN, then RTP, to addresses that are anybody's. The app has spoken to its own
//! servers a moment before, and if it was the only one of its kind that did, the call is its.
//!
//! Invariant: a note is one word, (host, service, second), so it is whole whoever writes beside it;
//! see [`crate::buckets`]. A host is known by 29 bits of a seeded hash and its bucket: two hosts
//! that talk to such services share a name once in two hundred billion pairs, and then only borrow
//! each other's guess.

use crate::Addr;
use crate::buckets::{Bucket, Buckets, Place, Shape, WORDS};

/// Buckets of the table: room for eight (host, service) pairs each, 256 KiB in all.
pub const BUCKETS: u32 = 4096;

const SERVICE_BITS: u32 = 9;
/// Seconds are counted in two years, then from 0 again.
const SECOND_BITS: u32 = 26;
const TAG_BITS: u32 = 64 - SERVICE_BITS - SECOND_BITS;

const SERVICE: u64 = !(u64::MAX << SERVICE_BITS);
const SECOND: u64 = !(u64::MAX << SECOND_BITS);

/// One note: tag, second, service. Never 0, for no service is.
#[derive(Clone, Copy)]
struct Note(u64);

impl Note {
    #[inline(always)]
    const fn new(place: Place, service: u16, now_seconds: u32) -> Self {
        let whose = place.tag(TAG_BITS) << (SECOND_BITS + SERVICE_BITS);
        let when = (now_seconds as u64 & SECOND) << SERVICE_BITS;
        Self(whose | when | service as u64 & SERVICE)
    }

    /// Whether it is of the same host.
    #[inline(always)]
    const fn is_of(self, place: Place) -> bool {
        self.0 >> (SECOND_BITS + SERVICE_BITS) == place.tag(TAG_BITS)
    }

    #[inline(always)]
    const fn service(self) -> u64 {
        self.0 & SERVICE
    }

    /// Seconds since, and one more: another CPU's clock may have been a second ahead.
    #[inline(always)]
    const fn age(self, now_seconds: u32) -> u64 {
        (now_seconds as u64 + 1).wrapping_sub(self.0 >> SERVICE_BITS) & SECOND
    }
}

/// Notes that a host talked to a service, 1 to 511, now.
#[inline(always)]
pub fn note<B: Buckets>(buckets: B, shape: Shape, host: &Addr, service: u16, now_seconds: u32) {
    write(buckets, Place::of_host(shape, host), service, now_seconds);
}

/// Notes that a host called a server by a name of no service, now.
#[inline(always)]
pub fn named<B: Buckets>(buckets: B, shape: Shape, host: &Addr, server: &Addr, now_seconds: u32) {
    write(
        buckets,
        Place::of_pair(shape, host, server),
        NAMED,
        now_seconds,
    );
}

/// Stands where a note of a host has its service, in one of a host and a server.
const NAMED: u16 = 511;

/// Whether a host called a server by a name of no service within so many seconds.
#[inline(always)]
pub fn was_named<B: Buckets>(
    buckets: B,
    shape: Shape,
    host: &Addr,
    server: &Addr,
    now_seconds: u32,
    within_seconds: u32,
) -> bool {
    let place = Place::of_pair(shape, host, server);
    latest(buckets, place, now_seconds, within_seconds) == NAMED
}

#[inline(always)]
fn write<B: Buckets>(buckets: B, place: Place, service: u16, now_seconds: u32) {
    let note = Note::new(place, service, now_seconds);
    let Some(bucket) = buckets.bucket(place.bucket) else {
        return;
    };
    // The note's own place, else a free one, else that of the oldest: the oldest that can be.
    let mut best = 0;
    let mut best_age = 0;
    let mut number = 0;
    while number < WORDS {
        let there = Note(bucket.load(number));
        if there.0 == note.0 {
            // Most packets of a second: nothing to write, the line stays shared.
            return;
        }
        let same = there.is_of(place) && there.service() == note.service();
        let age = match there.0 {
            _ if same => SECOND + 2,
            0 => SECOND + 1,
            _ => there.age(now_seconds),
        };
        if age > best_age {
            best_age = age;
            best = number;
        }
        number += 1;
    }
    bucket.store(best, note.0);
}

/// The service that a host talked to within so many seconds; 0 if there was none, or more than one:
/// then whose call it is can't be told.
#[inline(always)]
pub fn lately<B: Buckets>(
    buckets: B,
    shape: Shape,
    host: &Addr,
    now_seconds: u32,
    within_seconds: u32,
) -> u16 {
    latest(
        buckets,
        Place::of_host(shape, host),
        now_seconds,
        within_seconds,
    )
}

#[inline(always)]
fn latest<B: Buckets>(buckets: B, place: Place, now_seconds: u32, within_seconds: u32) -> u16 {
    let Some(bucket) = buckets.bucket(place.bucket) else {
        return 0;
    };
    let mut found = 0;
    let mut number = 0;
    while number < WORDS {
        let there = Note(bucket.load(number));
        let recent = there.age(now_seconds) <= u64::from(within_seconds) + 1;
        if there.0 != 0 && recent && there.is_of(place) {
            if found != 0 && found != there.service() {
                return 0;
            }
            found = there.service();
        }
        number += 1;
    }
    (found & SERVICE) as u16
}
