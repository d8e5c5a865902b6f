//! The slots of flows and hosts.

use std::cell::Cell;

use imblock_common::flows::{self, Bucket, FlowEntry};
use imblock_common::hosts::{HostSlot, InsideSlot, Slots};
use imblock_common::layout::Inside;
use imblock_common::record;

use super::{MemoryTables, size};

impl flows::Slots for &MemoryTables {
    #[inline]
    fn bucket<R>(self, number: u32, visit: impl FnOnce(&mut Bucket) -> R) -> Option<R> {
        visited(self.flow_cells.get(size(number))?, visit)
    }

    #[inline]
    fn entry<R>(self, number: u32, visit: impl FnOnce(&mut FlowEntry) -> R) -> Option<R> {
        visited(self.flows.get(size(number))?, visit)
    }
}

impl Slots for &MemoryTables {
    #[inline]
    fn slot<R>(self, number: u32, visit: impl FnOnce(&mut HostSlot) -> R) -> Option<R> {
        visited(self.hosts.get(size(number))?, visit)
    }

    #[inline]
    fn place<R>(self, number: u32, visit: impl FnOnce(&mut InsideSlot) -> R) -> Option<R> {
        visited(self.places.get(size(number))?, visit)
    }

    #[inline]
    fn inside(&self) -> &Inside {
        &self.inside
    }

    #[inline]
    fn now(self) -> u64 {
        self.now.get()
    }

    #[inline]
    fn vacate(self, first: u32) -> u32 {
        record::vacate(self, first)
    }
}

fn visited<T: Copy, R>(cell: &Cell<T>, visit: impl FnOnce(&mut T) -> R) -> Option<R> {
    let mut value = cell.get();
    let result = visit(&mut value);
    cell.set(value);
    Some(result)
}
