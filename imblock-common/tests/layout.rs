//! The map types: what their bits mean.

#![expect(clippy::indexing_slicing, reason = "tests")]
use imblock_common::layout::{
    ActionCell, ActionRow, Counts, Half, HostPrefix, HostRecord, LeaseRow, NAME_MAX, Name,
    PortEntry, PortTable,
};
use imblock_common::{Action, Addr, Direction, Family, Outcome, Transport, View};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;
const PACKET: Counts = Counts {
    packets: 1,
    bytes: 100,
};

#[test]
fn an_override_lasts_until_it_is_reset() {
    for policy in Action::ALL {
        let cell = ActionCell::of_policy(policy);
        assert_eq!((cell.action(), cell.policy()), (policy, policy));
        for action in Action::ALL {
            let overridden = cell.overridden(action);
            assert_eq!((overridden.action(), overridden.policy()), (action, policy));
            for again in Action::ALL {
                let twice = overridden.overridden(again);
                assert_eq!((twice.action(), twice.policy()), (again, policy));
            }
            assert_eq!(overridden.reset(), cell);
        }
    }
}

#[test]
fn a_cell_that_nobody_wrote_allows_and_a_number_from_nowhere_does_too() {
    assert_eq!(ActionCell(0).action(), Action::Allow);
    assert_eq!(ActionCell(0xff).action(), Action::Allow);
    assert_eq!(ActionCell(0xff).policy(), Action::Allow);
}

#[test]
fn generations_alternate_between_the_halves() {
    for generation in [0, 1, 2, 3, u32::MAX - 1, u32::MAX] {
        let half = Half::of_generation(generation);
        assert_eq!(half.index(), generation % 2);
        assert_eq!(half.other().index(), 1 - half.index());
        assert_eq!(half.other().other(), half);
        assert_eq!(
            Half::of_generation(generation.wrapping_add(1)),
            half.other()
        );
    }
}

#[test]
fn a_name_has_at_most_32_bytes() {
    let longest = "n".repeat(NAME_MAX);
    for name in ["", "irc", "größe", &longest] {
        assert_eq!(
            Name::new(name).map(|n| n.as_str().to_owned()).as_deref(),
            Some(name)
        );
    }
    assert_eq!(Name::new(&"n".repeat(NAME_MAX + 1)), None);
    // Sixteen two-byte letters fit, a seventeenth does not.
    assert!(Name::new(&"ö".repeat(16)).is_some());
    assert!(Name::new(&"ö".repeat(17)).is_none());
    let mut not_utf8 = [0; NAME_MAX];
    not_utf8[0] = 0xff;
    assert_eq!(Name(not_utf8).as_str(), "");
}

#[test]
fn every_port_has_an_entry_of_its_own() {
    let mut seen = vec![false; PortTable::LEN];
    for transport in [Transport::Tcp, Transport::Udp] {
        for port in 0..=u16::MAX {
            let index = PortTable::index(transport, port);
            assert!(!seen[index], "{transport:?} {port}");
            seen[index] = true;
        }
    }
    assert!(seen.iter().all(|seen| *seen));
}

#[test]
fn every_half_and_group_has_a_row_of_its_own() {
    let halves = [Half::of_generation(0), Half::of_generation(1)];
    let rows = halves
        .iter()
        .flat_map(|half| (0..256).map(|group| ActionRow::index(*half, group)));
    assert!(rows.eq(0..512));
}

#[test]
fn outcomes_have_a_slot_of_their_own_in_every_view() {
    let slots = View::ALL
        .iter()
        .flat_map(|view| Outcome::ALL.map(|outcome| outcome.slot(*view)));
    let mut slots: Vec<_> = slots.collect();
    slots.sort_unstable();
    slots.dedup();
    assert_eq!(slots.len(), View::ALL.len() * Outcome::ALL.len());
    assert!(slots.iter().all(|slot| *slot < 64));
    for (index, view) in (0..).zip(View::ALL) {
        assert_eq!(view.index(), index);
    }
}

#[test]
fn seconds_with_traffic_are_counted_once() {
    let mut record = HostRecord::default();
    let mut at = |now| {
        record.add(Direction::Sent, true, PACKET, now);
        record.active_seconds
    };
    // The clock may be anywhere when the first packet comes, at its very start too.
    assert_eq!(at(0), 1);
    assert_eq!(at(1), 1);
    assert_eq!(at(SECOND - 1), 1);
    assert_eq!(at(SECOND), 2);
    assert_eq!(at(SECOND + SECOND / 2), 2);
    assert_eq!(at(90 * SECOND), 3);
    assert_eq!(record.active_since, 90 * SECOND);
    assert_eq!(
        record.passed[0],
        Counts {
            packets: 6,
            bytes: 600
        }
    );
}

