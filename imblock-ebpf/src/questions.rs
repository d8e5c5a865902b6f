//! What is asked of a payload: global functions, as those of `steps`, one for each kind of frame.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::{__sk_buff, xdp_md};
use aya_ebpf::programs::{TcContext, XdpContext};
use imblock_common::content::{Finding, Payload, Reply, Scene};
use imblock_common::identify::rtp::{self, RtpHeader};
use imblock_common::identify::{Question, marker};
use imblock_common::stream::{self, Head, Piece};
use imblock_common::{Bytes as _, Packet, Tables as _};

use crate::maps::KernelMaps;
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
