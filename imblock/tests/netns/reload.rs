//! Policies that change under traffic: no packet is judged by a mix of two.

use std::time::{Duration, Instant};

use imblock::lab::Lab;

use super::support::{ACME, BOLT, NOBODY, POLICY, Rig, Sink, Stream};

/// How long policies are flipped to and fro.
const DURATION: Duration = Duration::from_secs(3);
/// Fewer would prove little.
const LEAST_APPLIES: u32 = 8;

/// Both forbid `acme` and let `bolt` pass, each in its own way: other groups, other rules, another
/// order, hence other contents in every table. A mix of the two would let `acme` pass or drop
/// `bolt`.
fn policies() -> [String; 2] {
    let one = format!(
        "{POLICY}rules:\n  \
         - {{ services: [acme], action: drop }}\n  \
         - {{ services: [bolt], groups: [support], action: drop }}\n"
    );
    let other = POLICY
        .replace(
            "support: [10.77.0.3/32, 'fd77::3/128']",
            "guests: [10.77.0.0/24]",
        )
        .replace("action: count", "action: drop")
        + "rules:\n  \
           - { services: [bolt], groups: [guests], action: allow }\n";
    [one, other]
}

#[test]
fn nothing_leaks_and_nothing_is_lost_while_policies_change() {
    let test = "nothing_leaks_and_nothing_is_lost_while_policies_change";
    let Some(rig) = Rig::new(test) else { return };
    let Lab { alice, server, .. } = &rig.lab;
    let [one, other] = policies();
    rig.write("one.yaml", &one);
    rig.write("other.yaml", &other);
    rig.ok(&["up", "-p", "one.yaml", "-i", Lab::LAN]);

    let sinks = [ACME, BOLT, NOBODY].map(|port| Sink::start(server, port));
    let streams = [ACME, BOLT, NOBODY].map(|port| Stream::start(alice, rig.server_at(port)));
    let begin = Instant::now();
    let mut applies = 0;
    while begin.elapsed() < DURATION || applies < LEAST_APPLIES {
        let file = if applies % 2 == 0 {
            "other.yaml"
        } else {
            "one.yaml"
        };
        rig.ok(&["policy", "apply", file]);
        applies += 1;
    }
    let [acme, bolt, nobody] = streams.map(Stream::stop);
    let [acme_in, bolt_in, nobody_in] = &sinks;

    assert!(
        acme > 500 && bolt > 500 && nobody > 500,
        "too little traffic to prove anything"
    );
    // What the kernel judged, then what arrived: the one is exact, the other shows that it is true.
    let hosts = rig.hosts();
    let (passed, refused) = hosts.of(alice.v4, "bolt");
    assert_eq!(
        (passed.sent.packets, refused.sent.packets),
        (bolt.into(), 0),
        "of bolt"
    );
    let (passed, refused) = hosts.of(alice.v4, "acme");
    assert_eq!(
        (passed.sent.packets, refused.sent.packets),
        (0, acme.into()),
        "of acme"
    );
    assert_eq!(
        bolt_in.count(bolt),
        bolt,
        "allowed packets were lost in {applies} applies"
    );
    assert_eq!(
        nobody_in.count(nobody),
        nobody,
        "innocent packets were lost"
    );
    assert_eq!(
        acme_in.count(0),
        0,
        "forbidden packets came through in {applies} applies"
    );
    assert_eq!(rig.status().policy.generation, applies + 1);
    println!(
        "{applies} applies under {acme} forbidden and {} allowed packets",
        bolt + nobody
    );
}

#[test]
fn a_wrong_policy_changes_nothing() {
    let Some(rig) = Rig::up("a_wrong_policy_changes_nothing") else {
        return;
    };
    rig.ok(&["block", "acme"]);
    rig.write(
        "wrong.yaml",
        "version: 1\nname: wrong\nrules: [{ services: [irk], action: drop }]\n",
    );
    let complaint = rig.fails(3, &["policy", "apply", "wrong.yaml"]);
    assert!(
        complaint.contains("irk") && complaint.contains("wrong.yaml"),
        "{complaint}"
    );
    let status = rig.status();
    assert_eq!(
        (status.policy.name.as_str(), status.policy.generation),
        ("test", 1)
    );
    assert_eq!(rig.services().of("acme").actions["everyone"], "drop");
}
