//! The packet readers: the one place where packet memory is read.
//!
//! Raw pointers with `wrapping_add` on both sides of the comparison are the form from which the
//! verifier learns the bounds, single bytes at variable offsets included. Integer arithmetic on the
//! addresses is not.

use core::arch::asm;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated::bpf_xdp_get_buff_len;
use aya_ebpf::programs::{TcContext, XdpContext};
use imblock_common::{Bytes, Packet};
use imblock_common::packet::MAX_OFFSET;

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

/// See [`Bytes::forget`]. Of the upper half of a word on the stack the verifier knows nothing, not
/// even where it came from. (Swapping the bytes twice was enough once: 6.18 follows each bit through
/// it, and whatever the way, what a pointer is moved by is traced back to where it was computed.)
#[inline(always)]
fn forget(number: u32) -> u32 {
    let mut word = u64::from(number);
    let mut slot = core::mem::MaybeUninit::<u64>::uninit();
    // SAFETY: the word is written to the slot and half of it read back.
    unsafe {
        asm!("{0} <<= 32", "*(u64 *)({1} + 0) = {0}", "{0} = *(u32 *)({1} + 4)",
            inout(reg) word, in(reg) slot.as_mut_ptr(), options(nostack));
    }
    word as u32
}

/// A frame at XDP.
#[derive(Clone, Copy)]
pub struct XdpPacket<'a> {
    ctx: &'a XdpContext,
    bytes: Linear,
}

impl<'a> XdpPacket<'a> {
    #[inline(always)]
    pub fn new(ctx: &'a XdpContext) -> Self {
        Self {
            ctx,
            bytes: Linear::new(ctx.data(), ctx.data_end()),
        }
    }
}

impl Bytes for XdpPacket<'_> {
    #[inline(always)]
    fn copy<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.bytes.copy(at)
    }

    #[inline(always)]
    fn forget(self, number: u32) -> u32 {
        forget(number)
    }
}

impl Packet for XdpPacket<'_> {
    /// All buffers of the frame, not only the first (kernel 5.18). Asking the kernel costs a call,
    /// so it is asked only when the packet says that it reaches beyond the first buffer.
    #[inline(always)]
    fn length(self, end: usize) -> u32 {
        let linear = self.ctx.data_end() - self.ctx.data();
        if end <= linear {
            return linear as u32;
        }
        // SAFETY: the context is the one the kernel gave to this program run.
        let length = unsafe { bpf_xdp_get_buff_len(self.ctx.ctx) };
        length as u32
    }

    #[inline(always)]
    fn segments(self) -> u32 {
        1
    }
}

/// How much of a leaving frame must lie in one piece to be parsed: link header with two tags,
/// PPPoE, IPv6 with an extension header or two, TCP.
const LINEAR_WANTED: u32 = 160;

/// A frame at TC egress.
#[derive(Clone, Copy)]
pub struct SkbPacket<'a> {
    ctx: &'a TcContext,
    bytes: Linear,
}

impl<'a> SkbPacket<'a> {
    /// Pulls the headers into one piece first, if a driver left them in fragments.
    ///
    /// Nothing that was read on the way is kept: the ways meet again here with the same state, and
    /// the verifier walks the parser once, not once for each of them.
    #[inline(always)]
    pub fn new(ctx: &'a TcContext) -> Self {
        let length = ctx.len();
        let linear = (ctx.data_end() - ctx.data()) as u32;
        if linear < length && linear < LINEAR_WANTED {
            // Without the pull the frame is parsed as far as it can be read.
            let _ = ctx.pull_data(if length < LINEAR_WANTED {
                length
            } else {
                LINEAR_WANTED
            });
        }
        Self {
            ctx,
            bytes: Linear::new(ctx.data(), ctx.data_end()),
        }
    }
}

impl Bytes for SkbPacket<'_> {
    #[inline(always)]
    fn copy<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.bytes.copy(at)
    }

    #[inline(always)]
    fn forget(self, number: u32) -> u32 {
        forget(number)
    }
}

impl Packet for SkbPacket<'_> {
    #[inline(always)]
    fn length(self, _end: usize) -> u32 {
        self.ctx.len()
    }

    #[inline(always)]
    fn segments(self) -> u32 {
        let skb = self.ctx.as_ptr().cast::<aya_ebpf::bindings::__sk_buff>();
        // SAFETY: the context is the one the kernel gave to this program run; the verifier turns
        // the field into the kernel's own.
        let segments = unsafe { (*skb).gso_segs };
        if segments == 0 { 1 } else { segments }
    }
}
