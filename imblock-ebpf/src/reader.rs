//! The packet readers: the one place where packet memory is read.
//!
//! Raw pointers with `wrapping_add` on both sides of the comparison are the form from which the
//! verifier learns the bounds, single bytes at variable offsets included. Integer arithmetic on the
//! addresses is not.

use core::arch::asm;

use imblock_common::content::{Payload, Reply, Scene};
use imblock_common::identify::Question;
use imblock_common::packet::MAX_OFFSET;
use imblock_common::stream::{HEAD_MAX, Head, LAST_PIECE_AT, PIECE_MAX, Piece, Source};
use imblock_common::{Bytes, Packet, Sighting, Tables};

use crate::hook::Hook;
use crate::maps;
use crate::steps::Steps;

/// Linear packet memory, from its first byte to behind its last.
#[derive(Clone, Copy)]
struct Linear {
    start: *const u8,
    end: *const u8,
}

impl Linear {
    #[inline(always)]
    fn new(start: usize, end: usize) -> Self {
        Self {
            start: start as *const u8,
            end: end as *const u8,
        }
    }

    #[inline(always)]
    fn copy<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        let field = self.start.wrapping_add(at);
        if field.wrapping_add(N) > self.end {
            return None;
        }
        // SAFETY: `field` to `field + N` lies between the packet's start and its end, by the
        // comparison above; `at` is at most `MAX_OFFSET`, so nothing wrapped. `[u8; N]` has no
        // invalid values and no alignment.
        Some(unsafe { field.cast::<[u8; N]>().read() })
    }
}

/// See [`Bytes::forget_word`]. Of the upper half of a word on the stack the verifier knows nothing,
/// not even where it came from. (Swapping the bytes twice was enough once: 6.18 follows each bit
/// through it, and whatever the way, what a pointer is moved by is traced back to where it was
/// computed.)
#[inline(always)]
pub fn forget_word(number: u32) -> u32 {
    let mut slot = u64::from(number) << 32;
    let slot = &raw mut slot;
    // SAFETY: the slot is a local of this function, and half of it is read. Volatile, or the compiler
    // would know what is read.
    unsafe {
        slot.write_volatile(slot.read());
        slot.cast::<u32>().add(1).read_volatile()
    }
}

/// See [`Bytes::forget`].
#[inline(always)]
pub fn forget(number: u64) -> u64 {
    let (high, low) = ((number >> 32) as u32, number as u32);
    u64::from(forget_word(high)) << 32 | u64::from(forget_word(low))
}

/// The lowest bits of a number, by an instruction that the compiler can't take for superfluous: it knows
/// of a 16-bit word what it can be, but the verifier does not once the word's bytes were swapped (Linux
/// 6.18 does, 6.12 does not). `MASK` is a power of two less one, below 2^31.
#[inline(always)]
pub fn masked<const MASK: usize>(number: usize) -> usize {
    const { assert!((MASK + 1).is_power_of_two() && MASK <= i32::MAX as usize) };
    let mut masked = number as u64;
    // SAFETY: one instruction, on a register alone.
    unsafe {
        asm!("{0} &= {1}", inout(reg) masked, const MASK, options(pure, nomem, nostack));
    }
    masked as usize
}

/// See [`Bytes::bounded`]. Of the masked number the verifier knows the mask and nothing else: neither what
/// it was added up from, nor which numbers it moves along with.
#[inline(always)]
fn bounded(at: usize) -> Option<usize> {
    if at > MAX_OFFSET {
        return None;
    }
    Some(masked::<MAX_OFFSET>(at))
}

/// The bytes of a stream's head.
#[derive(Clone, Copy)]
pub struct HeadBytes {
    start: *const u8,
}

impl HeadBytes {
    #[inline(always)]
    pub fn of(head: &Head) -> Self {
        Self {
            start: head.bytes.as_ptr(),
        }
    }
}

impl Bytes for HeadBytes {
    #[inline(always)]
    fn copy<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        if at > HEAD_MAX - N {
            return None;
        }
        // SAFETY: the head has `HEAD_MAX` bytes, by the comparison above as many from `at`. It is
        // an entry of a map, which nobody moves.
        Some(unsafe { self.start.wrapping_add(at).cast::<[u8; N]>().read() })
    }

    #[inline(always)]
    fn forget_word(self, number: u32) -> u32 {
        forget_word(number)
    }

    #[inline(always)]
    fn bounded(self, at: usize) -> Option<usize> {
        bounded(at)
    }
}

