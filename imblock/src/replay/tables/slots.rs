//! The flow table and the table of host counters, slot by slot.

use std::cell::Cell;

use imblock_common::flows::{self, Bucket, FlowEntry};
use imblock_common::hosts::{HostSlot, Slots};

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
    fn now(self) -> u64 {
        self.now.get()
    }
}

fn visited<T: Copy, R>(cell: &Cell<T>, visit: impl FnOnce(&mut T) -> R) -> Option<R> {
    let mut value = cell.get();
    let result = visit(&mut value);
    cell.set(value);
    Some(result)
}
