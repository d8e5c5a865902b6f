//! The in-memory tables give the answers that the maps would give.

use std::net::IpAddr;

use imblock_common::hosts::{self, Arrival, HostKey, Shape, Slots as _};
use imblock_common::layout::{ActionCell, Control, Counts, HostEntry};
use imblock_common::packet::CapturedFrame;
use imblock_common::record::{self, Judgement};
use imblock_common::testkit::Frame;
use imblock_common::{Action, Addr, Counters, Direction, Evidence, Extent, Outcome};
use imblock_common::{Memory, Tables, Transport, Verdict, View, classify, judge};
use proptest::prelude::*;

mod limit;

use super::*;
use crate::policy::Mac;
use crate::policy::plan::{MacPlan, PrefixPlan};
use crate::replay::LinkLayer;
use crate::replay::fixtures::{IRC, plan, prefix};

fn addr(text: &str) -> Addr {
    Addr::from(text.parse::<IpAddr>().unwrap())
}

fn group_of(tables: &MemoryTables, host: &str) -> u16 {
    Tables::host(tables, tables.policy().half, &addr(host)).group
}

#[test]
fn the_longest_prefix_wins_in_each_family() {
    let mut plan = plan();
    plan.prefixes = vec![
        prefix("10.0.0.0/8", 1),
        prefix("10.1.0.0/16", 2),
        prefix("10.1.2.3/32", 3),
        prefix("2001:db8::/32", 4),
        prefix("2001:db8:1::/48", 5),
        prefix("2001:db8:1::9/128", 6),
        // The first 32 bits are those of 10.0.0.0: the families must not meet.
        prefix("a00::/16", 7),
    ];
    let tables = MemoryTables::new(&plan);
    for (host, group) in [
        ("10.9.9.9", 1),
        ("10.1.9.9", 2),
        ("10.1.2.3", 3),
        ("10.1.2.4", 2),
        ("11.0.0.1", 0),
        ("2001:db8:9::1", 4),
        ("2001:db8:1::1", 5),
        ("2001:db8:1::9", 6),
        ("2001:db9::1", 0),
        ("a00::1", 7),
    ] {
        assert_eq!(group_of(&tables, host), group, "{host}");
    }
}

#[test]
fn a_prefix_of_length_zero_covers_its_family_alone() {
    let mut plan = plan();
    plan.prefixes = vec![prefix("0.0.0.0/0", 1)];
    let tables = MemoryTables::new(&plan);
    assert_eq!(group_of(&tables, "255.255.255.255"), 1);
    assert_eq!(group_of(&tables, "::1"), 0);
}

#[test]
fn flags_follow_the_plan() {
    let mut plan = plan();
    assert_eq!(MemoryTables::new(&plan).policy().flags, 0);
    plan.prefixes = vec![PrefixPlan {
        entry: HostEntry {
            group: 1,
            flags: HostEntry::PROTECTED,
        },
        ..prefix("10.0.0.0/8", 1)
    }];
    let tables = MemoryTables::new(&plan);
    assert_eq!(tables.policy().flags, plan.flags());
    assert_ne!(plan.flags(), 0);
}

#[test]
fn a_capture_without_link_headers_knows_no_device() {
    let mut plan = plan();
    let device = [2, 0, 0, 0xaa, 0xbb, 0xcc];
    plan.macs = vec![MacPlan {
        mac: Mac::new(device).unwrap(),
        group: 1,
    }];
    // What stands in an IPv4 header where the source's address would be: it is none.
    plan.macs.push(MacPlan {
        mac: Mac::new([0, 0, 64, 6, 0, 0]).unwrap(),
        group: 1,
    });
    let tables = &MemoryTables::new(&plan);
    let frame = Frame::eth().stations(device, [2, 0, 0, 0, 0, 9]);
    let bytes = frame
        .ipv4("10.0.0.1", "192.0.2.7")
        .tcp(40_000, 6667)
        .build();
    let judged = |bytes: &[u8], link: LinkLayer| {
        let packet = CapturedFrame {
            bytes,
            wire_length: 60,
            is_ethernet: link == LinkLayer::Ethernet,
        };
        judge(
            packet,
            &link.parse(packet).unwrap(),
            View::LAN_INGRESS,
            tables,
        )
    };
    assert!(judged(&bytes, LinkLayer::Ethernet).passes());
    assert!(!judged(&bytes[14..], LinkLayer::RawIp).passes());
}

