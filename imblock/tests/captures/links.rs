//! Link layers: from the first byte of a frame to its ports.

use imblock::replay::link::LinkLayer;
use imblock_common::packet::CapturedFrame;
use imblock_common::{Segment, Unparsed};

use crate::write::*;

fn segment(link_type: u16, bytes: &[u8]) -> Result<Segment, Unparsed> {
    let wire_length = u32::try_from(bytes.len()).unwrap();
    let link = LinkLayer::from_link_type(link_type).unwrap();
    link.parse(CapturedFrame {
        bytes,
        wire_length,
        is_ethernet: link == LinkLayer::Ethernet,
    })
}

#[test]
fn every_link_layer_leads_to_the_ports() {
    let four = tcp4(([10, 0, 0, 1], 40_000), ([192, 0, 2, 1], 6667), SYN);
    let six = tcp6(([1; 16], 40_000), ([2; 16], 6667), SYN);
    let cases = [
        (1, ethernet(IPV4, &four)),
        (1, ethernet(IPV6, &six)),
        (1, ethernet(0x8100, &vlan(0x8864, &pppoe(&four)))),
        (12, four.clone()),
        (14, six.clone()),
        (101, four.clone()),
        (101, six.clone()),
        (228, four.clone()),
        (229, six.clone()),
        (113, cooked(IPV4, &four)),
        (113, cooked(IPV6, &six)),
        (113, cooked(0x8100, &vlan(IPV4, &four))),
        (113, cooked(0x8864, &pppoe(&four))),
        (113, cooked(0x88a8, &vlan(0x8100, &vlan(IPV6, &six)))),
        (276, cooked2(IPV4, &four)),
        (276, cooked2(0x8100, &vlan(0x8864, &pppoe(&four)))),
        (0, loopback(Order::Little, 2, &four)),
        (0, loopback(Order::Big, 2, &four)),
        (0, loopback(Order::Little, 24, &six)),
        (0, loopback(Order::Little, 30, &six)),
        (108, loopback(Order::Big, 28, &six)),
    ];
    for (link_type, frame) in cases {
        let parsed = segment(link_type, &frame).unwrap();
        assert_eq!(
            (parsed.source_port, parsed.destination_port),
            (40_000, 6667),
            "link type {link_type}"
        );
        for length in 0..frame.len() - 16 {
            let cut = segment(link_type, &frame[..length]);
            assert_eq!(cut, Err(Unparsed::Truncated), "link type {link_type}");
        }
    }
}

#[test]
fn what_is_not_ip_has_a_name() {
    assert_eq!(
        segment(113, &cooked(0x0806, &[0; 28])),
        Err(Unparsed::NotIp)
    );
    assert_eq!(
        segment(276, &cooked2(0x0806, &[0; 28])),
        Err(Unparsed::NotIp)
    );
    let appletalk = loopback(Order::Little, 16, &[0; 20]);
    assert_eq!(segment(0, &appletalk), Err(Unparsed::NotIp));
    assert_eq!(segment(101, &[0x70; 40]), Err(Unparsed::BadHeader));
    assert_eq!(segment(228, &[0x60; 40]), Err(Unparsed::BadHeader));
    assert_eq!(LinkLayer::from_link_type(127), None);
}
