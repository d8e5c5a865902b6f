//! `policy learn`: a proposal that is a policy, and drops nothing that was seen.

use std::fs;

use imblock::lab::{Probe, probe};
use imblock_common::Transport;
use serde_json::Value;

use crate::documents::hold;
use crate::replay::{irc_capture, radio_capture};
use crate::site::Site;
use crate::support::{command, imblock, run};

/// Runs `policy learn` over a capture of one SYN to an IRC port, in a directory of its own.
fn of_capture(options: &[&str]) -> crate::support::Ran {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("irc.pcap"), irc_capture()).unwrap();
    let mut arguments = vec!["policy", "learn", "--replay", "irc.pcap"];
    arguments.extend(options);
    run(command(&arguments).current_dir(dir.path()))
}

/// Fails unless the text is a policy; what it does with a service for everyone.
fn action(policy: &str, service: &str) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("learned.yaml");
    fs::write(&path, policy).unwrap();
    let path = path.to_str().unwrap();
    imblock(&["policy", "check", path]).exits(0);
    let json = imblock(&["policy", "show", "-p", path, "--json"])
        .exits(0)
        .json();
    let cells = json["policy"]["cells"].as_array().unwrap().clone();
    let cell = cells.iter().find(|cell| cell["service"] == service);
    cell.unwrap()["action"].clone()
}

#[test]
fn a_capture_becomes_a_policy_with_its_evidence() {
    let ran = of_capture(&[]).exits(0);
    let ran = ran
        .prints("out of 1 capture, on ")
        .prints("#   network-1: [\"10.0.0.0/24\"]  # 1 host: irc\n")
        .prints("- irc  # 1 host, 1 packet, 54 B, told by port 1, first seen 2017-07-14T02:40:00Z, last seen 2017-07-14T02:40:00Z, 10.0.0.2\n")
        .prints("      - msn  # has ended\n")
        .prints("      - bittorrent  # peer-to-peer\n");
    assert_eq!(action(&ran.out, "irc"), "count");
    assert_eq!(action(&ran.out, "msn"), "drop");
    assert_eq!(action(&ran.out, "bittorrent"), "drop");
    assert_eq!(action(&ran.out, "whatsapp"), "count");
    let many = of_capture(&["--many", "1"]).exits(0);
    assert_eq!(action(&many.out, "irc"), "allow");
    // Long ago, and all the same not dropped.
    let old = of_capture(&["--since", "7d"]).exits(0);
    let old = old.prints("- irc  # 0 hosts, 1 packet");
    assert_eq!(action(&old.out, "irc"), "count");
    of_capture(&["--since", "2017-07-14T00:00:00Z"])
        .exits(0)
        .prints("- irc  # 1 host, 1 packet");
}

#[test]
fn trouble_is_told() {
    of_capture(&["--since", "yesterday"]).exits(2).says("7d");
    imblock(&["policy", "learn", "--replay", "nowhere.pcap"])
        .exits(1)
        .says("nowhere.pcap");
}

#[test]
fn frames_of_which_nothing_is_learned_are_told() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("radio.pcap"), radio_capture()).unwrap();
    let mut learn = command(&["policy", "learn", "--replay", "radio.pcap"]);
    run(learn.current_dir(dir.path()))
        .exits(0)
        .says("link type 127 is not understood: 1 frame was not judged");
}

#[test]
fn the_document_of_what_was_learned_is_what_the_page_says() {
    let documents = [
        of_capture(&["--json"]),
        of_capture(&["--json", "--since", "7d"]),
    ];
    let documents = documents.map(|ran| ran.exits(0).json());
    hold("imblock policy learn --json", &documents);
}

#[test]
fn counters_become_a_policy() {
    let Some(site) = Site::with_hosts_or_skip("counters_become_a_policy") else {
        return;
    };
    site.imblock(&["policy", "learn"]).exits(7);
    let own = site.file(
        "own.yaml",
        "version: 1\nname: x\nservices: [{ id: acme, name: Acme, category: im, ports: [tcp/7000] }]\n",
    );
    site.imblock(&["up", "-i", "lan0", "-p", &own]).exits(0);
    let nothing = site.imblock(&["policy", "learn"]).exits(0);
    assert_eq!(action(&nothing.out, "irc"), "count");
    for port in [6667, 7000] {
        let to = (site.network.server.v4, port).into();
        let attempt = Probe {
            transport: Transport::Tcp,
            to,
        };
        let patience = std::time::Duration::from_secs(1);
        probe(&site.network.alice.namespace, &[attempt], patience).unwrap();
    }
    let ran = site.imblock(&["policy", "learn", "--since", "1h"]).exits(0);
    let alice = site.network.alice.v4.to_string();
    let ran = ran
        .prints("- irc  # 1 host, ")
        .prints(&alice)
        .prints("# acme (count), a service of your own");
    assert_eq!(action(&ran.out, "irc"), "count");
    let json = site.imblock(&["policy", "learn", "--json"]).exits(0).json();
    let last = json["findings"][0]["last_seen"].as_str().unwrap();
    let last: jiff::Timestamp = last.parse().unwrap();
    let age = jiff::Timestamp::now().duration_since(last);
    assert!(age.as_secs().abs() < 60, "{last}");
}
