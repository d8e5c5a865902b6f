//! Toggles, and the controller that comes, is killed, and goes.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};

use imblock::lab::{Answer, EchoServer, Lab, Probe, probe};
use imblock_common::Transport;
use rustix::process::Signal;

use super::support::{
    ACME, BOLT, Controller, NOBODY, PATIENCE, POLICY, PORTS, Rig, eventually, metrics, send,
};

/// Starts the controller without /metrics.
fn run(rig: &Rig) -> Controller {
    rig.run(&["-p", "policy.yaml", "-i", Lab::LAN, "--listen", "none"])
}

#[test]
fn toggles_work_without_a_controller() {
    let Some(rig) = Rig::up("toggles_work_without_a_controller") else {
        return;
    };
    toggle_everything(&rig);
}

#[test]
fn toggles_work_with_a_controller() {
    let Some(rig) = Rig::new("toggles_work_with_a_controller") else {
        return;
    };
    let _controller = run(&rig);
    toggle_everything(&rig);
}

fn toggle_everything(rig: &Rig) {
    let _server = EchoServer::start(&rig.lab.server, &PORTS).unwrap();
    assert_eq!(rig.alice_reaches(), [true, true, true]);
    rig.ok(&["block", "category:im"]);
    assert_eq!(rig.alice_reaches(), [false, false, true]);
    rig.ok(&["allow", "bolt"]);
    assert_eq!(rig.alice_reaches(), [false, true, true]);
    let services = rig.services();
    assert_eq!(services.of("bolt").actions["everyone"], "allow");
    assert_eq!(services.of("bolt").policy["everyone"], "count");
    assert_eq!(services.of("acme").actions["everyone"], "drop");
    rig.ok(&["reset", "acme"]);
    assert_eq!(rig.alice_reaches(), [true, true, true]);
    rig.ok(&["reset"]);
    assert!(rig.status().overrides.is_empty());
}

#[test]
fn a_group_goes_its_own_way() {
    let Some(rig) = Rig::up("a_group_goes_its_own_way") else {
        return;
    };
    let _server = EchoServer::start(&rig.lab.server, &PORTS).unwrap();
    rig.ok(&["block", "category:im"]);
    rig.ok(&["allow", "category:im", "--group", "support"]);
    assert_eq!(rig.alice_reaches(), [false, false, true]);
    assert_eq!(rig.bob_reaches(), [true, true, true]);
    rig.ok(&["block", "acme", "--group", "support"]);
    assert_eq!(rig.bob_reaches(), [false, true, true]);
}

#[test]
fn a_service_or_group_that_does_not_exist_is_named() {
    let Some(rig) = Rig::up("a_service_or_group_that_does_not_exist_is_named") else {
        return;
    };
    for (typed, command) in [
        ("acne", &["block", "acne"][..]),
        ("suport", &["block", "acme", "--group", "suport"]),
    ] {
        let output = rig.imblock(command);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(complaint.contains(typed), "{complaint}");
    }
    assert!(rig.status().overrides.is_empty());
}

#[test]
fn toggles_survive_a_new_policy_a_restart_and_a_down() {
    let Some(rig) = Rig::new("toggles_survive_a_new_policy_a_restart_and_a_down") else {
        return;
    };
    let _server = EchoServer::start(&rig.lab.server, &PORTS).unwrap();
    let controller = run(&rig);
    rig.ok(&["block", "acme"]);
    rig.write("other.yaml", &POLICY.replace("name: test", "name: other"));
    rig.ok(&["policy", "apply", "other.yaml"]);
    assert_eq!(rig.status().policy.name, "other");
    assert_eq!(rig.alice_reaches(), [false, true, true]);
    controller.stop(Signal::TERM);
    assert_eq!(rig.alice_reaches(), [true, true, true]);
    let controller = run(&rig);
    assert_eq!(rig.alice_reaches(), [false, true, true]);
    controller.stop(Signal::TERM);
    rig.ok(&["up", "-p", "policy.yaml", "-i", Lab::LAN]);
    assert_eq!(rig.alice_reaches(), [false, true, true]);
    let overrides = rig.status().overrides;
    assert_eq!(overrides.len(), 1, "{overrides:?}");
    let toggle = &overrides[0];
    assert_eq!(
        (toggle.service.as_str(), toggle.action.as_str()),
        ("acme", "drop")
    );
    assert_eq!(toggle.group, None);
}

