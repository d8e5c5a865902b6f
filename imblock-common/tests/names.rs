//! Names: read alike from a hello and from a question, whatever their case, on label boundaries.
#![expect(clippy::unwrap_used, reason = "tests")]

use core::cell::Cell;
use core::net::Ipv4Addr;

use imblock_common::buckets::{self, Buckets};
use imblock_common::flows;
use imblock_common::layout::{
    Control, Generic, Half, HopRule, HostEntry, Marker, MarkerSets, NameKey, PortEntry, Rate,
};
use imblock_common::parse::{HTTP_HOST_MAX, HTTP_SEARCHED};
use imblock_common::stream::Head;
use imblock_common::tables::LivePolicy;
use imblock_common::testkit::{
    ClientHello, Frame, Layer, NoBuckets, NoFlows, Random, World, dns_query, dns_query_tcp,
    http_request, service, socks4_address, socks4_host, socks5_address, socks5_host,
};
use imblock_common::{
    Action, Addr, Evidence, Judgement, Memory, Outcome, Tables, Transport, View, classify,
};
use proptest::collection::vec;
use proptest::prelude::*;

const LAN_INGRESS: View = View::ALL[0];

fn client() -> Frame {
    Frame::eth().ipv4("10.0.0.5", "198.51.100.7")
}

fn hello(host: &str) -> Frame {
    client()
        .tcp(40_000, 443)
        .payload(&ClientHello::new(host).build())
}

fn question(host: &str) -> Frame {
    client().udp(40_000, 53).payload(&dns_query(host))
}

fn judge(frame: &Frame) -> Judgement {
    classify(frame.build().as_slice(), LAN_INGRESS, &World::standard())
}

/// Tables that know nothing, and keep the host's key they were asked for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    flags: u32,
    key: &'a Cell<Option<NameKey>>,
}

impl Memory for Asked<'_> {
    fn recent(self) -> (impl Buckets, buckets::Shape) {
        (NoBuckets, NoBuckets::SHAPE)
    }

    fn hops(self) -> (impl Buckets, buckets::Shape) {
        (NoBuckets, NoBuckets::SHAPE)
    }

    fn parts(self) -> (impl Buckets, buckets::Shape) {
        (NoBuckets, NoBuckets::SHAPE)
    }

    fn seconds(self) -> u32 {
        0
    }

    fn nanoseconds(self) -> u64 {
        0
    }

    fn limits(self) -> (impl Buckets, buckets::Shape) {
        (NoBuckets, NoBuckets::SHAPE)
    }

    fn limit_shared(self) {}

    fn control_flags(self) -> u32 {
        0
    }
}

impl Tables for Asked<'_> {
    fn rate(self, _: Half, _: u16, _: u16) -> Rate {
        Rate::NONE
    }

    fn policy(self) -> LivePolicy {
        LivePolicy {
            half: Half::of_generation(1),
            flags: self.flags,
        }
    }

    fn port(self, _: Half, _: Transport, _: u16) -> PortEntry {
        PortEntry::default()
    }

    fn host(self, _: Half, _: &Addr) -> HostEntry {
        HostEntry::default()
    }

    fn may_be_remote(self, _: Half, _: &Addr) -> bool {
        false
    }

    fn mac(self, _: Half, _: [u8; 6]) -> u16 {
        0
    }

    fn remote(self, _: Half, _: &Addr) -> u16 {
        0
    }

    fn flows(self) -> impl flows::Slots {
        NoFlows
    }

    fn head<R>(self, _: u64, _: impl FnOnce(&mut Head, u32) -> R) -> Option<R> {
        None
    }

    fn flow_shape(self) -> flows::Shape {
        NoFlows::SHAPE
    }

    fn name(self, key: &NameKey) -> u16 {
        if key.kind == NameKey::HOST {
            self.key.set(Some(*key));
        }
        0
    }

    fn marker_sets<R>(self, _: Half, _: Transport, _: impl FnOnce(&MarkerSets) -> R) -> Option<R> {
        None
    }

    fn marker<R>(self, _: Half, _: Transport, _: u8, _: impl FnOnce(&Marker) -> R) -> Option<R> {
        None
    }

    fn action(self, _: Half, _: u16, _: u16) -> Action {
        Action::Allow
    }

    fn stun_attribute(self, _: Half, _: u16) -> (u16, bool) {
        (0, false)
    }

    fn generic(self, _: Half, _: Generic) -> u16 {
        0
    }

    fn carries(self, _: Half, _: u16) -> bool {
        false
    }

    fn calls(self, _: Half, _: u16) -> bool {
        false
    }

    fn hop_rule(self, _: Half) -> HopRule {
        HopRule::COUNT
    }
}

