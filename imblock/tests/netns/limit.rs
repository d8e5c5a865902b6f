//! `action: limit` on a real network: what arrives in a second is what the policy says.

use std::thread::sleep;
use std::time::{Duration, Instant};

use imblock::kernel::Instance;
use imblock::lab::Lab;
use imblock_common::layout::Counts;

use super::support::{ACME, BOLT, POLICY, Rig, Sink, Stream};

/// What has passed of a service by the counters, and between which instants they were read.
type Reading = (Counts, [Instant; 2]);

fn passed(rig: &Rig, service: &str) -> Reading {
    let maps = Instance::open(&rig.instance.parse().unwrap()).unwrap().maps;
    let number = maps
        .service_numbers()
        .unwrap()
        .iter()
        .find(|(id, _)| *id == service)
        .map(|(_, number)| number);
    let begin = Instant::now();
    let snapshot = maps.snapshot().unwrap();
    let end = Instant::now();
    let mut services = snapshot.services.iter();
    let found = services.find(|found| Some(found.number) == number);
    let counts = found.map_or_else(Counts::default, imblock::snapshot::ServiceCounts::passed);
    (counts, [begin, end])
}

/// How much has passed in a second between two readings, at least and at most: reading takes time.
fn share(of: impl Fn(Counts) -> f64, before: &Reading, after: &Reading) -> [f64; 2] {
    let (since, until) = (before.1, after.1);
    let passed = of(after.0) - of(before.0);
    [until[1] - since[0], until[0] - since[1]].map(|span| passed / span.as_secs_f64())
}

#[test]
fn a_rate_is_what_arrives() {
    const MARGIN: f64 = 0.05;
    const DURATION: Duration = Duration::from_secs(4);
    let Some(rig) = Rig::new("a_rate_is_what_arrives") else {
        return;
    };
    let rules = "rules:\n  \
        - { services: [acme], action: limit, rate: 1 mbit/s }\n  \
        - { services: [bolt], action: limit, rate: 200 packets/s, burst: 10 packets }\n";
    rig.write("limit.yaml", &format!("{POLICY}{rules}"));
    rig.ok(&["up", "-p", "limit.yaml", "-i", Lab::LAN]);
    assert_eq!(rig.services().of("acme").actions["everyone"], "limit");
    let Lab { alice, server, .. } = &rig.lab;
    let sinks = [ACME, BOLT].map(|port| Sink::start(server, port));
    let streams = [ACME, BOLT].map(|port| Stream::start(alice, rig.server_at(port)));
    // Until the bursts are through.
    sleep(Duration::from_secs(1));
    // Never more than the rate. Less passes when the senders don't get the processor: once is enough.
    let exact = (0..5).any(|_| {
        let before = ["acme", "bolt"].map(|service| passed(&rig, service));
        sleep(DURATION);
        let after = ["acme", "bolt"].map(|service| passed(&rig, service));
        let bits = |counts: Counts| counts.bytes as f64 * 8.0 / 1_000_000.0;
        let packets = |counts: Counts| counts.packets as f64 / 200.0;
        let acme = share(bits, &before[0], &after[0]);
        let bolt = share(packets, &before[1], &after[1]);
        println!("{acme:.3?} of 1 mbit/s, {bolt:.3?} of 200 packets/s");
        let most = 1.0 + MARGIN;
        assert!(acme[0] <= most && bolt[0] <= most, "{acme:?} {bolt:?}");
        acme[1] >= 1.0 - MARGIN && bolt[1] >= 1.0 - MARGIN
    });
    let sent = streams.map(Stream::stop);
    assert!(exact, "less passed than may, of {sent:?} sent");
    // What the counters say passed is what arrived.
    for (service, sink) in ["acme", "bolt"].into_iter().zip(&sinks) {
        let passed = passed(&rig, service).0.packets as u32;
        assert_eq!(sink.count(passed), passed, "{service}");
    }
    for (service, sent) in ["acme", "bolt"].into_iter().zip(sent) {
        let (passed, refused) = rig.services().sum(service);
        assert_eq!(passed.packets + refused.packets, u64::from(sent));
    }
}
