//! A switch of a network device that netlink has not: `ethtool -K INTERFACE gro on`.
#![expect(unsafe_code, reason = "ioctl, by which the switch is set")]

use std::net::UdpSocket;

use anyhow::{Context as _, Result};
use rustix::ioctl::{Opcode, Updater, ioctl};

/// `SIOCETHTOOL` of `linux/sockios.h`.
const ETHTOOL: Opcode = 0x8946;
/// `ETHTOOL_SGRO` of `linux/ethtool.h`.
const SET_GRO: u32 = 0x2c;

/// `struct ifreq`.
#[repr(C)]
struct Request {
    interface: [u8; 16],
    value: *mut Value,
    /// The other things that may stand in its place are longer.
    rest: [u8; 16],
}

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// Lets an interface of this thread's network join what belongs together. A veth takes redirected
/// frames only if it does, or has an XDP program.
pub(super) fn enable_gro(interface: &str) -> Result<()> {
    let mut value = Value {
        command: SET_GRO,
        data: 1,
    };
    let mut name = [0; 16];
    for (to, from) in name.iter_mut().take(15).zip(interface.bytes()) {
        *to = from;
    }
    let mut request = Request {
        interface: name,
        value: &raw mut value,
        rest: [0; 16],
    };
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    // SAFETY: this is what the opcode takes; `value` outlives the call.
    let order = unsafe { Updater::<ETHTOOL, Request>::new(&mut request) };
    // SAFETY: as above. The kernel reads `value` and writes nothing.
    unsafe { ioctl(&socket, order) }.with_context(|| format!("cannot switch GRO on at {interface}"))
}