fn key_of(frame: &Frame, flags: u32) -> Option<NameKey> {
    let key = Cell::new(None);
    classify(
        frame.build().as_slice(),
        LAN_INGRESS,
        Asked { flags, key: &key },
    );
    key.get()
}

/// The key as a policy would write it, of any name: of a longer one, the end.
fn expected(host: &str) -> NameKey {
    let letters = host.bytes().rev().map(|letter| letter.to_ascii_lowercase());
    let mut backwards = [0; NameKey::LENGTH];
    for (to, from) in backwards.iter_mut().zip(letters.chain([b'.'])) {
        *to = from;
    }
    NameKey {
        half: 1,
        kind: NameKey::HOST,
        reserved: [0; 2],
        backwards,
    }
}

/// Names as they may stand in a question: labels of 1 to 63 bytes, 253 in all.
fn hosts() -> impl Strategy<Value = String> {
    vec("[a-zA-Z0-9_-]{1,63}", 1..9)
        .prop_map(|labels| labels.join("."))
        .prop_filter("at most 253 bytes", |host| host.len() <= 253)
}

#[test]
fn without_names_in_the_policy_no_name_is_read() {
    assert!(key_of(&hello("t.me"), Control::HAS_NAMES).is_some());
    assert_eq!(key_of(&hello("t.me"), 0), None);
    assert_eq!(key_of(&question("t.me"), !Control::HAS_NAMES), None);
}

#[test]
fn a_suffix_of_a_policy_and_a_name_on_the_wire_make_the_same_key() {
    let (bits, key) = NameKey::of_suffix(Half::of_generation(1), "WhatsApp.com").unwrap();
    assert_eq!(bits, 32 + 8 * 13);
    assert_eq!(key, expected("whatsapp.com"));
    assert_eq!(
        key_of(&hello("whatsapp.COM"), Control::HAS_NAMES),
        Some(key)
    );
    assert_eq!(
        key_of(&question("whatsapp.COM"), Control::HAS_NAMES),
        Some(key)
    );
}

#[test]
fn a_message_cut_at_any_byte_is_named_or_not_and_nothing_else() {
    let whole = [
        (hello("web.whatsapp.com"), Evidence::Sni),
        (question("web.whatsapp.com"), Evidence::Dns),
    ];
    for (frame, evidence) in whole {
        let length = frame.build().len() - frame.offset(Layer::Payload);
        let mut named = false;
        for kept in 0..=length {
            let judgement = judge(&frame.clone().cut(Layer::Payload, kept));
            let now = judgement.outcome == Outcome::Identified;
            assert!(
                now || judgement.outcome == Outcome::Unidentified,
                "{kept} of {length}"
            );
            assert!(now || !named, "named with fewer bytes than {kept}");
            if now {
                assert_eq!(
                    (judgement.service, judgement.evidence),
                    (service::CHAT, evidence)
                );
            }
            named = now;
        }
        assert!(named);
    }
}

#[test]
fn each_byte_of_a_hello_may_be_any_without_a_panic() {
    let frame = hello("web.whatsapp.com");
    for at in 0..ClientHello::new("web.whatsapp.com").build().len() {
        for value in [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xff] {
            let judgement = judge(&frame.clone().patch(Layer::Payload, at, &[value]));
            assert!(matches!(
                judgement.service,
                0 | service::CHAT | service::CALLS
            ));
        }
    }
}

/// A TCP payload of a client's, to a port.
fn sent(port: u16, payload: &[u8]) -> Frame {
    client().tcp(40_000, port).payload(payload)
}

/// The service and what told it, if anything did.
fn told(payload: &[u8]) -> Option<(u16, Evidence)> {
    told_by(&World::standard(), &sent(8080, payload))
}

