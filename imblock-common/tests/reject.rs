//! Answers to rejected packets, held against a reader of packets and a sum of its own.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

#[path = "reject/reader.rs"]
mod reader;

use std::net::IpAddr;

use bytemuck::Zeroable as _;
use imblock_common::reject::{Fate, HostDesk, Letter, ReplyFrame, answer, part};
use imblock_common::testkit::{Extension, Frame, Layer, dns_query, flags, generate};
use proptest::collection::vec;
use proptest::prelude::*;

use reader::{long, pseudo_sum, seen, word};

const SEQUENCE: u32 = 0xffff_fffe;
const ACKNOWLEDGEMENT: u32 = 0x0102_0304;

/// What became of a frame, and the frame.
fn answered(frame: &[u8]) -> (Fate, Vec<u8>) {
    let mut to = ReplyFrame::to(frame, true);
    let letter = &mut Letter::zeroed();
    let fate = answer(HostDesk {
        packet: frame,
        to: &mut to,
        letter,
    });
    (fate, to.bytes().to_vec())
}

/// What became of a frame, what goes on, and what comes back.
fn parted(frame: &[u8], sent: bool) -> (Fate, Vec<u8>, Vec<u8>) {
    let mut to = ReplyFrame::to(frame, true);
    let letter = &mut Letter::zeroed();
    let desk = HostDesk {
        packet: frame,
        to: &mut to,
        letter,
    };
    let fate = part(desk, sent);
    (fate, to.bytes().to_vec(), to.turned().to_vec())
}

/// Between the same two hosts, over both families and with zero to two tags.
fn carriers() -> Vec<Frame> {
    let mut carriers = Vec::new();
    for tags in 0..3 {
        for (from, to) in [("10.0.0.5", "192.0.2.7"), ("2001:db8::5", "2001:db8:1::7")] {
            let mut frame = Frame::eth();
            if tags > 1 {
                frame = frame.provider_vlan(7);
            }
            if tags > 0 {
                frame = frame.vlan(42);
            }
            let [from, to]: [IpAddr; 2] = [from, to].map(|text| text.parse().unwrap());
            carriers.push(frame.ip(from, to));
        }
    }
    carriers
}

/// A segment with known numbers.
fn segment(carrier: Frame, set: u8, payload: &[u8]) -> Vec<u8> {
    carrier
        .tcp(40_000, 6667)
        .flags(set)
        .options(3)
        .payload(payload)
        .patch(Layer::Transport, 4, &SEQUENCE.to_be_bytes())
        .patch(Layer::Transport, 8, &ACKNOWLEDGEMENT.to_be_bytes())
        .build()
}

/// A RST from the server to the client.
#[track_caller]
fn assert_reset(reply: &[u8], asked: &[u8], numbers: (u32, u32, u8)) {
    let reply = seen(reply);
    assert_eq!(reply.stations.0, asked[6..12]);
    assert_eq!(reply.stations.1, asked[..6]);
    assert_eq!((reply.protocol, reply.hops), (6, 64));
    let body = &reply.body;
    assert_eq!(body.len(), 20);
    assert_eq!((word(body, 0), word(body, 2)), (6667, 40_000));
    assert_eq!((long(body, 4), long(body, 8), body[13]), numbers);
    assert_eq!(body[12], 0x50);
}

#[test]
fn a_connection_that_begins_is_refused() {
    for carrier in carriers() {
        for payload in [&b""[..], b"early data"] {
            let asked = segment(carrier.clone(), flags::SYN, payload);
            let (fate, reply) = answered(&asked);
            assert_eq!(fate, Fate::Reset);
            let length = u32::try_from(payload.len()).unwrap();
            let next = SEQUENCE.wrapping_add(1 + length);
            assert_reset(&reply, &asked, (0, next, flags::RST | flags::ACK));
            assert!(reply.len() < asked.len());
        }
    }
}

