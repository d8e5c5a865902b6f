//! Coming and going: what is attached, refused, and left behind.

use imblock::lab::{EchoServer, Lab, cable};
use rustix::process::Signal;

use super::support::{ACME, PORTS, Rig, metrics};

#[test]
fn down_leaves_nothing_and_traffic_flows_again() {
    let Some(rig) = Rig::up("down_leaves_nothing_and_traffic_flows_again") else {
        return;
    };
    let _server = EchoServer::start(&rig.lab.server, &PORTS).unwrap();
    rig.ok(&["block", "all"]);
    assert_eq!(rig.alice_reaches(), [false, false, true]);
    assert!(rig.pins_exist());
    rig.ok(&["down"]);
    assert!(!rig.pins_exist());
    assert_eq!(rig.alice_reaches(), [true, true, true]);
}

#[test]
fn status_says_where_it_is_attached() {
    let Some(rig) = Rig::new("status_says_where_it_is_attached") else {
        return;
    };
    let wan = format!("{}:wan", Lab::WAN);
    rig.ok(&["up", "-p", "policy.yaml", "-i", Lab::LAN, "-i", &wan]);
    let mut status = rig.status();
    status.interfaces.sort_by(|a, b| a.name.cmp(&b.name));
    let [lan, wan] = &status.interfaces[..] else {
        panic!("{status:?}");
    };
    assert_eq!(
        (lan.name.as_str(), lan.side.as_str(), lan.xdp.as_str()),
        ("lan0", "lan", "native")
    );
    assert_eq!(
        (wan.name.as_str(), wan.side.as_str(), wan.xdp.as_str()),
        ("wan0", "wan", "native")
    );
    assert!(lan.egress && !wan.egress);
    assert_eq!(
        (status.policy.name.as_str(), status.controller),
        ("test", None)
    );
}

#[test]
fn up_twice_keeps_counters_and_enforcement() {
    let Some(rig) = Rig::up("up_twice_keeps_counters_and_enforcement") else {
        return;
    };
    let _server = EchoServer::start(&rig.lab.server, &PORTS).unwrap();
    rig.ok(&["block", "acme"]);
    assert_eq!(rig.alice_reaches(), [false, true, true]);
    let before = rig.services().sum("acme").1.packets;
    assert!(before > 0);
    rig.ok(&["up", "-p", "policy.yaml", "-i", Lab::LAN]);
    assert_eq!(rig.services().sum("acme").1.packets, before);
    assert_eq!(rig.alice_reaches(), [false, true, true]);
    assert_eq!(rig.status().policy.generation, 2);
}

#[test]
fn down_twice_says_that_nothing_is_running() {
    let Some(rig) = Rig::up("down_twice_says_that_nothing_is_running") else {
        return;
    };
    rig.ok(&["down"]);
    let complaint = rig.fails(7, &["down"]);
    assert!(complaint.contains(&rig.instance), "{complaint}");
}

#[test]
fn an_instance_that_is_not_up_is_named() {
    let Some(rig) = Rig::new("an_instance_that_is_not_up_is_named") else {
        return;
    };
    for command in [
        &["hosts"][..],
        &["status"],
        &["block", "irc"],
        &["reset"],
        &["policy", "apply", "policy.yaml"],
        &["down"],
    ] {
        let complaint = rig.fails(7, command);
        assert!(
            complaint.contains(&rig.instance),
            "{command:?}: {complaint}"
        );
    }
}

#[test]
fn an_unknown_interface_is_named_with_those_that_exist() {
    let Some(rig) = Rig::new("an_unknown_interface_is_named_with_those_that_exist") else {
        return;
    };
    let complaint = rig.fails(6, &["up", "-i", "lan9"]);
    assert!(
        complaint.contains("lan9") && complaint.contains("lan0"),
        "{complaint}"
    );
    assert!(!rig.pins_exist());
    let complaint = rig.fails(6, &["up", "-i", Lab::LAN, "-i", "lan9"]);
    assert!(complaint.contains("lan9"), "{complaint}");
    assert!(!rig.pins_exist(), "a failed `up` left pins");
}

#[test]
fn a_foreign_program_is_named_and_left_alone() {
    let Some(rig) = Rig::up("a_foreign_program_is_named_and_left_alone") else {
        return;
    };
    let _server = EchoServer::start(&rig.lab.server, &PORTS).unwrap();
    rig.ok(&["block", "acme"]);
    // Another instance's program is as foreign as anybody's.
    let instance = format!("{}x", rig.instance);
    let output = rig.as_instance(&instance, &["up", "-i", Lab::LAN]);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(8), "{complaint}");
    assert!(
        complaint.contains("lan0") && complaint.contains("lan_ingress"),
        "{complaint}"
    );
    assert_eq!(rig.alice_reaches(), [false, true, true]);
    rig.ok(&["status"]);
}

#[test]
fn instances_do_not_touch_each_other() {
    let test = "instances_do_not_touch_each_other";
    let (Some(one), Some(other)) = (Rig::up(test), Rig::up(test)) else {
        return;
    };
    let _servers = [&one, &other].map(|rig| EchoServer::start(&rig.lab.server, &PORTS).unwrap());
    one.ok(&["block", "acme"]);
    assert_eq!(one.alice_reaches(), [false, true, true]);
    assert_eq!(other.alice_reaches(), [true, true, true]);
    assert_eq!(other.services().of("acme").actions["everyone"], "count");
    assert!(other.status().overrides.is_empty());
    other.ok(&["down"]);
    assert_eq!(one.alice_reaches(), [false, true, true]);
}

