//! What many hosts cost: a flood from all of them to a listed port, and an innocent flow of each.

use anyhow::Result;

use super::super::sheet::{Bound, Line, Promise, Sheet};
use super::super::timer::median;
use super::super::xdp_filter::Features;
use super::candidates::{Candidate, FLOOR, Field, IMBLOCK, INSIDE, PASS, XDP_FILTER};
use super::counters::Fate;
use super::filter::Filter;
use super::frames::{Frame, OTHER_PORT};
use super::generator::Generator;
use super::imblock::Tool;
use super::peers::LISTED_PORT;
use super::policy::Policy;
use super::series::{Effort, Series, find, middle, take_turns};

pub(super) const TITLE: &str = "veth: many hosts, ns a packet";

const MANY: u32 = 60_000;
/// So many hosts, each at random; 0 is one that is always the same.
const FLOODS: [u32; 4] = [0, 1_000, 10_000, MANY];
/// Frames a host until each was chosen, and each flow's first payloads were looked into.
const WARM_UP: u32 = 20;

const CANDIDATES: [Candidate; 5] = [
    (FLOOR, Filter::Drop, None),
    (PASS, Filter::Pass, None),
    (
        IMBLOCK,
        Filter::Imblock(Policy {
            hosts: 131_072,
            ..Policy::PLAIN
        }),
        None,
    ),
    (
        INSIDE,
        Filter::Imblock(Policy {
            hosts: 131_072,
            inside: true,
            ..Policy::PLAIN
        }),
        None,
    ),
    (XDP_FILTER, Filter::OfXdpTools(Features::All), None),
];

const NOTES: [&str; 2] = [
    "inside configured prefixes: a policy with `limits: { inside: [10.1.0.0/16] }`, which all frames come from",
    "added: over XDP_DROP with the same frames, of innocent flows over XDP_PASS; their packets have a \
     wrong IPv4 checksum, for which the stack throws them away at once",
];

pub(super) fn sheet(tool: &Tool, generator: &mut Generator, effort: Effort) -> Result<Sheet> {
    let field = Field::build(&CANDIDATES, 1, tool)?;
    let mut lines = Vec::new();
    let mut flood = [f64::NAN; 2];
    for hosts in FLOODS {
        let frame = Frame::udp(LISTED_PORT, 60).of_hosts(hosts);
        let fate = Fate::BeforeStack;
        let added = measure(&field, &frame, fate, FLOOR, generator, effort)?;
        flood = [added.ours, added.inside];
        lines.extend(added.lines(&format!("listed port, {} hosts", hosts.max(1))));
    }
    for rig in field.rigs() {
        // By chance some hosts may not have been chosen.
        rig.audit_hosts(u64::from(MANY - MANY / 100))?;
    }
    let mut innocent = [f64::NAN; 2];
    for (hosts, ours) in [0, MANY].into_iter().zip(&mut innocent) {
        let frame = Frame::udp(OTHER_PORT, 60).of_hosts(hosts).unwelcome();
        let added = measure(&field, &frame, Fate::AtTheDoor, PASS, generator, effort)?;
        *ours = added.ours;
        lines.extend(added.lines(&format!("innocent flows, {}", hosts.max(1))));
    }
    let mut notes = field.notes.clone();
    notes.extend(NOTES.map(str::to_owned));
    Ok(Sheet {
        part: super::PART,
        title: TITLE.to_owned(),
        columns: vec!["whole", "added", "quartile", "quartile"],
        lines,
        promises: promises(flood, innocent),
        notes,
    })
}

fn promises([flood, inside]: [f64; 2], [one, many]: [f64; 2]) -> Vec<Promise> {
    let promise = |what: &str, limit, figure| Promise {
        what: what.to_owned(),
        bound: Bound::AtMost(limit),
        figure,
    };
    vec![
        promise(
            "60,000 hosts flood a listed port: added, ns",
            100.0,
            Some(flood),
        ),
        promise(
            "the same inside configured prefixes: added, ns",
            25.0,
            Some(inside),
        ),
        promise(
            "60,000 innocent flows: more than one, ns",
            15.0,
            Some(many - one),
        ),
    ]
}

/// What each candidate adds, and ours without and with places by address.
struct Added {
    lines: Vec<Line>,
    ours: f64,
    inside: f64,
}

impl Added {
    fn lines(self, what: &str) -> impl Iterator<Item = Line> {
        self.lines.into_iter().map(move |line| Line {
            name: format!("{what}: {}", line.name),
            ..line
        })
    }
}

/// All but the floor that the others are not counted from.
fn measure(
    field: &Field,
    frame: &Frame,
    fate: Fate,
    floor: &str,
    generator: &mut Generator,
    effort: Effort,
) -> Result<Added> {
    let rigs = field.rigs().filter(|rig| match rig.name.as_str() {
        FLOOR | PASS => rig.name == floor,
        _ => true,
    });
    let mut series: Vec<_> = rigs.map(|rig| Series::new(rig, frame, fate)).collect();
    take_turns(&mut series, generator, effort, WARM_UP * frame.hosts)?;
    let floor = find(&series, floor)?;
    let lines = series.iter().map(|one| {
        let mut cells = vec![Some(one.median())];
        cells.extend(middle(&one.over(floor)));
        Line {
            name: one.name().to_owned(),
            cells,
        }
    });
    Ok(Added {
        lines: lines.collect(),
        ours: median(&find(&series, IMBLOCK)?.over(floor)),
        inside: median(&find(&series, INSIDE)?.over(floor)),
    })
}
