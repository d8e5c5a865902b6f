//! Commands that were killed between changing the kernel and writing down that they did: what is told follows
//! the kernel.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::site::{PATIENCE, Site};

const ONE: &str = "version: 1\nname: one\nrules:\n  - { services: [irc], action: drop }\n";
const TWO: &str = "version: 1\nname: two\nservices:\n  - { id: our-chat, name: Ours, category: im, ports: [tcp/7777] }\n";
const WRITTEN_DOWN: &str = "killed before it could write down what it did";
const FORGOTTEN: &str = "nothing of what it was to do is in force";

/// A site with `one` in force, and the paths of `one` and `two`.
fn site(test: &str) -> Option<(Site, [String; 2])> {
    let site = Site::or_skip(test)?;
    let policies = [site.file("one.yaml", ONE), site.file("two.yaml", TWO)];
    site.imblock(&["up", "-i", "lan0", "-p", &policies[0]])
        .exits(0);
    Some((site, policies))
}

impl Site {
    fn beside(&self) -> PathBuf {
        self.state_file().with_file_name("state.json.new")
    }

    /// Runs a command, and leaves the state directory as if it had been killed after it changed the kernel.
    fn killed_after(&self, arguments: &[&str]) {
        let before = fs::read(self.state_file()).unwrap();
        self.imblock(arguments).exits(0);
        fs::rename(self.state_file(), self.beside()).unwrap();
        fs::write(self.state_file(), before).unwrap();
    }

    /// The same as if it had been killed before, which is what `undo` makes of the kernel.
    fn killed_before(&self, arguments: &[&str], undo: &[&str]) {
        let before = fs::read(self.state_file()).unwrap();
        self.imblock(arguments).exits(0);
        let after = fs::read(self.state_file()).unwrap();
        self.imblock(undo).exits(0);
        fs::write(self.state_file(), before).unwrap();
        fs::write(self.beside(), after).unwrap();
    }

    fn state(&self) -> Value {
        serde_json::from_slice(&fs::read(self.state_file()).unwrap()).unwrap()
    }

    fn set_by_hand(&self) -> usize {
        let status = self.imblock(&["status", "--json"]).exits(0).json();
        status["overrides"].as_array().unwrap().len()
    }

    fn action_of(&self, service: &str) -> Value {
        let json = self.imblock(&["services", service, "--json"]).exits(0);
        json.json()["services"][0]["actions"]["everyone"].clone()
    }
}

#[test]
fn a_policy_that_the_kernel_has_is_written_down_by_whoever_comes_next() {
    let test = "a_policy_that_the_kernel_has_is_written_down_by_whoever_comes_next";
    let Some((site, [_, two])) = site(test) else {
        return;
    };
    site.killed_after(&["policy", "apply", &two]);
    // Who only looks writes it down as well, and selectors follow.
    site.imblock(&["services", "our-chat"])
        .exits(0)
        .in_one_line()
        .says(WRITTEN_DOWN)
        .says("policy two, generation 2");
    assert!(!site.beside().exists());
    assert_eq!(site.imblock(&["status"]).exits(0).err, "");

    site.killed_after(&["policy", "rollback"]);
    site.imblock(&["block", "our-chat"])
        .exits(2)
        .says(WRITTEN_DOWN);
    site.imblock(&["block", "msn"]).exits(0);
    // What the one before was is remembered, too.
    site.imblock(&["policy", "apply", &two]).exits(0);
    site.imblock(&["policy", "rollback"]).exits(0);
    site.imblock(&["services", "our-chat"]).exits(2);
}

#[test]
fn a_policy_that_the_kernel_does_not_have_is_forgotten() {
    let test = "a_policy_that_the_kernel_does_not_have_is_forgotten";
    let Some((site, [one, two])) = site(test) else {
        return;
    };
    site.killed_before(&["policy", "apply", &two], &["policy", "apply", &one]);
    site.imblock(&["services", "our-chat"])
        .exits(2)
        .says(FORGOTTEN);
    assert!(!site.beside().exists());
    assert_eq!(site.imblock(&["services", "irc"]).exits(0).err, "");
}

