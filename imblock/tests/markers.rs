//! Markers, from the YAML to what the tables tell of a payload.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fmt::Write as _;
use std::sync::LazyLock;

use imblock::catalogue;
use imblock::policy::{self, Plan, Service, ServiceNumbers, Source, Surroundings};
use imblock::replay::MemoryTables;
use imblock_common::content::{Answer, Payload, Reply, Scene, Sender};
use imblock_common::identify::marker;
use imblock_common::layout::Half;
use imblock_common::{Direction, Evidence, Tables as _, Transport};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Bytes in front of the payload, as headers are in every frame.
const HEADERS: usize = 42;

/// The plan of services `a`, `b` and so on with these markers, without those of the catalogue.
fn plan(markers: &[&str]) -> Result<Plan, String> {
    let mut text = "version: 1\nname: test\nservices:\n".to_owned();
    for (letter, marker) in ('a'..='z').zip(markers) {
        let _ = writeln!(
            text,
            "  - {{ id: own-{letter}, name: {letter}, category: im, markers: [{marker}] }}"
        );
    }
    compile(text)
}

fn compile(text: String) -> Result<Plan, String> {
    let source = Source::new("test.yaml".to_owned(), text);
    let policy = policy::parse(source).map_err(|errors| errors.to_string())?;
    let (catalogue, none) = (catalogue(), Surroundings::default());
    let plan = policy.compile_with(catalogue, &mut ServiceNumbers::default(), &none);
    plan.map_err(|errors| errors.to_string())
}

/// The catalogue without its markers, which would take their room and their steps.
fn catalogue() -> &'static [Service] {
    static SERVICES: LazyLock<Vec<Service>> = LazyLock::new(|| {
        let mut services = catalogue::services().unwrap().to_vec();
        for service in &mut services {
            service.markers.clear();
            service.stun.clear();
        }
        services
    });
    &SERVICES
}

/// A payload in its flow.
#[derive(Clone, Debug)]
struct Seen {
    payload: Vec<u8>,
    transport: Transport,
    ports: (u16, u16),
    sender: Sender,
    first: bool,
    /// Id of the service that the flow is known as.
    within: Option<&'static str>,
}

fn tcp(payload: &[u8]) -> Seen {
    Seen {
        payload: payload.to_vec(),
        transport: Transport::Tcp,
        ports: (40_000, 9_999),
        sender: Sender::Client,
        first: true,
        within: None,
    }
}

fn find(plan: &Plan, seen: &Seen) -> Reply {
    find_in(plan, &MemoryTables::new(plan), seen)
}

fn find_in(plan: &Plan, tables: &MemoryTables, seen: &Seen) -> Reply {
    let mut bytes = vec![0x55; HEADERS];
    bytes.extend(&seen.payload);
    let end = bytes.len();
    // What lies behind a payload is none of its business.
    bytes.extend([0x55; 64]);
    let number = |id| plan.service(id).map_or(0, |service| service.number);
    let scene = Scene {
        payload: Payload { at: HEADERS, end },
        local_port: seen.ports.0,
        remote_port: seen.ports.1,
        transport: seen.transport,
        direction: Direction::Sent,
        sender: seen.sender,
        first: seen.first,
        within: seen.within.map_or(0, number),
        half: Half::of_generation(1),
    };
    marker::find(bytes.as_slice(), &scene, tables)
}

/// The id of the service that a marker tells.
fn told(plan: &Plan, seen: &Seen) -> Option<String> {
    told_in(plan, &MemoryTables::new(plan), seen)
}

fn told_in(plan: &Plan, tables: &MemoryTables, seen: &Seen) -> Option<String> {
    let reply = find_in(plan, tables, seen);
    if reply.is_nothing() {
        return None;
    }
    let number = reply.service();
    assert_eq!(reply.evidence(), Evidence::Marker);
    let found = plan
        .services
        .iter()
        .find(|service| service.number == number);
    Some(found.unwrap().id.clone())
}

/// Whether one marker is found in a payload.
fn is_found(marker: &str, seen: &Seen) -> bool {
    told(&plan(&[marker]).unwrap(), seen).is_some()
}

