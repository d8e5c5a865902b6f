//! The host table, mapped into this process: a scrape of many thousand slots is a walk through
//! memory instead of as many system calls.

use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use imblock_common::hosts::HostSlot;
use rustix::io;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Words of a slot.
const WORDS: usize = size_of::<HostSlot>() / size_of::<u64>();

/// A read-only view of the slots of all CPUs. The programs go on writing to it.
pub(super) struct MappedSlots {
    words: NonNull<AtomicU64>,
    slots: usize,
}

// SAFETY: the mapping belongs to this value alone, is only read, and only by atomic loads.
unsafe impl Send for MappedSlots {}
// SAFETY: as above.
unsafe impl Sync for MappedSlots {}

impl MappedSlots {
    /// Maps an array of `slots` slots, made with `BPF_F_MMAPABLE` (kernel 5.5).
    pub(super) fn map(array: impl AsFd, slots: usize) -> io::Result<Self> {
        let length = slots.saturating_mul(size_of::<HostSlot>());
        // SAFETY: a new mapping at an address of the kernel's choice; nothing else is there.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                length,
                ProtFlags::READ,
                MapFlags::SHARED,
                array,
                0,
            )
        }?;
        let words = NonNull::new(start.cast()).ok_or(io::Errno::NOMEM)?;
        Ok(Self { words, slots })
    }

    /// Each slot that is in use. A slot that is written at the same moment may be read with its
    /// packets one step ahead of its bytes.
    pub(super) fn iter(&self) -> impl Iterator<Item = HostSlot> {
        (0..self.slots)
            .map(|slot| self.read(slot))
            .filter(|slot| slot.read().is_some())
    }

    fn read(&self, slot: usize) -> HostSlot {
        let mut words = [0_u64; WORDS];
        for (number, word) in words.iter_mut().enumerate() {
            // SAFETY: the pointer stays within the mapping, for `slot` is below `self.slots`.
            let source = unsafe { self.words.add(slot * WORDS + number) };
            // SAFETY: aligned (the mapping begins at a page), mapped for as long as `self` lives,
            // and only written by the kernel, in words.
            *word = unsafe { source.as_ref() }.load(Ordering::Relaxed);
        }
        bytemuck::cast(words)
    }
}

impl Drop for MappedSlots {
    fn drop(&mut self) {
        let length = self.slots * size_of::<HostSlot>();
        // SAFETY: the mapping was made by `map` with this length, and nobody holds a reference.
        // A failure leaves it in place until the process ends.
        let _ = unsafe { munmap(self.words.as_ptr().cast(), length) };
    }
}
