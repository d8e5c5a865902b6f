//! VLAN tags: in the frame, where the hardware does not take them off, and by VLAN interfaces.

use imblock::lab::{EchoServer, Lab, Wiring};
use imblock_common::testkit::Frame;

use super::support::{ACME, Counts, NOBODY, PORTS, Rig, eventually, send_frames};

const COUNT: usize = 25;

fn tagged(rig: &Rig, tag: impl Fn(Frame) -> Frame) -> Vec<Vec<u8>> {
    let from = rig.lab.alice.v4.into();
    let to = rig.lab.server.v4.into();
    let frame = tag(Frame::eth())
        .ip(from, to)
        .udp(40_000, ACME)
        .payload(b"hello")
        .build();
    vec![frame; COUNT]
}

#[test]
fn tags_in_the_frame_hide_nothing() {
    let Some(rig) = Rig::up("tags_in_the_frame_hide_nothing") else {
        return;
    };
    let Lab { switch, alice, .. } = &rig.lab;
    let frames = tagged(&rig, |frame| frame.vlan(10));
    let all = |frames: &[Vec<u8>]| {
        let bytes: usize = frames.iter().map(Vec::len).sum();
        Counts::of(frames.len() as u64, bytes as u64)
    };
    send_frames(switch, Lab::SWITCH_UP, &frames);
    eventually("the tagged frames are counted", || {
        rig.hosts().of(alice.v4, "acme").0.sent == all(&frames)
    });
    rig.ok(&["block", "acme"]);
    let twice = tagged(&rig, |frame| frame.provider_vlan(100).vlan(10));
    send_frames(switch, Lab::SWITCH_UP, &twice);
    eventually("the frames with two tags are refused", || {
        rig.hosts().of(alice.v4, "acme").1.sent == all(&twice)
    });
    let (passed, refused) = rig.hosts().of(alice.v4, "acme");
    assert_eq!(passed.sent, all(&frames));
    assert_eq!((passed.received, refused.received), Default::default());
}

#[test]
fn a_lan_of_vlan_interfaces_is_policed_on_its_trunk() {
    let test = "a_lan_of_vlan_interfaces_is_policed_on_its_trunk";
    let Some(rig) = Rig::wired(test, Wiring::Vlan(10)) else {
        return;
    };
    rig.ok(&["up", "-p", "policy.yaml", "-i", Lab::LAN]);
    let Lab { alice, server, .. } = &rig.lab;
    let _server = EchoServer::start(server, &PORTS).unwrap();
    assert!(rig.reaches(alice, server, ACME));
    rig.ok(&["block", "acme"]);
    assert!(!rig.reaches(alice, server, ACME));
    assert!(rig.reaches(alice, server, NOBODY));
    assert_eq!(rig.hosts().sum("acme"), rig.services().sum("acme"));
}
