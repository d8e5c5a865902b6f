//! The kinds of frames that are measured.

use imblock_common::testkit::{Frame, flags};

/// A port whose service the benchmark's policy drops, for TCP and UDP.
pub(super) const DROPPED_PORT: u16 = 5050;
/// A port whose service it lets pass and counts.
pub(super) const COUNTED_PORT: u16 = 6667;
/// A port that no service has.
const OTHER_PORT: u16 = 8443;
/// A client's port.
const CLIENT_PORT: u16 = 49_152;

/// Frames of one kind.
pub(super) struct Class {
    pub(super) name: &'static str,
    pub(super) frame: Vec<u8>,
    /// Whether our program lets them pass.
    pub(super) passes: bool,
    /// How many hosts send them, in turn at random, if more than one.
    pub(super) hosts: Option<u16>,
    /// What ours may cost, in nanoseconds over the empty program.
    pub(super) target: Option<f64>,
}

/// Nothing matches: what all other traffic pays for imblock being there.
const NOTHING_MATCHES: Option<f64> = Some(15.0);
/// A drop with its counters, while the hosts are few enough for the cache.
const DROP_COUNTED: Option<f64> = Some(30.0);

pub(super) fn all() -> Vec<Class> {
    let nothing = |name, frame: Frame| Class {
        name,
        frame: frame.build(),
        passes: true,
        hosts: None,
        target: NOTHING_MATCHES,
    };
    let dropped = |name, frame: Frame| Class {
        name,
        frame: frame.build(),
        passes: false,
        hosts: None,
        target: DROP_COUNTED,
    };
    let many = |name, hosts: u16, frame: Frame| Class {
        name,
        frame: choosing_from(hosts, frame.build()),
        passes: false,
        hosts: Some(hosts),
        target: None,
    };
    vec![
        nothing("UDP, nothing matches", v4().udp(CLIENT_PORT, OTHER_PORT)),
        nothing(
            "TCP 64 B, nothing matches",
            v4().tcp(CLIENT_PORT, OTHER_PORT).payload(&[0; 10]),
        ),
        nothing(
            "TCP 1,400 B, nothing matches",
            v4().tcp(CLIENT_PORT, OTHER_PORT).payload(&[0; 1346]),
        ),
        nothing(
            "IPv6 UDP, nothing matches",
            v6().udp(CLIENT_PORT, OTHER_PORT),
        ),
        nothing(
            "VLAN UDP, nothing matches",
            vlan().udp(CLIENT_PORT, OTHER_PORT),
        ),
        dropped(
            "UDP, dropped and counted",
            v4().udp(CLIENT_PORT, DROPPED_PORT),
        ),
        dropped(
            "TCP SYN, dropped and counted",
            v4().tcp(CLIENT_PORT, DROPPED_PORT).flags(flags::SYN),
        ),
        dropped(
            "IPv6 UDP, dropped and counted",
            v6().udp(CLIENT_PORT, DROPPED_PORT),
        ),
        Class {
            passes: true,
            target: None,
            ..dropped(
                "TCP, passed and counted",
                v4().tcp(CLIENT_PORT, COUNTED_PORT).payload(&[0; 10]),
            )
        },
        many(
            "UDP, dropped, 10 hosts",
            10,
            v4().udp(CLIENT_PORT, DROPPED_PORT),
        ),
        many(
            "UDP, dropped, 1,000 hosts",
            1_000,
            v4().udp(CLIENT_PORT, DROPPED_PORT),
        ),
        many(
            "UDP, dropped, 60,000 hosts",
            60_000,
            v4().udp(CLIENT_PORT, DROPPED_PORT),
        ),
        many(
            "TCP SYN, dropped, 1,000 hosts",
            1_000,
            v4().tcp(CLIENT_PORT, DROPPED_PORT).flags(flags::SYN),
        ),
        many(
            "TCP SYN, dropped, 60,000 hosts",
            60_000,
            v4().tcp(CLIENT_PORT, DROPPED_PORT).flags(flags::SYN),
        ),
    ]
}

fn v4() -> Frame {
    Frame::eth().ipv4("10.0.0.2", "198.51.100.7").padded()
}

fn v6() -> Frame {
    Frame::eth().ipv6("2001:db8::2", "2001:db8:ffff::7")
}

fn vlan() -> Frame {
    Frame::eth()
        .vlan(5)
        .ipv4("10.0.0.2", "198.51.100.7")
        .padded()
}

/// Tells the program in front how many hosts there are: in the IPv4 identification, which nothing
/// else looks at.
fn choosing_from(hosts: u16, mut frame: Vec<u8>) -> Vec<u8> {
    const IDENTIFICATION_AT: usize = 18;
    let field = frame.iter_mut().skip(IDENTIFICATION_AT);
    for (byte, value) in field.zip(hosts.to_be_bytes()) {
        *byte = value;
    }
    frame
}
