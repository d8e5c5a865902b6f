//! What holds for every frame, well formed or not.
#![expect(clippy::indexing_slicing, reason = "tests")]

use core::cell::Cell;
use core::net::IpAddr;

use imblock_common::packet::MAX_OFFSET;
use imblock_common::parse::{EXTENSIONS_MAX, VLAN_DEPTH_MAX};
use imblock_common::stream::{Head, Source};
use imblock_common::testkit::{Extension, Frame, Layer, World, generate};
use imblock_common::{
    Action, Bytes, Evidence, Judgement, Outcome, Packet, Transport, View, classify,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A frame that remembers how far into it somebody read.
#[derive(Clone, Copy)]
struct Watched<'a> {
    bytes: &'a [u8],
    reach: &'a Cell<usize>,
    /// Whether a read failed: then it decides that the frame ends where it does.
    short: &'a Cell<bool>,
}

impl Bytes for Watched<'_> {
    fn copy<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        let Some(read) = self.bytes.copy(at) else {
            self.short.set(true);
            return None;
        };
        self.reach.set(self.reach.get().max(at + N));
        Some(read)
    }
}

impl Source for Watched<'_> {
    fn load(self, at: usize, head: &mut Head, to: usize, length: usize) -> bool {
        let there = self.bytes.load(at, head, to, length);
        if there {
            self.reach.set(self.reach.get().max(at + length));
        } else {
            self.short.set(true);
        }
        there
    }
}

impl Packet for Watched<'_> {
    fn length(self, end: usize) -> u32 {
        self.bytes.length(end)
    }

    fn segments(self) -> u32 {
        1
    }
}

#[test]
fn offsets_settle_up_to_the_cap() {
    let packet: &[u8] = &[];
    for at in [0, 14, MAX_OFFSET] {
        assert_eq!(packet.settle(at), Some(at));
    }
    assert_eq!(packet.settle(MAX_OFFSET + 1), None);
    assert_eq!(packet.settle(usize::MAX), None);
}

/// Everything but the length of the headers, which a longer frame may let be known.
fn verdict_of(judgement: &Judgement) -> (Outcome, bool, u16) {
    (judgement.outcome, judgement.passes(), judgement.service)
}

fn views() -> impl Strategy<Value = View> {
    select(View::ALL.to_vec())
}

/// Random bytes, or a frame of the generator.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..300),
        (any::<u64>(), any::<u64>()).prop_map(|(seed, index)| generate(seed, index)),
    ]
}

/// The world, with one action for every service of every group.
fn worlds() -> impl Strategy<Value = World> {
    prop_oneof![
        Just(World::standard()),
        select(Action::ALL.to_vec()).prop_map(World::uniform),
    ]
}

const PORTS: [u16; 9] = [22, 67, 5050, 5060, 5222, 6667, 9863, 40_000, 65_535];

const EXTENSIONS: [Extension; 6] = [
    Extension::hop_by_hop(1),
    Extension::routing(0),
    Extension::destination(3),
    Extension::mobility(0),
    Extension::authentication(4),
    Extension::fragment(0, true),
];

/// Addresses of both ends, of one family.
fn ends() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    let v4 = [
        "10.0.0.1",
        "10.0.0.5",
        "10.0.5.9",
        "10.0.5.77",
        "10.0.5.200",
        "198.51.100.9",
    ];
    let v6 = [
        "2001:db8::1",
        "2001:db8:5::9",
        "2001:db8:5:8000::9",
        "2001:db8:ffff::9",
        "::",
    ];
    let pair = |list: &[&str]| {
        let list: Vec<IpAddr> = list.iter().filter_map(|text| text.parse().ok()).collect();
        (select(list.clone()), select(list))
    };
    prop_oneof![pair(&v4), pair(&v6)]
}

