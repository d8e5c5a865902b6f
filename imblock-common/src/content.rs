//! What the payload of a young flow is asked, and what it answers.
//!
//! Both fit into a few plain words, because in the kernel the questions are functions of their own:
//! the verifier walks each of them once, whatever led there, and nothing but numbers goes in and
//! out. Invariant: `unpack` of `pack` is the same value.

pub use crate::reply::Reply;

use crate::layout::Half;
use crate::{Direction, Evidence, Transport};

/// Where the payload of a packet lies: offsets in its [`crate::Bytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The first byte.
    pub at: usize,
    /// Behind the last byte, by the packet's own word; never before [`Payload::at`]. Less may be
    /// there to be read.
    pub end: usize,
}

impl Payload {
    /// Bytes of the payload, by the packet's own word.
    #[inline(always)]
    pub const fn length(self) -> usize {
        self.end.saturating_sub(self.at)
    }

    /// As much of it as a [`Scene`] may have, whose packed form has sixteen bits for its end. By its own
    /// word, which does not count the headers, an IPv6 packet may end behind that.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn in_reach(self) -> Self {
        const END_MAX: usize = u16::MAX as usize;
        let end = if self.end < END_MAX {
            self.end
        } else {
            END_MAX
        };
        Self { at: self.at, end }
    }
}

/// Who sent a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Sender {
    /// Nobody saw the flow begin.
    Unknown = 0,
    /// The end that began the flow.
    Client = 1,
    /// The end that was called.
    Server = 2,
}

/// A payload and what is known about its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scene {
    /// Where the payload lies: offsets below 64 Ki.
    pub payload: Payload,
    /// The port at the local host.
    pub local_port: u16,
    /// The port at the remote end.
    pub remote_port: u16,
    /// TCP or UDP.
    pub transport: Transport,
    /// Which way the packet goes.
    pub direction: Direction,
    /// Which end sent it.
    pub sender: Sender,
    /// Whether this is the first payload of its sender in this flow, as far as anybody saw.
    pub first: bool,
    /// The service that the flow is already known as; 0 for none.
    pub within: u16,
    /// Which copy of the tables to ask.
    pub half: Half,
}

impl Scene {
    /// As two words.
    #[inline(always)]
    pub const fn pack(self) -> [u64; 2] {
        let ports = (self.local_port as u64) << 32 | (self.remote_port as u64) << 48;
        let place = (self.payload.at as u64 & 0xffff) | (self.payload.end as u64 & 0xffff) << 16;
        let about = self.within as u64
            | (self.transport as u64) << 16
            | (self.direction as u64) << 17
            | (self.first as u64) << 18
            | (self.half.index() as u64) << 19
            | (self.sender as u64) << 20;
        [place | ports, about]
    }

    /// From two words of [`Scene::pack`].
    #[inline(always)]
    pub const fn unpack([place, about]: [u64; 2]) -> Self {
        Self {
            payload: Payload {
                at: (place & 0xffff) as usize,
                end: (place >> 16 & 0xffff) as usize,
            },
            local_port: (place >> 32 & 0xffff) as u16,
            remote_port: (place >> 48) as u16,
            transport: match about >> 16 & 1 {
                0 => Transport::Tcp,
                _ => Transport::Udp,
            },
            direction: match about >> 17 & 1 {
                0 => Direction::Sent,
                _ => Direction::Received,
            },
            sender: match about >> 20 & 3 {
                1 => Sender::Client,
                2 => Sender::Server,
                _ => Sender::Unknown,
            },
            first: about >> 18 & 1 != 0,
            within: (about & 0xffff) as u16,
            half: Half::of_generation((about >> 19 & 1) as u32),
        }
    }
}

