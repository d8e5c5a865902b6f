//! What the kernel does with newcomers when all slots of the host table are taken.

use aya::maps::{Array, MapData};
use imblock_common::View;
use imblock_common::hosts::YIELDS_AFTER;
use imblock_common::layout::HostRecord;
use imblock_common::testkit::Frame;
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

use super::*;
use crate::kernel::Loaded;
use crate::replay::fixtures::plan;
use crate::testing;

/// Hosts that have slots and their packets, and packets of the overflow.
fn counted(maps: &Maps) -> (Vec<(String, u64)>, u64) {
    let packets = |record: &HostRecord| -> u64 {
        let counts = record.passed.iter().chain(&record.refused);
        counts.map(|counts| counts.packets).sum()
    };
    let snapshot = maps.snapshot().unwrap();
    let hosts = snapshot.hosts.iter();
    let hosts = hosts.map(|of| (of.host.to_string(), packets(&of.record)));
    let overflow = snapshot.services.iter().map(|of| packets(&of.overflow));
    (hosts.collect(), overflow.sum())
}

/// Makes a day pass for all who have slots.
fn a_day_passes(maps: &mut Maps) {
    let [hosts, _] = &mut maps._slots;
    let mut slots = Array::<&mut MapData, [u64; 8]>::try_from(hosts).unwrap();
    for number in 0..slots.len() {
        let mut slot = slots.get(&number, 0).unwrap();
        // When it was active lately: the upper half of a word in ticks, the lower of the next in seconds.
        slot[2] = slot[2].wrapping_sub(1 << 60);
        let since = u32::try_from(slot[3] & 0xffff_ffff).unwrap();
        slot[3] = slot[3] >> 32 << 32 | u64::from(since.wrapping_sub(YIELDS_AFTER));
        slots.set(number, slot, 0).unwrap();
    }
}

#[test]
fn a_newcomer_gets_the_slot_of_who_was_not_seen_for_a_day() {
    if !testing::kernel_or_skip("a_newcomer_gets_the_slot_of_who_was_not_seen_for_a_day") {
        return;
    }
    // Each CPU has slots of its own.
    let mut here = CpuSet::new();
    here.set(sched_getcpu());
    sched_setaffinity(None, &here).unwrap();
    let mut plan = plan();
    plan.limits.hosts = 1;
    let (kernel, mut maps) = Loaded::unpinned(&plan.limits, &[]).unwrap();
    maps.apply(&plan).unwrap();
    let talks = |host: u8| {
        let frame = Frame::eth().ipv4(&format!("10.0.0.{host}"), "198.51.100.7");
        let frame = frame.tcp(40_000, 6667).build();
        kernel.test_run(View::LAN_INGRESS, &frame, None).unwrap();
    };
    for host in 1..=9 {
        talks(host);
    }
    let (hosts, overflow) = counted(&maps);
    assert_eq!((hosts.len(), overflow), (8, 1), "the ninth has no room");

    a_day_passes(&mut maps);
    for host in [1, 9, 9] {
        talks(host);
    }
    let (hosts, overflow) = counted(&maps);
    assert_eq!(hosts.len(), 8);
    for (host, packets) in [("10.0.0.1", 2), ("10.0.0.9", 2)] {
        assert!(hosts.contains(&(host.to_owned(), packets)), "{hosts:?}");
    }
    assert_eq!(
        overflow, 2,
        "that of the ninth, and what the one had whose slot it got"
    );
    let all: u64 = hosts.iter().map(|(_, packets)| packets).sum();
    assert_eq!(all + overflow, 12);
}
