//! What it costs to drop a packet to a listed port.

use anyhow::Result;

use super::super::sheet::{Bound, Line, Promise, Sheet};
use super::super::timer::median;
use super::candidates::{
    FLOOR, Field, IMBLOCK, IPTABLES_FORWARD, IPTABLES_RAW, NFT_INGRESS, NFT_RAW, NFT_TRACKED,
    XDP_FILTER,
};
use super::counters::Fate;
use super::frames::Frame;
use super::generator::Generator;
use super::peers::LISTED_PORT;
use super::series::{Effort, Series, find, middle, take_turns};

pub(super) const TITLE: &str = "veth: drop of a listed port, ns a packet";

/// How many times as dear as ours each of them is, cable and generator included.
const WHOLE: [(&str, f64); 5] = [
    (NFT_INGRESS, 3.6),
    (NFT_RAW, 4.0),
    (IPTABLES_RAW, 3.5),
    (IPTABLES_FORWARD, 4.8),
    (NFT_TRACKED, 8.0),
];

pub(super) fn sheet(field: &Field, generator: &mut Generator, effort: Effort) -> Result<Sheet> {
    let listed = Frame::udp(LISTED_PORT, 60);
    // What passes everything is thrown away as early as the stack can.
    let unwelcome = listed.clone().unwelcome();
    let mut series: Vec<_> = field
        .droppers()
        .map(|(rig, fate)| match fate {
            Fate::AtTheDoor => Series::new(rig, &unwelcome, fate),
            _ => Series::new(rig, &listed, fate),
        })
        .collect();
    take_turns(&mut series, generator, effort, 0)?;
    let (floor, ours) = (find(&series, FLOOR)?, find(&series, IMBLOCK)?);
    let lines = series.iter().map(|one| {
        let mut cells = middle(&one.samples).to_vec();
        cells.push(Some(median(&one.over(floor))));
        cells.push(Some(median(&one.times(ours))));
        Line {
            name: one.name().to_owned(),
            cells,
        }
    });
    Ok(Sheet {
        part: super::PART,
        title: TITLE.to_owned(),
        columns: vec!["whole", "quartile", "quartile", "added", "/ imblock"],
        lines: lines.collect(),
        promises: promises(&series)?,
        notes: field
            .notes
            .iter()
            .cloned()
            .chain([
                "60 bytes of UDP; whole: generator, cable and drop; added: over XDP_DROP"
                    .to_owned(),
                "XDP_PASS: the stack drops the packet for its wrong IPv4 checksum".to_owned(),
            ])
            .collect(),
    })
}

fn promises(series: &[Series<'_>]) -> Result<Vec<Promise>> {
    let (floor, ours) = (find(series, FLOOR)?, find(series, IMBLOCK)?);
    let share = find(series, XDP_FILTER).ok().map(|theirs| {
        let (ours, theirs) = (ours.over(floor), theirs.over(floor));
        let shares: Vec<_> = ours.iter().zip(theirs).map(|(o, t)| o / t).collect();
        median(&shares)
    });
    let added = |word: &str, limit| Promise {
        what: format!("veth, listed port: added to XDP_DROP, over what xdp-filter adds{word}"),
        bound: Bound::AtMost(limit),
        figure: share,
    };
    let mut promises = vec![added("", 0.7), added(" (stretch)", 0.45)];
    promises.extend(WHOLE.map(|(name, limit)| {
        Promise {
            what: format!("veth, listed port: whole cost of {name} over ours"),
            bound: Bound::AtLeast(limit),
            figure: find(series, name)
                .ok()
                .map(|peer| median(&peer.times(ours))),
        }
    }));
    Ok(promises)
}
