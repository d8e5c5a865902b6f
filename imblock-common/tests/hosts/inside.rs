//! Hosts whose counters have places by address.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use imblock_common::hosts::HostKey;
use imblock_common::layout::{Counts, HostRecord, Inside};
use imblock_common::{Addr, Direction};
use proptest::prelude::*;

use crate::{SECOND, TICKS, Table, of};

/// 10.0.0.64/28, 192.168.1.7/32 and 10.0.0.0/26: 81 hosts.
fn inside() -> Inside {
    [
        ([10, 0, 0, 64], 28),
        ([192, 168, 1, 7], 32),
        ([10, 0, 0, 0], 26),
    ]
    .into_iter()
    .try_fold(Inside::NONE, |inside, (network, bits)| {
        inside.with(Ipv4Addr::from(network), bits)
    })
    .unwrap()
}

const HOSTS: u32 = 81;
const HASHED: u32 = 64;

#[test]
fn a_host_inside_is_counted_at_its_place() {
    // The first and the last address of each prefix, in the policy's order.
    for (host, number) in [
        ([10, 0, 0, 64], 0),
        ([10, 0, 0, 79], 15),
        ([192, 168, 1, 7], 16),
        ([10, 0, 0, 0], 17),
        ([10, 0, 0, 63], 80),
    ] {
        let host = Addr::v4(host);
        for (service, passes, way) in [
            (4, false, 0),
            (1, false, 1),
            (510, false, 2),
            (511, false, 3),
            (4, true, 2),
            (511, true, 1),
        ] {
            for (direction, first) in [(Direction::Sent, 0), (Direction::Received, 4)] {
                let table = Table::with_inside(HASHED, inside());
                let key = HostKey::new(&host, service, passes);
                for _ in 0..3 {
                    assert!(table.count_one_way(&key, direction, 0));
                }
                assert_eq!(
                    of(table.placed(), host, service),
                    [((first + way) * HOSTS + number, 3)],
                    "{host:?} {service} {direction:?}"
                );
                let counts = Counts {
                    packets: 3,
                    bytes: 180,
                };
                let none = Counts::default();
                let one_way = match direction {
                    Direction::Sent => [counts, none],
                    Direction::Received => [none, counts],
                };
                let (passed, refused) = match passes {
                    true => (one_way, [none; 2]),
                    false => ([none; 2], one_way),
                };
                let wanted = HostRecord {
                    passed,
                    refused,
                    active_seconds: 1,
                    ..HostRecord::default()
                };
                assert_eq!(table.records(), [(host, service, wanted)]);
            }
        }
    }
}

