//! Hellos in several segments, through the kernel: however they are cut, they tell the service that
//! they tell in one piece.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::slice;

use imblock::policy::plan::{Limits, NameKind, NamePlan, Plan};
use imblock::testing::kernel_or_skip;
use imblock_common::content::Payload;
use imblock_common::layout::{ActionCell, Counts, Half, SERVICES_MAX};
use imblock_common::parse::tls::{self, Hearing};
use imblock_common::stream::LAST_PIECE_AT;
use imblock_common::testkit::{Frame, Layer, Random, World, flags};
use imblock_common::{Action, Evidence, Transport, Verdict, View, parse};

use crate::counters::stay_on_this_cpu;
use crate::plan::{ROOMY, plan_of, service};
use crate::recorded::recordings;
use crate::twins::{Counted, Twins};

const LAN_INGRESS: View = View::ALL[0];
/// How often each hello is cut at random, besides once at every byte.
const RANDOM_CUTS: usize = 60;

#[test]
fn hellos_of_browsers_are_read_wherever_they_are_cut() {
    const TEST: &str = "hellos_of_browsers_are_read_wherever_they_are_cut";
    if !kernel_or_skip(TEST) {
        return;
    }
    let hellos: Vec<Vec<u8>> = browsers();
    assert!(hellos.len() >= 10);
    let tried = try_cuts(&hellos);
    println!("{tried:?}");
    assert!(tried.named >= 10 && tried.cuts > 15_000, "{tried:?}");
}

#[test]
fn hellos_of_captures_are_read_wherever_they_are_cut() {
    const TEST: &str = "hellos_of_captures_are_read_wherever_they_are_cut";
    if !kernel_or_skip(TEST) {
        return;
    }
    let Some(recordings) = recordings(TEST) else {
        return;
    };
    let frames = recordings.flat_map(|recording| recording.frames);
    let distinct: BTreeSet<Vec<u8>> = frames.filter_map(|frame| hello(&frame)).collect();
    let hellos: Vec<_> = distinct.into_iter().collect();
    let tried = try_cuts(&hellos);
    println!("{tried:?}");
    assert!(tried.named > 100 && tried.cuts > 50_000, "{tried:?}");
}

/// The recorded hellos of browsers, most of which take two packets.
fn browsers() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../imblock-common/tests/hellos");
    let files = fs::read_dir(folder).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let hellos = paths.filter(|path| path.extension().is_some_and(|kind| kind == "bin"));
    let mut hellos: Vec<_> = hellos.map(|path| fs::read(path).unwrap()).collect();
    hellos.sort();
    hellos
}

/// The payload of a frame that is a whole hello over TCP.
fn hello(frame: &[u8]) -> Option<Vec<u8>> {
    let segment = parse::frame(frame).ok()?;
    let body = segment.body(frame);
    if segment.transport != Transport::Tcp || body.at == 0 {
        return None;
    }
    let payload = frame.get(body.at..segment.end)?;
    let begins = payload.starts_with(&[22, 3]) && payload.get(5) == Some(&1);
    let whole = begins && tls::record(payload, all(payload)).hearing != Hearing::More;
    whole.then(|| payload.to_vec())
}

const fn all(bytes: &[u8]) -> Payload {
    Payload {
        at: 0,
        end: bytes.len(),
    }
}

/// The server name of a hello.
fn name(hello: &[u8]) -> Option<String> {
    let name = tls::record(hello, all(hello)).server_name;
    let at = name.end - name.length.saturating_sub(1);
    let bytes = hello.get(at..name.end).filter(|_| name.is_some())?;
    Some(String::from_utf8_lossy(bytes).to_ascii_lowercase())
}

/// A plan that knows these names, as far as they can be known, each as a service's own while there
/// are numbers, and drops them all.
fn plan(names: BTreeSet<String>) -> Plan {
    let limits = Limits {
        hosts: 1024,
        ..ROOMY
    };
    let mut plan = plan_of(&World::standard(), limits);
    let numbers = (1..u16::try_from(SERVICES_MAX).unwrap()).cycle();
    let names = names.into_iter().zip(numbers);
    let names = names.map(|(suffix, service)| NamePlan {
        kind: NameKind::Host,
        suffix,
        service,
    });
    let can_be_known = |name: &NamePlan| name.key(Half::of_generation(1)).is_some();
    plan.names = names.filter(can_be_known).collect();
    plan.services = plan
        .names
        .iter()
        .map(|name| service(name.service))
        .collect();
    for row in &mut plan.actions {
        row.0.fill(ActionCell::of_policy(Action::Drop).0);
    }
    plan
}

/// How much was tried.
#[derive(Debug, Default)]
struct Tried {
    hellos: usize,
    named: usize,
    cuts: usize,
    frames: u64,
}