#[test]
fn the_way_and_the_tags_are_kept() {
    for carrier in carriers() {
        let asked = carrier.tcp(40_000, 6667).flags(flags::SYN).build();
        let (there, back) = (seen(&asked), seen(&answered(&asked).1));
        assert_eq!(there.tags, back.tags);
        assert_eq!((there.from, there.to), (back.to, back.from));
    }
}

#[test]
fn a_connection_under_way_is_reset_where_its_end_waits() {
    for carrier in carriers() {
        for (set, payload) in [
            (flags::ACK, &b""[..]),
            (flags::ACK | flags::PSH, b"NICK alice\r\n"),
            (flags::ACK | flags::FIN, b""),
            (flags::ACK | flags::SYN, b""),
        ] {
            let asked = segment(carrier.clone(), set, payload);
            let (fate, reply) = answered(&asked);
            assert_eq!(fate, Fate::Reset);
            assert_reset(&reply, &asked, (ACKNOWLEDGEMENT, 0, flags::RST));
        }
        // Nobody sends a FIN alone; it counts as a byte all the same.
        let asked = segment(carrier, flags::FIN, b"bye");
        let next = SEQUENCE.wrapping_add(4);
        let numbers = (0, next, flags::RST | flags::ACK);
        assert_reset(&answered(&asked).1, &asked, numbers);
    }
}

#[test]
fn both_ends_of_a_connection_are_told() {
    for carrier in carriers() {
        let asked = segment(carrier, flags::ACK | flags::PSH, b"NICK alice\r\n");
        for sent in [false, true] {
            let (fate, on, back) = parted(&asked, sent);
            assert_eq!(fate, Fate::Cut);
            assert_reset(&back, &asked, (ACKNOWLEDGEMENT, 0, flags::RST));
            let on = seen(&on);
            assert_eq!(
                (&on.stations.0[..], &on.stations.1[..]),
                asked[..12].split_at(6)
            );
            assert_eq!((word(&on.body, 0), word(&on.body, 2)), (40_000, 6667));
            let numbers = (long(&on.body, 4), long(&on.body, 8), on.body[13]);
            let wanted = (SEQUENCE, ACKNOWLEDGEMENT, flags::RST | flags::ACK);
            assert_eq!(numbers, wanted);
            assert_eq!(on.body.len(), 20);
        }
    }
}

#[test]
fn who_calls_a_local_host_from_the_world_is_not_answered() {
    for carrier in carriers() {
        let asked = segment(carrier.clone(), flags::SYN, b"");
        let (fate, _, back) = parted(&asked, false);
        assert_eq!((fate, back.len()), (Fate::Silent, 0));
        let (fate, _, back) = parted(&asked, true);
        assert_eq!(fate, Fate::Reset);
        let next = SEQUENCE.wrapping_add(1);
        assert_reset(&back, &asked, (0, next, flags::RST | flags::ACK));
        let datagram = carrier.udp(40_000, 5060).payload(&[0; 100]).build();
        assert_eq!(parted(&datagram, true).0, Fate::Silent);
    }
}

/// Where a card finishes checksums, there is the sum of the pseudo header.
#[test]
fn an_unfinished_checksum_stays_one() {
    for carrier in carriers() {
        let whole = segment(carrier.clone(), flags::ACK, b"NICK alice\r\n");
        let pseudo = pseudo_sum(&whole, 32 + 12);
        let unfinished = carrier
            .tcp(40_000, 6667)
            .options(3)
            .payload(b"NICK alice\r\n")
            .patch(Layer::Transport, 16, &pseudo.to_be_bytes())
            .build();
        let (fate, on, back) = parted(&unfinished, false);
        assert_eq!(fate, Fate::Cut);
        for reply in [on, back] {
            let at = reply.len() - 4;
            assert_eq!(word(&reply, at), pseudo_sum(&reply, 20));
        }
        // What leaves at once is finished here.
        seen(&answered(&unfinished).1);
    }
}

