//! Clients that were refused and try the same server on another port, which is what messengers do
//! and hardly anything else does.
//!
//! A refusal of an identified flow makes an entry for the pair of host and server; each new
//! connection of that host to that server is then asked about. After a few ports, the server is
//! shut for that host for a while.
//!
//! Invariant: an entry is two words, the pair with its service, and the state. A state bears seven
//! bits of its pair: should two CPUs give one place to two pairs at the same moment, then the entry
//! that is mixed of both belongs to nobody, but for one case in 128. Pairs of IPv4 are told apart
//! exactly, those of IPv6 by a seeded hash of 64 bits. See [`crate::buckets`].

use crate::Addr;
use crate::buckets::{Bucket, Buckets, Place, Shape, WORDS};
use crate::layout::HopRule;

/// Buckets of the table: room for four pairs each, 256 KiB in all.
pub const BUCKETS: u32 = 4096;

/// The most that [`HopRule::after`] can mean: one port was refused, and a state remembers 32.
pub const AFTER_MAX: u32 = 16;

/// What a new connection is, given what was refused before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Nothing of the kind was refused lately.
    Unknown,
    /// To a port that was refused or tried before.
    SamePort,
    /// To another port of a server that refused this host a moment ago.
    Hop {
        /// The service that was refused.
        service: u16,
        /// How many other ports were tried, this one included. Of many, a few may be taken for one.
        ports_tried: u32,
    },
    /// To a server that is shut for this host: too many ports were tried, this one may be the last.
    Shut {
        /// The service that was refused.
        service: u16,
    },
}

/// A connection between a local host and a server.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// The local host.
    pub host: &'a Addr,
    /// The remote end.
    pub server: &'a Addr,
    /// The remote port, in whichever transport.
    pub port: u16,
}

const SERVICE_BITS: u32 = 9;
const SERVICE: u64 = !(u64::MAX << SERVICE_BITS);
const TAG_BITS: u32 = 64 - SERVICE_BITS;
const ENTRIES: usize = WORDS / 2;

/// The second word of an entry: ports (32), second (24), check (7), shut (1). Seconds are counted in
/// half a year, then from 0 again.
#[derive(Clone, Copy)]
struct State(u64);

impl State {
    const SHUT: u64 = 1;
    const CHECK_BITS: u32 = 7;
    const CHECK_AT: u32 = 1;
    const SECOND_AT: u32 = 8;
    const SECOND: u64 = 0xff_ffff;
    const PORTS_AT: u32 = 32;

    #[inline(always)]
    const fn new(place: Place, ports: u32, now_seconds: u32, shut: bool) -> Self {
        Self(
            (ports as u64) << Self::PORTS_AT
                | (now_seconds as u64 & Self::SECOND) << Self::SECOND_AT
                | place.check(Self::CHECK_BITS) << Self::CHECK_AT
                | shut as u64,
        )
    }

    #[inline(always)]
    const fn is_of(self, place: Place) -> bool {
        self.0 >> Self::CHECK_AT & !(u64::MAX << Self::CHECK_BITS) == place.check(Self::CHECK_BITS)
    }

    #[inline(always)]
    const fn is_shut(self) -> bool {
        self.0 & Self::SHUT != 0
    }

    #[inline(always)]
    const fn ports(self) -> u32 {
        (self.0 >> Self::PORTS_AT) as u32
    }

    /// Seconds since, and one more: another CPU's clock may have been a second ahead.
    #[inline(always)]
    const fn age(self, now_seconds: u32) -> u64 {
        (now_seconds as u64 + 1).wrapping_sub(self.0 >> Self::SECOND_AT) & Self::SECOND
    }

    /// Whether it still means something.
    #[inline(always)]
    const fn holds(self, now_seconds: u32, rule: HopRule) -> bool {
        let seconds = if self.is_shut() {
            rule.shut_seconds
        } else {
            rule.within_seconds
        };
        self.age(now_seconds) <= seconds as u64 + 1
    }
}

