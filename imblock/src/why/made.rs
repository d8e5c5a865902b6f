//! Frames that were never sent: what a connection to a port, or one that names a host, looks like.
//!
//! Checksums are left at 0, for no program reads them.

use std::net::IpAddr;

use imblock_common::{Direction, Transport};

use super::{Ends, Step};
use crate::policy::NONSENSE;

/// What is said in the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// Nothing: who is asked for its port alone answers before anything is said.
    Nothing,
    /// Something, but nothing that is known: an address is asked for itself only then.
    Nonsense,
    /// A TLS hello with this name.
    Hello(&'a str),
    /// A DNS question for this name.
    Question(&'a str),
}

/// The longest name on the wire (RFC 1035 section 2.3.4).
pub const NAME_MAX: usize = 253;
/// The longest label of a name (RFC 1035 section 2.3.4).
const LABEL_MAX: usize = 63;

/// What [`Said::Nonsense`] is to people.
const NONSENSE_IS: &str = "payload that tells nothing";

const SYN: u8 = 0x02;
const PUSH: u8 = 0x08;
const ACK: u8 = 0x10;

const SENT: Direction = Direction::Sent;
const RECEIVED: Direction = Direction::Received;

/// The frames of a flow up to the one in which something is said: a TCP connection is made first.
pub fn steps(ends: &Ends, said: Said<'_>) -> Vec<Step> {
    match (ends.transport, said) {
        (Transport::Tcp, Said::Nothing) => handshake(ends),
        (Transport::Tcp, Said::Nonsense) => speaking(ends, NONSENSE_IS, &NONSENSE),
        (Transport::Tcp, Said::Hello(name)) => speaking(ends, "TLS hello", &client_hello(name)),
        (Transport::Tcp, Said::Question(name)) => {
            let question = question(name);
            let mut message = length16(question.len()).to_be_bytes().to_vec();
            message.extend(question);
            speaking(ends, "DNS question", &message)
        }
        (Transport::Udp, Said::Question(name)) => {
            vec![datagram(ends, "DNS question", &question(name))]
        }
        (Transport::Udp, Said::Nonsense) => vec![datagram(ends, NONSENSE_IS, &NONSENSE)],
        (Transport::Udp, _) => vec![datagram(ends, "empty datagram", &[])],
    }
}

fn handshake(ends: &Ends) -> Vec<Step> {
    vec![
        segment(ends, "SYN", SENT, SYN, &[]),
        segment(ends, "SYN-ACK", RECEIVED, SYN | ACK, &[]),
        segment(ends, "ACK", SENT, ACK, &[]),
    ]
}

fn speaking(ends: &Ends, what: &str, payload: &[u8]) -> Vec<Step> {
    let mut steps = handshake(ends);
    steps.push(segment(ends, what, SENT, PUSH | ACK, payload));
    steps
}

fn segment(ends: &Ends, what: &str, direction: Direction, flags: u8, payload: &[u8]) -> Step {
    let (source, destination) = ports(ends, direction);
    // A sequence number behind the SYN's, so that the stream begins where it should.
    let sequence: u32 = if flags & SYN != 0 { 1 } else { 2 };
    let acknowledged: u32 = if flags & ACK != 0 { 2 } else { 0 };
    let mut transport = Vec::new();
    transport.extend(source.to_be_bytes());
    transport.extend(destination.to_be_bytes());
    transport.extend(sequence.to_be_bytes());
    transport.extend(acknowledged.to_be_bytes());
    transport.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
    transport.extend(payload);
    step(ends, what, direction, &transport)
}

fn datagram(ends: &Ends, what: &str, payload: &[u8]) -> Step {
    let (source, destination) = ports(ends, SENT);
    let mut transport = Vec::new();
    transport.extend(source.to_be_bytes());
    transport.extend(destination.to_be_bytes());
    transport.extend(length16(8 + payload.len()).to_be_bytes());
    transport.extend([0, 0]);
    transport.extend(payload);
    step(ends, what, SENT, &transport)
}

fn ports(ends: &Ends, direction: Direction) -> (u16, u16) {
    match direction {
        Direction::Sent => (ends.local.1, ends.remote.1),
        Direction::Received => (ends.remote.1, ends.local.1),
    }
}

fn step(ends: &Ends, what: &str, direction: Direction, transport: &[u8]) -> Step {
    let (source, destination) = match direction {
        Direction::Sent => (ends.local.0, ends.remote.0),
        Direction::Received => (ends.remote.0, ends.local.0),
    };
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(network(source, destination, ends.transport, transport));
    Step {
        what: what.to_owned(),
        direction,
        frame,
    }
}

/// From the EtherType on. Two families never meet: [`Ends`] of both are refused where they are typed.
fn network(source: IpAddr, destination: IpAddr, protocol: Transport, transport: &[u8]) -> Vec<u8> {
    let number = match protocol {
        Transport::Tcp => 6,
        Transport::Udp => 17,
    };
    let mut bytes = Vec::new();
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            bytes.extend([0x08, 0x00, 0x45, 0]);
            bytes.extend(length16(20 + transport.len()).to_be_bytes());
            bytes.extend([0, 0, 0x40, 0, 64, number, 0, 0]);
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
        }
        (source, destination) => {
            let v6 = |address: IpAddr| match address {
                IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                IpAddr::V6(v6) => v6,
            };
            bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            bytes.extend(length16(transport.len()).to_be_bytes());
            bytes.extend([number, 64]);
            bytes.extend(v6(source).octets());
            bytes.extend(v6(destination).octets());
        }
    }
    bytes.extend(transport);
    bytes
}

/// A TLS 1.2 hello (RFC 5246 section 7.4.1.2) with nothing in it but the name (RFC 6066 section 3).
fn client_hello(name: &str) -> Vec<u8> {
    let name = name.as_bytes();
    let mut list = vec![0];
    list.extend(length16(name.len()).to_be_bytes());
    list.extend(name);
    let mut extension = vec![0, 0];
    extension.extend(length16(list.len() + 2).to_be_bytes());
    extension.extend(length16(list.len()).to_be_bytes());
    extension.extend(list);

    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    hello.push(0);
    hello.extend([0, 4, 0x13, 1, 0x13, 2]);
    hello.extend([1, 0]);
    hello.extend(length16(extension.len()).to_be_bytes());
    hello.extend(extension);

    let mut handshake = vec![1, 0];
    handshake.extend(length16(hello.len()).to_be_bytes());
    handshake.extend(hello);
    let mut record = vec![22, 3, 1];
    record.extend(length16(handshake.len()).to_be_bytes());
    record.extend(handshake);
    record
}

/// A question for the IPv4 address of a name (RFC 1035 section 4.1).
fn question(name: &str) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let label = label.as_bytes();
        message.push(u8::try_from(label.len().min(LABEL_MAX)).unwrap_or(0));
        message.extend(label.iter().take(LABEL_MAX));
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// Lengths here are far below: names are at most [`NAME_MAX`] bytes.
fn length16(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}
