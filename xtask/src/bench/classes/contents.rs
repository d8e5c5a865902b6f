//! Packets that a flow's content decides about, and those of flows of which that is known.

use imblock_common::testkit::{ClientHello, Frame, Layer, dns_query, flags};

use super::{
    CLIENT_PORT, COUNTED_NAME, Class, DROPPED_NAME, FlowTable, How, MARKER, OTHER_PORT, Pledge,
    Verdict, data, data_of, v4,
};

/// Ports of clients whose connections must not be told for one another.
const INNOCENT_CLIENT: u16 = 49_153;
/// See [`INNOCENT_CLIENT`].
const COUNTED_CLIENT: u16 = 49_154;
/// See [`INNOCENT_CLIENT`].
const DROPPED_CLIENT: u16 = 49_155;

pub(super) fn all() -> Vec<Class> {
    let mut classes = known();
    classes.extend(hellos());
    classes.extend(first_payloads());
    classes.extend(questions());
    classes
}

fn class(name: &'static str, before: &[Frame], frame: &Frame) -> Class {
    Class {
        before: before.iter().map(Frame::build).collect(),
        ..Class::new(name, frame)
    }
}

/// Each frame is the first of its flow.
fn fresh(name: &'static str, frame: &Frame) -> Class {
    class(name, &[], frame).fresh()
}

/// Each frame comes behind others of its flow, one of a thousand.
fn in_turn(name: &'static str, before: &[Frame], frame: &Frame) -> Class {
    Class {
        how: How::InTurn,
        ..class(name, before, frame).varied(1_000, 1)
    }
}

/// The first that a connection says.
fn behind_syn(name: &'static str, frame: &Frame) -> Class {
    in_turn(name, &[syn_of(CLIENT_PORT)], frame)
}

fn hello(name: &str) -> Frame {
    hello_of(CLIENT_PORT, name)
}

fn hello_of(client: u16, name: &str) -> Frame {
    data_of(client, 443).payload(&ClientHello::new(name).build())
}

fn syn_of(client: u16) -> Frame {
    v4().tcp(client, 443).flags(flags::SYN)
}

/// Data of flows that were told, or given up, before.
fn known() -> Vec<Class> {
    let payload = |client| data_of(client, 443).payload(&[23; 1346]);
    let connection = |client, name| {
        let mut frames = vec![syn_of(client), hello_of(client, name)];
        frames.extend((0..8).map(|_| payload(client)));
        frames
    };
    let known = |class_name, client, name| {
        let frames = connection(client, name);
        class(class_name, &frames, &payload(client))
    };
    vec![
        known(
            "TCP 443, data of an innocent flow",
            INNOCENT_CLIENT,
            "www.example.org",
        ),
        Class {
            pledge: Some(Pledge::KnownFlow),
            ..known("TCP 443, known flow", COUNTED_CLIENT, COUNTED_NAME)
        },
        Class {
            verdict: Verdict::Drop,
            ..known("TCP 443, known flow, dropped", DROPPED_CLIENT, DROPPED_NAME)
        },
        known("TCP 443, known flows, 1,000", CLIENT_PORT, COUNTED_NAME).varied(1_000, 1),
        Class {
            pledge: Some(Pledge::KnownFlows),
            ..known("TCP 443, known flows, 16,000", CLIENT_PORT, COUNTED_NAME).varied(16_000, 1)
        },
        known("TCP 443, known flows, 100,000", CLIENT_PORT, COUNTED_NAME).varied(400, 250),
    ]
}

/// Names of TLS.
fn hellos() -> Vec<Class> {
    let whole = |class| Class {
        pledge: Some(Pledge::WholeName),
        ..class
    };
    let dropped = |class| Class {
        verdict: Verdict::Drop,
        ..class
    };
    // Key shares come before the name, as in every other hello of a browser.
    let long = ClientHello::new(DROPPED_NAME).post_quantum().build();
    let (first, second) = long.split_at_checked(1200).unwrap_or((&long, &[]));
    let segment = |sequence: u32, payload: &[u8]| {
        let segment = data(443).payload(payload);
        segment.patch(Layer::Transport, 4, &sequence.to_be_bytes())
    };
    let [first, second] = [segment(1000, first), segment(2200, second)];
    vec![
        whole(dropped(behind_syn(
            "TLS hello, dropped",
            &hello(DROPPED_NAME),
        ))),
        whole(behind_syn("TLS hello, counted", &hello(COUNTED_NAME))),
        behind_syn("TLS hello of nobody", &hello("www.example.org")),
        Class {
            flow_table: FlowTable::Small,
            ..dropped(fresh(
                "TLS hello, dropped, new flow in a full table of 1,000",
                &hello(DROPPED_NAME),
            ))
        },
        dropped(fresh("TLS hello, dropped, new flow", &hello(DROPPED_NAME))),
        fresh("TLS hello of nobody, new flow", &hello("www.example.org")),
        behind_syn("TLS hello, its first 1,200 B", &first),
        Class {
            pledge: Some(Pledge::SecondSegment),
            ..dropped(in_turn(
                "TLS hello, its second segment",
                &[syn_of(CLIENT_PORT), first.clone()],
                &second,
            ))
        },
    ]
}

/// The first packets of a flow, that are no hello.
fn first_payloads() -> Vec<Class> {
    let torrent = [&b"\x13BitTorrent protocol"[..], &[0; 48]].concat();
    // All that is asked but for its last byte is what eight markers look for.
    let marked = |digit: char| {
        let text = format!("{MARKER}{digit}");
        let mut payload = text.into_bytes();
        payload.resize(300, 0);
        data(OTHER_PORT).payload(&payload)
    };
    // A long header of version 1, type Initial, as long as clients must make it.
    let mut initial = vec![0xc3, 0, 0, 0, 1, 8];
    initial.resize(1200, 0x5a);
    vec![
        fresh("TCP SYN of a new flow", &syn_of(CLIENT_PORT)),
        fresh(
            "TCP, first payload, nothing",
            &data(443).payload(&[0; 1346]),
        ),
        fresh(
            "UDP, first payload, nothing",
            &v4().udp(CLIENT_PORT, OTHER_PORT).payload(&[0; 470]),
        ),
        fresh("TCP, anchored marker", &data(OTHER_PORT).payload(&torrent)),
        fresh("TCP 300 B, eight anchored markers, one hit", &marked('8')),
        fresh("TCP 300 B, eight anchored markers, none", &marked('9')),
        Class {
            how: How::OneByOne,
            handed_over: true,
            ..class(
                "QUIC Initial, handed over",
                &[],
                &v4().udp(CLIENT_PORT, 443).payload(&initial),
            )
        },
    ]
}

/// Questions, which are no flow's.
fn questions() -> Vec<Class> {
    let question = |class_name, name| {
        let frame = v4().udp(CLIENT_PORT, 53).payload(&dns_query(name));
        class(class_name, &[], &frame)
    };
    vec![
        question("DNS question, counted", COUNTED_NAME),
        question("DNS question of nobody", "www.example.org"),
    ]
}
