//! What it costs to look through payloads for eight patterns that are not there.

use anyhow::Result;

use super::super::sheet::{Bound, Line, Promise, Sheet};
use super::super::timer::median;
use super::candidates::{Candidate, Field, NOTHING};
use super::counters::Fate;
use super::filter::Filter;
use super::frames::{Frame, OTHER_PORT};
use super::generator::Generator;
use super::imblock::Tool;
use super::policy::{Markers, PLACES, Policy};
use super::series::{Effort, Series, find, middle, take_turns};

pub(super) const TITLE: &str = "veth: eight patterns in payloads, none there, ns a packet";

const STRINGS: &str = "iptables -m string";
const STRINGS_BOUNDED: &str = "iptables -m string, 256 places";
const WITHOUT: &str = "imblock, catalogue alone";
const ANCHORED: &str = "imblock, anchored";
const SEARCHED: &str = "imblock, find within 256";

const CANDIDATES: [Candidate; 6] = [
    (NOTHING, Filter::Nothing, None),
    (STRINGS, Filter::Strings(None), None),
    (STRINGS_BOUNDED, Filter::Strings(Some(PLACES)), None),
    (WITHOUT, with(Markers::None), None),
    (ANCHORED, with(Markers::Anchored), None),
    (SEARCHED, with(Markers::Searched), None),
];

const fn with(markers: Markers) -> Filter {
    Filter::Imblock(Policy {
        markers,
        ..Policy::PLAIN
    })
}

const LENGTHS: [usize; 2] = [300, 1_400];

const NOTES: [&str; 3] = [
    "UDP, forwarded; added: over no filter",
    "one flow: imblock looks into its first payloads alone, iptables into every one; new flows: every \
     packet begins one, so both look into every one",
    "iptables is told --from and --to, and searches a packet that is in one piece to its end all the same",
];

pub(super) fn sheet(tool: &Tool, generator: &mut Generator, effort: Effort) -> Result<Sheet> {
    let field = Field::build(&CANDIDATES, 1, tool)?;
    let mut sheet = Sheet {
        part: super::PART,
        title: TITLE.to_owned(),
        columns: vec!["whole", "added", "quartile", "quartile"],
        lines: Vec::new(),
        promises: Vec::new(),
        notes: field.notes.clone(),
    };
    sheet.notes.extend(NOTES.map(str::to_owned));
    for length in LENGTHS {
        let one = Frame::udp(OTHER_PORT, length);
        let new = one.clone().of_new_flows();
        let one = measure(&field, &one, generator, effort)?;
        let new = measure(&field, &new, generator, effort)?;
        for (what, series) in [("one flow", &one), ("new flows", &new)] {
            let nothing = find(series, NOTHING)?;
            sheet.lines.extend(series.iter().map(|series| {
                let mut cells = vec![Some(series.median())];
                cells.extend(middle(&series.over(nothing)));
                Line {
                    name: format!("{length} B, {what}: {}", series.name()),
                    cells,
                }
            }));
        }
        sheet.promises.extend([
            promise(
                length,
                &one,
                "anchored, one flow",
                (STRINGS, ANCHORED),
                80.0,
            )?,
            promise(
                length,
                &new,
                "found, new flows",
                (STRINGS_BOUNDED, SEARCHED),
                3.0,
            )?,
        ]);
    }
    Ok(sheet)
}

fn measure<'a>(
    field: &'a Field,
    frame: &'a Frame,
    generator: &mut Generator,
    effort: Effort,
) -> Result<Vec<Series<'a>>> {
    let series = field
        .rigs()
        .map(|rig| Series::new(rig, frame, Fate::Forwarded));
    let mut series: Vec<_> = series.collect();
    take_turns(&mut series, generator, effort, 0)?;
    Ok(series)
}

/// How many times as dear theirs is as ours, both without what forwarding costs.
fn promise(
    length: usize,
    series: &[Series<'_>],
    what: &str,
    (theirs, ours): (&str, &str),
    limit: f64,
) -> Result<Promise> {
    let nothing = find(series, NOTHING)?;
    let added = |name: &str| -> Result<f64> { Ok(median(&find(series, name)?.over(nothing))) };
    let ours = added(ours)?;
    // Ours may be too little to be told from none at all.
    let figure = added(theirs).ok().map(|theirs| theirs / ours.max(1.0));
    Ok(Promise {
        what: format!("{length} B, eight patterns {what}: {theirs} over ours"),
        bound: Bound::AtLeast(limit),
        figure,
    })
}
