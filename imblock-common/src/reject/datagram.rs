//! What answers a UDP datagram: an ICMP error, or, if it asks a name server, that there is no such
//! name.
//!
//! The error quotes what RFC 792 demands and no more: the IP header and eight bytes. So it is longer
//! than the datagram only if that has less than 28 bytes of payload (IPv6: 48).

use super::checksum::Sum;
use super::letter::Letter;
use super::network::{UDP, low_word};
use super::{Fate, Responder};
use crate::Packet;
use crate::content::Payload;
use crate::parse::dns;

const HEADER: usize = 8;
const ICMP_HEADER: usize = 8;
/// Bytes of the datagram's own header that are quoted: all of it.
const QUOTED: usize = 8;
const DNS_HEADER: usize = 12;
/// The longest name with type and class, in words, the last of which is half one.
const QUESTION_WORDS_MAX: usize = (255 + 4_usize).div_ceil(2);
/// Type and code of "administratively prohibited", and the protocol of such errors.
const PROHIBITED_V4: ([u8; 2], u8) = ([3, 13], 1);
const PROHIBITED_V6: ([u8; 2], u8) = ([1, 1], 58);
/// Words of four bytes in an IP header.
const V4_QUADS: usize = 5;
const V6_QUADS: usize = 10;

/// Makes a datagram the error that says that it is prohibited. Comes behind [`super::meet`].
#[inline(always)]
pub fn prohibited<P: Packet, R: Responder>(packet: P, to: &mut R, letter: &mut Letter) -> Fate {
    let Some((at, sum)) = quote(packet, letter) else {
        return Fate::Silent;
    };
    if !to.permitted() {
        return Fate::Limited;
    }
    let header = letter.met.header();
    let length = ICMP_HEADER + header + QUOTED;
    let ((kind, protocol), sum) = if letter.met.v6 == 0 {
        (PROHIBITED_V4, sum)
    } else {
        let (_, protocol) = PROHIBITED_V6;
        (PROHIBITED_V6, sum.and(letter.met.pseudo(protocol, length)))
    };
    letter.icmp.kind = kind;
    letter.icmp.checksum = sum.pair(kind).finished();
    letter.icmp.unused = [0; 4];
    let behind = at + ICMP_HEADER;
    let done = to.resize(at + length)
        && letter.put_envelope(to, protocol, length)
        && to.put(at, &letter.icmp)
        && if letter.met.v6 == 0 {
            to.put(behind, &letter.quoted_v4)
        } else {
            to.put(behind, &letter.quoted_v6)
        }
        && to.put(behind + header, &letter.quoted);
    if done {
        Fate::Unreachable
    } else {
        Fate::Silent
    }
}

/// Copies what is quoted into the letter, and adds it up. Where the datagram begins.
#[inline(always)]
fn quote<P: Packet>(packet: P, letter: &mut Letter) -> Option<(usize, Sum)> {
    let at = packet.settle(letter.met.at as usize)?;
    let transport_at = packet.settle(letter.met.transport_at as usize)?;
    let quoted = packet.read::<QUOTED>(transport_at)?;
    if (letter.met.end as usize) < transport_at + HEADER {
        return None;
    }
    letter.quoted = quoted;
    let [q0, q1, q2, q3, q4, q5, q6, q7] = quoted;
    let mut sum = Sum::NOTHING
        .quad([q0, q1, q2, q3])
        .quad([q4, q5, q6, q7])
        .total();
    let is_v4 = letter.met.v6 == 0;
    let mut quad = 0;
    while quad < V6_QUADS {
        if is_v4 && quad == V4_QUADS {
            break;
        }
        let bytes = packet.read::<4>(at + 4 * quad)?;
        let (quads, _) = if is_v4 {
            letter.quoted_v4.as_chunks_mut::<4>()
        } else {
            letter.quoted_v6.as_chunks_mut::<4>()
        };
        *quads.get_mut(quad)? = bytes;
        sum = packet.forget_word(Sum::of(sum).quad(bytes).total());
        quad += 1;
    }
    Some((transport_at, Sum::of(sum)))
}

/// Makes a question to a name server the answer that there is no such name; `None` for a datagram
/// that is no question, which is left as it is. The question stays, what follows it is cut off. Comes
/// behind [`super::meet`].
#[inline(always)]
pub fn no_such_name<P: Packet, R: Responder>(
    packet: P,
    to: &mut R,
    letter: &mut Letter,
) -> Option<Fate> {
    let at = packet.settle(letter.met.transport_at as usize)?;
    let payload = Payload {
        at: packet.settle(at + HEADER)?,
        end: letter.met.end as usize,
    };
    let end = dns::question_end(packet, payload)?;
    let [s0, s1, d0, d1] = packet.read::<4>(at)?;
    let [i0, i1, f0, f1] = packet.read::<4>(payload.at)?;
    let of_question = sum_of(packet, packet.settle(payload.at + DNS_HEADER)?, end)?;
    let length = packet.settle(end.checked_sub(at)?)?;
    let udp = &mut letter.udp;
    udp.source = [d0, d1];
    udp.destination = [s0, s1];
    udp.length = low_word(length).to_be_bytes();
    let header = &mut letter.dns;
    header.id = [i0, i1];
    // A response; recursion as desired; recursion is available; no such name. That signatures need
    // not be checked is said back (RFC 4035 section 3.2.2).
    header.flags = [0x80 | f0 & 0x01, 0x80 | f1 & 0x10 | 3];
    header.questions = [0, 1];
    header.answers = [0; 6];
    let sum = of_question
        .and(letter.met.pseudo(UDP, length))
        .pair(udp.source)
        .pair(udp.destination)
        .pair(udp.length)
        .pair(header.id)
        .pair(header.flags)
        .pair(header.questions);
    udp.checksum = match sum.finished() {
        // Zero says that there is no checksum; its other form is meant (RFC 768).
        [0, 0] => [0xff, 0xff],
        sum => sum,
    };
    if !to.permitted() {
        return Some(Fate::Limited);
    }
    let done = to.resize(at + length)
        && letter.put_envelope(to, UDP, length)
        && to.put(at, &letter.udp)
        && to.put(at + HEADER, &letter.dns);
    Some(if done { Fate::NoSuchName } else { Fate::Silent })
}

/// Adds up what lies between two offsets.
#[inline(always)]
fn sum_of<P: Packet>(packet: P, from: usize, end: usize) -> Option<Sum> {
    let (mut sum, mut at) = (0, from);
    let mut words = 0;
    while words <= QUESTION_WORDS_MAX {
        if at >= end {
            return Some(Sum::of(sum));
        }
        let word = if at + 1 == end {
            let [last] = packet.read::<1>(at)?;
            [last, 0]
        } else {
            packet.read::<2>(at)?
        };
        sum = packet.forget_word(Sum::of(sum).pair(word).total());
        at = packet.settle(at + 2)?;
        words += 1;
    }
    None
}
