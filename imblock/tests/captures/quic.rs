//! QUIC in a replay: the flow is listed as what its hello says, whether or not it goes on.

use imblock::policy::plan::{NameKind, NamePlan, QuicMode};
use imblock::replay::{Format, ReplayRequest, run};
use serde_json::Value;

use crate::plan::plan;
use crate::replays::Told;
use crate::write::{IPV4, Order, SECOND, Timed, ethernet, pcap};

/// A hello of aioquic with post-quantum keys: a datagram a line.
const HELLO: &str = include_str!("../../src/quic/tests/fixtures/two_datagrams.hex");
const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [192, 0, 2, 2];

fn datagrams() -> Vec<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let datagram = |line: &str| line.as_bytes().chunks_exact(2).map(byte).collect();
    HELLO.lines().map(datagram).collect()
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let length = |more: usize| u16::try_from(payload.len() + more).unwrap().to_be_bytes();
    let mut packet = vec![0x45, 0];
    packet.extend(length(28));
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend(CLIENT);
    packet.extend(SERVER);
    packet.extend(40_000_u16.to_be_bytes());
    packet.extend(443_u16.to_be_bytes());
    packet.extend(length(8));
    packet.extend([0, 0]);
    packet.extend(payload);
    ethernet(IPV4, &packet)
}

/// The document about a capture of these payloads.
fn replayed(quic: QuicMode, payloads: &[Vec<u8>]) -> Value {
    let frames: Vec<_> = payloads.iter().map(|payload| udp(payload)).collect();
    let timed: Vec<Timed<'_>> = (0..)
        .zip(&frames)
        .map(|(second, frame)| (second * SECOND, frame.as_slice()))
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("quic.pcap");
    std::fs::write(&path, pcap(Order::Little, false, 1, &timed)).unwrap();
    let mut plan = plan();
    plan.quic = quic;
    // `irc`, which is dropped.
    plan.names.push(NamePlan {
        kind: NameKind::Host,
        suffix: "datagrams.example".to_owned(),
        service: 1,
    });
    let request = ReplayRequest {
        captures: vec![path],
        local: Vec::new(),
        flows: true,
        format: Format::Json,
    };
    let mut out = Vec::new();
    run(&request, &plan, &mut out, &mut Told::default()).unwrap();
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn a_flow_is_listed_even_if_it_ends_with_its_hello() {
    let document = replayed(QuicMode::Inspect, &datagrams());
    let [flow] = document["flows"].as_array().unwrap().as_slice() else {
        panic!("{document:#}");
    };
    assert_eq!(flow["service"], "irc");
    assert_eq!(flow["evidence"], "quic");
    assert_eq!(flow["verdict"], "dropped");
    assert_eq!(flow["packets"], 2);
    // Both had passed before anything was known.
    assert_eq!(document["services"].as_array().unwrap().len(), 0);
    assert_eq!(document["outcomes"]["unidentified"], 2);
}

#[test]
fn what_follows_is_judged_by_the_name() {
    let mut payloads = datagrams();
    payloads.push(vec![0x40; 30]);
    let document = replayed(QuicMode::Inspect, &payloads);
    let [service] = document["services"].as_array().unwrap().as_slice() else {
        panic!("{document:#}");
    };
    assert_eq!(service["evidence"], "quic");
    assert_eq!(service["packets"], 1);
    assert_eq!(document["outcomes"]["identified"], 1);
}

#[test]
fn half_a_hello_tells_nothing() {
    let document = replayed(QuicMode::Inspect, &datagrams()[..1]);
    assert_eq!(document["flows"].as_array().unwrap().len(), 0);
}

#[test]
fn what_is_allowed_is_not_read_and_what_is_blocked_is_counted() {
    let document = replayed(QuicMode::Allow, &datagrams());
    assert_eq!(document["flows"].as_array().unwrap().len(), 0);
    assert_eq!(document["outcomes"]["unidentified"], 2);
    let document = replayed(QuicMode::Block, &datagrams());
    assert_eq!(document["flows"].as_array().unwrap().len(), 0);
    assert_eq!(document["outcomes"]["quic_refused"], 2);
}
