//! TLS: the server name of a ClientHello, and the protocol that it offers (RFC 8446 section 4.1.2,
//! RFC 6066 section 3, RFC 7301).
//!
//! [`record`] reads a hello in a packet, [`handshake`] the hello itself, in whatever bytes it lies:
//! behind its record header in a packet, or in a buffer that gathered it ([`crate::stream`]).
//! Invariant: more bytes of a hello never take back a name, nor give it another one.

use super::{HostName, Window};
use crate::Bytes;
use crate::content::Payload;
use crate::packet::MAX_OFFSET;

/// How many extensions are looked through for the server name. Browsers send some eighteen, in
/// random order.
pub const TLS_EXTENSIONS_MAX: usize = 24;

/// Bytes of a record's header: content type, version, length (RFC 8446 section 5.1).
pub const RECORD_HEADER: usize = 5;

const RECORD_HANDSHAKE: u8 = 22;
/// The highest second byte of a record's version: TLS 1.3 itself says 1 or 3, SSL 3.0 said 0.
const MINOR_MAX: u8 = 4;
const CLIENT_HELLO: u8 = 1;
/// Message type and a length of three bytes.
const MESSAGE_HEADER: usize = 4;
/// From the end of the message header: version and random.
const SESSION_ID_AT: usize = 2 + 32;
const SESSION_ID_MAX: u8 = 32;
const EXTENSION_HEADER: usize = 4;
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;
const PROTOCOLS: u16 = 16;

/// How far a hello was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// Not a hello, or one that says nothing.
    Nothing,
    /// A hello that goes on behind what is there, its server name not heard yet.
    More,
    /// A name, or at least a protocol and no name.
    Found,
}

/// What a hello says. Every field is always set: numbers that may not be there cost the verifier a
/// state each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// How far it was heard.
    pub hearing: Hearing,
    /// The server name; [`HostName::NONE`] if there is none.
    pub server_name: HostName,
    /// The first protocol that is offered (ALPN), or [`HostName::NONE`]. Of a hello whose name was
    /// found and which goes on elsewhere, the protocol may not have been heard.
    pub protocol: HostName,
}

impl Heard {
    /// Nothing was heard.
    pub const NOTHING: Self = Self::only(Hearing::Nothing);

    /// Neither a name nor a protocol.
    #[inline(always)]
    const fn only(hearing: Hearing) -> Self {
        Self {
            hearing,
            server_name: HostName::NONE,
            protocol: HostName::NONE,
        }
    }
}

/// The content type, version and length of a record, if it may carry a part of a hello.
#[inline(always)]
pub(crate) fn handshake_record(header: [u8; RECORD_HEADER]) -> Option<u16> {
    let [content, major, minor, l0, l1] = header;
    if content == RECORD_HANDSHAKE && major == 3 && minor <= MINOR_MAX {
        Some(u16::from_be_bytes([l0, l1]))
    } else {
        None
    }
}

/// Whether a payload that begins like this may be a record with a hello.
#[inline(always)]
pub(crate) const fn greets([content, major, ..]: [u8; 8]) -> bool {
    content == RECORD_HANDSHAKE && major == 3
}

/// The hello in the TLS record that begins the payload. [`Hearing::More`] also for a hello that goes
/// on in another record, and for a payload that ends inside the header.
#[inline(always)]
pub fn record<B: Bytes>(bytes: B, payload: Payload) -> Heard {
    let Some(at) = bytes.settle(payload.at) else {
        return Heard::NOTHING;
    };
    let there = payload.length();
    if there < RECORD_HEADER {
        return Heard::only(beginning(bytes, at, there));
    }
    let Some(length) = bytes.read(at).and_then(handshake_record) else {
        return Heard::NOTHING;
    };
    let record_end = at + RECORD_HEADER + usize::from(length);
    let message = Payload {
        at: at + RECORD_HEADER,
        end: if record_end < payload.end {
            record_end
        } else {
            payload.end
        },
    };
    handshake(bytes, message)
}