/// What a payload told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Answer {
    /// Nothing.
    Nothing = 0,
    /// The service of the flow.
    Flow = 1,
    /// The service of this packet alone; its flow remains what it is.
    Packet = 2,
    /// A name that belongs to no service: what address or port say of it is wrong.
    Other = 3,
    /// The beginning of something that goes on in the next packet.
    More = 4,
    /// The service of the flow, unless a later packet tells better.
    Meanwhile = 5,
    /// The payload must be looked at before anything can be said.
    Look = 6,
}

/// The answer of one question, or of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of answer it is.
    pub answer: Answer,
    /// Service number, 1 to 511; 0 where the answer names none.
    pub service: u16,
    /// What told it.
    pub evidence: Evidence,
    /// Whether the evidence may drop. What is only likely counts.
    pub certain: bool,
}

impl Finding {
    /// Nothing was found.
    pub const NOTHING: Self = Self {
        answer: Answer::Nothing,
        service: 0,
        evidence: Evidence::Port,
        certain: true,
    };

    /// The flow's service; nothing if that is 0.
    #[inline(always)]
    pub const fn flow(service: u16, evidence: Evidence) -> Self {
        Self {
            answer: if service == 0 {
                Answer::Nothing
            } else {
                Answer::Flow
            },
            service,
            evidence,
            certain: true,
        }
    }

    /// The flow's service unless something better is told; nothing if that is 0.
    #[inline(always)]
    pub const fn meanwhile(service: u16, evidence: Evidence) -> Self {
        Self {
            answer: if service == 0 {
                Answer::Nothing
            } else {
                Answer::Meanwhile
            },
            ..Self::flow(service, evidence)
        }
    }

    /// An answer without a service.
    #[inline(always)]
    pub const fn only(answer: Answer, evidence: Evidence) -> Self {
        Self {
            answer,
            service: 0,
            evidence,
            certain: true,
        }
    }

    /// Whether nothing was found.
    #[inline(always)]
    pub const fn is_nothing(self) -> bool {
        matches!(self.answer, Answer::Nothing)
    }

    /// As one word.
    #[inline(always)]
    pub const fn reply(self) -> Reply {
        let likely = if self.certain { 0 } else { Reply::LIKELY };
        Reply(
            self.service as u64
                | (self.evidence as u64) << Reply::EVIDENCE_SHIFT
                | (self.answer as u64) << Reply::ANSWER_SHIFT
                | likely,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenes_survive_packing() {
        for bits in 0..64_u32 {
            let flag = |bit: u32| bits >> bit & 1 == 1;
            let scene = Scene {
                payload: Payload { at: 54, end: 1514 },
                local_port: 40_000,
                remote_port: 443,
                transport: if flag(0) {
                    Transport::Tcp
                } else {
                    Transport::Udp
                },
                direction: if flag(1) {
                    Direction::Sent
                } else {
                    Direction::Received
                },
                sender: match bits & 3 {
                    0 => Sender::Unknown,
                    1 => Sender::Client,
                    _ => Sender::Server,
                },
                first: flag(2),
                within: if flag(3) { 511 } else { 0 },
                half: Half::of_generation(bits >> 4 & 1),
            };
            assert_eq!(Scene::unpack(scene.pack()), scene);
        }
    }

    #[test]
    fn replies_say_what_was_found() {
        assert_eq!(Reply::NOTHING, Reply(0));
        let answers = [
            Answer::Nothing,
            Answer::Flow,
            Answer::Packet,
            Answer::Other,
            Answer::More,
            Answer::Meanwhile,
        ];
        for evidence in Evidence::ALL {
            for answer in answers {
                for certain in [false, true] {
                    let reply = Finding {
                        answer,
                        service: 511,
                        evidence,
                        certain,
                    }
                    .reply();
                    assert_eq!(reply.service(), 511);
                    assert_eq!(reply.evidence(), evidence);
                    assert_eq!(reply.is_certain(), certain);
                    for other in answers {
                        assert_eq!(reply.is(other), other == answer);
                    }
                }
            }
        }
    }
}
