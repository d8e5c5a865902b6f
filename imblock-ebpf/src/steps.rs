//! The steps that are functions of their own: global functions, which the verifier walks once each
//! (kernel 5.6), not once for every path that leads to them. Only numbers go in and out.
//!
//! Their names are not mangled: a mangled name holds a hash of the folder of the build, and the
//! object would not be the same everywhere.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::{__sk_buff, xdp_md};
use aya_ebpf::programs::{TcContext, XdpContext};
use imblock_common::content::Reply;
use imblock_common::flows::{self, Claim, Shape};
use imblock_common::identify::{context, flow, quic};
use imblock_common::{Packet, Sighting, Verdict, View, decide, record};

use crate::maps::KernelMaps;
use crate::reader::{SkbPacket, XdpPacket};
use crate::shared::KernelFlows;

/// See [`quic::refuses`], of a frame at XDP.
#[inline(always)]
pub fn quic_xdp(ctx: &XdpContext, about: &Sighting) -> bool {
    xdp_quic(ctx.as_ptr().cast(), about) != 0
}

/// See [`quic::refuses`], of a frame at TC egress.
#[inline(always)]
pub fn quic_skb(ctx: &TcContext, about: &Sighting) -> bool {
    skb_quic(ctx.as_ptr().cast(), about) != 0
}

/// Gives the verdict on a frame at XDP and counts it; whether it passes.
#[inline(always)]
pub fn conclude_xdp(ctx: &XdpContext, about: &Sighting, told: Reply, view: View) -> bool {
    xdp_conclude(ctx.as_ptr().cast(), about, told.0, view.index()) != 0
}

/// Gives the verdict on a frame at TC egress and counts it; whether it passes.
#[inline(always)]
pub fn conclude_skb(ctx: &TcContext, about: &Sighting, told: Reply, view: View) -> bool {
    skb_conclude(ctx.as_ptr().cast(), about, told.0, view.index()) != 0
}

/// See [`flows::claim`].
#[inline(always)]
pub fn claim_flow(hash: u64, shape: Shape, why: Claim) -> u32 {
    let size = (shape.cells as u64) << 32 | (shape.idle as u64) << 16 | shape.now as u64;
    flow_claim(hash, size, why as u64) as u32
}

/// See [`flow::step`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn flow_step(about: *const Sighting, reply: u64) -> u64 {
    // SAFETY: the verifier sees to it that the pointer is null or leads to a whole `Sighting` of
    // the caller's.
    match unsafe { about.as_ref() } {
        Some(about) => flow::step(about, Reply(reply), KernelMaps).0,
        None => Reply::NOTHING.0,
    }
}

/// See [`flow::rtp`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn rtp_step(about: *const Sighting, header: u64) -> u64 {
    // SAFETY: the verifier sees to it that the pointer is null or leads to a whole `Sighting` of
    // the caller's.
    match unsafe { about.as_ref() } {
        Some(about) => flow::rtp(about, header, KernelMaps).0,
        None => Reply::NOTHING.0,
    }
}

/// See [`context::caller`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn caller_step(about: *const Sighting, reply: u64) -> u64 {
    // SAFETY: the verifier sees to it that the pointer is null or leads to a whole `Sighting` of
    // the caller's.
    match unsafe { about.as_ref() } {
        Some(about) => context::caller(about, Reply(reply), KernelMaps).0,
        None => Reply::NOTHING.0,
    }
}

/// See [`context::hop`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn hop_step(about: *const Sighting) -> u64 {
    // SAFETY: the verifier sees to it that the pointer is null or leads to a whole `Sighting` of
    // the caller's.
    match unsafe { about.as_ref() } {
        Some(about) => context::hop(about, KernelMaps).0,
        None => Reply::NOTHING.0,
    }
}

/// See [`context::later_part`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn later_part_step(about: *const Sighting) -> u64 {
    // SAFETY: the verifier sees to it that the pointer is null or leads to a whole `Sighting` of
    // the caller's.
    match unsafe { about.as_ref() } {
        Some(about) => context::later_part(about, KernelMaps).0,
        None => Reply::NOTHING.0,
    }
}

/// See [`context::named`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn named_step(about: *const Sighting) -> u64 {
    // SAFETY: the verifier sees to it that the pointer is null or leads to a whole `Sighting` of
    // the caller's.
    if let Some(about) = unsafe { about.as_ref() } {
        context::named(about, KernelMaps);
    }
    0
}

/// See [`context::note`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn note_step(about: *const Sighting, told: u64) -> u64 {
    // SAFETY: the verifier sees to it that the pointer is null or leads to a whole `Sighting` of
    // the caller's.
    match unsafe { about.as_ref() } {
        Some(about) => {
            context::note(about, Reply(told), KernelMaps);
            0
        }
        None => Reply::NOTHING.0,
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn xdp_quic(ctx: *mut xdp_md, about: *const Sighting) -> u32 {
    // SAFETY: as above.
    let (false, Some(about)) = (ctx.is_null(), unsafe { about.as_ref() }) else {
        return 0;
    };
    quic::refuses(XdpPacket::new(&XdpContext::new(ctx)), about, KernelMaps) as u32
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn skb_quic(ctx: *mut __sk_buff, about: *const Sighting) -> u32 {
    // SAFETY: as above.
    let (false, Some(about)) = (ctx.is_null(), unsafe { about.as_ref() }) else {
        return 0;
    };
    quic::refuses(SkbPacket::new(&TcContext::new(ctx)), about, KernelMaps) as u32
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn xdp_conclude(ctx: *mut xdp_md, about: *const Sighting, told: u64, view: u32) -> u32 {
    // SAFETY: as above.
    let (false, Some(about)) = (ctx.is_null(), unsafe { about.as_ref() }) else {
        return 1;
    };
    conclude(
        XdpPacket::new(&XdpContext::new(ctx)),
        about,
        Reply(told),
        view,
    )
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn skb_conclude(
    ctx: *mut __sk_buff,
    about: *const Sighting,
    told: u64,
    view: u32,
) -> u32 {
    // SAFETY: as above.
    let (false, Some(about)) = (ctx.is_null(), unsafe { about.as_ref() }) else {
        return 1;
    };
    conclude(
        SkbPacket::new(&TcContext::new(ctx)),
        about,
        Reply(told),
        view,
    )
}

/// 1 for a packet that goes on.
#[inline(always)]
fn conclude<P: Packet>(packet: P, about: &Sighting, told: Reply, view: u32) -> u32 {
    let [lan_ingress, lan_egress, wan_ingress, wan_egress] = View::ALL;
    let view = match view {
        0 => lan_ingress,
        1 => lan_egress,
        2 => wan_ingress,
        _ => wan_egress,
    };
    let mut judgement = decide(about, told, KernelMaps);
    // Forgotten, so that the verifier walks the counting once and not once for each way to a verdict.
    judgement.verdict = Verdict::from_slot(packet.forget(judgement.verdict as u64));
    record::record(&judgement, packet, view, KernelMaps);
    judgement.passes() as u32
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn flow_claim(hash: u64, size: u64, why: u64) -> u64 {
    let shape = Shape {
        cells: (size >> 32) as u32,
        seed: 0,
        now: size as u16,
        idle: (size >> 16) as u16,
    };
    let why = if why == 0 { Claim::New } else { Claim::Told };
    flows::claim(KernelFlows, hash, shape, why) as u64
}
