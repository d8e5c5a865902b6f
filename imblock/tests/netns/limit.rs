//! `action: limit` on a real network: what arrives in a second is what the policy says.

use std::thread::sleep;
use std::time::{Duration, Instant};

use imblock::kernel::Instance;
use imblock::lab::Lab;
use imblock_common::layout::Counts;

use super::support::{ACME, BOLT, POLICY, Rig, Sink, Stream};

/// What has passed of a service by the counters, and when they were read.
fn passed(rig: &Rig, service: &str) -> (Counts, Instant) {
    let maps = Instance::open(&rig.instance.parse().unwrap()).unwrap().maps;
    let number = maps
        .service_numbers()
        .unwrap()
        .iter()
        .find(|(id, _)| *id == service)
        .map(|(_, number)| number);
    let snapshot = maps.snapshot().unwrap();
    let at = Instant::now();
    let mut services = snapshot.services.iter();
    let found = services.find(|found| Some(found.number) == number);
    let counts = found.map_or_else(Counts::default, imblock::snapshot::ServiceCounts::passed);
    (counts, at)
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
    let before = ["acme", "bolt"].map(|service| passed(&rig, service));
    sleep(DURATION);
    let after = ["acme", "bolt"].map(|service| passed(&rig, service));
    let sent = streams.map(Stream::stop);
    let [acme, bolt] = [0, 1].map(|of| {
        let ((before, since), (after, until)) = (before[of], after[of]);
        let seconds = until.duration_since(since).as_secs_f64();
        let per_second = |count: u64| count as f64 / seconds;
        (
            per_second(after.bytes - before.bytes),
            per_second(after.packets - before.packets),
        )
    });
    let bits = acme.0 * 8.0 / 1_000_000.0;
    let packets = bolt.1 / 200.0;
    println!(
        "{bits:.3} of 1 mbit/s, {packets:.3} of 200 packets/s, over {} s, of {sent:?} sent",
        DURATION.as_secs()
    );
    assert!((1.0 - MARGIN..=1.0 + MARGIN).contains(&bits), "{bits}");
    assert!(
        (1.0 - MARGIN..=1.0 + MARGIN).contains(&packets),
        "{packets}"
    );
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
