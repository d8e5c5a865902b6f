//! The tables that several CPUs, or a CPU's part of them, write to by themselves.

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::btf_maps::Array;
use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use imblock_common::buckets::{self, Buckets, Shape, WORDS};
use imblock_common::flows::{self, Bucket, Claim, FlowEntry};
use imblock_common::hosts::{HostSlot, Slots};
use imblock_common::{Counters as _, Memory, hops, parts, recent};

use crate::maps::{FLOW_CELLS, FLOWS, HOPS, HOSTS, KernelMaps, PARTS, RECENT};
use crate::steps;

impl Memory for KernelMaps {
    #[inline(always)]
    fn recent(self) -> (impl Buckets, Shape) {
        (SharedTable(&RECENT), shape(recent::BUCKETS))
    }

    #[inline(always)]
    fn parts(self) -> (impl Buckets, Shape) {
        (SharedTable(&PARTS), shape(parts::BUCKETS))
    }

    #[inline(always)]
    fn hops(self) -> (impl Buckets, Shape) {
        (SharedTable(&HOPS), shape(hops::BUCKETS))
    }

    #[inline(always)]
    fn seconds(self) -> u32 {
        // SAFETY: the helper takes nothing and reads the clock.
        let now = unsafe { bpf_ktime_get_coarse_ns() };
        (now / 1_000_000_000) as u32
    }
}

#[inline(always)]
fn shape(buckets: u32) -> Shape {
    Shape {
        buckets,
        seed: KernelMaps.control().host_seed,
    }
}

/// A table that all CPUs write to.
#[derive(Clone, Copy)]
pub struct SharedTable<const N: usize>(
    pub &'static Array<[u64; WORDS], N, { BPF_F_MMAPABLE as usize }>,
);

impl<const N: usize> Buckets for SharedTable<N> {
    #[inline(always)]
    fn bucket(self, number: u32) -> Option<impl buckets::Bucket> {
        self.0.get_ptr_mut(number).map(SharedBucket)
    }
}

#[derive(Clone, Copy)]
struct SharedBucket(*mut [u64; WORDS]);

impl buckets::Bucket for SharedBucket {
    #[inline(always)]
    fn load(self, place: usize) -> u64 {
        let word = self.0.cast::<u64>().wrapping_add(place & (WORDS - 1));
        // SAFETY: within the bucket by the mask, and aligned. Volatile, so that it is one load of
        // the whole word whoever writes to it.
        unsafe { word.read_volatile() }
    }

    #[inline(always)]
    fn store(self, place: usize, word: u64) {
        let to = self.0.cast::<u64>().wrapping_add(place & (WORDS - 1));
        // SAFETY: as in `load`.
        unsafe { to.write_volatile(word) };
    }
}

/// The flow table, which all CPUs share. See `imblock_common::flows` for why that needs no lock.
#[derive(Clone, Copy)]
pub struct KernelFlows;

impl flows::Slots for KernelFlows {
    #[inline(always)]
    fn bucket<R>(self, number: u32, visit: impl FnOnce(&mut Bucket) -> R) -> Option<R> {
        let bucket = FLOW_CELLS.get_ptr_mut(number)?;
        // SAFETY: the map holds a bucket there for as long as the program runs. Another CPU may
        // write to it meanwhile: words are read and written whole, and none is believed unless the
        // rest fits.
        Some(visit(unsafe { &mut *bucket }))
    }

    #[inline(always)]
    fn entry<R>(self, number: u32, visit: impl FnOnce(&mut FlowEntry) -> R) -> Option<R> {
        let entry = FLOWS.get_ptr_mut(number)?;
        // SAFETY: as above.
        Some(visit(unsafe { &mut *entry }))
    }

    #[inline(always)]
    fn claim(self, hash: u64, shape: flows::Shape, why: Claim) -> u32 {
        steps::claim_flow(hash, shape, why)
    }

    #[inline(always)]
    fn forget(self, number: u64) -> u64 {
        crate::reader::forget(number)
    }
}

/// The part of the host table that belongs to the CPU that runs the program.
#[derive(Clone, Copy)]
pub struct CpuHosts {
    /// The first of its slots.
    pub first: u32,
}

impl Slots for CpuHosts {
    #[inline(always)]
    fn slot<R>(self, number: u32, visit: impl FnOnce(&mut HostSlot) -> R) -> Option<R> {
        let slot = HOSTS.get_ptr_mut(self.first.wrapping_add(number))?;
        // SAFETY: as in `KernelMaps::frame`: the slot is this CPU's.
        Some(visit(unsafe { &mut *slot }))
    }

    /// A resolution of one tick (1 to 10 ms), at a tenth of the price of the exact clock
    /// (kernel 5.11).
    #[inline(always)]
    fn now(self) -> u64 {
        // SAFETY: the helper takes nothing and reads the clock.
        unsafe { bpf_ktime_get_coarse_ns() }
    }
}
