//! A second `up`: one that fails changes nothing, and a renamed interface is the one that it was.

use imblock::lab::{EchoServer, Lab};

use super::support::{POLICY, PORTS, Rig};

/// A policy of a name that attaches to these.
fn policy(rig: &Rig, name: &str, interfaces: &[&str]) -> String {
    let file = format!("{name}.yaml");
    let policy = POLICY.replace("name: test", &format!("name: {name}"));
    let interfaces = interfaces.join(", ");
    rig.write(&file, &format!("{policy}interfaces: [{interfaces}]\n"));
    file
}

#[test]
fn an_up_that_fails_leaves_every_interface_as_it_was() {
    let Some(rig) = Rig::new("an_up_that_fails_leaves_every_interface_as_it_was") else {
        return;
    };
    let _server = EchoServer::start(&rig.lab.server, &PORTS).unwrap();
    let lan = "{ name: lan0, side: lan, mode: generic }";
    // Nothing but the stack can run XDP for the loopback interface.
    let both = [lan, "{ name: lo, side: wan, mode: generic }"];
    let refused = "{ name: lo, side: wan, mode: native }";
    let wishes = [
        ("mode", "{ name: lan0, side: lan, mode: native }"),
        ("side", "{ name: lan0, side: wan, mode: generic }"),
        (
            "both",
            "{ name: lan0, side: wan, mode: native, egress: true }",
        ),
        ("none", "{ name: wan0, side: wan }"),
    ];
    for (name, before) in [("one", &both[..1]), ("two", &both)] {
        rig.ok(&["up", "-p", &policy(&rig, name, before)]);
        rig.ok(&["block", "acme"]);
        let status = rig.status();
        assert_eq!(status.interfaces.len(), before.len());
        for (wish, other) in wishes {
            let file = policy(&rig, wish, &[other, refused]);
            let complaint = rig.fails(6, &["up", "-p", &file]);
            assert!(
                complaint.contains("`lo` can't run XDP in its driver"),
                "{complaint}"
            );
            let after = rig.status();
            assert_eq!(after.interfaces, status.interfaces, "{name}, {wish}");
            assert_eq!(
                (after.policy.name.as_str(), after.policy.generation),
                (name, status.policy.generation)
            );
            assert_eq!(rig.alice_reaches(), [false, true, true], "{name}, {wish}");
        }
    }
}

#[test]
fn a_renamed_interface_is_the_one_that_it_was() {
    let Some(rig) = Rig::up("a_renamed_interface_is_the_one_that_it_was") else {
        return;
    };
    let _server = EchoServer::start(&rig.lab.server, &PORTS).unwrap();
    rig.ok(&["block", "acme"]);
    let before = rig.status().interfaces;
    let router = &rig.lab.router.namespace;
    router.rename(Lab::LAN, "lan9").unwrap();
    let mut renamed = rig.status().interfaces;
    assert_eq!(renamed[0].renamed_to.take().as_deref(), Some("lan9"));
    assert_eq!(renamed, before);
    let text = rig.ok(&["status"]);
    assert!(text.contains("lan0, now lan9"), "{text}");
    assert!(!text.contains("gone"), "{text}");
    assert_eq!(rig.alice_reaches(), [false, true, true]);
    let refused = rig.services().sum("acme").1.packets;

    // By the old name there is nothing, and nothing happens.
    rig.fails(6, &["up", "-p", "policy.yaml", "-i", Lab::LAN]);
    rig.ok(&["up", "-p", "policy.yaml", "-i", "lan9"]);
    let mut adopted = rig.status().interfaces;
    assert_eq!(adopted[0].renamed_to, None);
    assert_eq!(adopted[0].name, "lan9");
    Lab::LAN.clone_into(&mut adopted[0].name);
    assert_eq!(adopted, before);
    assert_eq!(rig.services().sum("acme").1.packets, refused);
    assert_eq!(rig.alice_reaches(), [false, true, true]);

    // Who takes it down need not know.
    router.rename("lan9", Lab::LAN).unwrap();
    rig.ok(&["down"]);
    assert!(!rig.pins_exist());
    assert_eq!(rig.alice_reaches(), [true, true, true]);
}

#[test]
fn interfaces_that_change_names_keep_their_programs() {
    let Some(rig) = Rig::new("interfaces_that_change_names_keep_their_programs") else {
        return;
    };
    let _server = EchoServer::start(&rig.lab.server, &PORTS).unwrap();
    let wan = format!("{}:wan", Lab::WAN);
    rig.ok(&["up", "-p", "policy.yaml", "-i", Lab::LAN, "-i", &wan]);
    rig.ok(&["block", "acme"]);
    let router = &rig.lab.router.namespace;
    for (from, to) in [
        (Lab::LAN, "aside"),
        (Lab::WAN, Lab::LAN),
        ("aside", Lab::WAN),
    ] {
        router.rename(from, to).unwrap();
    }
    let status = rig.status();
    for interface in &status.interfaces {
        let other = if interface.name == Lab::LAN {
            Lab::WAN
        } else {
            Lab::LAN
        };
        assert_eq!(interface.renamed_to.as_deref(), Some(other), "{status:?}");
        assert_eq!(interface.xdp, "native", "{status:?}");
    }
    assert_eq!(rig.alice_reaches(), [false, true, true]);

    let wan = format!("{}:wan", Lab::LAN);
    rig.ok(&["up", "-p", "policy.yaml", "-i", Lab::WAN, "-i", &wan]);
    let mut now: Vec<_> = rig.status().interfaces;
    now.sort_by(|a, b| a.name.cmp(&b.name));
    let now: Vec<_> = now
        .iter()
        .map(|row| (row.name.as_str(), row.side.as_str(), row.egress))
        .collect();
    assert_eq!(now, [(Lab::LAN, "wan", false), (Lab::WAN, "lan", true)]);
    assert!(
        rig.status()
            .interfaces
            .iter()
            .all(|row| row.renamed_to.is_none())
    );
    assert_eq!(rig.alice_reaches(), [false, true, true]);
    rig.ok(&["down"]);
    assert!(!rig.pins_exist());
    assert_eq!(rig.alice_reaches(), [true, true, true]);
}
