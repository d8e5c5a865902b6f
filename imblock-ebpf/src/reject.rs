//! Frames that are rewritten in place, and what is done with them then. What they become is decided in
//! `imblock_common::reject`.
//!
//! The kernel's own functions write, so that it does not matter in how many buffers a frame lies.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::{
    __sk_buff, BPF_F_INGRESS, BPF_F_RECOMPUTE_CSUM, TC_ACT_OK, TC_ACT_SHOT, xdp_action, xdp_md,
};
use aya_ebpf::helpers::generated::{
    bpf_clone_redirect, bpf_skb_change_tail, bpf_skb_store_bytes, bpf_xdp_adjust_head,
    bpf_xdp_adjust_tail, bpf_xdp_get_buff_len, bpf_xdp_store_bytes,
};
use aya_ebpf::programs::{TcContext, XdpContext};
use imblock_common::layout::Rejections;
use imblock_common::reject::{self, Desk, Fate, Kind, ReplyBucket, Responder};
use imblock_common::{Counters as _, Direction, Side, View};

use crate::hook::{AtTc, AtXdp};
use crate::maps::{KernelMaps, rejections};
use crate::reader::Frame;

/// What becomes of a frame that is rejected at XDP. From the world nothing is answered.
#[inline(always)]
pub fn xdp(ctx: &XdpContext, view: View) -> u32 {
    let fate = match view.side {
        Side::Lan => reject::answer(XdpDesk(ctx.ctx)),
        Side::Wan => Fate::Silent,
    };
    count(fate);
    match fate {
        Fate::Reset | Fate::Unreachable | Fate::NoSuchName => xdp_action::XDP_TX,
        _ => xdp_action::XDP_DROP,
    }
}

/// What becomes of a frame that is rejected at TC egress. `OK` and not `UNSPEC`: what goes on is our
/// own, and nothing to the other programs of the hook.
#[inline(always)]
pub fn skb(ctx: &TcContext, view: View) -> i32 {
    let sent = view.direction() == Direction::Sent;
    let fate = reject::part(SkbDesk(ctx.as_ptr().cast()), sent);
    count(fate);
    match fate {
        Fate::Cut => TC_ACT_OK,
        _ => TC_ACT_SHOT,
    }
}

#[inline(always)]
fn count(fate: Fate) {
    if let Some(rejections) = rejections() {
        rejections.count(fate);
    }
}

/// Asks the functions below.
struct XdpDesk(*mut xdp_md);

impl Desk for XdpDesk {
    #[inline(always)]
    fn meet(&mut self) -> Kind {
        Kind::from_number(xdp_meet(self.0))
    }

    #[inline(always)]
    fn reset(&mut self) -> Fate {
        Fate::from_slot(xdp_reset(self.0))
    }

    #[inline(always)]
    fn no_such_name(&mut self) -> Option<Fate> {
        match xdp_no_such_name(self.0) {
            NO_QUESTION => None,
            fate => Some(Fate::from_slot(fate)),
        }
    }

    #[inline(always)]
    fn prohibited(&mut self) -> Fate {
        Fate::from_slot(xdp_prohibited(self.0))
    }

    #[inline(always)]
    fn cut(&mut self, _sent: bool) -> Fate {
        Fate::Silent
    }
}

/// Asks the functions below. Only connections are answered from here.
struct SkbDesk(*mut __sk_buff);

impl Desk for SkbDesk {
    #[inline(always)]
    fn meet(&mut self) -> Kind {
        Kind::from_number(skb_meet(self.0))
    }

    #[inline(always)]
    fn reset(&mut self) -> Fate {
        Fate::Silent
    }

    #[inline(always)]
    fn no_such_name(&mut self) -> Option<Fate> {
        None
    }

    #[inline(always)]
    fn prohibited(&mut self) -> Fate {
        Fate::Silent
    }

    #[inline(always)]
    fn cut(&mut self, sent: bool) -> Fate {
        Fate::from_slot(skb_cut(self.0, sent as u32))
    }
}

