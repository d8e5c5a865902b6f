//! RTP: three packets in sequence make a stream, and nothing less.
#![expect(clippy::indexing_slicing, reason = "tests")]

use imblock_common::content::Payload;
use imblock_common::identify::rtp::{RtpHeader, RtpTrace, Step, looks_like_rtp, step};
use proptest::collection::vec;
use proptest::prelude::*;

fn packet(kind: u8, sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, kind];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x55; 160]);
    packet
}

fn look(payload: &[u8]) -> Option<RtpHeader> {
    let end = payload.len();
    looks_like_rtp(payload, Payload { at: 0, end })
}

/// What the packets of a direction come to, one after the other.
fn steps(packets: &[Vec<u8>]) -> Vec<Option<Step>> {
    let mut trace = RtpTrace::default();
    let steps = packets.iter().map(|payload| {
        look(payload).map(|header| {
            let (next, step) = step(trace, header);
            trace = next;
            step
        })
    });
    steps.collect()
}

const WAITING: Option<Step> = Some(Step::Waiting);
const RTP: Option<Step> = Some(Step::Rtp);

#[test]
fn the_third_packet_tells() {
    let voice = |n: u16| packet(0, 65_534_u16.wrapping_add(n), 160 * u32::from(n), 7);
    let packets: Vec<_> = (0..4).map(voice).collect();
    assert_eq!(steps(&packets), [WAITING, WAITING, RTP, RTP]);
}

#[test]
fn some_may_be_lost_and_some_seen_twice() {
    let voice = |n: u16| packet(111, n, 960 * u32::from(n), 7);
    let lost: Vec<_> = [10, 14, 18].map(voice).to_vec();
    assert_eq!(steps(&lost), [WAITING, WAITING, RTP]);
    let twice: Vec<_> = [10, 10, 11, 11, 12].map(voice).to_vec();
    assert_eq!(steps(&twice), [WAITING, WAITING, WAITING, WAITING, RTP]);
    let gap: Vec<_> = [10, 15, 20, 25, 30, 35].map(voice).to_vec();
    assert!(!steps(&gap).contains(&RTP));
}

#[test]
fn a_picture_takes_longer() {
    let part = |n: u16| packet(96, n, 90_000, 7);
    let packets: Vec<_> = (1..=6).map(part).collect();
    let mut expected = vec![WAITING; 5];
    expected.push(RTP);
    assert_eq!(steps(&packets), expected);
    let mut packets: Vec<_> = (1..=2).map(part).collect();
    packets.push(packet(96, 3, 93_000, 7));
    assert_eq!(steps(&packets), [WAITING, WAITING, RTP]);
}

#[test]
fn sound_and_picture_share_a_flow() {
    let packets = [
        packet(111, 1, 960, 7),
        packet(96, 500, 90_000, 8),
        packet(111, 2, 1920, 7),
        packet(96, 501, 90_000, 8),
        packet(111, 3, 2880, 7),
    ];
    assert_eq!(steps(&packets), [WAITING, WAITING, WAITING, WAITING, RTP]);
}

#[test]
fn a_source_that_went_away_is_forgotten() {
    let other = |ssrc| packet(0, 1, 0, ssrc);
    let packets = [
        other(1),
        other(2),
        other(3),
        other(4),
        other(5),
        packet(0, 2, 160, 5),
        packet(0, 3, 320, 5),
    ];
    let expected = [
        WAITING,
        WAITING,
        WAITING,
        WAITING,
        Some(Step::NotRtp),
        WAITING,
        RTP,
    ];
    assert_eq!(steps(&packets), expected);
}

#[test]
fn reports_are_company_and_no_evidence() {
    for kind in 200..=204 {
        let mut report = vec![0x81, kind, 0, 1, 0, 0, 0, 7];
        let header = look(&report);
        assert!(header.is_some_and(|header| header.report && header.ssrc == 7));
        let packets = [
            packet(0, 1, 0, 7),
            report.clone(),
            report.clone(),
            packet(0, 2, 160, 7),
            report.clone(),
            packet(0, 3, 320, 7),
        ];
        assert_eq!(
            steps(&packets),
            [WAITING, WAITING, WAITING, WAITING, WAITING, RTP]
        );
        assert!(!steps(&vec![report.clone(); 10]).contains(&RTP));
        report.truncate(7);
        assert_eq!(look(&report), None);
    }
}

#[test]
fn a_head_that_contradicts_itself_is_none() {
    let good = packet(0, 1, 0, 7);
    assert!(look(&good).is_some());
    let with = |at: usize, value: u8| {
        let mut payload = good.clone();
        payload[at] = value;
        payload
    };
    for version in [0x00, 0x40, 0xc0] {
        assert_eq!(look(&with(0, version)), None);
    }
    for kind in 0..=0xff_u8 {
        let plausible = matches!(kind & 0x7f, 0..=34 | 96..=127);
        let found = look(&with(1, kind)).is_some_and(|header| !header.report);
        assert_eq!(found, plausible, "{kind}");
    }
    assert_eq!(look(&packet(0, 1, 0, 0)), None);
    let short = |length: usize, first: u8| look(&with(0, first)[..length]).is_some();
    assert!(short(12, 0x80) && !short(11, 0x80));
    assert!(short(72, 0x8f) && !short(71, 0x8f));
    assert!(short(16, 0x90) && !short(15, 0x90));
    assert!(short(13, 0xa0) && !short(12, 0xa0));
}

proptest! {
    #[test]
    fn random_payloads_are_no_stream(payloads in vec(vec(any::<u8>(), 0..64), 0..40)) {
        prop_assert!(!steps(&payloads).contains(&RTP));
    }

    /// Whatever a trace holds, and wherever the payload is said to lie.
    #[test]
    fn nothing_panics(
        words in any::<u64>(),
        payload in vec(any::<u8>(), 0..40),
        at in 0..50_usize,
        end in 0..70_000_usize,
    ) {
        let trace: RtpTrace = bytemuck::cast(words);
        if let Some(header) = looks_like_rtp(payload.as_slice(), Payload { at, end }) {
            step(trace, header);
        }
    }
}
