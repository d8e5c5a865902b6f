//! The name that a client asks for: in a TLS hello, an HTTP request, a DNS question, or of a SOCKS
//! proxy.
//!
//! Gates in front: a local host sent the packet, and its first bytes are those of such a message.
//! Behind them one lookup of the longest known suffix, a second one only for the protocol of a hello
//! without a known name. Invariant: whatever protocol wrote it, the same name has the same key.

use super::Evidence;
use super::question::Start;
use crate::content::{Answer, Finding, Payload, Scene, Sender};
use crate::layout::{Half, NameKey};
use crate::parse::tls::{Heard, Hearing};
use crate::parse::{DNS_PORT, HostName, dns, http, socks, tls};
use crate::{Addr, Bytes, Direction, Tables, Transport};

/// What a client asked for. Every field is always set: numbers that may not be there cost the
/// verifier a state each.
#[derive(Clone, Copy)]
struct Asked {
    /// How the destination is told.
    by: By,
    /// What told it.
    evidence: Evidence,
    /// The host, or none.
    host: HostName,
    /// The protocol that a TLS client offers, or none.
    protocol: HostName,
    /// The address, if that is what the client asked for.
    address: Addr,
    /// The port that a proxy is asked to connect to; 0 for none.
    port: u16,
}

/// How a destination is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Nothing,
    /// Its telling goes on in the next packet.
    More,
    Name,
    Address,
}

impl By {
    #[inline(always)]
    const fn of(by_address: bool, host: HostName) -> Self {
        if by_address {
            Self::Address
        } else if host.is_some() {
            Self::Name
        } else {
            Self::Nothing
        }
    }
}

impl Asked {
    /// For nothing.
    const NOTHING: Self = Self {
        by: By::Nothing,
        evidence: Evidence::Sni,
        host: HostName::NONE,
        protocol: HostName::NONE,
        address: Addr::v4([0; 4]),
        port: 0,
    };

    /// The same, of which the verifier forgets the way; see [`HostName::settled`].
    #[inline(always)]
    fn settled<B: Bytes>(self, bytes: B) -> Option<Self> {
        let [evidence, ..] = bytes.forget(self.evidence as u64).to_le_bytes();
        let [p0, p1, ..] = bytes.forget(u64::from(self.port)).to_le_bytes();
        Some(Self {
            evidence: Evidence::from_slot(evidence),
            host: self.host.settled(bytes)?,
            protocol: self.protocol.text_settled(bytes)?,
            port: u16::from_le_bytes([p0, p1]),
            ..self
        })
    }

    #[inline(always)]
    const fn of_hello(heard: Heard) -> Self {
        Self {
            by: match heard.hearing {
                Hearing::Nothing => By::Nothing,
                Hearing::More => By::More,
                Hearing::Found => By::Name,
            },
            host: heard.server_name,
            protocol: heard.protocol,
            ..Self::NOTHING
        }
    }

    #[inline(always)]
    const fn of_question(host: HostName) -> Self {
        Self {
            by: By::Name,
            evidence: Evidence::Dns,
            host,
            ..Self::NOTHING
        }
    }

    #[inline(always)]
    const fn of_request(request: http::Request) -> Self {
        Self {
            by: By::of(request.by_address, request.host),
            evidence: Evidence::Http,
            host: request.host,
            address: request.address,
            port: request.port,
            ..Self::NOTHING
        }
    }

    #[inline(always)]
    const fn of_destination(destination: socks::Destination) -> Self {
        Self {
            by: By::of(destination.by_address, destination.host),
            evidence: Evidence::Socks,
            host: destination.host,
            address: destination.address,
            port: destination.port,
            ..Self::NOTHING
        }
    }
}

/// Whether a message that asks for something may begin like this.
#[inline(always)]
pub(super) const fn may_begin([first, ..]: Start, scene: &Scene) -> bool {
    let is_dns = scene.remote_port == DNS_PORT;
    match scene.transport {
        Transport::Udp => is_dns,
        // HTTP, TLS, SOCKS: see `asked`.
        Transport::Tcp => matches!(first, b'C'..=b'P' | 22 | 4 | 5) || is_dns,
    }
}

