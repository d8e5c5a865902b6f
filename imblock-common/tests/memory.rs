//! What is remembered between packets: the services that hosts have just talked to, and the ports
//! on which they were refused.
#![expect(clippy::indexing_slicing, reason = "tests")]

use core::cell::Cell;
use std::collections::HashMap;

use imblock_common::buckets::{Bucket, Buckets, Shape, WORDS};
use imblock_common::hops::{Attempt, Pair, attempt, refused};
use imblock_common::layout::HopRule;
use imblock_common::recent::{lately, named, note, was_named};
use imblock_common::{Action, Addr};
use proptest::collection::vec;
use proptest::prelude::*;

struct Table(Vec<[Cell<u64>; WORDS]>);

#[derive(Clone, Copy)]
struct TableBucket<'a>(&'a [Cell<u64>; WORDS]);

impl Buckets for &Table {
    fn bucket(self, number: u32) -> Option<impl Bucket> {
        self.0.get(usize::try_from(number).ok()?).map(TableBucket)
    }
}

impl Bucket for TableBucket<'_> {
    fn load(self, place: usize) -> u64 {
        self.0[place].get()
    }

    fn store(self, place: usize, word: u64) {
        self.0[place].set(word);
    }

    fn add(self, place: usize, more: u64) {
        self.0[place].set(self.0[place].get().wrapping_add(more));
    }
}

impl Table {
    fn of(buckets: u32) -> Self {
        Self((0..buckets).map(|_| Default::default()).collect())
    }

    fn shape(&self) -> Shape {
        Shape {
            buckets: u32::try_from(self.0.len()).unwrap_or(0),
            seed: 7,
        }
    }

    fn note(&self, host: &Addr, service: u16, now: u32) {
        note(self, self.shape(), host, service, now);
    }

    fn lately(&self, host: &Addr, now: u32) -> u16 {
        lately(self, self.shape(), host, now, WITHIN)
    }

    fn refused(&self, host: &Addr, server: &Addr, port: u16, now: u32) {
        let pair = Pair { host, server, port };
        refused(self, self.shape(), pair, SERVICE, now, RULE);
    }

    fn attempt(&self, host: &Addr, server: &Addr, port: u16, now: u32) -> Attempt {
        let pair = Pair { host, server, port };
        attempt(self, self.shape(), pair, now, RULE)
    }

    fn written(&self) -> Vec<u64> {
        self.0.iter().flatten().map(Cell::get).collect()
    }
}

const BUCKETS: u32 = 4096;
const WITHIN: u32 = 30;
const SERVICE: u16 = 511;
const RULE: HopRule = HopRule {
    within_seconds: WITHIN,
    shut_seconds: 300,
    after: 2,
    action: Action::Drop as u32,
};
/// Moments at which the seconds of a note, or all of them, wrap; and the very first.
const MOMENTS: [u32; 6] = [
    0,
    1_000_000,
    (1 << 24) - 10,
    (1 << 26) - 10,
    u32::MAX - 10,
    u32::MAX,
];

fn host(number: u32) -> Addr {
    let [_, b, c, d] = number.to_be_bytes();
    Addr::v4([10, b, c, d])
}

fn server(number: u32) -> Addr {
    let [_, b, c, d] = number.to_be_bytes();
    Addr::v4([198, b, c, d])
}

/// Differs from the next one in one word, 0 to 3, of the address.
fn v6(word: usize, number: u32) -> Addr {
    let mut octets = [0x20; 16];
    octets[4 * word..4 * word + 4].copy_from_slice(&number.to_be_bytes());
    Addr::v6(octets)
}

#[test]
fn the_one_service_of_a_moment_is_told() {
    for start in MOMENTS {
        let table = Table::of(BUCKETS);
        let at = |seconds: u32| start.wrapping_add(seconds);
        assert_eq!(table.lately(&host(1), at(0)), 0);
        table.note(&host(1), 3, at(0));
        assert_eq!(table.lately(&host(1), at(0)), 3);
        assert_eq!(table.lately(&host(1), at(WITHIN)), 3, "{start}");
        assert_eq!(table.lately(&host(1), at(WITHIN + 1)), 0, "{start}");
        assert_eq!(table.lately(&host(2), at(0)), 0);
        // Another CPU's clock is a moment behind.
        assert_eq!(table.lately(&host(1), at(0).wrapping_sub(1)), 3, "{start}");
    }
}

/// Whatever the seed: with 0, the least addresses have the least hashes.
#[test]
fn a_server_that_was_named_is_no_service() {
    for seed in [0, 7] {
        let table = Table::of(BUCKETS);
        let shape = Shape {
            seed,
            ..table.shape()
        };
        for least in [Addr::v4([0; 4]), Addr::v6([0; 16])] {
            named(&table, shape, &least, &least, 0);
            assert!(was_named(&table, shape, &least, &least, 0, WITHIN));
            assert_eq!(lately(&table, shape, &least, 0, WITHIN), 0, "{least:?}");
        }
    }
}