#[test]
fn ports_and_actions_are_those_of_the_plan() {
    let tables = MemoryTables::new(&plan());
    let half = tables.policy().half;
    assert_eq!(tables.port(half, Transport::Tcp, 6667).service(), IRC);
    assert_eq!(tables.port(half, Transport::Udp, 6667).service(), 0);
    assert_eq!(tables.action(half, 0, IRC), Action::Drop);
    assert_eq!(tables.action(half, 1, IRC), Action::Allow);
    assert_eq!(tables.action(half, 255, IRC), Action::Allow);
}

#[test]
fn an_action_can_be_changed_for_one_group_and_service() {
    let tables = MemoryTables::new(&plan());
    let half = tables.policy().half;
    let cell = ActionCell::of_policy(Action::Drop).overridden(Action::Count);
    tables.set_action(0, IRC, cell);
    assert_eq!(tables.action(half, 0, IRC), Action::Count);
    assert_eq!(tables.action(half, 1, IRC), Action::Allow);
    tables.set_action(0, IRC, cell.reset());
    assert_eq!(tables.action(half, 0, IRC), Action::Drop);
    // 513 is no service: it must not be taken for number 1.
    tables.set_action(0, 513, ActionCell::of_policy(Action::Allow));
    assert_eq!(tables.action(half, 0, IRC), Action::Drop);
}

#[test]
fn later_fragments_fare_as_the_first_one_did() {
    let first = |from: &str| Frame::eth().ipv4(from, "192.0.2.7").fragment(0, true);
    let later = |from: &str| Frame::eth().ipv4(from, "192.0.2.7").fragment(100, false);
    let (drop, pass) = ("10.0.0.1", "10.0.0.2");
    let plan = plan();
    let tables = &MemoryTables::new(&plan);
    let judged = |frame: Frame| classify(frame.build().as_slice(), View::LAN_INGRESS, tables);
    // Before the first one, nobody knows.
    let early = judged(later(drop).tcp(0, 0));
    assert_eq!(
        (early.outcome, early.passes()),
        (Outcome::LaterFragment, true)
    );
    assert!(!judged(first(drop).tcp(40_000, 6667)).passes());
    assert!(judged(first(pass).tcp(40_000, 80)).passes());
    let refused = judged(later(drop).tcp(0, 0));
    assert_eq!((refused.service, refused.passes()), (IRC, false));
    let passed = judged(later(pass).tcp(0, 0));
    assert_eq!(
        (passed.outcome, passed.passes()),
        (Outcome::LaterFragment, true)
    );
    // A datagram of another transport is another one.
    assert!(judged(later(drop).udp(0, 0)).passes());
    tables.set_now(31 * SECOND);
    assert!(
        judged(later(drop).tcp(0, 0)).passes(),
        "half a minute later"
    );
}

#[test]
fn a_full_host_table_refuses_new_hosts_and_keeps_the_old() {
    let mut plan = plan();
    plan.limits.hosts = 1;
    let tables = &MemoryTables::new(&plan);
    let shape = Shape {
        slots: slots_for(1),
        seed: 0,
        ticks_per_second: 1,
    };
    let arrival = Arrival {
        direction: Direction::Sent,
        traffic: Counts::default(),
        tick: 0,
    };
    let touch = |host: u8| {
        let key = HostKey::new(&Addr::v4([10, 0, 0, host]), IRC, true);
        hosts::count(tables, shape, &key, arrival)
    };
    // The smallest table is one bucket.
    for host in 0..8 {
        assert!(touch(host));
    }
    assert!(!touch(8));
    assert!(touch(0));
    assert_eq!(tables.snapshot().hosts.len(), 8);
}

#[test]
fn an_untouched_table_has_an_empty_snapshot() {
    let snapshot = MemoryTables::new(&plan()).snapshot();
    assert!(snapshot.services.is_empty());
    assert!(snapshot.hosts.is_empty());
    assert!(snapshot.frames.is_empty());
    assert_eq!(snapshot.taken_at, 0);
}

