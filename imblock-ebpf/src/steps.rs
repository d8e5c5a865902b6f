//! The steps that are functions of their own: global functions, which the verifier walks once each
//! (kernel 5.6), not once for every path that leads to them. Only numbers go in and out.
//!
//! Their names are not mangled: a mangled name holds a hash of the folder of the build, and the
//! object would not be the same everywhere.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::{__sk_buff, xdp_md};
use aya_ebpf::programs::{TcContext, XdpContext};
use imblock_common::content::{Finding, Payload, Reply, Scene};
use imblock_common::flows::{self, Claim, Shape};
use imblock_common::identify::rtp::{self, RtpHeader};
use imblock_common::identify::{Question, context, flow, marker, quic, quiet};
use imblock_common::stream::{self, Head, Piece};
use imblock_common::{Bytes as _, Packet, Sighting, Tables as _, Verdict, View, decide, record};

use crate::maps::{KernelFlows, KernelMaps};
use crate::reader::{HeadBytes, SkbPacket, XdpPacket};

/// Asks a question about a frame at XDP.
#[inline(always)]
pub fn ask_xdp(ctx: &XdpContext, question: Question, scene: &Scene) -> Reply {
    let [place, about] = scene.pack();
    let ctx = ctx.as_ptr().cast();
    Reply(match question {
        Question::Name => xdp_name(ctx, place, about),
        Question::Marker => xdp_marker(ctx, place, about),
        Question::Stun => xdp_stun(ctx, place, about),
    })
}

/// Asks a question about a frame at TC egress.
#[inline(always)]
pub fn ask_skb(ctx: &TcContext, question: Question, scene: &Scene) -> Reply {
    let [place, about] = scene.pack();
    let ctx = ctx.as_ptr().cast();
    Reply(match question {
        Question::Name => skb_name(ctx, place, about),
        Question::Marker => skb_marker(ctx, place, about),
        Question::Stun => skb_stun(ctx, place, about),
    })
}

/// Holds one marker against a frame at XDP.
#[inline(always)]
pub fn judge_xdp(ctx: &XdpContext, scene: &Scene, number: usize, searched: usize) -> u64 {
    let [place, about] = scene.pack();
    let slice = (searched as u64) << 32 | number as u64;
    xdp_judge(ctx.as_ptr().cast(), place, about, slice)
}

/// Holds one marker against a frame at TC egress.
#[inline(always)]
pub fn judge_skb(ctx: &TcContext, scene: &Scene, number: usize, searched: usize) -> u64 {
    let [place, about] = scene.pack();
    let slice = (searched as u64) << 32 | number as u64;
    skb_judge(ctx.as_ptr().cast(), place, about, slice)
}

/// The RTP header of a frame at XDP, packed.
#[inline(always)]
pub fn rtp_of_xdp(ctx: &XdpContext, payload: Payload) -> u64 {
    xdp_rtp(ctx.as_ptr().cast(), payload.at as u64, payload.end as u64)
}

/// The RTP header of a frame at TC egress, packed.
#[inline(always)]
pub fn rtp_of_skb(ctx: &TcContext, payload: Payload) -> u64 {
    skb_rtp(ctx.as_ptr().cast(), payload.at as u64, payload.end as u64)
}

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

/// Gathers a segment at XDP.
#[inline(always)]
pub fn gather_xdp(ctx: &XdpContext, piece: &Piece) -> Reply {
    let [place, about] = piece.scene.pack();
    let segment = sequence(piece);
    Reply(xdp_gather(
        ctx.as_ptr().cast(),
        place,
        about,
        piece.flow,
        segment,
    ))
}

/// Gathers a segment at TC egress.
#[inline(always)]
pub fn gather_skb(ctx: &TcContext, piece: &Piece) -> Reply {
    let [place, about] = piece.scene.pack();
    let segment = sequence(piece);
    Reply(skb_gather(
        ctx.as_ptr().cast(),
        place,
        about,
        piece.flow,
        segment,
    ))
}

