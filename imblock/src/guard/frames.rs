//! Frames of what is guarded, as they come over Ethernet. Checksums are left at 0: nobody reads them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use imblock_common::Transport;
use imblock_common::parse::ethertype;

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const SYN: u8 = 0x02;
const PSH_ACK: u8 = 0x18;

/// RFC 826: a question and an answer.
pub(super) fn arp() -> Vec<Vec<u8>> {
    [1, 2]
        .map(|operation| {
            let mut body = vec![0, 1, 8, 0, 6, 4, 0, operation];
            body.extend([0; 20]);
            ethernet(0x0806, &body)
        })
        .to_vec()
}

/// RFC 4861: solicitations, advertisements and redirects.
pub(super) fn discovery() -> Vec<Vec<u8>> {
    let (host, all) = (link_local(7), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1));
    (133..=137)
        .map(|kind| {
            let mut message = vec![kind];
            message.extend([0; 31]);
            ipv6(host, all, ICMPV6, &message)
        })
        .collect()
}

/// RFC 2131 and RFC 8415: what a client sends to everybody and to its server, and is sent.
pub(super) fn dhcp() -> Vec<Vec<u8>> {
    let v4 = |from: Ipv4Addr, to: Ipv4Addr, ports: [u16; 2]| {
        let [source, destination] = ports;
        (
            SocketAddr::new(from.into(), source),
            SocketAddr::new(to.into(), destination),
        )
    };
    let v6 = |from: Ipv6Addr, to: Ipv6Addr, ports: [u16; 2]| {
        let [source, destination] = ports;
        (
            SocketAddr::new(from.into(), source),
            SocketAddr::new(to.into(), destination),
        )
    };
    let (client, server) = (Ipv4Addr::new(10, 0, 0, 9), Ipv4Addr::new(10, 0, 0, 1));
    let servers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
    [
        v4(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, [68, 67]),
        v4(client, server, [68, 67]),
        v4(server, client, [67, 68]),
        v4(server, server, [67, 67]),
        v6(link_local(9), servers, [546, 547]),
        v6(link_local(1), link_local(9), [547, 546]),
    ]
    .into_iter()
    .flat_map(|(from, to)| said(Transport::Udp, from, to))
    .collect()
}

/// What one end says to another: the beginning of a connection and a line, or datagrams of which one
/// may be the first of QUIC.
pub(super) fn said(transport: Transport, from: SocketAddr, to: SocketAddr) -> Vec<Vec<u8>> {
    let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    let packet = |protocol, body: &[u8]| match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ipv4(from, to, protocol, body),
        (IpAddr::V6(from), IpAddr::V6(to)) => ipv6(from, to, protocol, body),
        // No such packet exists.
        _ => Vec::new(),
    };
    match transport {
        Transport::Tcp => [(SYN, "".as_bytes()), (PSH_ACK, b"NICK guest\r\n")]
            .map(|(flags, payload)| {
                let mut segment = ports.clone();
                segment.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
                segment.extend(payload);
                packet(TCP, &segment)
            })
            .to_vec(),
        Transport::Udp => [b"\x01\x02\x03\x04".to_vec(), initial()]
            .map(|payload| {
                let mut datagram = ports.clone();
                datagram.extend(length(8 + payload.len()));
                datagram.extend([0, 0]);
                datagram.extend(payload);
                packet(UDP, &datagram)
            })
            .to_vec(),
    }
}

/// What looks like the first datagram of QUIC version 1 (RFC 9000 section 17.2.2).
fn initial() -> Vec<u8> {
    let mut payload = vec![
        0xc3, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0x96,
    ];
    payload.resize(1200, 0xa5);
    payload
}

fn ethernet(ethertype: u16, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(body);
    frame
}

fn ipv4(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend(length(20 + body.len()));
    packet.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(body);
    ethernet(ethertype::IPV4, &packet)
}

fn ipv6(from: Ipv6Addr, to: Ipv6Addr, protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(length(body.len()));
    packet.extend([protocol, 255]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(body);
    ethernet(ethertype::IPV6, &packet)
}

const fn link_local(host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host)
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}
