//! `policy diff`, and `policy apply` that looks before it drops.

use std::fs;
use std::io::Write as _;

use serde_json::Value;

use crate::replay::{irc_capture, radio_capture};
use crate::site::Site;
use crate::support::{command, imblock, run};

const HEAD: &str = "version: 1\nname: x\ngroups: { support: [10.0.5.0/24] }\n";

/// Two files and a capture of a connection to IRC; runs the binary beside them.
fn between(old: &str, new: &str, options: &[&str]) -> crate::support::Ran {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("old.yaml"), format!("{HEAD}{old}")).unwrap();
    fs::write(dir.path().join("new.yaml"), format!("{HEAD}{new}")).unwrap();
    fs::write(dir.path().join("irc.pcap"), irc_capture()).unwrap();
    fs::write(dir.path().join("radio.pcap"), radio_capture()).unwrap();
    let mut arguments = vec!["policy", "diff", "--from", "old.yaml", "new.yaml"];
    arguments.extend(options);
    run(command(&arguments).current_dir(dir.path()))
}

const DROP: &str = "rules: [{ services: [irc], action: drop }]\n";

#[test]
fn what_is_different_is_told_with_its_rule() {
    between(DROP, DROP, &[]).exits(0).prints("no difference");
    let ran = between(
        "",
        "rules:\n- { services: [msn], groups: [support], action: allow }\n- { services: [irc], action: drop }\nprotect: { ports: [tcp/22], hosts: [10.0.0.9] }\nquic: block\n",
        &["--replay", "irc.pcap"],
    )
    .exits(1);
    let text = without_hashes(&ran.out);
    insta::assert_snapshot!(text, @r"
    old: old.yaml: policy x (…)
    new: new.yaml: policy x (…)

    rules: 3 changes
    SERVICE  GROUP     OLD    NEW    SAYS                 SAID
    irc      everyone  count  drop   rule 2 (new.yaml:6)  defaults
    irc      support   count  drop   rule 2 (new.yaml:6)  defaults
    msn      support   count  allow  rule 1 (new.yaml:5)  defaults

    settings: 0 added, 0 removed, 1 changed
      ~ quic: inspect -> block

    hosts: 1 added, 0 removed, 0 changed
      + 10.0.0.9/32: everyone, protected

    ports: 1 added, 0 removed, 0 changed
      + tcp/22: protected

    replay: 1 capture, 1 frame, 1 flow: 1 newly dropped, 0 newly passing
            flows that lose packets: 0 before, 1 after

    HOST      NEWLY DROPPED  NEWLY PASSING
    10.0.0.2              1              -

    newly dropped
    FLOW                                     PACKETS  OLD                   NEW                   FIRST SEEN            CAPTURE
    tcp 10.0.0.2:50000 -> 198.51.100.7:6667        1  irc by port, counted  irc by port, dropped  2017-07-14T02:40:00Z  irc.pcap
    ");
}

/// The text with every short hash taken out.
fn without_hashes(text: &str) -> String {
    let lines = text.lines().map(|line| match line.rsplit_once(" (") {
        Some((head, hash)) if hash.len() == 13 && line.contains(": policy ") => {
            format!("{head} (…)")
        }
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_flow_that_passes_again_is_told_too() {
    let json = between(DROP, "", &["--replay", "irc.pcap", "--json"])
        .exits(1)
        .json();
    let replay = &json["replay"];
    assert_eq!(replay["newly_dropped"], Value::Array(Vec::new()));
    let flow = &replay["newly_passing"][0];
    assert_eq!(
        (&flow["old"]["verdict"], &flow["new"]["verdict"]),
        (&"dropped".into(), &"counted".into())
    );
    assert_eq!(
        (&replay["dropped_before"], &replay["dropped_after"]),
        (&1.into(), &0.into())
    );
}

#[test]
fn long_lists_are_cut_for_people_alone() {
    let all = "rules: [{ services: [all], action: drop }]\n";
    let cut = between("", all, &[]).exits(1).prints("more: --all");
    let whole = between("", all, &["--all"]).exits(1);
    assert!(whole.out.lines().count() > cut.out.lines().count() + 50);
    let json = between("", all, &["--json"]).exits(1).json();
    assert!(json["cells"].as_array().unwrap().len() > 100);
    assert_eq!(json["same"], false);
}

#[test]
fn trouble_is_more_than_1() {
    between(DROP, "rulez: []\n", &[])
        .exits(3)
        .says("new.yaml:4");
    between(DROP, DROP, &["--replay", "nowhere.pcap"])
        .exits(2)
        .says("nowhere.pcap")
        .says("1 of the captures");
    between(DROP, DROP, &["--replay", "-"])
        .exits(2)
        .says("- is no capture");
    imblock(&["policy", "diff", "audit", "--local", "10.0.0.0/8"])
        .exits(2)
        .says("--replay");
    imblock(&["policy", "diff", "nowhere.yaml"])
        .exits(3)
        .says("nowhere.yaml");
}

#[test]
fn frames_that_no_policy_can_judge_are_told() {
    between("", DROP, &["--replay", "radio.pcap"])
        .exits(1)
        .says("warning: link type 127 is not understood: 1 frame was not judged");
    let json = between("", DROP, &["--replay", "radio.pcap", "--json"]).exits(1);
    let replay = &json.json()["replay"];
    assert_eq!(replay["unknown_link_types"]["127"], 1);
    assert_eq!(replay["packets_without_flow"], 0);
}

/// A pipe gives its bytes once, and a file that is being written others the second time.
#[test]
fn both_policies_judge_what_was_read_once() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("drop.yaml"), format!("{HEAD}{DROP}")).unwrap();
    for standard_input in ["-", "/dev/stdin"] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(&irc_capture()).unwrap();
        drop(writer);
        let arguments = ["policy", "diff", "--from", "audit", "drop.yaml"];
        let mut command = command(&[&arguments[..], &["--replay", standard_input]].concat());
        run(command.current_dir(dir.path()).stdin(reader))
            .exits(1)
            .prints("replay: 1 capture, 1 frame, 1 flow: 1 newly dropped, 0 newly passing");
    }
}

#[test]
fn the_document_of_a_diff_is_what_the_page_says() {
    let documents = [
        between(
            "",
            "rules: [{ services: [irc], action: drop }]\nquic: block\n",
            &["--replay", "irc.pcap", "--json"],
        ),
        between(DROP, "", &["--replay", "irc.pcap", "--json"]),
    ];
    let documents = documents.map(|ran| ran.exits(1).json());
    crate::documents::hold("imblock policy diff --json", &documents);
}

#[test]
fn what_is_live_is_compared() {
    let Some(site) = Site::or_skip("what_is_live_is_compared") else {
        return;
    };
    site.imblock(&["policy", "diff", "audit"]).exits(7);
    let with_own = format!(
        "{HEAD}services: [{{ id: acme, name: Acme, category: im, ports: [tcp/7000] }}]\nrules: [{{ services: [acme], action: drop }}]\n"
    );
    let first = site.file("first.yaml", &with_own);
    site.imblock(&["up", "-i", "lan0", "-p", &first]).exits(0);
    site.imblock(&["policy", "diff", &first])
        .exits(0)
        .prints("old: live: policy x")
        .prints("no difference");
    let second = site.file("second.yaml", &format!("{HEAD}{DROP}"));
    let ran = site.imblock(&["policy", "diff", &second]).exits(1);
    ran.prints("irc      everyone  count  drop")
        .prints("second.yaml:4)")
        .prints("  - tcp/7000: acme");
    site.imblock(&["policy", "apply", &second]).exits(0);
    // A service of an earlier policy keeps its number; that is no difference.
    site.imblock(&["policy", "diff", &second]).exits(0);
    // Nor is what is set by hand.
    site.imblock(&["allow", "irc"]).exits(0);
    site.imblock(&["policy", "diff", &second]).exits(0);
    site.imblock(&["policy", "apply", &second]).exits(0);
    site.imblock(&["policy", "diff", &second]).exits(0);

    // The rule of old is told as it was, and that the file is another by now.
    fs::write(&second, format!("# moved\n\n{HEAD}")).unwrap();
    site.imblock(&["policy", "diff", &second])
        .exits(1)
        .prints("second.yaml:4)")
        .prints("second.yaml has changed since it was applied");
}

#[test]
fn what_is_live_is_shown_with_its_reasons() {
    let Some(site) = Site::or_skip("what_is_live_is_shown_with_its_reasons") else {
        return;
    };
    let policy = site.file("policy.yaml", &format!("{HEAD}{DROP}"));
    site.imblock(&["up", "-i", "lan0", "-p", &policy]).exits(0);
    site.imblock(&["allow", "irc", "--group", "support"])
        .exits(0);
    let shown = || site.imblock(&["policy", "show"]).exits(0);
    shown()
        .prints("irc      drop 1    allow *\n")
        .prints("policy.yaml:4)\n")
        .prints("* toggled by tester at ")
        .prints("(policy: drop)")
        .prints("count in every group, defaults: ");
    let cell = || {
        let json = site.imblock(&["policy", "show", "--json"]).exits(0).json();
        let cells = json["policy"]["cells"].as_array().unwrap().clone();
        let wanted = |cell: &&Value| cell["service"] == "irc" && cell["group"] == "everyone";
        let cell = cells.iter().find(wanted).unwrap().clone();
        (cell["reason"].clone(), cell["rule"].clone())
    };
    assert_eq!(cell(), ("rule".into(), 1.into()));
    // What is said of the file is what it was when it was applied.
    fs::write(&policy, format!("#\n#\n{HEAD}")).unwrap();
    shown()
        .prints("policy.yaml:4)\n")
        .prints("policy.yaml has changed since it was applied");
    fs::remove_file(&policy).unwrap();
    shown().prints("policy.yaml is gone since it was applied");
    // Nobody wrote it down: nothing is made up.
    let origins = site.state_file().with_file_name("origins.json");
    fs::remove_file(origins).unwrap();
    shown().prints("count in every group, policy: ");
    assert_eq!(cell(), ("unknown".into(), Value::Null));
}

#[test]
fn a_policy_that_drops_too_much_is_not_applied() {
    let Some(site) = Site::or_skip("a_policy_that_drops_too_much_is_not_applied") else {
        return;
    };
    fs::write(site.dir().join("irc.pcap"), irc_capture()).unwrap();
    let capture = site.dir().join("irc.pcap").to_str().unwrap().to_owned();
    let policy = site.file("policy.yaml", &format!("{HEAD}{DROP}"));
    site.imblock(&["up", "-i", "lan0", "-p", "audit"]).exits(0);
    let apply = |most: &str| {
        let arguments = ["policy", "apply", &policy, "--max-new-drops", most];
        site.imblock(&[&arguments[..], &["--replay", &capture]].concat())
    };
    let generation = || {
        let status = site.imblock(&["status", "--json"]).exits(0).json();
        status["policy"]["generation"].as_u64().unwrap()
    };
    apply("0")
        .exits(1)
        .says("tcp 10.0.0.2:50000 -> 198.51.100.7:6667")
        .says("not applied: 1 flows of the captures")
        .says("--all --replay");
    assert_eq!(generation(), 1);
    apply("1").exits(0).says("1 would newly be dropped");
    assert_eq!(generation(), 2);
    // They are dropped already.
    apply("0").exits(0);
    site.imblock(&["policy", "apply", &policy, "--max-new-drops", "0"])
        .exits(2)
        .says("--replay");
    site.imblock(&[
        "policy",
        "apply",
        &policy,
        "--max-new-drops",
        "0",
        "--replay",
        "nowhere.pcap",
    ])
    .exits(1)
    .says("nowhere.pcap");
    // Nobody knows what it would drop of these.
    fs::write(&capture, radio_capture()).unwrap();
    apply("9").exits(1).says("of 1 frames of the captures");
    assert_eq!(generation(), 3);
}