#[test]
fn two_services_at_once_tell_nothing() {
    let table = Table::of(BUCKETS);
    table.note(&host(1), 3, 100);
    table.note(&host(1), 511, 110);
    assert_eq!(table.lately(&host(1), 120), 0);
    assert_eq!(table.lately(&host(1), 130), 0);
    assert_eq!(table.lately(&host(1), 131), 511);
    table.note(&host(1), 3, 135);
    assert_eq!(table.lately(&host(1), 136), 0);
    assert_eq!(table.lately(&host(1), 141), 3);
}

#[test]
fn a_service_has_one_note_a_host() {
    let table = Table::of(BUCKETS);
    for now in 0..1000 {
        table.note(&host(1), 3, now);
        table.note(&host(1), 4, now);
    }
    let written = table.written().iter().filter(|word| **word != 0).count();
    assert_eq!(written, 2);
}

#[test]
fn the_oldest_note_of_a_full_bucket_goes() {
    let table = Table::of(Shape::BUCKETS_MIN);
    for (now, service) in (1..=9).enumerate() {
        table.note(&host(1), service, u32::try_from(now).unwrap_or(0) * 40);
    }
    assert_eq!(table.lately(&host(1), 8 * 40), 9);
    assert_eq!(table.lately(&host(1), 7 * 40), 8);
    // The first was 0, and is gone: its place is the last one's.
    assert_eq!(table.lately(&host(1), 0), 0);
    assert_eq!(table.lately(&host(1), 40), 2);
}

#[test]
fn thousands_of_hosts_keep_their_own() {
    let table = Table::of(BUCKETS);
    let service = |number: u32| u16::try_from(number % 511 + 1).unwrap_or(1);
    for number in 0..10_000 {
        table.note(&host(number), service(number), 100);
    }
    let wrong = (0..10_000)
        .map(|number| (table.lately(&host(number), 101), service(number)))
        .filter(|(told, _)| *told != 0)
        .any(|(told, expected)| told != expected);
    assert!(!wrong);
    let kept = (0..10_000).filter(|number| table.lately(&host(*number), 101) != 0);
    assert!(kept.count() > 9_900);
}

#[test]
fn another_port_is_a_hop_and_the_last_one_shuts() {
    for start in MOMENTS {
        let (table, host, server) = (Table::of(BUCKETS), host(1), server(1));
        let at = |seconds: u32| start.wrapping_add(seconds);
        let attempt = |port, seconds| table.attempt(&host, &server, port, at(seconds));
        assert_eq!(attempt(443, 0), Attempt::Unknown);
        table.refused(&host, &server, 443, at(0));
        assert_eq!(attempt(443, 1), Attempt::SamePort);
        let first = Attempt::Hop {
            service: SERVICE,
            ports_tried: 1,
        };
        assert_eq!(attempt(80, 30), first, "{start}");
        // The same again is the same attempt.
        assert_eq!(attempt(80, 31), Attempt::SamePort);
        let shut = Attempt::Shut { service: SERVICE };
        assert_eq!(attempt(5222, 60), shut, "{start}");
        assert_eq!(attempt(443, 61), shut);
        table.refused(&host, &server, 443, at(200));
        assert_eq!(attempt(1, 360), shut, "{start}");
        // It ends however often the host was refused meanwhile.
        assert_eq!(attempt(1, 361), Attempt::Unknown, "{start}");
        table.refused(&host, &server, 5222, at(362));
        assert_eq!(attempt(443, 363), first);
    }
}

#[test]
fn after_the_window_it_is_another_story() {
    let (table, host, server) = (Table::of(BUCKETS), host(1), server(1));
    table.refused(&host, &server, 443, 100);
    assert_eq!(table.attempt(&host, &server, 80, 131), Attempt::Unknown);
    table.refused(&host, &server, 443, 200);
    let first = Attempt::Hop {
        service: SERVICE,
        ports_tried: 1,
    };
    assert_eq!(table.attempt(&host, &server, 80, 201), first);
    // What was refused long ago does not count with what is now.
    table.refused(&host, &server, 443, 300);
    assert_eq!(table.attempt(&host, &server, 80, 301), first);
}

