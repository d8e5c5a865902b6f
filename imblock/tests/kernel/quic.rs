//! QUIC in both homes: what is handed to the controller, what its answer does, and what is refused.

use std::time::Duration;

use imblock::kernel::Handshakes;
use imblock::policy::plan::{NameKind, NamePlan, QuicMode};
use imblock::quic::{HandedOver, Inspector};
use imblock::testing::kernel_or_skip;
use imblock_common::flows::{FlowKey, FlowState};
use imblock_common::layout::NameKey;
use imblock_common::testkit::{Frame, World, service};
use imblock_common::{Evidence, Outcome, Verdict, View};

use crate::plan::{ROOMY, plan_of};
use crate::twins::{Counted, Sighting, Twins};

/// A hello of aioquic with post-quantum keys: a datagram a line.
const HELLO: &str = include_str!("../../src/quic/tests/fixtures/two_datagrams.hex");
const HELLO_V2: &str = include_str!("../../src/quic/tests/fixtures/version_2.hex");

const CLIENT: &str = "10.0.0.9";
const SERVER: &str = "192.0.2.9";
const PORT: u16 = 443;

fn datagrams(lines: &str) -> Vec<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let datagram = |line: &str| line.as_bytes().chunks_exact(2).map(byte).collect();
    lines.lines().map(datagram).collect()
}

fn twins(quic: QuicMode) -> Twins {
    let mut plan = plan_of(&World::standard(), ROOMY);
    let names = ["two.datagrams.example", "version2.example"];
    plan.names.extend(names.map(|suffix| NamePlan {
        kind: NameKind::Host,
        suffix: suffix.to_owned(),
        service: service::CHAT,
    }));
    plan.quic = quic;
    Twins::new(&plan, 3)
}

fn sent(view: View, host: &str, port: u16, payload: &[u8]) -> Sighting {
    let frame = Frame::eth().ipv4(host, SERVER).udp(port, PORT);
    Sighting {
        frame: frame.payload(payload).build(),
        view,
        segments: 1,
    }
}

fn received(port: u16, payload: &[u8]) -> Sighting {
    let frame = Frame::eth().ipv4(SERVER, CLIENT).udp(PORT, port);
    Sighting {
        frame: frame.payload(payload).build(),
        view: View::LAN_EGRESS,
        segments: 1,
    }
}

#[track_caller]
fn passes(twins: &Twins, sighting: &Sighting, expected: bool) {
    assert_eq!(twins.see(sighting), Some((expected, expected)));
}

fn all(handshakes: &mut Handshakes) -> Vec<HandedOver> {
    std::iter::from_fn(|| handshakes.next()).collect()
}

/// Answers in both homes what was handed over in both: the same.
fn answer(twins: &Twins, handshakes: &mut Handshakes) -> Vec<FlowState> {
    let handed = all(handshakes);
    assert_eq!(handed, twins.memory.take_handed_over());
    let mut inspector = Inspector::default();
    let mut answers = Vec::new();
    for handed in handed {
        let state = inspector.read(&handed, Duration::ZERO, |kind, name| {
            let kernel = twins.maps.service_of_name(kind, name).unwrap();
            assert_eq!(kernel, twins.memory.service_of_name(kind, name), "{name}");
            kernel
        });
        if let Some(state) = state {
            assert!(handshakes.settle(&handed.flow, handed.entry, state));
            assert!(twins.memory.settle(&handed.flow, handed.entry, state));
            answers.push(state);
        }
    }
    answers
}

#[test]
fn the_controllers_answer_judges_the_rest_of_the_flow() {
    if !kernel_or_skip("the_controllers_answer_judges_the_rest_of_the_flow") {
        return;
    }
    for (view, hello) in [(View::LAN_INGRESS, HELLO), (View::WAN_EGRESS, HELLO_V2)] {
        let mut twins = twins(QuicMode::Inspect);
        let mut handshakes = twins.maps.take_handshakes().unwrap().unwrap();
        for datagram in datagrams(hello) {
            passes(&twins, &sent(view, CLIENT, 40_000, &datagram), true);
        }
        let told = answer(&twins, &mut handshakes);
        let [told] = told.as_slice() else {
            panic!("{told:?}");
        };
        assert_eq!(told.service(), service::CHAT);
        assert_eq!(told.reply().evidence(), Evidence::Quic);

        passes(&twins, &sent(view, CLIENT, 40_000, &[0x40; 30]), false);
        passes(&twins, &received(40_000, &[0x40; 30]), false);
        // Another flow of the same ends.
        passes(&twins, &sent(view, CLIENT, 40_001, &[0x40; 30]), true);
        let (kernel, library) = twins.counted();
        assert_eq!(kernel, library);
        let key = (service::CHAT, Evidence::Quic, Verdict::Dropped);
        assert_eq!(kernel.services.get(&key).unwrap().packets, 2);
        // A settled flow is nobody's business any more.
        let again = datagrams(hello).remove(0);
        passes(&twins, &sent(view, CLIENT, 40_000, &again), false);
        assert_eq!(all(&mut handshakes), []);
        let initials = twins.maps.snapshot().unwrap().initials;
        assert_eq!(initials, twins.memory.snapshot().initials);
        assert_eq!((initials.handed_over, initials.lost), (2, 0));
    }
}