/// In place of a fate.
const NO_QUESTION: u32 = u32::MAX;

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn xdp_meet(ctx: *mut xdp_md) -> u32 {
    let (false, Some(rejections)) = (ctx.is_null(), rejections()) else {
        return Kind::Other as u32;
    };
    let ctx = XdpContext::new(ctx);
    reject::meet(Frame::new(AtXdp(ctx.ctx)), &mut rejections.letter) as u32
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn xdp_reset(ctx: *mut xdp_md) -> u32 {
    let (false, Some(Rejections { bucket, letter, .. })) = (ctx.is_null(), rejections()) else {
        return Fate::Silent as u32;
    };
    let ctx = XdpContext::new(ctx);
    let mut to = XdpFrame { ctx: &ctx, bucket };
    reject::reset(Frame::new(AtXdp(ctx.ctx)), &mut to, letter) as u32
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn xdp_no_such_name(ctx: *mut xdp_md) -> u32 {
    let (false, Some(Rejections { bucket, letter, .. })) = (ctx.is_null(), rejections()) else {
        return Fate::Silent as u32;
    };
    let ctx = XdpContext::new(ctx);
    let mut to = XdpFrame { ctx: &ctx, bucket };
    reject::no_such_name(Frame::new(AtXdp(ctx.ctx)), &mut to, letter)
        .map_or(NO_QUESTION, |fate| fate as u32)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn xdp_prohibited(ctx: *mut xdp_md) -> u32 {
    let (false, Some(Rejections { bucket, letter, .. })) = (ctx.is_null(), rejections()) else {
        return Fate::Silent as u32;
    };
    let ctx = XdpContext::new(ctx);
    let mut to = XdpFrame { ctx: &ctx, bucket };
    reject::prohibited(Frame::new(AtXdp(ctx.ctx)), &mut to, letter) as u32
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn skb_meet(ctx: *mut __sk_buff) -> u32 {
    let (false, Some(rejections)) = (ctx.is_null(), rejections()) else {
        return Kind::Other as u32;
    };
    let ctx = TcContext::new(ctx);
    reject::meet(
        Frame::new(AtTc(ctx.as_ptr().cast())),
        &mut rejections.letter,
    ) as u32
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn skb_cut(ctx: *mut __sk_buff, sent: u32) -> u32 {
    let (false, Some(Rejections { bucket, letter, .. })) = (ctx.is_null(), rejections()) else {
        return Fate::Silent as u32;
    };
    let ctx = TcContext::new(ctx);
    let mut to = SkbFrame { ctx: &ctx, bucket };
    reject::cut(
        Frame::new(AtTc(ctx.as_ptr().cast())),
        sent != 0,
        &mut to,
        letter,
    ) as u32
}

#[inline(always)]
fn permitted(bucket: &mut ReplyBucket) -> bool {
    let Some(maps) = KernelMaps::open() else {
        return false;
    };
    bucket.take(maps.tick(), maps.control().ticks_per_second)
}

struct XdpFrame<'a> {
    ctx: &'a XdpContext,
    bucket: &'a mut ReplyBucket,
}

impl Responder for XdpFrame<'_> {
    #[inline(always)]
    fn permitted(&mut self) -> bool {
        permitted(self.bucket)
    }

    #[inline(always)]
    fn resize(&mut self, length: usize) -> bool {
        let ctx = self.ctx.ctx;
        // SAFETY: the context is the one the kernel gave to this program run.
        let now = unsafe { bpf_xdp_get_buff_len(ctx) };
        let more = (length as i32).wrapping_sub(now as i32);
        // SAFETY: as above; whoever read the frame before must read it anew.
        if unsafe { bpf_xdp_adjust_tail(ctx, more) } == 0 {
            return true;
        }
        // Behind the frame there may be no room, where in front of it there always is.
        // SAFETY: as above.
        more > 0 && unsafe { bpf_xdp_adjust_head(ctx, more.wrapping_neg()) } == 0
    }

    #[inline(always)]
    fn put<T>(&mut self, at: usize, piece: &T) -> bool {
        let piece = (&raw const *piece).cast_mut().cast();
        // SAFETY: the helper reads as many bytes as the piece has, and checks the rest.
        unsafe { bpf_xdp_store_bytes(self.ctx.ctx, at as u32, piece, size_of::<T>() as u32) == 0 }
    }

    /// At XDP the frame itself is sent back, and no other.
    #[inline(always)]
    fn turn_around(&mut self) -> bool {
        false
    }
}

struct SkbFrame<'a> {
    ctx: &'a TcContext,
    bucket: &'a mut ReplyBucket,
}

impl SkbFrame<'_> {
    #[inline(always)]
    fn skb(&self) -> *mut __sk_buff {
        self.ctx.as_ptr().cast()
    }
}

impl Responder for SkbFrame<'_> {
    #[inline(always)]
    fn permitted(&mut self) -> bool {
        permitted(self.bucket)
    }

    /// Makes one packet of a buffer of many, too.
    #[inline(always)]
    fn resize(&mut self, length: usize) -> bool {
        // SAFETY: the context is the one the kernel gave to this program run; whoever read the frame
        // before must read it anew.
        unsafe { bpf_skb_change_tail(self.skb(), length as u32, 0) == 0 }
    }

    #[inline(always)]
    fn put<T>(&mut self, at: usize, piece: &T) -> bool {
        let (piece, length) = ((&raw const *piece).cast(), size_of::<T>() as u32);
        let recompute = BPF_F_RECOMPUTE_CSUM as u64;
        // SAFETY: the helper reads as many bytes as the piece has, and checks the rest.
        unsafe { bpf_skb_store_bytes(self.skb(), at as u32, piece, length, recompute) == 0 }
    }

    /// It enters by the interface that it was about to leave by.
    #[inline(always)]
    fn turn_around(&mut self) -> bool {
        let skb = self.skb();
        // SAFETY: the context is the one the kernel gave to this program run.
        let interface = unsafe { (*skb).ifindex };
        // SAFETY: as above.
        unsafe { bpf_clone_redirect(skb, interface, BPF_F_INGRESS as u64) == 0 }
    }
}