#[test]
fn other_hosts_and_other_servers_are_not_concerned() {
    let v4 = [host(1), host(2), server(1), server(2)];
    let words = [0, 1, 2, 3].map(|word| [1, 2, 3, 4].map(|number| v6(word, number)));
    for [one, two, there, elsewhere] in [v4].into_iter().chain(words) {
        let table = Table::of(BUCKETS);
        table.refused(&one, &there, 443, 100);
        assert_eq!(table.attempt(&two, &there, 80, 101), Attempt::Unknown);
        assert_eq!(table.attempt(&one, &elsewhere, 80, 101), Attempt::Unknown);
        assert_eq!(table.attempt(&there, &one, 80, 101), Attempt::Unknown);
        assert_eq!(table.attempt(&one, &there, 443, 101), Attempt::SamePort);
        table.note(&one, 3, 100);
        assert_eq!(table.lately(&one, 101), 3);
        assert_eq!(table.lately(&two, 101), 0);
    }
}

#[test]
fn a_flood_of_refusals_writes_once_a_second() {
    let table = Table::of(BUCKETS);
    table.refused(&host(1), &server(1), 443, 100);
    let before = table.written();
    for _ in 0..1000 {
        table.refused(&host(1), &server(1), 443, 100);
    }
    assert_eq!(table.written(), before);
    assert_eq!(before.iter().filter(|word| **word != 0).count(), 2);
}

#[test]
fn an_entry_that_two_cpus_mixed_is_nobodys() {
    // Each of two pairs in the same bucket wrote one of the two words.
    let mut by_bucket: HashMap<usize, u32> = HashMap::new();
    let (mut mixed, mut mistaken) = (0, 0);
    for number in 0..3000 {
        let table = Table::of(Shape::BUCKETS_MIN);
        table.refused(&host(number), &host(0), 443, 100);
        let used = table.0.iter().position(|bucket| bucket[0].get() != 0);
        let Some(bucket) = used else { continue };
        let Some(other) = by_bucket.insert(bucket, number) else {
            continue;
        };
        let theirs = Table::of(Shape::BUCKETS_MIN);
        theirs.refused(&host(other), &host(0), 80, 100);
        table.0[bucket][1].set(theirs.0[bucket][1].get());
        let mine = table.attempt(&host(number), &host(0), 1, 101);
        let other = table.attempt(&host(other), &host(0), 1, 101);
        assert_eq!(other, Attempt::Unknown);
        mixed += 1;
        mistaken += u32::from(mine != Attempt::Unknown);
    }
    assert!(
        mixed > 1000 && mistaken < mixed / 50,
        "{mistaken} of {mixed}"
    );
}

proptest! {
    /// The table tells what a list of all notes tells, as long as it has room.
    #[test]
    fn recent_agrees_with_a_list(
        notes in vec((0..3_u32, 1..4_u16, 0..20_u32), 0..60),
        start in any::<u32>(),
    ) {
        let table = Table::of(BUCKETS);
        let mut list: HashMap<(u32, u16), u32> = HashMap::new();
        let mut now = 0_u32;
        for (number, service, later) in notes {
            now += later;
            table.note(&host(number), service, start.wrapping_add(now));
            list.insert((number, service), now);
            for number in 0..3 {
                let mut recent = list.iter().filter(|((of, _), then)| {
                    *of == number && now - **then <= WITHIN
                });
                let expected = match (recent.next(), recent.next()) {
                    (Some(((_, service), _)), None) => *service,
                    _ => 0,
                };
                prop_assert_eq!(table.lately(&host(number), start.wrapping_add(now)), expected);
            }
        }
    }

    /// A host that was refused on no port of a server never hops there, whatever others do.
    #[test]
    fn hops_are_of_the_pair(
        steps in vec((0..4_u32, 0..4_u32, any::<u16>(), any::<bool>(), 0..40_u32), 0..200),
    ) {
        let table = Table::of(Shape::BUCKETS_MIN);
        let mut now = 0;
        for (one, other, port, refuse, later) in steps {
            now += later;
            let (of, at) = (host(one), host(100 + other));
            if refuse && one != 0 {
                table.refused(&of, &at, port, now);
                let again = table.attempt(&of, &at, port, now);
                let known = matches!(again, Attempt::SamePort | Attempt::Shut { .. });
                prop_assert!(known, "{:?}", again);
            } else {
                let told = table.attempt(&of, &at, port, now);
                prop_assert!(one != 0 || told == Attempt::Unknown, "{:?}", told);
            }
        }
    }

    /// Whatever lies in the table.
    #[test]
    fn nothing_panics(words in vec(any::<u64>(), 8), now in any::<u32>(), port in any::<u16>()) {
        let table = Table::of(BUCKETS);
        for bucket in &table.0 {
            for (cell, word) in bucket.iter().zip(&words) {
                cell.set(*word);
            }
        }
        table.attempt(&host(1), &server(1), port, now);
        table.refused(&host(1), &server(1), port, now);
        table.note(&host(1), 511, now);
        prop_assert!(table.lately(&host(1), now) == 511 || table.lately(&host(1), now) == 0);
    }
}
