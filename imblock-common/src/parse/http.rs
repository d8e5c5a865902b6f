//! HTTP/1: the host that a request is for (RFC 9112 sections 3.2 and 5, RFC 9110 section 7.2).
//!
//! Only what lies in one packet is read: a request whose host comes later remains without one.

use super::{HostName, Window};
use crate::content::Payload;
use crate::{Addr, Bytes};

/// How many bytes behind its method a request is searched for its `Host` field. Clients send it first or second;
/// only a long target comes before it.
pub const HTTP_SEARCHED: usize = 384;

/// The longest host that is read, in bytes. Of a longer one not even the suffix is known.
pub const HTTP_HOST_MAX: usize = 64;

/// Spaces and tabs that are skipped in front of a field's value. Everybody sends one.
const SPACES_MAX: usize = 4;
/// Bytes of the longest IPv4 address that is written out.
const ADDRESS_MAX: usize = "255.255.255.255".len();
/// Digits of a port.
const PORT_DIGITS: usize = 5;

/// A request's destination. Every field is always set; see [`super::tls::Heard`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The host, or [`HostName::NONE`].
    pub(crate) host: HostName,
    /// The address, if [`Request::by_address`].
    pub(crate) address: Addr,
    /// Whether an IPv4 address is written where the host belongs.
    pub(crate) by_address: bool,
    /// The port that a proxy is asked to connect to; 0 for any other request.
    pub(crate) port: u16,
}

impl Request {
    const NONE: Self = Self {
        host: HostName::NONE,
        address: Addr::v4([0; 4]),
        by_address: false,
        port: 0,
    };
}

/// The destination of the request that begins the payload, if one does: that of its target where the
/// target says one (requests to a proxy), else that of its `Host` field.
#[inline(always)]
pub(crate) fn host<B: Bytes>(bytes: B, payload: Payload) -> Request {
    request(bytes, payload).unwrap_or(Request::NONE)
}

#[inline(always)]
fn request<B: Bytes>(bytes: B, payload: Payload) -> Option<Request> {
    let window = Window {
        bytes,
        end: payload.end,
    };
    let at = bytes.settle(payload.at)?;
    let start = u64::from_le_bytes(window.read(at)?);
    let connects = start == word(b"CONNECT ");
    let target = window.settle(at + method(start)?)?;
    let scheme = u64::from_le_bytes(window.read(target)?) | SMALL_SCHEME;
    let at = if connects {
        target
    } else if first::<7>(scheme) == word(b"http://") {
        target + 7
    } else {
        field(window, target)?
    };
    let at = window.settle(at)?;
    let length = window.until::<HTTP_HOST_MAX>(at, |byte| {
        matches!(byte, b'\r' | b'\n' | b' ' | b'\t' | b':' | b'/')
    })?;
    let [opening] = window.read::<1>(at)?;
    if opening == b'[' {
        return None;
    }
    let end = window.settle(at + length)?;
    let port = if connects { port(window, end) } else { 0 };
    match address(window, at, length) {
        Some(octets) => Some(Request {
            address: Addr::v4(octets),
            by_address: true,
            port,
            ..Request::NONE
        }),
        None => Some(Request {
            host: HostName::text(bytes, end, length)?,
            port,
            ..Request::NONE
        }),
    }
}

/// The IPv4 address that these `length` bytes spell: four decimal numbers with dots between them (RFC 3986
/// section 3.2.2).
#[inline(always)]
fn address<B: Bytes>(window: Window<B>, mut at: usize, length: usize) -> Option<[u8; 4]> {
    let (mut address, mut numbers) = (0_u32, 0);
    let (mut number, mut digits) = (0, 0);
    let mut done = 0;
    while done <= ADDRESS_MAX {
        let [byte] = window.read::<1>(at)?;
        let ends = done == length;
        if byte.is_ascii_digit() && digits < 3 && !ends {
            number = number * 10 + u32::from(byte - b'0');
            digits += 1;
        } else if digits > 0 && number <= 0xff && numbers < 4 && (ends || byte == b'.') {
            address = address << 8 | number;
            numbers += 1;
            (number, digits) = (0, 0);
            if ends {
                return (numbers == 4).then_some(address.to_be_bytes());
            }
        } else {
            return None;
        }
        at = window.settle(at + 1)?;
        done += 1;
    }
    None
}

/// The length of the method that begins a request, its space included. `PRI`, the beginning of
/// HTTP/2, is no request: it names nothing.
#[inline(always)]
const fn method(start: u64) -> Option<usize> {
    if first::<4>(start) == word(b"GET ") || first::<4>(start) == word(b"PUT ") {
        Some(4)
    } else if first::<5>(start) == word(b"POST ") || first::<5>(start) == word(b"HEAD ") {
        Some(5)
    } else if first::<6>(start) == word(b"PATCH ") {
        Some(6)
    } else if first::<7>(start) == word(b"DELETE ") {
        Some(7)
    } else if start == word(b"OPTIONS ") || start == word(b"CONNECT ") {
        Some(8)
    } else {
        None
    }
}

/// Where the value of the `Host` field begins, among the lines behind `at`. The offset is settled at
/// each turn; see [`Window::until`].
#[inline(always)]
fn field<B: Bytes>(window: Window<B>, mut at: usize) -> Option<usize> {
    let mut done = 0;
    while done < HTTP_SEARCHED {
        let [byte] = window.read::<1>(at)?;
        if byte == b'\n' {
            let line = u64::from_le_bytes(window.read(at)?);
            if first::<6>(line | SMALL_HOST) == word(b"\nhost:") {
                let at = window.settle(at + 6)?;
                let is_value = |byte| byte != b' ' && byte != b'\t';
                return window.settle(at + window.until::<SPACES_MAX>(at, is_value)?);
            }
            // The empty line: what follows is content.
            if first::<2>(line) == word(b"\n\r") || first::<2>(line) == word(b"\n\n") {
                return None;
            }
        }
        at = window.settle(at + 1)?;
        done += 1;
    }
    None
}

/// The port behind the host that ends at `at`; 0 for none.
#[inline(always)]
fn port<B: Bytes>(window: Window<B>, at: usize) -> u16 {
    let Some([colon]) = window.read::<1>(at) else {
        return 0;
    };
    let Some(digits) = window.read::<PORT_DIGITS>(at + 1) else {
        return 0;
    };
    let (mut port, mut ended) = (0_u32, colon != b':');
    for byte in digits {
        ended |= !byte.is_ascii_digit();
        if !ended {
            port = port * 10 + u32::from(byte - b'0');
        }
    }
    u16::try_from(port).unwrap_or(0)
}

/// What makes the letters of `host` small behind the end of a line; no other byte becomes one.
const SMALL_HOST: u64 = word(b"\0    ");
/// What makes the letters of `http` small.
const SMALL_SCHEME: u64 = word(b"    ");

/// The first `N` bytes of a word.
#[inline(always)]
const fn first<const N: u32>(word: u64) -> u64 {
    word & !(u64::MAX << (8 * N))
}

/// Up to eight bytes as a word, the first one lowest.
const fn word(text: &[u8]) -> u64 {
    let (mut word, mut shift, mut rest) = (0, 0, text);
    while let [first, behind @ ..] = rest {
        word |= (*first as u64) << shift;
        shift += 8;
        rest = behind;
    }
    word
}
