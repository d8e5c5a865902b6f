//! Hellos, however they are cut: into segments, into records, and sent twice in part.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

use std::path::Path;

use bytemuck::Zeroable;
use imblock_common::content::Payload;
use imblock_common::packet::MAX_OFFSET;
use imblock_common::parse::HostName;
use imblock_common::parse::tls::{self, Heard, Hearing};
use imblock_common::stream::{Appended, Head, HeadBytes, RECORDS_MAX, SEGMENTS_MAX};
use imblock_common::testkit::{ClientHello, Random};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// What was heard, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    hearing: Hearing,
    name: Option<Vec<u8>>,
    protocol: Option<Vec<u8>>,
}

impl Told {
    fn of(bytes: &[u8], heard: Heard) -> Self {
        let text = |host: HostName| {
            let at = host.end - host.length.saturating_sub(1);
            host.is_some().then(|| bytes[at..host.end].to_vec())
        };
        Self {
            hearing: heard.hearing,
            name: text(heard.server_name),
            protocol: text(heard.protocol),
        }
    }

    fn more(&self) -> bool {
        self.hearing == Hearing::More
    }
}

const fn all(bytes: &[u8]) -> Payload {
    Payload {
        at: 0,
        end: bytes.len(),
    }
}

/// What one packet tells.
fn record(bytes: &[u8]) -> Told {
    Told::of(bytes, tls::record(bytes, all(bytes)))
}

/// What a whole handshake tells.
fn handshake(bytes: &[u8]) -> Told {
    Told::of(bytes, tls::handshake(bytes, all(bytes)))
}

/// Sequence number of a stream's first byte: it wraps on the way.
const FIRST: u32 = u32::MAX - 700;

/// What a stream tells whose segments arrive in this order: where each begins in the stream, and its
/// bytes. The first one is asked alone, as in a packet.
fn stream<'a>(segments: impl IntoIterator<Item = (usize, &'a [u8])>) -> Told {
    let mut head = Head::zeroed();
    let mut told = None;
    for (at, bytes) in segments {
        if told.is_none() {
            let alone = record(bytes);
            if !alone.more() {
                return alone;
            }
            head.begin(1, FIRST, 0);
        }
        let sequence = FIRST.wrapping_add(at as u32);
        let appended = head.append(bytes, sequence, all(bytes), Head::header);
        let now = Told::of(&head.bytes, head.heard());
        let ended = appended == Appended::Last || !now.more();
        told = Some(now);
        if ended {
            break;
        }
    }
    told.unwrap()
}

/// Two segments.
fn halves(bytes: &[u8], cut: usize) -> [(usize, &[u8]); 2] {
    [(0, &bytes[..cut]), (cut, &bytes[cut..])]
}

/// The recorded hellos, and the server name of each.
fn recorded() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hellos");
    let files = std::fs::read_dir(folder).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let hellos = paths.filter(|path| path.extension().is_some_and(|kind| kind == "bin"));
    let named = hellos.map(|path| {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let (_, name) = stem.split_once('-').unwrap();
        (name.to_owned(), std::fs::read(&path).unwrap())
    });
    named.collect()
}

#[test]
fn hellos_of_browsers_are_heard_wherever_they_are_cut() {
    let hellos = recorded();
    assert!(hellos.len() >= 10);
    let mut late = 0;
    for (name, bytes) in hellos {
        assert!(bytes.len() > 1460, "{name} fits into a packet");
        let whole = record(&bytes);
        assert_eq!(whole.hearing, Hearing::Found);
        assert_eq!(whole.name.as_deref(), Some(name.as_bytes()));
        // They offer `h2` first, which is no protocol of a service.
        assert_eq!(whole.protocol, None);
        for cut in 1..bytes.len() {
            let told = stream(halves(&bytes, cut));
            assert_eq!(told.name, whole.name, "{name} cut at {cut}");
        }
        late += usize::from(record(&bytes[..1460]).more());
    }
    assert!(late >= 3, "only {late} names come behind the first packet");
}

#[test]
fn every_beginning_of_a_hello_asks_for_more() {
    let hello = ClientHello::nameless().post_quantum().build();
    for kept in 1..hello.len() {
        assert!(record(&hello[..kept]).more(), "{kept}");
    }
    assert_eq!(record(&hello).name, None);
    assert_eq!(record(&[]).hearing, Hearing::Nothing);
    for other in [
        &[0x17][..],
        &[0x16, 2],
        &[0x16, 3, 5],
        &[0x16, 3, 1, 0, 9, 2],
    ] {
        assert_eq!(record(other).hearing, Hearing::Nothing, "{other:?}");
    }
}

