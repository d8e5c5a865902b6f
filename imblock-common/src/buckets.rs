//! Small tables that all CPUs share: buckets of words, a bucket a cache line.
//!
//! Signalling and the call that follows it, or a refusal and the next attempt, are often seen by
//! different CPUs, so these tables, unlike that of [`crate::hosts`], can't be one a CPU. Nobody
//! locks: a word is read and written whole, and says by itself whose it is. Two CPUs that write a
//! bucket at the same moment may lose one of the two notes, which the next packet makes again;
//! never is one host's note read as another's.
//!
//! Invariant: a table forgets, it never fails. When a bucket is full, its oldest note goes.

use crate::{Addr, Family};

/// Words of a bucket.
pub const WORDS: usize = 8;

/// The words of one bucket. Only the lowest three bits of a place count.
pub trait Bucket: Copy {
    /// Reads a word, whole.
    fn load(self, place: usize) -> u64;
    /// Writes a word, whole.
    fn store(self, place: usize, word: u64);
    /// Adds to a word, which any number of CPUs may do at the same time; wraps.
    fn add(self, place: usize, more: u64);
}

/// A table of buckets, all zero at first.
pub trait Buckets: Copy {
    /// A bucket by its number from 0. `None` when there is no such bucket.
    fn bucket(self, number: u32) -> Option<impl Bucket>;
}

/// The size of a table, and its seed.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// A power of two, from [`Shape::BUCKETS_MIN`].
    pub buckets: u32,
    /// Mixed into the hash, so that an outsider can't choose addresses that meet.
    pub seed: u32,
}

impl Shape {
    /// The least that a table may have: what a [`Place`] keeps of the hash for its tag begins behind
    /// the bits that tell so many buckets apart.
    pub const BUCKETS_MIN: u32 = 1 << TAG_FROM;
}

/// The bits of the hash below are told by the bucket's number.
const TAG_FROM: u32 = 9;

/// Where the notes about a host, or about a host and a server, lie, and how they are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    hash: u64,
    /// The bucket's number.
    pub(crate) bucket: u32,
}

impl Place {
    /// Of one host.
    #[inline(always)]
    pub(crate) const fn of_host(shape: Shape, host: &Addr) -> Self {
        let (high, low) = halves(host);
        Self::at(shape, mix(mix(start(shape, host, HOST), high), low))
    }

    /// Of something of one host that a number tells.
    #[inline(always)]
    pub(crate) const fn of_host_and(shape: Shape, host: &Addr, number: u64) -> Self {
        Self::at(shape, mix(Self::of_host(shape, host).hash, number))
    }

    /// Of a host and a server, of the same address family. No two pairs of IPv4 have one hash.
    #[inline(always)]
    pub(crate) const fn of_pair(shape: Shape, host: &Addr, server: &Addr) -> Self {
        let (high, low) = halves(host);
        let (server_high, server_low) = halves(server);
        let hash = match host.family() {
            // Both fit into one word, and what follows is a bijection of it.
            Family::V4 => mix(start(shape, host, PAIR), high | server_high >> 32),
            Family::V6 => {
                let hash = mix(mix(start(shape, host, PAIR), high), low);
                mix(mix(hash, server_high), server_low)
            }
        };
        Self::at(shape, hash)
    }

    /// Of something that a host and a server have in common, and that a number tells.
    #[inline(always)]
    pub(crate) const fn of_part(shape: Shape, host: &Addr, server: &Addr, number: u64) -> Self {
        Self::at(shape, mix(Self::of_pair(shape, host, server).hash, number))
    }

    #[inline(always)]
    const fn at(shape: Shape, hash: u64) -> Self {
        let hash = mix(hash, 0);
        Self {
            hash,
            bucket: (hash & 0xffff_ffff) as u32 & shape.buckets.wrapping_sub(1),
        }
    }

    /// The upper `bits` of the hash: at most 55, what the bucket's number leaves.
    #[inline(always)]
    pub(crate) const fn tag(self, bits: u32) -> u64 {
        self.hash >> (64 - bits)
    }

    /// The hash as it is, but for one bit: never 0, and so good as whole, that two of one identity are
    /// taken for the same.
    #[inline(always)]
    pub(crate) const fn identity(self) -> u64 {
        self.hash | 1
    }

    /// The lowest `bits` of the hash that every tag of 55 bits has as well.
    #[inline(always)]
    pub(crate) const fn check(self, bits: u32) -> u64 {
        self.hash >> TAG_FROM & !(u64::MAX << bits)
    }
}

/// What a hash begins with: another number for pairs than for hosts, or the least of pairs would lie where
/// the least of hosts does.
#[inline(always)]
const fn start(shape: Shape, host: &Addr, of: u64) -> u64 {
    let family = match host.family() {
        Family::V4 => 0,
        Family::V6 => 1 << 32,
    };
    mix(shape.seed as u64 | family | of, 0)
}

/// See [`start`].
const HOST: u64 = 0;
/// See [`start`].
const PAIR: u64 = 1 << 33;

#[inline(always)]
const fn halves(addr: &Addr) -> (u64, u64) {
    let [a, b, c, d] = addr.words();
    ((a as u64) << 32 | b as u64, (c as u64) << 32 | d as u64)
}

/// Multiply and fold, a bijection of either argument; the constants are large odd numbers without a
/// pattern (the golden ratio and one of Steele and Vigna's multipliers).
#[inline(always)]
const fn mix(hash: u64, word: u64) -> u64 {
    let hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ hash >> 32).wrapping_mul(0xd134_2543_de82_ef95);
    hash ^ hash >> 29
}