#[test]
fn an_answer_that_comes_too_late_is_not_written() {
    if !kernel_or_skip("an_answer_that_comes_too_late_is_not_written") {
        return;
    }
    let mut twins = twins(QuicMode::Inspect);
    let mut handshakes = twins.maps.take_handshakes().unwrap().unwrap();
    let datagram = datagrams(HELLO).remove(0);
    passes(&twins, &sent(View::LAN_INGRESS, CLIENT, 40_000, &datagram), true);
    let handed = all(&mut handshakes).remove(0);
    let other = FlowState::other(Evidence::Quic);
    let stranger: FlowKey = bytemuck::Zeroable::zeroed();
    assert!(!handshakes.settle(&stranger, handed.entry, other));
    assert!(!handshakes.settle(&handed.flow, u32::MAX, other));
    assert!(handshakes.settle(&handed.flow, handed.entry, other));
    // Settled.
    assert!(!handshakes.settle(&handed.flow, handed.entry, other));
    // One reader.
    assert!(twins.maps.take_handshakes().unwrap().is_none());
}

#[test]
fn what_nobody_reads_is_counted_and_passes() {
    if !kernel_or_skip("what_nobody_reads_is_counted_and_passes") {
        return;
    }
    let twins = twins(QuicMode::Inspect);
    let datagram = datagrams(HELLO).remove(0);
    let flows = 700;
    for port in 0..flows {
        passes(
            &twins,
            &sent(View::LAN_INGRESS, CLIENT, 40_000 + port, &datagram),
            true,
        );
    }
    let initials = twins.maps.snapshot().unwrap().initials;
    assert!(initials.handed_over > 400, "{initials:?}");
    assert!(initials.lost > 0, "{initials:?}");
    assert_eq!(initials.handed_over + initials.lost, u64::from(flows));
}

#[test]
fn blocked_handshakes_are_refused_but_those_of_protected_hosts() {
    if !kernel_or_skip("blocked_handshakes_are_refused_but_those_of_protected_hosts") {
        return;
    }
    let mut twins = twins(QuicMode::Block);
    let mut handshakes = twins.maps.take_handshakes().unwrap().unwrap();
    let hello = datagrams(HELLO).remove(0);
    let mut expected = 0;
    for view in [View::LAN_INGRESS, View::WAN_EGRESS] {
        passes(&twins, &sent(view, CLIENT, 40_000, &hello), false);
        passes(&twins, &sent(view, CLIENT, 40_000, &hello), false);
        expected += 2;
        // Neither an Initial packet nor big enough for one.
        passes(&twins, &sent(view, CLIENT, 40_001, &[0x40; 1200]), true);
        let short = hello.get(..1199).unwrap();
        passes(&twins, &sent(view, CLIENT, 40_002, short), true);
        passes(&twins, &sent(view, "198.51.100.9", 40_000, &hello), true);
        let (kernel, library) = twins.counted();
        assert_eq!(kernel, library);
        assert_eq!(refused(&kernel), expected);
    }
    assert_eq!(all(&mut handshakes), []);
}

fn refused(counted: &Counted) -> u64 {
    let frames = counted.frames.iter();
    let refused = frames.filter(|((_, outcome), _)| *outcome == Outcome::QuicRefused);
    refused.map(|(_, packets)| packets).sum()
}

#[test]
fn allowed_handshakes_are_nobodys_business() {
    if !kernel_or_skip("allowed_handshakes_are_nobodys_business") {
        return;
    }
    let mut twins = twins(QuicMode::Allow);
    let mut handshakes = twins.maps.take_handshakes().unwrap().unwrap();
    for datagram in datagrams(HELLO) {
        passes(&twins, &sent(View::LAN_INGRESS, CLIENT, 40_000, &datagram), true);
    }
    assert_eq!(all(&mut handshakes), []);
    assert_eq!(twins.memory.take_handed_over(), []);
}

#[test]
fn names_are_looked_up_in_the_live_policy() {
    if !kernel_or_skip("names_are_looked_up_in_the_live_policy") {
        return;
    }
    let mut twins = twins(QuicMode::Inspect);
    let service_of = |twins: &Twins, name| twins.maps.service_of_name(NameKey::HOST, name).unwrap();
    assert_eq!(service_of(&twins, "web.t.me"), service::CHAT);
    assert_eq!(service_of(&twins, "calls.whatsapp.com"), service::CALLS);
    assert_eq!(service_of(&twins, "not.me"), 0);
    let mut plan = plan_of(&World::standard(), ROOMY);
    plan.names.retain(|name| name.suffix != "t.me");
    twins.maps.apply(&plan).unwrap();
    assert_eq!(service_of(&twins, "web.t.me"), 0);
    assert_eq!(service_of(&twins, "calls.whatsapp.com"), service::CALLS);
}