/// Whether the `there` bytes at `at`, fewer than a header, may begin a record of a hello.
#[inline(always)]
fn beginning<B: Bytes>(bytes: B, at: usize, there: usize) -> Hearing {
    let content = match bytes.read::<1>(at) {
        Some([content]) => content,
        None => 0,
    };
    // What can't be told yet is taken for what would fit.
    let major = match bytes.read::<2>(at) {
        Some([_, major]) if there >= 2 => major,
        _ => 3,
    };
    let minor = match bytes.read::<3>(at) {
        Some([_, _, minor]) if there >= 3 => minor,
        _ => 0,
    };
    if there > 0 && content == RECORD_HANDSHAKE && major == 3 && minor <= MINOR_MAX {
        Hearing::More
    } else {
        Hearing::Nothing
    }
}

/// The hello whose handshake header begins the payload. What the payload has behind the hello is not
/// looked at.
#[inline(always)]
pub fn handshake<B: Bytes>(bytes: B, payload: Payload) -> Heard {
    // Where nothing can be read, the payload may as well have ended.
    let end = if payload.end < MAX_OFFSET {
        payload.end
    } else {
        MAX_OFFSET
    };
    let (Some(at), Some(end)) = (bytes.settle(payload.at), bytes.settle(end)) else {
        return Heard::NOTHING;
    };
    if end <= at {
        return Heard::only(Hearing::More);
    }
    match bytes.read::<1>(at) {
        Some([CLIENT_HELLO]) => {}
        _ => return Heard::NOTHING,
    }
    if end - at < MESSAGE_HEADER {
        return Heard::only(Hearing::More);
    }
    let Some([_, l0, l1, l2]) = bytes.read::<MESSAGE_HEADER>(at) else {
        return Heard::NOTHING;
    };
    let length = usize::from(l0) << 16 | usize::from(l1) << 8 | usize::from(l2);
    let hello_end = at + MESSAGE_HEADER + length;
    let goes_on = hello_end > end;
    let window = Window {
        bytes,
        end: if goes_on { end } else { hello_end },
    };
    let walk = walk(window, at + MESSAGE_HEADER);
    let server_name = first_name(window, walk.names_at);
    let protocol = first_protocol(window, walk.protocols_at);
    Heard {
        hearing: if server_name.is_some() {
            Hearing::Found
        } else if goes_on && walk.ran_off {
            Hearing::More
        } else if protocol.is_some() {
            Hearing::Found
        } else {
            Hearing::Nothing
        },
        server_name,
        protocol,
    }
}

/// Where the extensions lie that are asked for; an offset of 0 says nowhere. Only places: what they
/// hold is read behind the walk, once and not once for each turn of it.
#[derive(Clone, Copy)]
struct Walk {
    names_at: usize,
    protocols_at: usize,
    /// The walk ended where the bytes did, not at something that is no hello, nor at its end.
    ran_off: bool,
}

/// Walks the extensions of the hello whose body begins at `at`.
#[inline(always)]
fn walk<B: Bytes>(window: Window<B>, at: usize) -> Walk {
    let mut walk = Walk {
        names_at: 0,
        protocols_at: 0,
        ran_off: false,
    };
    let (mut at, end) = match extensions(window, at) {
        Ok(place) => place,
        Err(ran_off) => {
            walk.ran_off = ran_off;
            return walk;
        }
    };
    // One comparison for both ends: this is the loop that a hello's cost is made of.
    let stop = if end < window.end { end } else { window.end };
    // What the compiler knows of it, it would make use of by two comparisons again.
    let Some(stop) = window.bytes.bounded(stop) else {
        return walk;
    };
    let mut next = at;
    let mut seen = 0;
    while seen < TLS_EXTENSIONS_MAX {
        next = at + EXTENSION_HEADER;
        if next > stop {
            break;
        }
        let Some([k0, k1, l0, l1]) = window.bytes.read::<EXTENSION_HEADER>(at) else {
            // As far as can be read, the bytes end here.
            walk.ran_off = true;
            return walk;
        };
        next += usize::from(u16::from_be_bytes([l0, l1]));
        if next > stop {
            break;
        }
        let kind = u16::from_be_bytes([k0, k1]);
        // Of two names the first one holds, whatever comes behind it. Of the protocols nothing is told
        // before the walk has come to its end.
        if kind == SERVER_NAME && walk.names_at == 0 {
            walk.names_at = window.bytes.settle(at).unwrap_or(0);
        }
        if kind == PROTOCOLS {
            walk.protocols_at = window.bytes.settle(at).unwrap_or(0);
        }
        let Some(bounded) = window.bytes.bounded(next) else {
            break;
        };
        at = bounded;
        seen += 1;
    }
    walk.ran_off = next > stop && next <= end;
    walk
}

