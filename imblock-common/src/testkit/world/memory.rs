//! The small world remembers nothing.

use super::World;
use crate::Memory;
use crate::buckets::{self, Buckets};
use crate::testkit::NoBuckets;

impl Memory for &World {
    fn recent(self) -> (impl Buckets, buckets::Shape) {
        (NoBuckets, NoBuckets::SHAPE)
    }

    fn hops(self) -> (impl Buckets, buckets::Shape) {
        (NoBuckets, NoBuckets::SHAPE)
    }

    fn parts(self) -> (impl Buckets, buckets::Shape) {
        (NoBuckets, NoBuckets::SHAPE)
    }

    fn seconds(self) -> u32 {
        0
    }

    fn nanoseconds(self) -> u64 {
        0
    }

    fn limits(self) -> (impl Buckets, buckets::Shape) {
        (NoBuckets, NoBuckets::SHAPE)
    }

    fn limit_shared(self) {}

    fn control_flags(self) -> u32 {
        0
    }
}