#[test]
fn what_lies_behind_the_payload_is_not_part_of_it() {
    // A short frame is padded with zeros, which are no version.
    let padded = [0x16, 3, 0, 0, 0, 0];
    for end in 1..=2 {
        let heard = tls::record(&padded[..], Payload { at: 0, end });
        assert_eq!(heard.hearing, Hearing::More);
    }
    let hello = ClientHello::new("t.me").build();
    let short = Payload { at: 0, end: 80 };
    assert_eq!(tls::record(&hello[..], short).hearing, Hearing::More);
}

#[test]
fn a_protocol_is_heard_without_a_name() {
    let hello = ClientHello::nameless().protocols(&["xmpp-client", "h2"]);
    let told = record(&hello.build());
    assert_eq!(told.hearing, Hearing::Found);
    assert_eq!(told.protocol.as_deref(), Some(&b"xmpp-client"[..]));
    let silent = record(&ClientHello::nameless().protocols(&[]).build());
    assert_eq!(silent.hearing, Hearing::Nothing);
}

#[test]
fn a_hello_in_several_records_is_not_heard_in_one_packet_but_in_the_stream() {
    let hello = ClientHello::nameless()
        .post_quantum()
        .padded(100)
        .with_extension(0x0a0a, &[0; 500])
        .with_name(0, "web.whatsapp.com");
    let whole = handshake(&hello.handshake());
    // The name lies in the first record, or in the second.
    assert_eq!(record(&hello.build_records(400)).name, whole.name);
    let later = hello.build_records(80 + 2 * 44);
    let bytes = hello.build_records(60);
    assert!(record(&bytes).more());
    assert_eq!(stream([(0, &bytes[..])]).name, whole.name);
    assert_eq!(stream([(0, &later[..])]).name, whole.name);
}

#[test]
fn limits_end_a_stream_and_do_not_spoil_it() {
    // As many records as are followed, and one more, a name at the end.
    let mut random = Random::new(5);
    let mut hello = ClientHello::new("t.me").padded(800);
    while record(&hello.build()[..400]).name.is_some() {
        hello = hello.shuffled(&mut random);
    }
    let length = hello.handshake().len();
    let most = length.div_ceil(usize::from(RECORDS_MAX));
    let told = stream([(0, &hello.build_records(most)[..])]);
    assert_eq!(told.name.as_deref(), Some(&b"t.me"[..]));
    let tiny = hello.build_records(40);
    assert!(stream([(0, &tiny[..])]).more());

    // As many segments as are followed; one byte each of the first ones.
    let bytes = hello.build();
    let last = usize::from(SEGMENTS_MAX) - 1;
    let segments = |count: usize| {
        let singles = (0..count).map(|at| (at, &bytes[at..=at]));
        singles
            .chain([(count, &bytes[count..])])
            .collect::<Vec<_>>()
    };
    assert_eq!(stream(segments(last)).name, told.name);
    assert!(stream(segments(last + 1)).more());

    // A record of something else ends it.
    let mut other = hello.build_records(most);
    other[most + 5] = 23;
    assert!(stream([(0, &other[..])]).more());
}

#[test]
fn a_head_that_is_full_ends() {
    let hello = ClientHello::new("t.me").padded(9000).build();
    let mut head = Head::zeroed();
    head.begin(7, FIRST, 3);
    let appended = head.append(&hello[..], FIRST, all(&hello), Head::header);
    assert_eq!(appended, Appended::Last);
    assert!(head.filled as usize <= head.bytes.len());
    assert_eq!((head.flow, head.tick), (7, 3));
    let again = head.append(&hello[..], head.next, all(&hello), Head::header);
    assert_eq!(again, Appended::Last);
}

#[test]
fn a_gap_is_waited_out() {
    let (name, bytes) = recorded().swap_remove(0);
    let (one, two) = (&bytes[..700], &bytes[700..]);
    let late = [(0, one), (701, &two[1..]), (701, &two[1..]), (700, two)];
    assert_eq!(stream(late).name.as_deref(), Some(name.as_bytes()));
    let never = [(0, &bytes[..20]), (21, &bytes[21..])];
    assert!(stream(never).more());
}

