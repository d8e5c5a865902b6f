//! What a packet pays that matches nothing, and is forwarded.

use anyhow::Result;

use super::super::sheet::{Bound, Line, Promise, Sheet};
use super::super::timer::median;
use super::candidates::{FLOOR, Field, IMBLOCK, NOTHING, XDP_FILTER};
use super::counters::Fate;
use super::frames::{Frame, OTHER_PORT};
use super::generator::Generator;
use super::series::{Effort, Series, find, middle, take_turns};

pub(super) const TITLE: &str = "veth: forwarding of what matches nothing, ns a packet";

pub(super) fn sheet(field: &Field, generator: &mut Generator, effort: Effort) -> Result<Sheet> {
    let innocent = Frame::udp(OTHER_PORT, 60);
    let forwarders = field.rigs().filter(|rig| rig.name != FLOOR);
    let mut series: Vec<_> = forwarders
        .map(|rig| Series::new(rig, &innocent, Fate::Forwarded))
        .collect();
    take_turns(&mut series, generator, effort, 0)?;
    let nothing = find(&series, NOTHING)?;
    let lines = series.iter().map(|one| {
        let [_, low, high] = middle(&one.samples);
        let [added, low_added, high_added] = middle(&one.over(nothing));
        Line {
            name: one.name().to_owned(),
            cells: vec![Some(one.median()), low, high, added, low_added, high_added],
        }
    });
    let lines = lines.collect();
    let ours = find(&series, IMBLOCK)?;
    let theirs = find(&series, XDP_FILTER).ok();
    Ok(Sheet {
        part: super::PART,
        title: TITLE.to_owned(),
        columns: vec![
            "whole", "quartile", "quartile", "added", "quartile", "quartile",
        ],
        lines,
        promises: vec![Promise {
            what: "veth, forwarded: what we add, less what xdp-filter -f all adds, ns".to_owned(),
            bound: Bound::AtMost(0.0),
            figure: theirs.map(|theirs| median(&ours.over(theirs))),
        }],
        notes: vec![
            "60 bytes of UDP of one flow, to a device that throws them away; added: over no filter"
                .to_owned(),
            "differences below 30 ns mean little where the stack forwards".to_owned(),
        ],
    })
}