/// What a packet of a young flow asks for, and whose it is.
#[inline(always)]
pub(crate) fn find<B: Bytes, T: Tables>(bytes: B, scene: &Scene, tables: T) -> Finding {
    if matches!(scene.sender, Sender::Server) || scene.direction != Direction::Sent {
        return Finding::NOTHING;
    }
    let asked = match scene.transport {
        Transport::Udp if scene.remote_port == DNS_PORT => question(bytes, scene.payload),
        Transport::Udp => return Finding::NOTHING,
        Transport::Tcp => asked(bytes, scene.payload, scene.remote_port),
    };
    answer(bytes, asked, scene.half, tables)
}

/// What the hello that [`crate::stream`] gathered asks for, and whose it is. `bytes` is what it was
/// heard in.
#[inline(always)]
pub(crate) fn of_hello<B: Bytes, T: Tables>(
    bytes: B,
    heard: Heard,
    half: Half,
    tables: T,
) -> Finding {
    answer(bytes, Asked::of_hello(heard), half, tables)
}

/// What a TCP payload asks for. The first byte says which protocol it may be, and each of them looks
/// at more.
#[inline(always)]
fn asked<B: Bytes>(bytes: B, payload: Payload, remote_port: u16) -> Asked {
    if remote_port == DNS_PORT {
        let message = dns::message_of_tcp(bytes, payload);
        if message.length() > 0 {
            return question(bytes, message);
        }
    }
    let first = match bytes.settle(payload.at) {
        Some(at) if payload.length() > 0 => bytes.read::<1>(at),
        _ => None,
    };
    match first {
        Some([b'C'..=b'P']) => Asked::of_request(http::host(bytes, payload)),
        Some([22]) => Asked::of_hello(tls::record(bytes, payload)),
        Some([4 | 5]) => Asked::of_destination(socks::destination(bytes, payload)),
        _ => Asked::NOTHING,
    }
}

#[inline(always)]
fn question<B: Bytes>(bytes: B, payload: Payload) -> Asked {
    dns::question(bytes, payload).map_or(Asked::NOTHING, Asked::of_question)
}

/// Whose the destination is.
#[inline(always)]
fn answer<B: Bytes, T: Tables>(bytes: B, asked: Asked, half: Half, tables: T) -> Finding {
    match asked.by {
        By::Nothing => Finding::NOTHING,
        By::More => Finding::only(Answer::More, asked.evidence),
        By::Address => match tables.remote(half, &asked.address) {
            0 => Finding::flow(service_of_port(asked.port, half, tables), asked.evidence),
            service => Finding::flow(service, asked.evidence),
        },
        By::Name => match asked.settled(bytes) {
            Some(asked) => named(bytes, asked, half, tables),
            None => Finding::NOTHING,
        },
    }
}

/// The service whose port a proxy is asked to connect to; 0 for none, and for no port.
#[inline(always)]
fn service_of_port<T: Tables>(port: u16, half: Half, tables: T) -> u16 {
    if port == 0 {
        return 0;
    }
    tables.port(half, Transport::Tcp, port).service()
}

/// Whose the named destination is.
#[inline(always)]
fn named<B: Bytes, T: Tables>(bytes: B, asked: Asked, half: Half, tables: T) -> Finding {
    // The name and then the protocol, through the same instructions: they are many.
    let (mut name, mut kind) = (asked.host, NameKey::HOST);
    let mut service = 0;
    let mut tries = 0;
    while tries < 2 {
        if name.is_some() {
            service = key(bytes, half, kind, name).map_or(0, |key| tables.name(&key));
            if service != 0 {
                break;
            }
        }
        (name, kind) = (asked.protocol, NameKey::ALPN);
        tries += 1;
    }
    let evidence = match tries {
        1 => Evidence::Alpn,
        _ => asked.evidence,
    };
    if service == 0 {
        service = service_of_port(asked.port, half, tables);
    }
    if service == 0 {
        return other(bytes, asked);
    }
    let finding = Finding::flow(service, evidence);
    match evidence {
        // The flow leads to a name server; only the question is the service's.
        Evidence::Dns => Finding {
            answer: Answer::Packet,
            ..finding
        },
        _ => finding,
    }
}

