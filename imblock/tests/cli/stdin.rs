//! `-` for a policy: the standard input, wherever a policy is read.

use std::fs::File;
use std::process::Command;

use crate::site::Site;
use crate::support::{Ran, command, run};

const POLICY: &str = "version: 1\nname: typed\nrules:\n  - { services: [irc], action: drop }\n";

/// The command with a text on its standard input.
fn fed(mut command: Command, text: &str) -> Command {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text");
    std::fs::write(&path, text).unwrap();
    command.stdin(File::open(&path).unwrap());
    command
}

fn with(text: &str, arguments: &[&str]) -> Ran {
    run(&mut fed(command(arguments), text))
}

#[test]
fn commands_that_need_no_instance_read_the_standard_input() {
    with(POLICY, &["policy", "check", "-", "audit"])
        .exits(0)
        .prints("-: ok");
    let shown = with(POLICY, &["policy", "show", "-p", "-", "--json"]).exits(0);
    assert_eq!(shown.json()["policy"]["name"], "typed");
    with(POLICY, &["policy", "diff", "--from", "audit", "-"]).exits(1);
    with(POLICY, &["policy", "diff", "--from", "-", "audit"]).exits(1);
    let dir = tempfile::tempdir().unwrap();
    let capture = dir.path().join("irc.pcap");
    std::fs::write(&capture, crate::replay::irc_capture()).unwrap();
    let capture = capture.to_str().unwrap();
    with(POLICY, &["replay", "-p", "-", capture])
        .exits(0)
        .prints("typed");
}

#[test]
fn what_is_wrong_with_it_is_told_with_its_place() {
    with(
        "version: 1\nname: typed\nrulez: []\n",
        &["policy", "check", "-"],
    )
    .exits(3)
    .says("standard input:3:1");
    with(
        "version: 1\nname: typed\ninclude: [a.yaml]\n",
        &["policy", "check", "-"],
    )
    .exits(3)
    .says("only a policy that is a file can include others");
    with("", &["policy", "check", "-"]).exits(3);
    with(&" ".repeat((1 << 20) + 1), &["policy", "check", "-"]).exits(3);
}

#[test]
fn the_standard_input_is_read_once() {
    for arguments in [
        ["policy", "check", "-", "-"].as_slice(),
        &["policy", "diff", "--from", "-", "-"],
        &["policy", "diff", "--from", "audit", "-", "--replay", "-"],
        &["replay", "-p", "-", "-"],
    ] {
        with(POLICY, arguments)
            .exits(2)
            .in_one_line()
            .says("can be read once");
    }
}

#[test]
fn it_can_be_put_in_force_and_not_be_read_again() {
    let Some(site) = Site::or_skip("it_can_be_put_in_force_and_not_be_read_again") else {
        return;
    };
    let fed = |arguments: &[&str]| {
        let mut command = fed(site.command(arguments), POLICY);
        site.run(&mut command)
    };
    let name = || {
        let status = site.imblock(&["status", "--json"]).exits(0).json();
        status["policy"]["name"].clone()
    };
    fed(&["up", "-i", "lan0", "-p", "-"]).exits(0);
    assert_eq!(name(), "typed");
    site.imblock(&["policy", "apply", "audit"]).exits(0);
    fed(&["policy", "diff", "-"]).exits(1).prints("typed");
    fed(&["policy", "apply", "-"]).exits(0);
    assert_eq!(name(), "typed");
    fed(&[
        "policy",
        "apply",
        "-",
        "--max-new-drops",
        "0",
        "--replay",
        "-",
    ])
    .exits(2)
    .says("can be read once");
}