/// The bit of a port. The multiplier spreads neighbours.
#[inline(always)]
const fn port_bit(port: u16) -> u32 {
    1 << ((port as u32).wrapping_mul(0x9e37_79b1) >> 27)
}

/// Notes that traffic of a service was refused.
#[inline(always)]
pub fn refused<B: Buckets>(
    buckets: B,
    shape: Shape,
    pair: Pair<'_>,
    service: u16,
    now_seconds: u32,
    rule: HopRule,
) {
    let place = Place::of_pair(shape, pair.host, pair.server);
    let Some(bucket) = buckets.bucket(place.bucket) else {
        return;
    };
    let key = place.tag(TAG_BITS) << SERVICE_BITS | u64::from(service) & SERVICE;
    let (number, state) = match own(bucket, place) {
        Some(number) => (number, State(bucket.load(2 * number + 1))),
        None => (oldest(bucket, now_seconds), State(0)),
    };
    let bit = port_bit(pair.port);
    let holds = state.0 != 0 && state.holds(now_seconds, rule);
    if holds && state.is_shut() {
        // It ends when it ends, however often the host tries.
        return;
    }
    let ports = if holds { state.ports() | bit } else { bit };
    let new = State::new(place, ports, now_seconds, false);
    // Most packets of a second change nothing: the line stays shared.
    if bucket.load(2 * number) != key {
        bucket.store(2 * number, key);
    }
    if new.0 != state.0 {
        bucket.store(2 * number + 1, new.0);
    }
}

/// The number of a pair's own entry.
#[inline(always)]
fn own<B: Bucket>(bucket: B, place: Place) -> Option<usize> {
    let mut number = 0;
    while number < ENTRIES {
        let key = bucket.load(2 * number);
        let state = State(bucket.load(2 * number + 1));
        if key != 0 && key >> SERVICE_BITS == place.tag(TAG_BITS) && state.is_of(place) {
            return Some(number);
        }
        number += 1;
    }
    None
}

/// The number of a free entry, else of the one that was written longest ago.
#[inline(always)]
fn oldest<B: Bucket>(bucket: B, now_seconds: u32) -> usize {
    let (mut best, mut best_age) = (0, 0);
    let mut number = 0;
    while number < ENTRIES {
        let age = match bucket.load(2 * number) {
            0 => State::SECOND + 1,
            _ => State(bucket.load(2 * number + 1)).age(now_seconds),
        };
        if age > best_age {
            (best, best_age) = (number, age);
        }
        number += 1;
    }
    best
}

/// Asks about a new connection, and notes the port that it tries.
#[inline(always)]
pub fn attempt<B: Buckets>(
    buckets: B,
    shape: Shape,
    pair: Pair<'_>,
    now_seconds: u32,
    rule: HopRule,
) -> Attempt {
    let place = Place::of_pair(shape, pair.host, pair.server);
    let Some(bucket) = buckets.bucket(place.bucket) else {
        return Attempt::Unknown;
    };
    let Some(number) = own(bucket, place) else {
        return Attempt::Unknown;
    };
    let state = State(bucket.load(2 * number + 1));
    if !state.holds(now_seconds, rule) {
        return Attempt::Unknown;
    }
    let service = (bucket.load(2 * number) & SERVICE) as u16;
    if state.is_shut() {
        return Attempt::Shut { service };
    }
    let bit = port_bit(pair.port);
    if state.ports() & bit != 0 {
        return Attempt::SamePort;
    }
    // The first port is the one that was refused.
    let ports_tried = state.ports().count_ones();
    let shut = ports_tried >= rule.after;
    let new = State::new(place, state.ports() | bit, now_seconds, shut);
    bucket.store(2 * number + 1, new.0);
    if shut {
        Attempt::Shut { service }
    } else {
        Attempt::Hop {
            service,
            ports_tried,
        }
    }
}
