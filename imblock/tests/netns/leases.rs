//! Leases on a real network: they hold and end while no process of ours lives.

use std::thread::sleep;
use std::time::{Duration, Instant};

use imblock::lab::EchoServer;

use super::support::{ACME, BOLT, POLICY, PORTS, Rig, Sink, Stream, eventually};

#[test]
fn a_lease_ends_although_nobody_lives() {
    let Some(rig) = Rig::up("a_lease_ends_although_nobody_lives") else {
        return;
    };
    let (alice, server) = (&rig.lab.alice, &rig.lab.server);
    let sink = Sink::start(server, ACME);
    let stream = Stream::start(alice, rig.server_at(ACME));
    sleep(Duration::from_millis(200));
    let passed = || rig.hosts().of(alice.v4, "acme").0.sent.packets;
    let refused = || rig.hosts().of(alice.v4, "acme").1.sent.packets;
    // Longer where the machine is too busy to look at a short one.
    let lease_ends = [4, 16, 64].into_iter().find_map(|seconds| {
        let end = Instant::now() + Duration::from_secs(seconds);
        rig.ok(&["block", "acme", "--for", &format!("{seconds}s")]);
        let overrides = rig.status().overrides;
        // A policy that comes meanwhile does not end it.
        rig.write("other.yaml", &POLICY.replace("name: test", "name: other"));
        rig.ok(&["policy", "apply", "other.yaml"]);
        let before = (passed(), refused());
        sleep(Duration::from_millis(500));
        let after = (passed(), refused());
        if Instant::now() >= end {
            return None;
        }
        assert_eq!(overrides.len(), 1);
        assert!(overrides[0].until.is_some());
        assert_eq!(before.0, after.0, "it leaks");
        assert!(before.1 < after.1, "nothing is dropped");
        Some(end)
    });
    let Some(lease_ends) = lease_ends else {
        panic!("the machine is too slow for this test");
    };
    sleep(lease_ends.saturating_duration_since(Instant::now()));
    let at_least = refused();
    eventually("the lease is over", || rig.status().overrides.is_empty());
    sleep(Duration::from_millis(300));
    let (after, then) = (refused(), passed());
    sleep(Duration::from_millis(300));
    assert_eq!(refused(), after, "it does not end");
    assert!(passed() > then && after >= at_least);
    let sent = stream.stop();
    let hosts = rig.hosts();
    let (passed, refused) = hosts.of(alice.v4, "acme");
    assert_eq!(
        passed.sent.packets + refused.sent.packets,
        u64::from(sent),
        "what is sent is counted, on one side or the other"
    );
    let arrived = sink.count(passed.sent.packets as u32);
    assert_eq!(u64::from(arrived), passed.sent.packets);
    assert_eq!(rig.services().of("acme").actions["everyone"], "count");
}

#[test]
fn a_lease_of_a_group_leaves_the_others_alone() {
    let Some(rig) = Rig::up("a_lease_of_a_group_leaves_the_others_alone") else {
        return;
    };
    let _server = EchoServer::start(&rig.lab.server, &PORTS).unwrap();
    rig.ok(&[
        "block",
        "category:im",
        "--group",
        "support",
        "--for",
        "1h30m",
    ]);
    assert_eq!(rig.bob_reaches(), [false, false, true]);
    assert_eq!(rig.alice_reaches(), [true, true, true]);
    rig.ok(&["reset", "acme"]);
    assert_eq!(rig.bob_reaches(), [true, false, true]);
    assert!(!rig.reaches(&rig.lab.bob, &rig.lab.server, BOLT));
}