#[test]
fn a_host_outside_is_counted_by_its_hash() {
    let neighbours = [
        [9, 255, 255, 255],
        [10, 0, 0, 80],
        [192, 168, 1, 6],
        [192, 168, 1, 8],
        [0, 0, 0, 0],
        [255, 255, 255, 255],
        // The bytes of a prefix in the other order.
        [64, 0, 0, 10],
    ];
    // An IPv6 address that begins as one of IPv4 inside.
    let v6 = Addr::v6([10, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for host in neighbours.into_iter().map(Addr::v4).chain([v6]) {
        let table = Table::with_inside(HASHED, inside());
        assert!(table.count(&HostKey::new(&host, 3, true), 0));
        assert_eq!(table.placed(), [], "{host:?}");
        let found = of(table.hashed(), host, 3);
        assert!(matches!(found.as_slice(), [(_, 1)]), "{host:?}: {found:?}");
    }
}

#[test]
fn a_service_that_finds_the_place_taken_is_counted_by_its_hash() {
    let table = Table::with_inside(HASHED, inside());
    let host = Addr::v4([10, 0, 0, 1]);
    // Four numbers on is the same way, and so is what passes of two numbers on.
    for (service, passes, times) in [(1, false, 2), (5, false, 3), (3, true, 4), (1, false, 5)] {
        for _ in 0..times {
            assert!(table.count(&HostKey::new(&host, service, passes), 0));
        }
    }
    let place = 5 * HOSTS + 18;
    assert_eq!(of(table.placed(), host, 1), [(place, 7)]);
    assert_eq!(of(table.hashed(), host, 1), []);
    for (service, times) in [(5, 3), (3, 4)] {
        assert_eq!(of(table.placed(), host, service), []);
        let found = of(table.hashed(), host, service);
        let [(_, counted)] = found.as_slice() else {
            unreachable!("{service}: {found:?}")
        };
        assert_eq!(*counted, times, "{service}");
    }
    // What it sends has a place that none of these took, and so has the neighbour.
    let key = HostKey::new(&host, 5, false);
    assert!(table.count_one_way(&key, Direction::Sent, 0));
    assert_eq!(of(table.placed(), host, 5), [(place - 4 * HOSTS, 1)]);
    let neighbour = Addr::v4([10, 0, 0, 2]);
    assert!(table.count(&HostKey::new(&neighbour, 5, false), 0));
    assert_eq!(of(table.placed(), neighbour, 5), [(place + 1, 1)]);
}

#[test]
fn both_directions_are_counted_apart_and_read_as_one_record() {
    let table = Table::with_inside(HASHED, inside());
    let host = Addr::v4([10, 0, 0, 9]);
    let key = HostKey::new(&host, 3, true);
    table.now.set(7 * SECOND);
    for (direction, times) in [(Direction::Sent, 2), (Direction::Received, 5)] {
        for _ in 0..times {
            assert!(table.count_one_way(&key, direction, 0));
        }
    }
    assert_eq!(table.placed().len(), 2);
    let mut merged = HostRecord::default();
    for (of, service, record) in table.records() {
        assert_eq!((of, service), (host, 3));
        merged.merge(&record);
    }
    let counts = |packets| Counts {
        packets,
        bytes: 60 * packets,
    };
    let wanted = HostRecord {
        passed: [counts(2), counts(5)],
        active_since: 7 * SECOND,
        active_seconds: 1,
        ..HostRecord::default()
    };
    assert_eq!(merged, wanted);
}

#[test]
fn a_host_inside_needs_no_room_in_the_hash() {
    let table = Table::with_inside(0, inside());
    let (first, outside) = (Addr::v4([10, 0, 0, 0]), Addr::v4([10, 0, 0, 80]));
    assert!(table.count(&HostKey::new(&first, 1, true), 0));
    assert!(!table.count(&HostKey::new(&first, 5, true), 0));
    assert!(!table.count(&HostKey::new(&outside, 1, true), 0));
    assert_eq!(table.records().len(), 1);
}

#[test]
fn the_exact_clock_is_asked_once_a_second_inside_too() {
    let table = Table::with_inside(HASHED, inside());
    let key = HostKey::new(&Addr::v4([192, 168, 1, 7]), 1, true);
    for tick in 0..10 * TICKS {
        table.now.set(5 * SECOND + u64::from(tick / TICKS) * SECOND);
        assert!(table.count(&key, tick));
    }
    assert_eq!(table.asked.get(), 10);
    let records = table.records();
    let (_, _, record) = records.first().unwrap();
    assert_eq!(
        (record.active_seconds, record.active_since),
        (10, 14 * SECOND)
    );
}

#[test]
fn prefixes_are_what_was_given_and_never_meet() {
    let inside = inside();
    let told: Vec<String> = inside
        .prefixes()
        .map(|(network, bits)| format!("{network}/{bits}"))
        .collect();
    assert_eq!(told, ["10.0.0.64/28", "192.168.1.7/32", "10.0.0.0/26"]);
    assert_eq!((inside.hosts(), inside.slots()), (HOSTS, 8 * HOSTS));
    let with = |network: [u8; 4], bits| inside.with(Ipv4Addr::from(network), bits);
    assert!(with([10, 0, 0, 80], 28).is_some());
    assert!(with([255, 255, 255, 255], 32).is_some());
    for (network, bits) in [
        // Inside one that is there, around it, and the same.
        ([10, 0, 0, 65], 32),
        ([10, 0, 0, 0], 24),
        ([10, 0, 0, 0], 26),
        ([192, 168, 1, 7], 32),
        // Bits behind the length, and lengths that are none.
        ([10, 0, 1, 1], 24),
        ([0, 0, 0, 0], 0),
        ([11, 0, 0, 0], 33),
        ([11, 0, 0, 0], 255),
        // Too large together with the others.
        ([16, 0, 0, 0], 14),
        ([128, 0, 0, 0], 1),
    ] {
        assert_eq!(with(network, bits), None, "{network:?}/{bits}");
    }
    let full = with([10, 0, 0, 80], 28).unwrap();
    assert_eq!(full.with(Ipv4Addr::new(172, 16, 0, 0), 32), None, "a fifth");
    let largest = Inside::NONE.with(Ipv4Addr::new(10, 4, 0, 0), 14).unwrap();
    assert_eq!(largest.hosts(), Inside::HOSTS_MAX);
    assert_eq!(largest.with(Ipv4Addr::new(10, 8, 0, 0), 32), None);
}

/// Prefixes wherever, and addresses at their edges and elsewhere.
fn sites() -> impl Strategy<Value = (Inside, Vec<Addr>)> {
    let prefixes = prop::collection::vec((any::<u32>(), 20..=32_u8), 0..8);
    let others = prop::collection::vec(any::<u32>(), 1..4);
    (prefixes, others).prop_map(|(prefixes, others)| {
        let mut inside = Inside::NONE;
        let mut hosts = others;
        for (network, bits) in prefixes {
            let rest = (1_u32 << (32 - bits)) - 1;
            let (first, last) = (network & !rest, network | rest);
            inside = inside.with(first.into(), bits).unwrap_or(inside);
            hosts.extend([
                first.wrapping_sub(1),
                first,
                network,
                last,
                last.wrapping_add(1),
            ]);
        }
        let hosts = hosts.into_iter().map(|host| Addr::v4(host.to_be_bytes()));
        (inside, hosts.collect())
    })
}

/// Host, service, whether it passes, whether it is sent.
type Key = (Addr, u16, bool, bool);

proptest! {
    /// Whatever the prefixes: each key is counted whole or not at all, and no key is refused whose place is
    /// free.
    #[test]
    fn a_table_counts_as_a_map_does(
        (inside, hosts) in sites(),
        slots in prop::sample::select(vec![8_u32, 16, 64]),
        packets in prop::collection::vec((any::<prop::sample::Index>(), 1..12_u16, any::<bool>(), any::<bool>()), 1..300),
    ) {
        let table = Table::with_inside(slots, inside);
        let mut counted: HashMap<Key, u64> = HashMap::new();
        let mut overflow: HashMap<Key, u64> = HashMap::new();
        for (host, service, passes, is_sent) in packets {
            let host = *host.get(&hosts);
            let direction = if is_sent { Direction::Sent } else { Direction::Received };
            let to = match table.count_one_way(&HostKey::new(&host, service, passes), direction, 0) {
                true => &mut counted,
                false => &mut overflow,
            };
            *to.entry((host, service, passes, is_sent)).or_default() += 1;
        }
        let mut told: HashMap<Key, u64> = HashMap::new();
        for (host, service, record) in table.records() {
            for (passes, counts) in [(true, record.passed), (false, record.refused)] {
                for (is_sent, counts) in [true, false].into_iter().zip(counts) {
                    if counts != Counts::default() {
                        let key = (host, service, passes, is_sent);
                        let before = told.insert(key, counts.packets);
                        prop_assert_eq!(before, None, "{:?} has two slots", key);
                    }
                }
            }
        }
        prop_assert_eq!(&told, &counted);
        let is_inside = |host: &Addr| {
            let address = u32::from_be_bytes(*host.octets().first_chunk().unwrap());
            inside.prefixes().any(|(network, bits)| {
                u64::from(address ^ network.to_bits()) >> (32 - u32::from(bits)) == 0
            })
        };
        for key in overflow.keys() {
            prop_assert!(!counted.contains_key(key), "{key:?} is counted in part");
        }
        for (number, (host, ..)) in table.placed() {
            prop_assert!(is_inside(&host), "{host:?} has the place {number}");
        }
        for (host, service, passes, is_sent) in overflow.keys().filter(|(host, ..)| is_inside(host)) {
            let same_way = |service: u16, passes| (service ^ u16::from(passes) << 1) & 3;
            let taken = counted.keys().any(|(of, other, fate, way)| {
                (of, way) == (host, is_sent) && same_way(*other, *fate) == same_way(*service, *passes)
            });
            prop_assert!(taken, "{host:?} has no counters of {service}, and a free place");
        }
    }
}
