//! The state directory: what happens when it is not what it should be. Nothing is ever lost.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::Signal;
use serde_json::Value;

use crate::site::Site;

#[test]
fn a_broken_state_is_named_and_kept() {
    let Some(site) = Site::or_skip("a_broken_state_is_named_and_kept") else {
        return;
    };
    site.imblock(&["up", "-i", "lan0"]).exits(0);
    site.imblock(&["block", "irc"]).exits(0);
    let whole = fs::read_to_string(site.state_file()).unwrap();
    let broken = &whole[..whole.len() / 2];
    fs::write(site.state_file(), broken).unwrap();
    for arguments in [
        ["block", "msn"].as_slice(),
        &["reset"],
        &["status"],
        &["policy", "apply", "audit"],
        &["up", "-i", "lan0"],
        &["run", "-i", "lan0", "--listen", "none"],
    ] {
        let ran = site.imblock(arguments).exits(1).in_one_line();
        ran.says(site.state_file().to_str().unwrap())
            .says("repair it, or remove it");
        assert_eq!(fs::read_to_string(site.state_file()).unwrap(), broken);
    }
    // Mended, it is as if nothing had happened; meanwhile the kernel went on.
    fs::write(site.state_file(), &whole).unwrap();
    let services = site
        .imblock(&["services", "irc", "msn", "--json"])
        .exits(0)
        .json();
    let action = |id: &str| {
        let services = services["services"].as_array().unwrap();
        services.iter().find(|s| s["id"] == id).unwrap()["actions"]["everyone"].clone()
    };
    assert_eq!(
        (action("irc"), action("msn")),
        ("drop".into(), "count".into())
    );
}

#[test]
fn a_broken_state_prevents_no_down() {
    let Some(site) = Site::or_skip("a_broken_state_prevents_no_down") else {
        return;
    };
    site.imblock(&["up", "-i", "lan0"]).exits(0);
    fs::write(site.state_file(), "{").unwrap();
    site.imblock(&["down"]).exits(0);
    site.imblock(&["status"]).exits(7);
}

#[test]
fn the_state_of_a_later_version_is_left_alone() {
    let Some(site) = Site::or_skip("the_state_of_a_later_version_is_left_alone") else {
        return;
    };
    let later = r#"{"version": 9, "switches": {"irc": "drop"}}"#;
    fs::create_dir_all(site.state_file().parent().unwrap()).unwrap();
    fs::write(site.state_file(), later).unwrap();
    let ran = site.imblock(&["up", "-i", "lan0"]).exits(1).in_one_line();
    ran.says("later").says("format 9").says("state.json");
    assert_eq!(fs::read_to_string(site.state_file()).unwrap(), later);
    site.imblock(&["status"]).exits(7);
}

#[test]
fn a_state_directory_that_can_not_be_made_is_an_error_before_anything_is_attached() {
    let Some(site) = Site::or_skip("a_state_directory_that_can_not_be_made") else {
        return;
    };
    // Root may write everywhere, but not below a file.
    let file = site.file("file", "");
    let mut command = site.command(&["up", "-i", "lan0"]);
    command.env("IMBLOCK_STATE_DIR", &file);
    let ran = site.run(&mut command).exits(1).in_one_line();
    ran.says(&file)
        .says("could not be made")
        .says("IMBLOCK_STATE_DIR");
    site.imblock(&["status"]).exits(7);
}

#[test]
fn toggles_outlive_down_and_up() {
    let Some(site) = Site::or_skip("toggles_outlive_down_and_up") else {
        return;
    };
    site.imblock(&["up", "-i", "lan0"]).exits(0);
    site.imblock(&["block", "irc"]).exits(0);
    site.imblock(&["down"]).exits(0);
    site.imblock(&["up", "-i", "lan0"]).exits(0);
    let services = site.imblock(&["services", "irc", "--json"]).exits(0).json();
    assert_eq!(services["services"][0]["actions"]["everyone"], "drop");
    assert_eq!(services["services"][0]["policy"]["everyone"], "count");
}

/// A state directory on a file system without room.
struct Full {
    dir: PathBuf,
}

impl Full {
    /// Mounts a small one where the site has its state.
    fn of(site: &Site) -> Self {
        let dir = site.dir().join("state");
        fs::create_dir_all(&dir).unwrap();
        let size = c"size=256k";
        mount("tmpfs", &dir, "tmpfs", MountFlags::empty(), size).unwrap();
        Self { dir }
    }

