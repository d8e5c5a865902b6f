//! `tests:` of a policy: what passes, and what is told of what fails.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use imblock::policy::{self, Policy, PolicyErrors, ServiceNumbers, Source, Surroundings};
use jiff::Timestamp;

fn load(text: &str) -> Policy {
    let source = Source::new("office.yaml".to_owned(), text.to_owned());
    policy::parse(source).unwrap_or_else(|errors| panic!("{}", errors.report(100, false)))
}

/// Compiles a policy for a Monday at noon, UTC, and runs its tests.
fn try_out(text: &str) -> Result<(), PolicyErrors> {
    let at: Timestamp = "2026-01-05T12:00:00Z".parse().unwrap();
    let surroundings = Surroundings {
        at: Some(at),
        ..Surroundings::default()
    };
    let policy = load(text);
    let plan = policy.compile(&mut ServiceNumbers::default(), &surroundings)?;
    policy.try_out(&plan, at)
}

const POLICY: &str = r#"version: 1
name: office
groups: { support: [10.0.5.0/24, "2001:db8:5::/64"] }
protect: { ports: [tcp/7009] }
services:
  - { id: acme, name: Acme, category: im, ports: [tcp/7000-7010, udp/7000], names: [acme.example], prefixes: [192.0.2.0/24] }
  - { id: bolt, name: Bolt, category: im, ports: [tcp/7000], markers: [{ transport: tcp, text: "BOLT" }] }
  - { id: cord, name: Cord, category: im, ports: [tcp/7020] }
  - { id: dull, name: Dull, category: im, markers: [{ transport: udp, from: client, bytes: "5f f1", ports: ["9009"], use: count-first }] }
rules:
  - { services: [acme], groups: [support], action: allow }
  - { services: [acme, dull], action: drop }
  - { services: [cord], action: drop, when: { hours: "21:00-07:00", timezone: UTC } }
tests:
"#;

#[test]
fn each_kind_of_evidence_and_fate() {
    let tests = r#"
  - { from: 10.0.9.9, to: "198.51.100.7:7001/tcp", expect: drop }
  - { from: 10.0.5.9, to: "198.51.100.7:7001/tcp", expect: allow }
  - { from: "2001:db8:5::9", to: "[2001:db8::7]:7001/tcp", expect: allow }
  - { from: "2001:db8:9::9", to: "[2001:db8::7]:7000/udp", expect: drop }
  - { from: 10.0.9.9, to: "198.51.100.7:7000/tcp", expect: drop }
  - { from: 10.0.9.9, to: "198.51.100.7:7009/tcp", expect: guarded }
  - { from: 10.0.9.9, to: "198.51.100.7:7020/tcp", expect: count }
  - { from: 10.0.9.9, to: "198.51.100.7:7020/tcp", expect: drop, at: "2026-01-05T22:00 UTC" }
  - { from: 10.0.9.9, to: "198.51.100.7:7020/tcp", expect: drop, at: "2026-01-06T07:59 Europe/Berlin" }
  - { from: 10.0.9.9, to: "198.51.100.7:7020/tcp", expect: count, at: "2026-01-06T08:00 Europe/Berlin" }
  - { from: 10.0.9.9, name: www.acme.example, expect: drop }
  - { from: "2001:db8:9::9", name: www.acme.example, expect: drop }
  - { from: 10.0.5.9, name: www.acme.example, expect: allow }
  - { from: 10.0.9.9, name: www.acme.example, to: "198.51.100.7:80/tcp", expect: drop }
  - { from: 10.0.9.9, name: www.acme.example, to: "198.51.100.7:53/tcp", expect: drop }
  - { from: 10.0.9.9, name: www.acme.example, to: "198.51.100.7:53/udp", expect: drop }
  - { from: 10.0.9.9, to: "192.0.2.9:443/tcp", expect: drop }
  - { from: 10.0.9.9, to: "198.51.100.7:443/tcp", expect: unidentified }
  - { from: 10.0.9.9, to: "198.51.100.7:9009/udp", expect: count }
"#;
    // None of them hangs on what was judged before it.
    for tests in [tests.to_owned(), {
        let mut lines: Vec<&str> = tests.trim_matches('\n').lines().collect();
        lines.reverse();
        lines.join("\n")
    }] {
        if let Err(errors) = try_out(&format!("{POLICY}{tests}\n")) {
            panic!("{}", errors.report(160, false));
        }
    }
}

#[test]
fn what_fails_is_told_with_its_reason() {
    let tests = r#"
  - { from: 10.0.9.9, to: "198.51.100.7:7001/tcp", expect: allow }
  - { from: 10.0.9.9, name: www.acme.example, expect: unidentified }
  - { from: 10.0.9.9, to: "198.51.100.7:7020/tcp", expect: drop }
  - { from: 10.0.9.9, to: "198.51.100.7:7009/tcp", expect: drop }
  - { from: 10.0.9.9, to: "198.51.100.7:9009/udp", expect: drop }
  - { from: 10.0.9.9, to: "198.51.100.7:443/tcp", expect: count }
"#;
    let errors = try_out(&format!("{POLICY}{tests}")).unwrap_err();
    let told: Vec<String> = errors
        .iter()
        .map(|error| {
            let (line, column) = error.line_and_column().unwrap();
            format!("{line}:{column} {error}")
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    16:60 this test fails: expected allow, found drop: `acme`, told by its port; rule 2 (office.yaml:12) says drop
    17:55 this test fails: expected unidentified, found drop: `acme`, told by the name in TLS; rule 2 (office.yaml:12) says drop
    18:60 this test fails: expected drop, found count: `cord`, told by its port; `defaults` say count
    19:60 this test fails: expected drop, found guarded: `acme`, told by its port; rule 2 (office.yaml:12) says drop, and it is protected
    20:60 this test fails: expected drop, found count: `dull`, told by a marker; rule 2 (office.yaml:12) says drop, and what told it only counts
    21:59 this test fails: expected count, found unidentified: nothing tells a service
    "#);
    let one = POLICY.to_owned() + "  - { from: 10.0.9.9, name: acme.example, expect: allow }\n";
    insta::assert_snapshot!(try_out(&one).unwrap_err().report(80, false), @r#"
     × this test fails: expected allow, found drop: `acme`, told by the name in
     │ TLS; rule 2 (office.yaml:12) says drop
       ╭─[office.yaml:15:51]
    15 │   - { from: 10.0.9.9, name: acme.example, expect: allow }
       ·                                                   ─────
       ╰────
     help: change the rules until it holds, or the test if that is what is wanted
    "#);
}

#[test]
fn a_policy_that_is_written_out_tests_the_same() {
    let tests = r#"
  - { from: 10.0.9.9, to: "198.51.100.7:7020/tcp", expect: drop, at: "2026-01-05T22:00 UTC" }
  - { from: "2001:db8:9::9", to: "[2001:db8::7]:7000/tcp", name: acme.example, expect: drop }
"#;
    let policy = load(&format!("{POLICY}{tests}"));
    let again = policy.to_string();
    assert_eq!(load(&again).to_string(), again);
    assert_eq!(policy.trials().len(), 2);
    assert!(again.contains("21:00-07:00"), "{again}");
    try_out(&again).unwrap();
}
