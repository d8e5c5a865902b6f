//! The kinds of frames that are measured.

use imblock_common::testkit::{ClientHello, Frame, dns_query, flags};

use super::packets::Pledge;

/// A port whose service the benchmark's policy drops, for TCP and UDP; no service of the catalogue
/// has it.
pub(super) const DROPPED_PORT: u16 = 15_050;
/// A port whose service it lets pass and counts: IRC's.
const COUNTED_PORT: u16 = 6667;
/// Names of services that the policy drops and counts.
pub(super) const DROPPED_NAME: &str = "dropped.bench.example";
/// See [`DROPPED_NAME`].
pub(super) const COUNTED_NAME: &str = "counted.bench.example";
/// A port that no service has.
const OTHER_PORT: u16 = 8443;
/// A client's port, and those of connections that must not be told for one another.
const CLIENT_PORT: u16 = 49_152;
/// See [`CLIENT_PORT`].
const INNOCENT_CLIENT: u16 = 49_153;
/// See [`CLIENT_PORT`].
const COUNTED_CLIENT: u16 = 49_154;
/// See [`CLIENT_PORT`].
const DROPPED_CLIENT: u16 = 49_155;

/// What is varied in each frame, before the program sees it.
#[derive(Clone, Copy)]
pub(super) enum Front {
    None,
    /// The host, one of so many at random.
    Hosts(u16),
    /// The client's port, one of so many at random (at most 32,768), and the host, one of a few.
    Flows {
        ports: u16,
        hosts: u8,
    },
}

impl Front {
    /// So many flows that each frame begins one, or follows one that was pushed out of the table.
    const FRESH: Self = Self::Flows {
        ports: 0x8000,
        hosts: 255,
    };

    /// How many frames it takes until nearly all that can be chosen was chosen.
    pub(super) fn warm_up(self) -> u32 {
        let choices = match self {
            Self::None => return 1,
            Self::Hosts(hosts) => u32::from(hosts),
            Self::Flows { ports, hosts } => u32::from(ports) * u32::from(hosts),
        };
        // More than the flow table holds need not be known.
        (choices * 16).min(500_000)
    }
}

/// Frames of one kind.
pub(super) struct Class {
    pub(super) name: &'static str,
    pub(super) frame: Vec<u8>,
    /// What is said before: the connection's beginning.
    pub(super) before: Vec<Vec<u8>>,
    /// Whether our program lets them pass.
    pub(super) passes: bool,
    /// What varies.
    pub(super) front: Front,
    /// Whether the port decides, so that what xdp-filter does is the same.
    pub(super) by_port: bool,
    /// What is promised of it.
    pub(super) pledge: Option<Pledge>,
}

pub(super) fn all() -> Vec<Class> {
    let mut classes = by_port();
    classes.extend(by_content());
    classes
}

/// Packets that a port decides about, or that nothing does.
fn by_port() -> Vec<Class> {
    let nothing = |name, frame: Frame| {
        let frame = frame.build();
        Class {
            name,
            // The first payloads of a flow are looked into.
            before: vec![frame.clone(); 8],
            frame,
            passes: true,
            front: Front::None,
            by_port: true,
            pledge: Some(Pledge::Nothing),
        }
    };
    let dropped = |name, frame: Frame| Class {
        before: Vec::new(),
        passes: false,
        pledge: Some(Pledge::Drop),
        ..nothing(name, frame)
    };
    let many = |name, hosts: u16, frame: Frame| Class {
        frame: choosing_from(hosts, 0, frame.build()),
        front: Front::Hosts(hosts),
        pledge: None,
        ..dropped(name, v4())
    };
    let udp = || v4().udp(CLIENT_PORT, DROPPED_PORT);
    let syn = || v4().tcp(CLIENT_PORT, DROPPED_PORT).flags(flags::SYN);
    vec![
        nothing("UDP, nothing matches", v4().udp(CLIENT_PORT, OTHER_PORT)),
        nothing(
            "UDP 512 B, nothing matches",
            v4().udp(CLIENT_PORT, OTHER_PORT).payload(&[0; 470]),
        ),
        nothing(
            "TCP 64 B, nothing matches",
            data(OTHER_PORT).payload(&[0; 10]),
        ),
        nothing(
            "TCP 1,400 B, nothing matches",
            data(OTHER_PORT).payload(&[0; 1346]),
        ),
        nothing(
            "IPv6 UDP, nothing matches",
            v6().udp(CLIENT_PORT, OTHER_PORT),
        ),
        nothing(
            "VLAN UDP, nothing matches",
            vlan().udp(CLIENT_PORT, OTHER_PORT),
        ),
        dropped("UDP, dropped and counted", udp()),
        dropped("TCP SYN, dropped and counted", syn()),
        dropped(
            "IPv6 UDP, dropped and counted",
            v6().udp(CLIENT_PORT, DROPPED_PORT),
        ),
        Class {
            pledge: None,
            ..nothing(
                "TCP, passed and counted",
                data(COUNTED_PORT).payload(&[0; 10]),
            )
        },
        many("UDP, dropped, 10 hosts", 10, udp()),
        many("UDP, dropped, 1,000 hosts", 1_000, udp()),
        many("UDP, dropped, 60,000 hosts", 60_000, udp()),
        many("TCP SYN, dropped, 1,000 hosts", 1_000, syn()),
        many("TCP SYN, dropped, 60,000 hosts", 60_000, syn()),
    ]
}

