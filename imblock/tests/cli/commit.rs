//! `policy apply --confirm`, `policy confirm`, `policy rollback`.

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::site::Site;

const ONE: &str = "version: 1\nname: one\nrules:\n  - { services: [irc], action: drop }\n";
const TWO: &str = "version: 1\nname: two\nservices:\n  - { id: our-chat, name: Ours, category: im, ports: [tcp/7777] }\n";

/// A site with `one` in force, and the path of `two`.
fn site(test: &str) -> Option<(Site, String)> {
    let site = Site::or_skip(test)?;
    let one = site.file("one.yaml", ONE);
    let two = site.file("two.yaml", TWO);
    site.imblock(&["up", "-i", "lan0", "-p", &one]).exits(0);
    Some((site, two))
}

impl Site {
    fn policy(&self) -> Value {
        let json = self.imblock(&["status", "--json"]).exits(0).json();
        json["policy"].clone()
    }
}

#[test]
fn a_deadline_must_be_one_that_people_can_keep() {
    let Some((site, two)) = site("a_deadline_must_be_one_that_people_can_keep") else {
        return;
    };
    for (time, complaint) in [
        ("4s", "from 5s to 1h"),
        ("61m", "from 5s to 1h"),
        ("0s", "from 5s to 1h"),
        ("60", "is no span of time"),
    ] {
        site.imblock(&["policy", "apply", &two, "--confirm", time])
            .exits(2)
            .says(complaint);
    }
    assert_eq!(site.policy()["name"], "one");
}

#[test]
fn a_policy_waits_is_confirmed_and_taken_back() {
    let Some((site, two)) = site("a_policy_waits_is_confirmed_and_taken_back") else {
        return;
    };
    assert_eq!(site.policy()["unconfirmed"], Value::Null);
    site.imblock(&["policy", "confirm"])
        .exits(1)
        .in_one_line()
        .says("no policy waits");
    site.imblock(&["policy", "rollback"])
        .exits(1)
        .in_one_line()
        .says("no other policy was applied before");

    site.imblock(&["policy", "apply", &two, "--confirm", "1h"])
        .exits(0)
        .in_one_line()
        .says("for 1h: `imblock policy confirm` makes it stay");
    let policy = site.policy();
    assert_eq!(policy["name"], "two");
    assert_eq!(policy["unconfirmed"]["fallback"], 1);
    let left = policy["unconfirmed"]["seconds_left"].as_u64().unwrap();
    assert!((3_500..3_600).contains(&left), "{policy}");
    site.imblock(&["status"])
        .exits(0)
        .prints("not confirmed: generation 1 comes back in 59m");
    site.imblock(&["policy", "apply", "audit"])
        .exits(8)
        .in_one_line()
        .says("waits for its confirmation");
    site.imblock(&["policy", "confirm"])
        .exits(0)
        .says("generation 2 is confirmed");
    let policy = site.policy();
    assert_eq!(
        (&policy["name"], &policy["unconfirmed"]),
        (&"two".into(), &Value::Null)
    );

    // What is set by hand outlives a rollback, and selectors follow it.
    site.imblock(&["block", "our-chat", "msn"]).exits(0);
    site.imblock(&["policy", "rollback"])
        .exits(0)
        .says("policy one is in force again, generation 1");
    assert_eq!(site.policy()["name"], "one");
    site.imblock(&["services", "msn"]).exits(0).prints("drop*");
    site.imblock(&["services", "our-chat"]).exits(2);
    site.imblock(&["policy", "rollback"])
        .exits(1)
        .in_one_line()
        .says("rolled back already");
}

#[test]
fn a_controller_that_starts_meanwhile_takes_over_what_waits() {
    let Some((site, two)) = site("a_controller_that_starts_meanwhile_takes_over_what_waits") else {
        return;
    };
    let one = site.dir().join("one.yaml");
    let one = one.to_str().unwrap();
    let run = ["run", "--keep", "-p", one, "-i", "lan0", "--listen", "none"];
    let before = site.start(&run);
    site.imblock(&["policy", "apply", &two, "--confirm", "1h"])
        .exits(0);
    let waiting = site.policy()["generation"].clone();
    before.signal(Signal::KILL);
    before.end();

    let next = site.start(&run);
    let log = next.log();
    assert!(
        log.contains("waits for its confirmation") && log.contains("attached to lan0"),
        "{log}"
    );
    assert_eq!(
        (&site.policy()["name"], &site.policy()["generation"]),
        (&"two".into(), &waiting)
    );
    assert_ne!(site.policy()["unconfirmed"], Value::Null);
    let status = site.imblock(&["status", "--json"]).exits(0).json();
    assert_eq!(status["controller"], next.pid());
    site.imblock(&["policy", "confirm"]).exits(0);
    next.signal(Signal::HUP);
    next.await_log("policy one is in force");
    next.signal(Signal::TERM);
    assert_eq!(next.end().0, Some(0));
}

#[test]
fn who_looks_after_the_deadline_hears_of_it_once() {
    let Some((site, two)) = site("who_looks_after_the_deadline_hears_of_it_once") else {
        return;
    };
    site.imblock(&["policy", "apply", &two, "--confirm", "5s"])
        .exits(0);
    site.imblock(&["services", "our-chat"]).exits(0);
    sleep(Duration::from_secs(6));
    let ran = site.imblock(&["status", "--json"]).exits(0);
    let ran = ran.says("generation 2 was not confirmed in time: policy one, generation 1");
    assert_eq!(ran.json()["policy"]["name"], "one");
    let again = site.imblock(&["status"]).exits(0);
    assert_eq!(again.err, "");
    site.imblock(&["services", "our-chat"]).exits(2);
    site.imblock(&["policy", "confirm"]).exits(1);
}
