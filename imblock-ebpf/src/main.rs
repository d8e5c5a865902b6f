//! The kernel home of the classifier. Glue only: what is decided about a packet is decided in
//! `imblock_common`.
//!
//! The attached programs, one a view so that side and direction are constants to the compiler, give
//! their verdict on whatever a port or a known flow tells, and on what nobody wants to know more of:
//! most packets. The others go on in a program behind them, with a stack and a budget of the verifier's
//! of its own. All programs share all maps.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)] // instructions for the verifier, see `reader`

mod hook;
mod maps;
mod reader;
mod reject;
mod steps;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC, xdp_action};
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use imblock_common::content::Answer;
use imblock_common::identify::{at_once, in_depth};
use imblock_common::layout::Stage;
use imblock_common::{Judgement, View, parse, record, sight, unidentified};

use hook::{AtTc, AtXdp, Hook};
use maps::KernelMaps;
use reader::Frame;
use steps::Steps;

#[xdp(frags)]
fn lan_ingress(ctx: XdpContext) -> u32 {
    xdp(passes(AtXdp(ctx.ctx), View::LAN_INGRESS))
}

#[xdp(frags)]
fn wan_ingress(ctx: XdpContext) -> u32 {
    xdp(passes(AtXdp(ctx.ctx), View::WAN_INGRESS))
}

#[xdp(frags)]
fn xdp_depth(ctx: XdpContext) -> u32 {
    xdp(passes_in_depth(AtXdp(ctx.ctx)))
}

#[xdp(frags)]
fn xdp_reject(ctx: XdpContext) -> u32 {
    match maps::sighting() {
        Some(about) => reject::xdp(&ctx, about.view()),
        None => xdp_action::XDP_DROP,
    }
}

#[classifier]
fn lan_egress(ctx: TcContext) -> i32 {
    egress(passes(AtTc(ctx.as_ptr().cast()), View::LAN_EGRESS))
}

#[classifier]
fn wan_egress(ctx: TcContext) -> i32 {
    egress(passes(AtTc(ctx.as_ptr().cast()), View::WAN_EGRESS))
}

#[classifier]
fn skb_depth(ctx: TcContext) -> i32 {
    egress(passes_in_depth(AtTc(ctx.as_ptr().cast())))
}

#[classifier]
fn skb_reject(ctx: TcContext) -> i32 {
    match maps::sighting() {
        Some(about) => reject::skb(&ctx, about.view()),
        None => TC_ACT_SHOT,
    }
}

#[inline(always)]
fn xdp(passes: bool) -> u32 {
    if passes {
        xdp_action::XDP_PASS
    } else {
        xdp_action::XDP_DROP
    }
}

/// `UNSPEC` lets the next program of the hook see the packet, as `XDP_PASS` does with the stack.
#[inline(always)]
fn egress(passes: bool) -> i32 {
    if passes { TC_ACT_UNSPEC } else { TC_ACT_SHOT }
}

/// Gives the verdict on a frame, or goes on where that can be given.
#[inline(always)]
fn passes<H: Hook + Steps>(hook: H, view: View) -> bool {
    let Some(maps) = KernelMaps::open() else {
        return true;
    };
    let packet = Frame::new(hook);
    let outcome = match parse::frame(packet) {
        Ok(segment) => {
            let about = sight(packet, &segment, view, maps);
            let told = at_once(&about, maps);
            if told.is(Answer::Look) {
                maps::hand_on(&about);
                hook.go_on(Stage::Depth);
                // There is no such program yet: a first start is still having it verified. Then
                // nothing is told.
            }
            if told.needs_verdict() {
                let verdict = steps::conclude(packet, &about, told, maps);
                if verdict == steps::REJECT {
                    maps::hand_on(&about);
                }
                return goes_on(hook, verdict);
            }
            unidentified(&about, told)
        }
        Err(unparsed) => unparsed.into(),
    };
    record::record(&Judgement::unjudged(outcome), packet, view, maps);
    true
}

/// The same, of a frame that the attached program could not tell all of.
#[inline(always)]
fn passes_in_depth<H: Hook + Steps>(hook: H) -> bool {
    let (Some(maps), Some(about)) = (KernelMaps::open(), maps::sighting()) else {
        return true;
    };
    let told = in_depth(Frame::new(hook), about, maps);
    goes_on(hook, hook.conclude(about, told.0))
}

/// Whether a frame passes by a verdict. What is rejected is answered first, from what is known of it.
#[inline(always)]
fn goes_on<H: Hook>(hook: H, verdict: u32) -> bool {
    if verdict == steps::REJECT {
        hook.go_on(Stage::Reject);
    }
    verdict == steps::PASS
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
