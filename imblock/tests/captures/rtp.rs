//! RTP in real captures: which flows are told, by what others say of them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::net::IpAddr;
use std::path::Path;

use imblock::replay::capture::Capture;
use imblock::replay::link::LinkLayer;
use imblock_common::content::Payload;
use imblock_common::identify::rtp::{RtpTrace, Step, looks_like_rtp, step};
use imblock_common::packet::CapturedFrame;
use imblock_common::{Segment, Transport};

/// The smaller end first.
type Ends = [(IpAddr, u16); 2];

/// What somebody else says of a flow.
#[derive(Clone)]
struct Said {
    label: String,
    other: bool,
}

/// How many packets of a flow are looked at: what the classifier looks at in a young flow, and more.
const YOUNG: usize = 32;
/// Flows of something else that look like RTP in every way that can be asked.
const MISTAKES_MAX: usize = 2;
/// Labels that say whose network it is; the flows are Discord's voice, RTP by the book.
const NAMED_BY_NETWORK: [&str; 1] = ["i3D"];

#[test]
fn rtp_is_told_and_hardly_anything_else() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures");
    let Ok(truth) = fs::read_to_string(folder.join("truth.tsv")) else {
        println!("skipped: no labelled captures in {}", folder.display());
        return;
    };
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    let mut missed: BTreeMap<String, usize> = BTreeMap::new();
    let mut mistakes = Vec::new();
    for (name, flows) in by_capture(&truth) {
        let streams = streams(&folder.join(&name));
        for (ends, said) in flows {
            if streams.contains(&ends) {
                *told.entry(said.label.clone()).or_default() += 1;
                if said.other {
                    mistakes.push(format!("{name}: {ends:?} is {}", said.label));
                }
            } else if said.label.contains("RTP") {
                *missed.entry(said.label).or_default() += 1;
            }
        }
    }
    println!("told as RTP, by label: {told:#?}");
    println!("not told: {missed:#?}");
    println!("mistakes: {mistakes:#?}");
    assert!(told.get("RTP").is_some_and(|flows| *flows > 0));
    assert!(mistakes.len() <= MISTAKES_MAX);
}

/// The UDP flows of each capture.
fn by_capture(truth: &str) -> BTreeMap<String, Vec<(Ends, Said)>> {
    let mut captures: BTreeMap<String, Vec<(Ends, Said)>> = BTreeMap::new();
    for line in truth.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let end = |at: usize| Some((fields[at].parse().ok()?, fields[at + 1].parse().ok()?));
        let (Some(client), Some(server), "UDP") = (end(2), end(4), fields[1]) else {
            continue;
        };
        let said = Said {
            label: fields[7].to_owned(),
            other: fields[8] == "other"
                && fields[9] == "firm"
                && !NAMED_BY_NETWORK.contains(&fields[7]),
        };
        let flows = captures.entry(fields[0].to_owned()).or_default();
        flows.push((sorted([client, server]), said));
    }
    captures
}

fn sorted(mut ends: Ends) -> Ends {
    ends.sort_unstable();
    ends
}

/// What is known of a flow: packets seen, and a trace each way.
#[derive(Default)]
struct Flow {
    packets: usize,
    traces: [RtpTrace; 2],
}

/// The flows of a capture that are streams.
fn streams(path: &Path) -> HashSet<Ends> {
    let mut found = HashSet::new();
    let mut flows: HashMap<Ends, Flow> = HashMap::new();
    let Ok(mut capture) = Capture::new("", File::open(path).unwrap()) else {
        return found;
    };
    while let Ok(Some(frame)) = capture.next_frame() {
        let packet = CapturedFrame {
            bytes: frame.bytes,
            wire_length: frame.wire_length,
            is_ethernet: true,
        };
        let Some(Ok(segment)) =
            LinkLayer::from_link_type(frame.link_type).map(|link| link.parse(packet))
        else {
            continue;
        };
        if segment.transport != Transport::Udp {
            continue;
        }
        let (ends, way) = ends(&segment);
        let flow = flows.entry(ends).or_default();
        flow.packets += 1;
        if flow.packets > YOUNG {
            continue;
        }
        let payload = Payload {
            at: segment.body(packet).at,
            end: segment.end,
        };
        if let Some(header) = looks_like_rtp(packet, payload) {
            let (trace, step) = step(flow.traces[way], header);
            flow.traces[way] = trace;
            if step == Step::Rtp {
                found.insert(ends);
            }
        }
    }
    found
}

/// The ends of a segment's flow, and which way it goes.
fn ends(segment: &Segment) -> (Ends, usize) {
    let from = (segment.source.into(), segment.source_port);
    let to = (segment.destination.into(), segment.destination_port);
    let ends = sorted([from, to]);
    (ends, usize::from(ends[0] != from))
}