#[track_caller]
fn assert_found(marker: &str, hits: &[&[u8]], misses: &[&[u8]]) {
    for hit in hits {
        assert!(is_found(marker, &tcp(hit)), "{marker}: {hit:02x?}");
    }
    for miss in misses {
        assert!(!is_found(marker, &tcp(miss)), "{marker}: {miss:02x?}");
    }
}

#[test]
fn bytes() {
    assert_found(
        "{ transport: tcp, bytes: '2a 01..05 ?? 0? 83|31 ?7' }",
        &[
            &[0x2a, 1, 0xff, 0x0f, 0x83, 0x17],
            &[0x2a, 5, 0, 0, 0x31, 0xf7, 9, 9],
        ],
        &[
            &[],
            &[0x2a, 1, 0xff, 0x0f, 0x83],
            &[0x2b, 1, 0xff, 0x0f, 0x83, 0x17],
            &[0x2a, 0, 0xff, 0x0f, 0x83, 0x17],
            &[0x2a, 6, 0xff, 0x0f, 0x83, 0x17],
            &[0x2a, 1, 0xff, 0x1f, 0x83, 0x17],
            &[0x2a, 1, 0xff, 0x0f, 0x84, 0x17],
            &[0x2a, 1, 0xff, 0x0f, 0x83, 0x18],
        ],
    );
    // What is not there is no zero.
    assert_found(
        "{ transport: tcp, bytes: '01 00 00' }",
        &[&[1, 0, 0]],
        &[&[1, 0], &[1]],
    );
}

#[test]
fn bytes_behind_what_the_sets_know() {
    let far = "{ transport: tcp, offset: 6, bytes: '01 02 03..06 ?? 83|31 0? 07 08 09 0a 0b 0c' }";
    let hit = [
        0, 0, 0, 0, 0, 0, 1, 2, 5, 0xee, 0x31, 0xc, 7, 8, 9, 10, 11, 12,
    ];
    let hit: Vec<u8> = hit
        .iter()
        .enumerate()
        .map(|(at, byte)| if at == 11 { 0x0c } else { *byte })
        .collect();
    assert_found(far, &[&hit], &[&hit[..17]]);
    for at in 6..hit.len() {
        let mut other = hit.clone();
        other[at] ^= 0x80;
        assert_eq!(is_found(far, &tcp(&other)), at == 9, "byte {at}");
    }
    let longest = format!("{{ transport: tcp, bytes: '{}'}}", "61 ".repeat(48));
    assert_found(&longest, &[&[b'a'; 48], &[b'a'; 50]], &[&[b'a'; 47]]);
}

#[test]
fn text() {
    assert_found(
        r#"{ transport: tcp, text: "NICK \\r\\n\\x7f\\\\" }"#,
        &[b"NICK \r\n\x7f\\"],
        &[b"nick \r\n\x7f\\", b"NICK \r\n\x7f"],
    );
    assert_found(
        "{ transport: tcp, text: 'Nick @[', nocase: true }",
        &[b"NICK @[", b"nick @[", b"nIcK @[x"],
        &[b"nick `[", b"nick @{", b"nicl @["],
    );
}

