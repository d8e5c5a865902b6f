//! What a replay remembers from packet to packet: the tables that the kernel's CPUs share.

use std::cell::Cell;

use imblock_common::buckets::{self, Buckets, Shape, WORDS};
use imblock_common::{Memory, hops, limit, parts, recent};

use super::{MemoryTables, SECOND};

impl Memory for &MemoryTables {
    fn nanoseconds(self) -> u64 {
        self.now.get()
    }

    fn limits(self) -> (impl Buckets, Shape) {
        (Shared(&self.limits), shape(limit::BUCKETS))
    }

    fn limit_shared(self) {
        self.limit_shared.set(self.limit_shared.get() + 1);
    }

    fn control_flags(self) -> u32 {
        self.control_flags.get()
    }

    fn recent(self) -> (impl Buckets, Shape) {
        (Shared(&self.recent), shape(recent::BUCKETS))
    }

    fn hops(self) -> (impl Buckets, Shape) {
        (Shared(&self.hops), shape(hops::BUCKETS))
    }

    fn parts(self) -> (impl Buckets, Shape) {
        (Shared(&self.parts), shape(parts::BUCKETS))
    }

    fn seconds(self) -> u32 {
        u32::try_from((self.now.get() / SECOND) & 0xffff_ffff).unwrap_or(0)
    }
}

fn shape(buckets: u32) -> Shape {
    Shape { buckets, seed: 0 }
}

/// A table of [`buckets`].
pub(super) type SharedWords = Box<[[Cell<u64>; WORDS]]>;

/// The words of a table, handed out bucket by bucket.
#[derive(Clone, Copy)]
struct Shared<'a>(&'a [[Cell<u64>; WORDS]]);

impl Buckets for Shared<'_> {
    fn bucket(self, number: u32) -> Option<impl buckets::Bucket> {
        self.0.get(usize::try_from(number).ok()?).map(SharedBucket)
    }
}

#[derive(Clone, Copy)]
struct SharedBucket<'a>(&'a [Cell<u64>; WORDS]);

impl buckets::Bucket for SharedBucket<'_> {
    fn load(self, place: usize) -> u64 {
        self.0.get(place & (WORDS - 1)).map_or(0, Cell::get)
    }

    fn store(self, place: usize, word: u64) {
        if let Some(cell) = self.0.get(place & (WORDS - 1)) {
            cell.set(word);
        }
    }

    fn add(self, place: usize, more: u64) {
        self.store(place, self.load(place).wrapping_add(more));
    }
}

pub(super) fn shared_words(buckets: u32) -> SharedWords {
    let buckets = 0..buckets;
    buckets.map(|_| Default::default()).collect()
}