/// Sequence number, and whether the head begins with it, in one word.
#[inline(always)]
fn sequence(piece: &Piece) -> u64 {
    piece.sequence as u64 | (piece.begins as u64) << 32
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

/// See [`quiet::told`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn quiet_step(about: *const Sighting) -> u64 {
    // SAFETY: the verifier sees to it that the pointer is null or leads to a whole `Sighting` of
    // the caller's.
    match unsafe { about.as_ref() } {
        Some(about) => quiet::told(about, KernelMaps).0,
        None => Reply::NOTHING.0,
    }
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
    let mut judgement = decide(packet, about, told, KernelMaps);
    // Forgotten, so that the verifier walks the counting once and not once for each way to a verdict.
    judgement.verdict = Verdict::from_slot(packet.forget(judgement.verdict as u64));
    record::record(&judgement, packet, view, KernelMaps);
    judgement.passes() as u32
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn xdp_name(ctx: *mut xdp_md, place: u64, about: u64) -> u64 {
    if ctx.is_null() {
        return Reply::NOTHING.0;
    }
    let ctx = XdpContext::new(ctx);
    let scene = Scene::unpack([place, about]);
    Question::Name
        .answer(XdpPacket::new(&ctx), &scene, KernelMaps)
        .0
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn skb_name(ctx: *mut __sk_buff, place: u64, about: u64) -> u64 {
    if ctx.is_null() {
        return Reply::NOTHING.0;
    }
    let ctx = TcContext::new(ctx);
    let scene = Scene::unpack([place, about]);
    Question::Name
        .answer(SkbPacket::new(&ctx), &scene, KernelMaps)
        .0
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn xdp_marker(ctx: *mut xdp_md, place: u64, about: u64) -> u64 {
    if ctx.is_null() {
        return Reply::NOTHING.0;
    }
    let scene = Scene::unpack([place, about]);
    Question::Marker
        .answer(XdpPacket::new(&XdpContext::new(ctx)), &scene, KernelMaps)
        .0
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn xdp_judge(ctx: *mut xdp_md, place: u64, about: u64, slice: u64) -> u64 {
    if ctx.is_null() {
        return 0;
    }
    let scene = Scene::unpack([place, about]);
    let (number, searched) = ((slice & 0xff) as usize, (slice >> 32) as usize);
    marker::judge(
        XdpPacket::new(&XdpContext::new(ctx)),
        &scene,
        number,
        searched,
        KernelMaps,
    )
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn xdp_stun(ctx: *mut xdp_md, place: u64, about: u64) -> u64 {
    if ctx.is_null() {
        return Reply::NOTHING.0;
    }
    let scene = Scene::unpack([place, about]);
    Question::Stun
        .answer(XdpPacket::new(&XdpContext::new(ctx)), &scene, KernelMaps)
        .0
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn xdp_rtp(ctx: *mut xdp_md, at: u64, end: u64) -> u64 {
    if ctx.is_null() {
        return 0;
    }
    let payload = Payload {
        at: at as usize,
        end: end as usize,
    };
    rtp::looks_like_rtp(XdpPacket::new(&XdpContext::new(ctx)), payload).map_or(0, RtpHeader::pack)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn xdp_gather(
    ctx: *mut xdp_md,
    place: u64,
    about: u64,
    flow: u64,
    sequence: u64,
) -> u64 {
    if ctx.is_null() {
        return Reply::NOTHING.0;
    }
    gather(
        XdpPacket::new(&XdpContext::new(ctx)),
        place,
        about,
        flow,
        sequence,
    )
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn skb_marker(ctx: *mut __sk_buff, place: u64, about: u64) -> u64 {
    if ctx.is_null() {
        return Reply::NOTHING.0;
    }
    let scene = Scene::unpack([place, about]);
    Question::Marker
        .answer(SkbPacket::new(&TcContext::new(ctx)), &scene, KernelMaps)
        .0
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn skb_judge(ctx: *mut __sk_buff, place: u64, about: u64, slice: u64) -> u64 {
    if ctx.is_null() {
        return 0;
    }
    let scene = Scene::unpack([place, about]);
    let (number, searched) = ((slice & 0xff) as usize, (slice >> 32) as usize);
    marker::judge(
        SkbPacket::new(&TcContext::new(ctx)),
        &scene,
        number,
        searched,
        KernelMaps,
    )
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn skb_stun(ctx: *mut __sk_buff, place: u64, about: u64) -> u64 {
    if ctx.is_null() {
        return Reply::NOTHING.0;
    }
    let scene = Scene::unpack([place, about]);
    Question::Stun
        .answer(SkbPacket::new(&TcContext::new(ctx)), &scene, KernelMaps)
        .0
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn skb_rtp(ctx: *mut __sk_buff, at: u64, end: u64) -> u64 {
    if ctx.is_null() {
        return 0;
    }
    let payload = Payload {
        at: at as usize,
        end: end as usize,
    };
    rtp::looks_like_rtp(SkbPacket::new(&TcContext::new(ctx)), payload).map_or(0, RtpHeader::pack)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn skb_gather(
    ctx: *mut __sk_buff,
    place: u64,
    about: u64,
    flow: u64,
    sequence: u64,
) -> u64 {
    if ctx.is_null() {
        return Reply::NOTHING.0;
    }
    gather(
        SkbPacket::new(&TcContext::new(ctx)),
        place,
        about,
        flow,
        sequence,
    )
}

#[inline(always)]
fn gather<P: Packet>(packet: P, place: u64, about: u64, flow: u64, sequence: u64) -> u64 {
    let piece = Piece {
        scene: Scene::unpack([place, about]),
        flow,
        sequence: sequence as u32,
        begins: sequence >> 32 != 0,
    };
    let finding = KernelMaps.head(flow, |head, tick| {
        let header = |head: &Head, at| HeadBytes::of(head).read(at).unwrap_or_default();
        let read = |head: &Head| {
            stream::finding(
                HeadBytes::of(head),
                head.payload(),
                piece.scene.half,
                KernelMaps,
            )
        };
        stream::gather(packet, head, &piece, tick, header, read)
    });
    finding.unwrap_or(Finding::NOTHING).reply().0
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