/// What a destination of no service says of the flow: the name of a server is one that no address
/// can tell better. A question is not about its own flow, a proxy's client goes on speaking behind
/// its request, and an address that is written where a name belongs is no name.
#[inline(always)]
fn other<B: Bytes>(bytes: B, asked: Asked) -> Finding {
    if !matches!(asked.evidence, Evidence::Sni | Evidence::Http) || !asked.host.is_some() {
        return Finding::NOTHING;
    }
    let last = bytes.settle(asked.host.end.saturating_sub(1));
    match last.and_then(|at| bytes.read::<1>(at)) {
        // No top-level domain ends in a digit.
        Some([b'0'..=b'9']) | None => Finding::NOTHING,
        Some(_) => Finding::only(Answer::Other, asked.evidence),
    }
}

/// Bytes of a name that are turned round at once.
const WORD: usize = 8;

/// The key of a name: its last [`NameKey::LENGTH`] bytes, backwards, in lower case. The name does not
/// begin in the first [`WORD`] bytes of the frame, where there are link headers.
///
/// A word at a time, as many as the name has, and without a branch that depends on its letters.
#[inline(always)]
pub(super) fn key<B: Bytes>(packet: B, half: Half, kind: u8, host: HostName) -> Option<NameKey> {
    let end = packet.bounded(host.end)?;
    let length = packet.bounded(host.length)?;
    let letters = if length < 64 {
        !(u64::MAX << length)
    } else {
        u64::MAX
    };
    let [half, ..] = half.index().to_le_bytes();
    // The first word's bytes in all of them, though the others are written below: zeros would be set
    // a byte at a time, by a call.
    let mut words = [u32::from_ne_bytes([half, kind, 0, 0]); size_of::<NameKey>() / 4];
    // Of which the verifier does not know that it is zero: it walks what follows once, and not once for
    // each length of a name.
    let nothing = packet.forget_word(0);
    let mut done = 0;
    for halves in words.get_mut(1..)?.chunks_mut(2) {
        let mut letters_here = [nothing; 2];
        if done < length {
            // A short name near the start of a frame: what is read there is masked. Settled, lest the
            // compiler add the parts of the offset to the packet pointer one by one: the verifier follows
            // no pointer to before the packet.
            let at = packet.settle(end.saturating_sub(done + WORD))?;
            // Read as big-endian and stored as little-endian: backwards.
            let read = lower_case(u64::from_be_bytes(packet.read(at)?));
            let dots = mask(host.dots >> done);
            let named = (read & !dots) | (DOTS & dots);
            letters_here = bytemuck::cast((named & mask(letters >> done)).to_le());
        }
        for (to, from) in halves.iter_mut().zip(letters_here) {
            *to = from;
        }
        done += WORD;
    }
    Some(bytemuck::cast(words))
}

/// One in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;
/// A dot in each byte.
const DOTS: u64 = u64::from_le_bytes([b'.'; WORD]);
/// The highest bit of each byte.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Makes the ASCII capitals among the bytes of a word small.
#[inline(always)]
const fn lower_case(word: u64) -> u64 {
    // Seven bits a byte, so that no sum carries into the next.
    let low = word & !HIGH;
    let from_a = low + ONES * (0x80 - b'A' as u64);
    let behind_z = low + ONES * (0x7f - b'Z' as u64);
    let capital = (from_a ^ behind_z) & !word & HIGH;
    word | capital >> 2
}

/// All bits of those bytes whose bit is set; the lowest bit is the lowest byte's.
#[inline(always)]
const fn mask(bits: u64) -> u64 {
    let [bits, ..] = bits.to_le_bytes();
    let spread = u64::from_le_bytes([bits; WORD]) & 0x8040_2010_0804_0201;
    (((spread + !HIGH) & HIGH) >> 7) * 0xff
}

#[cfg(test)]
mod tests;
