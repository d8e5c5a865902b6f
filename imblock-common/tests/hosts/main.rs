//! The table of host counters.
#![expect(clippy::unwrap_used, reason = "tests")]

mod inside;

use core::cell::{Cell, RefCell};
use std::collections::HashSet;

use imblock_common::hosts::{
    Arrival, BUCKET, HostKey, HostSlot, InsideSlot, SLOTS_MAX, Shape, Slots, YIELDS_AFTER, count,
    slots_for, vacate,
};
use imblock_common::layout::{Counts, HostRecord, Inside};
use imblock_common::{Addr, Direction};

struct Table {
    slots: RefCell<Vec<HostSlot>>,
    places: RefCell<Vec<InsideSlot>>,
    now: Cell<u64>,
    asked: Cell<u32>,
    inside: Inside,
    /// What owners counted that yielded their slots, by service.
    settled: RefCell<Vec<(u16, HostRecord)>>,
}

impl Slots for &Table {
    fn slot<R>(self, number: u32, visit: impl FnOnce(&mut HostSlot) -> R) -> Option<R> {
        self.slots
            .borrow_mut()
            .get_mut(usize::try_from(number).ok()?)
            .map(visit)
    }

    fn place<R>(self, number: u32, visit: impl FnOnce(&mut InsideSlot) -> R) -> Option<R> {
        self.places
            .borrow_mut()
            .get_mut(usize::try_from(number).ok()?)
            .map(visit)
    }

    fn inside(&self) -> &Inside {
        &self.inside
    }

    fn now(self) -> u64 {
        self.asked.set(self.asked.get() + 1);
        self.now.get()
    }

    fn vacate(self, first: u32) -> u32 {
        vacate(self, first, |service, record| {
            self.settled.borrow_mut().push((service, record));
        })
    }
}

const TICKS: u32 = 100;
const SECOND: u64 = 1_000_000_000;

impl Table {
    fn of(slots: u32) -> Self {
        Self::with_inside(slots, Inside::NONE)
    }

    /// So many slots, and places for the hosts inside.
    fn with_inside(slots: u32, inside: Inside) -> Self {
        let size = |slots: u32| usize::try_from(slots).unwrap();
        Self {
            slots: RefCell::new(vec![HostSlot::default(); size(slots)]),
            places: RefCell::new(vec![InsideSlot::default(); size(inside.slots())]),
            now: Cell::new(0),
            asked: Cell::new(0),
            inside,
            settled: RefCell::default(),
        }
    }

    fn shape(&self) -> Shape {
        Shape {
            slots: u32::try_from(self.slots.borrow().len()).unwrap(),
            seed: 7,
            ticks_per_second: TICKS,
        }
    }

    fn count(&self, key: &HostKey, tick: u32) -> bool {
        self.count_one_way(key, Direction::Received, tick)
    }

    fn count_one_way(&self, key: &HostKey, direction: Direction, tick: u32) -> bool {
        let arrival = Arrival {
            direction,
            traffic: Counts {
                packets: 1,
                bytes: 60,
            },
            tick,
        };
        count(self, self.shape(), key, arrival)
    }

    /// Each slot of the hash that is in use, by number.
    fn hashed(&self) -> Vec<(u32, Told)> {
        let slots = self.slots.borrow();
        let told = (0..).zip(slots.iter());
        told.filter_map(|(number, slot)| Some((number, slot.read()?)))
            .collect()
    }

    /// Each place by address that is in use, by number.
    fn placed(&self) -> Vec<(u32, Told)> {
        let places = self.places.borrow();
        let told = (0..).zip(places.iter());
        told.filter_map(|(number, slot)| Some((number, slot.read(number, &self.inside)?)))
            .collect()
    }

    /// What all slots tell.
    fn records(&self) -> Vec<Told> {
        let slots = self.hashed().into_iter().chain(self.placed());
        slots.map(|(_, told)| told).collect()
    }
}

/// Host, service and record.
type Told = (Addr, u16, HostRecord);

