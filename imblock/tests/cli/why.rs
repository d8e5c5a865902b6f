//! `why`: the programs answer, and nothing that is live notices.

use std::fs;
use std::time::Duration;

use imblock::lab::{Answer, Probe, probe};
use imblock_common::Transport;
use serde_json::Value;

use crate::documents::hold;
use crate::replay::irc_capture;
use crate::site::Site;
use crate::support::imblock;

const POLICY: &str = "\
version: 1
name: office
groups: { support: [10.0.5.0/24] }
protect: { hosts: [198.51.100.99] }
rules:
- { services: [irc], groups: [support], action: allow }
- { services: [irc, whatsapp], action: drop }
";

#[test]
fn the_programs_answer_for_ports_names_and_hosts() {
    let Some(site) = Site::or_skip("the_programs_answer_for_ports_names_and_hosts") else {
        return;
    };
    site.imblock(&["why", "10.0.0.2", "198.51.100.7:6667"])
        .exits(7);
    let policy = site.file("office.yaml", POLICY);
    site.imblock(&["up", "-i", "lan0", "-i", "wan0:wan", "-p", &policy])
        .exits(0);
    let why = |arguments: &[&str]| site.imblock(&[&["why"], arguments].concat()).exits(0);
    why(&["10.0.0.2", "198.51.100.7:6667/tcp"])
        .prints("tcp 10.0.0.2:50123 -> 198.51.100.7:6667: dropped")
        .prints("judged   SYN, by lan_ingress")
        .prints("service  irc, told by port")
        .prints("group    everyone\n")
        .prints("action   drop: rule 2 (")
        .prints("office.yaml:7)")
        .prints("policy   office (")
        .prints("generation 1");
    why(&["10.0.5.9", "198.51.100.7:6667"])
        .prints("passes (allowed)")
        .prints("judged   ACK, after 2 frames, by lan_ingress")
        .prints("group    support (10.0.5.0/24)")
        .prints("rule 1 (");
    why(&["10.0.0.2", "198.51.100.7", "--name", "web.whatsapp.com"])
        .prints("-> 198.51.100.7:443: dropped")
        .prints("judged   TLS hello with the name web.whatsapp.com, after 3 frames")
        .prints("service  whatsapp, told by sni");
    why(&[
        "10.0.0.2",
        "10.0.0.1",
        "--name",
        "web.whatsapp.com",
        "--dns",
    ])
    .prints("udp 10.0.0.2:50123 -> 10.0.0.1:53: dropped")
    .prints("told by dns");
    why(&["2001:db8::2", "[2001:db8::7]:6667/tcp"]).prints("dropped");
    why(&["10.0.0.2", "198.51.100.99:6667"])
        .prints("passes (guarded)")
        .prints("guard    198.51.100.99 is protected (`protect`, 198.51.100.99/32)");
    why(&["10.0.0.2", "198.51.100.7:81"])
        .prints(": passes\n")
        .prints("service  none (unidentified)")
        .prints("note: nothing that is known was said in this flow");
    site.imblock(&["allow", "irc", "--group", "everyone"])
        .exits(0);
    why(&["10.0.0.2", "198.51.100.7:6667"])
        .prints("passes (allowed)")
        .prints("action   allow: toggled by tester at ")
        .prints("(policy: drop)");
    site.imblock(&["reject", "irc", "--group", "everyone"])
        .exits(0);
    why(&["10.0.0.2", "198.51.100.7:6667"])
        .prints(": dropped (rejected)\n")
        .prints("action   reject: toggled by tester at ");
    for wrong in [
        &["10.0.0.2", "2001:db8::7"][..],
        &["10.0.0.2", "198.51.100.7:443/udp", "--name", "x.example"],
    ] {
        site.imblock(&[&["why"], wrong].concat()).exits(2);
    }
}

#[test]
fn the_answer_is_what_happens() {
    let Some(site) = Site::with_hosts_or_skip("the_answer_is_what_happens") else {
        return;
    };
    let policy = site.file("office.yaml", POLICY);
    site.imblock(&["up", "-i", "lan0", "-i", "wan0:wan", "-p", &policy])
        .exits(0);
    let (alice, server) = (site.network.alice.v4, site.network.server.v4);
    let happens = |port: u16| {
        let attempt = Probe {
            transport: Transport::Tcp,
            to: (server, port).into(),
        };
        let patience = Duration::from_secs(1);
        let answers = probe(&site.network.alice.namespace, &[attempt], patience).unwrap();
        !matches!(answers[0], Answer::Silence)
    };
    let answered = |port: u16| {
        let (from, to) = (alice.to_string(), format!("{server}:{port}"));
        let json = site.imblock(&["why", "--json", &from, &to]).exits(0).json();
        json["passes"].as_bool().unwrap()
    };
    for (port, passes) in [(6667, false), (81, true)] {
        assert_eq!((happens(port), answered(port)), (passes, passes), "{port}");
    }
    site.imblock(&["allow", "irc"]).exits(0);
    assert_eq!((happens(6667), answered(6667)), (true, true));
}

