//! Programs for `cargo xtask bench` alone: the floor that costs are counted from, and fronts that make
//! a repeated frame come from many hosts or be of many flows. Not part of what is shipped.
#![no_std]
#![no_main]

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::btf_maps::ProgramArray;
use aya_ebpf::helpers::bpf_get_prandom_u32;
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

/// What every XDP program costs before it does anything.
#[xdp(frags)]
fn empty(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_PASS
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
    let random = unsafe { bpf_get_prandom_u32() } & 0xffff;
    let host = (random * u32::from(u16::from_be_bytes(hosts))) >> 16;
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
    let port = ((random & 0xffff) * u32::from(u16::from_be_bytes(ports))) >> 16;
    let host = ((random >> 16) * u32::from(hosts)) >> 16;
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

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// The kernel hands helpers marked GPL-only to no other licence.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