#[test]
fn length_fields() {
    let equal = "{ transport: tcp, bytes: '2a', length: { at: 2, size: 2, plus: 6 } }";
    assert_found(
        equal,
        &[&[0x2a, 0, 0, 1, 0, 0, 9], &[0x2a, 0, 0, 0, 0, 0]],
        &[
            &[0x2a, 0, 0, 2, 0, 0, 9],
            &[0x2a, 0, 1, 0, 0, 0, 9],
            &[0x2a, 0, 0],
        ],
    );
    let little = "{ transport: tcp, bytes: '2a', length: { at: 1, size: 4, order: little, plus: -2, fits: true } }";
    assert_found(
        little,
        &[
            &[0x2a, 7, 0, 0, 0],
            &[0x2a, 1, 0, 0, 0],
            &[0x2a, 0, 0, 0, 0],
        ],
        &[&[0x2a, 8, 0, 0, 0], &[0x2a, 0, 0, 0, 1], &[0x2a, 0, 0, 0]],
    );
    let three = "{ transport: tcp, bytes: '2a', length: { at: 1, size: 3, plus: 4 } }";
    assert_found(
        three,
        &[&[0x2a, 0, 0, 0], &[0x2a, 0, 0, 1, 0xff]],
        &[&[0x2a, 0, 1, 0]],
    );
    let last = "{ transport: tcp, bytes: '2a', length: { at: 9, size: 1, plus: 10 } }";
    assert_found(
        last,
        &[&[0x2a, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
        &[&[0x2a, 0, 0, 0, 0, 0, 0, 0, 0, 1]],
    );
}

#[test]
fn lengths_of_the_payload() {
    let exact = "{ transport: tcp, bytes: '2a', payload: '3' }";
    assert_found(exact, &[&[0x2a, 0, 0]], &[&[0x2a, 0], &[0x2a, 0, 0, 0]]);
    let between = "{ transport: tcp, bytes: '2a', payload: 2..3 }";
    assert_found(
        between,
        &[&[0x2a, 0], &[0x2a, 0, 0]],
        &[&[0x2a], &[0x2a, 0, 0, 0]],
    );
    let long = "{ transport: tcp, bytes: '2a', payload: '300..' }";
    assert_found(
        long,
        &[&[0x2a; 300], &[0x2a; 1400]],
        &[&[0x2a; 299], &[0x2a; 254]],
    );
}

#[test]
fn last_bytes() {
    let two = "{ transport: tcp, bytes: '2a', last: '03..04 0a' }";
    assert_found(
        two,
        &[&[0x2a, 3, 10], &[0x2a, 0, 4, 10]],
        &[&[0x2a, 5, 10], &[0x2a, 3, 10, 0]],
    );
    let four = "{ transport: tcp, bytes: '2a', last: '2a ?? ?? 0d' }";
    assert_found(
        four,
        &[&[0x2a, 1, 2, 13]],
        &[&[0x2a, 1, 13], &[0x2a, 1, 2, 14]],
    );
}

#[test]
fn needles() {
    let early = "{ transport: tcp, text: 'VER ', find: { text: ' MSNP', from: 4, within: 20, nocase: true } }";
    assert_found(
        early,
        &[b"VER 1 MSNP", b"VER  msnp8", b"VER 0123456789abcde MSNP"],
        &[
            b"VER 1 MSN",
            b"VER MSNP8",
            b"VER 0123456789abcdef MSNP",
            b"VEX 1 MSNP",
        ],
    );
    let namespace = "http://etherx.jabber.org/streams";
    let long = format!("{{ transport: tcp, find: {{ text: '{namespace}', within: 1024 }} }}");
    for at in [0, 1, 63, 64, 65, 511, 1023] {
        let mut payload = vec![b'h'; at];
        payload.extend(namespace.bytes());
        assert!(is_found(&long, &tcp(&payload)), "at {at}");
        payload.pop();
        assert!(!is_found(&long, &tcp(&payload)), "at {at}, cut");
    }
    let mut payload = vec![b'h'; 1024];
    payload.extend(namespace.bytes());
    assert!(!is_found(&long, &tcp(&payload)), "behind the window");
}

#[test]
fn a_needle_of_any_length_is_found_at_every_place_of_its_window() {
    let longest = "abcdefghijklmnopqrstuvwxyzABCDEF";
    // A single needle is looked for by itself; of two, the beginnings are looked for together first.
    let lengths = [1, 2, 3, 4, 5, 8, 32];
    let companies = [None, Some("@@@@")];
    for (length, company) in lengths.iter().flat_map(|l| companies.map(|c| (*l, c))) {
        let (needle, _) = longest.split_at(length);
        for within in [70, 250, 600] {
            let marker = |needle| {
                format!(
                    "{{ transport: tcp, text: '--', find: {{ text: '{needle}', from: 2, within: {within} }} }}"
                )
            };
            let markers: Vec<_> = [Some(needle), company]
                .into_iter()
                .flatten()
                .map(marker)
                .collect();
            let markers: Vec<_> = markers.iter().map(String::as_str).collect();
            let plan = plan(&markers).unwrap();
            let tables = MemoryTables::new(&plan);
            for at in 2..within + 2 {
                for behind in [0, 1, 9] {
                    let payload =
                        [&vec![b'-'; at], needle.as_bytes(), &vec![b'.'; behind]].concat();
                    let found = told_in(&plan, &tables, &tcp(&payload)).is_some();
                    assert_eq!(
                        found,
                        at < within,
                        "{length} bytes at {at}, {behind} behind"
                    );
                }
            }
        }
    }
}

#[test]
fn needles_that_share_their_place_in_the_gate_are_all_found() {
    let mut text =
        "version: 1\nname: test\nservices:\n- id: own-a\n  name: a\n  category: im\n  markers:\n"
            .to_owned();
    for number in 0..32 {
        let _ = writeln!(
            text,
            "  - {{ transport: tcp, find: {{ bytes: '2a 2b 2c {number:02x}', within: 20 }} }}"
        );
    }
    let plan = compile(text).unwrap();
    let tables = MemoryTables::new(&plan);
    for number in 0..=255 {
        let payload = [&[0; 19][..], &[0x2a, 0x2b, 0x2c, number]].concat();
        let found = told_in(&plan, &tables, &tcp(&payload)).is_some();
        assert_eq!(found, number < 32, "{number}");
    }
}

#[test]
fn ports() {
    let only = "{ transport: tcp, bytes: '2a', ports: ['1863', 6660-6669] }";
    let not = "{ transport: tcp, bytes: '2a', not_ports: ['1863', 6660-6669] }";
    for (local, remote, listed) in [
        (40_000, 1863, true),
        (1863, 40_000, true),
        (40_000, 6660, true),
        (40_000, 6669, true),
        (40_000, 6659, false),
        (40_000, 6670, false),
        (0, 65_535, false),
    ] {
        let seen = Seen {
            ports: (local, remote),
            ..tcp(&[0x2a])
        };
        assert_eq!(is_found(only, &seen), listed, "{local} {remote}");
        assert_eq!(is_found(not, &seen), !listed, "{local} {remote}");
    }
}

#[test]
fn who_sends_it_and_when() {
    use Sender::{Client, Server, Unknown};
    for (words, sender, first, found) in [
        ("from: client", Client, true, true),
        ("from: client", Unknown, true, true),
        ("from: client", Server, true, false),
        ("from: server", Server, true, true),
        ("from: server", Unknown, true, true),
        ("from: server", Client, true, false),
        ("from: either", Server, true, true),
        ("packet: first", Client, false, false),
        ("packet: early", Client, false, true),
        ("packet: early", Client, true, true),
    ] {
        let marker = format!("{{ transport: tcp, bytes: '2a', {words} }}");
        let seen = Seen {
            sender,
            first,
            ..tcp(&[0x2a])
        };
        assert_eq!(
            is_found(&marker, &seen),
            found,
            "{words} {sender:?} {first}"
        );
    }
}

#[test]
fn over_what() {
    for (over, on_tcp, on_udp) in [
        ("tcp", true, false),
        ("udp", false, true),
        ("both", true, true),
    ] {
        let marker = format!("{{ transport: {over}, bytes: '2a' }}");
        let udp = Seen {
            transport: Transport::Udp,
            ..tcp(&[0x2a])
        };
        assert_eq!(is_found(&marker, &tcp(&[0x2a])), on_tcp);
        assert_eq!(is_found(&marker, &udp), on_udp);
    }
}

#[test]
fn inside_another_service_a_packet_is_told_by_itself() {
    let marker = "{ transport: tcp, in: own-b, find: { text: 'DCC SEND', within: 200 } }";
    let plan = plan(&[marker, "{ transport: tcp, text: 'NICK ' }"]).unwrap();
    let seen = |within| Seen {
        within,
        first: false,
        ..tcp(b"PRIVMSG x :\x01DCC SEND file")
    };
    let reply = find(&plan, &seen(Some("own-b")));
    assert!(reply.is(Answer::Packet));
    assert_eq!(reply.service(), plan.service("own-a").unwrap().number);
    assert!(find(&plan, &seen(Some("own-a"))).is_nothing());
    assert!(find(&plan, &seen(None)).is_nothing());
}

#[test]
fn what_only_counts_may_drop_where_it_is_trusted() {
    let text = |trust: &str| {
        format!(
            "version: 1\nname: test\ntrust: [{trust}]\nservices:\n\
             - {{ id: own-a, name: a, category: im, markers: [{{ transport: tcp, bytes: '2a', use: count-first }}],\n\
             \x20   stun: [0x8070, {{ attribute: 0xff03, use: count-first }}, '0x4000-0x4007'] }}\n"
        )
    };
    for (trust, trusted) in [("", false), ("own-a", true)] {
        let plan = compile(text(trust)).unwrap();
        let number = plan.service("own-a").unwrap().number;
        assert_eq!(find(&plan, &tcp(&[0x2a])).is_certain(), trusted);
        let tables = MemoryTables::new(&plan);
        let stun = |attribute| (&tables).stun_attribute(Half::of_generation(1), attribute);
        assert_eq!(stun(0x8070), (number, true));
        assert_eq!(stun(0xff03), (number, trusted));
        assert_eq!(stun(0x4007), (number, true));
        assert_eq!(stun(0x4008).0, 0);
    }
}

#[test]
fn of_two_the_more_telling_one_counts() {
    let plan = plan(&[
        "{ transport: tcp, bytes: '2a 01' }",
        "{ transport: tcp, bytes: '2a 01 ?? ?? 05' }",
        "{ transport: tcp, bytes: '2a 01 ?? ?? 0?', payload: '5' }",
    ])
    .unwrap();
    let told = |payload: &[u8]| told(&plan, &tcp(payload)).unwrap();
    assert_eq!(told(&[0x2a, 1, 0, 0, 9, 9]), "own-a");
    assert_eq!(told(&[0x2a, 1, 0, 0, 5, 9]), "own-b");
    assert_eq!(told(&[0x2a, 1, 0, 0, 5]), "own-c");
}

#[test]
fn every_one_of_as_many_as_there_can_be_is_found() {
    let mut text =
        "version: 1\nname: test\nservices:\n- id: own-a\n  name: a\n  category: im\n  markers:\n"
            .to_owned();
    for number in 0..250 {
        let _ = writeln!(
            text,
            "  - {{ transport: tcp, bytes: '2a {number:02x}', from: client }}"
        );
    }
    let plan = compile(text).unwrap();
    assert_eq!(plan.markers.tcp.len(), 250);
    for number in 0..=255 {
        let found = told(&plan, &tcp(&[0x2a, number])).is_some();
        assert_eq!(found, number < 250, "{number}");
    }
}

/// A marker as a naive reader of the YAML has it.
#[derive(Clone, Debug)]
struct Spec {
    offset: usize,
    pattern: Vec<Class>,
    length: Option<(usize, usize, bool, i64, bool)>,
    payload: Option<(usize, usize)>,
    last: Vec<Class>,
    find: Option<(Vec<Class>, usize, usize)>,
    ports: Vec<(u16, u16)>,
    not: bool,
    from: Option<Sender>,
    early: bool,
}

/// What a byte may be.
#[derive(Clone, Debug)]
enum Class {
    Any,
    One(u8),
    Range(u8, u8),
    Either(u8, u8),
    High(u8),
    Low(u8),
}

impl Class {
    fn yaml(&self) -> String {
        match self {
            Self::Any => "??".to_owned(),
            Self::One(byte) => format!("{byte:02x}"),
            Self::Range(first, last) => format!("{first:02x}..{last:02x}"),
            Self::Either(one, other) => format!("{one:02x}|{other:02x}"),
            Self::High(digit) => format!("{digit:x}?"),
            Self::Low(digit) => format!("?{digit:x}"),
        }
    }

    fn accepts(&self, byte: u8) -> bool {
        match self {
            Self::Any => true,
            Self::One(wanted) => byte == *wanted,
            Self::Range(first, last) => (*first..=*last).contains(&byte),
            Self::Either(one, other) => byte == *one || byte == *other,
            Self::High(digit) => byte >> 4 == *digit,
            Self::Low(digit) => byte & 15 == *digit,
        }
    }
}

fn yaml(classes: &[Class]) -> String {
    classes
        .iter()
        .map(Class::yaml)
        .collect::<Vec<_>>()
        .join(" ")
}

fn lies_at(classes: &[Class], payload: &[u8], at: usize) -> bool {
    let there = payload.get(at..at + classes.len());
    there.is_some_and(|there| {
        there
            .iter()
            .zip(classes)
            .all(|(byte, class)| class.accepts(*byte))
    })
}

impl Spec {
    fn yaml(&self) -> String {
        let mut text = format!(
            "{{ transport: tcp, offset: {}, bytes: '{}'",
            self.offset,
            yaml(&self.pattern)
        );
        if let Some((at, size, little, plus, fits)) = self.length {
            let order = if little { "little" } else { "big" };
            let _ = writeln!(
                text,
                ", length: {{ at: {at}, size: {size}, order: {order}, plus: {plus}, fits: {fits} }}"
            );
        }
        if let Some((least, most)) = self.payload {
            let _ = writeln!(text, ", payload: {least}..{most}");
        }
        if !self.last.is_empty() {
            let _ = writeln!(text, ", last: '{}'", yaml(&self.last));
        }
        if let Some((needle, from, within)) = &self.find {
            let _ = writeln!(
                text,
                ", find: {{ bytes: '{}', from: {from}, within: {within} }}",
                yaml(needle)
            );
        }
        if !self.ports.is_empty() {
            let ports: Vec<String> = self
                .ports
                .iter()
                .map(|(first, last)| format!("{first}-{last}"))
                .collect();
            let key = if self.not { "not_ports" } else { "ports" };
            let _ = writeln!(text, ", {key}: [{}]", ports.join(", "));
        }
        match self.from {
            Some(Sender::Client) => text.push_str(", from: client"),
            Some(Sender::Server) => text.push_str(", from: server"),
            _ => {}
        }
        if self.early {
            text.push_str(", packet: early");
        }
        text + " }"
    }

    fn fits(&self, seen: &Seen) -> bool {
        let payload = &seen.payload;
        let length = self.length.is_none_or(|(at, size, little, plus, fits)| {
            payload.get(at..at + size).is_some_and(|field| {
                let number = |value: i64, byte: &u8| value << 8 | i64::from(*byte);
                let value = match little {
                    true => field.iter().rev().fold(0, number),
                    false => field.iter().fold(0, number),
                };
                let (said, is) = (value + plus, i64::try_from(payload.len()).unwrap());
                said == is || (fits && said < is)
            })
        });
        let find = self.find.as_ref().is_none_or(|(needle, from, within)| {
            (*from..*within).any(|at| lies_at(needle, payload, at))
        });
        let last = payload.len().checked_sub(self.last.len());
        let listed = |port: u16| {
            self.ports
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&port))
        };
        let ports =
            self.ports.is_empty() || self.not != (listed(seen.ports.0) || listed(seen.ports.1));
        !payload.is_empty()
            && lies_at(&self.pattern, payload, self.offset)
            && length
            && self
                .payload
                .is_none_or(|(least, most)| (least..=most).contains(&payload.len()))
            && last.is_some_and(|at| lies_at(&self.last, payload, at))
            && find
            && ports
            && (self.from.is_none()
                || seen.sender == Sender::Unknown
                || self.from == Some(seen.sender))
            && (self.early || seen.first)
    }
}

