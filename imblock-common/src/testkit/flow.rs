//! Flows invented from a seed: what the ends of a connection say to each other, in order or not,
//! whole or cut, with and without damage.
//!
//! Addresses and ports are few, so that a flow often begins where another one was.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::generate::{name, port, station, v4, v6};
use super::{
    ClientHello, Frame, Layer, Random, alloc, dns_query, dns_query_tcp, flags, http_request,
    mutate, quic_like, rtp_packet, socks4_host, socks5_host, stun_message,
};

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Who began.
    Client,
    /// Who was called.
    Server,
}

/// A frame of a flow, and who sends it.
pub type Said = (End, Vec<u8>);

/// Ports that are asked for names, and those where calls are set up.
const SERVER_PORTS: &[u16] = &[443, 443, 80, 8080, 1080, 53, 53, 3478, 5060, 40_001, 31_000];
const TCP_SEGMENT: usize = 1400;

/// The flow of a seed and an index: always the same frames, at most some 20 of them. `phrases` is what
/// is said besides what the testkit can say itself.
pub fn generate_flow(seed: u64, index: u64, phrases: &[Vec<u8>]) -> Vec<Said> {
    let mut random = Random::new(Random::new(seed).number() ^ !index);
    let random = &mut random;
    let (client, server) = if random.one_in(4) {
        (IpAddr::V6(v6(random)), IpAddr::V6(v6(random)))
    } else {
        (IpAddr::V4(v4(random)), IpAddr::V4(v4(random)))
    };
    let any = port(random);
    let connection = Connection {
        ends: [client, server],
        ports: [40_000 + any % 8, random.pick(SERVER_PORTS, any)],
        stations: [station(random), station(random)],
        tags: random.one_in(8),
    };
    let mut said = if random.one_in(2) {
        tcp(random, &connection, phrases)
    } else {
        udp(random, &connection, phrases)
    };
    if random.one_in(8)
        && let Some((_, frame)) = {
            let which = random.below(said.len());
            said.get_mut(which)
        }
    {
        mutate(random, frame);
    }
    said
}

/// The two ends, the client first.
struct Connection {
    ends: [IpAddr; 2],
    ports: [u16; 2],
    /// Their hardware addresses.
    stations: [[u8; 6]; 2],
    tags: bool,
}

impl Connection {
    /// The IP header of a frame, and the ports, the sender's first.
    fn frame(&self, from: End) -> (Frame, [u16; 2]) {
        let [client, server] = self.ends;
        let [ours, theirs] = self.ports;
        let [near, far] = self.stations;
        let link = Frame::eth();
        let link = if self.tags { link.vlan(5) } else { link };
        match from {
            End::Client => (link.stations(near, far).ip(client, server), [ours, theirs]),
            End::Server => (link.stations(far, near).ip(server, client), [theirs, ours]),
        }
    }

    fn tcp(&self, from: End, set: u8, sequence: u32, payload: &[u8]) -> Said {
        let (frame, [source, destination]) = self.frame(from);
        let frame = frame.tcp(source, destination).flags(set).payload(payload);
        let frame = frame.patch(Layer::Transport, 4, &sequence.to_be_bytes());
        (from, frame.build())
    }

    fn udp(&self, from: End, payload: &[u8]) -> Said {
        let (frame, [source, destination]) = self.frame(from);
        (
            from,
            frame.udp(source, destination).payload(payload).build(),
        )
    }
}

fn tcp(random: &mut Random, connection: &Connection, phrases: &[Vec<u8>]) -> Vec<Said> {
    let [low, high] = [random.word(), random.word()];
    let mut numbers = [
        u32::from(low) << 16 | u32::from(high),
        u32::from(high) << 16 | u32::from(low),
    ];
    let mut said = Vec::new();
    // A flow without a beginning went another way, or is older than the table.
    if !random.one_in(4) {
        said.push(connection.tcp(End::Client, flags::SYN, numbers[0], &[]));
        let both = flags::SYN | flags::ACK;
        said.push(connection.tcp(End::Server, both, numbers[1], &[]));
        numbers = numbers.map(|number| number.wrapping_add(1));
    }
    for (from, mut payload) in phrases_of_tcp(random, phrases) {
        if random.one_in(5) {
            mutate(random, &mut payload);
        }
        let [ours, theirs] = &mut numbers;
        let number = match from {
            End::Client => ours,
            End::Server => theirs,
        };
        // Mostly as full as packets are, sometimes in two anyhow.
        let most = if random.one_in(2) {
            1 + random.below(payload.len())
        } else {
            TCP_SEGMENT
        };
        let (first, rest) = payload.split_at(most.min(payload.len()));
        let set = flags::PSH | flags::ACK;
        for part in core::iter::once(first).chain(rest.chunks(TCP_SEGMENT)) {
            said.push(connection.tcp(from, set, *number, part));
            if random.one_in(6) {
                // Sent again, from somewhere on.
                let back = random.below(part.len() + 1);
                let again = part.get(back..).unwrap_or_default();
                let at = number.wrapping_add(u32::try_from(back).unwrap_or(0));
                said.push(connection.tcp(from, set, at, again));
            }
            *number = number.wrapping_add(u32::try_from(part.len()).unwrap_or(0));
        }
    }
    if random.one_in(6) {
        let [a, b] = [random.below(said.len()), random.below(said.len())];
        said.swap(a, b);
    }
    if random.one_in(6) {
        let set = random.pick(&[flags::FIN | flags::ACK, flags::RST], flags::RST);
        said.push(connection.tcp(End::Client, set, numbers[0], &[]));
    }
    said
}