fn told_by(world: &World, frame: &Frame) -> Option<(u16, Evidence)> {
    let judgement = classify(frame.build().as_slice(), LAN_INGRESS, world);
    let identified = judgement.outcome == Outcome::Identified;
    identified.then_some((judgement.service, judgement.evidence))
}

const BY_HTTP: Option<(u16, Evidence)> = Some((service::CHAT, Evidence::Http));
const BY_SOCKS: Option<(u16, Evidence)> = Some((service::CHAT, Evidence::Socks));

#[test]
fn a_request_names_its_host() {
    let methods = ["GET", "POST", "HEAD", "PUT", "OPTIONS", "DELETE", "PATCH"];
    for method in methods {
        let to = |host| told(&http_request(method, "/chat?a=b", host));
        assert_eq!(to("web.whatsapp.com"), BY_HTTP, "{method}");
        assert_eq!(to("T.me:8080"), BY_HTTP, "{method}");
        assert_eq!(to("t.me."), BY_HTTP, "{method}");
        assert_eq!(to("xt.me"), None, "{method}");
        assert_eq!(to(""), None, "{method}");
        assert_eq!(to("[2001:db8::1]:80"), None, "{method}");
        // What a proxy is asked for is in the target; the field may be anything.
        let by_target = http_request(method, "http://t.me/path", "example.org");
        assert_eq!(told(&by_target), BY_HTTP, "{method}");
        let other_target = http_request(method, "HTTP://example.org/", "t.me");
        assert_eq!(told(&other_target), None, "{method}");
    }
    assert_eq!(told(&http_request("BREW", "/", "t.me")), None);
    assert_eq!(told(&http_request("get", "/", "t.me")), None);
    assert_eq!(told(b"PRI * HTTP/2.0\r\nHost: t.me\r\n\r\n"), None);
}

#[test]
fn a_host_field_is_one_line_of_the_header() {
    for (request, expect) in [
        ("GET / HTTP/1.1\r\nhOST:t.me\r\n\r\n", BY_HTTP),
        ("GET / HTTP/1.1\r\nHost: \t t.me \r\n\r\n", BY_HTTP),
        ("GET / HTTP/1.0\nHost: t.me\n\n", BY_HTTP),
        ("GET / HTTP/1.1\r\nX-Host: t.me\r\n\r\n", None),
        ("GET / HTTP/1.1\r\n\r\n\r\nHost: t.me\r\n\r\n", None),
        ("GET / HTTP/1.0\n\nHost: t.me\n\n", None),
        ("GET /Host:t.me HTTP/1.1\r\n\r\n", None),
        ("GET / HTTP/1.1\r\nHost: t.me", None),
    ] {
        assert_eq!(told(request.as_bytes()), expect, "{request}");
    }
}

#[test]
fn a_host_field_is_searched_for_up_to_a_limit() {
    // "/" and the target's letters, " HTTP/1.1\r\nUser-Agent: test\r" before the line's end.
    let between = " HTTP/1.1\r\nUser-Agent: test\r".len();
    let target = |length: usize| "/".repeat(length);
    let request = |length| http_request("GET", &target(length), "t.me");
    let fits = HTTP_SEARCHED - 1 - between;
    assert_eq!(told(&request(fits)), BY_HTTP);
    assert_eq!(told(&request(fits + 1)), None);

    let under = |letters: usize| "a".repeat(letters - ".t.me".len()) + ".t.me";
    let to = |letters| told(&http_request("GET", "/", &under(letters)));
    assert_eq!(to(HTTP_HOST_MAX), BY_HTTP);
    assert_eq!(to(HTTP_HOST_MAX + 1), None);
}

#[test]
fn a_proxy_is_asked_for_a_host_or_for_a_port() {
    let connect = |target| told(&http_request("CONNECT", target, "example.org"));
    assert_eq!(connect("t.me:443"), BY_HTTP);
    assert_eq!(
        connect("example.org:6667"),
        Some((service::IRC, Evidence::Http))
    );
    assert_eq!(connect("example.org:443"), None);
    assert_eq!(connect("example.org:66670"), None);
    assert_eq!(connect("example.org:4294973963"), None);
    assert_eq!(connect("example.org"), None);
    // The address of a service, written where a name belongs.
    assert_eq!(connect("198.51.100.65:443"), BY_HTTP);
    assert_eq!(connect("198.51.100.1:443"), None);
    assert_eq!(
        connect("198.51.100.1:6667"),
        Some((service::IRC, Evidence::Http))
    );
    for nowhere in [
        "4.198.51.100.65:443",
        "198.51.1124.65:443",
        "198.51.356.65:443",
        "198.51.100:443",
        "198.51.100.:443",
        "198..100.65:443",
        "t198.51.100.65:443",
    ] {
        assert_eq!(connect(nowhere), None, "{nowhere}");
    }
    // A port in front of another target says nothing.
    let other = http_request("GET", "http://example.org:6667/", "example.org");
    assert_eq!(told(&other), None);
}

