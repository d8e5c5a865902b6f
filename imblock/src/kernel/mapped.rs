//! Tables of the programs, mapped into this process: a scrape of many thousand slots is a walk through
//! memory instead of as many system calls, and a word can be changed where it lies.

use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use imblock_common::Addr;
use imblock_common::flows::{FlowEntry, FlowKey, FlowState};
use imblock_common::hosts::{HostSlot, InsideSlot};
use imblock_common::layout::{HostRecord, Inside};
use rustix::io;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Bytes of a word.
const WORD: usize = size_of::<u64>();

/// An array map, seen as words. The programs go on writing to it.
struct Mapping {
    words: NonNull<AtomicU64>,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone, and is only read and written by atomic operations.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps an array of so many words, made with `BPF_F_MMAPABLE` (kernel 5.5). Writing through it
    /// needs [`ProtFlags::WRITE`].
    fn map(array: impl AsFd, length: usize, protection: ProtFlags) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice; nothing else is there.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                length.saturating_mul(WORD),
                protection,
                MapFlags::SHARED,
                array,
                0,
            )
        }?;
        let words = NonNull::new(start.cast()).ok_or(io::Errno::NOMEM)?;
        Ok(Self { words, length })
    }

    fn word(&self, number: usize) -> Option<&AtomicU64> {
        if number >= self.length {
            return None;
        }
        // SAFETY: the pointer stays within the mapping, by the comparison above.
        let word = unsafe { self.words.add(number) };
        // SAFETY: aligned (the mapping begins at a page), mapped for as long as `self` lives, and
        // otherwise only written by the kernel, in words.
        Some(unsafe { word.as_ref() })
    }

    /// `N` words from one on, one after the other.
    fn read<const N: usize>(&self, first: usize) -> Option<[u64; N]> {
        let mut words = [0; N];
        for (number, word) in words.iter_mut().enumerate() {
            *word = self.word(first + number)?.load(Ordering::Acquire);
        }
        Some(words)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` with this length, and nobody holds a reference.
        // A failure leaves it in place until the process ends.
        let _ = unsafe { munmap(self.words.as_ptr().cast(), self.length * WORD) };
    }
}

/// A read-only view of the slots of all CPUs, `WORDS` words each.
pub(super) struct MappedSlots<const WORDS: usize>(Mapping);

/// The slots that are found by a hash.
pub(super) type MappedHosts = MappedSlots<{ size_of::<HostSlot>() / WORD }>;
/// Those that are found by address.
pub(super) type MappedPlaces = MappedSlots<{ size_of::<InsideSlot>() / WORD }>;

impl<const WORDS: usize> MappedSlots<WORDS> {
    /// Maps an array of `slots` slots.
    pub(super) fn map(array: impl AsFd, slots: usize) -> io::Result<Self> {
        let words = slots.saturating_mul(WORDS);
        Mapping::map(array, words, ProtFlags::READ).map(Self)
    }

    /// The words of each slot. A slot that is written at the same moment may be read with its packets one
    /// step ahead of its bytes.
    fn slots(&self) -> impl Iterator<Item = [u64; WORDS]> {
        let first = (0..self.0.length).step_by(WORDS);
        first.filter_map(|first| self.0.read::<WORDS>(first))
    }
}

/// A host, a service, and what one slot counts of them.
type Counted = (Addr, u16, HostRecord);

impl MappedHosts {
    /// What the slots count that are in use. One that is changing its owner is free.
    pub(super) fn records(&self) -> impl Iterator<Item = Counted> {
        let slots = self.slots().map(bytemuck::cast::<_, HostSlot>);
        // Read again: an owner that is still there was there while its counts were read.
        let again = self.slots().map(bytemuck::cast::<_, HostSlot>);
        let settled = slots
            .zip(again)
            .filter(|(slot, again)| slot.is_of_owner_of(again));
        settled.filter_map(|(slot, _)| slot.read())
    }
}

impl MappedPlaces {
    /// The same, where these are the hosts whose places the slots are.
    pub(super) fn records(&self, inside: Inside) -> impl Iterator<Item = Counted> {
        let slots = self.slots().map(bytemuck::cast::<_, InsideSlot>);
        (0..)
            .zip(slots)
            .filter_map(move |(place, slot)| slot.read(place, &inside))
    }
}

/// The entries of the flow table, to write what flows are.
pub(super) struct MappedFlows(Mapping);

impl MappedFlows {
    const WORDS: usize = size_of::<FlowEntry>() / WORD;
    /// Words of the key, which comes first; the state follows.
    const KEY: usize = size_of::<FlowKey>() / WORD;

    /// Maps an array of `entries` entries.
    pub(super) fn map(array: impl AsFd, entries: usize) -> io::Result<Self> {
        let words = entries.saturating_mul(Self::WORDS);
        Mapping::map(array, words, ProtFlags::READ | ProtFlags::WRITE).map(Self)
    }

    /// Writes what a flow is into its entry, unless that is another flow's by now, or settled.
    pub(super) fn settle(&self, flow: &FlowKey, entry: u32, state: FlowState) -> bool {
        let Ok(entry) = usize::try_from(entry) else {
            return false;
        };
        let first = entry.saturating_mul(Self::WORDS);
        let Some(word) = self.0.word(first + Self::KEY) else {
            return false;
        };
        // The state before the key: if it is unchanged at the exchange, so is whose it was, but for
        // the moment in which a program gives the entry to another flow that nothing is known of.
        let before = word.load(Ordering::Acquire);
        if !self.is_of(flow, first) || FlowState(before).is_settled() {
            return false;
        }
        let exchanged = word.compare_exchange(before, state.0, Ordering::AcqRel, Ordering::Acquire);
        if exchanged.is_err() {
            return false;
        }
        if self.is_of(flow, first) {
            return true;
        }
        // That moment: the other flow must not have the answer. If the program has written to the
        // word since, it is gone anyway.
        let nothing = FlowState::WATCHED.0;
        let _ = word.compare_exchange(state.0, nothing, Ordering::AcqRel, Ordering::Relaxed);
        false
    }

    fn is_of(&self, flow: &FlowKey, first: usize) -> bool {
        self.0
            .read::<{ Self::KEY }>(first)
            .is_some_and(|words| bytemuck::cast::<_, FlowKey>(words) == *flow)
    }
}

const _: () = {
    assert!(std::mem::offset_of!(FlowEntry, key) == 0);
    assert!(std::mem::offset_of!(FlowEntry, state) == MappedFlows::KEY * WORD);
};
