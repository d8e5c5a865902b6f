//! Programs for `cargo xtask bench` alone: the floors that costs are counted from, fronts that make a
//! repeated frame come from many hosts, be of many flows or be several in turn, and a generator of frames.
//! Not part of what is shipped.
#![no_std]
#![no_main]

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::btf_maps::{Array, ProgramArray};
use aya_ebpf::helpers::{bpf_get_prandom_u32, bpf_redirect, bpf_xdp_store_bytes};
use aya_ebpf::macros::{btf_map, xdp};
use aya_ebpf::programs::XdpContext;

/// The program that the fronts go on with.
#[btf_map]
static NEXT: ProgramArray<1> = ProgramArray::new();

/// Ethernet header and IPv4 header without options.
const HEADERS: usize = 34;
/// The same, and the ports behind it.
const HEADERS_AND_PORTS: usize = HEADERS + 4;
/// The IPv4 identification: here, how many hosts to choose from, or how many ports.
const HOSTS_AT: usize = 18;
/// The IPv4 time to live: here, how many hosts to choose from where the ports are chosen, too.
const FEW_HOSTS_AT: usize = 22;
/// The lower half of the IPv4 source address.
const HOST_AT: usize = 28;

/// What the generator rewrites in each frame, that of the smallest: so many words, and half a one.
const HEAD_WORDS: usize = 7;
/// The same in bytes.
const HEAD: usize = 8 * HEAD_WORDS + 4;

/// What the generator is to send.
#[repr(C)]
struct Orders {
    head: [u64; HEAD_WORDS],
    head_end: u32,
    /// The number of the interface that the frames leave by.
    out: u32,
    /// From how many hosts, chosen at random; 0 for the one of the head.
    hosts: u32,
    /// From how many ports, likewise.
    ports: u32,
}

/// Bytes of a frame that is said in turn with others.
const LINE: usize = 1536;
/// How many there are at most.
const LINES: usize = 4;

/// Frames that are said in turn, each filled up with zeros.
#[btf_map]
static SCRIPT: Array<[u8; LINE], LINES> = Array::new();

/// Where in the script we are.
#[repr(C)]
struct Turn {
    /// What is said next.
    next: u32,
    /// How many frames are said before the first one comes again.
    lines: u32,
    /// The port of the flow that says them.
    port: u32,
}

#[btf_map]
static TURN: Array<Turn, 1> = Array::new();

/// The one order that holds.
#[btf_map]
static ORDERS: Array<Orders, 1> = Array::new();

