//! The kernel home of the classifier. Glue only: what is decided about a packet is decided in
//! `imblock_common`.
//!
//! One program a view, so that side and direction are constants to the compiler and cost a packet
//! nothing. All programs share all maps.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)] // two instructions for the verifier, see `reader`

mod maps;
mod reader;
mod reject;
mod steps;

use aya_ebpf::bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC, xdp_action};
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use imblock_common::identify::identify;
use imblock_common::{
    Judgement, Packet, Reply, Sighting, View, parse, record, sight, unidentified,
};

use maps::KernelMaps;
use reader::{SkbPacket, XdpPacket};

#[xdp(frags)]
fn lan_ingress(ctx: XdpContext) -> u32 {
    xdp(&ctx, View::LAN_INGRESS)
}

#[xdp(frags)]
fn wan_ingress(ctx: XdpContext) -> u32 {
    xdp(&ctx, View::WAN_INGRESS)
}

#[classifier]
fn lan_egress(ctx: TcContext) -> i32 {
    egress(&ctx, View::LAN_EGRESS)
}

#[classifier]
fn wan_egress(ctx: TcContext) -> i32 {
    egress(&ctx, View::WAN_EGRESS)
}

#[inline(always)]
fn xdp(ctx: &XdpContext, view: View) -> u32 {
    let conclude = |about: &Sighting, told| steps::conclude_xdp(ctx, about, told, view);
    match fate(XdpPacket::new(ctx), view, conclude) {
        steps::PASS => xdp_action::XDP_PASS,
        steps::REJECT => reject::xdp(ctx, view),
        _ => xdp_action::XDP_DROP,
    }
}

/// `UNSPEC` lets the next program of the hook see the packet, as `XDP_PASS` does with the stack.
#[inline(always)]
fn egress(ctx: &TcContext, view: View) -> i32 {
    let conclude = |about: &Sighting, told| steps::conclude_skb(ctx, about, told, view);
    match fate(SkbPacket::new(ctx), view, conclude) {
        steps::PASS => TC_ACT_UNSPEC,
        steps::REJECT => reject::skb(ctx, view),
        _ => TC_ACT_SHOT,
    }
}

/// `classify` and `record`, but for that what follows an identified packet is a function of its own.
#[inline(always)]
fn fate<P: Packet>(packet: P, view: View, conclude: impl FnOnce(&Sighting, Reply) -> u32) -> u32 {
    let outcome = match parse::frame(packet) {
        Ok(segment) => {
            let about = sight(packet, &segment, view, KernelMaps);
            let told = identify(packet, &about, KernelMaps);
            if told.needs_verdict() {
                return conclude(&about, told);
            }
            unidentified(&about, told)
        }
        Err(unparsed) => unparsed.into(),
    };
    record::record(&Judgement::unjudged(outcome), packet, view, KernelMaps);
    steps::PASS
}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// The kernel hands helpers marked GPL-only to no other licence.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