#[test]
fn a_socks_proxy_is_asked_for_a_host_or_an_address() {
    let irc = Some((service::IRC, Evidence::Socks));
    let inside: Ipv4Addr = "198.51.100.65".parse().unwrap();
    let outside: Ipv4Addr = "198.51.100.1".parse().unwrap();
    assert_eq!(told(&socks5_host("web.whatsapp.com", 443)), BY_SOCKS);
    assert_eq!(told(&socks5_host("example.org", 443)), None);
    assert_eq!(told(&socks5_host("example.org", 6667)), irc);
    assert_eq!(told(&socks5_address(inside.into(), 443)), BY_SOCKS);
    assert_eq!(told(&socks5_address(outside.into(), 6667)), irc);
    assert_eq!(told(&socks5_address(outside.into(), 443)), None);
    let v6 = "2001:db8:ffff:64::1".parse().unwrap();
    assert_eq!(told(&socks5_address(v6, 443)), BY_SOCKS);
    assert_eq!(told(&socks4_host("t.me", 443, "me")), BY_SOCKS);
    assert_eq!(told(&socks4_address(inside, 443, "")), BY_SOCKS);
    assert_eq!(told(&socks4_address(outside, 6667, "somebody")), irc);
    assert_eq!(told(&[5, 1, 0]), None);
    assert_eq!(told(&[5, 3, 0, 1, 2]), None);
    let whole = [
        socks5_host("t.me", 443),
        socks5_address(inside.into(), 443),
        socks4_host("t.me", 443, ""),
        socks4_address(inside, 443, "me"),
    ];
    for request in whole {
        for kept in 0..request.len() {
            assert_eq!(
                told(request.get(..kept).unwrap()),
                None,
                "{request:?} {kept}"
            );
        }
        let more = [request.clone(), vec![1]].concat();
        assert_eq!(told(&more), None, "{request:?}");
    }
}

#[test]
fn a_question_over_tcp_is_a_question() {
    let asks = |frame: &Frame| told_by(&World::standard(), frame);
    let question = dns_query_tcp("web.whatsapp.com");
    let expect = Some((service::CHAT, Evidence::Dns));
    assert_eq!(asks(&sent(53, &question)), expect);
    let two = [question.clone(), question.clone()].concat();
    assert_eq!(asks(&sent(53, &two)), expect);
    assert_eq!(asks(&sent(853, &question)), None);
    // Its length went ahead in a segment of its own.
    assert_eq!(asks(&sent(53, &dns_query("web.whatsapp.com"))), expect);
    assert_eq!(asks(&sent(53, &[0, 34])), None);
    assert_eq!(asks(&sent(53, &[0; 40])), None);
    // The name reaches beyond the message.
    let mut short = question;
    short.splice(..2, [0, 20]);
    assert_eq!(asks(&sent(53, &short)), None);
}

#[test]
fn a_protocol_counts_where_no_name_does() {
    let mut world = World::standard();
    world.protocols = vec![("xmpp-client", service::XMPP), ("t.me", service::IRC)];
    let says = |hello: &ClientHello| told_by(&world, &sent(443, &hello.build()));
    let named = |host: &str, protocol| ClientHello::new(host).protocols(&[protocol, "h2"]);
    let by_protocol = Some((service::XMPP, Evidence::Alpn));
    assert_eq!(says(&named("example.org", "xmpp-client")), by_protocol);
    assert_eq!(
        says(&ClientHello::nameless().protocols(&["xmpp-client"])),
        by_protocol
    );
    assert_eq!(
        says(&named("t.me", "xmpp-client")),
        Some((service::CHAT, Evidence::Sni))
    );
    assert_eq!(says(&named("example.org", "xmpp-server")), None);
    // Protocols and hosts are not taken for each other.
    assert_eq!(says(&named("xmpp-client", "whatsapp.com")), None);
    let (bits, key) = NameKey::of_alpn(Half::of_generation(1), "XMPP-client").unwrap();
    assert_eq!(bits, 32 + 8 * 12);
    assert_eq!((key.kind, key.reserved), (NameKey::ALPN, [0; 2]));
    assert_ne!(key, expected("xmpp-client"));
}