#[test]
fn enforcement_and_counters_outlive_a_killed_controller() {
    const COUNT: u32 = 50;
    let Some(rig) = Rig::new("enforcement_and_counters_outlive_a_killed_controller") else {
        return;
    };
    let Lab { alice, server, .. } = &rig.lab;
    let _server = EchoServer::start(server, &PORTS).unwrap();
    let refused = || rig.hosts().of(alice.v4, "acme").1.sent.packets;
    let controller = run(&rig);
    rig.ok(&["block", "acme"]);
    send(alice, rig.server_at(ACME), COUNT, 32);
    assert_eq!(refused(), u64::from(COUNT));
    controller.kill();
    send(alice, rig.server_at(ACME), COUNT, 32);
    assert_eq!(refused(), u64::from(2 * COUNT));
    assert_eq!(rig.status().controller, None);
    assert!(!rig.reaches(alice, server, ACME));
    let after_probe = refused();
    let controller = run(&rig);
    assert_eq!(refused(), after_probe, "a restart lost counters");
    send(alice, rig.server_at(ACME), COUNT, 32);
    assert_eq!(refused(), after_probe + u64::from(COUNT));
    drop(controller);
}

#[test]
fn sigterm_and_sigint_detach() {
    let Some(rig) = Rig::new("sigterm_and_sigint_detach") else {
        return;
    };
    let Lab { alice, server, .. } = &rig.lab;
    let _server = EchoServer::start(server, &PORTS).unwrap();
    for signal in [Signal::TERM, Signal::INT] {
        let controller = run(&rig);
        rig.ok(&["block", "acme"]);
        assert!(!rig.reaches(alice, server, ACME));
        controller.stop(signal);
        assert!(!rig.pins_exist());
        assert!(rig.reaches(alice, server, ACME));
    }
}

#[test]
fn a_second_controller_is_refused() {
    let Some(rig) = Rig::new("a_second_controller_is_refused") else {
        return;
    };
    let controller = run(&rig);
    let second = [
        "run",
        "-p",
        "policy.yaml",
        "-i",
        Lab::LAN,
        "--listen",
        "none",
    ];
    rig.fails(8, &second);
    rig.fails(8, &["up", "-p", "policy.yaml", "-i", Lab::LAN]);
    rig.fails(8, &["down"]);
    assert!(rig.status().controller.is_some());
    controller.stop(Signal::TERM);
}

#[test]
fn a_reload_on_sighup_takes_the_changed_file() {
    let Some(rig) = Rig::new("a_reload_on_sighup_takes_the_changed_file") else {
        return;
    };
    let controller = run(&rig);
    rig.write("policy.yaml", "version: 1\nname: [broken\n");
    controller.hang_up();
    eventually("the controller complains", || {
        controller.said().contains("the old policy stays in force")
    });
    assert_eq!(
        rig.status().policy.name,
        "test",
        "a broken file took effect"
    );
    rig.write(
        "policy.yaml",
        &POLICY.replace("name: test", "name: reloaded"),
    );
    controller.hang_up();
    eventually("the reloaded policy is in force", || {
        rig.status().policy.name == "reloaded"
    });
}

#[test]
fn metrics_and_json_say_the_same() {
    let Some(rig) = Rig::new("metrics_and_json_say_the_same") else {
        return;
    };
    let Lab {
        alice,
        router,
        server,
        ..
    } = &rig.lab;
    let _server = EchoServer::start(server, &PORTS).unwrap();
    let _controller = rig.run(&["-p", "policy.yaml", "-i", Lab::LAN]);
    rig.ok(&["block", "acme"]);
    send(alice, rig.server_at(ACME), 40, 32);
    assert!(rig.reaches(alice, server, NOBODY));
    send(alice, (server.v4, super::support::BOLT).into(), 30, 32);
    eventually("the last echo is in", || {
        rig.hosts().of(alice.v4, "bolt").0.received.packets == 30
    });
    let text = metrics(router);
    for (service, verdict, expected) in [("acme", "dropped", 40), ("bolt", "counted", 60)] {
        let found: u64 = text
            .lines()
            .filter(|line| line.starts_with("imblock_service_packets_total{"))
            .filter(|line| line.contains(&format!("service=\"{service}\"")))
            .filter(|line| line.contains(&format!("verdict=\"{verdict}\"")))
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum();
        assert_eq!(found, expected, "{service} {verdict} in {text}");
    }
    let hosts = rig.hosts();
    assert_eq!(hosts.sum("acme").1.packets, 40);
    assert_eq!(hosts.sum("bolt").0.packets, 60);
    assert_eq!(
        (hosts.version, hosts.instance.as_str()),
        (1, rig.instance.as_str())
    );
}