/// Few values, so that what was not made to fit often does.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![4 => 0_u8..4, 1 => any::<u8>()]
}

fn class() -> impl Strategy<Value = Class> {
    prop_oneof![
        3 => Just(Class::Any),
        3 => byte().prop_map(Class::One),
        1 => (byte(), byte()).prop_map(|(a, b)| Class::Range(a.min(b), a.max(b))),
        1 => (byte(), byte()).prop_map(|(a, b)| Class::Either(a, b)),
        1 => (0_u8..16).prop_map(Class::High),
        1 => (0_u8..16).prop_map(Class::Low),
    ]
}

fn specs() -> impl Strategy<Value = Spec> {
    let pattern = (
        prop_oneof![3 => Just(0_usize), 1 => 0_usize..12],
        vec(class(), 1..10),
    );
    let length = (
        0_usize..12,
        1_usize..5,
        any::<bool>(),
        -4_i64..20,
        any::<bool>(),
    );
    let find = (vec(class(), 1..14), 0_usize..12, 1_usize..140);
    let ports = vec(
        (1_u16..5, 0_u16..3).prop_map(|(first, more)| (first, first + more)),
        0..4,
    );
    let from = prop_oneof![3 => Just(None), 1 => Just(Some(Sender::Client)), 1 => Just(Some(Sender::Server))];
    (
        pattern,
        option::weighted(0.2, length),
        option::weighted(0.2, (1_usize..20, 0_usize..60)),
        prop_oneof![3 => Just(Vec::new()), 1 => vec(class(), 1..5)],
        option::weighted(0.4, find),
        (ports, any::<bool>(), from, any::<bool>()),
    )
        .prop_map(
            |((offset, pattern), length, payload, last, find, (ports, not, from, early))| Spec {
                offset,
                pattern: pattern.into_iter().chain([Class::Range(0, 0x7f)]).collect(),
                length,
                payload: payload.map(|(least, more)| (least, least + more)),
                last,
                find: find.map(|(needle, from, more)| (needle, from, from + more)),
                ports,
                not,
                from,
                early,
            },
        )
}

