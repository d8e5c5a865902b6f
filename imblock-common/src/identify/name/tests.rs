//! What is answered, where the judgement of one packet does not show it.
#![expect(clippy::unwrap_used, reason = "tests")]

extern crate std;
use std::string::String;
use std::vec::Vec;

use super::*;
use crate::stream;
use crate::testkit::{
    ClientHello, World, dns_query, dns_query_tcp, http_request, service, socks5_host,
};

fn scene(transport: Transport, remote_port: u16, payload: &[u8]) -> Scene {
    Scene {
        payload: Payload {
            at: 0,
            end: payload.len(),
        },
        local_port: 40_000,
        remote_port,
        transport,
        direction: Direction::Sent,
        sender: Sender::Client,
        first: true,
        within: 0,
        half: Half::of_generation(1),
    }
}

fn sent(payload: &[u8]) -> Finding {
    let scene = scene(Transport::Tcp, 443, payload);
    find(payload, &scene, &World::standard())
}

fn other(evidence: Evidence) -> Finding {
    Finding::only(Answer::Other, evidence)
}

#[test]
fn a_name_tells_the_flow_or_that_it_is_another_one() {
    let hello = |host: &str| sent(&ClientHello::new(host).build());
    assert_eq!(hello("t.me"), Finding::flow(service::CHAT, Evidence::Sni));
    assert_eq!(hello("example.org"), other(Evidence::Sni));
    assert_eq!(hello("192.0.2.7"), Finding::NOTHING);
    assert_eq!(sent(&ClientHello::nameless().build()), Finding::NOTHING);
    let request = |host: &str| sent(&http_request("GET", "/", host));
    assert_eq!(
        request("t.me"),
        Finding::flow(service::CHAT, Evidence::Http)
    );
    assert_eq!(request("example.org:80"), other(Evidence::Http));
    assert_eq!(request("192.0.2.7:80").answer, Answer::Nothing);
    assert_eq!(
        request("198.51.100.65:80"),
        Finding::flow(service::CHAT, Evidence::Http)
    );
    assert_eq!(sent(&socks5_host("example.org", 443)), Finding::NOTHING);
}

#[test]
fn a_hello_that_goes_on_asks_for_more_and_is_answered_when_it_is_whole() {
    let world = World::standard();
    for (host, whole) in [
        ("t.me", Finding::flow(service::CHAT, Evidence::Sni)),
        ("example.org", other(Evidence::Sni)),
    ] {
        let hello = ClientHello::new(host).padded(1500).post_quantum();
        let record = hello.build();
        let first = record.get(..1400).unwrap();
        assert_eq!(sent(first), Finding::only(Answer::More, Evidence::Sni));
        let handshake = hello.handshake();
        let gathered = |length| {
            let payload = Payload { at: 0, end: length };
            let half = Half::of_generation(1);
            stream::finding(handshake.as_slice(), payload, half, &world)
        };
        assert_eq!(gathered(1395).answer, Answer::More);
        assert_eq!(gathered(handshake.len()), whole);
    }
}

#[test]
fn a_question_is_a_matter_of_its_own_packet() {
    let world = World::standard();
    let asks = |transport, payload: &[u8]| find(payload, &scene(transport, 53, payload), &world);
    let packet = Finding {
        answer: Answer::Packet,
        ..Finding::flow(service::CHAT, Evidence::Dns)
    };
    assert_eq!(asks(Transport::Udp, &dns_query("web.t.me")), packet);
    assert_eq!(asks(Transport::Tcp, &dns_query_tcp("web.t.me")), packet);
    for (transport, payload) in [
        (Transport::Udp, dns_query("example.org")),
        (Transport::Tcp, dns_query_tcp("example.org")),
    ] {
        assert_eq!(asks(transport, &payload), Finding::NOTHING);
    }
}

#[test]
fn only_what_a_client_sent_is_heard() {
    let world = World::standard();
    let hello = ClientHello::new("t.me").build();
    let known = scene(Transport::Tcp, 443, &hello);
    let heard = |scene| find(hello.as_slice(), &scene, &world).service;
    assert_eq!(heard(known), service::CHAT);
    let unknown = Sender::Unknown;
    assert_eq!(
        heard(Scene {
            sender: unknown,
            ..known
        }),
        service::CHAT
    );
    let server = Sender::Server;
    assert_eq!(
        heard(Scene {
            sender: server,
            ..known
        }),
        0
    );
    let direction = Direction::Received;
    assert_eq!(heard(Scene { direction, ..known }), 0);
    let transport = Transport::Udp;
    assert_eq!(heard(Scene { transport, ..known }), 0);
}

#[test]
fn a_key_is_the_name_wherever_it_lies() {
    // Nearer to the beginning than any frame puts it: most words would begin in front of it.
    let half = Half::of_generation(0);
    for name in ["a", "t.me", "web.whatsapp.com"] {
        let text: String = ["\x01\0\x03\x05\0\0\0.", name].concat();
        let host = HostName::text(text.as_bytes(), text.len(), name.len()).unwrap();
        let padded: Vec<u8> = text.bytes().chain([0; 8]).collect();
        let key = key(padded.as_slice(), half, NameKey::HOST, host);
        let expected = NameKey::of_suffix(half, name);
        assert_eq!(key, expected.map(|(_, key)| key), "{name}");
        assert_eq!(key, Some(NameKey::of_name(half, NameKey::HOST, name)));
    }
}