/// Of the slots that count a host's traffic of a service: the number of each, and its packets.
fn of(slots: Vec<(u32, Told)>, host: Addr, service: u16) -> Vec<(u32, u64)> {
    let wanted = slots
        .into_iter()
        .filter(|(_, (of, about, _))| (*of, *about) == (host, service));
    wanted
        .map(|(number, (_, _, record))| (number, packets_of(&record)))
        .collect()
}

fn packets_of(record: &HostRecord) -> u64 {
    let counts = record.passed.iter().chain(&record.refused);
    counts.map(|counts| counts.packets).sum()
}

fn v4(number: u32) -> Addr {
    Addr::v4((0x0a00_0000 + number).to_be_bytes())
}

#[test]
fn a_slot_says_whom_it_counts() {
    let v6 = Addr::v6([0x20, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
    for host in [v4(5), v6] {
        for service in [1, 511] {
            for passes in [true, false] {
                let table = Table::of(64);
                assert!(table.count(&HostKey::new(&host, service, passes), 0));
                let records = table.records();
                let (found, number, record) = records.first().unwrap();
                assert_eq!((*found, *number, records.len()), (host, service, 1));
                let [_, passed] = record.passed;
                let [_, refused] = record.refused;
                assert_eq!(
                    (passed.packets, refused.packets),
                    (u64::from(passes), u64::from(!passes))
                );
            }
        }
    }
}

#[test]
fn hosts_services_and_fates_have_slots_of_their_own() {
    let table = Table::of(4096);
    let mut keys = 0;
    for host in (0..50).map(v4) {
        for service in 1..10 {
            for passes in [true, false] {
                keys += 1;
                for _ in 0..3 {
                    assert!(table.count(&HostKey::new(&host, service, passes), 0));
                }
            }
        }
    }
    let records = table.records();
    assert_eq!(records.len(), keys);
    let pairs: HashSet<_> = records
        .iter()
        .map(|(host, service, _)| (*host, *service))
        .collect();
    assert_eq!(pairs.len(), keys / 2);
    for (_, _, record) in records {
        let [_, passed] = record.passed;
        let [_, refused] = record.refused;
        assert_eq!(passed.packets + refused.packets, 3);
    }
}

/// What `slots_for` promises: as many keys as were asked for find room, whatever the addresses.
#[test]
fn a_table_has_room_for_what_was_asked_for() {
    for keys in [8, 100, 1000, 14_563, 16_384, 29_127] {
        let slots = slots_for(keys);
        let in_a_row = Table::of(slots);
        let scattered = Table::of(slots);
        for number in 0..keys {
            assert!(
                in_a_row.count(&HostKey::new(&v4(number), 3, false), 0),
                "{number} of {keys}"
            );
            let far = number.wrapping_mul(0x9e37_79b9);
            assert!(scattered.count(&HostKey::new(&v4(far >> 8), 3, number % 2 == 0), 0));
        }
    }
}

#[test]
fn a_full_table_refuses_new_keys_and_keeps_the_old() {
    let table = Table::of(BUCKET);
    for number in 0..BUCKET {
        assert!(table.count(&HostKey::new(&v4(number), 1, true), 0));
    }
    assert!(!table.count(&HostKey::new(&v4(BUCKET), 1, true), 0));
    assert!(table.count(&HostKey::new(&v4(0), 1, true), 0));
    let sum: u64 = table
        .records()
        .iter()
        .map(|(_, _, record)| record.passed[1].packets)
        .sum();
    assert_eq!(sum, u64::from(BUCKET) + 1);
}

const DAY: u64 = YIELDS_AFTER as u64 * SECOND;

/// A table of one bucket, full of hosts that were each seen twice, seconds apart, at a time.
fn full_since(now: u64) -> Table {
    let table = Table::of(BUCKET);
    for (tick, now) in [(0, now - 5 * SECOND), (5 * TICKS, now)] {
        table.now.set(now);
        for number in 0..BUCKET {
            assert!(table.count(&HostKey::new(&v4(number), 7, number % 2 == 0), tick));
        }
    }
    table
}

#[test]
fn who_was_not_seen_for_a_day_yields_its_slot() {
    let table = full_since(9 * DAY);
    let newcomer = HostKey::new(&v4(BUCKET), 3, true);
    table.now.set(10 * DAY - 1);
    assert!(!table.count(&newcomer, 0), "a nanosecond too early");
    assert_eq!(table.settled.borrow().len(), 0);

    table.now.set(10 * DAY);
    for _ in 0..3 {
        assert!(table.count(&newcomer, 0));
    }
    // One owner left, with all it had: where it goes, nothing is lost.
    let settled = table.settled.borrow().clone();
    let [(7, former)] = settled.as_slice() else {
        unreachable!("{settled:?}")
    };
    assert_eq!(packets_of(former), 2);
    assert_eq!((former.active_seconds, former.active_since), (2, 9 * DAY));
    let records = table.records();
    assert_eq!(records.len(), usize::try_from(BUCKET).unwrap());
    // Nothing of the former owner's is the newcomer's.
    let of_newcomer = records.iter().find(|(host, ..)| *host == v4(BUCKET));
    let (_, service, record) = of_newcomer.unwrap();
    assert_eq!((*service, packets_of(record)), (3, 3));
    assert_eq!((record.active_seconds, record.active_since), (1, 10 * DAY));
}

#[test]
fn an_owner_that_goes_on_keeps_its_slot() {
    let table = full_since(9 * DAY);
    table.now.set(10 * DAY);
    let (keeper, passes) = (v4(3), false);
    assert!(table.count(&HostKey::new(&keeper, 7, passes), 0));
    for number in BUCKET..3 * BUCKET {
        table.count(&HostKey::new(&v4(number), 7, true), 0);
    }
    let settled = table.settled.borrow().len();
    assert_eq!(settled, usize::try_from(BUCKET).unwrap() - 1);
    let records = table.records();
    let (_, _, record) = records.iter().find(|(host, ..)| *host == keeper).unwrap();
    assert_eq!(packets_of(record), 3);
}

#[test]
fn a_clock_that_goes_back_takes_no_slot_from_anybody() {
    let table = full_since(9 * DAY);
    for now in [9 * DAY - SECOND, 8 * DAY, 0] {
        table.now.set(now);
        assert!(!table.count(&HostKey::new(&v4(BUCKET), 3, true), 0));
    }
}

#[test]
fn a_table_without_slots_refuses_all() {
    assert!(!Table::of(0).count(&HostKey::new(&v4(1), 1, true), 0));
}

#[test]
fn the_exact_clock_is_asked_once_a_second() {
    let table = Table::of(8);
    let key = HostKey::new(&v4(1), 1, true);
    for tick in 0..10 * TICKS {
        table
            .now
            .set(5 * SECOND + u64::from(tick) * (SECOND / u64::from(TICKS)));
        assert!(table.count(&key, tick));
    }
    assert_eq!(table.asked.get(), 10);
    let records = table.records();
    let (_, _, record) = records.first().unwrap();
    assert_eq!(record.active_seconds, 10);
    assert_eq!(record.active_since, 14 * SECOND);
}

#[test]
fn ticks_wrap() {
    let table = Table::of(8);
    let key = HostKey::new(&v4(1), 1, true);
    for tick in [u32::MAX - TICKS / 2, u32::MAX, TICKS / 4, TICKS] {
        assert!(table.count(&key, tick));
    }
    assert_eq!(table.asked.get(), 2);
}

#[test]
fn sizes_are_powers_of_two_within_bounds() {
    assert_eq!(slots_for(0), BUCKET);
    assert_eq!(slots_for(1), BUCKET);
    assert_eq!(slots_for(16_384), 32_768);
    assert_eq!(slots_for(u32::MAX), SLOTS_MAX);
    for keys in [9, 1000, 65_536, 1 << 23] {
        let slots = slots_for(keys);
        assert!(slots.is_power_of_two() && slots >= 2 * keys);
    }
}
