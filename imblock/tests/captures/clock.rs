//! The clock of a replay: schedules, rates and seconds are those of the capture, as far as its times can be
//! believed.

use std::fs;
use std::path::PathBuf;

use imblock::policy::{ServiceNumbers, Source, Surroundings, parse};
use imblock::replay::{Format, ReplaySummary, run};

use crate::replays::{CLIENT, IRC, START, Told, request};
use crate::write::*;

const LIMIT: &str = "  - { services: [irc], action: limit, rate: 1 packets/s, burst: 1 packets }\n";
/// A year, in nanoseconds.
const YEAR: u64 = 365 * 86_400 * SECOND;

/// Packets that pass, and packets that are refused.
type Fates = (u64, u64);

/// What becomes of three minutes of IRC, so many packets a second, twice over. They begin on 2023-11-14, a
/// Tuesday, at 22:13:20 UTC.
fn three_minutes_under(rules: &str, a_second: u64) -> Fates {
    let times: Vec<_> = (0..180 * a_second)
        .map(|number| START + number * SECOND / a_second)
        .collect();
    // Twice: the second time begins before the first one's end.
    let (_, fates, told) = replay_under(rules, &[&times, &times]);
    assert!(told.disbelieved.is_empty());
    fates
}

/// Replays captures of one packet of IRC after the other, seen at these times.
fn replay_under(rules: &str, captures: &[&[u64]]) -> (ReplaySummary, Fates, Told) {
    let text = format!("version: 1\nname: clock\nrules:\n{rules}");
    let policy = parse(Source::new("clock.yaml".to_owned(), text)).unwrap();
    let numbers = &mut ServiceNumbers::default();
    let plan = policy.compile(numbers, &Surroundings::default()).unwrap();
    let frame = ethernet(IPV4, &tcp4(CLIENT, IRC, SYN));
    let dir = tempfile::tempdir().unwrap();
    let files = (0..).zip(captures).map(|(number, times)| {
        let frames: Vec<_> = times.iter().map(|time| (*time, frame.as_slice())).collect();
        let file = dir.path().join(format!("{number}.pcap"));
        fs::write(&file, pcap(Order::Little, true, 1, &frames)).unwrap();
        file
    });
    let files: Vec<_> = files.collect();
    let paths: Vec<_> = files.iter().map(PathBuf::as_path).collect();
    let (mut out, mut told) = (Vec::new(), Told::default());
    let request = request(&paths, Format::Json);
    let summary = run(&request, &plan, &mut out, &mut told).unwrap();
    let number = plan.service("irc").unwrap().number;
    let irc = summary
        .snapshot
        .services
        .iter()
        .find(|service| service.number == number);
    let irc = irc.unwrap();
    let fates = (irc.passed().packets, irc.refused().packets);
    (summary, fates, told)
}

#[test]
fn schedules_are_those_of_the_time_of_the_capture() {
    let rules = "  - { services: [irc], action: drop, when: { days: tue, hours: \"22:14-22:15\", timezone: UTC } }\n";
    assert_eq!(three_minutes_under(rules, 1), (240, 120));
}

#[test]
fn rates_are_those_of_the_time_of_the_capture() {
    // The middle one of three minutes, twice: 600 packets each time, of which about 60 have room.
    let rules = "  - { services: [irc], action: limit, rate: 1 packets/s, burst: 1 packets, when: { hours: \"22:14-22:15\", timezone: UTC } }\n  \
         - { services: [irc], action: limit, rate: 100 packets/s, burst: 10 packets }\n";
    let (passed, refused) = three_minutes_under(rules, 10);
    assert_eq!(passed + refused, 3_600);
    assert!((1_060..=1_120).contains(&refused), "{refused}");
}

/// A packet a second for so long, from then on.
fn seconds(from: u64, count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(move |second| from + second * SECOND)
}

#[test]
fn a_damaged_time_is_not_that_of_the_frames_behind_it() {
    let tuesday = "  - { services: [irc], action: drop, when: { days: tue, timezone: UTC } }\n";
    for wrong in [START + 50 * YEAR, START + 3_600 * SECOND, 0] {
        for place in [1, 10, 58] {
            let mut times: Vec<_> = seconds(START, 60).collect();
            times[place] = wrong;
            // A packet a second is within the rate as long as the seconds pass.
            let (summary, fates, told) = replay_under(LIMIT, &[&times]);
            assert_eq!(summary.times_not_believed, 1);
            assert_eq!(told.disbelieved.len(), 1);
            assert_eq!(summary.duration.as_secs(), 59);
            assert_eq!(summary.snapshot.hosts[0].record.active_seconds, 59);
            assert!(fates.0 >= 58, "{fates:?}");
            let (_, fates, _) = replay_under(tuesday, &[&times]);
            assert_eq!(fates, (0, 60));
        }
    }
}

#[test]
fn a_first_time_that_is_damaged_is_not_that_of_the_others() {
    let times: Vec<_> = [START + 50 * YEAR]
        .into_iter()
        .chain(seconds(START, 60))
        .collect();
    let (summary, fates, _) = replay_under(LIMIT, &[&times]);
    assert!(fates.0 >= 60, "{fates:?}");
    assert_eq!(summary.duration.as_secs(), 59);
}

#[test]
fn captures_in_one_file_each_have_their_time() {
    let times: Vec<_> = seconds(START, 60)
        .chain(seconds(START - YEAR, 60))
        .collect();
    let (summary, fates, _) = replay_under(LIMIT, &[&times]);
    assert_eq!(summary.times_not_believed, 0);
    assert_eq!(summary.duration.as_secs(), 118);
    assert!(fates.0 >= 118, "{fates:?}");
    // 2022-11-14 was a Monday.
    let monday = "  - { services: [irc], action: drop, when: { days: mon, timezone: UTC } }\n";
    let (_, fates, _) = replay_under(monday, &[&times]);
    assert_eq!(fates, (60, 60));
}

#[test]
fn what_comes_after_a_gap_is_judged_at_its_time() {
    let wednesday = "  - { services: [irc], action: drop, when: { days: wed, timezone: UTC } }\n";
    let day = 86_400 * SECOND;
    let times = [START, START + day, START + 2 * day, START + 8 * day];
    let (summary, fates, _) = replay_under(wednesday, &[&times]);
    assert_eq!(fates, (2, 2));
    assert_eq!(summary.times_not_believed, 0);
    assert_eq!(summary.duration.as_secs(), 8 * 86_400);
}
