//! The RST that ends a connection (RFC 9293 sections 3.5.2 and 3.10.7).
//!
//! Invariant: its sequence number is the one that its receiver waits for, as far as the packet tells,
//! so that a receiver that believes no other (RFC 5961 section 3.2) lets go at once.

use super::letter::Letter;
use super::network::TCP;
use super::{Fate, Responder};
use crate::Packet;

const HEADER: usize = 20;
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// What is said of a connection's numbers.
#[derive(Clone, Copy)]
struct Numbers {
    sequence: u32,
    acknowledgement: u32,
    flags: u8,
}

/// What a segment says.
#[derive(Clone, Copy)]
struct Seen {
    /// Where its header lies.
    at: usize,
    numbers: Numbers,
    /// How far it moves the sequence.
    length: u32,
    /// Whether its checksum was left to the network card.
    unfinished: bool,
}

/// Makes a segment the RST that answers it. Comes behind [`super::meet`].
#[inline(always)]
pub fn reset<P: Packet, R: Responder>(packet: P, to: &mut R, letter: &mut Letter) -> Fate {
    let Some(seen) = segment(packet, letter) else {
        return Fate::Silent;
    };
    if !to.permitted() {
        return Fate::Limited;
    }
    // Complete, whatever the card was to finish: the answer leaves as what it is now.
    let numbers = seen.back();
    if letter.put_reset(to, seen.at, numbers, false) {
        Fate::Reset
    } else {
        Fate::Silent
    }
}

/// Sends back the RST that answers a segment, and makes the segment the one that tells its receiver.
/// Comes behind [`super::meet`].
#[inline(always)]
pub fn cut<P: Packet, R: Responder>(
    packet: P,
    sent: bool,
    to: &mut R,
    letter: &mut Letter,
) -> Fate {
    let Some(seen) = segment(packet, letter) else {
        return Fate::Silent;
    };
    let under_way = seen.numbers.flags & ACK != 0;
    if !under_way && !sent {
        return Fate::Silent;
    }
    if !to.permitted() {
        return Fate::Limited;
    }
    let back = seen.back();
    if !letter.put_reset(to, seen.at, back, seen.unfinished) || !to.turn_around() {
        return Fate::Silent;
    }
    if !under_way {
        return Fate::Reset;
    }
    letter.turn();
    if letter.put_reset(to, seen.at, seen.on(), seen.unfinished) {
        Fate::Cut
    } else {
        Fate::Silent
    }
}

impl Seen {
    /// Towards who sent it.
    #[inline(always)]
    const fn back(self) -> Numbers {
        let Numbers {
            sequence,
            acknowledgement,
            flags,
        } = self.numbers;
        if flags & ACK != 0 {
            Numbers {
                sequence: acknowledgement,
                acknowledgement: 0,
                flags: RST,
            }
        } else {
            Numbers {
                sequence: 0,
                acknowledgement: sequence.wrapping_add(self.length),
                flags: RST | ACK,
            }
        }
    }

    /// Towards who was to get it.
    #[inline(always)]
    const fn on(self) -> Numbers {
        Numbers {
            flags: RST | ACK,
            ..self.numbers
        }
    }
}

/// Reads the header, and writes the ports of the answer into the letter. `None` for a RST, and for
/// what is none or cut short.
#[inline(always)]
fn segment<P: Packet>(packet: P, letter: &mut Letter) -> Option<Seen> {
    let at = packet.settle(letter.met.transport_at as usize)?;
    let end = letter.met.end as usize;
    let [s0, s1, d0, d1] = packet.read::<4>(at)?;
    let sequence = u32::from_be_bytes(packet.read(at + 4)?);
    let acknowledgement = u32::from_be_bytes(packet.read(at + 8)?);
    let [words, flags] = packet.read::<2>(at + 12)?;
    let checksum = packet.read::<2>(at + 16)?;
    let header = usize::from(words >> 4) * 4;
    if header < HEADER || end < at + header || flags & RST != 0 {
        return None;
    }
    letter.tcp.source = [d0, d1];
    letter.tcp.destination = [s0, s1];
    let payload = u32::try_from(end - at - header).ok()?;
    let ends = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
    let pseudo = letter.met.pseudo(TCP, end - at);
    Some(Seen {
        at,
        numbers: Numbers {
            sequence,
            acknowledgement,
            flags,
        },
        length: payload.wrapping_add(ends),
        unfinished: checksum == pseudo.unfinished(),
    })
}

impl Letter {
    #[inline(always)]
    fn put_reset<R: Responder>(
        &mut self,
        to: &mut R,
        at: usize,
        numbers: Numbers,
        unfinished: bool,
    ) -> bool {
        let header = &mut self.tcp;
        header.sequence = numbers.sequence.to_be_bytes();
        header.acknowledgement = numbers.acknowledgement.to_be_bytes();
        header.words = 0x50;
        header.flags = numbers.flags;
        header.window = [0; 2];
        header.urgent = [0; 2];
        let pseudo = self.met.pseudo(TCP, HEADER);
        header.checksum = if unfinished {
            pseudo.unfinished()
        } else {
            pseudo
                .pair(header.source)
                .pair(header.destination)
                .quad(header.sequence)
                .quad(header.acknowledgement)
                .pair([header.words, header.flags])
                .finished()
        };
        to.resize(at + HEADER) && self.put_envelope(to, TCP, HEADER) && to.put(at, &self.tcp)
    }
}
