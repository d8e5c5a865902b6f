#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use imblock_common::Transport::{Tcp, Udp};

use super::{
    Answer, CLIENT_PORTS, EchoServer, Host, Lab, LabError, Namespace, Probe, Wiring, probe,
};
use crate::testing;

/// More than a second: a neighbour solicitation that finds the other end not up yet is sent again
/// after one.
const PATIENCE: Duration = Duration::from_millis(2500);

/// The network, or none with the reason noted: it takes rights that not every developer has.
fn lab(test: &str, wiring: Wiring) -> Option<Lab> {
    match Lab::new(wiring) {
        Ok(lab) => return Some(lab),
        Err(error @ LabError::NoPermission { .. }) => testing::skip_for_kernel(test, error),
        // Where there are no VLAN interfaces, the tagged frames of tests/netns_filter.rs prove it.
        Err(error @ LabError::KernelLacks { .. }) if wiring != Wiring::Plain => {
            testing::skip(test, error);
        }
        Err(error) => panic!("{error}: {error:?}"),
    }
    None
}

fn ask(from: &Host, to: &Host, port: u16) -> Vec<Answer> {
    let probes: Vec<Probe> = to
        .addresses()
        .flat_map(|address| {
            let to = SocketAddr::new(address, port);
            [Tcp, Udp].map(|transport| Probe { transport, to })
        })
        .collect();
    probe(&from.namespace, &probes, PATIENCE).unwrap()
}

#[test]
fn no_client_calls_from_a_port_of_a_messenger() {
    for service in crate::catalogue::services().unwrap() {
        let listed = service.ports.iter().flat_map(|range| range.ports());
        let taken: Vec<u16> = listed.filter(|port| CLIENT_PORTS.contains(port)).collect();
        assert_eq!(taken, [0; 0], "{}", service.id.as_str());
    }
}

fn everybody_reaches_the_server(test: &str, wiring: Wiring) {
    let Some(lab) = lab(test, wiring) else { return };
    let _server = EchoServer::start(&lab.server, &[(Tcp, 6667), (Udp, 6667)]).unwrap();
    for host in lab.lan_hosts() {
        let answers = ask(host, &lab.server, 6667);
        assert!(
            answers.iter().all(|answer| *answer == Answer::Echoed),
            "{}: {answers:?}",
            host.name()
        );
        assert_eq!(answers.len(), 2 * host.addresses().count());
    }
}

#[test]
fn both_hosts_reach_the_server_through_the_router() {
    everybody_reaches_the_server(
        "both_hosts_reach_the_server_through_the_router",
        Wiring::Plain,
    );
}

#[test]
fn both_hosts_reach_the_server_over_a_vlan() {
    everybody_reaches_the_server("both_hosts_reach_the_server_over_a_vlan", Wiring::Vlan(10));
}

#[test]
fn the_server_reaches_a_host() {
    let Some(lab) = lab("the_server_reaches_a_host", Wiring::Plain) else {
        return;
    };
    let _server = EchoServer::start(&lab.alice, &[(Tcp, 6667), (Udp, 6667)]).unwrap();
    let answers = ask(&lab.server, &lab.alice, 6667);
    assert!(
        answers.iter().all(|answer| *answer == Answer::Echoed),
        "{answers:?}"
    );
}

#[test]
fn a_port_that_nobody_serves_is_refused_and_a_host_that_is_not_there_is_silent() {
    let Some(lab) = lab(
        "a_port_that_nobody_serves_is_refused_and_a_host_that_is_not_there_is_silent",
        Wiring::Plain,
    ) else {
        return;
    };
    let nobody: IpAddr = "198.51.100.200".parse().unwrap();
    let probes = [
        Probe {
            transport: Tcp,
            to: SocketAddr::new(lab.server.v4.into(), 9),
        },
        Probe {
            transport: Udp,
            to: SocketAddr::new(nobody, 9),
        },
    ];
    // Before the router gives up looking for the host, and says so.
    let answers = probe(&lab.alice.namespace, &probes, Duration::from_millis(1500)).unwrap();
    assert_eq!(
        answers,
        [
            Answer::Error(std::io::ErrorKind::ConnectionRefused),
            Answer::Silence
        ]
    );
}

#[test]
fn an_echo_server_frees_its_ports_when_dropped() {
    let Some(lab) = lab("an_echo_server_frees_its_ports_when_dropped", Wiring::Plain) else {
        return;
    };
    drop(EchoServer::start(&lab.server, &[(Tcp, 5050)]).unwrap());
    EchoServer::start(&lab.server, &[(Tcp, 5050)]).unwrap();
}

#[test]
fn the_machine_outside_does_not_change() {
    let interfaces = || {
        fs::read_to_string("/proc/thread-self/net/dev")
            .unwrap()
            .lines()
            .count()
    };
    let before = interfaces();
    let Some(lab) = lab("the_machine_outside_does_not_change", Wiring::Plain) else {
        return;
    };
    assert_eq!(interfaces(), before);
    let own = fs::read_link("/proc/thread-self/ns/net").unwrap();
    let inside = lab
        .router
        .namespace
        .run(|| fs::read_link("/proc/thread-self/ns/net").unwrap());
    assert_ne!(inside.unwrap(), own);
}

#[test]
fn a_missing_interface_is_named() {
    let Some(lab) = lab("a_missing_interface_is_named", Wiring::Plain) else {
        return;
    };
    let error = lab.router.namespace.index("lan9").unwrap_err().to_string();
    assert!(
        error.contains("lan9") && error.contains("router"),
        "{error}"
    );
}

#[test]
fn a_program_runs_inside() {
    let Some(_) = lab("a_program_runs_inside", Wiring::Plain) else {
        return;
    };
    let namespace = Namespace::new("alone").unwrap();
    let mut command = std::process::Command::new("cat");
    let output = namespace.output(command.arg("/proc/self/net/dev")).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let interfaces: Vec<&str> = text
        .lines()
        .skip(2)
        .filter_map(|l| l.split(':').next())
        .collect();
    assert!(interfaces.iter().any(|name| name.trim() == "lo"), "{text}");
    assert!(
        !interfaces.iter().any(|name| name.trim() == "eth0"),
        "{text}"
    );
}
