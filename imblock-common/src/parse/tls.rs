//! TLS: the server name of a ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3).
//!
//! Only what lies in one segment is read. A hello that goes on in the next one may not be named.

use super::HostName;
use crate::Bytes;

/// How many extensions are looked through for the server name. Browsers send some eighteen, in
/// random order.
pub const TLS_EXTENSIONS_MAX: usize = 24;

const RECORD_HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// Record header, handshake header, version and random.
const SESSION_ID_AT: usize = 5 + 4 + 2 + 32;
const SESSION_ID_MAX: u8 = 32;
const EXTENSION_HEADER: usize = 4;
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;

/// The server name of the hello at `at`, if that is where one begins.
#[inline(always)]
pub(crate) fn server_name<B: Bytes>(packet: B, at: usize) -> Option<HostName> {
    let [content, major, _, _, _, message] = packet.read::<6>(at)?;
    if content != RECORD_HANDSHAKE || major != 3 || message != CLIENT_HELLO {
        return None;
    }
    let (mut at, end) = extensions(packet, at)?;
    let mut seen = 0;
    while seen < TLS_EXTENSIONS_MAX {
        let [k0, k1, l0, l1] = packet.read::<EXTENSION_HEADER>(at)?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let next = packet.settle(at + EXTENSION_HEADER + length)?;
        if next > end {
            return None;
        }
        if u16::from_be_bytes([k0, k1]) == SERVER_NAME {
            return first_of_list(packet, at + EXTENSION_HEADER, length);
        }
        at = next;
        seen += 1;
    }
    None
}

/// Where the extensions of the hello at `at` begin and end.
#[inline(always)]
fn extensions<B: Bytes>(packet: B, at: usize) -> Option<(usize, usize)> {
    let [session_id] = packet.read::<1>(at + SESSION_ID_AT)?;
    if session_id > SESSION_ID_MAX {
        return None;
    }
    let at = packet.settle(at + SESSION_ID_AT + 1 + usize::from(session_id))?;
    let cipher_suites = usize::from(u16::from_be_bytes(packet.read(at)?));
    let at = packet.settle(at + 2 + cipher_suites)?;
    let [compression_methods] = packet.read::<1>(at)?;
    let at = packet.settle(at + 1 + usize::from(compression_methods))?;
    let length = usize::from(u16::from_be_bytes(packet.read(at)?));
    Some((at + 2, at + 2 + length))
}

/// The first name of the list at `at`, which is all that anybody sends. Its extension has `length`
/// bytes.
#[inline(always)]
fn first_of_list<B: Bytes>(packet: B, at: usize, length: usize) -> Option<HostName> {
    let [l0, l1, kind, n0, n1] = packet.read::<5>(at)?;
    let list = usize::from(u16::from_be_bytes([l0, l1]));
    let name = usize::from(u16::from_be_bytes([n0, n1]));
    if kind != HOST_NAME || list + 2 > length || name + 3 > list {
        return None;
    }
    HostName::text(packet, at + 5 + name, name)
}
