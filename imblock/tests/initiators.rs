//! Who began a connection, and what follows from it.

#![expect(clippy::unwrap_used, reason = "tests")]

use imblock::policy::{self, ServiceNumbers, Source, Surroundings};
use imblock::replay::MemoryTables;
use imblock_common::testkit::{Frame, flags};
use imblock_common::{Direction, Verdict, View, classify};

const SENT: View = View::LAN_INGRESS;
const RECEIVED: View = View::LAN_EGRESS;
const SECOND: u64 = 1_000_000_000;

fn tables(text: &str) -> MemoryTables {
    let policy = policy::parse(Source::new("test.yaml".to_owned(), text.to_owned())).unwrap();
    let plan = policy.compile(&mut ServiceNumbers::default(), &Surroundings::default());
    MemoryTables::new(&plan.unwrap())
}

/// A segment between a host of the LAN and a server outside, whichever of the two sends it.
fn between(view: View, host_port: u16, remote_port: u16, set: u8, payload: &[u8]) -> Vec<u8> {
    let (host, remote) = ("10.0.0.2", "192.0.2.7");
    let frame = match view.direction() {
        Direction::Sent => Frame::eth().ipv4(host, remote).tcp(host_port, remote_port),
        Direction::Received => Frame::eth().ipv4(remote, host).tcp(remote_port, host_port),
    };
    frame.flags(set).payload(payload).build()
}

#[test]
fn who_is_called_from_a_listed_port_is_not_on_the_way_through_a_servers_ports() {
    let tables = tables(
        "version: 1\nname: test\nrules: [{ services: [listed], action: drop }]\n\
         hops: { action: drop, after: 2 }\n\
         services: [{ id: listed, name: Listed, category: im, status: historic, ports: [tcp/15050, tcp/15051] }]",
    );
    let judged = |view: View, host_port, remote_port, set| {
        let frame = between(view, host_port, remote_port, set, &[]);
        classify(frame.as_slice(), view, &tables).verdict
    };
    // Anybody may write any sender's address on these.
    for port in [15_050, 15_051] {
        let _ = judged(RECEIVED, 443, port, flags::SYN);
    }
    assert_eq!(judged(SENT, 50_000, 443, flags::SYN), Verdict::Allowed);
}

#[test]
fn a_silent_connection_remains_that_of_the_end_that_began_it() {
    let tables = tables(
        "version: 1\nname: test\nrules: [{ services: [listed], action: drop }]\n\
         services: [{ id: listed, name: Listed, category: im, ports: [tcp/40500] }]",
    );
    let judged = |second, view: View, set, payload: &[u8]| {
        tables.set_now(second * SECOND);
        let frame = between(view, 22, 40_500, set, payload);
        classify(frame.as_slice(), view, &tables).verdict
    };
    let talk = flags::ACK | flags::PSH;
    assert_eq!(judged(1, RECEIVED, flags::SYN, &[]), Verdict::Allowed);
    assert_eq!(
        judged(1, SENT, flags::SYN | flags::ACK, &[]),
        Verdict::Allowed
    );
    assert_eq!(judged(2, SENT, talk, b"SSH-2.0-x\r\n"), Verdict::Allowed);
    assert_eq!(
        judged(2, RECEIVED, talk, b"SSH-2.0-y\r\n"),
        Verdict::Allowed
    );
    for (second, view) in [(400, SENT), (800, RECEIVED), (801, SENT)] {
        assert_eq!(
            judged(second, view, talk, &[7; 90]),
            Verdict::Allowed,
            "{second}"
        );
        assert_eq!(
            judged(second, view, flags::ACK, &[]),
            Verdict::Allowed,
            "{second}"
        );
    }
}