/// Hellos as browsers send them, and their handshake in records of a random size.
fn hellos() -> impl Strategy<Value = (ClientHello, usize)> {
    let parts = (any::<bool>(), 0..=32_usize, 0..700_usize, any::<u64>());
    (
        "[a-z0-9-]{1,30}(\\.[a-z]{1,12}){1,4}",
        parts,
        300..3000_usize,
    )
        .prop_map(|(host, (quantum, session, padding, seed), most)| {
            let mut hello = ClientHello::new(&host).session_id(session).padded(padding);
            if quantum {
                hello = hello.post_quantum();
            }
            (hello.shuffled(&mut Random::new(seed)), most)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Segments that overlap and come again change nothing; nor does where they are cut.
    #[test]
    fn a_stream_tells_what_the_whole_does((hello, most) in hellos(), cuts in vec(any::<Index>(), 0..4), again in vec((any::<Index>(), any::<Index>()), 0..6)) {
        let whole = handshake(&hello.handshake());
        prop_assert_eq!(whole.hearing, Hearing::Found);
        let bytes = hello.build_records(most);
        let mut ends: Vec<usize> = cuts.iter().map(|cut| 1 + cut.index(bytes.len() - 1)).collect();
        ends.push(bytes.len());
        ends.sort_unstable();
        ends.dedup();
        let (mut segments, mut sent) = (Vec::new(), 0);
        for (count, end) in ends.into_iter().enumerate() {
            // All but the first begin with something that was sent before.
            let from = sent - sent.min(7 * count);
            segments.push((from, &bytes[from..end]));
            for (from, to) in &again {
                let from = from.index(end);
                segments.push((from, &bytes[from..from + to.index(end - from + 1)]));
            }
            sent = end;
        }
        let told = stream(segments);
        prop_assert_eq!(&told.name, &whole.name);
        prop_assert_eq!(told.hearing, Hearing::Found);
        prop_assert!(told.protocol.is_none() || told.protocol == whole.protocol);
    }

    /// At every byte into two, in records too.
    #[test]
    fn a_cut_anywhere_tells_the_same((hello, most) in hellos(), cut in any::<Index>()) {
        let bytes = hello.build_records(most);
        let told = stream(halves(&bytes, 1 + cut.index(bytes.len() - 1)));
        prop_assert_eq!(told.name, handshake(&hello.handshake()).name);
    }

    /// More bytes never take back a name, nor give it another one; nor do they make something of what
    /// was nothing.
    #[test]
    fn a_beginning_tells_nothing_that_the_whole_does_not(hello in damaged(), kept in any::<Index>()) {
        let whole = record(&hello);
        let kept = kept.index(hello.len() + 1);
        let part = record(&hello[..kept]);
        match part.hearing {
            Hearing::More => {}
            Hearing::Found => {
                prop_assert_eq!(part.name, whole.name);
                prop_assert_eq!(whole.hearing, Hearing::Found);
            }
            Hearing::Nothing => prop_assert!(kept == 0 || whole.hearing == Hearing::Nothing),
        }
    }

    /// Random bytes neither panic nor make a head overflow.
    #[test]
    fn any_segments_are_survived(segments in vec((any::<u16>(), vec(any::<u8>(), 0..300)), 0..9), start in any::<u32>()) {
        let mut head = Head::zeroed();
        head.begin(1, start, 0);
        for (at, bytes) in &segments {
            let mut record = vec![22, 3, 1, 0, 200];
            record.extend(bytes);
            let sequence = start.wrapping_add(u32::from(at % 64));
            head.append(&record[..], sequence, all(&record), Head::header);
            prop_assert!(head.filled as usize <= head.bytes.len());
            head.heard();
        }
        let beyond = Payload { at: MAX_OFFSET + 1, end: usize::MAX };
        prop_assert_eq!(tls::handshake(HeadBytes(&head), beyond), Heard::NOTHING);
        prop_assert_eq!(tls::record(HeadBytes(&head), beyond), Heard::NOTHING);
    }
}

/// Hellos with damage, and random bytes that begin like one.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let hurt =
        (hellos(), vec((any::<Index>(), any::<u8>()), 0..4)).prop_map(|((hello, _), hurts)| {
            let mut bytes = hello.build();
            for (at, value) in hurts {
                let at = at.index(bytes.len().min(200));
                bytes[at] = value;
            }
            bytes
        });
    let random = vec(any::<u8>(), 0..300).prop_map(|bytes| {
        let mut hello = vec![22, 3, 1, 1, 0, 1, 0, 0];
        hello.extend(bytes);
        hello
    });
    prop_oneof![hurt, random]
}
