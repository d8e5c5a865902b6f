//! SOCKS: the destination that a proxy is asked to connect to (versions 4 and 4a; version 5,
//! RFC 1928 section 4).
//!
//! Both protocols begin with a few bytes that any other may begin with, so a request counts only
//! when it fills its packet exactly: a client has to wait for the answer.

use super::{HostName, Window};
use crate::content::Payload;
use crate::{Addr, Bytes};

/// The longest user id and the longest name that are read of a version 4 request, in bytes.
const TEXT_MAX: usize = 64;

const CONNECT: u8 = 1;
const VERSION_4: u8 = 4;
const VERSION_5: u8 = 5;
/// Address types of version 5.
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
/// Version, command, port and address of version 4.
const HEADER_4: usize = 8;
/// Version, command, a reserved byte and the address type of version 5.
const HEADER_5: usize = 4;
const PORT: usize = 2;

/// A request's destination: a host or an address, and a port. Every field is always set; see
/// [`super::tls::Heard`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// The host, or [`HostName::NONE`].
    pub(crate) host: HostName,
    /// The address, if [`Destination::by_address`].
    pub(crate) address: Addr,
    /// Whether the destination is an address.
    pub(crate) by_address: bool,
    /// The port at the destination; 0 for no request.
    pub(crate) port: u16,
}

impl Destination {
    const NONE: Self = Self {
        host: HostName::NONE,
        address: Addr::v4([0; 4]),
        by_address: false,
        port: 0,
    };

    #[inline(always)]
    const fn of_address(address: Addr, port: u16) -> Self {
        Self {
            address,
            by_address: true,
            port,
            ..Self::NONE
        }
    }

    #[inline(always)]
    const fn of_host(host: HostName, port: u16) -> Self {
        Self {
            host,
            port,
            ..Self::NONE
        }
    }
}

/// The destination of the request that is this payload, if it is one. A greeting says nothing.
#[inline(always)]
pub(crate) fn destination<B: Bytes>(bytes: B, payload: Payload) -> Destination {
    request(bytes, payload).unwrap_or(Destination::NONE)
}

#[inline(always)]
fn request<B: Bytes>(bytes: B, payload: Payload) -> Option<Destination> {
    let at = bytes.settle(payload.at)?;
    let window = Window {
        bytes,
        end: payload.end,
    };
    match window.read::<2>(at)? {
        [VERSION_4, CONNECT] => version_4(window, at),
        [VERSION_5, CONNECT] => version_5(window, at),
        _ => None,
    }
}

#[inline(always)]
fn version_4<B: Bytes>(window: Window<B>, at: usize) -> Option<Destination> {
    let [_, _, p0, p1, a, b, c, d] = window.read::<HEADER_4>(at)?;
    let port = u16::from_be_bytes([p0, p1]);
    let text_at = at + HEADER_4;
    let text_at = window.settle(text_at)?;
    let user_id = window.until::<TEXT_MAX>(text_at, |byte| byte == 0)?;
    let behind = window.settle(text_at + user_id + 1)?;
    // An address that can't be one announces a name behind the user id.
    let is_name = a == 0 && b == 0 && c == 0 && d != 0;
    if !is_name {
        return (behind == window.end)
            .then_some(Destination::of_address(Addr::v4([a, b, c, d]), port));
    }
    let length = window.until::<TEXT_MAX>(behind, |byte| byte == 0)?;
    let end = window.settle(behind + length)?;
    if end + 1 != window.end {
        return None;
    }
    let host = HostName::text(window.bytes, end, length)?;
    Some(Destination::of_host(host, port))
}

#[inline(always)]
fn version_5<B: Bytes>(window: Window<B>, at: usize) -> Option<Destination> {
    let [_, _, reserved, kind, length] = window.read::<{ HEADER_5 + 1 }>(at)?;
    if reserved != 0 {
        return None;
    }
    let at = at + HEADER_5;
    let (length, name) = match kind {
        IPV4 => (4, 0),
        IPV6 => (16, 0),
        NAME => (1 + usize::from(length), usize::from(length)),
        _ => return None,
    };
    let port_at = window.settle(at + length)?;
    if port_at + PORT != window.end {
        return None;
    }
    let port = u16::from_be_bytes(window.read(port_at)?);
    match kind {
        IPV4 => Some(Destination::of_address(Addr::v4(window.read(at)?), port)),
        IPV6 => Some(Destination::of_address(Addr::v6(window.read(at)?), port)),
        _ => {
            let host = HostName::text(window.bytes, port_at, name)?;
            Some(Destination::of_host(host, port))
        }
    }
}
