//! Tables without room: nothing is remembered from one packet to the next.

use crate::buckets::{self, Buckets};
use crate::flows::{self, Bucket, FlowEntry};

/// A table without buckets: nothing is remembered.
#[derive(Clone, Copy)]
pub struct NoBuckets;

impl NoBuckets {
    /// Its size.
    pub const SHAPE: buckets::Shape = buckets::Shape {
        buckets: buckets::Shape::BUCKETS_MIN,
        seed: 0,
    };
}

impl Buckets for NoBuckets {
    fn bucket(self, _: u32) -> Option<impl buckets::Bucket> {
        None::<NoBucket>
    }
}

/// What no table has.
#[derive(Clone, Copy)]
enum NoBucket {}

impl buckets::Bucket for NoBucket {
    fn load(self, _: usize) -> u64 {
        match self {}
    }

    fn store(self, _: usize, _: u64) {
        match self {}
    }

    fn add(self, _: usize, _: u64) {
        match self {}
    }
}

/// A flow table without room: every packet is its flow's first.
#[derive(Clone, Copy)]
pub struct NoFlows;

impl NoFlows {
    /// Its size.
    pub const SHAPE: flows::Shape = flows::Shape {
        cells: 0,
        seed: 0,
        now: 0,
        idle: 0,
    };
}

impl flows::Slots for NoFlows {
    fn bucket<R>(self, _: u32, _: impl FnOnce(&mut Bucket) -> R) -> Option<R> {
        None
    }

    fn entry<R>(self, _: u32, _: impl FnOnce(&mut FlowEntry) -> R) -> Option<R> {
        None
    }
}