#[test]
fn a_toggle_counts_if_the_cells_have_it() {
    let Some((site, _)) = site("a_toggle_counts_if_the_cells_have_it") else {
        return;
    };
    site.killed_after(&["block", "msn", "xmpp"]);
    let ran = site.imblock(&["status", "--json"]).exits(0);
    let ran = ran.says(WRITTEN_DOWN).says("2 set by hand");
    assert_eq!(ran.json()["overrides"].as_array().unwrap().len(), 2);

    site.killed_before(&["allow", "irc"], &["reset", "irc"]);
    site.imblock(&["block", "skype"]).exits(0).says(FORGOTTEN);
    assert_eq!(
        (site.action_of("irc"), site.set_by_hand()),
        ("drop".into(), 3)
    );

    site.killed_after(&["reset"]);
    site.imblock(&["block", "irc"]).exits(0).says(WRITTEN_DOWN);
    assert_eq!(
        (site.action_of("msn"), site.set_by_hand()),
        ("count".into(), 1)
    );
}

#[test]
fn a_toggle_that_the_cells_have_in_part_is_brought_to_its_end() {
    let test = "a_toggle_that_the_cells_have_in_part_is_brought_to_its_end";
    let Some((site, _)) = site(test) else {
        return;
    };
    let before = fs::read(site.state_file()).unwrap();
    site.imblock(&["block", "msn", "xmpp"]).exits(0);
    let after = fs::read(site.state_file()).unwrap();
    site.imblock(&["reset", "xmpp"]).exits(0);
    fs::write(site.state_file(), before).unwrap();
    fs::write(site.beside(), after).unwrap();
    site.imblock(&["status"]).exits(0).says(WRITTEN_DOWN);
    assert_eq!(
        (site.action_of("msn"), site.action_of("xmpp")),
        ("drop".into(), "drop".into())
    );
}

#[test]
fn a_lease_is_told_from_another_by_its_end() {
    let Some((site, _)) = site("a_lease_is_told_from_another_by_its_end") else {
        return;
    };
    site.imblock(&["block", "msn", "--for", "1h"]).exits(0);
    site.killed_after(&["block", "msn", "--for", "2h"]);
    site.imblock(&["status"]).exits(0).says(WRITTEN_DOWN);
    let toggle = &site.state()["overrides"][0];
    let seconds = |field: &str| toggle[field].as_u64().unwrap();
    assert_eq!(seconds("until") - seconds("at"), 2 * 3600 + 1);
}

#[test]
fn a_deadline_that_is_over_as_well_leads_back_once() {
    let test = "a_deadline_that_is_over_as_well_leads_back_once";
    let Some((site, [_, two])) = site(test) else {
        return;
    };
    let one = site.state();
    site.killed_after(&["policy", "apply", &two, "--confirm", "5s"]);
    let begin = Instant::now();
    let settled = loop {
        // Whoever looks earlier takes it up before the deadline.
        std::thread::sleep(Duration::from_secs(6));
        let ran = site.imblock(&["status", "--json"]).exits(0);
        if ran.json()["policy"]["name"] == "one" {
            break ran;
        }
        assert!(begin.elapsed() < PATIENCE, "{ran}");
    };
    settled.says(FORGOTTEN).says("was not confirmed in time");
    assert_eq!(site.state(), one);
}

#[test]
fn what_was_left_prevents_nothing() {
    let Some((site, [one, _])) = site("what_was_left_prevents_nothing") else {
        return;
    };
    for rest in ["", "{\"version\": 2, \"overri", "{\"version\": 9}"] {
        fs::write(site.beside(), rest).unwrap();
        site.imblock(&["block", "msn"]).exits(0);
        site.imblock(&["down"]).exits(0);
        fs::write(site.beside(), rest).unwrap();
        site.imblock(&["up", "-i", "lan0", "-p", &one]).exits(0);
        assert!(!site.beside().exists());
    }
    fs::copy(site.state_file(), site.beside()).unwrap();
    fs::write(site.state_file(), "{").unwrap();
    site.imblock(&["down"]).exits(0);
}