/// A TCP or UDP packet with nothing around it.
fn plain() -> impl Strategy<Value = Frame> {
    let transport = select(vec![Transport::Tcp, Transport::Udp]);
    let ports = (select(PORTS.to_vec()), select(PORTS.to_vec()));
    (ends(), transport, ports, vec(any::<u8>(), 0..40)).prop_map(
        |((source, destination), transport, (from, to), payload)| {
            let frame = Frame::eth().ip(source, destination).payload(&payload);
            match transport {
                Transport::Tcp => frame.tcp(from, to),
                Transport::Udp => frame.udp(from, to),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    /// No bytes make it panic (overflow checks are on here), and it never says the impossible.
    #[test]
    fn any_bytes_get_a_judgement(frame in frames(), view in views(), world in worlds()) {
        let judgement = classify(frame.as_slice(), view, &world);
        if judgement.outcome == Outcome::Identified {
            prop_assert!((1..512).contains(&judgement.service));
        } else {
            prop_assert!(judgement.passes());
        }
        prop_assert!(judgement.extent.headers < 0x1_0000);
    }

    /// What is cut off is not guessed: a frame that lost what told its service is judged by its port or
    /// address, or not at all.
    #[test]
    fn a_cut_frame_is_told_by_what_is_left(frame in frames(), view in views(), world in worlds(), cut in any::<prop::sample::Index>()) {
        let whole = classify(frame.as_slice(), view, &world);
        let cut = classify(&frame[..cut.index(frame.len() + 1)], view, &world);
        let falls_back = matches!(cut.outcome, Outcome::Truncated | Outcome::Unidentified)
            || matches!(cut.evidence, Evidence::Port | Evidence::Prefix);
        prop_assert!(cut.service == whole.service || falls_back);
    }

    /// A frame that is cut behind what was read is judged the same.
    #[test]
    fn bytes_that_are_not_read_decide_nothing(frame in frames(), view in views(), world in worlds(), tail in vec(any::<u8>(), 0..50)) {
        let (reach, short) = (Cell::new(0), Cell::new(false));
        let watched = Watched { bytes: &frame, reach: &reach, short: &short };
        let judgement = classify(watched, view, &world);
        if !short.get() {
            let mut other = frame[..reach.get()].to_vec();
            prop_assert_eq!(classify(other.as_slice(), view, &world), judgement);
            other.extend(tail);
            prop_assert_eq!(verdict_of(&classify(other.as_slice(), view, &world)), verdict_of(&judgement));
        }
    }

    /// Until a policy is applied the box is a wire.
    #[test]
    fn without_a_policy_everything_passes(frame in frames(), view in views()) {
        let judgement = classify(frame.as_slice(), view, &World::default());
        prop_assert!(judgement.passes());
        prop_assert_ne!(judgement.outcome, Outcome::Identified);
    }

    /// A policy that drops nothing drops nothing, whatever the groups.
    #[test]
    fn a_policy_that_only_counts_drops_nothing(frame in frames(), view in views(), action in select(vec![Action::Allow, Action::Count])) {
        let mut world = World::standard();
        for (.., cell) in &mut world.actions {
            *cell = action;
        }
        prop_assert!(classify(frame.as_slice(), view, &world).passes());
    }

    /// Tags, PPPoE, options and extension headers are wrapping paper.
    #[test]
    fn encapsulation_decides_nothing(
        frame in plain(),
        view in views(),
        tags in vec(any::<(bool, u16)>(), 0..=VLAN_DEPTH_MAX),
        pppoe in any::<bool>(),
        network_words in 0..=10_usize,
        transport_words in 0..=10_usize,
        kinds in vec(select(EXTENSIONS.to_vec()), 0..=EXTENSIONS_MAX),
    ) {
        let world = World::standard();
        let bare = classify(frame.build().as_slice(), view, &world);
        let mut wrapped = frame.ip_options(network_words).tcp_options(transport_words);
        for (provider, id) in tags {
            wrapped = if provider { wrapped.provider_vlan(id) } else { wrapped.vlan(id) };
        }
        if pppoe {
            wrapped = wrapped.pppoe();
        }
        let wrapped = wrapped.extensions(&kinds);
        let judgement = classify(wrapped.build().as_slice(), view, &world);
        prop_assert_eq!(verdict_of(&judgement), verdict_of(&bare));
        prop_assert_eq!(judgement.verdict, bare.verdict);
        if judgement.outcome == Outcome::Identified {
            prop_assert_eq!(judgement.local, bare.local);
            prop_assert_eq!(judgement.extent.headers, wrapped.offset(Layer::Payload));
        }
    }

    /// The answer to a packet, seen from the other hook of the same side, gets the same verdict.
    #[test]
    fn both_directions_are_judged_alike(ends in ends(), ports in (select(PORTS.to_vec()), select(PORTS.to_vec())), side in 0..2_usize) {
        let world = World::standard();
        let packet = Frame::eth().ip(ends.0, ends.1).tcp(ports.0, ports.1).build();
        let answer = Frame::eth().ip(ends.1, ends.0).tcp(ports.1, ports.0).build();
        let views = [View::ALL[side * 2], View::ALL[side * 2 + 1]];
        let one = classify(packet.as_slice(), views[0], &world);
        let other = classify(answer.as_slice(), views[1], &world);
        prop_assert_eq!(one.verdict, other.verdict);
        prop_assert_eq!(one.service, other.service);
        if one.outcome == Outcome::Identified {
            prop_assert_eq!(one.local, other.local);
            prop_assert_ne!(one.direction, other.direction);
        }
    }
}
