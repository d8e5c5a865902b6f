//! Packets that a port decides about, or that nothing does.

use imblock_common::testkit::{Frame, flags};

use super::{
    CLIENT_PORT, Class, DROPPED_PORT, ENDED_PORT, Front, How, OTHER_PORT, Pledge, REJECTED_PORT,
    Verdict, choosing_from, data, v4, v6,
};

/// A port whose service the benchmark's policy lets pass and counts: IRC's.
const COUNTED_PORT: u16 = 6667;
/// What fills a frame of IPv4 and UDP to 60 bytes.
const SHORT: [u8; 18] = [0; 18];

pub(super) fn all() -> Vec<Class> {
    let mut classes = innocent();
    classes.extend(listed());
    classes
}

fn class(name: &'static str, frame: &Frame) -> Class {
    Class {
        by_port: true,
        ..Class::new(name, frame)
    }
}

/// Nothing matches.
fn innocent() -> Vec<Class> {
    let nothing = |name, frame: Frame| {
        let class = class(name, &frame);
        Class {
            // The first payloads of a flow are looked into.
            before: vec![class.frame.clone(); 8],
            pledge: Some(Pledge::Nothing),
            ..class
        }
    };
    let many = |name, ports, hosts, frame| Class {
        pledge: None,
        ..nothing(name, frame).varied(ports, hosts)
    };
    let udp = |from: Frame| from.udp(CLIENT_PORT, OTHER_PORT).payload(&SHORT);
    let tcp = |from: Frame| {
        let segment = from.tcp(CLIENT_PORT, OTHER_PORT).flags(flags::ACK);
        segment.payload(&[0; 10])
    };
    vec![
        nothing("UDP, nothing matches", udp(v4())),
        nothing(
            "UDP 512 B, nothing matches",
            v4().udp(CLIENT_PORT, OTHER_PORT).payload(&[0; 470]),
        ),
        nothing("TCP 64 B, nothing matches", tcp(v4())),
        nothing(
            "TCP 1,400 B, nothing matches",
            data(OTHER_PORT).payload(&[0; 1346]),
        ),
        nothing("IPv6 UDP, nothing matches", udp(v6())),
        nothing("IPv6 TCP, nothing matches", tcp(v6())),
        nothing("VLAN UDP, nothing matches", udp(vlan())),
        nothing("QinQ UDP, nothing matches", udp(qinq())),
        nothing("VLAN IPv6 UDP, nothing matches", udp(vlan_v6())),
        many("UDP, nothing matches, 1,000 flows", 4, 250, udp(v4())),
        many("UDP, nothing matches, 100,000 flows", 400, 250, udp(v4())),
        many("TCP, nothing matches, 1,000 flows", 4, 250, tcp(v4())),
        many("TCP, nothing matches, 100,000 flows", 400, 250, tcp(v4())),
    ]
}

/// The port is a service's.
fn listed() -> Vec<Class> {
    let going_on = |name, frame: Frame| {
        let class = class(name, &frame);
        Class {
            before: vec![class.frame.clone(); 8],
            ..class
        }
    };
    let dropped = |name, frame: Frame| Class {
        verdict: Verdict::Drop,
        pledge: Some(Pledge::Drop),
        ..going_on(name, frame)
    };
    let hosts = |name, hosts: u16, frame: Frame| {
        let frame_of_one = choosing_from(hosts, 0, frame.build());
        Class {
            before: vec![frame_of_one.clone(); 8],
            frame: frame_of_one,
            front: Front::Hosts(hosts),
            pledge: None,
            ..dropped(name, frame)
        }
    };
    let flows = |name, ports, hosts, frame| Class {
        pledge: None,
        ..dropped(name, frame).varied(ports, hosts)
    };
    let udp = |from: Frame| from.udp(CLIENT_PORT, DROPPED_PORT).payload(&SHORT);
    let syn = |from: Frame| from.tcp(CLIENT_PORT, DROPPED_PORT).flags(flags::SYN);
    vec![
        dropped("UDP, dropped and counted", udp(v4())),
        dropped("TCP SYN, dropped and counted", syn(v4())),
        dropped("IPv6 UDP, dropped and counted", udp(v6())),
        dropped("IPv6 TCP SYN, dropped and counted", syn(v6())),
        dropped("VLAN UDP, dropped and counted", udp(vlan())),
        dropped("QinQ UDP, dropped and counted", udp(qinq())),
        dropped(
            "UDP, dropped, port of an ended service",
            v4().udp(CLIENT_PORT, ENDED_PORT).payload(&SHORT),
        ),
        dropped(
            "TCP SYN, dropped, port of an ended service",
            v4().tcp(CLIENT_PORT, ENDED_PORT).flags(flags::SYN),
        ),
        hosts("UDP, dropped, 10 hosts", 10, udp(v4())),
        hosts("UDP, dropped, 1,000 hosts", 1_000, udp(v4())),
        hosts("UDP, dropped, 60,000 hosts", 60_000, udp(v4())),
        hosts("TCP SYN, dropped, 1,000 hosts", 1_000, syn(v4())),
        hosts("TCP SYN, dropped, 60,000 hosts", 60_000, syn(v4())),
        flows("UDP, dropped, 1,000 flows", 4, 250, udp(v4())),
        flows("UDP, dropped, 100,000 flows", 400, 250, udp(v4())),
        Class {
            before: Vec::new(),
            pledge: None,
            ..dropped("UDP, dropped, first of its flow", udp(v4())).fresh()
        },
        going_on(
            "TCP, passed and counted",
            data(COUNTED_PORT).payload(&[0; 10]),
        ),
        Class {
            // The frame becomes its answer, so that it can't be measured twice.
            how: How::OneByOne,
            verdict: Verdict::Answer,
            ..Class::new(
                "TCP SYN, rejected with a reset",
                &v4().tcp(CLIENT_PORT, REJECTED_PORT).flags(flags::SYN),
            )
        },
    ]
}

fn vlan() -> Frame {
    Frame::eth()
        .vlan(5)
        .ipv4("10.0.0.2", "198.51.100.7")
        .padded()
}

fn qinq() -> Frame {
    Frame::eth()
        .provider_vlan(7)
        .vlan(5)
        .ipv4("10.0.0.2", "198.51.100.7")
        .padded()
}

fn vlan_v6() -> Frame {
    Frame::eth()
        .vlan(5)
        .ipv6("2001:db8::2", "2001:db8:ffff::7")
        .padded()
}
