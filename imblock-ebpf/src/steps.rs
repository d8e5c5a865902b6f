//! The steps that are functions of their own: global functions, which the verifier walks once each
//! (kernel 5.6), not once for every path that leads to them. Only numbers go in and out.
//!
//! Their names are not mangled: a mangled name holds a hash of the folder of the build, and the
//! object would not be the same everywhere.

use aya_ebpf::bindings::{__sk_buff, xdp_md};
use imblock_common::content::{Finding, Payload, Reply, Scene};
use imblock_common::flows::{self, Claim, Shape};
use imblock_common::hosts::NO_SLOT;
use imblock_common::identify::rtp::{self, RtpHeader};
use imblock_common::identify::{Question, context, flow, marker, needle, quic};
use imblock_common::limit::{self, Limited, Load};
use imblock_common::stream::{self, Head, Piece};
use imblock_common::{Bytes as _, Judgement, Packet, Sighting, Tables as _, Verdict, record};

use crate::hook::{AtTc, AtXdp};
use crate::maps::{KernelFlows, KernelMaps};
use crate::reader::{Frame, HeadBytes};

/// What becomes of a frame.
pub const DROP: u32 = 0;
pub const PASS: u32 = 1;
pub const REJECT: u32 = 2;

/// Declares steps that read the frame, each as a function at XDP, one at TC egress, and a method of
/// [`Steps`]. `else` says what is answered where the verifier wants a case that never happens.
macro_rules! steps_at_both_hooks {
    ($(
        $(#[$doc:meta])*
        fn $step:ident = $xdp:ident, $skb:ident
            ($packet:ident, $maps:ident $(, $argument:ident: $type:ty)*) -> $result:ty
            $body:block else $nothing:expr
    )*) => {
        /// The steps that read the frame.
        pub trait Steps: Copy {
            $( $(#[$doc])* fn $step(self $(, $argument: $type)*) -> $result; )*
        }

        impl Steps for AtXdp {
            $(
                #[inline(always)]
                fn $step(self $(, $argument: $type)*) -> $result {
                    $xdp(self.0 $(, $argument)*)
                }
            )*
        }

        impl Steps for AtTc {
            $(
                #[inline(always)]
                fn $step(self $(, $argument: $type)*) -> $result {
                    $skb(self.0 $(, $argument)*)
                }
            )*
        }

        $(
            #[unsafe(no_mangle)]
            #[inline(never)]
            extern "C" fn $xdp(ctx: *mut xdp_md $(, $argument: $type)*) -> $result {
                let (false, Some($maps)) = (ctx.is_null(), KernelMaps::open()) else {
                    return $nothing;
                };
                let $packet = Frame::new(AtXdp(ctx));
                $body
            }

            #[unsafe(no_mangle)]
            #[inline(never)]
            extern "C" fn $skb(ctx: *mut __sk_buff $(, $argument: $type)*) -> $result {
                let (false, Some($maps)) = (ctx.is_null(), KernelMaps::open()) else {
                    return $nothing;
                };
                let $packet = Frame::new(AtTc(ctx));
                $body
            }
        )*
    };
}

steps_at_both_hooks! {
    /// [`Question::Name`] of a packed [`Scene`]; a [`Reply`].
    fn name = xdp_name, skb_name(packet, maps, place: u64, about: u64) -> u64 {
        Question::Name.answer(packet, &Scene::unpack([place, about]), maps).0
    } else Reply::NOTHING.0

    /// [`Question::Marker`] of a packed [`Scene`]; a [`Reply`].
    fn marker = xdp_marker, skb_marker(packet, maps, place: u64, about: u64) -> u64 {
        Question::Marker.answer(packet, &Scene::unpack([place, about]), maps).0
    } else Reply::NOTHING.0

    /// [`Question::Stun`] of a packed [`Scene`]; a [`Reply`].
    fn stun = xdp_stun, skb_stun(packet, maps, place: u64, about: u64) -> u64 {
        Question::Stun.answer(packet, &Scene::unpack([place, about]), maps).0
    } else Reply::NOTHING.0

    /// See [`marker::judge`]. `slice` is the marker's number below, where to search from above.
    fn judge = xdp_judge, skb_judge(packet, maps, place: u64, about: u64, slice: u64) -> u64 {
        let (number, searched) = ((slice & 0xff) as usize, (slice >> 32) as usize);
        marker::judge(packet, &Scene::unpack([place, about]), number, searched, maps)
    } else 0

    /// See [`needle::glance`].
    fn glance = xdp_glance, skb_glance(packet, maps, place: u64, about: u64, reach: u64) -> u64 {
        needle::glance(packet, &Scene::unpack([place, about]), reach, maps).into()
    } else 0

    /// The RTP header of the payload, packed; 0 for none.
    fn rtp = xdp_rtp, skb_rtp(packet, _maps, at: u64, end: u64) -> u64 {
        let payload = Payload {
            at: at as usize,
            end: end as usize,
        };
        rtp::looks_like_rtp(packet, payload).map_or(0, RtpHeader::pack)
    } else 0

    /// See [`quic::refuses`]: 1 if so.
    fn quic = xdp_quic, skb_quic(packet, maps, about: *const Sighting) -> u32 {
        // SAFETY: the verifier sees to it that the pointer is null or leads to a whole `Sighting` of
        // the caller's.
        match unsafe { about.as_ref() } {
            Some(about) => quic::refuses(packet, about, maps) as u32,
            None => 0,
        }
    } else 0

    /// Gathers a segment of a stream's head, see [`stream::gather`]; a [`Reply`]. `segment` is the
    /// sequence number, and above it whether the head begins with it.
    fn gather = xdp_gather, skb_gather(
        packet, maps, place: u64, about: u64, flow: u64, segment: u64
    ) -> u64 {
        let piece = Piece {
            scene: Scene::unpack([place, about]),
            flow,
            sequence: segment as u32,
            begins: segment >> 32 != 0,
        };
        let finding = maps.head(flow, |head, tick| {
            let header = |head: &Head, at| HeadBytes::of(head).read(at).unwrap_or_default();
            let read = |head: &Head| {
                stream::finding(HeadBytes::of(head), head.payload(), piece.scene.half, maps)
            };
            stream::gather(packet, head, &piece, tick, header, read)
        });
        finding.unwrap_or(Finding::NOTHING).reply().0
    } else Reply::NOTHING.0
}

/// What becomes of a packet by its verdict, which is counted: [`PASS`], [`DROP`] or [`REJECT`].
#[inline(always)]
pub fn conclude<P: Packet>(
    packet: P,
    about: &Sighting,
    mut judgement: Judgement,
    maps: KernelMaps,
) -> u32 {
    // Forgotten, so that the verifier walks the counting once and not once for each way to a verdict.
    let verdict = packet.forget_word(judgement.verdict as u32);
    judgement.verdict = Verdict::from_slot(verdict.into());
    record::record(&judgement, packet, about.view(), maps);
    match judgement.verdict {
        Verdict::Rejected => REJECT,
        verdict if verdict.passes() => PASS,
        _ => DROP,
    }
}

/// Declares steps that read what is known of the frame.
macro_rules! steps {
    ($(
        $(#[$doc:meta])*
        fn $step:ident($about:ident, $maps:ident $(, $argument:ident: $type:ty)*)
            $body:block else $nothing:expr
    )*) => {
        $(
            $(#[$doc])*
            #[unsafe(no_mangle)]
            #[inline(never)]
            pub extern "C" fn $step(about: *const Sighting $(, $argument: $type)*) -> u64 {
                // SAFETY: the verifier sees to it that the pointer is null or leads to a whole
                // `Sighting` of the caller's.
                let (Some($about), Some($maps)) = (unsafe { about.as_ref() }, KernelMaps::open())
                else {
                    return $nothing;
                };
                $body
            }
        )*
    };
}

steps! {
    /// See [`flow::rtp`].
    fn rtp_step(about, maps, header: u64) {
        flow::rtp(about, header, maps).0
    } else Reply::NOTHING.0

    /// See [`context::caller`].
    fn caller_step(about, maps, reply: u64) {
        context::caller(about, Reply(reply), maps).0
    } else Reply::NOTHING.0

    /// See [`context::hop`].
    fn hop_step(about, maps) {
        context::hop(about, maps).0
    } else Reply::NOTHING.0

    /// See [`context::later_part`].
    fn later_part_step(about, maps) {
        context::later_part(about, maps).0
    } else Reply::NOTHING.0

    /// See [`context::named`].
    fn named_step(about, maps) {
        context::named(about, maps);
        0
    } else 0

    /// See [`context::first_part`].
    fn first_part_step(about, maps, told: u64) {
        context::first_part(about, Reply(told), maps);
        0
    } else 0

    /// See [`context::note`].
    fn note_step(about, maps, told: u64) {
        context::note(about, Reply(told), maps);
        0
    } else 0

    /// See [`limit::within`]. 1 for a packet that goes on.
    fn limit_step(about, maps, who: u64, load: u64) {
        limit::within(about, Limited(who), Load(load), maps) as u64
    } else 1
}

/// See [`flows::claim`].
#[inline(always)]
pub fn claim_flow(hash: u64, shape: Shape, why: Claim) -> u32 {
    let size = (shape.cells as u64) << 32 | (shape.idle as u64) << 16 | shape.now as u64;
    flow_claim(hash, size, why as u64) as u32
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

/// See [`record::vacate`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn vacate_slot(first: u32) -> u32 {
    match KernelMaps::open() {
        Some(maps) => record::vacate(maps, first),
        None => NO_SLOT,
    }
}
