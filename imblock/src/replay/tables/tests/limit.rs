//! `action: limit` in memory: the rate holds, each host has its own, and a full table is fair.

use imblock_common::layout::{ActionCell, ActionRow, Rate};

use super::*;
use crate::policy::Plan;

/// A limit for everyone's IRC.
fn limited(rate: Rate) -> Plan {
    let mut plan = plan();
    plan.rates = vec![Rate::NONE, rate];
    plan.rate_rows = vec![ActionRow([0; SERVICES_MAX]); plan.groups.len()];
    let column = usize::from(IRC);
    plan.actions[0].0[column] = ActionCell::of_policy(Action::Limit).0;
    plan.rate_rows[0].0[column] = 1;
    plan
}

fn packet(host: [u8; 4], length: usize) -> Vec<u8> {
    let host = std::net::Ipv4Addr::from(host).to_string();
    Frame::eth()
        .ipv4(&host, "198.51.100.7")
        .tcp(40_000, 6667)
        .payload(&vec![0; length.saturating_sub(54)])
        .build()
}

impl MemoryTables {
    /// Judges a packet at a time; what becomes of it.
    fn verdict(&self, now: u64, frame: &[u8]) -> Verdict {
        self.set_now(now);
        classify(frame, View::LAN_INGRESS, self).verdict
    }
}

#[test]
fn a_burst_passes_and_then_the_rate() {
    // Five at once, then one a second.
    let tables = MemoryTables::new(&limited(Rate::new(1, 5, true)));
    let frame = packet([10, 1, 2, 3], 60);
    let passed = (0..20).filter(|_| tables.verdict(SECOND, &frame) == Verdict::Counted);
    assert_eq!(passed.count(), 5);
    assert_eq!(tables.verdict(SECOND, &frame), Verdict::Limited);
    // Not a packet for what was refused; one for each second.
    for second in 2..5 {
        let now = second * SECOND;
        assert_eq!(tables.verdict(now, &frame), Verdict::Counted);
        assert_eq!(tables.verdict(now, &frame), Verdict::Limited);
    }
    // Another host has a bucket of its own, and so has the way back.
    assert_eq!(
        tables.verdict(4 * SECOND, &packet([10, 1, 2, 4], 60)),
        Verdict::Counted
    );
    let back = Frame::eth()
        .ipv4("198.51.100.7", "10.1.2.3")
        .tcp(6667, 40_000)
        .build();
    let view = View::LAN_EGRESS;
    assert_eq!(classify(&back[..], view, &tables).verdict, Verdict::Counted);
}

#[test]
fn a_wan_side_leaves_it_to_the_lan_side() {
    let tables = MemoryTables::new(&limited(Rate::new(1, 1, true)));
    let frame = packet([10, 1, 2, 3], 60);
    let wan = View::WAN_EGRESS;
    let passed = |flags| {
        tables.set_flags(flags);
        tables.set_now(SECOND);
        let frames = (0..10).map(|_| classify(&frame[..], wan, &tables).passes());
        frames.filter(|passes| *passes).count()
    };
    assert_eq!(passed(0), 10);
    assert_eq!(passed(Control::WAN_COUNTS_SENT), 1);
}

#[test]
fn what_finds_no_bucket_shares_one() {
    // A packet takes ten seconds.
    let tables = MemoryTables::new(&limited(Rate::new(125, 125, false)));
    let mut passed = 0;
    const HOSTS: u16 = 20_000;
    for number in 0..HOSTS {
        let [high, low] = number.to_be_bytes();
        let frame = packet([10, 7, high, low], 1_250);
        passed += u32::from(tables.verdict(SECOND, &frame) == Verdict::Counted);
    }
    let shared = tables.snapshot().limit_shared;
    // There are 16,384 buckets. Nobody passes who has none but the first, and nobody is refused who
    // has one.
    let own = u64::from(HOSTS) - shared;
    assert!((14_000..=16_384).contains(&own), "{own}");
    assert_eq!(u64::from(passed), own + 1);
    // Buckets that are full again are free for others.
    let later = 60 * SECOND;
    let passes = |number: u8| {
        tables
            .verdict(later, &packet([10, 8, 0, number], 60))
            .passes()
    };
    assert!((0..=255).all(passes));
    assert_eq!(tables.snapshot().limit_shared, shared);
}

proptest! {
    /// Whatever comes when: never more than the rate and the burst and one packet, and nothing is
    /// refused that they still pay for.
    #[test]
    fn the_rate_holds(
        kilobytes in 1..2_000_u64,
        burst_ms in 20..2_000_u64,
        packets in prop::collection::vec((60..1_500_usize, 0..4_000_000_u64), 200..600),
    ) {
        let per_second = kilobytes * 1_000;
        let burst = (per_second * burst_ms / 1_000).max(1);
        let tables = MemoryTables::new(&limited(Rate::new(per_second, burst, false)));
        let (mut now, mut passed) = (SECOND, 0);
        // What is left, in bytes times a second, so that nothing is rounded.
        let full = i128::from(burst * SECOND);
        let mut left = full;
        for (length, gap) in packets {
            now += gap;
            left = full.min(left + i128::from(per_second * gap));
            let frame = packet([10, 1, 2, 3], length);
            let length = frame.len() as u64;
            if tables.verdict(now, &frame).passes() {
                passed += length;
                left -= i128::from(length * SECOND);
            } else {
                let left = left / i128::from(SECOND);
                prop_assert!(left < 2, "{left} bytes are left");
            }
            let most = burst + per_second * (now - SECOND) / SECOND + 1_500;
            prop_assert!(passed <= most + most / 1_000, "{passed} of {most}");
        }
    }
}
