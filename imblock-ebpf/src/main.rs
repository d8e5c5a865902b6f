//! The kernel home of the classifier. Glue only: what is decided about a packet is decided in
//! `imblock_common`.
//!
//! The attached programs, one a view so that side and direction are constants to the compiler, give
//! their verdict on whatever a port or a known flow tells, and on what nobody wants to know more of:
//! most packets. The others go on in the programs behind them ([`Stage`]), each with a stack and a budget
//! of the verifier's of its own. All programs share all maps.
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
use imblock_common::identify::{at_once, flow, payload};
use imblock_common::layout::Stage;
use imblock_common::{
    Bytes as _, Judgement, Reply, Sighting, View, by_port, decide, parse, record, refuse_outright,
    sight, unidentified,
};

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
fn xdp_flow(ctx: XdpContext) -> u32 {
    xdp(passes_by_flow(AtXdp(ctx.ctx)))
}

#[xdp(frags)]
fn xdp_depth(ctx: XdpContext) -> u32 {
    look(AtXdp(ctx.ctx));
    xdp_action::XDP_PASS
}

#[xdp(frags)]
fn xdp_reject(ctx: XdpContext) -> u32 {
    match maps::handed_on() {
        Some(known) => reject::xdp(&ctx, known.about.view()),
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
fn skb_flow(ctx: TcContext) -> i32 {
    egress(passes_by_flow(AtTc(ctx.as_ptr().cast())))
}

#[classifier]
fn skb_depth(ctx: TcContext) -> i32 {
    look(AtTc(ctx.as_ptr().cast()));
    TC_ACT_UNSPEC
}

#[classifier]
fn skb_reject(ctx: TcContext) -> i32 {
    match maps::handed_on() {
        Some(known) => reject::skb(&ctx, known.about.view()),
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
            let action = by_port(packet, &about, maps);
            if action.refuses() {
                let judgement = refuse_outright(&about, action, maps);
                return settle(hook, packet, &about, judgement, maps);
            }
            let told = at_once(&about, maps);
            if told.is(Answer::Look) {
                maps::hand_on(&about, told);
                // Each with a slot that is a constant, or the kernel would look for the program.
                if told == Reply::UNASKED {
                    hook.go_on(Stage::Flow);
                } else {
                    hook.go_on(Stage::Depth);
                }
                // There is no such program yet: a first start is still having it verified. Then
                // nothing is told.
            }
            if told.needs_verdict() {
                let judgement = decide(packet, &about, told, maps);
                return settle(hook, packet, &about, judgement, maps);
            }
            unidentified(&about, told)
        }
        Err(unparsed) => unparsed.into(),
    };
    record::record(&Judgement::unjudged(outcome), packet, view, maps);
    true
}

/// Counts a frame of which something was decided, and whether it passes.
#[inline(always)]
fn settle<H: Hook + Steps>(
    hook: H,
    packet: Frame<H>,
    about: &Sighting,
    judgement: Judgement,
    maps: KernelMaps,
) -> bool {
    let verdict = steps::conclude(packet, about, judgement, maps);
    if verdict == steps::REJECT {
        maps::hand_on(about, Reply::NOTHING);
    }
    goes_on(hook, verdict)
}

/// The same, of a frame that the attached program could not tell all of.
#[inline(always)]
fn passes_by_flow<H: Hook + Steps>(hook: H) -> bool {
    let (Some(maps), Some(known)) = (KernelMaps::open(), maps::handed_on()) else {
        return true;
    };
    let about = &known.about;
    let told = flow::tell(Frame::new(hook), about, Reply(known.told), maps);
    if told.is(Answer::Look) {
        maps::hand_on_reply(told);
        hook.go_on(Stage::Depth);
        // As above.
    }
    // Where the frame lies is asked again: to the verifier, the steps may have moved it. And what was
    // told is forgotten, so that it walks the verdict once.
    let packet = Frame::new(hook);
    let told = Reply(packet.forget(told.0));
    goes_on(
        hook,
        steps::conclude(packet, about, decide(packet, about, told, maps), maps),
    )
}

/// Asks the payload of such a frame, and goes on with the answer.
#[inline(always)]
fn look<H: Hook + Steps>(hook: H) {
    let (Some(maps), Some(known)) = (KernelMaps::open(), maps::handed_on()) else {
        return;
    };
    let reply = payload::look(
        Frame::with_payload(hook),
        &known.about,
        Reply(known.told),
        maps,
    );
    maps::hand_on_reply(reply);
    // Its slot is filled before this program's.
    hook.go_on(Stage::Flow);
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