/// Packets that a flow's content decides about, and those of flows of which that is known.
fn by_content() -> Vec<Class> {
    let flow = |name, before: Vec<Frame>, frame: Frame| Class {
        name,
        frame: frame.build(),
        before: before.iter().map(Frame::build).collect(),
        passes: true,
        front: Front::None,
        by_port: false,
        pledge: None,
    };
    let varied = |ports, hosts, class: Class| Class {
        frame: choosing_from(ports, hosts, class.frame),
        before: class
            .before
            .into_iter()
            .map(|frame| choosing_from(ports, hosts, frame))
            .collect(),
        front: Front::Flows { ports, hosts },
        ..class
    };
    let fresh = |name, frame: Frame| match Front::FRESH {
        Front::Flows { ports, hosts } => Class {
            pledge: None,
            ..varied(ports, hosts, flow(name, Vec::new(), frame))
        },
        _ => flow(name, Vec::new(), frame),
    };
    let hello_of = |client, name| {
        let hello = ClientHello::new(name).build();
        data_of(client, 443).payload(&hello)
    };
    let hello = |name| hello_of(CLIENT_PORT, name);
    let syn_of = |client| v4().tcp(client, 443).flags(flags::SYN);
    let payload = |client| data_of(client, 443).payload(&[23; 1346]);
    let connection = |client, name| {
        let mut frames = vec![syn_of(client), hello_of(client, name)];
        frames.extend((0..8).map(|_| payload(client)));
        frames
    };
    // Key shares come before the name, as in every other hello of a browser.
    let long = ClientHello::new(DROPPED_NAME).post_quantum().build();
    let torrent = [&b"\x13BitTorrent protocol"[..], &[0; 48]].concat();
    vec![
        flow(
            "TCP 443, data of an innocent flow",
            connection(INNOCENT_CLIENT, "www.example.org"),
            payload(INNOCENT_CLIENT),
        ),
        Class {
            pledge: Some(Pledge::KnownFlow),
            ..flow(
                "TCP 443, known flow",
                connection(COUNTED_CLIENT, COUNTED_NAME),
                payload(COUNTED_CLIENT),
            )
        },
        Class {
            passes: false,
            ..flow(
                "TCP 443, known flow, dropped",
                connection(DROPPED_CLIENT, DROPPED_NAME),
                payload(DROPPED_CLIENT),
            )
        },
        Class {
            pledge: Some(Pledge::KnownFlows),
            ..varied(
                16_000,
                1,
                flow(
                    "TCP 443, known flows, 16,000",
                    connection(CLIENT_PORT, COUNTED_NAME),
                    payload(CLIENT_PORT),
                ),
            )
        },
        Class {
            passes: false,
            pledge: Some(Pledge::WholeName),
            ..fresh("TLS hello, dropped", hello(DROPPED_NAME))
        },
        Class {
            pledge: Some(Pledge::WholeName),
            ..fresh("TLS hello, counted", hello(COUNTED_NAME))
        },
        fresh("TLS hello of nobody", hello("www.example.org")),
        fresh(
            "TLS hello, its first 1,200 B",
            data(443).payload(long.get(..1200).unwrap_or(&long)),
        ),
        fresh("TCP SYN of a new flow", syn_of(CLIENT_PORT)),
        fresh("TCP, first payload, nothing", data(443).payload(&[0; 1346])),
        fresh(
            "UDP, first payload, nothing",
            v4().udp(CLIENT_PORT, OTHER_PORT).payload(&[0; 470]),
        ),
        fresh("TCP, anchored marker", data(OTHER_PORT).payload(&torrent)),
        Class {
            pledge: None,
            ..flow(
                "DNS question, counted",
                Vec::new(),
                v4().udp(CLIENT_PORT, 53).payload(&dns_query(COUNTED_NAME)),
            )
        },
        Class {
            pledge: None,
            ..flow(
                "DNS question of nobody",
                Vec::new(),
                v4().udp(CLIENT_PORT, 53)
                    .payload(&dns_query("www.example.org")),
            )
        },
    ]
}

fn v4() -> Frame {
    Frame::eth().ipv4("10.0.0.2", "198.51.100.7").padded()
}

/// A TCP segment to a port.
fn data(port: u16) -> Frame {
    data_of(CLIENT_PORT, port)
}

/// The same, of another client.
fn data_of(client: u16, port: u16) -> Frame {
    v4().tcp(client, port).flags(flags::ACK | flags::PSH)
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

/// Tells the program in front how many there are: in the IPv4 identification and, of hosts where that
/// is of ports, in the time to live. Nothing else looks at them.
fn choosing_from(many: u16, few: u8, mut frame: Vec<u8>) -> Vec<u8> {
    const IDENTIFICATION_AT: usize = 18;
    const TIME_TO_LIVE_AT: usize = 22;
    let field = frame.iter_mut().skip(IDENTIFICATION_AT);
    for (byte, value) in field.zip(many.to_be_bytes()) {
        *byte = value;
    }
    if let Some(byte) = frame.get_mut(TIME_TO_LIVE_AT) {
        *byte = few;
    }
    frame
}
