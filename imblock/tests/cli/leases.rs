//! `--for`: what is set by hand for a time.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::site::{PATIENCE, Site};

const POLICY: &str = "\
version: 1
name: two-groups
groups:
  support: [10.1.0.0/16]
";

fn site(test: &str) -> Option<Site> {
    let site = Site::or_skip(test)?;
    let policy = site.file("policy.yaml", POLICY);
    site.imblock(&["up", "-i", "lan0", "-p", &policy]).exits(0);
    Some(site)
}

impl Site {
    fn by_hand(&self) -> Vec<Value> {
        let json = self.imblock(&["status", "--json"]).exits(0).json();
        json["overrides"].as_array().unwrap().clone()
    }
}

#[test]
fn a_lease_is_on_record_with_its_end() {
    let Some(site) = site("a_lease_is_on_record_with_its_end") else {
        return;
    };
    site.imblock(&["block", "msn", "--for", "1h30m"])
        .exits(0)
        .in_one_line()
        .says("1 service: drop for 1h 30m");
    let by_hand = site.by_hand();
    let moment = |field: &str| {
        let text = by_hand[0][field].as_str().unwrap();
        text.parse::<jiff::Timestamp>().unwrap().as_second()
    };
    assert_eq!(by_hand.len(), 1);
    let span = moment("until") - moment("at");
    assert!((5_400..=5_401).contains(&span), "{by_hand:?}");
    let until = by_hand[0]["until"].as_str().unwrap();
    site.imblock(&["status"])
        .exits(0)
        .prints("UNTIL")
        .prints(until);
    site.imblock(&["services", "msn"]).exits(0).prints("drop*");
    // It outlives a restart of everything but the box.
    site.imblock(&["down"]).exits(0);
    site.imblock(&["up", "-i", "lan0", "-p", "audit"]).exits(0);
    assert_eq!(site.by_hand(), by_hand);
    site.imblock(&["services", "msn"]).exits(0).prints("drop*");
}

#[test]
fn what_can_not_be_leased_is_said() {
    let Some(site) = site("what_can_not_be_leased_is_said") else {
        return;
    };
    for time in ["0s", "367d", "1", "soon"] {
        site.imblock(&["block", "msn", "--for", time]).exits(2);
    }
    site.imblock(&["block", "msn"]).exits(0);
    site.imblock(&["allow", "msn", "-g", "support", "--for", "1h"])
        .exits(2)
        .in_one_line()
        .says("`imblock reset msn` first");
    assert_eq!(site.by_hand().len(), 1);
    site.imblock(&["allow", "msn", "--for", "1h"])
        .exits(0)
        .says("warning: this takes the place of what was set by hand");
    assert_eq!(site.by_hand().len(), 1);
    site.imblock(&["count", "msn"]).exits(0).in_one_line();
    assert_eq!(site.by_hand()[0]["until"], Value::Null);
}

#[test]
fn a_lease_for_all_over_the_toggle_of_a_group_says_what_is_lost() {
    let Some(site) = site("a_lease_for_all_over_the_toggle_of_a_group_says_what_is_lost") else {
        return;
    };
    site.imblock(&["allow", "msn", "-g", "support"]).exits(0);
    // What lasts for another service is none of its business.
    site.imblock(&["block", "icq", "--for", "1h"])
        .exits(0)
        .in_one_line();
    site.imblock(&["block", "msn", "--for", "1h"])
        .exits(0)
        .says("warning: this takes the place of what was set by hand");
    let by_hand = site.by_hand();
    let of_msn: Vec<_> = by_hand.iter().filter(|o| o["service"] == "msn").collect();
    assert_eq!(of_msn.len(), 1, "{by_hand:?}");
    assert_eq!(of_msn[0]["group"], Value::Null);
}

#[test]
fn a_lease_that_is_over_is_gone_from_status_and_then_from_the_file() {
    let Some(site) = site("a_lease_that_is_over_is_gone_from_status_and_then_from_the_file") else {
        return;
    };
    site.imblock(&["block", "msn", "--for", "5s"]).exits(0);
    assert_eq!(site.by_hand().len(), 1);
    let begin = Instant::now();
    while !site.by_hand().is_empty() {
        assert!(begin.elapsed() < PATIENCE, "{:?}", site.by_hand());
        std::thread::sleep(Duration::from_millis(100));
    }
    let json = site.imblock(&["services", "msn", "--json"]).exits(0).json();
    assert_eq!(json["services"][0]["actions"]["everyone"], "count");
    let file = || std::fs::read_to_string(site.state_file()).unwrap();
    assert!(file().contains("\"until\""));
    site.imblock(&["allow", "icq"]).exits(0);
    assert!(!file().contains("\"until\""));
}
