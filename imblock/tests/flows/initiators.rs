//! Who began a connection, and what follows from it.

use imblock_common::testkit::flags;
use imblock_common::{Evidence, Verdict, View, classify};

use super::{RECEIVED, SECOND, SENT, between, tables};

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

#[test]
fn who_is_called_from_a_listed_port_is_a_server() {
    let tables = tables(
        "version: 1\nname: test\nrules: [{ services: [listed], action: drop }]\n\
         services: [{ id: listed, name: Listed, category: im, status: historic, ports: [tcp/15050] }]",
    );
    let judged = |view: View, set, payload: &[u8]| {
        let frame = between(view, 443, 15_050, set, payload);
        classify(frame.as_slice(), view, &tables).verdict
    };
    let talk = flags::ACK | flags::PSH;
    assert_eq!(judged(RECEIVED, flags::SYN, &[]), Verdict::Allowed);
    assert_eq!(judged(SENT, flags::SYN | flags::ACK, &[]), Verdict::Allowed);
    assert_eq!(judged(RECEIVED, talk, &[7; 90]), Verdict::Allowed);
    assert_eq!(judged(SENT, talk, &[7; 90]), Verdict::Allowed);
    // Who calls it is its client, and of a connection that nobody saw begin the port tells what it is.
    assert_eq!(judged(SENT, flags::SYN, &[]), Verdict::Dropped);
}

#[test]
fn of_a_connection_in_its_midst_the_port_of_an_ended_service_tells_all() {
    let tables = tables(
        "version: 1\nname: test\nrules: [{ services: [listed], action: drop }]\n\
         services: [{ id: listed, name: Listed, category: im, status: historic, ports: [tcp/15050] }]",
    );
    for (view, set) in [(SENT, flags::ACK), (RECEIVED, flags::SYN | flags::ACK)] {
        let frame = between(
            view,
            50_000,
            15_050,
            set,
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        );
        let judgement = classify(frame.as_slice(), view, &tables);
        assert_eq!(judgement.verdict, Verdict::Dropped, "{view:?}");
        assert_eq!(judgement.evidence, Evidence::Port, "{view:?}");
    }
}

#[test]
fn a_server_that_says_syn_remains_the_one_that_was_called() {
    let tables = tables(
        "version: 1\nname: test\nrules: [{ services: [placed], action: drop }]\n\
         services: [{ id: placed, name: Placed, category: im, prefixes: [192.0.2.0/24] }]",
    );
    let judged = |view: View, set, payload: &[u8]| {
        let frame = between(view, 50_000, 443, set, payload);
        classify(frame.as_slice(), view, &tables).verdict
    };
    let _ = judged(SENT, flags::SYN, &[]);
    let _ = judged(RECEIVED, flags::SYN | flags::ACK, &[]);
    let _ = judged(SENT, flags::ACK, &[]);
    // The client's stack answers that by an ACK (RFC 5961 section 4), and goes on.
    let _ = judged(RECEIVED, flags::SYN, &[]);
    assert_eq!(
        judged(SENT, flags::ACK | flags::PSH, &[7; 90]),
        Verdict::Dropped
    );
}