#[test]
fn a_datagram_is_answered_by_an_error_that_quotes_it() {
    for carrier in carriers() {
        for payload in [0, 1, 27, 48, 1000] {
            let asked = carrier.clone().udp(40_000, 5060).payload(&vec![7; payload]);
            let asked = asked.build();
            let (fate, reply) = answered(&asked);
            assert_eq!(fate, Fate::Unreachable);
            let (there, back) = (seen(&asked), seen(&reply));
            assert_eq!((&there.from, &there.to), (&back.to, &back.from));
            assert_eq!(there.tags, back.tags);
            let is_v4 = back.from.len() == 4;
            let kind = (back.protocol, back.body[0], back.body[1]);
            assert_eq!(kind, if is_v4 { (1, 3, 13) } else { (58, 1, 1) });
            let header = if is_v4 { 20 } else { 40 };
            let ip_at = 14 + there.tags.len();
            assert_eq!(back.body[8..], asked[ip_at..ip_at + header + 8]);
            // No longer than the datagram, unless that is shorter than the shortest error.
            assert!(reply.len() <= asked.len().max(ip_at + 2 * header + 16));
        }
    }
}

#[test]
fn a_question_is_answered_that_there_is_no_such_name() {
    // 255 bytes on the wire, as many as a name may have.
    let label: &str = &"a".repeat(63);
    let longest: &str = &[label, label, label, &label[..61]].join(".");
    for carrier in carriers() {
        for name in ["a.example", "web.whatsapp.com", "x.y", longest] {
            let query = dns_query(name);
            let question = &query[12..];
            let mut asked = query.clone();
            // One additional record: EDNS (RFC 6891).
            asked[11] = 1;
            asked[3] |= 0x10;
            asked.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
            let asked = carrier.clone().udp(40_000, 53).payload(&asked).build();
            let (fate, reply) = answered(&asked);
            assert_eq!(fate, Fate::NoSuchName);
            assert!(reply.len() < asked.len());
            let (there, back) = (seen(&asked), seen(&reply));
            assert_eq!((&there.from, &there.to), (&back.to, &back.from));
            assert_eq!((word(&back.body, 0), word(&back.body, 2)), (53, 40_000));
            assert_eq!(usize::from(word(&back.body, 4)), back.body.len());
            let dns = &back.body[8..];
            assert_eq!(dns[..2], query[..2]);
            assert_eq!(dns[2], 0x80 | query[2] & 1);
            assert_eq!(dns[3], 0x80 | 0x10 | 3);
            assert_eq!(dns[4..12], [0, 1, 0, 0, 0, 0, 0, 0]);
            assert_eq!(&dns[12..], question);
        }
    }
}

#[test]
fn what_is_no_question_is_answered_by_an_error() {
    let carrier = Frame::eth().ipv4("10.0.0.5", "192.0.2.7");
    let mut response = dns_query("a.example");
    response[2] |= 0x80;
    for payload in [&[7; 40][..], &response, b""] {
        let asked = carrier.clone().udp(40_000, 53).payload(payload).build();
        assert_eq!(answered(&asked).0, Fate::Unreachable);
    }
}