#[test]
fn an_interface_that_goes_away_does_no_harm() {
    let Some(rig) = Rig::up("an_interface_that_goes_away_does_no_harm") else {
        return;
    };
    rig.lab.router.namespace.remove(Lab::LAN).unwrap();
    rig.ok(&["block", "acme"]);
    let status = rig.status();
    assert!(
        status
            .interfaces
            .iter()
            .all(|interface| interface.xdp == "none"),
        "{status:?}"
    );
    rig.ok(&["hosts"]);
    // Another one of the same name has no programs either, until it gets them.
    let Lab { alice, router, .. } = &rig.lab;
    cable((&router.namespace, Lab::LAN), (&alice.namespace, "eth9")).unwrap();
    let attached = || {
        let status = rig.status();
        let [lan] = &status.interfaces[..] else {
            panic!("{status:?}");
        };
        (lan.xdp != "none", lan.egress)
    };
    assert_eq!(attached(), (false, false));
    rig.ok(&["up", "-p", "policy.yaml", "-i", Lab::LAN]);
    assert_eq!(attached(), (true, true));
    rig.ok(&["down"]);
    assert!(!rig.pins_exist());
}

#[test]
fn metrics_tell_of_the_interfaces_that_should_be_attached_and_no_others() {
    let test = "metrics_tell_of_the_interfaces_that_should_be_attached_and_no_others";
    let Some(rig) = Rig::new(test) else {
        return;
    };
    let attached = || -> Vec<String> {
        let page = metrics(&rig.lab.router);
        let samples = page
            .lines()
            .filter_map(|line| line.strip_prefix("imblock_interface_attached{interface=\""));
        let mut samples: Vec<_> = samples.map(|rest| rest.replace('"', "")).collect();
        samples.sort();
        samples
    };
    let wan = format!("{}:wan", Lab::WAN);
    let both = ["-p", "policy.yaml", "-i", Lab::LAN, "-i", &wan, "--keep"];
    let controller = rig.run(&both);
    let lan = [
        "lan0,side=lan,hook=egress} 1",
        "lan0,side=lan,hook=ingress} 1",
    ];
    let wan = |value: u8| format!("wan0,side=wan,hook=ingress}} {value}");
    assert_eq!(attached(), [&lan[..], &[&wan(1)]].concat());
    // Something is wrong, and says so, until it is put right or not wanted any more. A new interface of
    // the same name is another one.
    let Lab { router, server, .. } = &rig.lab;
    router.namespace.remove(Lab::WAN).unwrap();
    assert_eq!(attached(), [&lan[..], &[&wan(0)]].concat());
    cable((&router.namespace, Lab::WAN), (&server.namespace, "eth9")).unwrap();
    assert_eq!(attached(), [&lan[..], &[&wan(0)]].concat());
    controller.stop(Signal::TERM);
    let controller = rig.run(&both);
    assert_eq!(attached(), [&lan[..], &[&wan(1)]].concat());
    controller.stop(Signal::TERM);
    let _controller = rig.run(&["-p", "policy.yaml", "-i", Lab::LAN, "--keep"]);
    assert_eq!(attached(), lan);
}

#[test]
fn several_instances_share_a_router_on_different_interfaces() {
    let Some(rig) = Rig::up("several_instances_share_a_router_on_different_interfaces") else {
        return;
    };
    let _server = EchoServer::start(&rig.lab.server, &PORTS).unwrap();
    let instance = format!("{}w", rig.instance);
    let wan = format!("{}:wan", Lab::WAN);
    let up = rig.as_instance(&instance, &["up", "-p", "policy.yaml", "-i", &wan]);
    assert!(
        up.status.success(),
        "{}",
        String::from_utf8_lossy(&up.stderr)
    );
    rig.as_instance(&instance, &["block", "bolt"]);
    rig.ok(&["block", "acme"]);
    assert_eq!(rig.alice_reaches(), [false, false, true]);
    rig.ok(&["down"]);
    assert!(rig.reaches(&rig.lab.alice, &rig.lab.server, ACME));
    let down = rig.as_instance(&instance, &["down"]);
    assert!(
        down.status.success(),
        "{}",
        String::from_utf8_lossy(&down.stderr)
    );
    assert_eq!(rig.alice_reaches(), [true, true, true]);
}

#[test]
fn a_bridge_stands_for_its_ports() {
    let Some(rig) = Rig::new("a_bridge_stands_for_its_ports") else {
        return;
    };
    let _server = EchoServer::start(&rig.lab.server, &PORTS).unwrap();
    let at_switch = |arguments: &[&str]| {
        let mut command = rig.command("bridge", arguments);
        let output = rig.lab.switch.output(&mut command).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    };
    // A port that is named by itself keeps its own side.
    let up = format!("{}:wan", Lab::SWITCH_UP);
    at_switch(&["up", "-p", "policy.yaml", "-i", "br0", "-i", &up]);
    let status: serde_json::Value =
        serde_json::from_str(&at_switch(&["status", "--json"])).unwrap();
    let mut interfaces: Vec<(String, String, String)> = status["interfaces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|interface| {
            let word = |key: &str| interface[key].as_str().unwrap().to_owned();
            (word("name"), word("side"), word("xdp"))
        })
        .collect();
    interfaces.sort();
    let expected = [("port1", "lan"), ("port2", "lan"), (Lab::SWITCH_UP, "wan")]
        .map(|(name, side)| (name.to_owned(), side.to_owned(), "native".to_owned()));
    assert_eq!(interfaces, expected);
    at_switch(&["block", "acme"]);
    assert_eq!(rig.alice_reaches(), [false, true, true]);
    assert_eq!(rig.bob_reaches(), [false, true, true]);
    at_switch(&["down"]);
    assert_eq!(rig.alice_reaches(), [true, true, true]);
}
