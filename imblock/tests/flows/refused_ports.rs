//! What a port that is reason enough to refuse a service spares, and what it does not decide.

use imblock::replay::MemoryTables;
use imblock_common::testkit::Frame;
use imblock_common::{Evidence, Judgement, Verdict, View, classify};

use super::tables;

/// A policy about a service with a UDP port of its own, and one that is told by what it says.
fn about_a_port(action: &str) -> MemoryTables {
    tables(&format!(
        "version: 1\nname: test\nlimits: {{ flows: 8 }}\n\
         rules:\n\
         - {{ services: [own], action: drop }}\n\
         - {{ services: [teamspeak], action: {action} }}\n\
         services: [{{ id: own, name: Own, category: im,\n\
         markers: [{{ transport: udp, text: \"OWN CHAT\" }}] }}]"
    ))
}

fn says(tables: &MemoryTables, client_port: u16, server_port: u16, payload: &[u8]) -> Judgement {
    let frame = Frame::eth().ipv4("10.0.0.2", "192.0.2.7");
    let frame = frame.udp(client_port, server_port).payload(payload).build();
    classify(frame.as_slice(), View::LAN_INGRESS, tables)
}

#[test]
fn a_flood_on_a_refused_port_pushes_out_no_flow() {
    let tables = about_a_port("drop");
    for _ in 0..8 {
        assert!(says(&tables, 50_000, 31_000, &[7; 40]).passes());
    }
    for port in 51_000..51_200 {
        assert_eq!(
            says(&tables, port, 9987, &[7; 40]).verdict,
            Verdict::Dropped
        );
    }
    // Its first payloads are over: of a flow that was forgotten this one would be the first.
    assert!(says(&tables, 50_000, 31_000, b"OWN CHAT").passes());
    assert!(!says(&tables, 50_001, 31_000, b"OWN CHAT").passes());
}

#[test]
fn what_is_said_on_a_port_counts_unless_its_service_is_refused() {
    let told = |action| {
        let judgement = says(&about_a_port(action), 50_000, 9987, b"OWN CHAT");
        (judgement.evidence, judgement.verdict)
    };
    assert_eq!(told("count"), (Evidence::Marker, Verdict::Dropped));
    assert_eq!(told("allow"), (Evidence::Marker, Verdict::Dropped));
    assert_eq!(told("drop"), (Evidence::Port, Verdict::Dropped));
    assert_eq!(told("reject"), (Evidence::Port, Verdict::Rejected));
}

#[test]
fn who_is_exempt_uses_a_port_that_is_refused_to_others() {
    let tables = tables(
        "version: 1\nname: test\ngroups: { support: [10.0.0.2] }\n\
         rules:\n\
         - { services: [teamspeak], groups: [support], action: allow }\n\
         - { services: [teamspeak], action: drop }",
    );
    let from = |host| {
        let frame = Frame::eth().ipv4(host, "192.0.2.7").udp(50_000, 9987);
        let frame = frame.payload(&[7; 40]).build();
        classify(frame.as_slice(), View::LAN_INGRESS, &tables).verdict
    };
    assert_eq!(from("10.0.0.2"), Verdict::Allowed);
    assert_eq!(from("10.0.0.3"), Verdict::Dropped);
}
