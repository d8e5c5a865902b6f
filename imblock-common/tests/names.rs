//! Names: read alike from a hello and from a question, whatever their case, on label boundaries.
#![expect(clippy::unwrap_used, reason = "tests")]

use core::cell::Cell;

use imblock_common::layout::{Control, Half, HostEntry, Marker, MarkerSets, NameKey, PortEntry};
use imblock_common::tables::LivePolicy;
use imblock_common::testkit::{ClientHello, Frame, Layer, Random, World, dns_query, service};
use imblock_common::{
    Action, Addr, Evidence, Judgement, Outcome, Tables, Transport, View, classify,
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

/// Tables that know nothing, and keep the key they were asked for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    flags: u32,
    key: &'a Cell<Option<NameKey>>,
}

impl Tables for Asked<'_> {
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

    fn remote(self, _: Half, _: &Addr) -> u16 {
        0
    }

    fn name(self, key: &NameKey) -> u16 {
        self.key.set(Some(*key));
        0
    }

    fn marker_sets<R>(self, _: Half, _: Transport, _: impl FnOnce(&MarkerSets) -> R) -> Option<R> {
        None
    }

    fn marker<R>(self, _: Half, _: Transport, _: u8, _: impl FnOnce(&Marker) -> R) -> Option<R> {
        None
    }

    fn stun_attribute(self, _: Half, _: u16) -> (u16, bool) {
        (0, true)
    }

    fn action(self, _: Half, _: u16, _: u16) -> Action {
        Action::Allow
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
    }
}