fn phrases_of_tcp(random: &mut Random, phrases: &[Vec<u8>]) -> Vec<(End, Vec<u8>)> {
    use End::{Client, Server};
    let name = name(random);
    match random.below(8) {
        0..=2 => {
            let hello = ClientHello::new(&name);
            let hello = if random.one_in(2) {
                hello.post_quantum()
            } else {
                hello.padded(random.below(300))
            };
            let most = random.pick(&[usize::MAX, usize::MAX, 40, 300], usize::MAX);
            let hello = hello.shuffled(random).build_records(most);
            Vec::from([
                (Client, hello),
                (Server, Vec::from([22, 3, 3, 0, 4, 2, 0, 0, 0])),
                (Client, Vec::from([23, 3, 3, 0, 1, 0])),
            ])
        }
        3 => {
            let method = random.pick(&["GET", "POST", "CONNECT", "BREW"], "GET");
            let target = if method == "CONNECT" { &name } else { "/a" };
            let request = http_request(method, target, &name);
            Vec::from([
                (Client, request),
                (Server, Vec::from(*b"HTTP/1.1 200 OK\r\n\r\n")),
            ])
        }
        4 => {
            let request = if random.one_in(2) {
                socks5_host(&name, port(random))
            } else {
                socks4_host(&name, port(random), "user")
            };
            Vec::from([
                (Client, Vec::from([5, 1, 0])),
                (Server, Vec::from([5, 0])),
                (Client, request),
            ])
        }
        5 => Vec::from([(Client, dns_query_tcp(&name))]),
        _ => spoken(random, phrases),
    }
}

/// Some phrases from either end, and what nobody says.
fn spoken(random: &mut Random, phrases: &[Vec<u8>]) -> Vec<(End, Vec<u8>)> {
    let mut said = Vec::new();
    for _ in 0..=random.below(8) {
        let from = random.pick(&[End::Client, End::Client, End::Server], End::Client);
        let which = random.below(phrases.len() + 1);
        let length = random.below(200);
        let phrase = phrases.get(which).cloned();
        said.push((from, phrase.unwrap_or_else(|| random.bytes(length))));
    }
    said
}

fn udp(random: &mut Random, connection: &Connection, phrases: &[Vec<u8>]) -> Vec<Said> {
    let phrases = match random.below(6) {
        0 => Vec::from([
            (End::Client, dns_query(&name(random))),
            (End::Client, dns_query(&name(random))),
        ]),
        1 => stun(random),
        2 | 3 => media(random),
        4 => {
            let version = random.pick(&[1, 0x6b33_43cf, 0xff00_001d, 0], 7);
            Vec::from([(End::Client, quic_like(random, version))])
        }
        _ => spoken(random, phrases),
    };
    let mut said = Vec::new();
    for (from, mut payload) in phrases {
        if random.one_in(8) {
            mutate(random, &mut payload);
        }
        said.push(connection.udp(from, &payload));
    }
    said
}

/// Requests and answers with attributes that the policies of the tests know, and their neighbours.
fn stun(random: &mut Random) -> Vec<(End, Vec<u8>)> {
    let mut said = Vec::new();
    for from in [End::Client, End::Server, End::Client] {
        let any = random.word();
        let kinds = [0x0001, 0x0101, 0x0003, 0x0113, 0x0800];
        let attributes = [0x4000, 0x4007, 0x4008, 0x8070, 0xff03, 0x0014, 0x8022];
        let name = name(random);
        let list: Vec<(u16, &[u8])> = (0..random.below(6))
            .map(|_| (random.pick(&attributes, any), name.as_bytes()))
            .collect();
        said.push((from, stun_message(random.pick(&kinds, any), &list)));
    }
    said
}

/// A stream each way, not quite in order; sometimes set up by STUN.
fn media(random: &mut Random) -> Vec<(End, Vec<u8>)> {
    let mut said = if random.one_in(3) {
        stun(random)
    } else {
        Vec::new()
    };
    let kind = random.pick(&[0, 8, 96, 111, 72, 200], 0);
    let first = random.word();
    for number in 0..2 + u16::from(random.byte() % 10) {
        let (from, source) = random.pick(
            &[(End::Client, 1), (End::Client, 1), (End::Server, 2)],
            (End::Client, 3),
        );
        let skipped = random.pick(&[0, 0, 0, 0, 1, 7], 0);
        let sequence = first.wrapping_add(number).wrapping_add(skipped);
        said.push((
            from,
            rtp_packet(kind, sequence, u32::from(sequence) * 160, source),
        ));
    }
    said
}