#[test]
fn what_may_not_be_answered_is_not() {
    let v4 = |from, to| Frame::eth().ipv4(from, to);
    let v6 = |from, to| Frame::eth().ipv6(from, to);
    let plain = || v4("10.0.0.5", "192.0.2.7");
    let syn = |frame: Frame| frame.tcp(40_000, 6667).flags(flags::SYN);
    let udp = |frame: Frame| frame.udp(40_000, 5060).payload(&[0; 64]);
    let cases = [
        ("a RST", plain().tcp(1, 6667).flags(flags::RST)),
        ("a RST with more", plain().tcp(1, 6667).flags(0x14)),
        ("a first fragment", udp(plain().fragment(0, true))),
        ("a later fragment", udp(plain().fragment(9, false))),
        ("to a group", udp(v4("10.0.0.5", "224.0.0.251"))),
        ("to everybody", udp(v4("10.0.0.5", "255.255.255.255"))),
        ("from nobody", udp(v4("0.0.0.0", "192.0.2.7"))),
        ("from a group", syn(v4("239.1.2.3", "192.0.2.7"))),
        ("to a group of IPv6", udp(v6("2001:db8::5", "ff02::fb"))),
        ("from nobody of IPv6", udp(v6("::", "2001:db8::7"))),
        ("with options", syn(plain().ip_options(1))),
        (
            "with an extension header",
            syn(v6("2001:db8::5", "2001:db8::7").extensions(&[Extension::destination(0)])),
        ),
        (
            "in PPPoE",
            syn(Frame::eth().pppoe().ipv4("10.0.0.5", "192.0.2.7")),
        ),
        ("ICMP", plain().protocol(1).payload(&[8; 64])),
        (
            "to a group of stations",
            udp(plain()).patch(Layer::Link, 0, &[1, 0, 0x5e, 0, 0, 1]),
        ),
        (
            "from a group of stations",
            udp(plain()).patch(Layer::Link, 6, &[0xff; 6]),
        ),
        ("longer than it is", syn(plain()).ip_length(41)),
        ("shorter than its header", syn(plain()).data_offset(15)),
        ("with too short a header", syn(plain()).data_offset(4)),
    ];
    for (name, frame) in cases {
        let frame = frame.build();
        let (fate, after) = answered(&frame);
        assert_eq!(fate, Fate::Silent, "{name}");
        assert_eq!(after, frame, "{name} was touched");
        assert_eq!(parted(&frame, true).0, Fate::Silent, "{name}");
    }
    // The same frames without what is wrong with them.
    assert_eq!(answered(&syn(plain()).build()).0, Fate::Reset);
    assert_eq!(answered(&udp(plain()).build()).0, Fate::Unreachable);
}

#[test]
fn what_is_too_much_is_left_alone() {
    for carrier in carriers() {
        let query = dns_query("a.example");
        for frame in [
            carrier.clone().tcp(40_000, 6667).build(),
            carrier.clone().udp(40_000, 5060).build(),
            carrier.clone().udp(40_000, 53).payload(&query).build(),
        ] {
            let mut to = ReplyFrame::to(&frame, false);
            let letter = &mut Letter::zeroed();
            let packet = frame.as_slice();
            let desk = HostDesk {
                packet,
                to: &mut to,
                letter,
            };
            assert_eq!(answer(desk), Fate::Limited);
            assert_eq!(to.bytes(), frame);
        }
    }
}

fn frames() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..300),
        (any::<u64>(), any::<u64>()).prop_map(|(seed, index)| generate(seed, index)),
        (
            0..6_usize,
            vec(any::<u8>(), 0..120),
            any::<u16>(),
            any::<u8>()
        )
            .prop_map(|(carrier, payload, port, set)| {
                let carrier = carriers().swap_remove(carrier);
                let frame = match set & 1 {
                    0 => carrier.tcp(40_000, port).flags(set),
                    _ => carrier.udp(40_000, [port, 53][usize::from(set >> 7)]),
                };
                frame.payload(&payload).build()
            }),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_an_answer_is_whole(mut frame in frames(), at in any::<usize>(), byte: u8) {
        if !frame.is_empty() {
            let at = at % frame.len();
            frame[at] ^= byte;
        }
        let (fate, reply) = answered(&frame);
        match fate {
            Fate::Reset | Fate::NoSuchName => {
                seen(&reply);
                prop_assert!(reply.len() <= frame.len());
            }
            Fate::Unreachable => {
                seen(&reply);
                prop_assert!(reply.len() <= frame.len() + 48);
            }
            Fate::Silent => {}
            Fate::Limited | Fate::Cut => prop_assert!(false, "{fate:?}"),
        }
        for sent in [false, true] {
            let (fate, on, back) = parted(&frame, sent);
            match fate {
                Fate::Cut => prop_assert!(on.len() <= frame.len() && back.len() <= frame.len()),
                Fate::Reset => prop_assert!(back.len() <= frame.len()),
                Fate::Silent => {}
                fate => prop_assert!(false, "{fate:?}"),
            }
        }
    }
}
