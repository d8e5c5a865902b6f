//! Every frame of every capture through both homes: neither a verdict nor a counter may differ.
//!
//! A frame is seen where it would be on the way through: what the client of its flow sends, at the
//! LAN's ingress, what it receives, at the egress.

use std::collections::HashMap;
use std::net::IpAddr;

use imblock::catalogue;
use imblock::policy::plan::{Limits, Plan};
use imblock::policy::{self, ServiceNumbers, Source, Surroundings};
use imblock::replay::client::{Client, ClientRules};
use imblock::testing::kernel_or_skip;
use imblock_common::{Segment, View, parse};

use crate::counters::stay_on_this_cpu;
use crate::recorded::{Recording, recordings};
use crate::twins::{Sighting, Twins};

const LAN_INGRESS: View = View::ALL[0];
const LAN_EGRESS: View = View::ALL[1];

/// Nobody may talk, and servers that go on elsewhere are shut.
pub(crate) const NO_TALK: &str = "
version: 1
name: no-talk
defaults: { action: count }
rules:
  - { services: ['category:im', 'category:voip', 'category:p2p'], action: drop }
";

/// Frames that one pair of homes is shown: few enough that no flow is pushed out of the tables, for
/// which one goes depends on clocks that the homes don't share.
const FRAMES_MAX: usize = 30_000;

/// The plan of a policy, the catalogue with it.
pub(crate) fn plan_of_text(text: &str) -> Plan {
    let source = Source::new("test.yaml".to_owned(), text.to_owned());
    let policy = policy::parse(source).unwrap();
    let mut plan = policy
        .compile(&mut ServiceNumbers::default(), &Surroundings::default())
        .unwrap();
    plan.limits = Limits {
        hosts: 16_384,
        flows: 131_072,
        ..plan.limits
    };
    plan
}

/// What came of a policy.
#[derive(Debug, Default)]
struct Tally {
    captures: u64,
    frames: u64,
    refused: u64,
    identified: u64,
    /// Frames that the kernel can't be given: other links, too short, too long.
    left_out: u64,
}

#[test]
fn captures_are_the_same_in_both_homes() {
    const TEST: &str = "captures_are_the_same_in_both_homes";
    if !kernel_or_skip(TEST) {
        return;
    }
    stay_on_this_cpu();
    for text in [catalogue::ready_policy("audit").unwrap(), NO_TALK] {
        let Some(recordings) = recordings(TEST) else {
            return;
        };
        let plan = plan_of_text(text);
        let tally = compare(&plan, recordings);
        println!("{}: {tally:?}", plan.name);
        assert!(tally.captures > 100 && tally.identified > 1000, "{tally:?}");
        assert!(tally.left_out * 4 < tally.frames, "{tally:?}");
        assert_eq!(tally.refused > 1000, plan.name == "no-talk", "{tally:?}");
    }
}

fn compare(plan: &Plan, recordings: impl Iterator<Item = Recording>) -> Tally {
    let mut tally = Tally::default();
    let mut twins = Twins::new(plan, 0);
    let mut shown = 0;
    for recording in recordings {
        if shown + recording.frames.len() > FRAMES_MAX && shown != 0 {
            tally.identified += twins.counted().0.identified();
            twins = Twins::new(plan, 0);
            shown = 0;
        }
        shown += recording.frames.len();
        show(&twins, plan, &recording, &mut tally);
        let (kernel, library) = twins.counted();
        assert_eq!(kernel, library, "{} under {}", recording.name, plan.name);
        kernel.assert_adds_up();
    }
    tally.identified += twins.counted().0.identified();
    tally
}

fn show(twins: &Twins, plan: &Plan, recording: &Recording, tally: &mut Tally) {
    let rules = ClientRules::new(&[], plan);
    let mut flows = HashMap::new();
    tally.captures += 1;
    tally.left_out += recording.others;
    for (number, frame) in recording.frames.iter().enumerate() {
        let sighting = Sighting {
            frame: frame.clone(),
            view: view(frame, &rules, &mut flows),
            segments: 1,
        };
        // Asked first: the library would remember a frame that the kernel never sees.
        if !sighting.fits() {
            tally.left_out += 1;
            continue;
        }
        let (kernel, library) = twins.see(&sighting).unwrap();
        assert_eq!(
            kernel,
            library,
            "frame {} of {} under {}: kernel and library",
            number + 1,
            recording.name,
            plan.name
        );
        tally.frames += 1;
        tally.refused += u64::from(!kernel);
    }
}

/// Both ends, the smaller first.
type Flow = (u8, [(IpAddr, u16); 2]);

/// Where a frame is seen: its flow's client is the local host.
fn view(frame: &[u8], rules: &ClientRules<'_>, flows: &mut HashMap<Flow, (IpAddr, u16)>) -> View {
    let Ok(segment) = parse::frame(frame) else {
        return LAN_INGRESS;
    };
    let [source, destination] = ends(&segment);
    let mut flow = [source, destination];
    flow.sort_unstable();
    let client = flows
        .entry((segment.transport as u8, flow))
        .or_insert_with(|| match rules.client(frame, &segment) {
            Client::Source => source,
            Client::Destination => destination,
        });
    if *client == source {
        LAN_INGRESS
    } else {
        LAN_EGRESS
    }
}

fn ends(segment: &Segment) -> [(IpAddr, u16); 2] {
    [
        (segment.source.into(), segment.source_port),
        (segment.destination.into(), segment.destination_port),
    ]
}