/// Where the extensions of the hello whose body begins at `at` begin and end; otherwise whether it is
/// for want of bytes.
#[inline(always)]
fn extensions<B: Bytes>(window: Window<B>, at: usize) -> Result<(usize, usize), bool> {
    let [session_id] = window.read::<1>(at + SESSION_ID_AT).ok_or(true)?;
    if session_id > SESSION_ID_MAX {
        return Err(false);
    }
    let at = at + SESSION_ID_AT + 1 + usize::from(session_id);
    let at = window.settle(at).ok_or(true)?;
    let cipher_suites = usize::from(u16::from_be_bytes(window.read(at).ok_or(true)?));
    let at = window.settle(at + 2 + cipher_suites).ok_or(true)?;
    let [compression_methods] = window.read::<1>(at).ok_or(true)?;
    let at = at + 1 + usize::from(compression_methods);
    let at = window.settle(at).ok_or(true)?;
    let length = usize::from(u16::from_be_bytes(window.read(at).ok_or(true)?));
    Ok((at + 2, at + 2 + length))
}

/// The first name of the list in the extension at `at`, which is all that anybody sends.
#[inline(always)]
fn first_name<B: Bytes>(window: Window<B>, at: usize) -> HostName {
    if at == 0 {
        return HostName::NONE;
    }
    let Some([_, _, e0, e1, l0, l1, kind, n0, n1]) = window.read::<9>(at) else {
        return HostName::NONE;
    };
    let length = usize::from(u16::from_be_bytes([e0, e1]));
    let list = usize::from(u16::from_be_bytes([l0, l1]));
    let name = usize::from(u16::from_be_bytes([n0, n1]));
    if kind != HOST_NAME || list + 2 > length || name + 3 > list {
        return HostName::NONE;
    }
    HostName::text(window.bytes, at + 9 + name, name).unwrap_or(HostName::NONE)
}

/// The first protocol of the list in the extension at `at`, which its sender likes best; none where that
/// is the web's, which is everybody's.
#[inline(always)]
fn first_protocol<B: Bytes>(window: Window<B>, at: usize) -> HostName {
    if at == 0 {
        return HostName::NONE;
    }
    let Some([_, _, e0, e1, l0, l1, name]) = window.read::<7>(at) else {
        return HostName::NONE;
    };
    let length = usize::from(u16::from_be_bytes([e0, e1]));
    let list = usize::from(u16::from_be_bytes([l0, l1]));
    let name = usize::from(name);
    if list + 2 > length || name + 1 > list || is_of_the_web(window, at + 7, name) {
        return HostName::NONE;
    }
    HostName::text(window.bytes, at + 7 + name, name).unwrap_or(HostName::NONE)
}

/// Protocols that every browser offers, and that tell no service.
pub const WEB_PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

/// Whether the protocol at `at` is one of [`WEB_PROTOCOLS`].
#[inline(always)]
fn is_of_the_web<B: Bytes>(window: Window<B>, at: usize, length: usize) -> bool {
    let start = window.settle(at).and_then(|at| window.read::<2>(at));
    let Some([b'h', second]) = start else {
        return false;
    };
    // By their lengths and beginnings: no registered protocol is like them in both.
    length == 2 && second == b'2' || length == 8 && second == b't'
}
