//! The questions that a payload may be asked. In the kernel, each is a function that the verifier
//! walks once.

use super::{marker, name, stun};
use crate::content::{Reply, Scene};
use crate::{Packet, Tables, parse};

/// The first bytes of a payload; zeros where there are no more.
pub(super) type Start = [u8; 8];

/// A question about a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which name the client asks for.
    Name,
    /// Whose marker the payload bears.
    Marker,
    /// Whose STUN or TURN message it is.
    Stun,
}

impl Question {
    /// Whether a payload that begins like this may be worth the question. Of one that is not,
    /// [`Question::answer`] tells nothing; but in the kernel that is a call, and this is not.
    #[inline(always)]
    pub(super) fn is_worth_asking(self, start: Start, scene: &Scene) -> bool {
        match self {
            Self::Name => name::may_begin(start, scene),
            Self::Marker => true,
            Self::Stun => parse::stun::may_begin(start, scene.transport),
        }
    }

    /// The answer.
    #[inline(always)]
    pub fn answer<P: Packet, T: Tables>(self, packet: P, scene: &Scene, tables: T) -> Reply {
        match self {
            Self::Name => name::find(packet, scene, tables).reply(),
            Self::Marker => marker::find(packet, scene, tables),
            Self::Stun => stun::find(packet, scene, tables).reply(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]

    extern crate std;
    use std::vec::Vec;

    use super::*;
    use crate::content::{Payload, Sender};
    use crate::layout::Half;
    use crate::testkit::{
        ClientHello, World, dns_query, dns_query_tcp, http_request, socks4_host, socks5_host,
        stun_message,
    };
    use crate::{Direction, Transport};

    /// Bytes in front of the payload: a name is read backwards.
    const AT: usize = 54;
    const BINDING_REQUEST: u16 = 1;

    fn messages() -> Vec<Vec<u8>> {
        let stun = stun_message(BINDING_REQUEST, &[]);
        // RFC 4571.
        let mut framed = Vec::from([0, 20]);
        framed.extend(&stun);
        Vec::from([
            ClientHello::new("t.me").build(),
            http_request("GET", "/", "t.me"),
            http_request("CONNECT", "t.me:443", "t.me:443"),
            socks5_host("t.me", 443),
            socks4_host("t.me", 443, ""),
            dns_query("t.me"),
            dns_query_tcp("t.me"),
            stun,
            framed,
        ])
    }

    #[test]
    fn what_is_not_worth_a_question_would_tell_nothing() {
        let world = &World::standard();
        for question in [Question::Name, Question::Stun] {
            let mut told = 0;
            for (message, first) in messages()
                .into_iter()
                .flat_map(|message| (0..=u8::MAX).map(move |first| (message.clone(), first)))
            {
                let mut frame = Vec::from([0xee; AT]);
                frame.push(first);
                frame.extend(message.iter().skip(1));
                let start = [0, 1, 2, 3, 4, 5, 6, 7].map(|place| frame[AT + place]);
                for (transport, remote_port) in [
                    (Transport::Tcp, 443),
                    (Transport::Tcp, 53),
                    (Transport::Udp, 443),
                    (Transport::Udp, 53),
                ] {
                    let scene = Scene {
                        payload: Payload {
                            at: AT,
                            end: frame.len(),
                        },
                        local_port: 40_000,
                        remote_port,
                        transport,
                        direction: Direction::Sent,
                        sender: Sender::Client,
                        first: true,
                        within: 0,
                        half: Half::of_generation(1),
                    };
                    let reply = question.answer(frame.as_slice(), &scene, world);
                    if reply != Reply::NOTHING {
                        told += 1;
                        let is_worth = question.is_worth_asking(start, &scene);
                        assert!(is_worth, "{question:?} of {first}, {scene:?}: {reply:?}");
                    }
                }
            }
            assert!(told > 100, "{question:?} told {told} times");
        }
    }
}