/// A payload, mostly of a marker's own bytes.
fn seen() -> impl Strategy<Value = Seen> {
    let sender = prop_oneof![
        Just(Sender::Unknown),
        Just(Sender::Client),
        Just(Sender::Server)
    ];
    (
        vec(byte(), 0..40),
        (0_u16..10, 1000_u16..1003),
        sender,
        any::<bool>(),
    )
        .prop_map(|(payload, ports, sender, first)| Seen {
            ports,
            sender,
            first,
            ..tcp(&payload)
        })
}

/// Makes a payload fit a marker for the most part; `seed` chooses among what may stand there.
fn bend(spec: &Spec, seen: &mut Seen, seed: u64) {
    let start = usize::try_from(seed % 7).unwrap();
    let mut seed = seed;
    let mut next = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap()
    };
    let payload = &mut seen.payload;
    let mut lay = |classes: &[Class], at: usize, payload: &mut Vec<u8>| {
        if payload.len() < at + classes.len() {
            payload.resize(at + classes.len(), 1);
        }
        for (byte, class) in payload[at..].iter_mut().zip(classes) {
            let values: Vec<u8> = (0..=255).filter(|byte| class.accepts(*byte)).collect();
            *byte = values[next() % values.len()];
        }
    };
    if let Some((needle, from, within)) = &spec.find {
        let at = from + start * (within - from) / 7;
        lay(needle, at, payload);
    }
    lay(&spec.pattern, spec.offset, payload);
    if !spec.last.is_empty() {
        let at = payload.len();
        lay(&spec.last, at, payload);
    }
    if let Some((at, size, little, plus, _)) = spec.length {
        let length = i64::try_from(payload.len()).unwrap() - plus;
        let bytes = length.max(0).to_le_bytes();
        for place in 0..size {
            let digit = if little { place } else { size - 1 - place };
            if let Some(byte) = payload.get_mut(at + place) {
                *byte = bytes[digit];
            }
        }
    }
    seen.first |= !spec.early;
    seen.sender = spec.from.unwrap_or(seen.sender);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// The tables tell what a naive reader of the YAML does.
    #[test]
    fn the_tables_mean_what_the_yaml_says(
        specs in vec(specs(), 1..5),
        packets in vec((seen(), option::of((any::<prop::sample::Index>(), any::<u64>()))), 1..40),
        flips in vec((any::<prop::sample::Index>(), byte()), 40),
    ) {
        let markers: Vec<String> = specs.iter().map(Spec::yaml).collect();
        let markers: Vec<&str> = markers.iter().map(String::as_str).collect();
        let plan = match plan(&markers) {
            Ok(plan) => plan,
            // Ranges and alternatives may come to too much.
            Err(said) => {
                let known = ["come to more than", "at once", "there is room for", "tells one payload"];
                prop_assert!(known.iter().any(|known| said.contains(known)), "{said}");
                return Err(TestCaseError::reject("too much"));
            }
        };
        let tables = MemoryTables::new(&plan);
        for ((mut seen, bent), (place, value)) in packets.into_iter().zip(flips) {
            if let Some((which, seed)) = bent {
                bend(which.get(&specs), &mut seen, seed);
                if value == 3 && !seen.payload.is_empty() {
                    *place.get_mut(&mut seen.payload) = value;
                }
            }
            let fitting: Vec<String> = ('a'..='z')
                .zip(&specs)
                .filter(|(_, spec)| spec.fits(&seen))
                .map(|(letter, _)| format!("own-{letter}"))
                .collect();
            match told_in(&plan, &tables, &seen) {
                Some(id) => prop_assert!(fitting.contains(&id), "{id} in {seen:?}"),
                None => prop_assert!(fitting.is_empty(), "not {fitting:?} in {seen:?}"),
            }
        }
    }
}
