//! Rules with `when` on a live network: kept by the controller, frozen without one.

use std::thread;
use std::time::{Duration, Instant};

use imblock::lab::Lab;
use jiff::Timestamp;
use rustix::process::Signal;

use super::support::{ACME, Numbered, POLICY, Rig, Sink, eventually};

/// The clock of a whole second some seconds from now.
fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap()
}

/// Drops both messengers between two instants.
fn policy(from: Timestamp, to: Timestamp) -> String {
    let clock = |at: Timestamp| at.strftime("%H:%M:%S").to_string();
    let hours = format!("{}-{}", clock(from), clock(to));
    format!(
        "{POLICY}rules:\n  - {{ services: [acme, bolt], action: drop, when: {{ hours: \"{hours}\", timezone: UTC }} }}\n"
    )
}

fn wait_until(instant: Timestamp) {
    while Timestamp::now() < instant {
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn traffic_changes_its_fate_at_the_second() {
    let Some(rig) = Rig::new("traffic_changes_its_fate_at_the_second") else {
        return;
    };
    let Lab { alice, server, .. } = &rig.lab;
    let _controller = rig.run(&["-p", "policy.yaml", "-i", Lab::LAN, "--listen", "none"]);
    let sink = Sink::start(server, ACME);
    // Long enough for all that is asked before and meanwhile.
    let (from, to) = (in_seconds(8), in_seconds(13));
    rig.write("clock.yaml", &policy(from, to));
    // By another process than the one that keeps it.
    rig.ok(&["policy", "apply", "clock.yaml"]);
    rig.ok(&["allow", "bolt"]);
    assert!(
        Timestamp::now() < from,
        "the machine is too slow for this test"
    );
    let schedules = rig.status().schedules.unwrap();
    assert!(schedules.kept && schedules.stale_since.is_none());
    assert_eq!(schedules.next_change, Some(from.to_string()));

    let stream = Numbered::start(alice, rig.server_at(ACME));
    wait_until(from + Duration::from_millis(1200));
    let services = rig.services();
    for (service, action) in [("acme", "drop"), ("bolt", "allow")] {
        let service = services.of(service);
        assert_eq!(service.policy["everyone"], "drop");
        assert_eq!(service.actions["everyone"], action, "set by hand, or not");
        assert_eq!(service.actions["support"], action);
    }
    wait_until(to + Duration::from_millis(2500));
    let sent = stream.stop();
    let last = u32::try_from(sent.len()).unwrap() - 1;
    eventually("the last one is in", || sink.numbers().contains(&last));
    let arrived = sink.numbers();
    let second = Duration::from_secs(1);
    let (mut passed, mut refused) = (0, 0);
    let mut late = Duration::ZERO;
    for (number, at) in (0..).zip(&sent) {
        let holds = from <= *at && *at < to;
        if arrived.contains(&number) != holds {
            (passed, refused) = (passed + u32::from(!holds), refused + u32::from(holds));
            continue;
        }
        // At the wrong side of a boundary, for as long as the controller took.
        let boundary = if *at < to { from } else { to };
        let after = Duration::try_from(at.duration_since(boundary)).unwrap();
        assert!(after < second, "{at} is {after:?} after {boundary}");
        late = late.max(after);
    }
    assert!(passed > 50 && refused > 20, "{passed} and {refused}");
    println!("{passed} passed, {refused} were refused, at most {late:?} after the second");
}

#[test]
fn without_a_controller_schedules_freeze_and_say_so() {
    let Some(rig) = Rig::new("without_a_controller_schedules_freeze_and_say_so") else {
        return;
    };
    let warns = |command: &[&str]| {
        let output = rig.imblock(command);
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        said.contains("no `imblock run` keeps them")
    };
    rig.write("clock.yaml", &policy(in_seconds(1800), in_seconds(3600)));
    assert!(warns(&["up", "-p", "clock.yaml", "-i", Lab::LAN]));
    assert!(!warns(&["policy", "apply", "policy.yaml"]));
    assert!(rig.status().schedules.is_none());
    let (from, to) = (in_seconds(8), in_seconds(3600));
    rig.write("clock.yaml", &policy(from, to));
    assert!(warns(&["policy", "apply", "clock.yaml"]));
    assert!(
        Timestamp::now() < from,
        "the machine is too slow for this test"
    );
    let action = || rig.services().of("acme").actions["everyone"].clone();
    let fresh = rig.status().schedules.unwrap();
    assert_eq!((fresh.kept, fresh.stale_since), (false, None));
    assert_eq!(action(), "count");

    wait_until(from);
    let stale = rig.status().schedules.unwrap();
    assert_eq!(
        (stale.kept, stale.stale_since),
        (false, Some(from.to_string()))
    );
    assert_eq!(stale.next_change, Some(to.to_string()));
    assert_eq!(action(), "count", "nobody was there to change it");
    let text = rig.ok(&["status"]);
    assert!(text.contains("frozen"), "{text}");

    let controller = rig.run(&["-p", "clock.yaml", "-i", Lab::LAN, "--listen", "none"]);
    assert_eq!(action(), "drop");
    let kept = rig.status().schedules.unwrap();
    assert_eq!((kept.kept, kept.stale_since), (true, None));
    controller.kill();
    assert!(!rig.status().schedules.unwrap().kept);
    assert_eq!(action(), "drop");
}

#[test]
fn a_policy_that_fails_its_tests_changes_nothing() {
    let Some(rig) = Rig::up("a_policy_that_fails_its_tests_changes_nothing") else {
        return;
    };
    let wrong = format!(
        "{}tests:\n  - {{ from: 10.77.0.2, to: \"198.51.100.7:7000/tcp\", expect: drop }}\n",
        POLICY.replace("name: test", "name: wrong")
    );
    rig.write("wrong.yaml", &wrong);
    for command in [
        &["policy", "check", "wrong.yaml"][..],
        &["policy", "apply", "wrong.yaml"],
        &["up", "-p", "wrong.yaml", "-i", Lab::LAN],
        &[
            "run",
            "-p",
            "wrong.yaml",
            "-i",
            Lab::LAN,
            "--listen",
            "none",
        ],
    ] {
        let complaint = rig.fails(3, command);
        assert!(
            complaint.contains("expected drop, found count"),
            "{command:?}: {complaint}"
        );
    }
    let status = rig.status();
    assert_eq!(
        (status.policy.name.as_str(), status.policy.generation),
        ("test", 1)
    );
}

#[test]
fn the_controller_leaves_in_time_for_the_next_second() {
    let Some(rig) = Rig::new("the_controller_leaves_in_time_for_the_next_second") else {
        return;
    };
    // Its clock must not keep it from its signals.
    rig.write("clock.yaml", &policy(in_seconds(1800), in_seconds(3600)));
    let controller = rig.run(&["-p", "clock.yaml", "-i", Lab::LAN, "--listen", "none"]);
    rig.write("clock.yaml", &policy(in_seconds(-60), in_seconds(3600)));
    controller.hang_up();
    eventually("the reloaded schedule holds", || {
        rig.services().of("acme").actions["everyone"] == "drop"
    });
    let begin = Instant::now();
    controller.stop(Signal::TERM);
    assert!(begin.elapsed() < Duration::from_secs(5));
}