#[test]
fn flags_and_clock_are_what_was_set() {
    let tables = &MemoryTables::new(&plan());
    tables.set_flags(Control::WAN_COUNTS_SENT);
    tables.set_now(7);
    assert_eq!(tables.control().flags, Control::WAN_COUNTS_SENT);
    assert_eq!(tables.now(), 7);
    assert_eq!(tables.snapshot().taken_at, 7);
}

/// A frame that was identified, from one of a few hosts.
#[test]
fn what_is_remembered_ages_with_the_clock() {
    let tables = MemoryTables::new(&plan());
    let (host, server) = (addr("10.0.0.5"), addr("198.51.100.7"));
    let pair = |port| hops::Pair {
        host: &host,
        server: &server,
        port,
    };
    let rule = (&tables).hop_rule(HALF);
    let at = |second: u64| {
        tables.set_now(second * SECOND);
        (&tables).seconds()
    };
    let (buckets, shape) = (&tables).recent();
    recent::note(buckets, shape, &host, IRC, at(100));
    assert_eq!(recent::lately(buckets, shape, &host, at(130), 30), IRC);
    assert_eq!(recent::lately(buckets, shape, &host, at(131), 30), 0);
    let (buckets, shape) = (&tables).hops();
    hops::refused(buckets, shape, pair(6667), IRC, at(100), rule);
    let hop = |port, now| hops::attempt(buckets, shape, pair(port), now, rule);
    assert_eq!(hop(443, at(131)), hops::Attempt::Unknown);
    assert_eq!(hop(6667, at(130)), hops::Attempt::SamePort);
    assert_eq!(
        hop(443, at(130)),
        hops::Attempt::Hop {
            service: IRC,
            ports_tried: 1
        }
    );
}

fn judgements() -> impl Strategy<Value = (Judgement, usize)> {
    let parts = (0..6_u8, any::<bool>(), 1..4_u16, 0..4_usize, any::<bool>());
    (parts, 0..2_000_usize).prop_map(|((host, v6, service, verdict, sent), length)| {
        let local = if v6 {
            addr(&format!("fd00::{host}"))
        } else {
            Addr::v4([10, 0, 0, host])
        };
        let judgement = Judgement {
            outcome: Outcome::Identified,
            verdict: Verdict::ALL[verdict],
            service,
            evidence: Evidence::Port,
            direction: if sent {
                Direction::Sent
            } else {
                Direction::Received
            },
            local,
            extent: Extent::default(),
        };
        (judgement, length)
    })
}

fn sum(record: &HostRecord) -> Counts {
    let mut sum = Counts::default();
    for counts in record.passed.into_iter().chain(record.refused) {
        sum.add(counts);
    }
    sum
}

proptest! {
    /// To the packet and the byte, however small the host table is, and however long hosts are silent.
    #[test]
    fn hosts_and_overflow_add_up_to_the_totals(
        judged in prop::collection::vec((judgements(), 0..30_u64), 0..200),
        capacity in 0..12_u32,
        bits in 29..=33_u8,
    ) {
        let mut plan = plan();
        plan.limits.hosts = capacity;
        // Some of the hosts, or none.
        let network = [10, 0, 0, 0].into();
        let inside = Inside::NONE.with(network, bits).unwrap_or_default();
        plan.limits.inside = inside;
        let tables = MemoryTables::new(&plan);
        let bytes = [0; 2_000];
        for ((judgement, length), hours) in &judged {
            tables.set_now(tables.now.get() + hours * 3600 * SECOND);
            record::record(judgement, &bytes[..*length], View::LAN_INGRESS, &tables);
        }

        let snapshot = tables.snapshot();
        prop_assert!(snapshot.hosts.len() <= (slots_for(capacity) + inside.slots()) as usize);
        let frames: u64 = snapshot.frames.iter().map(|frame| frame.packets).sum();
        prop_assert_eq!(frames, judged.len() as u64);
        let mut packets = 0;
        for service in &snapshot.services {
            let mut totals = service.passed();
            totals.add(service.refused());
            let mut hosts = sum(&service.overflow);
            for host in snapshot.hosts.iter().filter(|host| host.service == service.number) {
                hosts.add(sum(&host.record));
            }
            prop_assert_eq!(totals, hosts);
            packets += totals.packets;
        }
        prop_assert_eq!(packets, judged.len() as u64);
    }
}
