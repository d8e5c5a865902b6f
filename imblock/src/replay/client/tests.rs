//! Each rule, and that the earlier one wins.

use imblock_common::parse::Part;

use super::*;
use crate::replay::fixtures::plan;

type Socket = (&'static str, u16);

const SYN_ACK: u8 = SYN | ACK;
const PRIVATE: Socket = ("10.0.0.1", 40_000);
const PRIVATE_TOO: Socket = ("192.168.0.9", 50_000);
const PUBLIC: Socket = ("192.0.2.1", 50_000);
const PUBLIC_TOO: Socket = ("198.51.100.1", 50_001);

/// The client of a packet, `flags` none for UDP.
fn client(local: &[&str], from: Socket, to: Socket, flags: Option<u8>) -> Client {
    let plan = plan();
    let local: Vec<IpNet> = local.iter().map(|net| net.parse().unwrap()).collect();
    let addr = |(addr, _): Socket| Addr::from(addr.parse::<IpAddr>().unwrap());
    let segment = Segment {
        source: addr(from),
        destination: addr(to),
        source_port: from.1,
        destination_port: to.1,
        transport: match flags {
            Some(_) => Transport::Tcp,
            None => Transport::Udp,
        },
        transport_at: 0,
        end: 0,
        part: Part::Whole,
        identification: 0,
    };
    let mut header = [0; 20];
    if let Some(byte) = header.get_mut(TCP_FLAGS_AT) {
        *byte = flags.unwrap_or_default();
    }
    ClientRules::new(&local, &plan).client(&header[..], &segment)
}

#[test]
fn what_the_user_calls_local_comes_first() {
    let net = ["192.0.2.0/24"];
    let from_public = client(&net, PUBLIC, PRIVATE, Some(SYN_ACK));
    assert_eq!(from_public, Client::Source);
    let to_public = client(&net, PRIVATE, PUBLIC, Some(SYN));
    assert_eq!(to_public, Client::Destination);
    // Both ends, or neither: the other rules decide.
    let both = ["0.0.0.0/0"];
    assert_eq!(client(&both, PRIVATE, PUBLIC, Some(SYN)), Client::Source);
    let neither = ["2001:db8::/32"];
    assert_eq!(client(&neither, PRIVATE, PUBLIC, Some(SYN)), Client::Source);
}

#[test]
fn a_handshake_tells_who_calls() {
    // Also where the address is private on the other side.
    assert_eq!(client(&[], PUBLIC, PRIVATE, Some(SYN)), Client::Source);
    let answer = client(&[], PRIVATE, PUBLIC, Some(SYN_ACK));
    assert_eq!(answer, Client::Destination);
    // In UDP there is no handshake, whatever the bytes are.
    assert_eq!(client(&[], PUBLIC, PRIVATE, None), Client::Destination);
}

#[test]
fn in_the_middle_of_a_flow_the_private_end_is_the_client() {
    assert_eq!(client(&[], PRIVATE, PUBLIC, Some(ACK)), Client::Source);
    assert_eq!(client(&[], PUBLIC, PRIVATE, Some(ACK)), Client::Destination);
    for private in [
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.1.1",
        "100.64.0.1",
        "100.127.255.255",
    ] {
        let to_private = client(&[], PUBLIC, (private, 443), None);
        assert_eq!(to_private, Client::Destination, "{private}");
    }
    for public in ["172.32.0.1", "100.128.0.1", "100.63.255.255", "9.9.9.9"] {
        assert_eq!(
            client(&[], PUBLIC, (public, 1), None),
            Client::Source,
            "{public}"
        );
    }
    let public = ("2001:db8::1", 50_000);
    for private in ["fc00::1", "fdff::1", "fe80::1"] {
        let to_private = client(&[], public, (private, 443), None);
        assert_eq!(to_private, Client::Destination, "{private}");
    }
}

#[test]
fn between_equals_the_port_tells_the_server() {
    let answer = |port, other: Socket| client(&[], (PUBLIC.0, port), other, None);
    // A system port, and one that the plan gives to a service.
    assert_eq!(answer(53, PUBLIC_TOO), Client::Destination);
    assert_eq!(answer(1023, PUBLIC_TOO), Client::Destination);
    assert_eq!(answer(3478, PUBLIC_TOO), Client::Destination);
    // The port of a service of the other transport means nothing.
    assert_eq!(answer(6667, PUBLIC_TOO), Client::Source);
    assert_eq!(answer(1024, PUBLIC_TOO), Client::Source);
    // Both serve: the lower one is the server's.
    assert_eq!(answer(53, (PUBLIC_TOO.0, 3478)), Client::Destination);
    assert_eq!(answer(3478, (PUBLIC_TOO.0, 53)), Client::Source);
    assert_eq!(answer(123, (PUBLIC_TOO.0, 123)), Client::Source);
    // Two private ends are equals as well.
    let resolver = client(&[], ("10.0.0.53", 53), PRIVATE_TOO, None);
    assert_eq!(resolver, Client::Destination);
}

#[test]
fn who_sends_first_is_the_client_when_nothing_else_tells() {
    assert_eq!(client(&[], PUBLIC, PUBLIC_TOO, None), Client::Source);
    assert_eq!(client(&[], PUBLIC_TOO, PUBLIC, Some(ACK)), Client::Source);
}

#[test]
fn a_tcp_header_without_flags_is_no_handshake() {
    let plan = plan();
    let segment = Segment {
        source: Addr::v4([192, 0, 2, 1]),
        destination: Addr::v4([10, 0, 0, 1]),
        source_port: 1,
        destination_port: 2,
        transport: Transport::Tcp,
        transport_at: 0,
        end: 0,
        part: Part::Whole,
        identification: 0,
    };
    let cut: &[u8] = &[0; 4];
    let client = ClientRules::new(&[], &plan).client(cut, &segment);
    assert_eq!(client, Client::Destination);
}