#[test]
fn packets_out_of_order_do_not_make_time() {
    let mut record = HostRecord::default();
    for packet in 0..1000 {
        // A capture from several queues: every other packet a moment early.
        let now = 10 * SECOND - packet % 2 * 1000;
        record.add(Direction::Sent, true, PACKET, now);
    }
    assert_eq!(record.active_seconds, 1);
    // Yesterday's capture after today's is other traffic.
    record.add(Direction::Sent, true, PACKET, SECOND);
    assert_eq!(record.active_seconds, 2);
}

#[test]
fn each_direction_and_fate_has_counts_of_its_own() {
    let mut record = HostRecord::default();
    let cases = [
        (Direction::Sent, true, 1),
        (Direction::Received, true, 2),
        (Direction::Sent, false, 3),
        (Direction::Received, false, 4),
    ];
    for (direction, passes, times) in cases {
        for _ in 0..times {
            record.add(direction, passes, PACKET, SECOND);
        }
    }
    let counts = |counts: [Counts; 2]| counts.map(|counts| (counts.packets, counts.bytes));
    assert_eq!(counts(record.passed), [(1, 100), (2, 200)]);
    assert_eq!(counts(record.refused), [(3, 300), (4, 400)]);
}

#[test]
fn a_leased_cell_does_what_it_says_until_it_is_over() {
    for policy in Action::ALL {
        let cell = ActionCell::of_policy(policy);
        assert!(!cell.is_leased());
        // A cell that is not leased never asks.
        assert_eq!(cell.in_force(|| unreachable!()), cell);
        for action in Action::ALL {
            let leased = cell.leased(action);
            assert!(leased.is_leased());
            assert_eq!((leased.action(), leased.policy()), (action, policy));
            assert_eq!(leased.in_force(|| false), leased);
            assert_eq!(leased.in_force(|| true), cell);
            assert_eq!(leased.reset(), cell);
            assert_eq!(leased.overridden(action), cell.overridden(action));
        }
    }
}

proptest! {
    /// Whatever the clock says, also where it wraps.
    #[test]
    fn a_lease_ends_when_its_end_has_come(end: u32, distance in 0..1_u32 << 31) {
        prop_assert!(LeaseRow::is_over(end, end.wrapping_add(distance)));
        prop_assert!(distance == 0 || !LeaseRow::is_over(end, end.wrapping_sub(distance)));
    }

    /// Two CPUs that shared the packets count what one would have counted.
    #[test]
    fn merging_adds_what_was_counted(packets in proptest::collection::vec((any::<bool>(), any::<bool>(), any::<bool>(), 60..1500_u64), 0..50)) {
        let (mut whole, mut parts) = (HostRecord::default(), [HostRecord::default(); 2]);
        for (sent, passes, cpu, bytes) in packets {
            let direction = if sent { Direction::Sent } else { Direction::Received };
            let traffic = Counts { packets: 1, bytes };
            whole.add(direction, passes, traffic, 5 * SECOND);
            parts[usize::from(cpu)].add(direction, passes, traffic, 5 * SECOND);
        }
        let [mut merged, other] = parts;
        merged.merge(&other);
        prop_assert_eq!(merged, whole);
    }

    /// A port's entry keeps service and protection apart.
    #[test]
    fn a_port_entry_keeps_its_parts_apart(service in 0..512_u16, protected: bool, management: bool) {
        let mut entry = PortEntry::of(service);
        if protected {
            entry = entry.protected();
        }
        if management {
            entry = entry.management();
        }
        prop_assert_eq!(entry.service(), service);
        prop_assert_eq!(entry.is_protected(), protected);
        prop_assert_eq!(entry.is_management(), management);
    }

    /// An address survives the way into a key and back.
    #[test]
    fn addresses_survive_their_keys(v4: [u8; 4], v6: [u8; 16]) {
        let (v4, v6) = (Addr::v4(v4), Addr::v6(v6));
        for addr in [v4, v6] {
            prop_assert_eq!(Addr::from(core::net::IpAddr::from(addr)), addr);
            prop_assert_eq!(Addr::from_words(addr.words(), addr.family()), addr);
        }
        let key = HostPrefix::new(Half::of_generation(1), &v4);
        prop_assert_eq!((key.half, key.family), (1, Family::V4 as u8));
        prop_assert_ne!(key, HostPrefix::new(Half::of_generation(2), &v4));
    }
}
