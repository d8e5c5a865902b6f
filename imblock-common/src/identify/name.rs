//! The name that a client asks for: in a TLS hello or a DNS question.
//!
//! Gates in front: some service has names, a local host sent the packet, its first bytes are those
//! of such a message. Behind them one lookup of the longest known suffix. Only where packets enter
//! from the LAN: the egress program of a WAN side would take the verifier 600,000 steps of the
//! 1,000,000 that the kernel allows.

use super::{Evidence, Identified};
use crate::layout::{Control, Half, NameKey, PortEntry};
use crate::parse::{DNS_PORT, HostName, dns, tls};
use crate::tables::LivePolicy;
use crate::{Bytes, Direction, Ends, Segment, Side, Tables, Transport};

/// The service that the named host belongs to. `payload_at` is where the transport's payload begins,
/// 0 if that can't be told; `remote_port` is the remote port's entry, for the guard.
#[inline(always)]
pub(super) fn identify<B: Bytes, T: Tables>(
    packet: B,
    segment: &Segment,
    ends: &Ends,
    payload_at: usize,
    remote_port: PortEntry,
    policy: LivePolicy,
    tables: T,
) -> Option<Identified> {
    if policy.flags & Control::HAS_NAMES == 0
        || ends.direction != Direction::Sent
        || ends.side != Side::Lan
        || payload_at == 0
    {
        return None;
    }
    let evidence = match segment.transport {
        Transport::Udp if ends.remote_port == DNS_PORT => Evidence::Dns,
        Transport::Udp => return None,
        Transport::Tcp => Evidence::Sni,
    };
    match service(packet, payload_at, evidence, policy.half, tables) {
        0 => None,
        service => Some(Identified {
            service,
            evidence,
            remote_port,
        }),
    }
}

/// The service of the name in the payload at `at`; 0 for none.
///
/// Inlined in the kernel, too: a function of its own would have a symbol, whose hash depends on the
/// folder of the build, and the object would not be reproducible.
#[inline(always)]
fn service<B: Bytes, T: Tables>(
    packet: B,
    at: usize,
    evidence: Evidence,
    half: Half,
    tables: T,
) -> u16 {
    named(packet, at, evidence)
        .and_then(|host| key(packet, half, host))
        .map_or(0, |key| tables.name(&key))
}

/// Where the name lies in the payload at `at`.
#[inline(always)]
fn named<B: Bytes>(packet: B, at: usize, evidence: Evidence) -> Option<HostName> {
    let at = packet.settle(at)?;
    match evidence {
        Evidence::Dns => dns::question(packet, at),
        _ => tls::server_name(packet, at),
    }
}

/// Bytes of a name that are turned round at once.
const WORD: usize = 4;

/// The key of a name: its last [`NameKey::LENGTH`] bytes, backwards, in lower case.
///
/// A word at a time and without a branch that depends on the name: that is cheap for the processor,
/// and the verifier walks it once, not once for each length.
#[inline(always)]
fn key<B: Bytes>(packet: B, half: Half, host: HostName) -> Option<NameKey> {
    let end = packet.settle(host.end)?;
    let length = packet.settle(host.length)?;
    let letters = if length < 64 {
        !(u64::MAX << length)
    } else {
        u64::MAX
    };
    let mut key = NameKey {
        half: if half.index() == 0 { 0 } else { 1 },
        kind: NameKey::HOST,
        reserved: [0; 2],
        backwards: [0; NameKey::LENGTH],
    };
    let (words, _) = key.backwards.as_chunks_mut::<WORD>();
    let mut done = 0;
    for word in words {
        // A short name near the start of a frame: what is read there is masked. Settled, lest the
        // compiler add the parts of the offset to the packet pointer one by one: the verifier follows
        // no pointer to before the packet.
        let at = packet.settle(end.saturating_sub(done + WORD))?;
        // Read as big-endian and stored as little-endian: backwards.
        let read = lower_case(u32::from_be_bytes(packet.read(at)?));
        let dots = mask(host.dots >> done);
        let named = (read & !dots) | (DOTS & dots);
        *word = (named & mask(letters >> done)).to_le_bytes();
        done += WORD;
    }
    Some(key)
}

/// One in each byte.
const ONES: u32 = 0x0101_0101;
/// A dot in each byte.
const DOTS: u32 = u32::from_le_bytes([b'.'; WORD]);
/// The highest bit of each byte.
const HIGH: u32 = 0x8080_8080;

/// Makes the ASCII capitals among the bytes of a word small.
#[inline(always)]
const fn lower_case(word: u32) -> u32 {
    // Seven bits a byte, so that no sum carries into the next.
    let low = word & !HIGH;
    let from_a = low + ONES * (0x80 - b'A' as u32);
    let behind_z = low + ONES * (0x7f - b'Z' as u32);
    let capital = (from_a ^ behind_z) & !word & HIGH;
    word | capital >> 2
}

/// All bits of those bytes whose bit is set; the lowest bit is the lowest byte's.
#[inline(always)]
const fn mask(bits: u64) -> u32 {
    let [bits, ..] = bits.to_le_bytes();
    let spread = u32::from_le_bytes([bits & 0x0f; WORD]) & 0x0804_0201;
    (((spread + !HIGH) & HIGH) >> 7) * 0xff
}