/// Says hellos in one piece, in two cut at every byte, and in up to four cut at random with
/// some sent again. The end of each must be refused if the first was, and
/// whatever is refused must be counted for the name's own service.
fn try_cuts(hellos: &[Vec<u8>]) -> Tried {
    // Each CPU has counters of its own.
    stay_on_this_cpu();
    let names: BTreeSet<String> = hellos.iter().filter_map(|hello| name(hello)).collect();
    let plan = plan(names);
    let mut client = Client::new(&plan);
    let mut random = Random::new(1);
    let mut tried = Tried::default();
    for hello in hellos {
        let name = name(hello);
        let whole = 0..hello.len();
        let known = client.say(hello, slice::from_ref(&whole));
        for place in 1..hello.len() {
            let told = client.say(hello, &[0..place, place..hello.len()]);
            assert_eq!(told, known, "{name:?} cut at {place}: {hello:02x?}");
            tried.cuts += 1;
        }
        // A longer one is read as far as it fits, and how far that is depends on the cuts.
        if hello.len() < LAST_PIECE_AT {
            for _ in 0..RANDOM_CUTS {
                let segments = cut(hello.len(), &mut random);
                let told = client.say(hello, &segments);
                assert_eq!(told, known, "{name:?} cut into {segments:?}: {hello:02x?}");
                tried.cuts += 1;
            }
        }
        let own = plan
            .names
            .iter()
            .find(|plan| Some(&plan.suffix) == name.as_ref());
        assert_eq!(own.is_some(), known, "{name:?}: {hello:02x?}");
        client.assert_counted(own.map(|plan| plan.service));
        tried.hellos += 1;
        tried.named += usize::from(known);
    }
    tried.frames = client.frames;
    tried
}

/// A hello of this length in two to four segments, in order, some of whose bytes are sent again; the
/// last one has its end.
fn cut(length: usize, random: &mut Random) -> Vec<Range<usize>> {
    let mut ends: BTreeSet<usize> = (0..=random.below(3))
        .map(|_| 1 + random.below(length - 1))
        .collect();
    ends.insert(length);
    let mut segments = Vec::new();
    let (mut sent, mut again) = (0, 0);
    for end in ends {
        segments.push(sent..end);
        sent = end;
        // Of each end's payloads only the first six are looked into.
        if end < length && again < 2 && random.one_in(2) {
            let from = random.below(sent);
            segments.push(from..from + 1 + random.below(sent - from));
            again += 1;
        }
    }
    segments
}

/// A client that says hellos, each in a connection of its own.
struct Client {
    twins: Twins,
    connections: u16,
    frames: u64,
    /// Frames that were refused since the counters were last looked at.
    refused: u64,
    counted: Counted,
}

impl Client {
    fn new(plan: &Plan) -> Self {
        Self {
            twins: Twins::new(plan, 0),
            connections: 0,
            frames: 0,
            refused: 0,
            counted: Counted::default(),
        }
    }

    /// Opens a connection and says parts of a hello in it, in one of five the first part with the SYN (RFC
    /// 7413). Whether the last one was refused.
    fn say(&mut self, hello: &[u8], segments: &[Range<usize>]) -> bool {
        // Ports come round again: then the connection is another one in the place of an older.
        self.connections = (self.connections + 1) % 8192;
        let port = 20_000 + self.connections;
        // The numbers of some streams wrap in the middle of the hello.
        let first = u32::from(port).wrapping_mul(0x1_0001).wrapping_neg() >> (port % 23);
        let at_once = self.connections.is_multiple_of(5);
        if !at_once {
            assert!(!self.send(port, flags::SYN, first, &[]), "a SYN is refused");
        }
        let mut last = false;
        for (number, segment) in segments.iter().enumerate() {
            let at = u32::try_from(segment.start).unwrap();
            let sequence = first.wrapping_add(1).wrapping_add(at);
            let bytes = hello.get(segment.clone()).unwrap();
            last = if at_once && number == 0 {
                self.send(port, flags::SYN, first, bytes)
            } else {
                self.send(port, flags::PSH | flags::ACK, sequence, bytes)
            };
        }
        last
    }

    /// Whether the frame was refused.
    fn send(&mut self, port: u16, set: u8, sequence: u32, payload: &[u8]) -> bool {
        let frame = Frame::eth()
            .ipv4("10.1.0.5", "198.51.100.7")
            .tcp(port, 443)
            .flags(set)
            .payload(payload)
            .patch(Layer::Transport, 4, &sequence.to_be_bytes())
            .build();
        let passes = self
            .twins
            .kernel
            .test_run(LAN_INGRESS, &frame, None)
            .unwrap();
        self.frames += 1;
        self.refused += u64::from(!passes);
        !passes
    }

    /// Panics unless all that was refused is counted as this service's, by the name, and nothing else
    /// is.
    #[track_caller]
    fn assert_counted(&mut self, service: Option<u16>) {
        let counted = Counted::of(&self.twins.maps.snapshot().unwrap());
        let mut expected = self.counted.services.clone();
        let packets = |counted: &BTreeMap<_, Counts>| -> BTreeMap<_, u64> {
            let cells = counted.iter();
            cells.map(|(key, counts)| (*key, counts.packets)).collect()
        };
        if let Some(service) = service {
            let cell = expected.entry((service, Evidence::Sni, Verdict::Dropped));
            cell.or_default().packets += self.refused;
        }
        assert_eq!(packets(&counted.services), packets(&expected));
        self.counted = counted;
        self.refused = 0;
    }
}