/// More than a request has between its target and the name of its host.
const BETWEEN: usize = 112;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// The key is the name, lower-cased and backwards, however the protocol writes it.
    #[test]
    fn the_key_is_the_name_backwards(host in hosts(), words in 0..=10_usize, session in 0..=32_usize, padding in 0..300_usize, seed in any::<u64>()) {
        let shuffled = ClientHello::new(&host).session_id(session).padded(padding).shuffled(&mut Random::new(seed));
        let hello = client().tcp(40_000, 443).options(words).payload(&shuffled.build());
        prop_assert_eq!(key_of(&hello, Control::HAS_NAMES), Some(expected(&host)));
        prop_assert_eq!(key_of(&question(&host), Control::HAS_NAMES), Some(expected(&host)));
    }

    /// Any bytes may be a server name; only capitals change.
    #[test]
    fn bytes_that_are_no_letters_stay(bytes in vec(1..=0x7f_u8, 1..100)) {
        let host = String::from_utf8(bytes).unwrap();
        let name = host.strip_suffix('.').unwrap_or(&host);
        let wanted = (!name.is_empty()).then(|| expected(name));
        prop_assert_eq!(key_of(&hello(&host), Control::HAS_NAMES), wanted);
    }

    /// A suffix counts from a label's start only.
    #[test]
    fn a_suffix_begins_with_a_label(before in "[a-z0-9.-]{0,20}", upper in any::<bool>()) {
        let mut host = format!("{before}whatsapp.com");
        if upper {
            host = host.to_ascii_uppercase();
        }
        // The other suffix that the policy knows under this one.
        prop_assume!(!before.ends_with("calls."));
        let at_label = before.is_empty() || before.ends_with('.');
        let judgement = judge(&hello(&host));
        prop_assert_eq!(judgement.service, if at_label { service::CHAT } else { 0 });
    }

    /// Random payloads behind the first bytes of a hello or a question.
    #[test]
    fn any_payload_is_survived(payload in vec(any::<u8>(), 0..200)) {
        let mut hello = vec![22, 3, 1, 0, 0, 1];
        hello.extend(&payload);
        judge(&client().tcp(40_000, 443).payload(&hello));
        let mut question = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        question.extend(&payload);
        judge(&client().udp(40_000, 53).payload(&question));
        for start in ["GET ", "CONNECT ", "GET / HTTP/1.1\r\nHost: ", "\x05\x01\0", "\x04\x01"] {
            judge(&sent(80, &[start.as_bytes(), &payload].concat()));
        }
        judge(&sent(53, &payload));
    }

    /// The key of a request's host is the same as that of a hello's, whatever stands around it.
    #[test]
    fn every_protocol_makes_the_same_key(host in hosts(), before in 0..HTTP_SEARCHED - BETWEEN, port in any::<u16>()) {
        let wanted = Some(expected(&host));
        let target = "/".repeat(before + 1);
        let key = |payload: &[u8]| key_of(&sent(3128, payload), Control::HAS_NAMES);
        if host.len() <= HTTP_HOST_MAX {
            prop_assert_eq!(key(&http_request("GET", &target, &host)), wanted);
            prop_assert_eq!(key(&http_request("GET", &format!("http://{host}/"), "x")), wanted);
            prop_assert_eq!(key(&http_request("CONNECT", &format!("{host}:{port}"), "x")), wanted);
            prop_assert_eq!(key(&socks4_host(&host, port, "")), wanted);
        }
        prop_assert_eq!(key(&socks5_host(&host, port)), wanted);
        prop_assert_eq!(key_of(&sent(53, &dns_query_tcp(&host)), Control::HAS_NAMES), wanted);
    }
}