/// What every XDP program costs before it does anything.
#[xdp(frags)]
fn empty(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

/// The cheapest filter there is.
#[xdp(frags)]
fn discard(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

/// Sends the frame out of an interface. Pages come back as whoever got them left them, with other
/// addresses and a smaller time to live, so the head is written anew in each.
#[xdp]
fn generate(ctx: XdpContext) -> u32 {
    let Some(orders) = ORDERS.get(0) else {
        return xdp_action::XDP_ABORTED;
    };
    let start = ctx.data() as *mut u8;
    if start.wrapping_add(HEAD) as usize > ctx.data_end() {
        return xdp_action::XDP_ABORTED;
    }
    // Word by word: of so many bytes the compiler makes a loop.
    let words = start.cast::<u64>();
    for (at, word) in orders.head.into_iter().enumerate() {
        // SAFETY: the frame is at least `HEAD` bytes long.
        unsafe { words.wrapping_add(at).write_unaligned(word) };
    }
    let end = words.wrapping_add(HEAD_WORDS).cast::<u32>();
    // SAFETY: as above.
    unsafe { end.write_unaligned(orders.head_end) };
    if orders.hosts | orders.ports != 0 {
        // SAFETY: the helper takes nothing.
        let random = unsafe { bpf_get_prandom_u32() };
        if orders.hosts != 0 {
            let host = one_of(orders.hosts, random);
            // SAFETY: as above.
            unsafe {
                // What the address adds to the header's checksum the identification takes off.
                start
                    .wrapping_add(HOSTS_AT)
                    .cast::<[u8; 2]>()
                    .write((!host as u16).to_be_bytes());
                start
                    .wrapping_add(HOST_AT)
                    .cast::<[u8; 2]>()
                    .write((host as u16).to_be_bytes());
            }
        }
        if orders.ports != 0 {
            let port = one_of(orders.ports, random >> 16);
            // SAFETY: as above.
            unsafe {
                start
                    .wrapping_add(HEADERS)
                    .cast::<[u8; 2]>()
                    .write((0x8000 | port as u16).to_be_bytes())
            };
        }
    }
    // SAFETY: the helper takes numbers.
    unsafe { bpf_redirect(orders.out, 0) as u32 }
}

/// Writes a random host into the source address, then goes on with `NEXT`.
#[xdp(frags)]
fn vary_source(ctx: XdpContext) -> u32 {
    let start = ctx.data() as *mut u8;
    if start.wrapping_add(HEADERS) as usize > ctx.data_end() {
        return xdp_action::XDP_ABORTED;
    }
    // SAFETY: the frame is at least `HEADERS` bytes long. `[u8; 2]` has no alignment.
    let hosts = unsafe { start.wrapping_add(HOSTS_AT).cast::<[u8; 2]>().read() };
    // SAFETY: the helper takes nothing.
    let random = unsafe { bpf_get_prandom_u32() };
    let host = one_of(u16::from_be_bytes(hosts).into(), random);
    // SAFETY: as above.
    unsafe {
        start
            .wrapping_add(HOST_AT)
            .cast::<[u8; 2]>()
            .write((host as u16).to_be_bytes())
    };
    // SAFETY: nothing here needs to be dropped.
    unsafe { NEXT.tail_call(&ctx, 0) };
    xdp_action::XDP_ABORTED
}

/// Writes a random port into the upper half of the source port's range and a random host into the last
/// byte of the source address, then goes on with `NEXT`.
#[xdp(frags)]
fn vary_flow(ctx: XdpContext) -> u32 {
    let start = ctx.data() as *mut u8;
    if start.wrapping_add(HEADERS_AND_PORTS) as usize > ctx.data_end() {
        return xdp_action::XDP_ABORTED;
    }
    // SAFETY: the frame is at least `HEADERS_AND_PORTS` bytes long. Bytes have no alignment.
    let (ports, hosts) = unsafe {
        (
            start.wrapping_add(HOSTS_AT).cast::<[u8; 2]>().read(),
            start.wrapping_add(FEW_HOSTS_AT).read(),
        )
    };
    // SAFETY: the helper takes nothing.
    let random = unsafe { bpf_get_prandom_u32() };
    let port = one_of(u16::from_be_bytes(ports).into(), random);
    let host = one_of(hosts.into(), random >> 16);
    // SAFETY: as above.
    unsafe {
        start
            .wrapping_add(HEADERS)
            .cast::<[u8; 2]>()
            .write((0x8000 | port as u16).to_be_bytes());
        start.wrapping_add(HOST_AT + 1).write(host as u8);
    }
    // SAFETY: nothing here needs to be dropped.
    unsafe { NEXT.tail_call(&ctx, 0) };
    xdp_action::XDP_ABORTED
}

/// Puts the next frame of the script in the place of the one that is there, then goes on with `NEXT`. What
/// is said from one beginning to the next is of one flow, with a random port like those of `vary_flow`.
#[xdp(frags)]
fn say_in_turn(ctx: XdpContext) -> u32 {
    let Some(turn) = TURN.get_ptr_mut(0) else {
        return xdp_action::XDP_ABORTED;
    };
    // SAFETY: the entry lives as long as its map, and one CPU at a time measures.
    let turn = unsafe { &mut *turn };
    let line = turn.next;
    let Some(bytes) = SCRIPT.get_ptr(line) else {
        return xdp_action::XDP_ABORTED;
    };
    // SAFETY: the entry is `LINE` bytes long, and only read.
    let stored = unsafe { bpf_xdp_store_bytes(ctx.ctx, 0, bytes.cast_mut().cast(), LINE as u32) };
    let start = ctx.data() as *mut u8;
    if stored != 0 || start.wrapping_add(HEADERS_AND_PORTS) as usize > ctx.data_end() {
        return xdp_action::XDP_ABORTED;
    }
    if line == 0 {
        // SAFETY: the frame is at least `HEADERS_AND_PORTS` bytes long. `[u8; 2]` has no alignment.
        let ports = unsafe { start.wrapping_add(HOSTS_AT).cast::<[u8; 2]>().read() };
        // SAFETY: the helper takes nothing.
        let random = unsafe { bpf_get_prandom_u32() };
        turn.port = 0x8000 | one_of(u16::from_be_bytes(ports).into(), random);
    }
    turn.next = if line + 1 < turn.lines { line + 1 } else { 0 };
    // SAFETY: as above.
    unsafe {
        start
            .wrapping_add(HEADERS)
            .cast::<[u8; 2]>()
            .write((turn.port as u16).to_be_bytes());
    }
    // SAFETY: nothing here needs to be dropped.
    unsafe { NEXT.tail_call(&ctx, 0) };
    xdp_action::XDP_ABORTED
}

/// A number below `many`, at most 65,536, by the lowest 16 bits of a random one.
#[inline(always)]
const fn one_of(many: u32, random: u32) -> u32 {
    ((random & 0xffff) * many) >> 16
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
