//! Where programs run, XDP or TC egress, and what the kernel offers there.

use core::ffi::c_void;

use aya_ebpf::bindings::{__sk_buff, xdp_md};
use aya_ebpf::helpers::generated::{bpf_skb_load_bytes, bpf_xdp_get_buff_len, bpf_xdp_load_bytes};
use aya_ebpf::programs::{TcContext, XdpContext};
use imblock_common::layout::Stage;

use crate::maps::{SKB_STAGES, XDP_STAGES};

/// The context of one program run. The kernel gave it to the program and keeps it while that runs.
pub trait Hook: Copy {
    /// Address of the first byte of linear packet memory.
    fn data(self) -> usize;

    /// Address behind its last byte.
    fn data_end(self) -> usize;

    /// Brings so much of the frame into linear memory as the parser may want, as far as there is so
    /// much of it.
    fn pull(self);

    /// The same of a frame whose payload is to be asked: as much as is looked through.
    fn pull_payload(self);

    /// Copies bytes of the frame, whatever buffer they lie in; `false` if they can't be read.
    ///
    /// # Safety
    ///
    /// There is room for `length` bytes at `to`.
    unsafe fn load_bytes(self, at: u32, to: *mut c_void, length: u32) -> bool;

    /// Length of the frame in bytes. `end` is where the packet ends by its own word; if that lies in
    /// linear memory, the kernel need not be asked.
    fn length(self, end: usize) -> u32;

    /// See [`imblock_common::Packet::segments`].
    fn segments(self) -> u32;

    /// Goes on in the program of a stage, and comes back only if there is none.
    fn go_on(self, stage: Stage);
}

/// At XDP.
#[derive(Clone, Copy)]
pub struct AtXdp(pub *mut xdp_md);

impl AtXdp {
    #[inline(always)]
    fn context(self) -> XdpContext {
        XdpContext::new(self.0)
    }
}

impl Hook for AtXdp {
    #[inline(always)]
    fn data(self) -> usize {
        self.context().data()
    }

    #[inline(always)]
    fn data_end(self) -> usize {
        self.context().data_end()
    }

    /// The driver left the headers in the first buffer.
    #[inline(always)]
    fn pull(self) {}

    /// What lies in further buffers is behind what is looked through.
    #[inline(always)]
    fn pull_payload(self) {}

    #[inline(always)]
    unsafe fn load_bytes(self, at: u32, to: *mut c_void, length: u32) -> bool {
        // SAFETY: the caller has room; the helper checks the rest (kernel 5.18).
        unsafe { bpf_xdp_load_bytes(self.0, at, to, length) == 0 }
    }

    /// All buffers of the frame, not only the first (kernel 5.18). Asking the kernel costs a call.
    #[inline(always)]
    fn length(self, end: usize) -> u32 {
        let linear = self.data_end() - self.data();
        if end <= linear {
            return linear as u32;
        }
        // SAFETY: the context is the one the kernel gave to this program run.
        unsafe { bpf_xdp_get_buff_len(self.0) as u32 }
    }

    #[inline(always)]
    fn segments(self) -> u32 {
        1
    }

    #[inline(always)]
    fn go_on(self, stage: Stage) {
        // SAFETY: nothing here needs to be dropped.
        unsafe { XDP_STAGES.tail_call(&self.context(), stage as u32) };
    }
}

/// At TC egress.
#[derive(Clone, Copy)]
pub struct AtTc(pub *mut __sk_buff);

impl AtTc {
    #[inline(always)]
    fn context(self) -> TcContext {
        TcContext::new(self.0)
    }

    /// Brings the first `wanted` bytes into one piece, or the whole frame if it is shorter. Whoever read the
    /// frame before must read it anew.
    #[inline(always)]
    fn pull_up_to(self, wanted: u32) {
        let length = self.length(0);
        let linear = (self.data_end() - self.data()) as u32;
        if linear < length && linear < wanted {
            let _ = self.context().pull_data(length.min(wanted));
        }
    }
}

/// How much of a leaving frame must lie in one piece to be parsed: link header with two tags,
/// PPPoE, IPv6 with an extension header or two, TCP.
const HEADERS_WANTED: u32 = 160;

/// How much of one must, whose payload is asked. What the box itself sends over TCP has all of its payload
/// in other memory than its headers; of a flow only the first few are asked.
const PAYLOAD_WANTED: u32 = 4_096;

impl Hook for AtTc {
    #[inline(always)]
    fn data(self) -> usize {
        self.context().data()
    }

    #[inline(always)]
    fn data_end(self) -> usize {
        self.context().data_end()
    }

    /// Some drivers leave the headers in fragments. Without the pull, a frame is parsed as far as it can
    /// be read.
    #[inline(always)]
    fn pull(self) {
        self.pull_up_to(HEADERS_WANTED);
    }

    #[inline(always)]
    fn pull_payload(self) {
        self.pull_up_to(PAYLOAD_WANTED);
    }

    #[inline(always)]
    unsafe fn load_bytes(self, at: u32, to: *mut c_void, length: u32) -> bool {
        // SAFETY: the caller has room; the helper checks the rest.
        unsafe { bpf_skb_load_bytes(self.0.cast(), at, to, length) == 0 }
    }

    #[inline(always)]
    fn length(self, _end: usize) -> u32 {
        self.context().len()
    }

    #[inline(always)]
    fn segments(self) -> u32 {
        // SAFETY: the context is the one the kernel gave to this program run; the verifier turns the field into the kernel's own.
        let segments = unsafe { (*self.0).gso_segs };
        if segments == 0 { 1 } else { segments }
    }

    #[inline(always)]
    fn go_on(self, stage: Stage) {
        // SAFETY: nothing here needs to be dropped.
        unsafe { SKB_STAGES.tail_call(&self.context(), stage as u32) };
    }
}