#[test]
fn an_address_that_the_box_gets_later_is_guarded_too() {
    const SSH: u16 = 22;
    let Some(rig) = Rig::new("an_address_that_the_box_gets_later_is_guarded_too") else {
        return;
    };
    let Lab { alice, router, .. } = &rig.lab;
    let later: IpAddr = "10.99.0.1".parse().unwrap();
    let policy = POLICY.replace(&format!("tcp/{ACME}"), &format!("tcp/{SSH}, tcp/{ACME}"));
    rig.write(
        "ssh.yaml",
        &format!("{policy}rules: [{{ services: [all], action: drop }}]\n"),
    );
    let _controller = rig.run(&["-p", "ssh.yaml", "-i", Lab::LAN, "--listen", "none"]);
    let net = format!("{later}/24").parse().unwrap();
    router.namespace.address(Lab::LAN, net).unwrap();
    let to = SocketAddr::new(later, SSH);
    let listen = || TcpListener::bind(to).unwrap();
    let _listener = router.namespace.run(listen).unwrap();
    eventually("the new address answers", || {
        let connect = || TcpStream::connect_timeout(&to, PATIENCE).is_ok();
        alice.namespace.run(connect).unwrap()
    });
}

#[test]
fn a_reset_holds_in_the_policy_before_as_well() {
    let Some(rig) = Rig::up("a_reset_holds_in_the_policy_before_as_well") else {
        return;
    };
    let _server = EchoServer::start(&rig.lab.server, &PORTS).unwrap();
    let without = POLICY.lines().filter(|line| !line.contains("id: acme"));
    rig.write("other.yaml", &without.collect::<Vec<_>>().join("\n"));
    rig.ok(&["block", "acme"]);
    rig.ok(&["policy", "apply", "other.yaml"]);
    rig.ok(&["reset"]);
    rig.ok(&["policy", "rollback"]);
    assert_eq!(rig.alice_reaches(), [true, true, true]);
}

#[test]
fn the_operators_own_session_outlives_a_policy_that_drops_its_port() {
    let Some(rig) = Rig::new("the_operators_own_session_outlives_a_policy_that_drops_its_port")
    else {
        return;
    };
    let Lab {
        alice,
        router,
        server,
        ..
    } = &rig.lab;
    let _router = EchoServer::start(router, &PORTS).unwrap();
    let _server = EchoServer::start(server, &PORTS).unwrap();
    let mut up = rig.command(&rig.instance, &["up", "-p", "policy.yaml", "-i", Lab::LAN]);
    // As sshd says it: alice sits at her host, and its server here listens where acme does.
    let session = format!("{} 50000 {} {ACME}", alice.v4, router.v4);
    up.env("SSH_CONNECTION", session);
    let output = router.namespace.output(&mut up).unwrap();
    assert!(output.status.success(), "{output:?}");
    rig.ok(&["block", "all"]);
    let answers = |port: u16| {
        let to = |address| Probe {
            transport: Transport::Tcp,
            to: SocketAddr::new(address, port),
        };
        let probes = [to(router.v4.into()), to(server.v4.into())];
        probe(&alice.namespace, &probes, PATIENCE).unwrap()
    };
    assert_eq!(answers(ACME), [Answer::Echoed, Answer::Silence]);
    assert_eq!(answers(BOLT), [Answer::Silence, Answer::Silence]);
    // By a process that knows nothing of the session.
    rig.ok(&["policy", "apply", "policy.yaml"]);
    assert_eq!(answers(ACME), [Answer::Echoed, Answer::Silence]);
    assert_eq!(answers(BOLT), [Answer::Silence, Answer::Silence]);
}
