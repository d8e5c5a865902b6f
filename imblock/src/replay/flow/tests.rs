//! Flows: one for both directions, bounded in number.

use imblock_common::parse::Part;
use imblock_common::{Direction, Extent};

use super::*;

const A: ([u8; 4], u16) = ([10, 0, 0, 1], 40_000);
const B: ([u8; 4], u16) = ([192, 0, 2, 1], 6667);

fn segment(from: ([u8; 4], u16), to: ([u8; 4], u16), transport: Transport) -> Segment {
    Segment {
        source: Addr::v4(from.0),
        destination: Addr::v4(to.0),
        source_port: from.1,
        destination_port: to.1,
        transport,
        transport_at: 34,
        end: 0,
        part: Part::Whole,
        identification: 0,
    }
}

fn judgement(service: u16, verdict: Verdict) -> Judgement {
    Judgement {
        outcome: if service == 0 {
            Outcome::Unidentified
        } else {
            Outcome::Identified
        },
        verdict,
        service,
        evidence: Evidence::Port,
        direction: Direction::Sent,
        local: Addr::v4(A.0),
        extent: Extent::default(),
    }
}

/// Adds a packet of 100 bytes. Returns whom the judgement was asked for.
fn add(flows: &mut FlowTable, segment: &Segment, decided: Client, service: u16) -> Client {
    let mut asked = None;
    flows.packet(
        segment,
        100,
        7,
        || decided,
        |client| {
            asked = Some(client);
            judgement(service, Verdict::Dropped)
        },
    );
    asked.unwrap()
}

#[test]
fn the_first_packet_decides_for_both_directions() {
    for (client, first, second) in [
        (Client::Source, A, B),
        (Client::Source, B, A),
        (Client::Destination, A, B),
        (Client::Destination, B, A),
    ] {
        let mut flows = FlowTable::with_capacity(9);
        let there = segment(first, second, Transport::Tcp);
        let back = segment(second, first, Transport::Tcp);
        let other = match client {
            Client::Source => Client::Destination,
            Client::Destination => Client::Source,
        };
        assert_eq!(add(&mut flows, &there, client, 1), client);
        // What is decided later counts no more.
        assert_eq!(add(&mut flows, &back, client, 0), other);
        assert_eq!(add(&mut flows, &there, other, 0), client);

        let identified = flows.take_identified();
        assert_eq!(identified.len(), 1);
        let expected = match client {
            Client::Source => first,
            Client::Destination => second,
        };
        let flow = identified[0];
        assert_eq!(
            (flow.client, flow.client_port),
            (Addr::v4(expected.0), expected.1)
        );
        assert_eq!(
            flow.traffic,
            Counts {
                packets: 3,
                bytes: 300
            }
        );
        assert_eq!(flow.first_seen, 7);
    }
}

#[test]
fn transports_and_ports_keep_flows_apart() {
    let mut flows = FlowTable::with_capacity(9);
    add(
        &mut flows,
        &segment(A, B, Transport::Tcp),
        Client::Source,
        1,
    );
    add(
        &mut flows,
        &segment(A, B, Transport::Udp),
        Client::Source,
        2,
    );
    add(
        &mut flows,
        &segment((A.0, 40_001), B, Transport::Tcp),
        Client::Source,
        3,
    );
    let services: Vec<u16> = flows
        .take_identified()
        .iter()
        .map(|flow| flow.identity.service)
        .collect();
    assert_eq!(services, [1, 2, 3], "in the order of their first packets");
}

#[test]
fn a_flow_of_which_nothing_was_told_is_not_listed() {
    let mut flows = FlowTable::with_capacity(9);
    add(
        &mut flows,
        &segment(A, B, Transport::Tcp),
        Client::Source,
        0,
    );
    assert!(flows.take_identified().is_empty());
}

#[test]
fn the_latest_identification_is_kept() {
    let mut flows = FlowTable::with_capacity(9);
    let packet = segment(A, B, Transport::Tcp);
    for service in [1, 2, 0] {
        add(&mut flows, &packet, Client::Source, service);
    }
    assert_eq!(flows.take_identified()[0].identity.service, 2);
}

#[test]
fn a_full_table_judges_on_and_lists_no_more() {
    let mut flows = FlowTable::with_capacity(1);
    let kept = segment(A, B, Transport::Tcp);
    let not_kept = segment(A, B, Transport::Udp);
    add(&mut flows, &kept, Client::Source, 1);
    // Each packet is taken for the first.
    assert_eq!(
        add(&mut flows, &not_kept, Client::Source, 2),
        Client::Source
    );
    assert_eq!(
        add(&mut flows, &not_kept, Client::Destination, 2),
        Client::Destination
    );
    add(&mut flows, &kept, Client::Source, 1);
    assert_eq!(flows.packets_without_flow(), 2);
    let identified = flows.take_identified();
    assert_eq!(identified.len(), 1);
    assert_eq!(identified[0].traffic.packets, 2);
    // Room again, for the next capture.
    add(&mut flows, &not_kept, Client::Source, 2);
    assert_eq!(flows.packets_without_flow(), 2);
}

#[test]
fn a_flow_that_loses_some_packets_is_told_by_those() {
    let mut flows = FlowTable::with_capacity(1);
    let of_irc = segment(A, B, Transport::Tcp);
    for verdict in [Verdict::Counted, Verdict::Limited, Verdict::Counted] {
        let judge = |_| judgement(3, verdict);
        flows.packet(&of_irc, 100, 7, || Client::Source, judge);
    }
    let flow = flows.take_all()[0];
    assert_eq!((flow.traffic.packets, flow.refused), (3, 1));
    assert_eq!(flow.identity.unwrap().verdict, Verdict::Limited);
}