    /// Writes until nothing fits any more.
    fn fill(&self) {
        let mut file = File::create(self.dir.join("ballast")).unwrap();
        let error = loop {
            if let Err(error) = file.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }

    fn make_room(&self) {
        fs::remove_file(self.dir.join("ballast")).unwrap();
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        let _ = unmount(&self.dir, UnmountFlags::DETACH);
    }
}

/// What the kernel does, what is remembered of it, and what lies in the state directory.
fn all_of(site: &Site) -> (Value, Value, Vec<OsString>) {
    let json = |arguments: &[&str]| site.imblock(arguments).exits(0).json();
    let mut status = json(&["status", "--json"]);
    let status = ["policy", "overrides", "interfaces"].map(|part| status[part].take());
    let files = fs::read_dir(site.state_file().parent().unwrap()).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    files.sort();
    (status.into(), json(&["services", "--json"]), files)
}

#[test]
fn what_can_not_be_remembered_is_not_done() {
    let Some(site) = Site::or_skip("what_can_not_be_remembered_is_not_done") else {
        return;
    };
    let acme = "services: [{ id: acme, name: Acme, category: im, ports: [tcp/7777] }]";
    let new = site.file("new.yaml", &format!("version: 1\nname: new\n{acme}\n"));
    let live = site.file("live.yaml", "version: 1\nname: live\n");
    let full = Full::of(&site);
    let run = ["run", "-i", "lan0", "--listen", "none", "-p", &live];
    let running = site.start(&run);
    site.imblock(&["policy", "apply", "audit"]).exits(0);
    site.imblock(&["block", "irc"]).exits(0);
    site.imblock(&["policy", "apply", &live]).exits(0);
    let before = all_of(&site);
    full.fill();
    fs::copy(&new, &live).unwrap();
    let commands = [
        ["block", "msn"].as_slice(),
        &["block", "msn", "--for", "1h"],
        &["reset", "irc"],
        &["policy", "apply", &new],
        &["policy", "apply", &new, "--confirm", "1h"],
        &["policy", "rollback"],
    ];
    for arguments in commands {
        let ran = site.imblock(arguments).exits(1).in_one_line();
        ran.says("nothing was changed: the state")
            .says("could not be written (No space left");
        assert_eq!(all_of(&site), before, "{arguments:?}");
    }
    running.signal(Signal::HUP);
    running.await_log("not reloaded: the old policy stays in force");
    assert!(running.log().contains("No space left"), "{}", running.log());
    assert_eq!(all_of(&site), before);
    full.make_room();
    running.signal(Signal::HUP);
    running.await_log("policy new is in force");
    site.imblock(&["block", "acme"]).exits(0);
    running.signal(Signal::TERM);
    running.end();
}

#[test]
fn a_start_that_can_not_be_remembered_attaches_nothing() {
    let Some(site) = Site::or_skip("a_start_that_can_not_be_remembered_attaches_nothing") else {
        return;
    };
    let full = Full::of(&site);
    // The locks are there, and what is written into them has its room.
    site.imblock(&["up", "-i", "lan0"]).exits(0);
    site.imblock(&["down"]).exits(0);
    full.fill();
    for arguments in [
        ["up", "-i", "lan0"].as_slice(),
        &["run", "-i", "lan0", "--listen", "none"],
    ] {
        let ran = site.imblock(arguments).exits(1);
        ran.says("nothing was changed: the state");
        site.imblock(&["status"]).exits(7);
    }
    full.make_room();
    site.imblock(&["up", "-i", "lan0"]).exits(0);
}

#[test]
fn a_policy_that_was_not_confirmed_goes_although_the_disk_is_full() {
    let Some(site) = Site::or_skip("a_policy_that_was_not_confirmed_goes") else {
        return;
    };
    let acme = "services: [{ id: acme, name: Acme, category: im, ports: [tcp/7777] }]";
    let new = site.file("new.yaml", &format!("version: 1\nname: new\n{acme}\n"));
    let full = Full::of(&site);
    site.imblock(&["up", "-i", "lan0"]).exits(0);
    site.imblock(&["policy", "apply", &new, "--confirm", "5s"])
        .exits(0);
    full.fill();
    std::thread::sleep(Duration::from_millis(5_500));
    let status = site.imblock(&["status", "--json"]).exits(0).json();
    assert_eq!(status["policy"]["name"], "audit");
    site.imblock(&["block", "irc"])
        .exits(1)
        .says("nothing was changed");
    full.make_room();
    // It is followed as soon as it can be written down, by whoever comes first.
    site.imblock(&["block", "irc"])
        .exits(0)
        .says("was not confirmed in time");
    site.imblock(&["block", "acme"]).exits(2);
}

#[test]
fn schedules_are_kept_on_a_full_disk_with_one_complaint() {
    let Some(site) = Site::or_skip("schedules_are_kept_on_a_full_disk_with_one_complaint") else {
        return;
    };
    // All of the day but one second, which is over.
    let now = Timestamp::now();
    let second = |back: i64| {
        let at = now - SignedDuration::from_secs(back);
        at.strftime("%H:%M:%S").to_string()
    };
    let hours = format!("{}-{}", second(60), second(61));
    let rule = format!(
        "{{ services: [irc], action: drop, when: {{ hours: \"{hours}\", timezone: UTC }} }}"
    );
    let clock = site.file(
        "clock.yaml",
        &format!("version: 1\nname: clock\nrules: [{rule}]\n"),
    );
    let full = Full::of(&site);
    let running = site.start(&["run", "-i", "lan0", "--listen", "none"]);
    // It looks at the new policy when there is no room any more to write down that it did.
    running.signal(Signal::STOP);
    site.imblock(&["policy", "apply", &clock]).exits(0);
    full.fill();
    running.signal(Signal::CONT);
    running.await_log("what the schedules say is done, but could not be written down");
    let action = || {
        let irc = site.imblock(&["services", "irc", "--json"]).exits(0).json();
        irc["services"][0]["actions"]["everyone"].clone()
    };
    assert_eq!(action(), "drop");
    // It tries each second, and must not say so again: the longer this takes, the more it proves.
    std::thread::sleep(Duration::from_secs(3));
    full.make_room();
    running.await_log("the schedules are kept again");
    let log = running.log();
    assert_eq!(log.matches("No space left").count(), 1, "{log}");
    assert!(!log.contains("is not done"), "{log}");
}
