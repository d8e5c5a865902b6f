//! What people are told when a policy is wrong: a snapshot of each kind of mistake.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;

use imblock::policy::{self, MAX_BYTES, PolicyErrors, PolicySource, Source};
use imblock::testing::worked;

fn refused(text: &str) -> PolicyErrors {
    policy::parse(Source::new("office.yaml".to_owned(), text.to_owned())).unwrap_err()
}

/// What a person at a terminal of 80 columns reads.
fn told(text: &str) -> String {
    refused(text).report(80, false)
}

/// What is said of a file with these bytes, without the path in front.
fn told_of_file(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("office.yaml");
    fs::write(&path, bytes).unwrap();
    let errors = policy::load(&PolicySource::File(path)).unwrap_err();
    let folder = format!("{}/", folder.path().display());
    errors.report(200, false).replace(&folder, "")
}

#[test]
fn unknown_service() {
    insta::assert_snapshot!(told(r#"version: 1
name: office
rules:
  - { services: [whatsap], action: drop }
"#), @r#"
     × unknown service `whatsap`; did you mean `whatsapp`?
      ╭─[office.yaml:4:18]
    4 │   - { services: [whatsap], action: drop }
      ·                  ───────
      ╰────
     help: `imblock services` lists what is known; a service of your own goes
           under `services:`
    "#);
}

/// Services are written in capitals everywhere but here, and three letters are three edits.
#[test]
fn capitals_are_no_mistake_of_their_own() {
    let told = told(
        r#"version: 1
name: office
groups: { Kids: [10.0.5.0/24] }
rules:
  - { services: [IRC, WhatsAp, "category:VOIP"], groups: [KIDS], action: LIMIT }
"#,
    );
    for meant in ["irc", "whatsapp", "voip", "Kids", "limit"] {
        let suggestion = format!("did you mean `{meant}`?");
        assert!(told.contains(&suggestion), "{meant}: {told}");
    }
}

#[test]
fn every_mistake_of_the_words_at_once() {
    insta::assert_snapshot!(told(r#"version: 1
name: office
defaults: { action: dorp }
interfaces:
  - { name: br-lan, side: inside, mode: fast }
  - { name: much-too-long-name, side: lan }
groups:
  kids: [10.0.5.1/24, ff:ff:ff:ff:ff:ff, "fe80::1%eth0", "::ffff:10.0.0.1", kitchen]
  every one: []
protect:
  ports: [22, sctp/22, tcp/0, tcp/20-10]
rules:
  - { services: ["category:imm", "status:dead", "grup:x"], groups: [kid], action: rejct }
  - { services: [], groups: [], action: limit }
limits: { hosts: 0, prefixes: 99999999999 }
"#), @r#"
      × unknown action `dorp`; did you mean `drop`?
       ╭─[office.yaml:3:21]
     3 │ defaults: { action: dorp }
       ·                     ────
       ╰────
      help: it can be allow or count or drop or reject

      × unknown side `inside`
       ╭─[office.yaml:5:27]
     5 │   - { name: br-lan, side: inside, mode: fast }
       ·                           ──────
       ╰────
      help: it can be lan or wan

      × unknown mode `fast`
       ╭─[office.yaml:5:41]
     5 │   - { name: br-lan, side: inside, mode: fast }
       ·                                         ────
       ╰────
      help: it can be auto or native or generic

      × `much-too-long-name` is no name for an interface: it is longer than 15
      │ bytes
       ╭─[office.yaml:6:13]
     6 │   - { name: much-too-long-name, side: lan }
       ·             ──────────────────
       ╰────

      × `10.0.5.1/24` is no prefix: the address has bits behind the prefix length
       ╭─[office.yaml:8:10]
     8 │   kids: [10.0.5.1/24, ff:ff:ff:ff:ff:ff, "fe80::1%eth0", "::ffff:10.0.0.1", kitchen]
       ·          ───────────
       ╰────
      help: for the network write 10.0.5.0/24, for the host 10.0.5.1

      × `ff:ff:ff:ff:ff:ff` is no prefix: it is the MAC address of no single
      │ device
       ╭─[office.yaml:8:23]
     8 │   kids: [10.0.5.1/24, ff:ff:ff:ff:ff:ff, "fe80::1%eth0", "::ffff:10.0.0.1", kitchen]
       ·                       ─────────────────
       ╰────
      help: with an odd first byte it is one of multicast; all zeros are nobody's

      × `fe80::1%eth0` is no prefix: a prefix has no zone
       ╭─[office.yaml:8:42]
     8 │   kids: [10.0.5.1/24, ff:ff:ff:ff:ff:ff, "fe80::1%eth0", "::ffff:10.0.0.1", kitchen]
       ·                                          ──────────────
       ╰────
      help: leave out the % and what follows

      × `::ffff:10.0.0.1` is no prefix: it is an IPv4 address in the clothes of
      │ IPv6, which no packet carries
       ╭─[office.yaml:8:58]
     8 │   kids: [10.0.5.1/24, ff:ff:ff:ff:ff:ff, "fe80::1%eth0", "::ffff:10.0.0.1", kitchen]
       ·                                                          ─────────────────
       ╰────
      help: write it as IPv4

      × `kitchen` is no prefix: it is no IPv4 or IPv6 address
       ╭─[office.yaml:8:77]
     8 │   kids: [10.0.5.1/24, ff:ff:ff:ff:ff:ff, "fe80::1%eth0", "::ffff:10.0.0.1", kitchen]
       ·                                                                             ───────
       ╰────
      help: write 10.0.5.0/24, 10.0.5.9, 2001:db8:5::/64 or 2001:db8::9

      × `every one` is no name for a group: it has ' ' in it
       ╭─[office.yaml:9:3]
     9 │   every one: []
       ·   ─────────
       ╰────
      help: it can have letters, digits, `-`, `_` and `.`; `everyone` is who is in
            no group

      × `22` is no port: it does not say tcp or udp
        ╭─[office.yaml:11:11]
     11 │   ports: [22, sctp/22, tcp/0, tcp/20-10]
        ·           ──
        ╰────
      help: write tcp/5050, udp/4000 or tcp/6660-6669

      × `sctp/22` is no port: the transport is neither tcp nor udp
        ╭─[office.yaml:11:15]
     11 │   ports: [22, sctp/22, tcp/0, tcp/20-10]
        ·               ───────
        ╰────
      help: write tcp/5050, udp/4000 or tcp/6660-6669

      × `tcp/0` is no port: ports are 1 to 65535
        ╭─[office.yaml:11:24]
     11 │   ports: [22, sctp/22, tcp/0, tcp/20-10]
        ·                        ─────
        ╰────
      help: write tcp/5050, udp/4000 or tcp/6660-6669

      × `tcp/20-10` is no port: the range ends before it begins
        ╭─[office.yaml:11:31]
     11 │   ports: [22, sctp/22, tcp/0, tcp/20-10]
        ·                               ─────────
        ╰────
      help: write tcp/5050, udp/4000 or tcp/6660-6669

      × unknown category `imm`; did you mean `im`?
        ╭─[office.yaml:13:18]
     13 │   - { services: ["category:imm", "status:dead", "grup:x"], groups: [kid], action: rejct }
        ·                  ──────────────
        ╰────
      help: the categories are im, voip, p2p, file-transfer

      × unknown status `dead`
        ╭─[office.yaml:13:34]
     13 │   - { services: ["category:imm", "status:dead", "grup:x"], groups: [kid], action: rejct }
        ·                                  ─────────────
        ╰────
      help: the status is live or historic

      × `grup:x` selects no services
        ╭─[office.yaml:13:49]
     13 │   - { services: ["category:imm", "status:dead", "grup:x"], groups: [kid], action: rejct }
        ·                                                 ────────
        ╰────
      help: a selector is the id of a service, `family:meta`, `category:im`,
            `status:historic` or `all`

      × unknown group `kid`; did you mean `kids`?
        ╭─[office.yaml:13:69]
     13 │   - { services: ["category:imm", "status:dead", "grup:x"], groups: [kid], action: rejct }
        ·                                                                     ───
        ╰────
      help: groups are named under `groups:`; `everyone` is who is in none

      × unknown action `rejct`; did you mean `reject`?
        ╭─[office.yaml:13:83]
     13 │   - { services: ["category:imm", "status:dead", "grup:x"], groups: [kid], action: rejct }
        ·                                                                                   ─────
        ╰────
      help: it can be allow or count or drop or reject or limit

      × `services` is an empty list
        ╭─[office.yaml:14:17]
     14 │   - { services: [], groups: [], action: limit }
        ·                 ─
        ╰────
      help: name a service, or `all`

    … and 4 more errors
    "#);
}

#[test]
fn unknown_key() {
    insta::assert_snapshot!(told(r#"version: 1
name: office
ruels: []
"#), @r#"
     × unknown key `ruels`; did you mean `rules`?
      ╭─[office.yaml:3:1]
    3 │ ruels: []
      · ─────
      ╰────
     help: the keys here are version, name, include, interfaces, defaults,
           groups, protect, rules, services, hops, quic, trust, limits, tests
    "#);
}

#[test]
fn missing_key() {
    insta::assert_snapshot!(told(r#"version: 1
name: office
rules:
  - services: [irc]
"#), @r#"
     × the key `action` is missing
      ╭─[office.yaml:4:5]
    4 │   - services: [irc]
      ·     ────────
      ╰────
    "#);
}

#[test]
fn missing_version() {
    insta::assert_snapshot!(told(r#"name: office
"#), @r#"
     × the key `version` is missing
      ╭─[office.yaml:1:1]
    1 │ name: office
      · ────
      ╰────
     help: begin with `version: 1`
    "#);
}

#[test]
fn key_there_twice() {
    insta::assert_snapshot!(told(r#"version: 1
name: office
name: school
"#), @r#"
     × the key `name` is there twice
      ╭─[office.yaml:3:1]
    3 │ name: school
      · ────
      ╰────
    "#);
}

#[test]
fn group_there_twice() {
    insta::assert_snapshot!(told(r#"version: 1
name: office
groups:
  kids: [10.0.0.1]
  kids: [10.0.0.2]
"#), @r#"
     × the key `kids` is there twice
      ╭─[office.yaml:5:3]
    5 │   kids: [10.0.0.2]
      ·   ────
      ╰────
    "#);
}

#[test]
fn other_version() {
    insta::assert_snapshot!(told(r#"version: 2
name: office
who_knows: what
"#), @r#"
     × this imblock reads policies of version 1, not 2
      ╭─[office.yaml:1:10]
    1 │ version: 2
      ·          ─
      ╰────
     help: write `version: 1`, or use the imblock that the policy is for
    "#);
}

#[test]
fn wrong_type() {
    insta::assert_snapshot!(told(r#"version: 1
name: office
rules: drop
"#), @r#"
     × expected a list here
      ╭─[office.yaml:3:8]
    3 │ rules: drop
      ·        ────
      ╰────
     help: a list is `[a, b]`, or a line `- a` for each
    "#);
}

#[test]
fn wrong_type_of_a_number() {
    insta::assert_snapshot!(told(r#"version: one
name: office
"#), @r#"
     × expected a whole number here
      ╭─[office.yaml:1:10]
    1 │ version: one
      ·          ───
      ╰────
    "#);
}

#[test]
fn wrong_type_of_a_list() {
    insta::assert_snapshot!(told(r#"version: 1
name: office
rules:
  - { services: irc, action: drop }
"#), @r#"
     × expected a list here
      ╭─[office.yaml:4:17]
    4 │   - { services: irc, action: drop }
      ·                 ───
      ╰────
     help: a list is `[a, b]`, or a line `- a` for each
    "#);
}

#[test]
fn no_yaml() {
    insta::assert_snapshot!(told(r#"version: 1
name: office
rules:
  - { services: [irc, action: drop }
"#), @r#"
     × mismatched bracket '[' closed by '}'
      ╭─[office.yaml:4:17]
    4 │   - { services: [irc, action: drop }
      ·                 ▲
      ╰────
    "#);
}

#[test]
fn tab_instead_of_blanks() {
    insta::assert_snapshot!(told(r#"version: 1
name: office
defaults:
	action: drop
"#), @r#"
     × tabs disallowed within this context (block indentation)
      ╭─[office.yaml:4:2]
    4 │     action: drop
      ·     ▲
      ╰────
    "#);
}

#[test]
fn empty_text() {
    insta::assert_snapshot!(told(""), @r#"
    office.yaml:
      × the policy is empty
      help: begin with `version: 1` and `name: …`; docs/POLICY.md has examples
    "#);
}

#[test]
fn only_comments() {
    insta::assert_snapshot!(told(r#"# nothing

---
"#), @r#"
    office.yaml:
      × the policy is empty
      help: begin with `version: 1` and `name: …`; docs/POLICY.md has examples
    "#);
}

#[test]
fn second_document() {
    insta::assert_snapshot!(told(r#"version: 1
name: office
---
version: 1
"#), @r#"
     × a policy is one YAML document, and here a second one begins
      ╭─[office.yaml:4:1]
    4 │ version: 1
      · ▲
      ╰────
     help: remove the `---`, or split the file
    "#);
}

#[test]
fn prefix_in_two_groups() {
    insta::assert_snapshot!(told(r#"version: 1
name: office
groups:
  support: [10.0.5.0/24]
  kids:
    - 10.0.6.0/24
    - 10.0.5.0/24
"#), @r#"
     × 10.0.5.0/24 is in the group `support` and in `kids`
      ╭─[office.yaml:4:13]
    4 │   support: [10.0.5.0/24]
      ·             ─────┬─────
      ·                  ╰── first here
      ╰────
      ╭─[office.yaml:7:7]
    7 │     - 10.0.5.0/24
      ·       ───────────
      ╰────
     help: a host has one group, that of its MAC address, else of the longest
           prefix around it; remove one of the two
    "#);
}

#[test]
fn interface_twice() {
    insta::assert_snapshot!(told(r#"version: 1
name: office
interfaces:
  - { name: eth0, side: lan }
  - { name: eth0, side: wan }
"#), @r#"
     × the interface `eth0` is there twice
      ╭─[office.yaml:5:13]
    4 │   - { name: eth0, side: lan }
      ·             ──┬─
      ·               ╰── first here
    5 │   - { name: eth0, side: wan }
      ·             ────
      ╰────
    "#);
}

#[test]
fn service_of_the_catalogue() {
    insta::assert_snapshot!(told(r#"version: 1
name: office
services:
  - { id: irc, name: Our IRC, category: im, ports: [tcp/7000] }
"#), @r#"
     × the catalogue has a service `irc` already
      ╭─[office.yaml:4:11]
    4 │   - { id: irc, name: Our IRC, category: im, ports: [tcp/7000] }
      ·           ───
      ╰────
     help: give yours another id; a rule can name both
    "#);
}

#[test]
fn own_services() {
    insta::assert_snapshot!(told(r#"version: 1
name: office
services:
  - { id: acme, name: Acme, category: chat }
  - { id: Acme Chat, name: Acme, category: im, status: alive, ended: "July" }
  - { id: acme-2, name: Acme, category: im }
  - { id: acme-2, name: Acme, category: im }
"#), @r#"
     × unknown category `chat`
      ╭─[office.yaml:4:39]
    4 │   - { id: acme, name: Acme, category: chat }
      ·                                       ────
      ╰────
     help: it can be im or voip or p2p or file-transfer

     × `Acme Chat` is no name for a service: it has 'A' in it
      ╭─[office.yaml:5:11]
    5 │   - { id: Acme Chat, name: Acme, category: im, status: alive, ended: "July" }
      ·           ─────────
      ╰────
     help: an id has small letters, digits and `-`, and is not `all`

     × unknown status `alive`; did you mean `live`?
      ╭─[office.yaml:5:56]
    5 │   - { id: Acme Chat, name: Acme, category: im, status: alive, ended: "July" }
      ·                                                        ─────
      ╰────
     help: it can be live or historic

     × `July` is no date: write 2018-07-17, 2018-07 or 2018
      ╭─[office.yaml:5:70]
    5 │   - { id: Acme Chat, name: Acme, category: im, status: alive, ended: "July" }
      ·                                                                      ──────
      ╰────

     × the service `acme-2` is there twice
      ╭─[office.yaml:7:11]
    6 │   - { id: acme-2, name: Acme, category: im }
      ·           ───┬──
      ·              ╰── first here
    7 │   - { id: acme-2, name: Acme, category: im }
      ·           ──────
      ╰────
    "#);
}

#[test]
fn quic_that_is_none() {
    insta::assert_snapshot!(told(r#"version: 1
name: office
quic: blok
"#), @r"
     × unknown quic `blok`; did you mean `block`?
      ╭─[office.yaml:3:7]
    3 │ quic: blok
      ·       ────
      ╰────
     help: it can be allow or block or inspect
    ");
}

#[test]
fn hops_that_are_none() {
    insta::assert_snapshot!(told(r#"version: 1
name: office
hops:
  action: allow
  within: 30
  for: 25h
  after: 0
"#), @r#"
     × unknown action `allow`
      ╭─[office.yaml:4:11]
    4 │   action: allow
      ·           ─────
      ╰────
     help: it can be count or drop

     × `hops.within: 30` is no duration from 1s to 1h
      ╭─[office.yaml:5:11]
    5 │   within: 30
      ·           ──
      ╰────
     help: write 30s, 5m or 1h

     × `hops.for: 25h` is no duration from 1s to 24h
      ╭─[office.yaml:6:8]
    6 │   for: 25h
      ·        ───
      ╰────
     help: write 30s, 5m or 1h

     × `hops.after: 0` is no number of ports from 1 to 16
      ╭─[office.yaml:7:10]
    7 │   after: 0
      ·          ─
      ╰────
     help: it is how many other ports of the server may be tried before it is
           shut
    "#);
}

#[test]
fn column_counts_characters() {
    insta::assert_snapshot!(told(r#"version: 1
name: büro
rules:
  - { action: dröp, services: [ücq] }
"#), @r#"
     × unknown action `dröp`; did you mean `drop`?
      ╭─[office.yaml:4:15]
    4 │   - { action: dröp, services: [ücq] }
      ·               ────
      ╰────
     help: it can be allow or count or drop or reject or limit

     × unknown service `ücq`; did you mean `icq`?
      ╭─[office.yaml:4:32]
    4 │   - { action: dröp, services: [ücq] }
      ·                                ───
      ╰────
     help: `imblock services` lists what is known; a service of your own goes
           under `services:`
    "#);
}

#[test]
fn the_list_of_mistakes_is_one_line_each_for_scripts() {
    let text = "version: 1\nname: office\ndefaults: { action: dorp }\nlimits: { hosts: 0 }\n";
    insta::assert_snapshot!(refused(text).to_string(), @r#"
    office.yaml:3:21: unknown action `dorp`; did you mean `drop`?
    office.yaml:4:18: `limits.hosts` is 0; it can be 1 to 8388608
    "#);
}

#[test]
fn not_utf8() {
    insta::assert_snapshot!(told_of_file(b"version: 1\nname: b\xfcro\n"), @r#"
     × the policy is not UTF-8 text
      ╭─[office.yaml:2:8]
    2 │ name: b�ro
      ·        ─
      ╰────
     help: save the file as UTF-8
    "#);
}

#[test]
fn a_huge_file() {
    let text = format!(
        "version: 1\nname: office\n{}",
        "# blah\n".repeat(MAX_BYTES / 7)
    );
    insta::assert_snapshot!(told_of_file(text.as_bytes()), @r#"
    office.yaml:
      × the policy is larger than 1024 KiB
      help: is this the right file? Wide prefixes say the same in fewer lines
    "#);
    insta::assert_snapshot!(refused(&text).to_string(), @"office.yaml: the policy is larger than 1024 KiB");
}

#[test]
fn no_file() {
    let nowhere = PolicySource::parse("adit");
    insta::assert_snapshot!(policy::load(&nowhere).unwrap_err().report(80, false), @r#"
    adit:
      × cannot read the policy: No such file or directory (os error 2)
      help: give a file, or a ready policy: audit, historic, office, school, home
    "#);
    let folder = PolicySource::parse("/");
    insta::assert_snapshot!(policy::load(&folder).unwrap_err().report(80, false), @r#"
    /:
      × cannot read the policy: Is a directory (os error 21)
    "#);
    assert_eq!(
        PolicySource::parse("audit"),
        PolicySource::Embedded("audit")
    );
    assert_eq!(
        PolicySource::parse("./audit"),
        PolicySource::File("./audit".into())
    );
}

#[test]
fn a_bomb_of_aliases() {
    let mut text = "version: 1\nname: office\nrules: []\ngroups:\n  a: &a [10.0.0.1]\n".to_owned();
    let mut last = 'a';
    for name in 'b'..='z' {
        text += &format!(
            "  {name}: &{name} [{}]\n",
            vec![format!("*{last}"); 9].join(", ")
        );
        last = name;
    }
    insta::assert_snapshot!(told(&text), @r#"
     × expected a single value here
      ╭─[office.yaml:6:10]
    6 │   b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]
      ·          ──
      ╰────
    "#);
}

#[test]
fn a_bomb_of_flat_aliases() {
    let items = "10.0.0.1, ".repeat(1_000);
    let groups: String = (0..250).map(|n| format!("  g{n}: *a\n")).collect();
    let text = format!("version: 1\nname: office\ngroups:\n  a: &a [{items}]\n{groups}");
    insta::assert_snapshot!(told(&text), @r#"
     × the policy is nested too deeply, or its aliases make it too large
        ╭─[office.yaml:104:8]
    104 │   g99: *a
        ·        ──
        ╰────
     help: write the lists out; groups and selectors keep them short
    "#);
}

#[test]
fn nested_too_deep() {
    for depth in [25, 200, 100_000] {
        let text = format!(
            "version: 1\nname: office\nrules: {}{}\n",
            "[".repeat(depth),
            "]".repeat(depth)
        );
        let told = refused(&text).to_string();
        assert!(told.len() < 400, "{told}");
    }
    let text = format!("version: 1\nname: {}a{}\n", "[".repeat(30), "]".repeat(30));
    insta::assert_snapshot!(told(&text), @r#"
     × expected a single value here
      ╭─[office.yaml:2:7]
    2 │ name: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[a]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]
      ·       ─
      ╰────
    "#);
}

#[test]
fn a_line_that_would_fill_the_screen_is_cut() {
    let text = format!(
        "{{ version: 1, name: office, groups: {{ a: [{}10.0.0.1], b: [{}10.0.0.1] }} }}",
        "10.0.0.2, ".repeat(2_000),
        "10.0.0.3, ".repeat(2_000),
    );
    let told = told(&text);
    assert!(told.contains("10.0.0.1/32 is in the group"), "{told}");
    assert!(told.len() < 3_000, "{told}");
}

#[test]
fn a_word_that_would_fill_the_screen_is_cut() {
    for key in [
        "defaults: { action: ",
        "rules: [{ action: drop, services: [",
        "protect: { hosts: [",
    ] {
        let close = key.chars().rev().filter_map(|c| match c {
            '[' => Some(']'),
            '{' => Some('}'),
            _ => None,
        });
        let close: String = close.collect();
        let text = format!(
            "version: 1\nname: office\n{key}{}{close}\n",
            "x".repeat(100_000)
        );
        assert!(told(&text).len() < 3_000, "{key}");
    }
}

#[test]
fn ten_thousand_mistakes() {
    let rule = "  - { services: [whatsap, telegrm], action: drpo }\n";
    let text = format!("version: 1\nname: office\nrules:\n{}", rule.repeat(10_000));
    let begin = worked();
    let errors = refused(&text);
    let took = worked() - begin;
    assert!(took.as_secs() < 10, "{took:?}");
    assert_eq!(errors.iter().count(), 200);
    assert!(
        errors
            .report(80, false)
            .ends_with("… and 180 more errors\n")
    );
}

#[test]
fn every_mistake_of_markers_at_once() {
    let markers = [
        "{ transport: sctp, bytes: 2a }",
        "{ transport: tcp, bytes: '2a zz' }",
        "{ transport: tcp, bytes: '05..01' }",
        "{ transport: tcp, bytes: ' ' }",
        "{ transport: tcp, text: 'a\\q' }",
        "{ transport: tcp, offset: 47, bytes: '01 02' }",
        "{ transport: tcp, bytes: '01', text: a }",
        "{ transport: tcp, bytes: '01', nocase: true }",
        "{ transport: tcp, bytes: '01', length: { at: 2, size: 5 } }",
        "{ transport: tcp, bytes: '01', payload: 5..4 }",
        "{ transport: tcp, bytes: '01', last: '1 2' }",
        "{ transport: tcp, bytes: '01', last: '01 02 03 04 05' }",
        "{ transport: tcp, find: { text: abcd, within: 1025 } }",
        "{ transport: tcp, find: { text: abcd, from: 5, within: 5 } }",
        "{ transport: tcp, find: { within: 5 } }",
        "{ transport: tcp, find: { text: '123456789012345678901234567890123', within: 5 } }",
        "{ transport: tcp, bytes: '01', ports: [tcp/20] }",
        "{ transport: tcp, bytes: '01', ports: ['1', '2', '3', '4', '5', '6', '7'] }",
        "{ transport: tcp, bytes: '01', ports: ['1'], not_ports: ['2'] }",
        "{ transport: tcp, bytes: '01', use: with-port }",
        "{ transport: tcp, bytes: '01', packet: any }",
        "{ transport: tcp, bytes: '01', packet: first, in: irc }",
        "{ transport: tcp, bytes: '01', in: ircc }",
        "{ transport: tcp, bytes: '?? ??', payload: '5' }",
        "{ transport: tcp, bytes: '01', use: dorp }",
    ];
    let mut text = "version: 1\nname: office\ntrust: [telegrm]\nservices:\n".to_owned();
    for (number, marker) in markers.iter().enumerate() {
        text += &format!("- {{ id: s{number}, name: s, category: im, markers: [{marker}] }}\n");
    }
    text += "- { id: stun-a, name: s, category: im, stun: ['8070', 0x20-0x10, { attribute: '0x1', use: with-port }], alpn: ['a b'] }\n";
    let errors = refused(&text);
    let told: Vec<String> = errors
        .iter()
        .map(|error| {
            let (line, column) = error.line_and_column().unwrap();
            let advice = error
                .advice()
                .map_or(String::new(), |advice| format!("\n    {advice}"));
            format!("{line}:{column} {error}{advice}")
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r##"
    3:9 unknown service `telegrm`; did you mean `telegram`?
        `imblock services` lists what is known; a service of your own goes under `services:`
    5:59 unknown transport `sctp`; did you mean `tcp`?
        it can be tcp or udp or both
    6:71 `zz` is no byte
        a byte is two hex digits as in 2a; `??` is any, `0?` and `?0` have one digit open, 01..05 is a range and 83|31 either of the two
    7:71 the range 05..01 ends before it begins
        a byte is two hex digits as in 2a; `??` is any, `0?` and `?0` have one digit open, 01..05 is a range and 83|31 either of the two
    8:71 there is no byte in it
        a byte is two hex digits as in 2a; `??` is any, `0?` and `?0` have one digit open, 01..05 is a range and 83|31 either of the two
    9:70 `a\q` has a `\` that means nothing
        there are \r, \n, \t, \\ and \x1f
    10:83 the pattern reaches byte 49 of the payload; 48 are looked at
        shorten it, or look for the rest with `find`
    11:46 a pattern is `bytes` or `text`, not both
    12:85 `nocase` is about text, and there is none
    13:100 `size` is 5; it can be 1 to 4
    14:86 `5..4` is no length of a payload
        write "74" for exactly 74 bytes, "24.." for 24 and more, "10..100" for what lies between
    15:84 `1` is no byte
        a byte is two hex digits as in 2a; `??` is any, `0?` and `?0` have one digit open, 01..05 is a range and 83|31 either of the two
    16:84 `last` has 5 bytes; it can have 4
    17:93 the search goes up to byte 1025 of the payload; 1024 are looked at
    18:102 nothing is searched: `within` is 5, and `from` is 5
        a needle begins at `from` or behind it, and before `within`
    19:71 `find` needs `bytes` or `text`
    20:71 the needle has 33 bytes; it can have 32
        the first bytes of it will do
    21:86 `tcp/20` is no port of a marker
        write 1863 or 6660-6669; the transport is the marker's
    22:116 there are 7 ranges of ports; a marker can have 6
        write wider ranges, or a second marker
    23:47 a marker has `ports` or `not_ports`, not both
        `ports` alone says it
    24:83 `use: with-port` needs `ports`
        say on which, as in `ports: ["1863"]`
    25:86 `packet: any` looks at every packet, and there is no `in`
        say `in: irc` to look into flows of irc, or `packet: early` for the first packets of any flow
    26:86 `in` looks at every packet, so `packet` is any
        leave `packet` out
    27:82 unknown service `ircc`; did you mean `irc`?
        `imblock services` lists what is known; a service of your own goes under `services:`
    28:47 nothing in this marker tells one payload from another
        give `bytes` or `text`; or a `find` of four bytes and more; or, together with `ports` or `in`, one of `find`, `length`, `payload` and `last`
    29:83 unknown use `dorp`; did you mean `drop`?
        it can be drop or with-port or count-first
    30:47 `8070` is no STUN attribute type
        write 0x8070 or 0x4000-0x4007
    30:55 `0x20-0x10` is no STUN attribute type
        write 0x8070 or 0x4000-0x4007
    30:91 `use` of a STUN attribute is drop or count-first
    30:112 `a b` is no name of an application protocol
    "##);
}

#[test]
fn a_marker_with_a_mistake() {
    insta::assert_snapshot!(told(r#"version: 1
name: office
services:
  - id: acme-chat
    name: Acme Chat
    category: im
    markers:
      - { transport: tcp, bytes: "41 4g", length: { at: 4, size: 2 } }
"#), @r##"
     × `4g` is no byte
      ╭─[office.yaml:8:34]
    8 │       - { transport: tcp, bytes: "41 4g", length: { at: 4, size: 2 } }
      ·                                  ───────
      ╰────
     help: a byte is two hex digits as in 2a; `??` is any, `0?` and `?0` have one
           digit open, 01..05 is a range and 83|31 either of the two
    "##);
}

/// What is said of a policy that reads well, but does not compile.
fn not_compiled(markers: &[String]) -> String {
    let text = format!(
        "version: 1\nname: office\nservices:\n- {{ id: acme-chat, name: a, category: im, markers: [{}] }}\n",
        markers.join(", ")
    );
    let policy = policy::parse(Source::new("office.yaml".to_owned(), text)).unwrap();
    let errors = policy
        .compile_with(&[], &mut Default::default(), &Default::default())
        .unwrap_err();
    errors.report(80, false)
}

#[test]
fn too_many_markers() {
    let alike: Vec<String> = (0..33)
        .map(|number| format!("{{ transport: tcp, offset: {number}, bytes: '01' }}"))
        .collect();
    insta::assert_snapshot!(not_compiled(&alike), @r##"
     × one packet over TCP may have to be held against the markers of acme-chat
     │ at once, which takes more than the 32 steps that it is given
      ╭─[office.yaml:2:7]
    2 │ name: office
      ·       ──────
      ╰────
     help: a marker takes a step, and a `find` one for every 128 places: say more
           about the first bytes, or search less
    "##);
    let wide = ["{ transport: tcp, offset: 8, bytes: '01..7e 01..7e 01..7e' }".to_owned()];
    insta::assert_snapshot!(not_compiled(&wide), @r##"
     × the ranges and alternatives of this marker come to more than 256 markers
      ╭─[office.yaml:2:7]
    2 │ name: office
      ·       ──────
      ╰────
     help: leave bytes open with `??` behind the eighth, or write fewer
           alternatives there
    "##);
    let many: Vec<String> = (0..257)
        .map(|number| format!("{{ transport: udp, text: 'x{number}' }}"))
        .collect();
    insta::assert_snapshot!(not_compiled(&many), @r##"
     × the services have 257 markers over UDP, and there is room for 256
      ╭─[office.yaml:2:7]
    2 │ name: office
      ·       ──────
      ╰────
     help: ranges and alternatives behind the eighth byte, in `find` and in
           `last` make several of one
    "##);
}

#[test]
fn when() {
    let whens = [
        "{}",
        "{ timezone: UTC }",
        "{ days: [] }",
        "{ days: [mon, tues, fri-sa], hours: [] }",
        "{ days: { mon: true } }",
        "{ hours: 8 }",
        "{ hours: \"08:00\" }",
        "{ hours: [\"08:00-25:00\", 8-12, \"24:00-07:00\", \"08:00-08:00\", \"08:00-12:00:60\"] }",
        "{ hours: \"08:00-12:00\", timezone: Europe/Berlim }",
        "{ hours: \"08:00-12:00\", timezone: MESZ }",
        "mon-fri",
    ];
    let told: Vec<String> = whens
        .iter()
        .flat_map(|when| {
            let rule = format!("- {{ services: [irc], action: drop, when: {when} }}");
            lines_told(&format!("version: 1\nname: office\nrules:\n{rule}\n"))
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    4:42 `when` has neither `days` nor `hours`
        write `{ days: mon-fri, hours: "21:30-07:00" }`, or one of the two
    4:42 `when` has neither `days` nor `hours`
        write `{ days: mon-fri, hours: "21:30-07:00" }`, or one of the two
    4:50 `days` is an empty list
        leave it out and it is all of them
    4:56 unknown day `tues`; did you mean `tue`?
        it can be mon or tue or wed or thu or fri or sat or sun
    4:62 unknown day `sa`; did you mean `sat`?
        it can be mon or tue or wed or thu or fri or sat or sun
    4:78 `hours` is an empty list
        leave it out and it is all of them
    4:50 invalid type: map, expected a word, or a list of words
    4:44 invalid type: integer `8`, expected a word, or a list of words
    4:51 `08:00` is no range of hours: it has no beginning and end
        write 08:00-12:30, 21:30-07:00 past midnight, or 00:00-24:00
    4:52 `08:00-25:00` is no range of hours: one of its ends is no time of day from 00:00 to 24:00
        write 08:00-12:30, 21:30-07:00 past midnight, or 00:00-24:00
    4:67 `8-12` is no range of hours: one of its ends is no time of day from 00:00 to 24:00
        write 08:00-12:30, 21:30-07:00 past midnight, or 00:00-24:00
    4:73 `24:00-07:00` is no range of hours: a day that begins at 24:00 is the next one's 00:00
        write 08:00-12:30, 21:30-07:00 past midnight, or 00:00-24:00
    4:88 `08:00-08:00` is no range of hours: it ends when it begins, so it never holds
        write 08:00-12:30, 21:30-07:00 past midnight, or 00:00-24:00
    4:103 `08:00-12:00:60` is no range of hours: one of its ends is no time of day from 00:00 to 24:00
        write 08:00-12:30, 21:30-07:00 past midnight, or 00:00-24:00
    4:76 unknown time zone `Europe/Berlim`; did you mean `Europe/Berlin`?
        write Europe/Berlin or UTC; left out, it is the box's own
    4:76 unknown time zone `MESZ`; did you mean `EST`?
        write Europe/Berlin or UTC; left out, it is the box's own
    4:42 expected keys with values here
    "#);
}

#[test]
fn tests_of_a_policy() {
    let tests = [
        "{ from: 10.0.0.300, to: \"198.51.100.7:6667/tcp\", expect: drop }",
        "{ from: 10.0.0.3, expect: drop }",
        "{ from: 10.0.0.3, to: 198.51.100.7, expect: drop }",
        "{ from: 10.0.0.3, to: \"198.51.100.7:6667/sctp\", expect: drop }",
        "{ from: 10.0.0.3, to: \"198.51.100.7:0/tcp\", expect: drop }",
        "{ from: 10.0.0.3, to: \"[2001:db8::7]:6667/tcp\", expect: drop }",
        "{ from: 10.0.0.3, to: \"198.51.100.7:6667/tcp\", expect: dorp }",
        "{ from: 10.0.0.3, to: \"198.51.100.7:443/udp\", name: t.me, expect: drop }",
        "{ from: 10.0.0.3, name: com, expect: drop }",
        "{ from: 10.0.0.3, name: t.me, expect: drop, at: noon }",
        "{ from: 10.0.0.3, name: t.me, expect: drop, at: \"2026-03-29T21:45 Europe/Berlim\" }",
        "{ from: 10.0.0.3, name: t.me }",
    ];
    let told: Vec<String> = tests
        .iter()
        .flat_map(|test| lines_told(&format!("version: 1\nname: office\ntests:\n- {test}\n")))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    4:11 `10.0.0.300` is no IPv4 or IPv6 address
    4:3 a test needs `to`, `name` or both
    4:25 `198.51.100.7` is no address with a port and a transport
        write 198.51.100.7:6667/tcp, or [2001:db8::7]:443/udp
    4:25 `198.51.100.7:6667/sctp` is no address with a port and a transport
        write 198.51.100.7:6667/tcp, or [2001:db8::7]:443/udp
    4:25 `198.51.100.7:0/tcp` is no address with a port and a transport
        write 198.51.100.7:6667/tcp, or [2001:db8::7]:443/udp
    4:25 `from` and `to` are not of the same IP version
    4:58 unknown expectation `dorp`; did you mean `drop`?
        it can be allow or count or drop or reject or limit or guarded or unidentified
    4:55 over UDP a name is tested on port 53 alone
        leave `to` out, or write /tcp
    4:27 `com` is no name of a service: it would match every name under it
        write at least two labels, as in whatsapp.com
    4:51 `noon` is no time
        write 2026-03-29T21:45 Europe/Berlin
    4:51 unknown time zone `Europe/Berlim`; did you mean `Europe/Berlin`?
        write Europe/Berlin or UTC; left out, it is the box's own
    4:21 the key `expect` is missing
    "#);
}

/// Each error in two lines: place and message, advice.
fn lines_told(text: &str) -> Vec<String> {
    let told = |error: &policy::PolicyError| {
        let (line, column) = error.line_and_column().unwrap();
        let advice = error
            .advice()
            .map_or(String::new(), |advice| format!("\n    {advice}"));
        format!("{line}:{column} {error}{advice}")
    };
    refused(text).iter().map(told).collect()
}

#[test]
fn a_limit_has_a_rate_and_nothing_else_has() {
    let text = "\
version: 1
name: office
defaults: { action: limit }
rules:
  - { services: [irc], action: limit }
  - { services: [irc], action: drop, rate: 1 mbit/s, burst: 64 kbyte }
  - { services: [irc], action: limit, rate: fast }
  - { services: [irc], action: limit, rate: 100 packets/s, burst: 64 kbyte }
";
    insta::assert_snapshot!(refused(text).to_string(), @r#"
    office.yaml:3:21: only a rule can have the action `limit`, for it needs a `rate`
    office.yaml:5:32: `action: limit` needs a `rate`
    office.yaml:6:44: `rate` belongs to `action: limit`
    office.yaml:6:61: `burst` belongs to `action: limit`
    office.yaml:7:45: `fast` is no rate
    office.yaml:8:67: `64 kbyte` is no burst of this rate
    "#);
}
