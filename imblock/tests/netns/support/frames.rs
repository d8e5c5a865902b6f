//! Frames that no ordinary socket sends, put on a cable as they are.

use imblock::lab::Namespace;
use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::{AddressFamily, SendFlags, SocketType, sendto, socket};

/// Puts frames on the cable of an interface.
pub(crate) fn send_frames(from: &Namespace, interface: &str, frames: &[Vec<u8>]) {
    let to = LinkAddress::of(from.index(interface).unwrap());
    from.run(|| {
        // Protocol 0: this socket sends, and receives nothing.
        let socket = socket(AddressFamily::PACKET, SocketType::RAW, None).unwrap();
        for frame in frames {
            assert_eq!(
                sendto(&socket, frame, SendFlags::empty(), &to).unwrap(),
                frame.len()
            );
        }
    })
    .unwrap();
}

/// `struct sockaddr_ll` of `linux/if_packet.h`.
#[repr(C)]
struct LinkAddress {
    family: u16,
    protocol: u16,
    index: i32,
    kind: u16,
    packet: u8,
    length: u8,
    address: [u8; 8],
}

impl LinkAddress {
    fn of(index: u32) -> Self {
        Self {
            family: AddressFamily::PACKET.as_raw(),
            protocol: 0,
            index: index.try_into().unwrap(),
            kind: 0,
            packet: 0,
            length: 6,
            address: [0; 8],
        }
    }
}

#[expect(
    unsafe_code,
    reason = "rustix has no type for addresses of packet sockets"
)]
// SAFETY: the pointer is to a whole `sockaddr_ll`, which outlives the call.
unsafe impl SocketAddrArg for LinkAddress {
    unsafe fn with_sockaddr<R>(
        &self,
        f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        f(
            std::ptr::from_ref(self).cast(),
            size_of::<Self>() as SocketAddrLen,
        )
    }
}