/// An address tells nothing of a handshake, so only the words behind it can be dropped. The answer is
/// about those, as that of the policy's own `tests` is.
#[test]
fn an_address_is_told_by_the_first_words() {
    let Some(site) = Site::or_skip("an_address_is_told_by_the_first_words") else {
        return;
    };
    let policy = "\
version: 1
name: towers
services: [{ id: towers, name: Towers, category: im, prefixes: [198.51.100.0/24] }]
rules: [{ services: [towers], action: drop }]
tests: [{ from: 10.0.0.2, to: \"198.51.100.7:443/tcp\", expect: drop }]
";
    let policy = site.file("towers.yaml", policy);
    site.imblock(&["up", "-i", "lan0", "-p", &policy]).exits(0);
    let why = |arguments: &[&str]| site.imblock(&[&["why"], arguments].concat()).exits(0);
    for transport in ["tcp", "udp"] {
        why(&["10.0.0.2", &format!("198.51.100.7:443/{transport}")])
            .prints(": dropped\n")
            .prints("judged   payload that tells nothing")
            .prints("service  towers, told by prefix")
            .prints("note: the address tells it as long as no other name is said");
    }
    why(&["10.0.0.2", "198.51.100.7", "--name", "nobody.example"])
        .prints(": passes\n")
        .prints("service  none (unidentified)");
}

#[test]
fn nothing_that_is_live_notices() {
    let Some(site) = Site::or_skip("nothing_that_is_live_notices") else {
        return;
    };
    let policy = site.file("office.yaml", POLICY);
    site.imblock(&["up", "-i", "lan0", "-p", &policy]).exits(0);
    let counted = || {
        let json = |arguments: &[&str]| site.imblock(arguments).exits(0).json();
        let status = json(&["status", "--json"]);
        (
            json(&["services", "--json"])["services"].clone(),
            json(&["hosts", "--json"])["hosts"].clone(),
            status["hosts_in_use"].clone(),
            status["quic"].clone(),
            status["policy"].clone(),
        )
    };
    let before = counted();
    for _ in 0..3 {
        site.imblock(&["why", "10.0.0.2", "198.51.100.7:6667"])
            .exits(0)
            .prints("dropped");
    }
    assert_eq!(counted(), before);
    assert_eq!(before.1, Value::Array(Vec::new()));
}

#[test]
fn a_frame_of_a_capture_is_judged_after_those_before_it() {
    let Some(site) = Site::or_skip("a_frame_of_a_capture_is_judged_after_those_before_it") else {
        return;
    };
    let policy = site.file("office.yaml", POLICY);
    site.imblock(&["up", "-i", "lan0", "-p", &policy]).exits(0);
    let capture = site.dir().join("irc.pcap");
    fs::write(&capture, irc_capture()).unwrap();
    let capture = capture.to_str().unwrap();
    let why = |frame: &str| site.imblock(&["why", "--pcap", capture, "--frame", frame]);
    why("1")
        .exits(0)
        .prints("tcp 10.0.0.2:50000 -> 198.51.100.7:6667: dropped")
        .prints("judged   frame 1, by lan_ingress");
    why("2").exits(1).says("it has 1");
    // Refused before the capture is looked at: how many frames it has is not known then.
    why("0").exits(2).says("invalid value '0'").says("--frame");
    site.imblock(&["why", "--pcap", "nowhere.pcap", "--frame", "1"])
        .exits(1)
        .says("nowhere.pcap");
    imblock(&["why", "--pcap", capture]).exits(2);
    imblock(&["why", "10.0.0.2"]).exits(2).says("TO");

    let of_capture = site.imblock(&["why", "--json", "--pcap", capture, "--frame", "1"]);
    let mut json: Vec<Value> = vec![of_capture.exits(0).json()];
    for arguments in [
        &["10.0.5.2", "198.51.100.7:6667"][..],
        &["10.0.0.2", "198.51.100.99:6667"],
        &["10.0.0.2", "8.8.8.8", "--name", "t.me"],
        &["10.0.0.2", "8.8.8.8:81"],
    ] {
        let ran = site.imblock(&[&["why", "--json"], arguments].concat());
        json.push(ran.exits(0).json());
    }
    site.imblock(&["allow", "irc"]).exits(0);
    let overridden = site.imblock(&["why", "--json", "10.0.0.2", "198.51.100.7:6667"]);
    json.push(overridden.exits(0).json());
    hold("imblock why --json", &json);
}

#[test]
fn another_time_has_its_own_rule() {
    let Some(site) = Site::or_skip("another_time_has_its_own_rule") else {
        return;
    };
    let policy = site.file(
        "office.yaml",
        "version: 1\nname: office\nrules:\n\
         - { services: [irc], action: drop, when: { days: mon-fri, hours: \"08:00-17:00\", timezone: UTC } }\n\
         - { services: [irc], action: allow }\n",
    );
    site.imblock(&["up", "-i", "lan0", "-p", &policy]).exits(0);
    let why = |at: &str| {
        let ran = site.imblock(&["why", "10.0.0.2", "198.51.100.7:6667", "--at", at]);
        ran.exits(0)
    };
    // A Monday, one second before the end of work and at it, and a Sunday.
    why("2026-11-23T16:59:59 UTC")
        .prints("dropped")
        .prints("action   drop: rule 1 (")
        .prints("at       2026-11-23T16:59:59Z");
    why("2026-11-23T17:00:00 UTC")
        .prints("passes (allowed)")
        .prints("action   allow: rule 2 (");
    why("2026-11-22T12:00 Europe/Berlin")
        .prints("passes (allowed)")
        .prints("rule 2 (");
    // What is set by hand for an hour is in force then, not in a year.
    site.imblock(&["block", "irc", "--for", "1h"]).exits(0);
    let now = site.imblock(&["why", "10.0.0.2", "198.51.100.7:6667"]);
    now.exits(0).prints("dropped").prints("toggled by");
    why("2096-11-25T18:00 UTC")
        .prints("passes (allowed)")
        .prints("rule 2 (");
    site.imblock(&["why", "10.0.0.2", "198.51.100.7:6667", "--at", "noon"])
        .exits(2)
        .says("`noon` is no time");
    // Questions about other times leave the live table alone.
    let now = site.imblock(&["why", "10.0.0.2", "198.51.100.7:6667"]);
    now.exits(0).prints("toggled by");
}
