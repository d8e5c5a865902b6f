//! STUN: what a message tells, and what is no message.
#![expect(clippy::indexing_slicing, reason = "tests")]

use imblock_common::content::{Finding, Payload, Scene, Sender};
use imblock_common::identify::stun::find;
use imblock_common::layout::{Generics, Half};
use imblock_common::parse::STUN_ATTRIBUTES_MAX;
use imblock_common::testkit::{World, service};
use imblock_common::{Direction, Evidence, Transport};
use proptest::collection::vec;
use proptest::prelude::*;

const SOFTWARE: u16 = 0x8022;
const REALM: u16 = 0x0014;
/// Bytes in front of the payload: names are looked for backwards, and must not run into the start.
const AT: usize = 42;

/// A message of some type with attributes.
fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, value) in attributes {
        body.extend(kind.to_be_bytes());
        body.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let mut message = kind.to_be_bytes().to_vec();
    message.extend(u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
    message.extend([0x21, 0x12, 0xa4, 0x42]);
    message.extend([7; 12]);
    message.extend(body);
    message
}

fn ask(payload: &[u8], transport: Transport, world: &World) -> Finding {
    let mut frame = vec![0xee; AT];
    frame.extend(payload);
    ask_frame(&frame, frame.len(), transport, world)
}

fn ask_frame(frame: &[u8], end: usize, transport: Transport, world: &World) -> Finding {
    let scene = Scene {
        payload: Payload { at: AT, end },
        local_port: 50_000,
        remote_port: 3478,
        transport,
        direction: Direction::Sent,
        sender: Sender::Client,
        first: true,
        within: 0,
        half: Half::of_generation(1),
    };
    find(frame, &scene, world)
}

fn udp(payload: &[u8]) -> Finding {
    ask(payload, Transport::Udp, &World::standard())
}

fn tcp(payload: &[u8]) -> Finding {
    ask(payload, Transport::Tcp, &World::standard())
}

fn told(service: u16, certain: bool) -> Finding {
    Finding {
        certain,
        ..if service == service::STUN {
            // Whose call it is may still be told.
            Finding::meanwhile(service, Evidence::Stun)
        } else {
            Finding::flow(service, Evidence::Stun)
        }
    }
}

#[test]
fn a_message_that_tells_no_more_is_stun() {
    for kind in [0x0001, 0x0101, 0x0003, 0x0017, 0x3fff] {
        assert_eq!(
            udp(&message(kind, &[])),
            told(service::STUN, true),
            "{kind:x}"
        );
        let software = message(kind, &[(SOFTWARE, b"libjingle")]);
        assert_eq!(udp(&software), told(service::STUN, true), "{kind:x}");
        assert_eq!(tcp(&software), told(service::STUN, true), "{kind:x}");
    }
    let world = World {
        generics: Generics::default(),
        ..World::standard()
    };
    let plain = message(1, &[]);
    assert!(ask(&plain, Transport::Udp, &world).is_nothing());
}

#[test]
fn an_attribute_tells_its_service_wherever_it_stands() {
    let cases = [
        (0x3fff, service::STUN),
        (0x4000, service::CHAT),
        (0x4007, service::CHAT),
        (0x4008, service::STUN),
        (0x8070, service::CALLS),
    ];
    for (attribute, service) in cases {
        for value in [&b""[..], b"x", b"four", b"eleven more"] {
            let first = message(1, &[(attribute, value), (SOFTWARE, b"abc")]);
            let last = message(1, &[(SOFTWARE, b"abc"), (attribute, value)]);
            assert_eq!(udp(&first), told(service, true), "{attribute:x}");
            assert_eq!(udp(&last), told(service, true), "{attribute:x}");
        }
    }
}

#[test]
fn what_is_only_likely_gives_way_to_what_is_certain() {
    assert_eq!(
        udp(&message(1, &[(0xff03, b"")])),
        told(service::CHAT, false)
    );
    let likely_first = message(1, &[(0xff03, b""), (0x8070, b""), (0x4000, b"")]);
    assert_eq!(udp(&likely_first), told(service::CALLS, true));
    let likely_last = message(1, &[(0x8070, b""), (0xff03, b"")]);
    assert_eq!(udp(&likely_last), told(service::CALLS, true));
}

#[test]
fn attributes_are_followed_up_to_a_limit() {
    let mut attributes = vec![(SOFTWARE, &b"ab"[..]); STUN_ATTRIBUTES_MAX - 1];
    attributes.push((0x8070, b""));
    assert_eq!(udp(&message(1, &attributes)), told(service::CALLS, true));
    attributes.insert(0, (SOFTWARE, b""));
    assert_eq!(udp(&message(1, &attributes)), told(service::STUN, true));
}

#[test]
fn a_realm_is_a_name() {
    let cases = [
        (&b"whatsapp.com"[..], service::CHAT),
        (b"TURN.WhatsApp.com", service::CHAT),
        (b"t.me", service::CHAT),
        (b"eu.calls.whatsapp.com", service::CALLS),
        (b"notwhatsapp.com", service::STUN),
        (b"whatsapp.com.example", service::STUN),
        (b"com", service::STUN),
        (b"", service::STUN),
        (b".", service::STUN),
    ];
    for (realm, service) in cases {
        let reply = message(
            0x0113,
            &[(0x0009, b"\0\0\x04\x01"), (REALM, realm), (SOFTWARE, b"x")],
        );
        let name = String::from_utf8_lossy(realm);
        assert_eq!(udp(&reply), told(service, true), "{name}");
        assert_eq!(tcp(&reply), told(service, true), "{name}");
    }
    // An attribute says more than a name: calls of several services go over one server.
    let both = message(0x0113, &[(REALM, b"whatsapp.com"), (0x8070, b"")]);
    assert_eq!(udp(&both), told(service::CALLS, true));
    let long = [b'a'; 600];
    assert_eq!(
        udp(&message(0x0113, &[(REALM, &long)])),
        told(service::STUN, true)
    );
}

#[test]
fn the_length_must_fit() {
    let good = message(1, &[(0x8070, b"abcd")]);
    let mut longer = good.clone();
    longer.push(0);
    assert_eq!(udp(&longer), Finding::NOTHING);
    assert_eq!(tcp(&longer), told(service::CALLS, true));
    assert_eq!(udp(&good[..good.len() - 1]), Finding::NOTHING);
    assert_eq!(tcp(&good[..good.len() - 1]), Finding::NOTHING);
    let mut odd = good.clone();
    odd[3] -= 1;
    assert_eq!(udp(&odd[..odd.len() - 1]), Finding::NOTHING);
    // An attribute that reaches beyond the message is not read.
    let mut liar = good;
    liar[23] = 40;
    assert_eq!(udp(&liar), told(service::STUN, true));
}

#[test]
fn other_protocols_are_not_stun() {
    let good = message(1, &[(0x8070, b"")]);
    for first in 0..=0xff_u8 {
        let mut payload = good.clone();
        payload[0] = first;
        assert_eq!(udp(&payload).is_nothing(), first >= 0x40, "{first:x}");
    }
    for at in 4..8 {
        let mut payload = good.clone();
        payload[at] ^= 1;
        assert_eq!(udp(&payload), Finding::NOTHING);
        assert_eq!(tcp(&payload), Finding::NOTHING);
    }
    // TURN channel data: a channel number and a length.
    assert_eq!(udp(b"\x40\x01\x00\x04data"), Finding::NOTHING);
}

#[test]
fn over_tcp_a_message_may_be_framed_and_others_may_follow() {
    let good = message(1, &[(0x8070, b"abcd")]);
    let mut stream = good.clone();
    stream.extend(message(1, &[(0x4000, b"")]));
    assert_eq!(tcp(&stream), told(service::CALLS, true));
    let length = u16::try_from(good.len()).unwrap_or(0);
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend(&stream);
    assert_eq!(tcp(&framed), told(service::CALLS, true));
    assert_eq!(udp(&framed), Finding::NOTHING);
    framed[1] += 4;
    assert_eq!(tcp(&framed), Finding::NOTHING);
}

proptest! {
    /// Neither an arithmetic overflow nor a read outside, whatever the payload and its bounds.
    #[test]
    fn nothing_panics(
        body in vec(any::<u8>(), 0..200),
        length in any::<u16>(),
        end in 0..70_000_usize,
        tcp in any::<bool>(),
    ) {
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let mut frame = vec![0; AT];
        frame.extend(message(1, &[]));
        frame.extend(&body);
        frame[AT + 2..AT + 4].copy_from_slice(&length.to_be_bytes());
        let world = World::standard();
        ask_frame(&frame, end, transport, &world);
        ask_frame(&body, end, transport, &world);
    }

    /// A message that is cut tells nothing over UDP, and never something else.
    #[test]
    fn a_cut_message_tells_nothing(
        attributes in vec((any::<u16>(), vec(any::<u8>(), 0..30)), 0..20),
        keep in 0.0..1.0_f64,
    ) {
        let attributes: Vec<(u16, &[u8])> = attributes
            .iter()
            .map(|(kind, value)| (*kind, value.as_slice()))
            .collect();
        let whole = message(1, &attributes);
        prop_assert!(!udp(&whole).is_nothing());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a part of a length"
        )]
        let kept = (whole.len() as f64 * keep) as usize;
        prop_assert_eq!(udp(&whole[..kept]), Finding::NOTHING);
    }
}
