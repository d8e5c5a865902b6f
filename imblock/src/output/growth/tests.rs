#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails may panic"
)]

use imblock_common::{Evidence, Verdict};

use super::*;
use crate::output::sample::counts;
use crate::snapshot::{HostCounts, ServiceCell};

const SERVICE: u16 = 7;

fn sent(packets: u64) -> HostRecord {
    HostRecord {
        passed: [counts(packets, 100 * packets), counts(0, 0)],
        ..HostRecord::default()
    }
}

/// Of hosts by their last byte, what each has sent, and of the overflow; the totals are the sum.
fn snapshot(hosts: &[(u8, u64)], overflow: u64) -> Snapshot {
    let total = overflow + hosts.iter().map(|(_, packets)| packets).sum::<u64>();
    Snapshot {
        services: vec![ServiceCounts {
            number: SERVICE,
            cells: vec![ServiceCell {
                evidence: Evidence::Port,
                verdict: Verdict::Counted,
                traffic: counts(total, 100 * total),
            }],
            overflow: sent(overflow),
        }],
        hosts: hosts
            .iter()
            .map(|&(host, packets)| HostCounts {
                host: address(host),
                service: SERVICE,
                record: sent(packets),
            })
            .collect(),
        ..Snapshot::default()
    }
}

fn address(host: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, host])
}

/// Packets by host; 0 is the overflow. What has not grown is left out.
fn grown(previous: &Snapshot, current: &Snapshot) -> Vec<(u8, u64)> {
    let growths = between(previous, current);
    let mut packets: Vec<_> = growths
        .iter()
        .filter(|growth| growth.total().packets > 0)
        .map(|growth| {
            let Count { packets, bytes } = growth.total();
            assert_eq!(bytes, 100 * packets, "{growth:?}");
            let host = match growth.host {
                Some(IpAddr::V4(address)) => address.octets()[3],
                Some(IpAddr::V6(_)) => unreachable!("there are none"),
                None => 0,
            };
            (host, packets)
        })
        .collect();
    packets.sort_unstable();
    packets
}

#[test]
fn what_grew() {
    let before = snapshot(&[(1, 10), (2, 20)], 5);
    let after = snapshot(&[(1, 10), (2, 23), (3, 4)], 6);
    assert_eq!(grown(&before, &after), [(0, 1), (2, 3), (3, 4)]);
    assert_eq!(grown(&after, &after), []);
}

#[test]
fn what_was_moved_to_the_overflow_is_no_traffic() {
    // 1 is gone, and 3 has its place; one packet found no room before.
    let before = snapshot(&[(1, 1_000), (2, 20)], 5);
    let after = snapshot(&[(2, 20), (3, 4)], 1_006);
    assert_eq!(grown(&before, &after), [(0, 1), (3, 4)]);
}

#[test]
fn a_host_that_came_back_has_what_it_has_now() {
    let before = snapshot(&[(1, 1_000)], 5);
    let after = snapshot(&[(1, 3)], 1_005);
    assert_eq!(grown(&before, &after), [(1, 3)]);
    // It may have more than before.
    let before = snapshot(&[(1, 2)], 5);
    let after = snapshot(&[(1, 3)], 7);
    assert_eq!(
        grown(&before, &after)
            .iter()
            .map(|(_, packets)| packets)
            .sum::<u64>(),
        3
    );
}

#[test]
fn a_host_that_lost_one_of_several_slots_grew_by_what_the_others_saw() {
    // 900 were those of another CPU, which has not seen it for a day.
    let before = snapshot(&[(1, 1_000_900)], 0);
    let after = snapshot(&[(1, 1_000_002)], 900);
    assert_eq!(grown(&before, &after), [(1, 2)]);
}

#[test]
fn a_fate_that_went_away_says_nothing_of_the_other() {
    let refused = |passed: u64, refused: u64| HostRecord {
        refused: sent(refused).passed,
        ..sent(passed)
    };
    let mut before = snapshot(&[(1, 0)], 0);
    let mut after = before.clone();
    before.hosts[0].record = refused(1_000_000, 50);
    after.hosts[0].record = refused(1_000_001, 0);
    after.services[0].overflow = refused(0, 50);
    assert_eq!(grown(&before, &after), [(1, 1)]);
}

#[test]
fn packets_and_bytes_begin_anew_together() {
    let (before, mut after) = (snapshot(&[(1, 10)], 0), snapshot(&[(1, 10)], 0));
    // Fewer packets, and more bytes.
    after.hosts[0].record.passed[0] = counts(2, 1_200);
    let growth = between(&before, &after).into_iter().next().unwrap();
    assert_eq!(
        growth.total(),
        Count {
            packets: 2,
            bytes: 1_200
        }
    );
}

#[test]
fn tables_that_were_made_anew_count_from_zero() {
    let before = snapshot(&[(1, 1_000), (2, 20)], 50);
    let after = snapshot(&[(1, 3)], 60);
    assert_eq!(grown(&before, &after), [(0, 60), (1, 3)]);
    assert_eq!(grown(&before, &Snapshot::default()), []);
}
