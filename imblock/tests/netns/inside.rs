//! Hosts inside configured prefixes: counted at places by address, and told as all others.

use imblock::lab::Lab;
use serde_json::{Value, json};

use super::support::{ACME, POLICY, Rig, Sink, send};

const LENGTH: usize = 32;

fn status(rig: &Rig) -> Value {
    serde_json::from_str(&rig.ok(&["status", "--json"])).unwrap()
}

#[test]
fn hosts_inside_and_outside_are_counted_alike() {
    const COUNT: u32 = 25;
    let Some(rig) = Rig::new("hosts_inside_and_outside_are_counted_alike") else {
        return;
    };
    let Lab {
        alice, bob, server, ..
    } = &rig.lab;
    let inside = format!("{}/32", alice.v4);
    rig.write(
        "inside.yaml",
        &format!("{POLICY}limits: {{ hosts: 64, inside: [{inside}] }}\n"),
    );
    rig.ok(&["up", "-p", "inside.yaml", "-i", Lab::LAN]);
    let sink = Sink::start(server, ACME);
    send(alice, rig.server_at(ACME), COUNT, LENGTH);
    send(bob, rig.server_at(ACME), 2 * COUNT, LENGTH);
    // It tells packets apart by their number, and both send the first ones.
    assert_eq!(sink.count(2 * COUNT), 2 * COUNT);

    let hosts = rig.hosts();
    for (host, count) in [(alice, COUNT), (bob, 2 * COUNT)] {
        let (passed, refused) = hosts.of(host.v4, "acme");
        assert_eq!(passed.sent.packets, u64::from(count), "{}", host.name());
        assert_eq!(refused, Default::default());
    }
    assert_eq!(hosts.sum("acme"), rig.services().sum("acme"));
    let status = status(&rig);
    assert_eq!(status["limits"]["inside"], json!([inside]));
    assert_eq!(
        (&status["hosts_in_use"], &status["inside_in_use"]),
        (&json!(1), &json!(1))
    );
    let told = rig.ok(&["status"]);
    let line = format!("1 pair more at places by address, for {inside}");
    assert!(told.contains(&line), "{told}");
}

#[test]
fn other_prefixes_take_effect_when_the_tables_are_made_anew() {
    let Some(rig) = Rig::up("other_prefixes_take_effect_when_the_tables_are_made_anew") else {
        return;
    };
    let Lab { alice, .. } = &rig.lab;
    let inside = format!("{}/32", alice.v4);
    let policy = format!("{POLICY}limits: {{ inside: [{inside}] }}\n");
    rig.write("inside.yaml", &policy);
    let up = ["up", "-p", "inside.yaml", "-i", Lab::LAN];

    let again = rig.imblock(&up);
    let words = String::from_utf8(again.stderr).unwrap();
    assert!(again.status.success(), "{words}");
    assert!(
        words.contains("places by address for none, since they were made"),
        "{words}"
    );
    assert_eq!(status(&rig)["limits"]["inside"], json!([]));

    rig.ok(&["down"]);
    let anew = rig.imblock(&up);
    let words = String::from_utf8(anew.stderr).unwrap();
    assert!(anew.status.success(), "{words}");
    assert!(!words.contains("places by address"), "{words}");
    assert_eq!(status(&rig)["limits"]["inside"], json!([inside]));
}