/// Where a head takes bytes at `to`, up to [`PIECE_MAX`].
#[inline(always)]
fn room(head: &mut Head, to: usize) -> Option<*mut u8> {
    if to > LAST_PIECE_AT {
        return None;
    }
    Some(head.bytes.as_mut_ptr().wrapping_add(to))
}

/// A length of 1 to [`PIECE_MAX`], in a form from which the verifier learns that it is: of two
/// comparisons the compiler makes one that tells it nothing.
#[inline(always)]
fn piece(length: usize) -> u32 {
    // Forgotten by the compiler, too, which else knows that the rest changes nothing.
    (forget_word(length as u32).wrapping_sub(1) & (PIECE_MAX as u32 - 1)) + 1
}

const _: () = assert!(PIECE_MAX.is_power_of_two());

/// A frame at a hook.
#[derive(Clone, Copy)]
pub struct Frame<H> {
    hook: H,
    bytes: Linear,
}

impl<H: Hook> Frame<H> {
    /// Pulls the headers into one piece first, if a driver left them in fragments.
    ///
    /// Nothing that was read on the way is kept: the ways meet again here with the same state, and
    /// the verifier walks the parser once, not once for each of them.
    #[inline(always)]
    pub fn new(hook: H) -> Self {
        hook.pull();
        Self::as_it_lies(hook)
    }

    /// The same of a frame whose payload is to be asked: that is pulled, too.
    #[inline(always)]
    pub fn with_payload(hook: H) -> Self {
        hook.pull_payload();
        Self::as_it_lies(hook)
    }

    #[inline(always)]
    fn as_it_lies(hook: H) -> Self {
        Self {
            hook,
            bytes: Linear::new(hook.data(), hook.data_end()),
        }
    }
}

impl<H: Hook> Bytes for Frame<H> {
    #[inline(always)]
    fn copy<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.bytes.copy(at)
    }

    #[inline(always)]
    fn forget_word(self, number: u32) -> u32 {
        forget_word(number)
    }

    #[inline(always)]
    fn bounded(self, at: usize) -> Option<usize> {
        bounded(at)
    }
}

impl<H: Hook> Source for Frame<H> {
    /// All buffers of the frame, not only the first.
    #[inline(always)]
    fn load(self, at: usize, head: &mut Head, to: usize, length: usize) -> bool {
        let Some(into) = room(head, to) else {
            return false;
        };
        // SAFETY: `into` has room for a piece.
        unsafe { self.hook.load_bytes(at as u32, into.cast(), piece(length)) }
    }
}

impl<H: Hook + Steps> Packet for Frame<H> {
    #[inline(always)]
    fn quic<T: Tables>(self, about: &Sighting, _tables: T) -> bool {
        self.hook.quic(about) != 0
    }

    #[inline(always)]
    fn hand_over<T: Tables>(self, about: &Sighting, entry: u32, _tables: T) {
        maps::hand_over(about, entry, |at, to, length| {
            // SAFETY: `to` has room for `length` bytes.
            unsafe { self.hook.load_bytes(at, to.cast(), length) }
        });
    }

    #[inline(always)]
    fn gather<T: Tables>(self, piece: &Piece, _tables: T) -> Reply {
        let [place, about] = piece.scene.pack();
        // Sequence number, and whether the head begins with it, in one word.
        let segment = piece.sequence as u64 | (piece.begins as u64) << 32;
        Reply(self.hook.gather(place, about, piece.flow, segment))
    }

    #[inline(always)]
    fn judge_marker<T: Tables>(
        self,
        scene: &Scene,
        number: usize,
        searched: usize,
        _tables: T,
    ) -> u64 {
        let [place, about] = scene.pack();
        let slice = (searched as u64) << 32 | number as u64;
        self.hook.judge(place, about, slice)
    }

    #[inline(always)]
    fn glance<T: Tables>(self, scene: &Scene, reach: u64, _tables: T) -> u16 {
        let [place, about] = scene.pack();
        self.hook.glance(place, about, reach) as u16
    }

    #[inline(always)]
    fn rtp(self, payload: Payload) -> u64 {
        self.hook.rtp(payload.at as u64, payload.end as u64)
    }

    #[inline(always)]
    fn ask<T: Tables>(self, question: Question, scene: &Scene, _tables: T) -> Reply {
        let [place, about] = scene.pack();
        Reply(match question {
            Question::Name => self.hook.name(place, about),
            Question::Marker => self.hook.marker(place, about),
            Question::Stun => self.hook.stun(place, about),
        })
    }

    #[inline(always)]
    fn length(self, end: usize) -> u32 {
        self.hook.length(end)
    }

    #[inline(always)]
    fn segments(self) -> u32 {
        self.hook.segments()
    }
}
